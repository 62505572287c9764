/* zstd payloads, by libzstd. */
#include "vmm/machine/unpack_stream.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_ZSTD

#include <zstd.h>

static int decode_all(struct unpack_stream *s, ZSTD_DStream *z)
{
	ZSTD_inBuffer in = { .src = s->in };
	bool input_ended = false;

	for (;;) {
		if (in.pos == in.size && !input_ended) {
			size_t len;
			int r = unpack_read(s, s->in, UNPACK_IN_SIZE, &len);
			if (r < 0)
				return r;
			in.size = len;
			in.pos = 0;
			input_ended = len == 0;
		}
		ZSTD_outBuffer out = { .dst = s->out, .size = UNPACK_OUT_SIZE };
		size_t status = ZSTD_decompressStream(z, &out, &in);
		if (ZSTD_isError(status))
			return unpack_damaged(s, ZSTD_getErrorName(status));
		int r = unpack_emit(s, s->out, out.pos);
		if (r < 0 || status == 0)
			return r;
		if (input_ended && out.pos == 0)
			return unpack_damaged(s, "it is cut short");
	}
}

int unpack_zstd(struct unpack_stream *s)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	int r;

	if (!z)
		return error_set(ENOMEM, "start libzstd");
	r = decode_all(s, z);
	ZSTD_freeDStream(z);
	return r;
}

#else

int unpack_zstd(struct unpack_stream *s)
{
	(void)s;
	return error_set(ENOSYS, "this vireo was built without libzstd (zstd)");
}

#endif
