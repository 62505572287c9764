/*
 * Kernels that a test makes itself: ELF files, bzImages with a payload in any format, as bytes in a
 * buffer.  All are tiny, and their code is never run.
 */
#ifndef TESTS_KERNEL_FILES_H
#define TESTS_KERNEL_FILES_H

#include "vmm/base/util.h"
#include "vmm/machine/kernel_unpack.h"

/* What one of the functions below made. */
struct kernel_file {
	uint8_t data[96 * 1024];
	size_t len;
};

enum {
	KERNEL_ELF_PADDR = 0x200000,
	KERNEL_ELF_TEXT_SIZE = 0x1800,	/* bytes in the file, all KERNEL_ELF_BYTE */
	KERNEL_ELF_BSS_SIZE = 0x3000,	/* zeros behind them */
	KERNEL_ELF_TEXT_OFFSET = 0x1000,
	KERNEL_ELF_BYTE = 0x90,
	KERNEL_ELF_NOTE_OFFSET = 0x800,
};

/*
 * An ET_EXEC file for x86 of 'bits' 32 or 64 with one segment at KERNEL_ELF_PADDR, entered
 * there.  64-bit ones are linked to the upper half, as Linux is.
 */
void kernel_file_elf(struct kernel_file *file, unsigned bits);

/* Give such a file a PT_NOTE with one note. */
void kernel_file_add_note(struct kernel_file *file, const char *owner, uint32_t type,
			  const void *desc, size_t desc_len);

/* Change 'size' bytes of the file, little-endian. */
void kernel_file_poke(struct kernel_file *file, size_t offset, unsigned size, uint64_t value);

/*
 * A bzImage of protocol 2.15 around 'payload', packed in 'format'.  False: no packer in this
 * build.
 */
bool kernel_file_bzimage(struct kernel_file *file, const struct kernel_file *payload,
			 enum unpack_format format);

/*
 * Pack 'len' bytes the way a kernel's build does (without the size at the end).  Returns the packed
 * size, 0 if this build has no library for the format.
 */
size_t kernel_file_pack(enum unpack_format format, const uint8_t *data, size_t len, uint8_t *out,
			size_t size);

#endif
