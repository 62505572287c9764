/* What a guest printed is only text, wherever it is shown. */
#include "vmm/test/escape.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/test/plain_text.h"

/* What 'fn' makes of a text; to be freed. */
static char *made(void (*fn)(FILE *out, const char *text), const char *text)
{
	char *all = NULL;
	size_t len;
	FILE *out = open_memstream(&all, &len);

	fn(out, text);
	fclose(out);
	return all;
}

static void plain(FILE *out, const char *text)
{
	struct plain_text t = { .bytes = text, .len = strlen(text) };
	struct plain_char c;
	char bytes[4];

	while (plain_text_next(&t, &c))
		fwrite(bytes, 1, char_encode(bytes, c.c), out);
}

static void expect(void (*fn)(FILE *out, const char *text), const char *text, const char *wanted)
{
	char *got = made(fn, text);

	cr_expect_str_eq(got, wanted, "'%s' became '%s', not '%s'", text, got, wanted);
	free(got);
}

Test(test_plain_text, terminal_sequences_are_left_out)
{
	expect(plain, "\033[1;31mred\033[0m", "red");
	expect(plain, "\033]0;title\atext", "text");
	expect(plain, "\033]8;;http://x\033\\link\033]8;;\033\\", "link");
	expect(plain, "\033(Ba\033cb\033=c", "abc");
	expect(plain, "a\033[2J\033[Hb", "ab");
}

Test(test_plain_text, sequences_without_an_end_hide_nothing)
{
	char *many = malloc(5000);

	expect(plain, "\033]0;no end\nnext line", "]0;no end\nnext line");
	expect(plain, "\033[12", "[12");
	expect(plain, "\033[1\nx", "[1\nx");
	expect(plain, "\033", "");
	expect(plain, "\033\033\033[0mx", "x");
	expect(plain, "\033]a\033[0mb", "]ab");
	memset(many, 'x', 4999);
	memcpy(many, "\033P", 2);
	many[4999] = 0;
	expect(plain, many, many + 1);
	free(many);
}

Test(test_plain_text, lines_end_in_any_way)
{
	expect(plain, "a\r\nb\r\r\nc\rd\n\ne", "a\nb\nc\nd\n\ne");
}

Test(test_plain_text, what_is_no_text_becomes_a_sign)
{
	expect(plain, "a\bb\001\177", "a\xe2\x90\x88" "b\xe2\x90\x81\xe2\x90\xa1");
	expect(plain, "\xff\xc3(\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd");
	expect(plain, "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");
	expect(plain, "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	/* C1's CSI, right-to-left override, zero width space, a byte order mark, U+FFFF */
	expect(plain, "\xc2\x9b|\xe2\x80\xae|\xe2\x80\x8b|\xef\xbb\xbf|\xef\xbf\xbf",
	       "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd");
	expect(plain, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
}

Test(test_plain_text, characters_know_where_they_came_from)
{
	static const char text[] = "a\033[1mb\r\nc";
	static const size_t from[] = { 0, 5, 6, 8 };
	struct plain_text t = { .bytes = text, .len = sizeof(text) - 1 };
	struct plain_char c;
	unsigned n = 0;

	for (; plain_text_next(&t, &c); n++)
		cr_expect_eq(c.from, from[n]);
	cr_expect_eq(n, ARRAY_SIZE(from));
}

Test(test_plain_text, every_character_is_read_as_it_was_written)
{
	char bytes[4];
	uint32_t back;

	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		unsigned n = char_encode(bytes, c);
		cr_assert_eq(char_decode(bytes, n, &back), n);
		cr_assert_eq(back, c);
		if (n > 1)
			cr_assert_eq(char_decode(bytes, n - 1, &back), 1u);
	}
}

Test(test_escape, markup_is_text)
{
	expect(escape_html, "<script>alert(\"1\" & '2')</script>",
	       "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
	expect(escape_html, NULL, "");
	expect(escape_html, "]]> <!--", "]]&gt; &lt;!--");
}

Test(test_escape, tap_has_one_line_and_no_directive)
{
	expect(escape_tap, "boots # SKIP\nok 2 - \\", "boots \\# SKIP ok 2 - \\\\");
	expect(escape_yaml, "a: \"b\"\n- \\\tc", "\"a: \\\"b\\\"\\n- \\\\\\tc\"");
}

static void shell(FILE *out, const char *text)
{
	escape_shell(out, text);
}

Test(test_escape, shell_words_are_one_word)
{
	expect(shell, "vireo", "vireo");
	expect(shell, "", "''");
	expect(shell, "it's $(x)", "'it'\\''s $(x)'");
	expect(shell, "~", "'~'");
}

static unsigned most;
static unsigned columns;

static void line(FILE *out, const char *text)
{
	columns = escape_line(out, text, most);
}

Test(test_escape, lines_fit_the_terminal)
{
	most = 8;
	expect(line, "12345678", "12345678");
	cr_expect_eq(columns, 8u);
	expect(line, "123456789", "12345...");
	expect(line, "a\nb\tc\033[2J", "a b c");
	cr_expect_eq(columns, 5u);
	/* Wide characters take two columns, combining ones none. */
	expect(line, "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2",
	       "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2");
	expect(line, "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2!",
	       "\xe6\xbc\xa2\xe6\xbc\xa2...");
	cr_expect_eq(columns, 7u);
	expect(line, "e\xcc\x81", "e\xcc\x81");
	cr_expect_eq(columns, 1u);
	most = 2;
	expect(line, "abc", "..");
	most = 0;
	expect(line, "abc", "");
}

/* Any bytes: what comes out has nothing in it that markup, a terminal or XML could take amiss. */
Test(test_escape, holds_for_random_bytes)
{
	static const char spice[] = "<>&\"'\033[];\a\\\r\n#\xc2\xe2\x80\xae\xff";
	char text[200];
	uint32_t c;

	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		size_t len = (size_t)random() % (sizeof(text) - 1);
		for (size_t i = 0; i < len; i++)
			text[i] = random() % 2 ? spice[(size_t)random() % (sizeof(spice) - 1)] :
				  (char)(1 + random() % 255);
		text[len] = 0;
		char *html = made(escape_html, text), *tap = made(escape_tap, text);
		cr_assert_eq(strcspn(html, "<>\"'\033\r\a"), strlen(html));
		cr_assert_eq(strcspn(tap, "\n\033\r\a"), strlen(tap));
		for (size_t i = 0, n = strlen(html); i < n;) {
			bool bad = html[i] != '\xef';
			i += char_decode(html + i, n - i, &c);
			cr_assert(c != NO_CHARACTER || !bad, "it is no UTF-8");
			cr_assert((c >= 0x20 || c == '\n' || c == '\t') &&
				  (c < 0x7f || c > 0x9f) && c != 0x202e);
		}
		for (const char *p = html; (p = strchr(p, '&')); p++)
			cr_assert(!strncmp(p, "&lt;", 4) || !strncmp(p, "&gt;", 4) ||
				  !strncmp(p, "&amp;", 5) || !strncmp(p, "&quot;", 6) ||
				  !strncmp(p, "&#39;", 5));
		for (const char *p = tap; *p; p++) {
			cr_assert_neq(*p, '#', "not escaped");
			if (*p == '\\')
				cr_assert(*++p == '#' || *p == '\\');
		}
		free(html);
		free(tap);
	}
}
