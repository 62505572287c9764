#include "vmm/machine/x86/handover.h"

#include "vmm/base/le.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/x86/e820.h"

/* arch-x86/hvm/start_info.h: hvm_start_info, hvm_modlist_entry, hvm_memmap_table_entry. */
enum {
	START_INFO_MAGIC = 0x336ec578,
	START_INFO_VERSION = 1,
	MEMMAP_ENTRY_SIZE = 24,

	/* Where the parts are within LAYOUT_BOOT_INFO. */
	START_INFO_AT = 0,
	MODLIST_AT = 0x100,
	MEMMAP_AT = 0x200,
	INFO_SIZE = MEMMAP_AT + E820_MAX_RANGES * MEMMAP_ENTRY_SIZE,
};

static void write_module(uint8_t *p, const struct handover *h)
{
	store_le64(p, h->initrd);
	store_le64(p + 8, h->initrd_size);
	store_le64(p + 16, 0);			/* no command line of its own */
	store_le64(p + 24, 0);
}

static unsigned write_memmap(uint8_t *p, const struct guest_memory *mem)
{
	struct e820_range map[E820_MAX_RANGES];
	unsigned n = e820_build(map, mem);

	for (unsigned i = 0; i < n; i++, p += MEMMAP_ENTRY_SIZE) {
		store_le64(p, map[i].base);
		store_le64(p + 8, map[i].size);
		store_le32(p + 16, map[i].kind);
		store_le32(p + 20, 0);
	}
	return n;
}

void handover_pvh(const struct handover *h, struct boot_entry *entry)
{
	uint8_t *info = guest_memory_at(h->mem, LAYOUT_BOOT_INFO, INFO_SIZE);
	uint8_t *p = info + START_INFO_AT;
	bool has_module = h->initrd_size > 0;

	store_le32(p, START_INFO_MAGIC);
	store_le32(p + 4, START_INFO_VERSION);
	store_le32(p + 8, 0);				/* flags: not dom0 */
	store_le32(p + 12, has_module ? 1 : 0);
	store_le64(p + 16, has_module ? LAYOUT_BOOT_INFO + MODLIST_AT : 0);
	store_le64(p + 24, h->cmdline);
	store_le64(p + 32, LAYOUT_RSDP);
	store_le64(p + 40, LAYOUT_BOOT_INFO + MEMMAP_AT);
	store_le32(p + 48, write_memmap(info + MEMMAP_AT, h->mem));
	store_le32(p + 52, 0);
	if (has_module)
		write_module(info + MODLIST_AT, h);

	*entry = (struct boot_entry){
		.mode = BOOT_MODE_PROTECTED32,
		.rip = h->entry,
		.rsp = LAYOUT_BOOT_STACK,
		.rbx = LAYOUT_BOOT_INFO + START_INFO_AT,
	};
}
