/*
 * Which CPUs of the host a VM's threads may run on, as people write it: "0-3,6" for all of the
 * threads, "1:2" for the second one (on CPU 2), "0:0-1,1:2-3" for two of them.
 */
#ifndef VMM_AFFINITY_H
#define VMM_AFFINITY_H

#include <sched.h>

#include "vmm/base/util.h"
#include "vmm/config.h"

enum { AFFINITY_MAX_THREADS = 64, AFFINITY_WHY_SIZE = 160 };

struct affinity {
	const cpu_set_t *of[AFFINITY_MAX_THREADS];	/* of thread i; NULL: anywhere */
	cpu_set_t all, own[AFFINITY_MAX_THREADS];	/* what they point to */
};

/* "0-3,6" as a set of numbers below 'limit' (CPU_SETSIZE at most).  Returns 0 or -EINVAL. */
MUST_USE int affinity_parse_cpus(const char *text, size_t len, unsigned limit, cpu_set_t *cpus);

/*
 * Read a list for 'n_threads' threads (AFFINITY_MAX_THREADS at most).  What is said about one
 * thread goes before what is said about all; said twice, it adds up.
 *
 * Returns 0, or -EINVAL with a sentence in 'why'.
 */
MUST_USE int affinity_parse(struct affinity *affinity, const struct text_list *list,
			    unsigned n_threads, char why[AFFINITY_WHY_SIZE]);

/*
 * May Vireo run on all CPUs that are named?  Returns 0, or -EINVAL with an error chain that names
 * those which it may use.
 */
MUST_USE int affinity_check_host(const struct affinity *affinity, unsigned n_threads);

/* Note what is wrong about 'vm.vcpu_affinity' and 'vm.io_affinity', whatever the host. */
void affinity_validate(const struct vm_config *config, struct mistakes *mistakes);

#endif
