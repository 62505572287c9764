/* The memory map that kernels are given: what is RAM, what is reserved. */
#ifndef MACHINE_X86_E820_H
#define MACHINE_X86_E820_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

/* The values are ABI: BIOS INT 15h E820, PVH start info and multiboot share them. */
enum e820_kind { E820_KIND_RAM = 1, E820_KIND_RESERVED = 2 };

struct e820_range {
	gpa_t base;
	uint64_t size;
	enum e820_kind kind;
};

enum { E820_MAX_RANGES = GUEST_MEMORY_MAX_REGIONS + 4 };

/* Describe 'mem' and what layout.h reserves, sorted by address.  Returns the number of ranges. */
unsigned e820_build(struct e820_range out[E820_MAX_RANGES], const struct guest_memory *mem);

#endif
