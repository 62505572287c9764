#include "tests/support/kernel_files.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/le.h"

#define UPPER_HALF 0xffffffff80000000ull

enum { HEADER_AT = 0x1f1, SETUP_SECTORS = 3, CODE_AT = (SETUP_SECTORS + 1) * 512,
       PAYLOAD_AT = 0x1000 };

static void make_elf64(struct kernel_file *file)
{
	Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_entry = KERNEL_ELF_PADDR, .e_phoff = sizeof(header),
		.e_ehsize = sizeof(header), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
	};
	Elf64_Phdr load = {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = KERNEL_ELF_TEXT_OFFSET,
		.p_vaddr = UPPER_HALF + KERNEL_ELF_PADDR, .p_paddr = KERNEL_ELF_PADDR,
		.p_filesz = KERNEL_ELF_TEXT_SIZE,
		.p_memsz = KERNEL_ELF_TEXT_SIZE + KERNEL_ELF_BSS_SIZE,
	};

	memcpy(file->data, &header, sizeof(header));
	memcpy(file->data + sizeof(header), &load, sizeof(load));
}

static void make_elf32(struct kernel_file *file)
{
	Elf32_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT,
		.e_entry = KERNEL_ELF_PADDR, .e_phoff = sizeof(header),
		.e_ehsize = sizeof(header), .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 1,
	};
	Elf32_Phdr load = {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = KERNEL_ELF_TEXT_OFFSET,
		.p_vaddr = KERNEL_ELF_PADDR, .p_paddr = KERNEL_ELF_PADDR,
		.p_filesz = KERNEL_ELF_TEXT_SIZE,
		.p_memsz = KERNEL_ELF_TEXT_SIZE + KERNEL_ELF_BSS_SIZE,
	};

	memcpy(file->data, &header, sizeof(header));
	memcpy(file->data + sizeof(header), &load, sizeof(load));
}

void kernel_file_elf(struct kernel_file *file, unsigned bits)
{
	memset(file, 0, sizeof(*file));
	if (bits == 64)
		make_elf64(file);
	else
		make_elf32(file);
	memset(file->data + KERNEL_ELF_TEXT_OFFSET, KERNEL_ELF_BYTE, KERNEL_ELF_TEXT_SIZE);
	file->len = KERNEL_ELF_TEXT_OFFSET + KERNEL_ELF_TEXT_SIZE;
}

void kernel_file_add_note(struct kernel_file *file, const char *owner, uint32_t type,
			  const void *desc, size_t desc_len)
{
	bool is_64 = file->data[EI_CLASS] == ELFCLASS64;
	uint8_t *note = file->data + KERNEL_ELF_NOTE_OFFSET;
	size_t name_len = strlen(owner) + 1;
	size_t desc_at = 12 + align_up(name_len, 4);
	size_t size = desc_at + align_up(desc_len, 4);

	store_le32(note, (uint32_t)name_len);
	store_le32(note + 4, (uint32_t)desc_len);
	store_le32(note + 8, type);
	memcpy(note + 12, owner, name_len);
	memcpy(note + desc_at, desc, desc_len);
	if (is_64) {
		Elf64_Phdr p = { .p_type = PT_NOTE, .p_offset = KERNEL_ELF_NOTE_OFFSET,
				 .p_filesz = size };
		memcpy(file->data + sizeof(Elf64_Ehdr) + sizeof(p), &p, sizeof(p));
		kernel_file_poke(file, offsetof(Elf64_Ehdr, e_phnum), 2, 2);
	} else {
		Elf32_Phdr p = { .p_type = PT_NOTE, .p_offset = KERNEL_ELF_NOTE_OFFSET,
				 .p_filesz = (uint32_t)size };
		memcpy(file->data + sizeof(Elf32_Ehdr) + sizeof(p), &p, sizeof(p));
		kernel_file_poke(file, offsetof(Elf32_Ehdr, e_phnum), 2, 2);
	}
}

void kernel_file_poke(struct kernel_file *file, size_t offset, unsigned size, uint64_t value)
{
	store_le(file->data + offset, size, value);
}

bool kernel_file_bzimage(struct kernel_file *file, const struct kernel_file *payload,
			 enum unpack_format format)
{
	struct setup_header header = {
		.setup_sects = SETUP_SECTORS,
		.boot_flag = 0xaa55,
		.jump = (uint16_t)(0xeb | (sizeof(header) - 0x11) << 8),
		.header = 0x53726448,
		.version = 0x020f,
		.kernel_version = 0x200,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.payload_offset = PAYLOAD_AT,
		.pref_address = 0x400000,
		.init_size = 0x400000,
	};
	uint8_t *at = file->data + CODE_AT + PAYLOAD_AT;
	size_t packed;

	memset(file, 0, sizeof(*file));
	packed = kernel_file_pack(format, payload->data, payload->len, at,
				  sizeof(file->data) - CODE_AT - PAYLOAD_AT - 32);
	if (packed == 0)
		return false;
	if (format != UNPACK_GZIP) {
		store_le32(at + packed, (uint32_t)payload->len);
		packed += 4;
	}
	header.payload_length = (uint32_t)packed;
	header.syssize = (uint32_t)(align_up(PAYLOAD_AT + packed, 16) / 16);
	memcpy(file->data + HEADER_AT, &header, sizeof(header));
	memcpy(file->data + 0x400, "6.6.6-test (someone)", 20);
	file->len = CODE_AT + header.syssize * 16ull;
	return true;
}
