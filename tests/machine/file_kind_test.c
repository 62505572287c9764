#include <criterion/criterion.h>
#include <string.h>

#include "vmm/base/le.h"
#include "vmm/machine/file_kind.h"

static uint8_t head[FILE_KIND_HEAD];

/* A file that has 'bytes' at 'offset', and binary noise elsewhere. */
static const char *kind_of(size_t offset, const char *bytes, size_t len)
{
	memset(head, 0x03, sizeof(head));
	memcpy(head + offset, bytes, len);
	return file_kind(head, sizeof(head));
}
#define KIND(offset, bytes) kind_of(offset, bytes, sizeof(bytes) - 1)

static const char *elf(uint8_t data, uint16_t type, uint16_t machine)
{
	uint8_t h[64] = { 0x7f, 'E', 'L', 'F', 2, data, 1 };

	store_le16(h + 16, data == 2 ? __builtin_bswap16(type) : type);
	store_le16(h + 18, data == 2 ? __builtin_bswap16(machine) : machine);
	return file_kind(h, sizeof(h));
}

Test(file_kind, common_mistakes_are_named)
{
	cr_expect_str_eq(KIND(0, "\x1f\x8b\x08"), "a gzip file");
	cr_expect_str_eq(KIND(0, "070701"), "an initrd (cpio archive)");
	cr_expect_str_eq(KIND(0, "QFI\xfb"), "a qcow2 disk image");
	cr_expect_str_eq(KIND(0x8001, "CD001"), "an ISO 9660 (CD) image");
	cr_expect_str_eq(KIND(0, "#!/bin/sh"), "a script");
	cr_expect_str_eq(KIND(0, "MZ"), "an EFI or Windows program (PE)");
	cr_expect_str_eq(KIND(0x38, "ARM\x64"), "a Linux kernel for AArch64");
	cr_expect_str_eq(KIND(0x438, "\x53\xef"), "an ext2/3/4 file system");
	cr_expect_str_eq(KIND(0x1fe, "\x55\xaa"), "a disk image or boot sector");
	cr_expect_str_eq(KIND(0, "!<arch>\ndebian-binary"), "a Debian package");
}

Test(file_kind, elf_files_are_told_by_machine_and_type)
{
	cr_expect_str_eq(elf(1, 2, 183), "an ELF file for AArch64");
	cr_expect_str_eq(elf(1, 2, 243), "an ELF file for RISC-V");
	cr_expect_str_eq(elf(2, 2, 22), "an ELF file for s390");
	cr_expect_str_eq(elf(1, 2, 0x4242), "an ELF file for another machine");
	cr_expect_str_eq(elf(1, 1, 62), "an ELF object file");
	cr_expect_str_eq(elf(1, 2, 62), "an ELF program without kernel entry");
	cr_expect_str_eq(elf(1, 3, 62), "an ELF program or shared library without kernel entry");
	cr_expect_str_eq(elf(1, 4, 62), "an ELF core dump");
}

Test(file_kind, text_and_zeros_are_named)
{
	memset(head, 0, sizeof(head));
	cr_expect_str_eq(file_kind(head, sizeof(head)), "all zeros");
	cr_expect_str_eq(file_kind((const uint8_t *)"hello\tworld\n", 12), "a text file");
	cr_expect_str_eq(file_kind((const uint8_t *)"x", 1), "a text file");
}

Test(file_kind, unknown_bytes_have_no_name)
{
	memset(head, 0x03, sizeof(head));
	for (size_t len = 0; len <= 64; len++)
		cr_expect_null(file_kind(head, len));
	cr_expect_null(file_kind(head, sizeof(head)));
}

Test(file_kind, short_elf_is_damaged)
{
	cr_expect_str_eq(file_kind((const uint8_t *)"\x7f" "ELF", 4), "a damaged ELF file");
}
