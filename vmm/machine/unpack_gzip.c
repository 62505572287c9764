/* gzip payloads, by zlib. */
#include "vmm/machine/unpack_stream.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_ZLIB

#include <zlib.h>

/* windowBits for the largest window, and 16 more for "gzip header and trailer". */
enum { WINDOW_BITS = 15 + 16 };

static int inflate_all(struct unpack_stream *s, z_stream *z)
{
	for (;;) {
		if (z->avail_in == 0) {
			size_t len;
			int r = unpack_read(s, s->in, UNPACK_IN_SIZE, &len);
			if (r < 0)
				return r;
			z->next_in = s->in;
			z->avail_in = (unsigned)len;
		}
		z->next_out = s->out;
		z->avail_out = UNPACK_OUT_SIZE;
		int status = inflate(z, Z_NO_FLUSH);
		int r = unpack_emit(s, s->out, UNPACK_OUT_SIZE - z->avail_out);

		if (r < 0)
			return r;
		if (status == Z_STREAM_END)
			return 0;
		/* Z_BUF_ERROR without input: the stream stops before its end. */
		if (status != Z_OK)
			return unpack_damaged(s, z->msg ? z->msg : "it is cut short");
	}
}

int unpack_gzip(struct unpack_stream *s)
{
	z_stream z = { 0 };
	int r;

	if (inflateInit2(&z, WINDOW_BITS) != Z_OK)
		return error_set(ENOMEM, "start zlib");
	r = inflate_all(s, &z);
	inflateEnd(&z);
	return r;
}

#else

int unpack_gzip(struct unpack_stream *s)
{
	(void)s;
	return error_set(ENOSYS, "this vireo was built without zlib (gzip)");
}

#endif
