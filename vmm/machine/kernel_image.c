#include "vmm/machine/kernel_image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/machine/file_kind.h"

enum {
	CMDLINE_ROOM = 64 * 1024,	/* LAYOUT_CMDLINE has this much */
	/*
	 * COMMAND_LINE_SIZE of Linux for x86 is 2048 and counts the zero.  A bzImage says it
	 * itself.
	 */
	CMDLINE_MAX_LINUX = 2047,
};

static int not_a_kernel(const struct boot_file *file, const char *kind)
{
	int r;

	if (kind)
		r = error_set(ENOEXEC, "'%s' is %s, not a kernel", file->path, kind);
	else
		r = error_set(ENOEXEC, "'%s' is not a kernel: its format is unknown", file->path);
	error_hint("a kernel is a bzImage (/boot/vmlinuz), an ELF file (vmlinux, PVH) or a "
		   "multiboot image, for x86");
	return r;
}

/* An ELF file for x86.  PVH first: it tells a kernel the most. */
static int detect_elf(struct kernel_image *image, const struct boot_file *file,
		      const uint8_t *head, size_t len)
{
	struct elf_notes notes;
	int r = elf_read(&image->elf, file);

	if (r == 0)
		r = elf_read_notes(&image->elf, file, &notes);
	if (r < 0)
		return error_add(r, "'%s' is no kernel that can be loaded", file->path);
	image->cmdline_max = notes.is_linux_kernel ? CMDLINE_MAX_LINUX : CMDLINE_ROOM - 1;
	if (notes.has_pvh) {
		image->format = KERNEL_ELF_PVH;
		image->entry = notes.pvh_entry;
		if (!elf_holds(&image->elf, image->entry))
			return error_set(ENOEXEC, "'%s' has a PVH entry point %#llx that lies in "
					 "no segment", file->path,
					 (unsigned long long)image->entry);
		if (notes.is_linux_kernel && image->elf.bits == 64 && image->elf.type == ET_EXEC &&
		    elf_physical_entry(&image->elf, &image->linux_entry) < 0) {
			error_clear();
			image->linux_entry = 0;
		}
		return 0;
	}
	if (image->multiboot.found) {
		image->format = KERNEL_MULTIBOOT;
		return elf_physical_entry(&image->elf, &image->entry);
	}
	if (image->elf.bits == 32 && image->elf.type == ET_EXEC && !notes.is_user_program)
		return not_a_kernel(file, "a 32-bit ELF file without PVH note or multiboot header");
	if (image->elf.bits == 32 || image->elf.type != ET_EXEC || image->elf.has_interpreter ||
	    notes.is_user_program)
		return not_a_kernel(file, file_kind(head, len));
	image->format = KERNEL_ELF_LINUX;
	image->cmdline_max = CMDLINE_MAX_LINUX;
	return elf_physical_entry(&image->elf, &image->entry);
}

static bool is_x86_elf(const uint8_t *head, size_t len)
{
	struct elf elf;

	if (!elf_is_elf(head, len))
		return false;
	if (elf_parse_header(&elf, head, len) < 0) {
		error_clear();
		return false;
	}
	return (elf.machine == EM_X86_64 || elf.machine == EM_386) &&
	       (elf.type == ET_EXEC || elf.type == ET_DYN);
}

static int detect(struct kernel_image *image, const struct boot_file *file, const uint8_t *head,
		  size_t len)
{
	int r;

	if (bzimage_is_bzimage(head, len)) {
		r = bzimage_parse(&image->bzimage, file, head, len);
		if (r < 0)
			return r;
		image->format = KERNEL_BZIMAGE;
		image->cmdline_max = min_u64(image->bzimage.header.cmdline_size, CMDLINE_ROOM - 1);
		return 0;
	}
	r = multiboot_find(&image->multiboot, head, len, file->size);
	if (r < 0)
		return error_add(r, "'%s' is no kernel that can be loaded", file->path);
	if (image->multiboot.has_addresses) {
		image->format = KERNEL_MULTIBOOT;
		image->entry = image->multiboot.entry;
		image->cmdline_max = CMDLINE_ROOM - 1;
		return 0;
	}
	if (is_x86_elf(head, len))
		return detect_elf(image, file, head, len);
	return not_a_kernel(file, file_kind(head, len));
}

int kernel_image_detect(struct kernel_image *image, const struct boot_file *file)
{
	size_t len = min_u64(file->size, FILE_KIND_HEAD);
	uint8_t *head = malloc(len);
	int r;

	*image = (struct kernel_image){ 0 };
	if (!head)
		return error_set(ENOMEM, "read the kernel's header");
	r = boot_file_read(file, 0, head, len);
	if (r == 0)
		r = detect(image, file, head, len);
	free(head);
	return r;
}
