/*
 * Guest RAM: memfd-backed regions, immutable once a vCPU has run.  Loaders and the CPU floor may
 * use guest_memory_at(); devices go through struct dma (dma.h) and never see this type's
 * pointers.
 */
#ifndef MACHINE_GUEST_MEMORY_H
#define MACHINE_GUEST_MEMORY_H

#include <stdatomic.h>

#include "vmm/base/util.h"

typedef uint64_t gpa_t;

enum { GUEST_MEMORY_MAX_REGIONS = 4 };

struct memory_region {
	gpa_t base;		/* page aligned */
	uint64_t size;		/* bytes, page aligned, > 0 */
	uint8_t *host;		/* mapping of [fd_offset, fd_offset + size) of the memfd */
	uint64_t fd_offset;
};

/* What kind of the host's memory it shall be. */
enum memory_advice { MEMORY_AS_HOST, MEMORY_YES, MEMORY_NO };
struct memory_kind {
	uint64_t huge_page;		/* of the host's pool of such pages, 0: ordinary ones */
	enum memory_advice transparent;	/* may ordinary ones be huge? */
	bool merge;			/* same ones may be one (KSM): memory is private, then */
};

struct guest_memory {
	struct memory_region region[GUEST_MEMORY_MAX_REGIONS];	/* sorted, disjoint */
	unsigned n_regions;
	int fd;			/* the memfd, FD_NONE for memory that a test lent */
	uint64_t granule;	/* what can be given back at once: the host's page; 0: 4096 */
	/*
	 * Mapped for this process alone: the memfd does not have what is written.  Nobody else can
	 * be given the memory, then.
	 */
	bool is_private;
	atomic_uint holds;	/* guest_memory_hold() minus guest_memory_release() */
};
#define GUEST_MEMORY_INIT { .fd = FD_NONE }

/* One piece of the layout that guest_memory_create() shall make. */
struct memory_extent {
	gpa_t base;
	uint64_t size;
};

/*
 * Create one memfd that holds 'n' extents (sorted, disjoint, page aligned) and map it, untouched
 * (MAP_NORESERVE), with an inaccessible guard page on both sides of each region.  Host and guest
 * address of a byte are the same modulo 2 MiB, as huge pages need it.
 *
 * Returns 0; -EINVAL for a bad layout, -ENOMEM and others from the system, with an error chain.
 */
MUST_USE int guest_memory_create(struct guest_memory *mem, const struct memory_extent *extent,
				 unsigned n);

/*
 * The same of another kind.  Extents are multiples of 'huge_page', or -EINVAL; huge pages are
 * reserved, so that the guest never lacks one: -ENOMEM with how many are missing.
 */
MUST_USE int guest_memory_create_kind(struct guest_memory *mem, const struct memory_extent *extent,
				      unsigned n, const struct memory_kind *kind);

/*
 * Would the host's pool of huge pages do for 'size' bytes of this kind?  Nothing is taken.  Returns
 * 0 or -ENOMEM with an error chain.  Any thread.
 */
MUST_USE int guest_memory_check_pool(uint64_t size, const struct memory_kind *kind);

/*
 * Take [offset, offset + len) of all RAM (counted without holes) from node 'node' of the host only.
 * Before it is touched.  Returns 0 or -errno with an error chain.
 */
MUST_USE int guest_memory_bind(struct guest_memory *mem, uint64_t offset, uint64_t len,
			       unsigned node);

/* Say (log) what the host is set to ignore of that. */
void guest_memory_warn(const struct memory_kind *kind);

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
 * Give those pages of the host that lie wholly inside [gpa, gpa + len) back to it, while the guest
 * runs: they read zero afterwards, whoever looks.  Bytes of the range that share a page of the host
 * with others stay as they are.  'freed' (may be NULL) is the number of bytes given back; that they
 * had been given back before does not show.
 *
 * Returns 0; -EFAULT unless the whole range is RAM of one region; -EBUSY while memory is held;
 * -errno from the host.  With an error chain.  Any thread; the time it takes grows with 'len'.
 */
MUST_USE int guest_memory_discard(const struct guest_memory *mem, gpa_t gpa, uint64_t len,
				  uint64_t *freed);

/*
 * Forbid discarding and allow it again: for whoever has pinned pages (a device that is passed
 * through) or needs the contents as they are (a snapshot).  Holds are counted.  Any thread; a
 * discard that has begun on another one may still end after guest_memory_hold().
 */
void guest_memory_hold(struct guest_memory *mem);
void guest_memory_release(struct guest_memory *mem);

/*
 * The guest address of 'host', a pointer that guest_memory_at() or dma_map() gave.  Returns false
 * if it is none.  Any thread.
 */
bool guest_memory_locate(const struct guest_memory *mem, const void *host, gpa_t *gpa);

/*
 * Have the host allocate every page now, so that the guest never waits for one; several threads do
 * it where there is much.  Before the vCPUs run.  Returns 0 or -errno with an error chain.
 */
MUST_USE int guest_memory_prefault(struct guest_memory *mem);

#endif
