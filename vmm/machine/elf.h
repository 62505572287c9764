/*
 * ELF files as a loader sees them: the program headers of a 32-bit or 64-bit little-endian file,
 * and the notes that tell how a kernel wants to be entered.  Every field is taken as hostile;
 * what is in a struct elf has been judged.  Putting the segments into memory is elf_load.h.
 */
#ifndef MACHINE_ELF_H
#define MACHINE_ELF_H

#include "vmm/base/util.h"
#include "vmm/machine/boot_file.h"

enum {
	ELF_HEADER_MIN = 64,		/* bytes that elf_parse_header wants to see */
	ELF_MAX_TABLE = 64,		/* program headers */
	ELF_MAX_NOTES = 8,		/* PT_NOTE segments */
};

/* A PT_LOAD: 'filesz' bytes at 'offset' of the file go to 'paddr', zeros follow up to 'memsz'. */
struct elf_segment {
	uint64_t offset, vaddr, paddr, filesz, memsz;
};

struct elf {
	unsigned bits;				/* 32 or 64 */
	unsigned type, machine;			/* ET_*, EM_* */
	uint64_t entry;				/* as the file has it */
	uint64_t table_offset;
	unsigned table_entries, table_entry_size;
	unsigned n_segments;
	struct elf_segment segment[ELF_MAX_TABLE];	/* memsz > 0, filesz <= memsz, no wrap */
	unsigned n_notes;
	struct { uint64_t offset, size; } note[ELF_MAX_NOTES];
	bool has_interpreter;			/* PT_INTERP: needs a dynamic linker */
};

/* What the notes say. */
struct elf_notes {
	bool has_pvh;
	uint64_t pvh_entry;		/* XEN_ELFNOTE_PHYS32_ENTRY, physical */
	bool is_linux_kernel;		/* has notes of owner "Linux" */
	bool is_user_program;		/* GNU ABI tag, or a Go program */
};

/* Does the file begin like ELF? */
bool elf_is_elf(const uint8_t *head, size_t len);

/*
 * Judge the file header in the first 'len' bytes.  Fills all but segments and notes.
 *
 * Returns 0; -ENOEXEC with an error chain.
 */
MUST_USE int elf_parse_header(struct elf *elf, const uint8_t *head, size_t len);

/* The size of the program header table in bytes; at most ELF_MAX_TABLE * 64 KiB. */
size_t elf_table_size(const struct elf *elf);

/*
 * Judge the program header table, 'table' being elf_table_size() bytes from table_offset.
 * 'file_size' bounds what segments may refer to.
 *
 * Returns 0; -ENOEXEC with an error chain.
 */
MUST_USE int elf_parse_table(struct elf *elf, const uint8_t *table, uint64_t file_size);

/* Both of the above, from a file.  Returns 0; -ENOEXEC or -errno with an error chain. */
MUST_USE int elf_read(struct elf *elf, const struct boot_file *file);

/* Read the notes; damaged ones are passed over.  Returns 0; -errno with an error chain. */
MUST_USE int elf_read_notes(const struct elf *elf, const struct boot_file *file,
			    struct elf_notes *notes);

/*
 * The physical address of the entry point: some kernels name it by its virtual address, some
 * (Linux) by its physical one.
 *
 * Returns 0; -ENOEXEC with an error chain when it lies in no segment.
 */
MUST_USE int elf_physical_entry(const struct elf *elf, uint64_t *out);

/* Does the physical address lie in a segment? */
bool elf_holds(const struct elf *elf, uint64_t paddr);

#endif
