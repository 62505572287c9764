/* Where RAM lies in the guest's address space: below the PCI hole, and from 4 GiB on. */
#ifndef MACHINE_RAM_LAYOUT_H
#define MACHINE_RAM_LAYOUT_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

enum { RAM_LAYOUT_MAX_EXTENTS = 2 };

/*
 * Lay 'size' bytes of RAM out into 'extent' for a processor with 'phys_bits' bits of physical
 * address.
 *
 * Returns the number of extents, or -EINVAL with an error chain: less than 1 MiB, not a multiple of
 * 4 KiB, or more than the processor can address.
 */
MUST_USE int ram_layout(struct memory_extent extent[RAM_LAYOUT_MAX_EXTENTS], uint64_t size,
			unsigned phys_bits);

#endif
