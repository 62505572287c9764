/* Patterns on a console that grows. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/clock.h"
#include "vmm/test/expect.h"

static struct console_text text;
static struct pattern *pattern;
static struct expect expect;
static struct expect_place place;

static void setup(void)
{
	if (!HAVE_PCRE2)
		cr_skip_test("built without libpcre2");
}

static void teardown(void)
{
	pattern_destroy(pattern);
	console_text_fini(&text);
}

TestSuite(expect, .init = setup, .fini = teardown, .timeout = 120);

static void wait_for(const char *regex)
{
	char why[PATTERN_WHY_SIZE];

	cr_assert_eq(pattern_create(&pattern, regex, true, why), 0, "%s", why);
	expect_begin(&expect, pattern, console_text_total(&text));
}

static enum expect_verdict add(const char *s)
{
	cr_assert_eq(console_text_add(&text, s, strlen(s)), 0);
	return expect_look(&expect, &text, false, &place);
}

static enum expect_verdict settle(void)
{
	return expect_look(&expect, &text, true, &place);
}

static void is_found(const char *expected)
{
	cr_expect(place.end - place.start == strlen(expected) &&
		  !memcmp(text.data + (place.start - text.dropped), expected, strlen(expected)),
		  "found '%.*s', not '%s'", (int)(place.end - place.start),
		  text.data + (place.start - text.dropped), expected);
}

Test(expect, a_text_is_found_when_it_is_complete)
{
	wait_for("login:");
	cr_expect_eq(add("Debian\nlog"), EXPECT_OPEN);
	cr_expect_eq(add("ging\nlogi"), EXPECT_OPEN);
	cr_expect_eq(add("n: "), EXPECT_FOUND);
	is_found("login:");
}

Test(expect, it_is_found_however_the_console_is_cut)
{
	static const char console[] = "boot\r\n\x1b[32mwelt: gr\xc3\xbc\xc3\x9f 42\x1b[0m\r\nend\n";

	wait_for("gr..? (\\d+)$");
	for (size_t first = 1; first < sizeof(console) - 2; first++) {
		console_text_fini(&text);
		expect_begin(&expect, pattern, 0);
		cr_assert_eq(console_text_add(&text, console, first), 0);
		if (expect_look(&expect, &text, false, &place) != EXPECT_FOUND) {
			cr_assert_eq(console_text_add(&text, console + first,
						      sizeof(console) - 1 - first), 0);
			cr_expect_eq(expect_look(&expect, &text, false, &place), EXPECT_FOUND,
				     "cut at %zu", first);
		}
		is_found("grüß 42");
	}
}

/* What "OK$" means must not depend on how the bytes came. */
Test(expect, the_end_of_what_came_so_far_is_no_end)
{
	wait_for("^OK$");
	cr_expect_eq(add("OK"), EXPECT_OPEN);
	cr_expect_eq(add("AY\n"), EXPECT_WAIT);
	cr_expect_eq(add("OK\n"), EXPECT_FOUND);
	is_found("OK");
}

Test(expect, a_prompt_is_found_when_nothing_more_comes)
{
	wait_for("[#$] ?$");
	cr_expect_eq(add("root@guest:~# "), EXPECT_OPEN);
	cr_expect_eq(settle(), EXPECT_FOUND);
	is_found("# ");
}

Test(expect, settling_in_vain_forgets_nothing)
{
	wait_for("reached target");
	cr_expect_eq(add("reached "), EXPECT_OPEN);
	cr_expect_eq(settle(), EXPECT_WAIT);
	cr_expect_eq(add("target"), EXPECT_FOUND);
}

Test(expect, what_was_printed_before_it_began_does_not_count)
{
	cr_assert_eq(console_text_add(&text, "login:", 6), 0);
	wait_for("login:");
	cr_expect_eq(expect_look(&expect, &text, false, &place), EXPECT_WAIT);
	cr_expect_eq(add(" x\nlogin:"), EXPECT_FOUND);
	cr_expect_eq(place.start, 9);
}

/* ... but a pattern may look at it. */
Test(expect, a_line_begins_where_it_begins)
{
	cr_assert_eq(console_text_add(&text, "foo", 3), 0);
	wait_for("^bar");
	cr_expect_eq(add("bar "), EXPECT_WAIT);
	cr_expect_eq(add("\nbar "), EXPECT_FOUND);
	cr_expect_eq(place.start, 8);
}

Test(expect, a_dot_is_a_character)
{
	wait_for("<..>");
	cr_expect_eq(add("<\xc3\xbc\xff>"), EXPECT_FOUND);
}

Test(expect, a_catastrophic_pattern_is_given_up)
{
	static const char *const patterns[] = {
		"^(a+)+$", "(a*)*b", "(?:a|a)*c", "(x+x+)+y", "((a{0,20}){0,20}){0,20}b",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(patterns); i++) {
		static char line[20000];
		char why[PATTERN_WHY_SIZE];
		enum expect_verdict verdict = EXPECT_WAIT;
		struct timespec t;
		memset(line, patterns[i][1] == 'x' ? 'x' : 'a', sizeof(line));
		memcpy(line + sizeof(line) - 3, "!\n", 3);
		pattern_destroy(pattern);
		/* Some of them could match nothing at all, and would be refused for that. */
		cr_assert_eq(pattern_create(&pattern, patterns[i], i == 3, why), 0, "%s", why);
		console_text_fini(&text);
		expect_begin(&expect, pattern, 0);
		verdict = add(line);
		cr_expect(verdict == EXPECT_TOO_HARD || verdict == EXPECT_WAIT ||
			  verdict == EXPECT_OPEN, "%s: %d", patterns[i], (int)verdict);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
		cr_expect_lt(t.tv_sec, 5 * (time_t)(i + 1), "%s takes too long", patterns[i]);
	}
}

Test(expect, at_least_one_pattern_is_too_hard)
{
	static char line[20000];

	wait_for("(x+x+)+y");
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 2] = '\n';
	cr_expect_eq(add(line), EXPECT_TOO_HARD);
}

Test(expect, a_far_open_match_is_not_tried_for_each_byte)
{
	static char chunk[1000];
	struct timespec t;

	wait_for("(?s)BEGIN.*END");
	add("BEGIN");
	memset(chunk, 'x', sizeof(chunk) - 1);
	for (unsigned i = 0; i < 900; i++)
		cr_assert_eq(add(chunk), EXPECT_OPEN);
	for (unsigned i = 0; i < 50000; i++)
		cr_assert_eq(add("y"), EXPECT_OPEN);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	cr_expect_lt(t.tv_sec, 20);
	add("END");
	cr_expect_eq(settle(), EXPECT_FOUND);
	cr_expect_eq(place.start, 0);
}

Test(expect, what_is_longer_than_the_window_is_not_found)
{
	static char chunk[65537];

	wait_for("(?s)BEGIN.*END");
	add("BEGIN");
	memset(chunk, 'x', sizeof(chunk) - 1);
	for (unsigned i = 0; i < 64; i++)
		cr_assert_neq(add(chunk), EXPECT_FOUND);
	add("END");
	cr_expect_neq(settle(), EXPECT_FOUND);
}

Test(expect, mistakes_in_patterns_are_told)
{
	static const struct {
		const char *regex, *why;
	} cases[] = {
		{ "login(", "at character 7" },
		{ "[a-", "at character 4" },
		{ "a*", "waits for nothing" },
		{ "", "waits for nothing" },
		{ "\\C", "at character" },
		{ "(?<=a*)b", "at character" },
	};
	char why[PATTERN_WHY_SIZE];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_expect_eq(pattern_create(&pattern, cases[i].regex, true, why), -EINVAL);
		cr_expect_null(pattern);
		cr_expect_not_null(strstr(why, cases[i].why), "%s: %s", cases[i].regex, why);
	}
	/* Of a command's output, nothing can be what is wanted. */
	cr_expect_eq(pattern_create(&pattern, "\\A\\z", false, why), 0);
}
