#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/test/console_text.h"

static struct console_text text;

static void teardown(void)
{
	console_text_fini(&text);
}

TestSuite(console_text, .fini = teardown);

static void add(const char *s)
{
	cr_assert_eq(console_text_add(&text, s, strlen(s)), 0);
}

/* What becomes of 'in', added at once and then byte by byte. */
static void expect_text(const char *in, size_t len, const char *expected)
{
	for (size_t piece = len; piece > 0; piece = piece > 1 ? 1 : 0) {
		console_text_fini(&text);
		for (size_t i = 0; i < len; i += piece)
			cr_assert_eq(console_text_add(&text, in + i, piece), 0);
		console_text_end(&text);
		cr_expect(text.len == strlen(expected) && !memcmp(text.data, expected, text.len),
			  "'%.*s' instead of '%s'", (int)text.len, text.data, expected);
		for (unsigned i = 0; i + 1 < text.n_joints; i++)
			cr_expect_lt(text.joint[i].at, text.joint[i + 1].at + 1);
	}
}
#define EXPECT_TEXT(in, expected) expect_text(in, sizeof(in) - 1, expected)

Test(console_text, plain_text_stays)
{
	EXPECT_TEXT("login: root\n\tok", "login: root\n\tok");
	EXPECT_TEXT("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "grüß € 😀");
}

Test(console_text, what_steers_a_terminal_is_left_out)
{
	EXPECT_TEXT("\x1b[1;31mred\x1b[0m\r\n", "red\n");
	EXPECT_TEXT("\x1b]0;a title\x07" "after", "after");
	EXPECT_TEXT("\x1b]0;a title\x1b\\after", "after");
	EXPECT_TEXT("\x1bP1$r\x1b\\x\x1b(B\x1b=y\x1b" "7z", "xyz");
	EXPECT_TEXT("\x1b[?25l\x1b[2J\x1b[H[  OK  ]", "[  OK  ]");
	EXPECT_TEXT("a\x1b[\x1b[1mb", "ab");
}

Test(console_text, other_control_characters_are_left_out)
{
	EXPECT_TEXT("a\0b\x08\x7f" "c\x07", "abc");
}

Test(console_text, a_sequence_without_end_hides_little)
{
	static char in[8000];

	memset(in, '1', sizeof(in));
	memcpy(in, "\x1b[", 2);
	cr_assert_eq(console_text_add(&text, in, sizeof(in)), 0);
	cr_expect_gt(text.len, sizeof(in) - 200);
	console_text_fini(&text);
	memcpy(in, "\x1b]", 2);
	cr_assert_eq(console_text_add(&text, in, sizeof(in)), 0);
	cr_expect_gt(text.len, sizeof(in) - 2100);
	console_text_fini(&text);
	add("\x1b]0;broken\nnext line");
	cr_expect(text.len == 10 && !memcmp(text.data, "\nnext line", 10));
}

Test(console_text, what_is_no_utf8_is_replaced)
{
	EXPECT_TEXT("a\xff" "b", "a\xef\xbf\xbd" "b");
	EXPECT_TEXT("\xc3(", "\xef\xbf\xbd(");
	EXPECT_TEXT("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	EXPECT_TEXT("\xe2\x82", "\xef\xbf\xbd");
	EXPECT_TEXT("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");
	EXPECT_TEXT("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

/* The second half of a character may come later. */
Test(console_text, half_a_character_waits_for_the_rest)
{
	add("x\xe2\x82");
	cr_expect_eq(text.len, 1);
	add("\xac");
	cr_expect(text.len == 4 && !memcmp(text.data, "x\xe2\x82\xac", 4));
}

Test(console_text, each_place_is_a_byte_of_the_console)
{
	add("ab\r\n\x1b[1mcd\xff" "e\xe2\x82\xac" "f");
	/* a b \n c d U+FFFD e € f */
	cr_expect_eq(console_text_raw(&text, 0), 0);
	cr_expect_eq(console_text_raw(&text, 1), 1);
	cr_expect_eq(console_text_raw(&text, 2), 3);
	cr_expect_eq(console_text_raw(&text, 3), 8);
	cr_expect_eq(console_text_raw(&text, 5), 10);
	cr_expect_eq(console_text_raw(&text, 8), 11);
	cr_expect_eq(console_text_raw(&text, 9), 12);
	cr_expect_eq(console_text_raw(&text, 12), 15);
	cr_expect_eq(console_text_raw(&text, 9999), text.n_raw);
}

Test(console_text, the_last_mebibyte_is_kept)
{
	static char line[1000];
	uint64_t n = 0;

	for (; n < 5000; n++) {
		memset(line, 'a' + (int)(n % 26), sizeof(line));
		line[998] = '\r';
		line[999] = '\n';
		cr_assert_eq(console_text_add(&text, line, sizeof(line)), 0);
	}
	cr_expect_eq(console_text_total(&text), n * 999);
	cr_expect_geq(text.len, CONSOLE_TEXT_KEPT);
	cr_expect_leq(text.room, CONSOLE_TEXT_ROOM);
	for (uint64_t i = n - 1000; i < n; i++) {
		size_t at = i * 999 - text.dropped;
		cr_assert_eq(text.data[at], 'a' + (int)(i % 26));
		cr_assert_eq(console_text_raw(&text, i * 999), i * 1000);
		cr_assert_eq(console_text_raw(&text, i * 999 + 998), i * 1000 + 999);
	}
}

/* As many joints as there are characters. */
Test(console_text, a_flood_of_sequences_costs_bounded_memory)
{
	for (unsigned i = 0; i < 1000000; i++)
		cr_assert_eq(console_text_add(&text, "\x1b[mx", 4), 0);
	cr_expect_leq(text.joint_room, CONSOLE_TEXT_JOINTS);
	cr_expect_eq(console_text_raw(&text, 999999), 3999999);
	cr_expect_leq(console_text_raw(&text, 10), text.n_raw);
}
