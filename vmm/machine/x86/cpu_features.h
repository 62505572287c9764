/*
 * Names for what a processor can do, as Linux shows them in /proc/cpuinfo, and taking such things
 * away from the guest.  What no kernel for this machine works without (long mode, an APIC ...) has
 * no name here.
 */
#ifndef MACHINE_X86_CPU_FEATURES_H
#define MACHINE_X86_CPU_FEATURES_H

#include "vmm/base/util.h"

struct cpuid;

enum { CPU_FEATURE_WHY_SIZE = 160 };

/*
 * Judge a list of wishes: "-avx512f,+aes", each '-' (the guest shall not have it) or '+' (it must)
 * and a name.  Returns 0, or -EINVAL with a sentence in 'why'.
 */
MUST_USE int cpu_features_check(const char *wishes, char why[CPU_FEATURE_WHY_SIZE]);

/*
 * Carry out 'n' such lists in the machine's CPUID table; the last wish for a name counts.
 *
 * Returns 0; -ENOTSUP with an error chain if the host lacks something that is demanded; -EINVAL for
 * a list that cpu_features_check refuses.
 */
MUST_USE int cpu_features_apply(struct cpuid *cpuid, const char *const *wishes, unsigned n);

#endif
