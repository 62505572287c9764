/*
 * Model-specific registers: the few that Vireo sets before the first instruction, and the
 * power-on values that a reset brings back.  An MSR that the host refuses is named in the log and
 * passed over.
 */
#ifndef MACHINE_X86_MSR_H
#define MACHINE_X86_MSR_H

#include "vmm/base/util.h"

/*
 * Set what firmware would have set.  'tell': name what is refused, which once for all vCPUs is
 * enough.  Returns 0 or -errno with an error chain.
 */
MUST_USE int msr_set_boot(int vcpu_fd, bool tell);

/*
 * Put all MSRs that a guest may have written and that outlive INIT back to their power-on values,
 * then do as msr_set_boot.  Returns 0 or -errno with an error chain.
 */
MUST_USE int msr_reset(int vcpu_fd);

#endif
