#include "vmm/machine/x86/multiboot.h"

#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"

enum {
	HEADER_MAGIC = 0x1badb002,
	FLAG_ALIGN_MODULES = 1 << 0,	/* always done */
	FLAG_MEMORY_INFO = 1 << 1,	/* always given */
	FLAG_VIDEO = 1 << 2,		/* there is no display: the information says so */
	FLAGS_REQUIRED = 0xffff,	/* bits that a loader must understand */
	FLAG_ADDRESSES = 1 << 16,
	HEADER_SIZE = 12,
	HEADER_SIZE_ADDRESSES = 32,
};

/* Multiboot Specification 3.1.3 "The address fields of Multiboot header". */
static int parse_addresses(struct multiboot *mb, const uint8_t *header, uint64_t header_offset,
			   uint64_t file_size)
{
	uint32_t header_addr = load_le32(header + 12);
	uint32_t load_addr = load_le32(header + 16);
	uint32_t load_end = load_le32(header + 20);
	uint32_t bss_end = load_le32(header + 24);
	uint64_t end;

	mb->entry = load_le32(header + 28);
	if (header_addr < load_addr || header_addr - load_addr > header_offset)
		return error_set(ENOEXEC, "multiboot header whose load address lies before the "
				 "file");
	mb->offset = header_offset - (header_addr - load_addr);
	if (load_end == 0)
		mb->size = file_size - mb->offset;
	else if (load_end > load_addr)
		mb->size = load_end - load_addr;
	if (mb->size == 0 || !range_inside(mb->offset, mb->size, file_size))
		return error_set(ENOEXEC, "multiboot header that loads more than the file has");
	end = load_addr + mb->size;
	if (bss_end != 0 && bss_end < end)
		return error_set(ENOEXEC, "multiboot header whose bss ends before the image does");
	mb->range = (struct boot_range){ load_addr, max_u64(end, bss_end) };
	if (mb->entry < mb->range.start || mb->entry >= mb->range.end)
		return error_set(ENOEXEC, "multiboot header whose entry lies outside the image");
	return 0;
}

int multiboot_find(struct multiboot *mb, const uint8_t *head, size_t len, uint64_t file_size)
{
	*mb = (struct multiboot){ 0 };
	len = min_u64(len, MULTIBOOT_SEARCH);
	for (size_t at = 0; range_inside(at, HEADER_SIZE, len); at += 4) {
		uint32_t flags = load_le32(head + at + 4);

		if (load_le32(head + at) != HEADER_MAGIC ||
		    HEADER_MAGIC + flags + load_le32(head + at + 8) != 0)
			continue;
		uint32_t unknown = flags & FLAGS_REQUIRED &
				   ~(uint32_t)(FLAG_ALIGN_MODULES | FLAG_MEMORY_INFO | FLAG_VIDEO);
		if (unknown)
			return error_set(ENOEXEC, "multiboot header that requires unknown "
					 "features %#x", unknown);
		mb->found = true;
		mb->has_addresses = (flags & FLAG_ADDRESSES) != 0;
		if (!mb->has_addresses)
			return 0;
		if (!range_inside(at, HEADER_SIZE_ADDRESSES, len))
			return error_set(ENOEXEC, "multiboot header that is cut short");
		return parse_addresses(mb, head + at, at, file_size);
	}
	return 0;
}

int multiboot_load(const struct multiboot *mb, const struct boot_file *file,
		   const struct guest_memory *mem)
{
	uint64_t size = mb->range.end - mb->range.start;

	if (!boot_place_allows(mem, mb->range.start, size)) {
		char need[24], have[24];

		return error_set(ENOMEM, "image of %s at %#llx does not fit: memory is %s",
				 boot_place_size(need, size), (unsigned long long)mb->range.start,
				 boot_place_size(have, guest_memory_size(mem)));
	}
	return boot_file_read(file, mb->offset, guest_memory_at(mem, mb->range.start, mb->size),
			      mb->size);
}
