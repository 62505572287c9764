#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "tests/support/kernel_files.h"
#include "tests/support/memory_file.h"
#include "vmm/base/error.h"
#include "vmm/machine/elf.h"

static struct kernel_file image;
static struct elf elf;

/* Read 'image' as a file; keeps the notes when they are wanted. */
static int read_image(struct elf_notes *notes)
{
	struct memory_file mf;
	struct boot_file file;
	int r;

	memory_file_create(&mf, image.data, image.len);
	cr_assert_eq(boot_file_open(&file, "kernel", mf.path), 0);
	r = elf_read(&elf, &file);
	if (r == 0 && notes)
		r = elf_read_notes(&elf, &file, notes);
	boot_file_close(&file);
	memory_file_destroy(&mf);
	return r;
}

enum { PHDR64 = sizeof(Elf64_Ehdr) };
#define P64(field) (PHDR64 + offsetof(Elf64_Phdr, field))

Test(elf, both_classes_are_read)
{
	uint64_t entry;

	kernel_file_elf(&image, 64);
	cr_assert_eq(read_image(NULL), 0, "%s", error_text());
	cr_expect_eq(elf.bits, 64);
	cr_expect_eq(elf.n_segments, 1);
	cr_expect_eq(elf.segment[0].paddr, KERNEL_ELF_PADDR);
	cr_expect_eq(elf.segment[0].memsz, KERNEL_ELF_TEXT_SIZE + KERNEL_ELF_BSS_SIZE);
	cr_expect_eq(elf_physical_entry(&elf, &entry), 0);
	cr_expect_eq(entry, KERNEL_ELF_PADDR);

	kernel_file_elf(&image, 32);
	cr_assert_eq(read_image(NULL), 0, "%s", error_text());
	cr_expect_eq(elf.bits, 32);
	cr_expect_eq(elf.segment[0].filesz, KERNEL_ELF_TEXT_SIZE);
	cr_expect_eq(elf_physical_entry(&elf, &entry), 0);
	cr_expect_eq(entry, KERNEL_ELF_PADDR);
}

Test(elf, a_virtual_entry_is_translated)
{
	uint64_t entry;

	kernel_file_elf(&image, 64);
	kernel_file_poke(&image, offsetof(Elf64_Ehdr, e_entry), 8,
			 0xffffffff80000000 + KERNEL_ELF_PADDR + 0x10);
	cr_assert_eq(read_image(NULL), 0);
	cr_expect_eq(elf_physical_entry(&elf, &entry), 0);
	cr_expect_eq(entry, KERNEL_ELF_PADDR + 0x10);
}

Test(elf, an_entry_outside_is_refused)
{
	uint64_t entry;

	kernel_file_elf(&image, 64);
	kernel_file_poke(&image, offsetof(Elf64_Ehdr, e_entry), 8, 0x1234);
	cr_assert_eq(read_image(NULL), 0);
	cr_expect_eq(elf_physical_entry(&elf, &entry), -ENOEXEC);
}

Test(elf, hostile_fields_are_refused)
{
	static const struct {
		size_t offset;
		unsigned size;
		uint64_t value;
		const char *why;
	} bad[] = {
		{ offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX, "table far behind the end" },
		{ offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX - 20, "table wraps" },
		{ offsetof(Elf64_Ehdr, e_phoff), 8,
		  KERNEL_ELF_TEXT_OFFSET + KERNEL_ELF_TEXT_SIZE - 8, "table cut off" },
		{ offsetof(Elf64_Ehdr, e_phnum), 2, 0, "no table" },
		{ offsetof(Elf64_Ehdr, e_phnum), 2, 0xffff, "large table" },
		{ offsetof(Elf64_Ehdr, e_phentsize), 2, 8, "small entries" },
		{ offsetof(Elf64_Ehdr, e_phentsize), 2, 0xffff, "large entries" },
		{ EI_CLASS, 1, 3, "class" },
		{ EI_DATA, 1, ELFDATA2MSB, "byte order" },
		{ EI_VERSION, 1, 7, "version" },
		{ P64(p_offset), 8, UINT64_MAX, "segment behind the end" },
		{ P64(p_filesz), 8, UINT64_MAX, "filesz" },
		{ P64(p_filesz), 8, KERNEL_ELF_TEXT_SIZE + 1, "segment cut off" },
		{ P64(p_memsz), 8, KERNEL_ELF_TEXT_SIZE - 1, "memsz < filesz" },
		{ P64(p_paddr), 8, UINT64_MAX, "paddr wraps" },
		{ P64(p_vaddr), 8, UINT64_MAX - 8, "vaddr wraps" },
		{ P64(p_type), 4, PT_DYNAMIC, "nothing to load" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		kernel_file_elf(&image, 64);
		kernel_file_poke(&image, bad[i].offset, bad[i].size, bad[i].value);
		cr_expect_eq(read_image(NULL), -ENOEXEC, "%s", bad[i].why);
	}
}

Test(elf, every_cut_is_refused)
{
	kernel_file_elf(&image, 64);
	for (size_t len = 1; len < image.len; len += 97) {
		struct kernel_file whole = image;

		image.len = len;
		cr_expect_eq(read_image(NULL), -ENOEXEC, "%zu", len);
		image = whole;
	}
}

Test(elf, notes_tell_pvh_linux_and_user_programs)
{
	static const uint8_t entry32[4] = { 0x10, 0, 0x20, 0 };
	static const uint8_t entry64[8] = { 0x20, 0, 0x20, 0 };
	struct elf_notes notes;

	kernel_file_elf(&image, 32);
	kernel_file_add_note(&image, "Xen", 18, entry32, sizeof(entry32));
	cr_assert_eq(read_image(&notes), 0);
	cr_expect(notes.has_pvh);
	cr_expect_eq(notes.pvh_entry, 0x200010);

	kernel_file_elf(&image, 64);
	kernel_file_add_note(&image, "Xen", 18, entry64, sizeof(entry64));
	cr_assert_eq(read_image(&notes), 0);
	cr_expect_eq(notes.pvh_entry, 0x200020);

	kernel_file_elf(&image, 64);
	kernel_file_add_note(&image, "Linux", 0x100, entry64, sizeof(entry64));
	cr_assert_eq(read_image(&notes), 0);
	cr_expect(notes.is_linux_kernel && !notes.has_pvh && !notes.is_user_program);

	kernel_file_elf(&image, 64);
	kernel_file_add_note(&image, "GNU", NT_GNU_ABI_TAG, entry64, sizeof(entry64));
	cr_assert_eq(read_image(&notes), 0);
	cr_expect(notes.is_user_program);
}

Test(elf, hostile_notes_are_passed_over)
{
	static const uint8_t desc[8] = { 0 };
	struct elf_notes notes;
	static const struct { unsigned at; uint32_t value; } bad[] = {
		{ 0, UINT32_MAX }, { 0, UINT32_MAX - 3 }, { 4, UINT32_MAX }, { 4, 9 }, { 4, 3 },
		{ 0, 3 }, { 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		kernel_file_elf(&image, 64);
		kernel_file_add_note(&image, "Xen", 18, desc, sizeof(desc));
		kernel_file_poke(&image, KERNEL_ELF_NOTE_OFFSET + bad[i].at, 4, bad[i].value);
		cr_expect_eq(read_image(&notes), 0);
		cr_expect(!notes.has_pvh, "%zu", i);
	}
}
