/*
 * What makes vCPUs leave the guest for this process, by kind.  What KVM serves itself (doorbells,
 * timers, local APICs, most interrupts) is not among it.  Each vCPU's thread writes its own
 * numbers, with plain loads and stores; anybody reads.
 */
#ifndef MACHINE_VCPU_STATS_H
#define MACHINE_VCPU_STATS_H

#include <stdatomic.h>

#include "vmm/base/util.h"

struct kvm_run;
struct machine;

enum vcpu_exit_kind {
	VCPU_EXIT_PIO_READ,
	VCPU_EXIT_PIO_WRITE,
	VCPU_EXIT_MMIO_READ,
	VCPU_EXIT_MMIO_WRITE,
	VCPU_EXIT_INTERRUPTED,		/* somebody of the host wanted it out, or a signal came */
	VCPU_EXIT_OTHER,
	VCPU_EXIT_KINDS,
};

struct vcpu_stats {
	_Atomic uint64_t exits[VCPU_EXIT_KINDS];
};

/* What machine_vcpu_counters() copies. */
struct vcpu_counters {
	uint64_t exits[VCPU_EXIT_KINDS];
	uint64_t cpu_ns;		/* that its thread has used, in the guest and for it */
};

/* "pio-read". */
const char *vcpu_exit_name(enum vcpu_exit_kind kind);

/* KVM_RUN returned 0, and 'run' says why / was interrupted.  vCPU's thread. */
void vcpu_stats_count(struct vcpu_stats *s, const struct kvm_run *run);
void vcpu_stats_count_interrupted(struct vcpu_stats *s);

/* Of vCPU 'index' < m->n_vcpus, since it was made.  Main thread. */
void machine_vcpu_counters(const struct machine *m, unsigned index, struct vcpu_counters *out);

#endif
