#include "vmm/machine/ram_layout.h"

#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/machine/layout.h"

int ram_layout(struct memory_extent extent[RAM_LAYOUT_MAX_EXTENTS], uint64_t size,
	       unsigned phys_bits)
{
	/* Nobody has 2^62 bytes: the sums below cannot wrap. */
	uint64_t limit = UINT64_C(1) << (phys_bits < 62 ? phys_bits : 62);
	uint64_t above = size > LAYOUT_RAM_HOLE ? size - LAYOUT_RAM_HOLE : 0;
	char text[24];

	if (size < MIB(1))
		return error_set(EINVAL, "%llu bytes of memory: a machine needs at least 1 MiB",
				 (unsigned long long)size);
	if (size % KIB(4))
		return error_set(EINVAL, "%llu bytes of memory: not a multiple of 4 KiB",
				 (unsigned long long)size);
	if (above && !range_inside(LAYOUT_RAM_ABOVE, above, limit))
		return error_set(EINVAL, "%s of memory: the processor has only %u address bits",
				 text_format_size(text, size), phys_bits);

	extent[0] = (struct memory_extent) { .base = 0, .size = size - above };
	extent[1] = (struct memory_extent) { .base = LAYOUT_RAM_ABOVE, .size = above };
	return above ? 2 : 1;
}
