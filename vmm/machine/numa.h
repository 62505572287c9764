/*
 * The guest's NUMA nodes: which processors and how much memory each has.  RAM is dealt out in the
 * nodes' order, counted without holes; acpi.c tells the guest (SRAT, SLIT), and the host's nodes
 * are asked for it by guest_memory_bind().
 */
#ifndef MACHINE_NUMA_H
#define MACHINE_NUMA_H

#include "vmm/base/util.h"
#include "vmm/machine/layout.h"

enum { NUMA_MAX_NODES = 16, NUMA_ANY = -1 };

struct numa {
	unsigned n_nodes;		/* 0: nothing is said about nodes */
	uint64_t memory[NUMA_MAX_NODES];	/* bytes; together all RAM */
	int host_node[NUMA_MAX_NODES];	/* where it comes from, or NUMA_ANY */
	uint8_t node_of[LAYOUT_MAX_VCPUS];	/* of each vCPU */
};

#endif
