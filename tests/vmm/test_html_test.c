/* The HTML report: what it shows, and that nobody can put anything but text into it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vmm/test_results_rig.h"
#include "vmm/test/report.h"

static int dir;

static void setup(void)
{
	dir = open(results_rig_dir(), O_RDONLY | O_DIRECTORY);
}

TestSuite(test_html, .init = setup, .fini = results_rig_remove_dir);

static char *page_of(const struct test_results *set)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_eq(report_write_html(out, set, dir), 0);
	fclose(out);
	return text;
}

static char *rig_page(void)
{
	struct test_results set;
	char *page;

	results_rig_make(&set);
	page = page_of(&set);
	test_results_fini(&set);
	return page;
}

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

static void expect(const char *page, const char *part)
{
	cr_expect(strstr(page, part), "no '%s'", part);
}

/* A parser that knows no HTML but what is written here: every element that is opened is closed. */
static void expect_well_formed(const char *page)
{
	static const char *const single[] = { "!DOCTYPE", "meta", "input", "br" };
	char open[64][16];
	unsigned depth = 0;

	for (const char *p = page; (p = strchr(p, '<')); p++) {
		bool closing = p[1] == '/', alone = false;
		char name[16] = "";
		const char *end = strchr(p, '>'), *next = strchr(p + 1, '<');
		cr_assert(sscanf(p + 1 + closing, "%15[!A-Za-z0-9]", name) == 1,
			  "at '%.40s'", p);
		cr_assert(end && (!next || end < next), "at '%.40s'", p);
		for (unsigned i = 0; i < ARRAY_SIZE(single); i++)
			alone |= !strcmp(name, single[i]);
		alone |= end[-1] == '/';
		if (closing) {
			cr_assert_gt(depth, 0u);
			cr_assert_str_eq(open[--depth], name, "at '%.60s'", p);
		} else if (!alone) {
			cr_assert_lt(depth, 64u);
			strcpy(open[depth++], name);
		}
		/* In no tag is a quote open at its end, and none has a handler. */
		unsigned quotes = 0;
		for (const char *c = p; c < end; c++)
			quotes += *c == '"';
		cr_assert_eq(quotes % 2, 0u, "at '%.60s'", p);
		cr_assert_str_neq(name, "script");
		cr_assert_str_neq(name, "img");
	}
	cr_assert_eq(depth, 0u, "'%s' is open", depth ? open[depth - 1] : "");
}

Test(test_html, has_everything_about_a_run)
{
	char *page;

	results_rig_write("runs/2/console.log", "panic <b>\033[31mred\033[0m\nand after\n");
	results_rig_write("runs/2/files/dm&sg", "x");
	results_rig_write("runs/2/state.txt", "cpu0 is <halted>\n");
	results_rig_write("runs/2/timeline.json",
			  "[{\"name\":\"memory\",\"cat\":\"boot\",\"ph\":\"X\",\"ts\":0},"
			  "{\"name\":\"guest <x>\",\"cat\":\"boot\",\"ph\":\"X\",\"ts\":5000}]");
	page = rig_page();
	expect_well_formed(page);
	expect(page, "<p class=\"big bad\">4 of 8 went wrong</p>");
	expect(page, "shard 2/2 is &lt;missing&gt;");
	expect(page, "<li class=\"fl\"><b>1</b> flaky</li>");
	expect(page, "<th class=\"ax\" colspan=\"1\">vm.cpus</th>");
	expect(page, "<th scope=\"row\">mmio</th>");
	expect(page, "<a class=\"c bad\" href=\"#r1\" title=\"failed\">");
	expect(page, "id=\"r1\"");
	expect(page, "Kernel panic &lt;now&gt;</pre>");
	expect(page, "<pre class=\"cmd\">vireo run runs/1/vm.json</pre>");
	expect(page, "<span class=\"lo\" id=\"o1\"><mark class=\"o\">panic</mark> &lt;b&gt;red\n</span>"
	       "and after\n");
	expect(page, "href=\"./runs/2/files/dm%26sg\" download=\"\">files/dm&amp;sg</a>");
	expect(page, "cpu0 is &lt;halted&gt;");
	expect(page, "<title>memory</title></rect>");
	expect(page, "<title>guest &lt;x&gt;</title>");
	expect(page, "flaky: 1 of 2 passed");
	free(page);
}

Test(test_html, works_without_files_and_without_tests)
{
	struct test_results set = { .complete = true };
	char *page = rig_page();

	expect_well_formed(page);
	free(page);
	page = page_of(&set);
	expect_well_formed(page);
	expect(page, "There was nothing to run");
	free(page);
}

/* Nothing went wrong only if everything was run. */
Test(test_html, incomplete_sets_are_not_green)
{
	struct test_results set = { 0 };
	char *page;

	cr_assert_eq(test_results_add(&set, results_rig_test("a", VERDICT_PASSED)), 0);
	page = page_of(&set);
	expect(page, "big late\">Nothing went wrong, but not everything was run");
	free(page);
	set.complete = true;
	page = page_of(&set);
	expect(page, "big ok\">All passed");
	free(page);
	test_results_fini(&set);
}

/* A console of 3 MiB of which three places matter. */
Test(test_html, long_consoles_keep_what_matters)
{
	struct test_results set = { .complete = true };
	struct test_result *r = results_rig_test("a", VERDICT_FAILED);
	struct test_step *step;
	char *console = malloc((3 << 20) + 1), *page;

	for (unsigned i = 0; i < 3 << 20; i += 64)
		memcpy(console + i, "0123456789012345678901234567890123456789012345678901234567"
				    "89 ..\n", 64);
	memcpy(console, "THE BEGIN", 9);
	memcpy(console + (1 << 20), "MATCHED", 7);
	memcpy(console + (2 << 20), "OFFENDED", 8);
	memcpy(console + (3 << 20) - 8, "THE END", 7);
	console[3 << 20] = 0;
	results_rig_write("runs/1/console.log", console);
	cr_assert_eq(result_set_text(&r->dir, "runs/1"), 0);
	cr_assert_eq(test_result_add_step(r, "expect: a", 1, &step), 0);
	step->verdict = VERDICT_PASSED;
	step->console_from = 1 << 20;
	step->console_to = (1 << 20) + 7;
	cr_assert_eq(test_result_add_step(r, "expect: b", 1, &step), 0);
	step->verdict = VERDICT_FAILED;
	step->console_from = 2 << 20;
	step->console_to = (2 << 20) + 8;
	cr_assert_eq(test_results_add(&set, r), 0);
	page = page_of(&set);
	expect_well_formed(page);
	expect(page, "THE BEGIN");
	expect(page, "THE END");
	expect(page, "<mark>MATCHED</mark>");
	expect(page, "<mark class=\"o\">OFFENDED</mark>");
	expect(page, "<a href=\"#o0\">");
	cr_expect_eq(count(page, " left out &#8943;"), 3u);
	cr_expect_lt(strlen(page), (size_t)96 << 10);
	free(page);
	free(console);
	test_results_fini(&set);
}

/* Offsets that no console has. */
Test(test_html, marks_outside_of_the_console_are_passed_over)
{
	struct test_results set = { .complete = true };
	struct test_result *r = results_rig_test("a", VERDICT_FAILED);
	static const int64_t range[][2] = {
		{ 0, INT64_MAX }, { 5, 5 }, { INT64_MAX, INT64_MAX }, { -1, -1 }, { 9, 3 }, { 3, 4 },
	};
	struct test_step *step;
	char *page;

	results_rig_write("runs/1/console.log", "a\033[1mbc\xc3");
	cr_assert_eq(result_set_text(&r->dir, "runs/1"), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(range); i++) {
		cr_assert_eq(test_result_add_step(r, "expect: a", 1, &step), 0);
		step->verdict = i % 2 ? VERDICT_FAILED : VERDICT_PASSED;
		step->console_from = range[i][0];
		step->console_to = range[i][1];
	}
	cr_assert_eq(test_results_add(&set, r), 0);
	page = page_of(&set);
	expect_well_formed(page);
	free(page);
	test_results_fini(&set);
}

/* Thousands of runs with long consoles make a page that a browser opens. */
Test(test_html, page_of_2000_runs_is_bounded, .timeout = 120)
{
	struct test_results set = { .complete = true };
	char console[9001], value[16], *page;

	/* Everything needs an escape. */
	memset(console, '"', 9000);
	console[9000] = 0;
	results_rig_write("runs/1/console.log", console);
	for (unsigned i = 0; i < 2000; i++) {
		struct test_result *r = results_rig_test("a", i % 10 ? VERDICT_PASSED :
							 VERDICT_FAILED);
		snprintf(value, sizeof(value), "%u", i % 50);
		cr_assert_eq(test_result_add_axis(r, "a", value), 0);
		cr_assert_eq(result_set_text(&r->dir, "runs/1"), 0);
		cr_assert_eq(result_set_text(&r->why, "%s", console), 0);
		r->attempt = 1 + i / 50;
		for (unsigned k = 0; k < 5; k++)
			cr_assert_eq(test_result_add_step(r, "expect: \"login:\"", k, NULL), 0);
		cr_assert_eq(test_results_add(&set, r), 0);
	}
	page = page_of(&set);
	cr_expect_lt(strlen(page), (size_t)20 << 20, "%zu", strlen(page));
	free(page);
	test_results_fini(&set);
}

/* A matrix that is none: each run has other axes, or too many values. */
Test(test_html, odd_matrices_become_lists)
{
	struct test_results set = { .complete = true };
	char value[16], *page;

	for (unsigned i = 0; i < 600; i++) {
		struct test_result *r = results_rig_test(i < 300 ? "many" : "other",
							 VERDICT_PASSED);
		snprintf(value, sizeof(value), "%u", i);
		cr_assert_eq(test_result_add_axis(r, i < 300 ? "a" : value, value), 0);
		cr_assert_eq(test_results_add(&set, r), 0);
	}
	page = page_of(&set);
	expect_well_formed(page);
	cr_expect_eq(count(page, "<ul class=\"list\">"), 2u);
	cr_expect_eq(count(page, "<table"), 0u);
	free(page);
	test_results_fini(&set);
}

static void random_text(char *text, size_t size)
{
	static const char *const spice[] = {
		"<script>", "</pre>", "\"", "'", "&", "<", ">", "\033[31m", "\r\n", "\xff", "\xe2\x80\xae",
		"<!--", "]]>", "javascript:", "%", "\n", "=", "--></style>", "\033]0;",
	};
	size_t len = 0;

	while (len + 16 < size && random() % 20) {
		if (random() % 2)
			len += (size_t)snprintf(text + len, size - len, "%s",
						spice[(size_t)random() % ARRAY_SIZE(spice)]);
		else
			text[len++] = (char)(1 + random() % 255);
	}
	text[len] = 0;
}

/* Whatever texts are anywhere: the page has the elements that we wrote, and no others. */
Test(test_html, holds_for_random_texts, .timeout = 120)
{
	char text[400];

	srandom(3);
	for (unsigned round = 0; round < 300; round++) {
		struct test_results set = { .complete = true };
		for (unsigned i = 0; i < 3; i++) {
			struct test_result *r;
			struct test_step *step;
			random_text(text, sizeof(text));
			r = results_rig_test(text, (enum verdict)(random() % N_VERDICTS));
			char **const field[] = { &r->file, &r->why, &r->command, &r->host };
			for (unsigned k = 0; k < ARRAY_SIZE(field); k++) {
				random_text(text, sizeof(text));
				cr_assert_eq(result_set_text(field[k], "%s", text), 0);
			}
			random_text(text, sizeof(text));
			cr_assert_eq(test_result_add_axis(r, text, text), 0);
			cr_assert_eq(test_result_add_step(r, text, 1, &step), 0);
			random_text(text, sizeof(text));
			cr_assert_eq(result_set_text(&step->why, "%s", text), 0);
			step->verdict = (enum verdict)(random() % N_VERDICTS);
			step->console_from = random() % 300;
			step->console_to = step->console_from + random() % 300;
			results_rig_write("runs/1/console.log", text);
			results_rig_write("runs/1/stderr.log", text);
			for (char *p = text; *p; p++)
				*p = *p == '/' ? '_' : *p;
			if (i == 0 && *text) {
				char name[512];
				snprintf(name, sizeof(name), "runs/1/files/%.200s", text);
				results_rig_write(name, "");
			}
			cr_assert_eq(result_set_text(&r->dir, "runs/1"), 0);
			cr_assert_eq(test_results_add(&set, r), 0);
		}
		random_text(text, sizeof(text));
		cr_assert_eq(test_results_add_note(&set, "%s", text), 0);
		char *page = page_of(&set);
		expect_well_formed(page);
		cr_assert_eq(strcspn(page, "\033\r\a"), strlen(page));
		free(page);
		test_results_fini(&set);
	}
}
