/*
 * An address space of registers (ports or memory-mapped), and the regions that claim parts of it.
 *
 * Regions are sorted and do not overlap.  An access has size 1, 2, 4 or 8 and reaches a region
 * only if it lies inside it completely; anything else is unclaimed: reads are all ones, writes
 * vanish, both are counted.  All calls: control path, machine lock held (or before the vCPUs
 * run).
 */
#ifndef MACHINE_BUS_H
#define MACHINE_BUS_H

#include "vmm/base/util.h"

struct region_ops {
	/* 'offset' is from the region's start; 'size' is 1, 2, 4 or 8. */
	uint64_t (*read)(void *arg, uint64_t offset, unsigned size);
	void (*write)(void *arg, uint64_t offset, unsigned size, uint64_t value);
};

struct region {
	const char *name;
	uint64_t base;
	uint64_t size;
	const struct region_ops *ops;
	void *arg;
};

enum { BUS_MAX_REGIONS = 1024 };

struct bus {
	const char *name;
	struct region *region[BUS_MAX_REGIONS];	/* sorted by base; keeps */
	unsigned n_regions;
	unsigned last;			/* index of the last hit, tried first */
	uint64_t unclaimed_reads;
	uint64_t unclaimed_writes;
};

/*
 * Claim [region->base, region->base + region->size).  'region' is kept until it is removed.
 *
 * Returns 0; -EINVAL (empty or wraps), -EEXIST (overlaps another), -ENOSPC, with an error chain.
 */
MUST_USE int bus_add(struct bus *bus, struct region *region);

/* Give the range up; fine when 'region' is not on the bus. */
void bus_remove(struct bus *bus, struct region *region);

/* The region that holds [addr, addr + size), or NULL. */
struct region *bus_find(struct bus *bus, uint64_t addr, unsigned size);

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size);
void bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t value);

#endif
