/* JUnit XML: what its readers agree on, and nothing that one of them refuses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/test/escape.h"
#include "vmm/test/plain_text.h"
#include "vmm/test/report.h"
#include "vmm/test/result_order.h"
#include "vmm/test/run_files.h"

/* Of the console; readers load the whole file into memory. */
enum { CONSOLE_SHOWN = 4096, CONSOLES_SHOWN = 16 << 20 };

struct junit {
	FILE *out;
	int dir;
	size_t console_left;		/* bytes of consoles that are still shown */
};

struct sums {
	unsigned tests, failures, errors, skipped;
	uint64_t duration_ns;
	int64_t started_ns;		/* the earliest that is known */
};

static struct sums sum_up(const struct test_result *const *test, unsigned n)
{
	struct sums s = { 0 };

	for (unsigned i = 0; i < n; i++) {
		enum verdict v = test[i]->verdict;
		if (test[i]->retried)
			continue;
		s.tests++;
		s.failures += v == VERDICT_FAILED || v == VERDICT_TIMED_OUT;
		s.errors += v == VERDICT_BROKEN || v == VERDICT_NOT_RUN;
		s.skipped += v == VERDICT_SKIPPED;
		s.duration_ns += test[i]->duration_ns;
		if (test[i]->started_ns && (!s.started_ns || test[i]->started_ns < s.started_ns))
			s.started_ns = test[i]->started_ns;
	}
	return s;
}

static void write_attribute(FILE *out, const char *name, const char *text)
{
	fprintf(out, " %s=\"", name);
	escape_html(out, text);
	fputc('"', out);
}

static void write_sums(FILE *out, const struct sums *s)
{
	time_t seconds = (time_t)(s->started_ns / 1000000000);
	char text[64];
	struct tm tm;

	fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.3f\"",
		s->tests, s->failures, s->errors, s->skipped, (double)s->duration_ns / 1e9);
	if (s->started_ns && gmtime_r(&seconds, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		fprintf(out, " timestamp=\"%s\"", text);
}

static void write_property(FILE *out, const char *name, const char *value)
{
	if (!value)
		return;
	fputs("        <property", out);
	write_attribute(out, "name", name);
	write_attribute(out, "value", value);
	fputs("/>\n", out);
}

static void write_properties(FILE *out, const struct test_result *r)
{
	fputs("      <properties>\n", out);
	write_property(out, "verdict", verdict_name(r->verdict));
	if (r->flaky)
		write_property(out, "flaky", "true");
	for (unsigned i = 0; i < r->n_axes; i++)
		write_property(out, r->axis[i].name, r->axis[i].value);
	write_property(out, "directory", r->dir);
	write_property(out, "reproduce", r->command);
	write_property(out, "host", r->host);
	fputs("      </properties>\n", out);
}

static void write_first_line(FILE *out, const char *text)
{
	char *line = NULL;

	if (!text)
		return;
	line = strndup(text, strcspn(text, "\n"));
	if (line)
		write_attribute(out, "message", line);
	free(line);
}

static void write_verdict(FILE *out, const struct test_result *r)
{
	const char *element = r->verdict == VERDICT_SKIPPED ? "skipped" :
			      r->verdict == VERDICT_BROKEN || r->verdict == VERDICT_NOT_RUN ?
			      "error" : "failure";
	const char *why = r->why ? r->why : verdict_words(r->verdict);

	if (r->verdict == VERDICT_PASSED)
		return;
	fprintf(out, "      <%s", element);
	write_first_line(out, why);
	if (r->verdict == VERDICT_SKIPPED) {
		fputs("/>\n", out);
		return;
	}
	write_attribute(out, "type", verdict_name(r->verdict));
	fputc('>', out);
	escape_html(out, why);
	for (unsigned i = 0; i < r->n_steps; i++) {
		const struct test_step *step = &r->step[i];
		if (!verdict_is_bad(step->verdict))
			continue;
		fputs("\nstep ", out);
		escape_html(out, step->text);
		fputs(": ", out);
		escape_html(out, step->why ? step->why : verdict_words(step->verdict));
	}
	if (r->command) {
		fputs("\nto reproduce: ", out);
		escape_html(out, r->command);
	}
	fprintf(out, "</%s>\n", element);
}

/* The last words of the console, of a test that went wrong. */
static void write_console(struct junit *j, const struct test_result *r)
{
	size_t len, most = min_u64(CONSOLE_SHOWN, j->console_left);
	char *bytes = verdict_is_bad(r->verdict) && most ?
		      run_files_read(j->dir, r->dir, "console.log", most, true, &len) : NULL;
	struct plain_text t = { .bytes = bytes, .len = bytes ? len : 0 };
	struct plain_char c;

	if (!bytes)
		return;
	j->console_left -= len;
	fputs("      <system-out>", j->out);
	while (plain_text_next(&t, &c))
		escape_html_char(j->out, c.c);
	fputs("</system-out>\n", j->out);
	free(bytes);
}

static int write_case(struct junit *j, const struct test_result *r)
{
	char *title = result_order_title(r);

	if (!title)
		return -ENOMEM;
	fputs("    <testcase", j->out);
	write_attribute(j->out, "name", title);
	write_attribute(j->out, "classname", r->file);
	write_attribute(j->out, "file", r->file);
	if (r->line)
		fprintf(j->out, " line=\"%u\"", r->line);
	fprintf(j->out, " time=\"%.3f\">\n", (double)r->duration_ns / 1e9);
	write_properties(j->out, r);
	write_verdict(j->out, r);
	write_console(j, r);
	fputs("    </testcase>\n", j->out);
	free(title);
	return 0;
}

static int write_suite(struct junit *j, const struct test_result *const *test, unsigned n,
		       unsigned index)
{
	struct sums sums = sum_up(test, n);
	int r = 0;

	fputs("  <testsuite", j->out);
	write_attribute(j->out, "name", test[0]->file);
	fprintf(j->out, " id=\"%u\"", index);
	write_sums(j->out, &sums);
	if (test[0]->host)
		write_attribute(j->out, "hostname", test[0]->host);
	fputs(">\n", j->out);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = test[i]->retried ? 0 : write_case(j, test[i]);
	fputs("  </testsuite>\n", j->out);
	return r;
}

int report_write_junit(FILE *out, const struct test_results *results, int dir)
{
	struct junit j = { .out = out, .dir = dir, .console_left = CONSOLES_SHOWN };
	struct result_order order;
	struct sums sums;
	int r = result_order_init(&order, results);

	if (r < 0)
		return r;
	sums = sum_up(order.test, order.n);
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vireo test\"", out);
	write_sums(out, &sums);
	fputs(">\n", out);
	for (unsigned i = 0, n, suite = 0; i < order.n && r == 0; i += n, suite++) {
		n = result_order_same_file(&order, i);
		r = write_suite(&j, order.test + i, n, suite);
	}
	fputs("</testsuites>\n", out);
	result_order_fini(&order);
	return r;
}
