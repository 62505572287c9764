/* TAP 14: https://testanything.org/tap-version-14-specification.html */
#include <errno.h>
#include <stdlib.h>

#include "vmm/test/escape.h"
#include "vmm/test/report.h"
#include "vmm/test/result_order.h"

static void write_field(FILE *out, unsigned indent, const char *key, const char *text)
{
	if (!text)
		return;
	fprintf(out, "%*s%s: ", (int)indent, "", key);
	escape_yaml(out, text);
	fputc('\n', out);
}

/* The point itself.  What was not run did not pass: a run that was cut short is not green. */
static void write_point(FILE *out, unsigned n, enum verdict verdict, const char *text,
			const char *why)
{
	bool fine = verdict == VERDICT_PASSED || verdict == VERDICT_SKIPPED;

	fprintf(out, "%s %u - ", fine ? "ok" : "not ok", n);
	escape_tap(out, text);
	if (verdict == VERDICT_SKIPPED) {
		fputs(" # SKIP ", out);
		escape_tap(out, why);
	}
	fputc('\n', out);
}

static void write_steps(FILE *out, const struct test_result *r, const char *title)
{
	fputs("# Subtest: ", out);
	escape_tap(out, title);
	fprintf(out, "\n    1..%u\n", r->n_steps);
	for (unsigned i = 0; i < r->n_steps; i++) {
		const struct test_step *step = &r->step[i];
		fputs("    ", out);
		write_point(out, i + 1, step->verdict, step->text, step->why);
		if (step->verdict == VERDICT_PASSED || step->verdict == VERDICT_SKIPPED)
			continue;
		fputs("      ---\n", out);
		write_field(out, 6, "verdict", verdict_name(step->verdict));
		write_field(out, 6, "message", step->why);
		fputs("      ...\n", out);
	}
}

static int write_test(FILE *out, const struct test_result *r, unsigned n)
{
	char *title = result_order_title(r);

	if (!title)
		return -ENOMEM;
	/* What became of it says the next one. */
	if (r->retried) {
		fputs("# ", out);
		escape_tap(out, title);
		fprintf(out, ", try %u: ", r->attempt);
		escape_tap(out, r->why ? r->why : verdict_words(r->verdict));
		fputc('\n', out);
		free(title);
		return 0;
	}
	if (r->n_steps)
		write_steps(out, r, title);
	write_point(out, n, r->verdict, title, r->why);
	fputs("  ---\n", out);
	write_field(out, 2, "verdict", verdict_name(r->verdict));
	write_field(out, 2, "message", r->why);
	if (r->flaky)
		fputs("  flaky: true\n", out);
	write_field(out, 2, "file", r->file);
	if (r->line)
		fprintf(out, "  line: %u\n", r->line);
	if (r->exit_status >= 0)
		fprintf(out, "  exit_status: %d\n", r->exit_status);
	fprintf(out, "  duration_ms: %.3f\n", (double)r->duration_ns / 1e6);
	write_field(out, 2, "directory", r->dir);
	write_field(out, 2, "reproduce", r->command);
	fputs("  ...\n", out);
	free(title);
	return 0;
}

int report_write_tap(FILE *out, const struct test_results *results, int dir)
{
	struct result_order order;
	unsigned n_points = 0, n = 0;
	int r = result_order_init(&order, results);

	(void)dir;
	if (r < 0)
		return r;
	for (unsigned i = 0; i < order.n; i++)
		n_points += !order.test[i]->retried;
	fprintf(out, "TAP version 14\n1..%u\n", n_points);
	for (unsigned i = 0; i < results->n_notes; i++) {
		fputs("# ", out);
		escape_tap(out, results->note[i]);
		fputc('\n', out);
	}
	if (!results->complete)
		fputs("# not complete\n", out);
	for (unsigned i = 0; i < order.n && r == 0; i++)
		r = write_test(out, order.test[i], order.test[i]->retried ? 0 : ++n);
	result_order_fini(&order);
	return r;
}
