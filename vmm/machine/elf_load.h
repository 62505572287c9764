/*
 * Putting an ELF kernel's segments at their physical addresses: from a file, or from a stream
 * that comes out of a decompressor (no copy of the whole file exists then).  Memory must read
 * zero before; zeros are not written, so that a kernel's bss touches no page.
 */
#ifndef MACHINE_ELF_LOAD_H
#define MACHINE_ELF_LOAD_H

#include "vmm/base/util.h"
#include "vmm/machine/boot_place.h"
#include "vmm/machine/elf.h"

/*
 * Are all segments in free RAM?  'range' gets the addresses from the lowest to the highest byte.
 *
 * Returns 0; -ENOMEM with an error chain.
 */
MUST_USE int elf_place(const struct elf *elf, const struct guest_memory *mem,
		       struct boot_range *range);

/* Place and load.  Returns 0; -ENOMEM or -errno with an error chain. */
MUST_USE int elf_load(const struct elf *elf, const struct boot_file *file,
		      const struct guest_memory *mem, struct boot_range *range);

/* A 64-bit x86 ELF file that arrives in pieces. */
struct elf_stream {
	const struct guest_memory *mem;		/* keeps */
	uint64_t size;				/* of the whole file, as promised */
	uint64_t offset;			/* bytes seen */
	size_t head_len;
	uint8_t head[4096];			/* header and table must lie in here */
	bool placed;				/* 'elf' and 'range' are valid */
	struct elf elf;
	struct boot_range range;
};

void elf_stream_init(struct elf_stream *stream, const struct guest_memory *mem, uint64_t size);

/*
 * The next 'len' bytes of the file; 'stream' as a void pointer, to serve as a callback.
 *
 * Returns 0; -ENOEXEC (no kernel), -ENOMEM (does not fit), with an error chain.  Nothing has been
 * written to memory when the file is refused.
 */
MUST_USE int elf_stream_write(void *stream, const uint8_t *data, size_t len);

/* The file is complete.  Returns 0; -ENOEXEC with an error chain when it was too short. */
MUST_USE int elf_stream_finish(struct elf_stream *stream);

#endif
