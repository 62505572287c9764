/*
 * The address space that a device sees, and the one gate from a guest-given address to a pointer:
 * the identity onto guest memory, or what an IOMMU makes of the device's addresses (iommu.h).
 *
 * Behind an IOMMU a range may be several pieces, and what the guest mapped it can take away: a
 * pointer is good only while something keeps it so.  Buffers do so by a pin for each piece, from
 * the pop of their chain to its push, and rings by a hold, which may be lost.
 */
#ifndef MACHINE_DMA_H
#define MACHINE_DMA_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

enum dma_dir {
	DMA_TO_DEVICE,		/* the device reads */
	DMA_FROM_DEVICE,	/* the device writes */
	DMA_BOTH,
};

struct iommu_endpoint;
struct iommu_mapping;

struct dma {
	const struct guest_memory *memory;	/* keeps */
	struct iommu_endpoint *endpoint;	/* of the device, keeps; NULL: identity */
};

/* Is the device behind an IOMMU, so that its addresses are not those of guest memory? */
static inline bool dma_is_translated(const struct dma *dma)
{
	return dma->endpoint != NULL;
}

/*
 * Map [addr, addr + len) for a device that is behind no IOMMU: the whole range lies inside one
 * region of RAM, does not overflow, and may be accessed in direction 'dir'.  MMIO is never
 * reachable.
 *
 * Returns the host address, valid as long as the address space lives, or NULL.  'len' 0 gives NULL,
 * and so does everything behind an IOMMU.  Any thread; takes no lock.
 */
static inline void *dma_map(const struct dma *dma, uint64_t addr, uint64_t len, enum dma_dir dir)
{
	/* Identity: all RAM may be read and written by every device. */
	(void)dir;
	return len && !dma->endpoint ? guest_memory_at(dma->memory, addr, len) : NULL;
}

/* --- Behind an IOMMU: pieces, for as long as a chain is in progress. --------------------------*/

/*
 * What was found last, so that it need not be looked for again; good only as long as the guest
 * changes nothing.  One for each queue; zeroed at first.
 */
enum { DMA_CACHE_ENTRIES = 8 };
struct dma_cache {
	struct dma_cache_entry {
		uint64_t first, last, seq;
		uint8_t *host;
		const void *map;
		struct iommu_mapping *mapping;
		uint32_t access;
	} entry[DMA_CACHE_ENTRIES];
};

/*
 * A chain begins / is over.  Between the two the device works with the memory that its pieces led
 * to.  Returns the era, which dma_leave() wants back.  Any thread; takes no lock.
 */
unsigned dma_enter(const struct dma *dma);
void dma_leave(const struct dma *dma, unsigned era);

/*
 * Translate the beginning of [addr, addr + *len), '*len' > 0.
 *
 * Returns the host address of the first piece, with its length in '*len', and in '*pin' what keeps
 * it (NULL: nothing has to); or NULL, and the fault was reported, if one is due.  Between dma_enter
 * and dma_leave.  Any thread; takes no lock.
 */
void *dma_pin(const struct dma *dma, struct dma_cache *cache, uint64_t addr, uint64_t *len,
	      enum dma_dir dir, struct iommu_mapping **pin);
void dma_unpin(struct iommu_mapping *pin);

/* --- Either way: what a device works with from start to stop. -------------------------------- */

struct dma_hold {
	const struct dma *dma;
	void *host;			/* NULL: holds nothing */
	uint64_t addr, len;
	enum dma_dir dir;
	uint64_t lost;			/* serial of the change that took it away; 0: it is good */
	const void *lost_in;		/* the domain that led to it */
	struct dma_hold *next;
};

/*
 * Map [addr, addr + len), which must be one piece of memory, until dma_release().  Behind an IOMMU
 * the guest can still unmap it: the endpoint's owner hears of that and must release it soon.
 *
 * Returns the host address or NULL; 'hold' is kept, and fine to be released either way.  Control
 * path: takes the IOMMU's lock.
 */
void *dma_hold(const struct dma *dma, uint64_t addr, uint64_t len, enum dma_dir dir,
	       struct dma_hold *hold);
/* Zeroed ones are fine. */
void dma_release(struct dma_hold *hold);

#endif
