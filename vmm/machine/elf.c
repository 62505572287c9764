#include "vmm/machine/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"

enum {
	MAX_NOTE_BYTES = 64 * 1024,	/* a Linux kernel has 512 */
	NOTE_HEADER = 12,
	NOTE_XEN_PHYS32_ENTRY = 18,	/* Xen public/elfnote.h XEN_ELFNOTE_PHYS32_ENTRY */
};

bool elf_is_elf(const uint8_t *head, size_t len)
{
	return len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

int elf_parse_header(struct elf *elf, const uint8_t *head, size_t len)
{
	size_t min_entry;

	*elf = (struct elf){ 0 };
	if (len < ELF_HEADER_MIN || !elf_is_elf(head, len))
		return error_set(ENOEXEC, "no ELF header");
	if (head[EI_DATA] != ELFDATA2LSB || head[EI_VERSION] != EV_CURRENT)
		return error_set(ENOEXEC, "ELF file that is not little-endian version 1");
	elf->type = load_le16(head + 16);
	elf->machine = load_le16(head + 18);
	if (head[EI_CLASS] == ELFCLASS64) {
		elf->bits = 64;
		elf->entry = load_le64(head + offsetof(Elf64_Ehdr, e_entry));
		elf->table_offset = load_le64(head + offsetof(Elf64_Ehdr, e_phoff));
		elf->table_entry_size = load_le16(head + offsetof(Elf64_Ehdr, e_phentsize));
		elf->table_entries = load_le16(head + offsetof(Elf64_Ehdr, e_phnum));
		min_entry = sizeof(Elf64_Phdr);
	} else if (head[EI_CLASS] == ELFCLASS32) {
		elf->bits = 32;
		elf->entry = load_le32(head + offsetof(Elf32_Ehdr, e_entry));
		elf->table_offset = load_le32(head + offsetof(Elf32_Ehdr, e_phoff));
		elf->table_entry_size = load_le16(head + offsetof(Elf32_Ehdr, e_phentsize));
		elf->table_entries = load_le16(head + offsetof(Elf32_Ehdr, e_phnum));
		min_entry = sizeof(Elf32_Phdr);
	} else {
		return error_set(ENOEXEC, "ELF file of unknown class %u", head[EI_CLASS]);
	}
	if (elf->table_entries == 0)
		return error_set(ENOEXEC, "ELF file without program headers");
	if (elf->table_entries > ELF_MAX_TABLE)
		return error_set(ENOEXEC, "ELF file with %u program headers; at most %u are "
				 "expected", elf->table_entries, ELF_MAX_TABLE);
	if (elf->table_entry_size < min_entry)
		return error_set(ENOEXEC, "ELF program headers of %u bytes; %zu are needed",
				 elf->table_entry_size, min_entry);
	return 0;
}

size_t elf_table_size(const struct elf *elf)
{
	return (size_t)elf->table_entries * elf->table_entry_size;
}

/* One program header of either class, without any judgement. */
static uint32_t load_segment(const struct elf *elf, const uint8_t *p, struct elf_segment *s)
{
	if (elf->bits == 64) {
		s->offset = load_le64(p + offsetof(Elf64_Phdr, p_offset));
		s->vaddr = load_le64(p + offsetof(Elf64_Phdr, p_vaddr));
		s->paddr = load_le64(p + offsetof(Elf64_Phdr, p_paddr));
		s->filesz = load_le64(p + offsetof(Elf64_Phdr, p_filesz));
		s->memsz = load_le64(p + offsetof(Elf64_Phdr, p_memsz));
	} else {
		s->offset = load_le32(p + offsetof(Elf32_Phdr, p_offset));
		s->vaddr = load_le32(p + offsetof(Elf32_Phdr, p_vaddr));
		s->paddr = load_le32(p + offsetof(Elf32_Phdr, p_paddr));
		s->filesz = load_le32(p + offsetof(Elf32_Phdr, p_filesz));
		s->memsz = load_le32(p + offsetof(Elf32_Phdr, p_memsz));
	}
	return load_le32(p);	/* p_type comes first in both */
}

static int judge_segment(const struct elf_segment *s, unsigned index, uint64_t file_size)
{
	if (s->filesz > s->memsz)
		return error_set(ENOEXEC, "ELF segment %u is larger in the file than in memory",
				 index);
	if (!range_inside(s->offset, s->filesz, file_size))
		return error_set(ENOEXEC, "ELF segment %u lies behind the end of the file: is it "
				 "cut short?", index);
	if (s->memsz > UINT64_MAX - s->paddr || s->memsz > UINT64_MAX - s->vaddr)
		return error_set(ENOEXEC, "ELF segment %u wraps around the address space", index);
	return 0;
}

int elf_parse_table(struct elf *elf, const uint8_t *table, uint64_t file_size)
{
	elf->n_segments = 0;
	elf->n_notes = 0;
	for (unsigned i = 0; i < elf->table_entries; i++) {
		struct elf_segment s;
		uint32_t type = load_segment(elf, table + (size_t)i * elf->table_entry_size, &s);

		if (type == PT_INTERP)
			elf->has_interpreter = true;
		if (type == PT_NOTE && elf->n_notes < ELF_MAX_NOTES &&
		    range_inside(s.offset, s.filesz, file_size)) {
			elf->note[elf->n_notes].offset = s.offset;
			elf->note[elf->n_notes++].size = s.filesz;
		}
		if (type != PT_LOAD || s.memsz == 0)
			continue;
		int r = judge_segment(&s, i, file_size);
		if (r < 0)
			return r;
		elf->segment[elf->n_segments++] = s;
	}
	if (elf->n_segments == 0)
		return error_set(ENOEXEC, "ELF file with nothing to load");
	return 0;
}

int elf_read(struct elf *elf, const struct boot_file *file)
{
	uint8_t head[ELF_HEADER_MIN];
	uint8_t *table;
	int r;

	if (file->size < sizeof(head))
		return error_set(ENOEXEC, "no ELF header");
	r = boot_file_read(file, 0, head, sizeof(head));
	if (r < 0)
		return r;
	r = elf_parse_header(elf, head, sizeof(head));
	if (r < 0)
		return r;
	if (!range_inside(elf->table_offset, elf_table_size(elf), file->size))
		return error_set(ENOEXEC, "ELF program headers lie behind the end of the file");
	table = malloc(elf_table_size(elf));
	if (!table)
		return error_set(ENOMEM, "read the ELF program headers");
	r = boot_file_read(file, elf->table_offset, table, elf_table_size(elf));
	if (r == 0)
		r = elf_parse_table(elf, table, file->size);
	free(table);
	return r;
}

static bool owner_is(const uint8_t *name, uint32_t len, const char *owner)
{
	return len == strlen(owner) + 1 && memcmp(name, owner, len) == 0;
}

static void judge_note(const uint8_t *name, uint32_t name_len, uint32_t type, const uint8_t *desc,
		       uint32_t desc_len, struct elf_notes *notes)
{
	if (owner_is(name, name_len, "Linux")) {
		notes->is_linux_kernel = true;
	} else if (owner_is(name, name_len, "Go") ||
		   (owner_is(name, name_len, "GNU") && type == NT_GNU_ABI_TAG)) {
		notes->is_user_program = true;
	} else if (owner_is(name, name_len, "Xen") && type == NOTE_XEN_PHYS32_ENTRY &&
		   (desc_len == 4 || desc_len == 8)) {
		notes->has_pvh = true;
		notes->pvh_entry = load_le(desc, desc_len);
	}
}

/* Notes are aligned to 4 bytes, in 64-bit files too: that is what every toolchain writes. */
static void parse_notes(const uint8_t *p, size_t len, struct elf_notes *notes)
{
	while (len >= NOTE_HEADER) {
		uint32_t name_len = load_le32(p);
		uint32_t desc_len = load_le32(p + 4);
		uint32_t type = load_le32(p + 8);
		uint64_t desc_at = NOTE_HEADER + align_up(name_len, 4);
		uint64_t next = desc_at + align_up(desc_len, 4);

		if (!range_inside(desc_at, desc_len, len))
			return;
		judge_note(p + NOTE_HEADER, name_len, type, p + desc_at, desc_len, notes);
		if (next >= len)
			return;
		p += next;
		len -= next;
	}
}

int elf_read_notes(const struct elf *elf, const struct boot_file *file, struct elf_notes *notes)
{
	*notes = (struct elf_notes){ 0 };
	for (unsigned i = 0; i < elf->n_notes; i++) {
		size_t len = min_u64(elf->note[i].size, MAX_NOTE_BYTES);
		uint8_t *buf;
		int r;

		if (len == 0)
			continue;
		buf = malloc(len);
		if (!buf)
			return error_set(ENOMEM, "read the ELF notes");
		r = boot_file_read(file, elf->note[i].offset, buf, len);
		if (r == 0)
			parse_notes(buf, len, notes);
		free(buf);
		if (r < 0)
			return r;
	}
	return 0;
}

bool elf_holds(const struct elf *elf, uint64_t paddr)
{
	for (unsigned i = 0; i < elf->n_segments; i++) {
		const struct elf_segment *s = &elf->segment[i];

		if (paddr >= s->paddr && paddr - s->paddr < s->memsz)
			return true;
	}
	return false;
}

int elf_physical_entry(const struct elf *elf, uint64_t *out)
{
	for (unsigned i = 0; i < elf->n_segments; i++) {
		const struct elf_segment *s = &elf->segment[i];

		if (elf->entry >= s->vaddr && elf->entry - s->vaddr < s->memsz) {
			*out = s->paddr + (elf->entry - s->vaddr);
			return 0;
		}
	}
	if (!elf_holds(elf, elf->entry))
		return error_set(ENOEXEC, "ELF entry point %#llx lies in no segment",
				 (unsigned long long)elf->entry);
	*out = elf->entry;
	return 0;
}
