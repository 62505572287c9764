/* xz payloads and the older lzma ones, by liblzma. */
#include "vmm/machine/unpack_stream.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_LZMA

#include <lzma.h>

/* Kernels use dictionaries of 32 MiB (arch/x86/boot/compressed, xz_wrap.sh); leave some air. */
#define DICTIONARY_LIMIT MIB(160)

static void *alloc(void *opaque, size_t n, size_t size)
{
	(void)opaque;
	/* n is always 1, says liblzma's manual. */
	return n > SIZE_MAX / (size ? size : 1) ? NULL : unpack_alloc(n * size);
}

static void release(void *opaque, void *p)
{
	(void)opaque;
	unpack_free(p);
}

static const lzma_allocator allocator = { .alloc = alloc, .free = release };

static const char *reason(lzma_ret status)
{
	switch (status) {
	case LZMA_MEMLIMIT_ERROR: return "its dictionary is too large";
	case LZMA_OPTIONS_ERROR: return "it uses a filter that liblzma does not know";
	case LZMA_FORMAT_ERROR: return "its header is wrong";
	case LZMA_BUF_ERROR: return "it is cut short";
	default: return "the data are wrong";
	}
}

static int decode_all(struct unpack_stream *s, lzma_stream *z)
{
	lzma_action action = LZMA_RUN;

	for (;;) {
		if (z->avail_in == 0 && action == LZMA_RUN) {
			size_t len;
			int r = unpack_read(s, s->in, UNPACK_IN_SIZE, &len);
			if (r < 0)
				return r;
			z->next_in = s->in;
			z->avail_in = len;
			if (len == 0)
				action = LZMA_FINISH;
		}
		z->next_out = s->out;
		z->avail_out = UNPACK_OUT_SIZE;
		lzma_ret status = lzma_code(z, action);
		int r = unpack_emit(s, s->out, UNPACK_OUT_SIZE - z->avail_out);

		if (r < 0)
			return r;
		if (status == LZMA_STREAM_END)
			return 0;
		if (status == LZMA_MEM_ERROR)
			return error_set(ENOMEM, "dictionary for unpacking");
		if (status != LZMA_OK)
			return unpack_damaged(s, reason(status));
	}
}

int unpack_xz(struct unpack_stream *s)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_ret status;
	int r;

	z.allocator = &allocator;
	if (s->request->format == UNPACK_LZMA)
		status = lzma_alone_decoder(&z, DICTIONARY_LIMIT);
	else
		status = lzma_stream_decoder(&z, DICTIONARY_LIMIT, 0);
	if (status != LZMA_OK)
		return error_set(ENOMEM, "start liblzma");
	r = decode_all(s, &z);
	lzma_end(&z);
	return r;
}

#else

int unpack_xz(struct unpack_stream *s)
{
	(void)s;
	return error_set(ENOSYS, "this vireo was built without liblzma (xz, lzma)");
}

#endif
