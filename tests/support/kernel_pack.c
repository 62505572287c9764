/* kernel_file_pack(): the libraries that unpack can pack as well. */
#include "tests/support/kernel_files.h"

#include <string.h>

#include "vmm/base/le.h"

#if HAVE_ZLIB
#include <zlib.h>
static size_t pack_gzip(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)data, .avail_in = (unsigned)len,
		       .next_out = out, .avail_out = (unsigned)size };
	bool ok = deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK &&
		  deflate(&z, Z_FINISH) == Z_STREAM_END;

	deflateEnd(&z);
	return ok ? z.total_out : 0;
}
#else
static size_t pack_gzip(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	return (void)data, (void)len, (void)out, (void)size, 0;
}
#endif

#if HAVE_LZMA
#include <lzma.h>
static size_t run_lzma(lzma_stream *z, const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	z->next_in = data;
	z->avail_in = len;
	z->next_out = out;
	z->avail_out = size;
	bool ok = lzma_code(z, LZMA_FINISH) == LZMA_STREAM_END;
	size_t total = z->total_out;

	lzma_end(z);
	return ok ? total : 0;
}

/* As the kernel's build: the x86 filter, a CRC32. */
static size_t pack_xz(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	if (lzma_lzma_preset(&options, 6))
		return 0;
	lzma_filter filters[] = { { .id = LZMA_FILTER_X86 },
				  { .id = LZMA_FILTER_LZMA2, .options = &options },
				  { .id = LZMA_VLI_UNKNOWN } };
	if (lzma_stream_encoder(&z, filters, LZMA_CHECK_CRC32) != LZMA_OK)
		return 0;
	return run_lzma(&z, data, len, out, size);
}

static size_t pack_lzma(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	if (lzma_lzma_preset(&options, 6) || lzma_alone_encoder(&z, &options) != LZMA_OK)
		return 0;
	return run_lzma(&z, data, len, out, size);
}
#else
static size_t pack_xz(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	return (void)data, (void)len, (void)out, (void)size, 0;
}

static size_t pack_lzma(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	return pack_xz(data, len, out, size);
}
#endif

#if HAVE_LZ4
#include <lz4.h>
/* The legacy frame in blocks of 8 MiB. */
static size_t pack_lz4(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	size_t at = 4;

	store_le32(out, 0x184c2102);
	while (len > 0) {
		size_t block = min_u64(len, 8 << 20);
		int n = LZ4_compress_default((const char *)data, (char *)out + at + 4, (int)block,
					     (int)(size - at - 4));
		if (n <= 0)
			return 0;
		store_le32(out + at, (uint32_t)n);
		at += 4 + (size_t)n;
		data += block;
		len -= block;
	}
	return at;
}
#else
static size_t pack_lz4(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	return (void)data, (void)len, (void)out, (void)size, 0;
}
#endif

#if HAVE_ZSTD
#include <zstd.h>
static size_t pack_zstd(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	size_t n = ZSTD_compress(out, size, data, len, 6);

	return ZSTD_isError(n) ? 0 : n;
}
#else
static size_t pack_zstd(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	return (void)data, (void)len, (void)out, (void)size, 0;
}
#endif

#if HAVE_BZ2
#include <bzlib.h>
static size_t pack_bzip2(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	unsigned n = (unsigned)size;

	return BZ2_bzBuffToBuffCompress((char *)out, &n, (char *)(uintptr_t)data, (unsigned)len, 9,
					0, 0) == BZ_OK ? n : 0;
}
#else
static size_t pack_bzip2(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	return (void)data, (void)len, (void)out, (void)size, 0;
}
#endif

/* No packer, but its magic. */
static size_t pack_lzo(const uint8_t *data, size_t len, uint8_t *out, size_t size)
{
	(void)data;
	(void)size;
	memcpy(out, "\x89LZO\0\r\n\x1a\n", 9);
	return 9 + (len > 64 ? 64 : len);
}

size_t kernel_file_pack(enum unpack_format format, const uint8_t *data, size_t len, uint8_t *out,
			size_t size)
{
	switch (format) {
	case UNPACK_GZIP: return pack_gzip(data, len, out, size);
	case UNPACK_XZ: return pack_xz(data, len, out, size);
	case UNPACK_LZMA: return pack_lzma(data, len, out, size);
	case UNPACK_LZ4: return pack_lz4(data, len, out, size);
	case UNPACK_ZSTD: return pack_zstd(data, len, out, size);
	case UNPACK_BZIP2: return pack_bzip2(data, len, out, size);
	case UNPACK_LZO: return pack_lzo(data, len, out, size);
	case UNPACK_UNKNOWN: break;
	}
	memset(out, 0x55, 64);
	return 64;
}
