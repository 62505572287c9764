/*
 * Guest RAM: memfd-backed regions, immutable once a vCPU has run.  Loaders and the CPU floor may
 * use guest_memory_at(); devices go through struct dma (dma.h) and never see this type's
 * pointers.
 */
#ifndef MACHINE_GUEST_MEMORY_H
#define MACHINE_GUEST_MEMORY_H

#include "vmm/base/util.h"

typedef uint64_t gpa_t;

enum { GUEST_MEMORY_MAX_REGIONS = 4 };

struct memory_region {
	gpa_t base;		/* page aligned */
	uint64_t size;		/* bytes, page aligned, > 0 */
	uint8_t *host;		/* mapping of [fd_offset, fd_offset + size) of the memfd */
	uint64_t fd_offset;
};

struct guest_memory {
	struct memory_region region[GUEST_MEMORY_MAX_REGIONS];	/* sorted, disjoint */
	unsigned n_regions;
	int fd;			/* the memfd, FD_NONE for memory that a test lent */
};
#define GUEST_MEMORY_INIT { .fd = FD_NONE }

/* One piece of the layout that guest_memory_create() shall make. */
struct memory_extent {
	gpa_t base;
	uint64_t size;
};

/*
 * Create one memfd that holds 'n' extents (sorted, disjoint, page aligned) and map it, untouched
 * (MAP_NORESERVE), with an inaccessible guard page on both sides of each region.
 *
 * Returns 0; -EINVAL for a bad layout, -ENOMEM and others from the system, with an error chain.
 */
MUST_USE int guest_memory_create(struct guest_memory *mem, const struct memory_extent *extent,
				 unsigned n);

/* Unmap and close.  Zeroed (with FOO_INIT) and half-built objects are fine. */
void guest_memory_destroy(struct guest_memory *mem);

/*
 * The host address of [gpa, gpa + len), or NULL unless the whole range lies in one region.  'len'
 * 0 is allowed when 'gpa' itself lies in a region.  Any thread.
 */
void *guest_memory_at(const struct guest_memory *mem, gpa_t gpa, uint64_t len);

/* The number of bytes from 'gpa' to the end of its region, 0 when it is not RAM. */
uint64_t guest_memory_room(const struct guest_memory *mem, gpa_t gpa);

/* All RAM, in bytes. */
uint64_t guest_memory_size(const struct guest_memory *mem);

/*
 * Give every page back to the host; it reads zero afterwards.  No vCPU and no device may run.
 * For a system reset.  Returns 0 or -errno with an error chain.
 */
MUST_USE int guest_memory_clear(struct guest_memory *mem);

/*
 * Have the host allocate every page now, so that the guest never waits for one.  Before the vCPUs
 * run.  Returns 0 or -errno with an error chain.
 */
MUST_USE int guest_memory_prefault(struct guest_memory *mem);

#endif
