/*
 * How vCPUs are arranged in sockets, cores and threads, and the APIC ids that follow.  An id is
 * made of bit fields (socket, core, thread), so ids have gaps when a count is not a power of two.
 * Intel SDM volume 3, 9.9 "Identifying Topological Relationships in a MP System".
 */
#ifndef MACHINE_X86_TOPOLOGY_H
#define MACHINE_X86_TOPOLOGY_H

#include "vmm/base/util.h"

struct topology {
	unsigned n_vcpus;
	unsigned threads;		/* per core */
	unsigned cores;			/* per socket */
	unsigned thread_bits;		/* of the APIC id: where the core's number starts */
	unsigned package_bits;		/* where the socket's number starts */
};

/*
 * 'threads' 0 means 1; 'cores' 0 means so many that one socket holds all vCPUs.  A last socket or
 * core may be partly filled.
 *
 * Returns 0; -EINVAL with an error chain if an APIC id would not fit into 8 bits.
 */
MUST_USE int topology_init(struct topology *topology, unsigned n_vcpus, unsigned threads,
			   unsigned cores);

/* The APIC id of vCPU 'index' (< n_vcpus). */
uint32_t topology_apic_id(const struct topology *topology, unsigned index);

/* How many logical processors a socket has. */
unsigned topology_package_size(const struct topology *topology);

#endif
