#include "vmm/file/yaml_scalar.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *text;
static int result;

static const char *put(const char *from, bool block)
{
	size_t len;
	FILE *out;

	free(text);
	out = open_memstream(&text, &len);
	cr_assert_not_null(out);
	result = block ? yaml_put_block(out, from, 2) : yaml_put_text(out, from);
	fclose(out);
	return text;
}

static void done(void)
{
	free(text);
	text = NULL;
}

TestSuite(yaml_scalar, .fini = done);

Test(yaml_scalar, words_that_nobody_misreads_stay_plain)
{
	static const char *const words[] = {
		"a", "/boot/vmlinuz-6.1", "console=hvc0 root=/dev/vda ro", "debian.img", "_x", "a-b",
		"user@host", "A%20", "yes-man", "nullify",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		cr_expect_str_eq(put(words[i], false), words[i]);
}

Test(yaml_scalar, everything_else_is_quoted)
{
	static const char *const pairs[][2] = {
		{ "", "\"\"" },
		{ " a", "\" a\"" },
		{ "a ", "\"a \"" },
		{ "a  b", "\"a  b\"" },
		{ "a: b", "\"a: b\"" },
		{ "a #b", "\"a #b\"" },
		{ "-", "\"-\"" },
		{ "1", "\"1\"" },
		{ "0x10", "\"0x10\"" },
		{ ".5", "\".5\"" },
		{ "+1", "\"+1\"" },
		{ "null", "\"null\"" },
		{ "Null", "\"Null\"" },
		{ "yes", "\"yes\"" },
		{ "off", "\"off\"" },
		{ "NaN", "\"NaN\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\n\t\r\x01\x7f", "\"\\n\\t\\r\\u0001\\u007f\"" },
		{ "${X}$", "\"$${X}$$\"" },
		{ "a,b", "\"a,b\"" },
		{ "\xc3\xa4\xf0\x9f\x90\xa6", "\"\xc3\xa4\xf0\x9f\x90\xa6\"" },
		{ "\xc2\x85\xe2\x80\xa8\xe2\x80\xae\xef\xbb\xbf",
		  "\"\\u0085\\u2028\\u202e\\ufeff\"" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
		cr_expect_str_eq(put(pairs[i][0], false), pairs[i][1]);
		cr_expect_eq(result, 0);
	}
}

Test(yaml_scalar, what_is_not_utf8_is_refused)
{
	static const char *const bad[] = {
		"\xff", "a\x80", "\xc3", "\xc3(", "\xe2\x82", "\xc0\x80", "\xe0\x80\x80",
		"\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
		"a\nb\xff",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_str_eq(put(bad[i], false), "", "%u", i);
		cr_expect_eq(result, -EILSEQ, "%u", i);
		cr_expect_str_eq(put(bad[i], true), "", "%u", i);
		cr_expect_eq(result, -EILSEQ, "%u", i);
	}
}

Test(yaml_scalar, several_lines_stand_as_they_are)
{
	cr_expect_str_eq(put("#cloud-config\nusers:\n  - a\n", true),
			 "|\n    #cloud-config\n    users:\n      - a");
	cr_expect_str_eq(put("a\n\n$b", true), "|-\n    a\n\n    $$b");
	cr_expect_str_eq(put("one line", true), "one line");
}

/* Where a reader would see other spaces or line ends than those that are there. */
Test(yaml_scalar, lines_with_doubtful_spaces_are_quoted)
{
	static const char *const doubtful[] = {
		"\na\n", " a\nb\n", "a\n\n", "a\n  \nb\n", "a\nb ", "a\rb\n", "a\tb\n", "\n", "a\n ",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(doubtful); i++)
		cr_expect_eq(put(doubtful[i], true)[0], '"', "%u", i);
}
