/*
 * Unpacking a kernel's compressed payload on the host: format by magic, one library each, as a
 * stream from a file into a callback.  The output is bounded before anything is decompressed, and
 * all big buffers go back to the system at the end.
 */
#ifndef MACHINE_KERNEL_UNPACK_H
#define MACHINE_KERNEL_UNPACK_H

#include "vmm/base/util.h"
#include "vmm/machine/boot_file.h"

enum unpack_format {
	UNPACK_UNKNOWN,
	UNPACK_GZIP,
	UNPACK_XZ,
	UNPACK_LZMA,
	UNPACK_LZ4,		/* the legacy frames that kernels use */
	UNPACK_ZSTD,
	UNPACK_BZIP2,
	UNPACK_LZO,		/* known by name only */
};

enum { UNPACK_MAGIC_SIZE = 6 };

/* The format that begins with these 6 bytes. */
enum unpack_format unpack_detect(const uint8_t magic[UNPACK_MAGIC_SIZE]);

/* "xz", ... "unknown". */
const char *unpack_format_name(enum unpack_format format);

/* Can this build unpack it? */
bool unpack_is_supported(enum unpack_format format);

/* Takes the next 'len' bytes (borrows).  Returns 0, or -errno with an error chain to stop. */
typedef int unpack_write(void *arg, const uint8_t *data, size_t len);

struct unpack_request {
	enum unpack_format format;
	const struct boot_file *file;	/* borrows */
	uint64_t offset, size;		/* the compressed bytes in it */
	uint64_t output_size;		/* what it must unpack to, exactly */
	bool at_most;			/* 'output_size' is a limit: it may be less */
	unpack_write *write;
	void *arg;
};

/*
 * Unpack all of it.
 *
 * Returns 0; -EBADMSG (damaged, or not as many bytes as were promised), -ENOSYS (this build lacks
 * the library), -ENOTSUP (unknown format), -ENOMEM, or what 'write' returned, with an error chain.
 */
MUST_USE int kernel_unpack(const struct unpack_request *request);

#endif
