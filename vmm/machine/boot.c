/*
 * From two files to a machine that can start: judge them (boot_open), then load kernel and
 * initrd, write the ACPI tables and hand over by the kernel's protocol (boot_load).  The formats
 * are kernel_image.h, the protocols x86/handover.h.
 */
#include "vmm/machine/boot.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/boot_file.h"
#include "vmm/machine/boot_place.h"
#include "vmm/machine/elf_load.h"
#include "vmm/machine/fdt.h"
#include "vmm/machine/kernel_image.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/smbios.h"
#include "vmm/machine/x86/handover.h"

struct boot {
	struct boot_file kernel;
	struct boot_file initrd;	/* fd FD_NONE: none */
	struct kernel_image image;
	char *cmdline;
	bool unpack;			/* enter the bzImage's payload directly */
	const char *why_not;		/* when it is not unpacked: a phrase */
	bool device_tree;		/* instead of ACPI tables */
	char description[192];
};

/* What boot_load finds out on its way. */
struct loaded {
	struct boot_range kernel;
	gpa_t entry;
	gpa_t initrd;
};

static void describe_bzimage(struct boot *boot)
{
	const struct bzimage *bz = &boot->image.bzimage;
	const char *name = bz->release[0] ? bz->release : "of unknown release";

	if (boot->unpack)
		snprintf(boot->description, sizeof(boot->description),
			 "bzImage (Linux %s), %s payload unpacked on the host and entered "
			 "directly, without KASLR", name, unpack_format_name(bz->payload));
	else
		snprintf(boot->description, sizeof(boot->description),
			 "bzImage (Linux %s), unpacks itself (%s)", name, boot->why_not);
}

static void describe(struct boot *boot)
{
	const char *text = NULL;

	switch (boot->image.format) {
	case KERNEL_BZIMAGE: describe_bzimage(boot); return;
	case KERNEL_ELF_PVH: text = "ELF kernel, entered by PVH"; break;
	case KERNEL_ELF_LINUX: text = "ELF vmlinux, entered at 64 bits, without KASLR"; break;
	case KERNEL_MULTIBOOT: text = "multiboot kernel"; break;
	}
	snprintf(boot->description, sizeof(boot->description), "%s", text);
}

static void choose_unpacking(struct boot *boot, bool no_unpack)
{
	enum unpack_format payload = boot->image.bzimage.payload;

	boot->unpack = false;
	if (no_unpack)
		boot->why_not = "as asked";
	else if (payload == UNPACK_UNKNOWN)
		boot->why_not = "its payload has no known format";
	else if (!unpack_is_supported(payload))
		boot->why_not = "this build cannot unpack its format";
	else
		boot->unpack = true;
	if (!boot->unpack && !no_unpack)
		log_warning("kernel '%s' has to unpack itself, which is slower: %s payload, %s",
			    boot->kernel.path, unpack_format_name(payload), boot->why_not);
}

/*
 * A multiboot kernel takes the first word for its own name, as GRUB passes it; for all others the
 * command line is just that.
 */
static int make_cmdline(struct boot *boot, const char *cmdline)
{
	bool with_name = boot->image.format == KERNEL_MULTIBOOT;
	size_t len;

	if (with_name && asprintf(&boot->cmdline, "%s%s%s", boot->kernel.path, *cmdline ? " " : "",
				  cmdline) < 0)
		boot->cmdline = NULL;
	else if (!with_name)
		boot->cmdline = strdup(cmdline);
	if (!boot->cmdline)
		return error_set(ENOMEM, "copy the command line");
	len = strlen(boot->cmdline);
	if (len > boot->image.cmdline_max)
		return error_set(E2BIG, "the command line has %zu characters; kernel '%s' takes "
				 "%zu", len, boot->kernel.path, boot->image.cmdline_max);
	return 0;
}

/*
 * Of the three protocols only Linux' own can carry a device tree; a Linux that could be entered by
 * PVH is entered by that one, then.
 */
static int choose_protocol_with_tree(struct boot *boot)
{
	struct kernel_image *image = &boot->image;
	const char *protocol = "PVH";

	if (image->format == KERNEL_ELF_PVH && image->linux_entry) {
		image->format = KERNEL_ELF_LINUX;
		image->entry = image->linux_entry;
	}
	if (image->format == KERNEL_BZIMAGE || image->format == KERNEL_ELF_LINUX)
		return 0;
	if (image->format == KERNEL_MULTIBOOT)
		protocol = "multiboot";
	int r = error_set(ENOTSUP, "kernel '%s' cannot be given a device tree: it is entered by "
			  "%s, which has no place for one", boot->kernel.path, protocol);
	error_hint("only Linux takes one; for others leave vm.mmio_discovery at 'acpi'");
	return r;
}

int boot_open(struct boot **out, const struct boot_config *config)
{
	struct boot *boot = calloc(1, sizeof(*boot));
	int r;

	if (!boot)
		return error_set(ENOMEM, "open the kernel");
	boot->kernel = boot->initrd = (struct boot_file)BOOT_FILE_INIT;
	r = boot_file_open(&boot->kernel, "kernel", config->kernel_path);
	if (r < 0)
		goto fail;
	r = kernel_image_detect(&boot->image, &boot->kernel);
	if (r < 0)
		goto fail;
	boot->device_tree = config->device_tree;
	if (boot->device_tree) {
		r = choose_protocol_with_tree(boot);
		if (r < 0)
			goto fail;
	}
	if (config->initrd_path) {
		r = boot_file_open(&boot->initrd, "initrd", config->initrd_path);
		if (r < 0)
			goto fail;
	}
	r = make_cmdline(boot, config->cmdline);
	if (r < 0)
		goto fail;
	if (boot->image.format == KERNEL_BZIMAGE)
		choose_unpacking(boot, config->no_unpack);
	describe(boot);
	*out = boot;
	return 0;
fail:
	boot_close(boot);
	return r;
}

void boot_close(struct boot *boot)
{
	if (!boot)
		return;
	boot_file_close(&boot->kernel);
	boot_file_close(&boot->initrd);
	free(boot->cmdline);
	free(boot);
}

const char *boot_describe(const struct boot *boot)
{
	return boot->description;
}

static int load_bzimage(struct boot *boot, const struct guest_memory *mem, struct loaded *loaded)
{
	const struct bzimage *bz = &boot->image.bzimage;
	struct bzimage_loaded out;
	int r = -ENOTSUP;

	if (boot->unpack) {
		r = bzimage_unpack(bz, &boot->kernel, mem, &out);
		if (r < 0) {
			log_warning("kernel '%s' has to unpack itself: %s", boot->kernel.path,
				    error_text());
			error_clear();
			boot->unpack = false;
			boot->why_not = "unpacking it on the host failed";
			describe(boot);
		}
	}
	if (r < 0)
		r = bzimage_load(bz, &boot->kernel, mem, &out);
	if (r < 0)
		return r;
	loaded->kernel = out.range;
	loaded->entry = out.entry;
	return 0;
}

static int load_kernel(struct boot *boot, const struct guest_memory *mem, struct loaded *loaded)
{
	const struct kernel_image *image = &boot->image;
	int r;

	if (image->format == KERNEL_BZIMAGE)
		return load_bzimage(boot, mem, loaded);
	loaded->entry = image->entry;
	if (image->multiboot.has_addresses) {
		loaded->kernel = image->multiboot.range;
		r = multiboot_load(&image->multiboot, &boot->kernel, mem);
	} else {
		r = elf_load(&image->elf, &boot->kernel, mem, &loaded->kernel);
	}
	if (r == -ENOMEM)
		error_hint("give the guest more memory (vm.memory, --memory)");
	return r < 0 ? error_add(r, "load kernel '%s'", boot->kernel.path) : 0;
}

/* How far up the initrd may lie (exclusive). */
static gpa_t initrd_limit(const struct kernel_image *image)
{
	switch (image->format) {
	case KERNEL_BZIMAGE: return (gpa_t)image->bzimage.header.initrd_addr_max + 1;
	case KERNEL_ELF_LINUX: return GIB(2);	/* what every 64-bit bzImage says */
	default: return LAYOUT_RAM_HOLE;
	}
}

static int load_initrd(const struct boot *boot, const struct guest_memory *mem,
		       struct loaded *loaded)
{
	const struct boot_file *initrd = &boot->initrd;
	/* Small kernels map little memory and expect their modules right behind themselves. */
	enum boot_place_end end = boot->image.format == KERNEL_MULTIBOOT ? BOOT_PLACE_LOW
									  : BOOT_PLACE_HIGH;
	int r;

	if (initrd->fd == FD_NONE)
		return 0;
	r = boot_place_find(mem, initrd->size, initrd_limit(&boot->image), loaded->kernel, end,
			    &loaded->initrd);
	if (r < 0) {
		char size[24], kernel[24], memory[24];

		r = error_set(ENOMEM, "initrd '%s' of %s does not fit: memory is %s, the kernel "
			      "takes %s", initrd->path, boot_place_size(size, initrd->size),
			      boot_place_size(memory, guest_memory_size(mem)),
			      boot_place_size(kernel, loaded->kernel.end - loaded->kernel.start));
		error_hint("give the guest more memory (vm.memory, --memory)");
		return r;
	}
	return boot_file_read(initrd, 0, guest_memory_at(mem, loaded->initrd, initrd->size),
			      initrd->size);
}

static void hand_over(const struct boot *boot, const struct guest_memory *mem,
		      const struct loaded *loaded, struct boot_entry *entry)
{
	const struct handover h = {
		.mem = mem,
		.entry = loaded->entry,
		.cmdline = LAYOUT_CMDLINE,
		.initrd = loaded->initrd,
		.initrd_size = boot->initrd.size,
		.initrd_name = boot->initrd.path,
		.setup_data = boot->device_tree ? LAYOUT_FDT : 0,
	};
	size_t len = strlen(boot->cmdline) + 1;

	memcpy(guest_memory_at(mem, LAYOUT_CMDLINE, len), boot->cmdline, len);
	switch (boot->image.format) {
	case KERNEL_BZIMAGE: handover_linux(&h, &boot->image.bzimage, entry); break;
	case KERNEL_ELF_LINUX: handover_linux(&h, NULL, entry); break;
	case KERNEL_ELF_PVH: handover_pvh(&h, entry); break;
	case KERNEL_MULTIBOOT: handover_multiboot(&h, entry); break;
	}
}

/* A list of one entry: boot.rst, setup_data. */
static int write_device_tree(const struct boot *boot, const struct machine *m)
{
	size_t size = LAYOUT_ACPI_END - LAYOUT_FDT - sizeof(struct setup_data), len;
	uint8_t *p = guest_memory_at(&m->memory, LAYOUT_FDT, LAYOUT_ACPI_END - LAYOUT_FDT);
	struct setup_data header = { .type = SETUP_DTB };
	struct memory_extent memory[GUEST_MEMORY_MAX_REGIONS];
	struct fdt_config config = { .board = &m->acpi, .memory = memory,
				     .n_memory = m->memory.n_regions, .cmdline = boot->cmdline };
	int r;

	for (unsigned i = 0; i < m->memory.n_regions; i++) {
		const struct memory_region *region = &m->memory.region[i];
		memory[i] = (struct memory_extent){ region->base, region->size };
	}
	r = fdt_build(p + sizeof(header), size, &config, &len);
	if (r < 0)
		return r;
	header.len = (uint32_t)len;
	memcpy(p, &header, sizeof(header));
	return 0;
}

int boot_load(struct boot *boot, struct machine *m, struct boot_entry *entry)
{
	const struct guest_memory *mem = &m->memory;
	struct loaded loaded = { 0 };
	int r;

	/* The protocols write below 1 MiB without asking again. */
	if (!guest_memory_at(mem, 0, LAYOUT_HIGH_RAM))
		return error_set(ENOMEM, "a machine without 1 MiB of memory cannot boot");
	r = load_kernel(boot, mem, &loaded);
	if (r == 0)
		r = load_initrd(boot, mem, &loaded);
	if (r == 0)
		r = boot->device_tree ? write_device_tree(boot, m) : acpi_build(mem, &m->acpi);
	if (r == 0)
		r = smbios_build(mem, &m->smbios);
	if (r == 0)
		hand_over(boot, mem, &loaded, entry);
	return r;
}
