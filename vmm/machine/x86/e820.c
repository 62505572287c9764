#include "vmm/machine/x86/e820.h"

#include "vmm/machine/layout.h"

enum { KVM_PRIVATE_PAGES = 4 };	/* identity map and TSS, LAYOUT_KVM_IDENTITY_MAP */

static void add(struct e820_range *out, unsigned *n, gpa_t base, gpa_t end, enum e820_kind kind)
{
	if (base < end)
		out[(*n)++] = (struct e820_range){ base, end - base, kind };
}

unsigned e820_build(struct e820_range out[E820_MAX_RANGES], const struct guest_memory *mem)
{
	unsigned n = 0;
	unsigned i = 0;

	add(out, &n, 0, LAYOUT_EBDA, E820_KIND_RAM);
	add(out, &n, LAYOUT_EBDA, LAYOUT_HIGH_RAM, E820_KIND_RESERVED);
	for (; i < mem->n_regions && mem->region[i].base < LAYOUT_RAM_HOLE; i++)
		add(out, &n, max_u64(mem->region[i].base, LAYOUT_HIGH_RAM),
		    mem->region[i].base + mem->region[i].size, E820_KIND_RAM);
	/* Linux uses ECAM only if it is reserved here or in the DSDT. */
	add(out, &n, LAYOUT_ECAM, LAYOUT_ECAM + LAYOUT_ECAM_SIZE, E820_KIND_RESERVED);
	add(out, &n, LAYOUT_KVM_IDENTITY_MAP,
	    LAYOUT_KVM_IDENTITY_MAP + KVM_PRIVATE_PAGES * 4096, E820_KIND_RESERVED);
	for (; i < mem->n_regions; i++)
		add(out, &n, mem->region[i].base, mem->region[i].base + mem->region[i].size,
		    E820_KIND_RAM);
	return n;
}
