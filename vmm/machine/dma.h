/*
 * The address space that a device sees, and the one gate from a guest-given address to a pointer.
 * Today it is the identity onto guest memory; a virtio-iommu domain will stand behind the same
 * verbs.
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

struct dma {
	const struct guest_memory *memory;	/* keeps */
};

/*
 * Map [addr, addr + len) for the device: the whole range lies inside one region of RAM, does not
 * overflow, and may be accessed in direction 'dir'.  MMIO is never reachable.
 *
 * Returns the host address, valid as long as the address space lives, or NULL.  'len' 0 gives NULL.
 * Any thread; takes no lock.
 */
static inline void *dma_map(const struct dma *dma, uint64_t addr, uint64_t len, enum dma_dir dir)
{
	/* Identity: all RAM may be read and written by every device. */
	(void)dir;
	return len ? guest_memory_at(dma->memory, addr, len) : NULL;
}

#endif
