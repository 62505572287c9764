/*
 * The address space that a device sees, and the one gate from a guest-given address to a pointer:
 * the identity onto guest memory, or what an IOMMU makes of the device's addresses (iommu.h).
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

#endif
