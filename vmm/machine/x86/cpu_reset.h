/*
 * Back to power-on: what has to be remembered of a vCPU before it runs, and how a vCPU that ran is
 * made as if it never had.  KVM has no call for it.
 */
#ifndef MACHINE_X86_CPU_RESET_H
#define MACHINE_X86_CPU_RESET_H

#include <linux/kvm.h>

#include "vmm/base/util.h"

/*
 * Only what depends on the host: the rest of the power-on state is the same on every processor.
 * Fewer calls, for each is on the way to the guest's first instruction.
 */
struct cpu_power_on {
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
};

/* Of a vCPU that has not run.  Returns 0 or -errno with an error chain. */
MUST_USE int cpu_power_on_save(struct cpu_power_on *state, int vcpu_fd);

/*
 * Reset a vCPU that is out of the guest, with no exit pending.  The boot processor will run, others
 * wait for INIT and SIPI.  Returns 0 or -errno with an error chain.
 */
MUST_USE int cpu_reset(int vcpu_fd, const struct cpu_power_on *state, bool is_boot, bool has_vmx);

#endif
