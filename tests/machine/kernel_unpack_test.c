#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>

#include "tests/support/kernel_files.h"
#include "tests/support/memory_file.h"
#include "vmm/base/error.h"

enum { SIZE = 1000000 };
static uint8_t plain[SIZE], packed[2 * SIZE], out[SIZE];
static size_t packed_len, out_len;

/* Something between noise and zeros. */
static void make_plain(void)
{
	uint32_t seed = 1;

	for (size_t i = 0; i < SIZE; i++) {
		seed = seed * 1103515245 + 12345;
		plain[i] = (i / 5000) % 3 ? (uint8_t)(i / 64) : (uint8_t)(seed >> 24);
	}
}

static int collect(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	cr_assert_leq(len, SIZE - out_len, "more than was promised");
	memcpy(out + out_len, data, len);
	out_len += len;
	return 0;
}

static int refuse(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return error_set(ENOMEM, "full");
}

/* The packed bytes stand at an odd place in their file, with other things on both sides. */
static int unpack(enum unpack_format format, uint64_t output_size, unpack_write *write)
{
	struct memory_file mf;
	struct boot_file file;
	static uint8_t content[sizeof(packed) + 200];
	int r;

	memset(content, 0xcc, sizeof(content));
	memcpy(content + 77, packed, packed_len);
	memory_file_create(&mf, content, 77 + packed_len + 100);
	cr_assert_eq(boot_file_open(&file, "kernel", mf.path), 0);
	struct unpack_request request = { .format = format, .file = &file, .offset = 77,
					  .size = packed_len, .output_size = output_size,
					  .write = write };
	out_len = 0;
	r = kernel_unpack(&request);
	boot_file_close(&file);
	memory_file_destroy(&mf);
	return r;
}

static bool pack(enum unpack_format format)
{
	make_plain();
	packed_len = kernel_file_pack(format, plain, SIZE, packed, sizeof(packed));
	return packed_len > 0;
}

ParameterizedTestParameters(kernel_unpack, format_round_trip)
{
	static enum unpack_format formats[] = { UNPACK_GZIP, UNPACK_XZ, UNPACK_LZMA, UNPACK_LZ4,
						UNPACK_ZSTD, UNPACK_BZIP2 };

	return cr_make_param_array(enum unpack_format, formats, ARRAY_SIZE(formats));
}

ParameterizedTest(enum unpack_format *format, kernel_unpack, format_round_trip)
{
	const char *name = unpack_format_name(*format);

	if (!pack(*format))
		cr_skip_test("%s: not in this build", name);
	cr_assert(unpack_is_supported(*format));
	cr_assert_eq(unpack_detect(packed), *format);
	cr_assert_eq(unpack(*format, SIZE, collect), 0, "%s: %s", name, error_text());
	cr_assert_eq(out_len, SIZE);
	cr_assert_arr_eq(out, plain, SIZE, "%s", name);

	/* A bomb: more than was promised never reaches the callback. */
	cr_expect_eq(unpack(*format, SIZE - 1, collect), -EBADMSG, "%s", name);
	cr_expect_eq(unpack(*format, 0, collect), -EBADMSG, "%s", name);
	cr_expect_eq(unpack(*format, SIZE + 1, collect), -EBADMSG, "%s: less than promised", name);
	cr_expect_eq(unpack(*format, SIZE, refuse), -ENOMEM, "%s: the callback's word", name);

	/* Cut short anywhere: an error, and it ends. */
	size_t whole = packed_len;
	for (size_t len = 1; len < whole; len += whole / 9) {
		packed_len = len;
		cr_expect_eq(unpack(*format, SIZE, collect), -EBADMSG, "%s: %zu", name, len);
	}
	packed_len = whole;

	/* Damaged anywhere: an error, or wrong data where the format has no checksum.  It ends. */
	for (size_t at = 0; at < whole; at += whole / 20) {
		uint8_t old[4];

		memcpy(old, packed + at, sizeof(old));
		memset(packed + at, 0xff, sizeof(old));
		int r = unpack(*format, SIZE, collect);
		cr_expect(r == -EBADMSG || r == 0, "%s: %d", name, r);
		memcpy(packed + at, old, sizeof(old));
	}
}

Test(kernel_unpack, unknown_and_lzo_are_not_supported)
{
	static const uint8_t lzo[] = "\x89LZO\0\r\n";

	cr_expect_eq(unpack_detect(lzo), UNPACK_LZO);
	cr_expect_eq(unpack_detect((const uint8_t *)"nothing"), UNPACK_UNKNOWN);
	cr_expect(!unpack_is_supported(UNPACK_LZO));
	packed_len = 10;
	cr_expect_eq(unpack(UNPACK_LZO, 10, collect), -ENOTSUP);
	cr_expect_eq(unpack(UNPACK_UNKNOWN, 10, collect), -ENOTSUP);
}

Test(kernel_unpack, a_format_that_was_left_out_says_so)
{
	for (enum unpack_format f = UNPACK_GZIP; f <= UNPACK_BZIP2; f++) {
		packed_len = 10;
		if (!unpack_is_supported(f))
			cr_expect_eq(unpack(f, 10, collect), -ENOSYS);
	}
}

Test(kernel_unpack, lz4_blocks_with_impossible_lengths_are_refused)
{
	static const uint32_t bad[] = { 0, UINT32_MAX, 0x7fffffff, 9 << 20 };

	if (!pack(UNPACK_LZ4))
		cr_skip_test("lz4: not in this build");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(packed + 4, &bad[i], sizeof(bad[i]));
		cr_expect_eq(unpack(UNPACK_LZ4, SIZE, collect), -EBADMSG, "%#x", bad[i]);
	}
}
