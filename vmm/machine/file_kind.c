#include "vmm/machine/file_kind.h"

#include <elf.h>
#include <string.h>

#include "vmm/base/le.h"
#include "vmm/machine/elf.h"

struct magic {
	uint16_t offset;
	uint8_t len;
	const char *bytes;
	const char *kind;
};

/* The first that matches wins: special cases stand above what they are special cases of. */
static const struct magic magics[] = {
	{ 0, 2, "#!", "a script" },
	{ 0, 3, "\x1f\x8b\x08", "a gzip file" },
	{ 0, 6, "\xfd" "7zXZ\0", "an xz file" },
	{ 0, 3, "BZh", "a bzip2 file" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd file" },
	{ 0, 4, "\x02\x21\x4c\x18", "an lz4 file" },
	{ 0, 4, "\x04\x22\x4d\x18", "an lz4 file" },
	{ 0, 3, "\x5d\0\0", "an lzma file" },
	{ 0, 4, "PK\x03\x04", "a zip archive" },
	{ 0, 6, "070701", "an initrd (cpio archive)" },
	{ 0, 6, "070702", "an initrd (cpio archive)" },
	{ 0, 6, "070707", "a cpio archive" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image" },
	{ 0, 4, "KDMV", "a VMDK disk image" },
	{ 0, 8, "vhdxfile", "a VHDX disk image" },
	{ 0, 8, "conectix", "a VHD disk image" },
	{ 0x40, 4, "\x7f\x10\xda\xbe", "a VDI disk image" },
	{ 0, 21, "!<arch>\ndebian-binary", "a Debian package" },
	{ 0, 8, "!<arch>\n", "a static library" },
	{ 0, 4, "\xed\xab\xee\xdb", "an RPM package" },
	{ 0, 4, "hsqs", "a squashfs file system" },
	{ 0, 4, "XFSB", "an XFS file system" },
	{ 0x438, 2, "\x53\xef", "an ext2/3/4 file system" },
	{ 0x8001, 5, "CD001", "an ISO 9660 (CD) image" },
	{ 0x101, 5, "ustar", "a tar archive" },
	{ 0x38, 4, "ARM\x64", "a Linux kernel for AArch64" },
	{ 0x38, 4, "RSC\x05", "a Linux kernel for RISC-V" },
	{ 0, 4, "\x27\x05\x19\x56", "a U-Boot image" },
	{ 0, 4, "\xd0\x0d\xfe\xed", "a device tree" },
	{ 0, 2, "MZ", "an EFI or Windows program (PE)" },
	{ 0x200, 8, "EFI PART", "a disk image (GPT)" },
	{ 0x1fe, 2, "\x55\xaa", "a disk image or boot sector" },
};

static const struct {
	uint16_t machine;
	const char *kind;
} machines[] = {
	{ EM_386, "an ELF file for 32-bit x86" },
	{ EM_X86_64, "an ELF file for x86-64" },
	{ EM_AARCH64, "an ELF file for AArch64" },
	{ EM_ARM, "an ELF file for 32-bit Arm" },
	{ EM_RISCV, "an ELF file for RISC-V" },
	{ EM_PPC, "an ELF file for PowerPC" },
	{ EM_PPC64, "an ELF file for 64-bit PowerPC" },
	{ EM_S390, "an ELF file for s390" },
	{ EM_MIPS, "an ELF file for MIPS" },
	{ EM_SPARCV9, "an ELF file for SPARC" },
	{ 258, "an ELF file for LoongArch" },	/* EM_LOONGARCH, newer than some headers */
	{ EM_BPF, "a BPF program" },
};

static const char *elf_kind(const uint8_t *head, size_t len)
{
	uint16_t type, machine;

	if (len < ELF_HEADER_MIN)
		return "a damaged ELF file";
	type = load_le16(head + 16);
	machine = load_le16(head + 18);
	if (head[EI_DATA] == ELFDATA2MSB) {
		type = (uint16_t)(type << 8 | type >> 8);
		machine = (uint16_t)(machine << 8 | machine >> 8);
	}
	for (size_t i = 0; machine != EM_X86_64 && i < ARRAY_SIZE(machines); i++)
		if (machines[i].machine == machine)
			return machines[i].kind;
	if (machine != EM_X86_64)
		return "an ELF file for another machine";
	switch (type) {
	case ET_REL: return "an ELF object file";
	case ET_DYN: return "an ELF program or shared library without kernel entry";
	case ET_CORE: return "an ELF core dump";
	default: return "an ELF program without kernel entry";
	}
}

static bool is_text(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((p[i] < 0x20 && !strchr("\t\n\v\f\r\x1b", p[i])) || p[i] == 0x7f || p[i] == 0)
			return false;
	return len > 0;
}

static bool is_zeros(const uint8_t *p, size_t len)
{
	return len > 0 && p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

const char *file_kind(const uint8_t *head, size_t len)
{
	if (elf_is_elf(head, len))
		return elf_kind(head, len);
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (range_inside(m->offset, m->len, len) &&
		    memcmp(head + m->offset, m->bytes, m->len) == 0)
			return m->kind;
	}
	if (is_text(head, len))
		return "a text file";
	if (is_zeros(head, len))
		return "all zeros";
	return NULL;
}
