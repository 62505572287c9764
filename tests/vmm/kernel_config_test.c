/* Kernel configurations: read as text, found in bytes, whatever those are. */
#include "vmm/kernel/kernel_config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/kernel/config_stream.h"

static struct kernel_config config;
static struct config_stream stream;

static void done(void)
{
	kernel_config_fini(&config);
	config_stream_fini(&stream);
	error_clear();
}

TestSuite(kernel_config, .fini = done);
TestSuite(config_stream, .fini = done);

static int parse_bytes(const char *bytes, size_t len)
{
	char *text = malloc(len + 1);

	cr_assert_not_null(text);
	memcpy(text, bytes, len);
	return kernel_config_parse(&config, text, len);
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

Test(kernel_config, values_are_read)
{
	cr_assert_eq(parse("#\n# Linux/x86 6.1.192 Kernel Configuration\n#\n"
			   "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=n\n"
			   "CONFIG_E=\"a text with CONFIG_Z=y\"\nCONFIG_F=0x40"),
		     0);
	cr_expect_eq(config.n, 6);
	cr_expect_str_eq(config.version, "6.1.192");
	cr_expect_eq(kernel_config_get(&config, "A"), KERNEL_VALUE_ON);
	cr_expect_eq(kernel_config_get(&config, "B"), KERNEL_VALUE_MODULE);
	cr_expect_eq(kernel_config_get(&config, "C"), KERNEL_VALUE_OFF);
	cr_expect_eq(kernel_config_get(&config, "D"), KERNEL_VALUE_OFF);
	cr_expect_eq(kernel_config_get(&config, "E"), KERNEL_VALUE_ON);
	cr_expect_eq(kernel_config_get(&config, "F"), KERNEL_VALUE_ON);
	cr_expect_eq(kernel_config_get(&config, "Z"), KERNEL_VALUE_ABSENT);
	cr_expect_eq(kernel_config_get(&config, ""), KERNEL_VALUE_ABSENT);
}

Test(kernel_config, last_value_of_a_name_counts)
{
	cr_assert_eq(parse("CONFIG_A=y\nCONFIG_B=y\n# CONFIG_A is not set\nCONFIG_A=m\n"), 0);
	cr_expect_eq(config.n, 2);
	cr_expect_eq(kernel_config_get(&config, "A"), KERNEL_VALUE_MODULE);
}

Test(kernel_config, lines_of_another_system_are_read)
{
	cr_assert_eq(parse("# Linux/x86_64 5.10.0-rc1+ Kernel Configuration\r\nCONFIG_A=m\r\n"
			   "# CONFIG_B is not set\r\n"),
		     0);
	cr_expect_eq(kernel_config_get(&config, "A"), KERNEL_VALUE_MODULE);
	cr_expect_eq(kernel_config_get(&config, "B"), KERNEL_VALUE_OFF);
	cr_expect_str_eq(config.version, "5.10.0-rc1+");
}

Test(kernel_config, what_only_looks_like_an_option_is_none)
{
	cr_assert_eq(parse("CONFIG_A\nCONFIG_=y\n CONFIG_B=y\nCONFIG_C D=y\n#CONFIG_E is not set\n"
			   "# CONFIG_F is not set yet\n# CONFIG_ is not set\nconfig_G=y\nCONFIG_H=y"),
		     0);
	cr_expect_eq(config.n, 1);
	cr_expect_eq(kernel_config_get(&config, "H"), KERNEL_VALUE_ON);
}

Test(kernel_config, version_that_could_steer_a_terminal_is_not_taken)
{
	cr_assert_eq(parse("# Linux/x86 6.1\033[2J Kernel Configuration\nCONFIG_A=y\n"), 0);
	cr_expect_str_eq(config.version, "");
}

Test(kernel_config, what_sets_nothing_is_refused)
{
	static const char zero[] = "CONFIG_A=y\n\0CONFIG_B=y\n";

	cr_expect_eq(parse(""), -ENOEXEC);
	cr_expect_eq(parse("hello\n"), -ENOEXEC);
	cr_expect_eq(parse_bytes(zero, sizeof(zero) - 1), -ENOEXEC);
	cr_expect_eq(config.n, 0);
}

/* --- Found in bytes -------------------------------------------------------------------------- */

#define PACKED "\x1f\x8b\x08 some bytes, and an IKCFG_E in them "
#define INSIDE "IKCFG_ST" PACKED "IKCFG_ED"

/* Give it all, in pieces of 'step' bytes. */
static int give(const char *bytes, size_t len, size_t step)
{
	int r = 0;

	config_stream_fini(&stream);
	for (size_t at = 0; r == 0 && at < len; at += step)
		r = config_stream_write(&stream, (const uint8_t *)bytes + at,
					len - at < step ? len - at : step);
	return r;
}

Test(config_stream, mark_is_found_wherever_the_pieces_end)
{
	static const char bytes[] = "\0IKCFG_S IKIKCFG_ST IKCFG_ST\x1f\x8b IKCFG_" INSIDE "more";

	for (size_t step = 1; step <= sizeof(bytes); step++) {
		cr_assert_eq(give(bytes, sizeof(bytes), step), -ECANCELED, "%zu", step);
		cr_assert_eq(stream.state, CONFIG_STREAM_FOUND);
		cr_assert_eq(stream.packed_len, sizeof(PACKED "IKCFG_ED") - 1);
		cr_assert_arr_eq(stream.packed, PACKED "IKCFG_ED", stream.packed_len);
	}
}

Test(config_stream, text_is_kept_whole)
{
	static const char bytes[] = "CONFIG_A=y\nCONFIG_B=m\n";

	for (size_t step = 1; step < sizeof(bytes); step++) {
		cr_assert_eq(give(bytes, sizeof(bytes) - 1, step), 0);
		cr_assert_eq(stream.text_len, sizeof(bytes) - 1);
		cr_assert_arr_eq(stream.text, bytes, stream.text_len);
	}
}

Test(config_stream, text_that_is_too_long_is_forgotten)
{
	static char line[1024 * 1024 + 1];

	memset(line, 'x', sizeof(line));
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(config_stream_write(&stream, (uint8_t *)line, sizeof(line)), 0);
	cr_assert_not_null(stream.text);
	cr_assert_eq(config_stream_write(&stream, (uint8_t *)line, sizeof(line)), 0);
	cr_expect_null(stream.text);
	cr_assert_eq(config_stream_write(&stream, (uint8_t *)line, 10), 0);
	cr_expect_null(stream.text);
}

/* A mark without an end must not keep what comes behind it from being found. */
Test(config_stream, mark_without_an_end_is_given_up)
{
	static char filler[CONFIG_STREAM_PACKED_MAX];
	static const char begin[] = "IKCFG_ST\x1f\x8b\x08";

	cr_assert_eq(config_stream_write(&stream, (const uint8_t *)begin, sizeof(begin)), 0);
	cr_expect_eq(stream.state, CONFIG_STREAM_COLLECT);
	cr_assert_eq(config_stream_write(&stream, (uint8_t *)filler, sizeof(filler)), 0);
	cr_expect_eq(stream.state, CONFIG_STREAM_SEARCH);
	cr_assert_eq(config_stream_write(&stream, (const uint8_t *)INSIDE, sizeof(INSIDE)),
		     -ECANCELED);
	cr_expect_arr_eq(stream.packed, PACKED, sizeof(PACKED) - 1);
}
