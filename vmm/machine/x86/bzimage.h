/*
 * The bzImage: its setup header, judged, and two ways into memory.  Linux:
 * Documentation/arch/x86/boot.rst; a kernel with boot protocol 2.12 and a 64-bit entry is needed.
 */
#ifndef MACHINE_X86_BZIMAGE_H
#define MACHINE_X86_BZIMAGE_H

#include <asm/bootparam.h>

#include "vmm/base/util.h"
#include "vmm/machine/boot_file.h"
#include "vmm/machine/boot_place.h"
#include "vmm/machine/kernel_unpack.h"

enum { BZIMAGE_HEAD = 1024 };	/* bytes that hold every header */

struct bzimage {
	struct setup_header header;	/* as the file has it; fields it lacks are 0 */
	uint64_t code_offset, code_size;	/* the protected-mode code in the file */
	uint64_t init_size;		/* RAM that it needs from pref_address on */
	enum unpack_format payload;	/* UNPACK_UNKNOWN also when there is no usable one */
	uint64_t payload_offset, payload_size;	/* in the file, without the size at its end */
	uint64_t payload_output_size;
	char release[64];		/* "6.1.0-56-cloud-amd64", or "" */
};

/* Does the file begin like a Linux kernel for x86? */
bool bzimage_is_bzimage(const uint8_t *head, size_t len);

/*
 * Judge the header in the first 'len' bytes of 'file'.
 *
 * Returns 0; -ENOEXEC with an error chain (too old, 32-bit, cut short); -errno.
 */
MUST_USE int bzimage_parse(struct bzimage *bz, const struct boot_file *file, const uint8_t *head,
			   size_t len);

/* Where a loader put a kernel, and its 64-bit entry point. */
struct bzimage_loaded {
	struct boot_range range;
	gpa_t entry;
};

/*
 * Unpack the payload, an ELF vmlinux, to its linked address and enter it directly.  The
 * relocations behind the ELF file are not needed there.
 *
 * Returns 0; -ENOTSUP, -ENOSYS, -EBADMSG, -ENOEXEC, -ENOMEM and others with an error chain: the
 * kernel may then still be loaded by bzimage_load().
 */
MUST_USE int bzimage_unpack(const struct bzimage *bz, const struct boot_file *file,
			    const struct guest_memory *mem, struct bzimage_loaded *out);

/*
 * Load it as it is; it unpacks itself.
 *
 * Returns 0; -ENOMEM with the sizes, or -errno, with an error chain.
 */
MUST_USE int bzimage_load(const struct bzimage *bz, const struct boot_file *file,
			  const struct guest_memory *mem, struct bzimage_loaded *out);

#endif
