/* What is said while tests run: on a terminal (of which there is a small one here) and elsewhere. */
#include "vmm/test/progress.h"

#include <criterion/criterion.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/vmm/test_results_rig.h"
#include "vmm/test/console_end.h"

static char *said;
static size_t said_len;
static FILE *out;

static struct progress *start(bool live)
{
	struct progress_config config = { .live = live, .n_planned = 5, .results = "vireo-results" };
	struct progress *p;

	out = config.out = open_memstream(&said, &said_len);
	cr_assert_eq(progress_create(&p, &config), 0);
	return p;
}

static void end(void)
{
	fclose(out);
	free(said);
}

/* --- A terminal of 80 columns and many rows that knows what we use, and refuses the rest ------- */

enum { COLUMNS = 80, ROWS = 400 };
static char screen[ROWS][COLUMNS + 1];
static unsigned row, column;

static void show(const char *text)
{
	row = column = 0;
	for (unsigned i = 0; i < ROWS; i++)
		memset(screen[i], 0, COLUMNS + 1);
	for (; *text; text++) {
		unsigned n = 0;
		int used = 0;
		if (*text == '\n') {
			row++;
			column = 0;
		} else if (*text == '\r') {
			column = 0;
		} else if (*text != '\033') {
			cr_assert((unsigned char)*text >= ' ', "control %d", *text);
			if (column == COLUMNS) {
				row++;
				column = 0;
			}
			screen[row][column++] = *text;
		} else if (!strncmp(text, "\033[J", 3)) {
			memset(screen[row] + column, 0, COLUMNS - column);
			for (unsigned i = row + 1; i < ROWS; i++)
				memset(screen[i], 0, COLUMNS);
			text += 2;
		} else if (sscanf(text, "\033[%uA%n", &n, &used) == 1 && used) {
			cr_assert_leq(n, row, "above the top");
			row -= n;
			text += used - 1;
		} else {
			used = 0;
			cr_assert(sscanf(text, "\033[%um%n", &n, &used) == 1 && used, "'%.9s'", text);
			text += used - 1;
		}
		cr_assert_lt(row, (unsigned)ROWS);
	}
}

static const char *line(unsigned n)
{
	return screen[n];
}

Test(test_progress, lines_in_ci_are_only_those_of_tests_that_ended)
{
	struct progress *p = start(false);
	struct test_result *r = results_rig_test("boots", VERDICT_PASSED);

	r->duration_ns = UINT64_C(12300000000);
	cr_assert_eq(test_result_add_axis(r, "vm.cpus", "4"), 0);
	progress_start(p, 0, "boots", 60000);
	progress_step(p, 0, "expect: \"login:\"", 0, 2);
	progress_tick(p);
	fflush(out);
	cr_expect_eq(said_len, 0u, "%s", said);
	progress_end(p, 0, r, NULL);
	progress_destroy(p);
	fflush(out);
	cr_expect_str_eq(said, "ok           12.3s  boots [vm.cpus=4]\n");
	test_result_destroy(r);
	end();
}

Test(test_progress, failures_say_why_at_once, .fini = results_rig_remove_dir)
{
	struct progress *p = start(false);
	struct test_result *r = results_rig_test("boots", VERDICT_FAILED);
	struct test_step *step;
	char console[128];

	snprintf(console, sizeof(console), "%s/console.log", results_rig_dir());
	results_rig_write("console.log", "first\nmiddle\n\033[31mpanic\033[0m\r\n\n  \nlast\033]0;x");
	cr_assert_eq(test_result_add_step(r, "expect: \"login:\"", 7, &step), 0);
	step->verdict = VERDICT_FAILED;
	cr_assert_eq(result_set_text(&step->why, "it died"), 0);
	cr_assert_eq(result_set_text(&r->why, "the kernel panicked\nnot ok 7 \033[2J"), 0);
	cr_assert_eq(result_set_text(&r->command, "vireo run x/vm.json"), 0);
	progress_end(p, 0, r, console);
	fflush(out);
	cr_expect_str_eq(said, "FAILED        0.0s  boots\n"
			 "          the kernel panicked\n"
			 "          not ok 7 \n"
			 "          step 1 of 1, boot.yaml:7: expect: \"login:\"\n"
			 "          it died\n"
			 "          | first\n"
			 "          | middle\n"
			 "          | panic \n"
			 "          | last]0;x\n"
			 "          reproduce: vireo run x/vm.json\n");
	progress_destroy(p);
	test_result_destroy(r);
	end();
}

Test(test_progress, terminal_shows_what_runs_below_what_ended)
{
	struct progress *p = start(true);
	struct test_result *r = results_rig_test("one", VERDICT_PASSED);

	progress_start(p, 0, "one", 60000);
	progress_start(p, 1, "two", 0);
	progress_step(p, 0, "expect: x", 1, 3);
	progress_tick(p);
	fflush(out);
	show(said);
	cr_expect(strstr(line(0), "2/3 one: expect: x  ") && strstr(line(0), " left"), "%s",
		  line(0));
	cr_expect(strstr(line(1), "two") && !strstr(line(1), "left"));
	cr_expect(strstr(line(2), "0 of 5 done, 0 went wrong, 2 running"));
	progress_end(p, 0, r, NULL);
	progress_say(p, "a note of\033[2J Vireo");
	fflush(out);
	show(said);
	cr_expect(!strncmp(line(0), "ok  ", 4) && strstr(line(0), "one"));
	cr_expect_str_eq(line(1), "a note of Vireo");
	cr_expect(strstr(line(2), "two"));
	cr_expect(strstr(line(3), "1 of 5 done, 0 went wrong, 1 running"));
	cr_expect_str_eq(line(4), "");
	progress_destroy(p);
	fflush(out);
	show(said);
	cr_expect_str_eq(line(2), "", "live lines are gone at the end");
	test_result_destroy(r);
	end();
}

/* No title or step makes a line that wraps, or writes a line of its own. */
Test(test_progress, lines_are_cut_to_the_width)
{
	char title[300], step[300];
	struct progress *p = start(true);

	memset(title, 't', sizeof(title));
	memset(step, 's', sizeof(step));
	title[299] = step[299] = 0;
	memcpy(title + 10, "\nok  fake \033[1A", 14);
	for (unsigned i = 0; i < 5; i++) {
		progress_start(p, i, title, 60000 * 100);
		progress_step(p, i, step, 99, 100);
		progress_tick(p);
	}
	fflush(out);
	show(said);
	for (unsigned i = 0; i < 5; i++) {
		cr_expect_eq(strlen(line(i)), 79u, "%zu: %s", strlen(line(i)), line(i));
		cr_expect(strstr(line(i), "tttt") && strstr(line(i), "ssss") &&
			  strstr(line(i), "left"));
	}
	cr_expect(strstr(line(5), "5 running"));
	progress_destroy(p);
	end();
}

/* As many as there are: those for which there is no row are counted. */
Test(test_progress, more_tests_than_rows_do_not_scroll)
{
	struct progress *p = start(true);

	for (unsigned i = 0; i < 300; i++)
		progress_start(p, i, "t", 0);
	fflush(out);
	show(said);
	cr_expect_lt(row, 24u);
	cr_expect(strstr(line(row), "256 running"), "%s", line(row));
	progress_step(p, 299, "x", 0, 1);
	progress_destroy(p);
	end();
}

/* A terminal that becomes narrower: what is cleared are the lines that it wrapped. */
Test(test_progress, resize_is_followed)
{
	struct winsize size = { .ws_row = 24, .ws_col = 100 };
	struct progress_config config = { .live = true, .n_planned = 1 };
	struct progress *p;
	int master, slave;
	char buf[4096], long_title[200];
	ssize_t n;

	memset(long_title, 't', 199);
	long_title[199] = 0;
	cr_assert_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
	config.out = fdopen(slave, "w");
	cr_assert_eq(progress_create(&p, &config), 0);
	progress_start(p, 0, long_title, 0);
	n = read(master, buf, sizeof(buf) - 1);
	cr_assert_gt(n, 99);
	size.ws_col = 40;
	cr_assert_eq(ioctl(master, TIOCSWINSZ, &size), 0);
	progress_tick(p);
	n = read(master, buf, sizeof(buf) - 1);
	cr_assert_gt(n, 0);
	buf[n] = 0;
	/* 99 columns are three lines of 40, and the summary's 44 are two: up four from the last. */
	cr_expect(!strncmp(buf, "\r\033[4A\033[J", 8), "%.10s", buf + 1);
	cr_expect_leq(strcspn(buf + 8, "\r\n"), 39u);
	progress_destroy(p);
	fclose(config.out);
	close(master);
}

Test(test_progress, summary_lists_failures_and_counts)
{
	struct progress *p = start(false);
	struct test_results set;

	results_rig_make(&set);
	progress_summary(p, &set);
	fflush(out);
	cr_expect(strstr(said, "\nwhat went wrong:\nFAILED        1.2s  boots [vm.transport=mmio "
			 "vm.cpus=4]\nTIMED OUT     1.2s  hangs\nBROKEN        1.2s  breaks\n"
			 "FAILED        1.2s  sometimes (attempt 2) (flaky)\n"
			 "note: shard 2/2 is <missing>\n"), "%s", said);
	cr_expect(strstr(said, "2 passed, 2 failed, 1 skipped, 1 timed out, 1 broken, 1 not run, "
			 "1 flaky in 0:00: vireo-results/report.html\n"), "%s", said);
	progress_destroy(p);
	test_results_fini(&set);
	end();
}

Test(test_progress, quiet_says_what_went_wrong_only)
{
	struct progress_config config = { .quiet = true, .n_planned = 2 };
	struct test_result *good = results_rig_test("a", VERDICT_PASSED);
	struct test_result *bad = results_rig_test("b", VERDICT_TIMED_OUT);
	struct progress *p;

	out = config.out = open_memstream(&said, &said_len);
	cr_assert_eq(progress_create(&p, &config), 0);
	progress_end(p, 0, good, NULL);
	progress_end(p, UINT32_MAX, bad, "/nonexistent");
	progress_destroy(p);
	fflush(out);
	cr_expect_str_eq(said, "TIMED OUT     0.0s  b\n");
	test_result_destroy(good);
	test_result_destroy(bad);
	end();
}

Test(test_progress, ci_has_no_live_lines)
{
	int master, slave;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	FILE *terminal = fdopen(slave, "w");
	setenv("TERM", "xterm", 1);
	unsetenv("CI");
	cr_expect(progress_is_live(terminal));
	setenv("CI", "true", 1);
	cr_expect(!progress_is_live(terminal));
	setenv("CI", "false", 1);
	cr_expect(progress_is_live(terminal));
	setenv("TERM", "dumb", 1);
	cr_expect(!progress_is_live(terminal));
	fclose(terminal);
	close(master);
}

Test(test_progress, console_end_is_bounded, .fini = results_rig_remove_dir)
{
	char path[128], *text = malloc(100001), *lines[4];

	snprintf(path, sizeof(path), "%s/console.log", results_rig_dir());
	memset(text, 'x', 100000);
	text[100000] = 0;
	results_rig_write("console.log", text);
	cr_expect_eq(console_end_read(path, lines, 4), 1u);
	cr_expect_leq(strlen(lines[0]), (size_t)16 << 10);
	free(lines[0]);
	memset(text, '\n', 100000);
	results_rig_write("console.log", text);
	cr_expect_eq(console_end_read(path, lines, 4), 0u);
	results_rig_write("console.log", "");
	cr_expect_eq(console_end_read(path, lines, 4), 0u);
	cr_expect_eq(console_end_read("/", lines, 4), 0u);
	free(text);
}
