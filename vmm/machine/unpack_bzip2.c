/* bzip2 payloads, by libbz2. */
#include "vmm/machine/unpack_stream.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_BZ2

#include <bzlib.h>

static void *alloc(void *opaque, int n, int size)
{
	(void)opaque;
	return unpack_alloc((size_t)n * (size_t)size);
}

static void release(void *opaque, void *p)
{
	(void)opaque;
	unpack_free(p);
}

static int decode_all(struct unpack_stream *s, bz_stream *z)
{
	bool input_ended = false;

	for (;;) {
		if (z->avail_in == 0 && !input_ended) {
			size_t len;
			int r = unpack_read(s, s->in, UNPACK_IN_SIZE, &len);
			if (r < 0)
				return r;
			z->next_in = (char *)s->in;
			z->avail_in = (unsigned)len;
			input_ended = len == 0;
		}
		z->next_out = (char *)s->out;
		z->avail_out = UNPACK_OUT_SIZE;
		int status = BZ2_bzDecompress(z);
		int r = unpack_emit(s, s->out, UNPACK_OUT_SIZE - z->avail_out);

		if (r < 0)
			return r;
		if (status == BZ_STREAM_END)
			return 0;
		if (status == BZ_MEM_ERROR)
			return error_set(ENOMEM, "tables for unpacking");
		if (status != BZ_OK)
			return unpack_damaged(s, "the data are wrong");
		/* libbz2 waits for ever: no input, and nothing came out of what there was. */
		if (input_ended && z->avail_out == UNPACK_OUT_SIZE)
			return unpack_damaged(s, "it is cut short");
	}
}

int unpack_bzip2(struct unpack_stream *s)
{
	bz_stream z = { .bzalloc = alloc, .bzfree = release };
	int r;

	if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
		return error_set(ENOMEM, "start libbz2");
	r = decode_all(s, &z);
	BZ2_bzDecompressEnd(&z);
	return r;
}

#else

int unpack_bzip2(struct unpack_stream *s)
{
	(void)s;
	return error_set(ENOSYS, "this vireo was built without libbz2 (bzip2)");
}

#endif
