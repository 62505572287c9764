#include "vmm/machine/kernel_unpack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/base/error.h"
#include "vmm/machine/unpack_stream.h"

static const struct {
	const char *name;
	const char *magic;
	size_t magic_len;
	bool supported;
	int (*unpack)(struct unpack_stream *s);
} formats[] = {
	[UNPACK_UNKNOWN] = { "unknown", "", 0, false, NULL },
	[UNPACK_GZIP] = { "gzip", "\x1f\x8b", 2, HAVE_ZLIB, unpack_gzip },
	[UNPACK_XZ] = { "xz", "\xfd" "7zXZ\0", 6, HAVE_LZMA, unpack_xz },
	[UNPACK_LZMA] = { "lzma", "\x5d\0\0", 3, HAVE_LZMA, unpack_xz },
	[UNPACK_LZ4] = { "lz4", "\x02\x21\x4c\x18", 4, HAVE_LZ4, unpack_lz4 },
	[UNPACK_ZSTD] = { "zstd", "\x28\xb5\x2f\xfd", 4, HAVE_ZSTD, unpack_zstd },
	[UNPACK_BZIP2] = { "bzip2", "BZh", 3, HAVE_BZ2, unpack_bzip2 },
	[UNPACK_LZO] = { "lzo", "\x89LZO\0\r", 6, false, NULL },
};

enum unpack_format unpack_detect(const uint8_t magic[UNPACK_MAGIC_SIZE])
{
	for (unsigned i = UNPACK_UNKNOWN + 1; i < ARRAY_SIZE(formats); i++)
		if (memcmp(magic, formats[i].magic, formats[i].magic_len) == 0)
			return (enum unpack_format)i;
	return UNPACK_UNKNOWN;
}

const char *unpack_format_name(enum unpack_format format)
{
	return formats[format].name;
}

bool unpack_is_supported(enum unpack_format format)
{
	return formats[format].supported;
}

int unpack_read(struct unpack_stream *s, uint8_t *buf, size_t size, size_t *len)
{
	const struct unpack_request *request = s->request;
	size_t n = min_u64(request->size - s->consumed, size);
	int r = boot_file_read(request->file, request->offset + s->consumed, buf, n);

	if (r < 0)
		return r;
	s->consumed += n;
	*len = n;
	return 0;
}

int unpack_emit(struct unpack_stream *s, const uint8_t *data, size_t len)
{
	if (len > s->request->output_size - s->produced)
		return unpack_damaged(s, "it unpacks to more than it promised");
	s->produced += len;
	return s->request->write(s->request->arg, data, len);
}

int unpack_damaged(const struct unpack_stream *s, const char *reason)
{
	return error_set(EBADMSG, "its %s payload is damaged: %s",
			 unpack_format_name(s->request->format), reason);
}

/* The size is remembered in front of the block; 64 bytes keep it aligned for anything. */
enum { ALLOC_HEADER = 64 };

void *unpack_alloc(size_t size)
{
	uint8_t *p;

	if (size > SIZE_MAX - ALLOC_HEADER)
		return NULL;
	size += ALLOC_HEADER;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	memcpy(p, &size, sizeof(size));
	return p + ALLOC_HEADER;
}

void unpack_free(void *p)
{
	size_t size;

	if (!p)
		return;
	p = (uint8_t *)p - ALLOC_HEADER;
	memcpy(&size, p, sizeof(size));
	munmap(p, size);
}

int kernel_unpack(const struct unpack_request *request)
{
	struct unpack_stream s = { .request = request };
	int r;

	if (!formats[request->format].unpack)
		return error_set(ENOTSUP, "its payload format is %s",
				 unpack_format_name(request->format));
	s.in = unpack_alloc(UNPACK_IN_SIZE);
	s.out = unpack_alloc(UNPACK_OUT_SIZE);
	if (s.in && s.out)
		r = formats[request->format].unpack(&s);
	else
		r = error_set(ENOMEM, "buffers for unpacking");
	if (r == 0 && !request->at_most && s.produced < request->output_size)
		r = unpack_damaged(&s, "it ends early");
	unpack_free(s.in);
	unpack_free(s.out);
	return r;
}
