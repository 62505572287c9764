#include "vmm/machine/x86/bzimage.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"
#include "vmm/base/text.h"
#include "vmm/machine/elf_load.h"

/* Offsets in the file and constants of boot.rst, "The Real-Mode Kernel Header". */
enum {
	HEADER_START = 0x1f1,
	BOOT_FLAG_AT = 0x1fe,
	HEADER_LENGTH_AT = 0x201,
	MAGIC_AT = 0x202,
	MAGIC = 0x53726448,		/* "HdrS" */
	VERSION_64BIT_ENTRY = 0x020c,
	SECTOR = 512,
	DEFAULT_SETUP_SECTORS = 4,
	ENTRY_64 = 0x200,
	VERSION_STRING_BASE = 0x200,
};

bool bzimage_is_bzimage(const uint8_t *head, size_t len)
{
	return len >= MAGIC_AT + 4 && load_le16(head + BOOT_FLAG_AT) == 0xaa55 &&
	       load_le32(head + MAGIC_AT) == MAGIC;
}

/* The release is the first word of a string in the setup code; decoration, so never an error. */
static void read_release(struct bzimage *bz, const struct boot_file *file)
{
	uint64_t at = VERSION_STRING_BASE + (uint64_t)bz->header.kernel_version;
	size_t n = 0;

	if (bz->header.kernel_version == 0 ||
	    !range_inside(at, sizeof(bz->release), bz->code_offset))
		return;
	if (boot_file_read(file, at, bz->release, sizeof(bz->release)) < 0)
		error_clear();
	while (n < sizeof(bz->release) - 1 && bz->release[n] > ' ' && bz->release[n] < 0x7f)
		n++;
	bz->release[n] = '\0';
}

/* A payload that cannot be used is no error: the kernel then unpacks itself. */
static int find_payload(struct bzimage *bz, const struct boot_file *file)
{
	uint64_t start = bz->header.payload_offset;
	uint64_t size = bz->header.payload_length;
	uint8_t magic[UNPACK_MAGIC_SIZE], tail[4];
	int r;

	if (size < sizeof(magic) + sizeof(tail) || !range_inside(start, size, bz->code_size))
		return 0;
	start += bz->code_offset;
	r = boot_file_read(file, start, magic, sizeof(magic));
	if (r == 0)
		r = boot_file_read(file, start + size - sizeof(tail), tail, sizeof(tail));
	if (r < 0)
		return r;
	bz->payload = unpack_detect(magic);
	bz->payload_offset = start;
	bz->payload_output_size = load_le32(tail);
	/* For gzip the size is part of the format; the kernel's build appends it to all others. */
	bz->payload_size = bz->payload == UNPACK_GZIP ? size : size - sizeof(tail);
	return 0;
}

static int judge(const struct bzimage *bz, const struct boot_file *file)
{
	const struct setup_header *h = &bz->header;

	if (!(h->loadflags & LOADED_HIGH))
		return error_set(ENOEXEC, "'%s' is a zImage, which loads low; a bzImage is needed",
				 file->path);
	if (h->version < VERSION_64BIT_ENTRY)
		return error_set(ENOEXEC, "'%s' speaks boot protocol %u.%02u; 2.12 (Linux 3.8) "
				 "with a 64-bit entry is needed", file->path, h->version >> 8,
				 h->version & 0xffu);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return error_set(ENOEXEC, "'%s' is a 32-bit Linux kernel; an x86-64 one is needed",
				 file->path);
	/* syssize counts 16-byte units, so the file may end up to 15 bytes before it. */
	if (bz->code_offset + ENTRY_64 >= file->size ||
	    h->syssize * 16ull > file->size - bz->code_offset + 15)
		return error_set(ENOEXEC, "'%s' is a bzImage that is cut short: %llu bytes of %llu",
				 file->path, (unsigned long long)file->size,
				 (unsigned long long)(bz->code_offset + h->syssize * 16ull));
	if (h->syssize * 16ull <= ENTRY_64)
		return error_set(ENOEXEC, "'%s' is a bzImage without code", file->path);
	return 0;
}

int bzimage_parse(struct bzimage *bz, const struct boot_file *file, const uint8_t *head, size_t len)
{
	size_t header_end;
	unsigned sectors;
	int r;

	*bz = (struct bzimage){ 0 };
	if (len < BZIMAGE_HEAD)
		return error_set(ENOEXEC, "'%s' is a bzImage that is cut short: %llu bytes",
				 file->path, (unsigned long long)file->size);
	/* The jump instruction at 0x200 tells where the header ends. */
	header_end = min_u64((size_t)MAGIC_AT + head[HEADER_LENGTH_AT],
			     HEADER_START + sizeof(bz->header));
	memcpy(&bz->header, head + HEADER_START, header_end - HEADER_START);
	sectors = bz->header.setup_sects ? bz->header.setup_sects : DEFAULT_SETUP_SECTORS;
	bz->code_offset = (sectors + 1ull) * SECTOR;
	r = judge(bz, file);
	if (r < 0)
		return r;
	bz->code_size = min_u64(bz->header.syssize * 16ull, file->size - bz->code_offset);
	bz->init_size = max_u64(bz->header.init_size, bz->code_size);
	read_release(bz, file);
	return find_payload(bz, file);
}

int bzimage_unpack(const struct bzimage *bz, const struct boot_file *file,
		   const struct guest_memory *mem, struct bzimage_loaded *out)
{
	struct elf_stream stream;
	struct unpack_request request = {
		.format = bz->payload,
		.file = file,
		.offset = bz->payload_offset,
		.size = bz->payload_size,
		.output_size = bz->payload_output_size,
		.write = elf_stream_write,
		.arg = &stream,
	};
	int r;

	/* The kernel unpacks itself into init_size bytes of RAM: no honest payload is larger. */
	if (request.output_size > min_u64(bz->init_size, guest_memory_size(mem)))
		return error_set(ENOMEM, "its payload unpacks to %llu bytes, more than there is "
				 "room for", (unsigned long long)request.output_size);
	elf_stream_init(&stream, mem, request.output_size);
	r = kernel_unpack(&request);
	if (r == 0)
		r = elf_stream_finish(&stream);
	if (r == 0)
		r = elf_physical_entry(&stream.elf, &out->entry);
	if (r == 0)
		out->range = stream.range;
	return r;
}

int bzimage_load(const struct bzimage *bz, const struct boot_file *file,
		 const struct guest_memory *mem, struct bzimage_loaded *out)
{
	/*
	 * Even a relocatable kernel does not run below its preferred address: its decompressor
	 * moves itself up there, and trusts that init_size bytes of RAM follow.
	 */
	gpa_t base = bz->header.pref_address;

	if (!boot_place_allows(mem, base, bz->init_size)) {
		char need[24], at[24], have[24];
		uint64_t end = align_up(min_u64(base, GIB(1024)) + bz->init_size, MIB(1));
		int r = error_set(ENOMEM, "kernel '%s' does not fit: it needs %s at %#llx to "
				  "unpack itself; memory is %s", file->path,
				  boot_place_size(need, bz->init_size), (unsigned long long)base,
				  boot_place_size(have, guest_memory_size(mem)));

		error_hint("give the guest at least %s (vm.memory, --memory)",
			   text_format_size(at, end));
		return r;
	}
	out->range = (struct boot_range){ base, base + bz->init_size };
	out->entry = base + ENTRY_64;
	return boot_file_read(file, bz->code_offset, guest_memory_at(mem, base, bz->code_size),
			      bz->code_size);
}
