#include "vmm/machine/x86/handover.h"

#include <stdio.h>

#include "vmm/base/le.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/x86/e820.h"

enum {
	LOADER_MAGIC = 0x2badb002,	/* in EAX */

	INFO_MEMORY = 1 << 0,
	INFO_CMDLINE = 1 << 2,
	INFO_MODULES = 1 << 3,
	INFO_MEMORY_MAP = 1 << 6,
	INFO_LOADER_NAME = 1 << 9,

	MAP_ENTRY_SIZE = 24,		/* its own size field included */

	/* Where the parts are within LAYOUT_BOOT_INFO. */
	INFO_AT = 0,
	MODULES_AT = 0x100,
	LOADER_NAME_AT = 0x180,
	MAP_AT = 0x200,
	MODULE_NAME_AT = 0x1000,
	MODULE_NAME_ROOM = 0x1000,
	INFO_SIZE = MODULE_NAME_AT + MODULE_NAME_ROOM,
};

/* The size field of an entry does not count itself. */
static unsigned write_map(uint8_t *p, const struct guest_memory *mem)
{
	struct e820_range map[E820_MAX_RANGES];
	unsigned n = e820_build(map, mem);

	for (unsigned i = 0; i < n; i++, p += MAP_ENTRY_SIZE) {
		store_le32(p, MAP_ENTRY_SIZE - 4);
		store_le64(p + 4, map[i].base);
		store_le64(p + 12, map[i].size);
		store_le32(p + 20, map[i].kind);
	}
	return n * MAP_ENTRY_SIZE;
}

static void write_module(uint8_t *info, const struct handover *h)
{
	uint8_t *p = info + MODULES_AT;

	store_le32(p, (uint32_t)h->initrd);
	store_le32(p + 4, (uint32_t)(h->initrd + h->initrd_size));
	store_le32(p + 8, (uint32_t)LAYOUT_BOOT_INFO + MODULE_NAME_AT);
	store_le32(p + 12, 0);
	snprintf((char *)info + MODULE_NAME_AT, MODULE_NAME_ROOM, "%s", h->initrd_name);
}

void handover_multiboot(const struct handover *h, struct boot_entry *entry)
{
	uint8_t *info = guest_memory_at(h->mem, LAYOUT_BOOT_INFO, INFO_SIZE);
	uint8_t *p = info + INFO_AT;
	uint64_t upper = guest_memory_room(h->mem, LAYOUT_HIGH_RAM);
	uint32_t flags = INFO_MEMORY | INFO_CMDLINE | INFO_MEMORY_MAP | INFO_LOADER_NAME;

	if (h->initrd_size > 0) {
		flags |= INFO_MODULES;
		write_module(info, h);
	}
	snprintf((char *)info + LOADER_NAME_AT, MAP_AT - LOADER_NAME_AT, "vireo");
	store_le32(p, flags);
	store_le32(p + 4, LAYOUT_EBDA / 1024);			/* mem_lower, KiB from 0 */
	store_le32(p + 8, (uint32_t)(upper / 1024));		/* mem_upper, KiB from 1 MiB */
	store_le32(p + 12, 0);					/* boot_device */
	store_le32(p + 16, (uint32_t)h->cmdline);
	store_le32(p + 20, h->initrd_size > 0 ? 1 : 0);
	store_le32(p + 24, (uint32_t)LAYOUT_BOOT_INFO + MODULES_AT);
	store_le32(p + 44, write_map(info + MAP_AT, h->mem));
	store_le32(p + 48, (uint32_t)LAYOUT_BOOT_INFO + MAP_AT);
	store_le32(p + 64, (uint32_t)LAYOUT_BOOT_INFO + LOADER_NAME_AT);

	*entry = (struct boot_entry){
		.mode = BOOT_MODE_PROTECTED32,
		.rip = h->entry,
		.rsp = LAYOUT_BOOT_STACK,
		.rax = LOADER_MAGIC,
		.rbx = LAYOUT_BOOT_INFO + INFO_AT,
	};
}
