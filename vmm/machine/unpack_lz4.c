/*
 * lz4 payloads, by liblz4.  Kernels use the legacy frame format (lz4 -l): the magic, then blocks
 * of a 4-byte length and data that unpack to at most 8 MiB each, up to the end of the input.  LZ4
 * Frame Format 1.6, "Legacy frame".
 */
#include "vmm/machine/unpack_stream.h"

#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"

#if HAVE_LZ4

#include <lz4.h>

enum {
	LEGACY_MAGIC = 0x184c2102,
	BLOCK_SIZE = 8 << 20,
	PACKED_SIZE = LZ4_COMPRESSBOUND(BLOCK_SIZE),
};

/* Read exactly 'len' bytes; '*end' tells that there was nothing at all. */
static int read_exactly(struct unpack_stream *s, uint8_t *buf, size_t len, bool *end)
{
	size_t got;
	int r = unpack_read(s, buf, len, &got);

	if (r < 0)
		return r;
	*end = got == 0;
	return got == len || got == 0 ? 0 : unpack_damaged(s, "it is cut short");
}

static int decode_all(struct unpack_stream *s, uint8_t *packed, uint8_t *block)
{
	for (;;) {
		uint8_t word[4];
		bool end;
		int r = read_exactly(s, word, sizeof(word), &end);

		if (r < 0 || end)
			return r;
		uint32_t len = load_le32(word);
		if (len == LEGACY_MAGIC)
			continue;	/* the beginning, or another frame behind this one */
		if (len == 0 || len > PACKED_SIZE)
			return unpack_damaged(s, "a block has an impossible length");
		r = read_exactly(s, packed, len, &end);
		if (r < 0)
			return r;
		if (end)
			return unpack_damaged(s, "it is cut short");
		int n = LZ4_decompress_safe((const char *)packed, (char *)block, (int)len,
					    BLOCK_SIZE);
		if (n < 0)
			return unpack_damaged(s, "the data are wrong");
		r = unpack_emit(s, block, (size_t)n);
		if (r < 0)
			return r;
	}
}

int unpack_lz4(struct unpack_stream *s)
{
	uint8_t *packed = unpack_alloc(PACKED_SIZE);
	uint8_t *block = unpack_alloc(BLOCK_SIZE);
	int r;

	if (packed && block)
		r = decode_all(s, packed, block);
	else
		r = error_set(ENOMEM, "buffers for unpacking");
	unpack_free(packed);
	unpack_free(block);
	return r;
}

#else

int unpack_lz4(struct unpack_stream *s)
{
	(void)s;
	return error_set(ENOSYS, "this vireo was built without liblz4 (lz4)");
}

#endif
