/*
 * Which kind of kernel a file is, found by its magic, and what its header says.  Everything in a
 * struct kernel_image has been judged against the file; whether it fits into memory is asked when
 * it is loaded.
 */
#ifndef MACHINE_KERNEL_IMAGE_H
#define MACHINE_KERNEL_IMAGE_H

#include "vmm/base/util.h"
#include "vmm/machine/boot_file.h"
#include "vmm/machine/elf.h"
#include "vmm/machine/x86/bzimage.h"
#include "vmm/machine/x86/multiboot.h"

enum kernel_format {
	KERNEL_BZIMAGE,
	KERNEL_ELF_PVH,		/* ELF with a PVH note: 32-bit entry with a start info */
	KERNEL_ELF_LINUX,	/* ELF64 without: 64-bit entry with a zero page */
	KERNEL_MULTIBOOT,	/* ELF, or flat with addresses in the header */
};

struct kernel_image {
	enum kernel_format format;
	struct bzimage bzimage;		/* KERNEL_BZIMAGE */
	struct elf elf;			/* all others, unless multiboot.has_addresses */
	struct multiboot multiboot;	/* KERNEL_MULTIBOOT */
	gpa_t entry;			/* all others: physical */
	gpa_t linux_entry;		/* KERNEL_ELF_PVH that could be KERNEL_ELF_LINUX; else 0 */
	size_t cmdline_max;		/* characters, without the final zero */
};

/*
 * Find out what 'file' is.
 *
 * Returns 0; -ENOEXEC with an error chain that says what the file is instead; -errno.
 */
MUST_USE int kernel_image_detect(struct kernel_image *image, const struct boot_file *file);

#endif
