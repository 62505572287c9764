#include "vmm/machine/boot_place.h"

#include <errno.h>
#include <stdio.h>

#include "vmm/machine/layout.h"

enum { PAGE = 4096 };

/* Free conventional memory starts behind the command line, the last thing that is placed there. */
#define LOW_FREE (LAYOUT_CMDLINE + 0x10000)

bool boot_place_allows(const struct guest_memory *mem, gpa_t gpa, uint64_t size)
{
	if (guest_memory_room(mem, gpa) < size)
		return false;
	if (gpa >= LAYOUT_HIGH_RAM)
		return range_inside(gpa, size, LAYOUT_RAM_ABOVE);
	return gpa >= LOW_FREE && range_inside(gpa, size, LAYOUT_EBDA);
}

/* Place 'size' bytes in the page-aligned part of [start, end). */
static bool fit(gpa_t start, gpa_t end, uint64_t size, enum boot_place_end at, gpa_t *out)
{
	start = align_up(start, PAGE);
	end &= ~(gpa_t)(PAGE - 1);
	size = align_up(size, PAGE);
	if (start >= end || end - start < size)
		return false;
	*out = at == BOOT_PLACE_HIGH ? end - size : start;
	return true;
}

int boot_place_find(const struct guest_memory *mem, uint64_t size, gpa_t limit,
		    struct boot_range kernel, enum boot_place_end end, gpa_t *out)
{
	gpa_t top = min_u64(LAYOUT_HIGH_RAM + guest_memory_room(mem, LAYOUT_HIGH_RAM), limit);

	if (size > top)
		return -ENOMEM;
	/*
	 * Above the kernel first, for both: LOW means "behind the kernel", where loaders put
	 * modules.
	 */
	if (fit(max_u64(LAYOUT_HIGH_RAM, kernel.end), top, size, end, out))
		return 0;
	if (fit(LAYOUT_HIGH_RAM, min_u64(kernel.start, top), size, end, out))
		return 0;
	return -ENOMEM;
}

const char *boot_place_size(char buf[24], uint64_t bytes)
{
	unsigned shift = bytes >= MIB(1) ? 20 : 10;
	uint64_t n = (bytes >> shift) + ((bytes & ((1ull << shift) - 1)) != 0);

	snprintf(buf, 24, "%llu %s", (unsigned long long)n, shift == 20 ? "MiB" : "KiB");
	return buf;
}
