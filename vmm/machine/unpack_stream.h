/*
 * What the decompressors share: a window on the input, a buffer for the output, and memory that
 * is given back to the system when freed (malloc would keep a 32 MiB dictionary's worth of heap
 * for later).  Private to kernel_unpack.c and unpack_*.c.
 */
#ifndef MACHINE_UNPACK_STREAM_H
#define MACHINE_UNPACK_STREAM_H

#include "vmm/machine/kernel_unpack.h"

enum {
	UNPACK_IN_SIZE = 128 * 1024,
	UNPACK_OUT_SIZE = 256 * 1024,	/* small enough to be copied out of the cache */
};

struct unpack_stream {
	const struct unpack_request *request;
	uint64_t consumed;		/* input bytes read so far */
	uint64_t produced;		/* output bytes passed on */
	uint8_t *in;			/* UNPACK_IN_SIZE bytes */
	uint8_t *out;			/* UNPACK_OUT_SIZE bytes */
};

/* Read up to 'size' next input bytes; '*len' is 0 at the end.  Returns 0 or -errno with a chain. */
MUST_USE int unpack_read(struct unpack_stream *s, uint8_t *buf, size_t size, size_t *len);

/* Pass output on.  Returns 0; -EBADMSG when it is more than was promised; what 'write' returned. */
MUST_USE int unpack_emit(struct unpack_stream *s, const uint8_t *data, size_t len);

/* The error for a stream that the library calls damaged: -EBADMSG with an error chain. */
int unpack_damaged(const struct unpack_stream *s, const char *reason);

/* Zeroed memory straight from mmap, or NULL; 'unpack_free' takes NULL. */
void *unpack_alloc(size_t size);
void unpack_free(void *p);

/* Unpack request->format.  Each returns as kernel_unpack() does. */
MUST_USE int unpack_gzip(struct unpack_stream *s);
MUST_USE int unpack_xz(struct unpack_stream *s);	/* and .lzma */
MUST_USE int unpack_lz4(struct unpack_stream *s);
MUST_USE int unpack_zstd(struct unpack_stream *s);
MUST_USE int unpack_bzip2(struct unpack_stream *s);

#endif
