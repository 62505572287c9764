#include "vmm/machine/x86/handover.h"

#include <string.h>

#include "vmm/machine/layout.h"
#include "vmm/machine/x86/e820.h"

enum {
	BOOT_FLAG = 0xaa55,
	HEADER_MAGIC = 0x53726448,	/* "HdrS" */
	LOADER_UNDEFINED = 0xff,	/* boot.rst, type_of_loader */
	VERSION = 0x020f,
	VIDEO_MODE_NORMAL = 0xffff,
};

/* What a vmlinux's own bzImage would have had; the kernel's early code looks at little of it. */
static void make_header(struct setup_header *header)
{
	header->boot_flag = BOOT_FLAG;
	header->header = HEADER_MAGIC;
	header->version = VERSION;
	header->loadflags = LOADED_HIGH;
	header->vid_mode = VIDEO_MODE_NORMAL;
}

void handover_linux(const struct handover *h, const struct bzimage *bz, struct boot_entry *entry)
{
	struct boot_params *params = guest_memory_at(h->mem, LAYOUT_BOOT_INFO, sizeof(*params));
	struct e820_range map[E820_MAX_RANGES];
	unsigned n = e820_build(map, h->mem);

	/*
	 * Zero is "not given" nearly everywhere, and 'sentinel' must be zero for a loader that
	 * knows.
	 */
	memset(params, 0, sizeof(*params));
	if (bz)
		params->hdr = bz->header;
	else
		make_header(&params->hdr);
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.setup_data = h->setup_data;
	params->hdr.cmd_line_ptr = (uint32_t)h->cmdline;
	params->hdr.ramdisk_image = (uint32_t)h->initrd;
	params->hdr.ramdisk_size = (uint32_t)h->initrd_size;
	params->acpi_rsdp_addr = h->setup_data ? 0 : LAYOUT_RSDP;
	for (unsigned i = 0; i < n; i++) {
		params->e820_table[i].addr = map[i].base;
		params->e820_table[i].size = map[i].size;
		params->e820_table[i].type = map[i].kind;
	}
	params->e820_entries = (uint8_t)n;

	*entry = (struct boot_entry){
		.mode = BOOT_MODE_LONG64,
		.rip = h->entry,
		.rsp = LAYOUT_BOOT_STACK,
		.rsi = LAYOUT_BOOT_INFO,
	};
}
