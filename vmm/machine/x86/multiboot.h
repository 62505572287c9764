/*
 * The multiboot 1 header: how a kernel asks for multiboot, and how one that is no ELF file says
 * where it goes.  Multiboot Specification 0.6.96, 3.1 "OS image format".
 */
#ifndef MACHINE_X86_MULTIBOOT_H
#define MACHINE_X86_MULTIBOOT_H

#include "vmm/base/util.h"
#include "vmm/machine/boot_file.h"
#include "vmm/machine/boot_place.h"

enum { MULTIBOOT_SEARCH = 8192 };	/* the header lies within the first 8 KiB */

struct multiboot {
	bool found;
	bool has_addresses;		/* the fields below; else the file is an ELF file */
	uint64_t offset, size;		/* what to load, in the file */
	struct boot_range range;	/* where to, with the bss behind */
	gpa_t entry;
};

/*
 * Look for the header in the first 'len' bytes of a file of 'file_size' bytes.
 *
 * Returns 0 ('found' tells); -ENOEXEC with an error chain if it asks for what we cannot do.
 */
MUST_USE int multiboot_find(struct multiboot *mb, const uint8_t *head, size_t len,
			    uint64_t file_size);

/* Load by the header's addresses.  Returns 0; -ENOMEM or -errno with an error chain. */
MUST_USE int multiboot_load(const struct multiboot *mb, const struct boot_file *file,
			    const struct guest_memory *mem);

#endif
