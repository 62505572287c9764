/*
 * Where in RAM a loader may put things: not below the structures that the machine itself places
 * (GDT, page tables, boot information, command line), not into the BIOS area with the ACPI
 * tables, and not over the kernel.
 */
#ifndef MACHINE_BOOT_PLACE_H
#define MACHINE_BOOT_PLACE_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

/* [start, end) of guest addresses. */
struct boot_range {
	gpa_t start, end;
};

/*
 * May a kernel occupy [gpa, gpa + size)?  It is RAM, in one piece, free, and below 4 GiB: no
 * kernel sees more at its entry.
 */
bool boot_place_allows(const struct guest_memory *mem, gpa_t gpa, uint64_t size);

enum boot_place_end { BOOT_PLACE_HIGH, BOOT_PLACE_LOW };

/*
 * Find 'size' bytes at a page boundary between 1 MiB and 'limit' (exclusive; RAM below the hole
 * at the most), outside 'kernel'.  HIGH: as high as possible.  LOW: right behind the kernel, else
 * the lowest.
 *
 * Returns 0, or -ENOMEM without an error chain.
 */
MUST_USE int boot_place_find(const struct guest_memory *mem, uint64_t size, gpa_t limit,
			     struct boot_range kernel, enum boot_place_end end, gpa_t *out);

/*
 * Print a size for a message about what does not fit: whole MiB (KiB below one), rounded up.
 * 'buf' has room for 24 characters; returns it.
 */
const char *boot_place_size(char buf[24], uint64_t bytes);

#endif
