/* The HTML report: summary, what went wrong, a grid for each test, then each run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/test/escape.h"
#include "vmm/test/html.h"
#include "vmm/test/plain_text.h"
#include "vmm/test/report.h"

/* What the page may have of consoles; the rest of a run takes some 3 KiB. */
enum {
	BAD_BYTES = 6 << 20,
	GOOD_BYTES = 3 << 20,
	WHY_BYTES = 4 << 20,
	WHY_MOST = 4 << 10,
	BAD_MOST = 64 << 10,
	BAD_LEAST = 1 << 10,
	GOOD_MOST = 4 << 10,
	GOOD_LEAST = 256,
	DETAILS_MOST = 3000,	/* runs; with more, only those that went wrong have details */
	WRONG_LISTED = 200,
	WRONG_WHY = 600,
};

static const struct {
	const char *class, *sign;
} looks[N_VERDICTS] = {
	[VERDICT_PASSED] = { "ok", "&#10003;" },
	[VERDICT_FAILED] = { "bad", "&#10007;" },
	[VERDICT_TIMED_OUT] = { "late", "&#9719;" },
	[VERDICT_BROKEN] = { "broken", "!" },
	[VERDICT_SKIPPED] = { "skip", "&#8211;" },
	[VERDICT_NOT_RUN] = { "none", "&#9675;" },
};

const char *html_class(enum verdict verdict)
{
	return looks[verdict].class;
}

const char *html_sign(enum verdict verdict)
{
	return looks[verdict].sign;
}

void html_text(FILE *out, const char *text, size_t most)
{
	struct plain_text t = { .bytes = text, .len = text ? strlen(text) : 0 };
	struct plain_char c;
	size_t len = 0;

	while (len < most && plain_text_next(&t, &c))
		len += escape_html_char(out, c.c);
	if (len >= most && t.at < t.len)
		fputs("&#8230;", out);
}

void html_duration(FILE *out, uint64_t ns)
{
	if (ns < UINT64_C(1000000000))
		fprintf(out, "%.3g ms", (double)ns / 1e6);
	else if (ns < UINT64_C(120000000000))
		fprintf(out, "%.1f s", (double)ns / 1e9);
	else
		fprintf(out, "%llu min %02llu s", (unsigned long long)(ns / UINT64_C(60000000000)),
			(unsigned long long)(ns / UINT64_C(1000000000) % 60));
}

static void write_fact(FILE *out, const char *name, const char *value)
{
	if (!value)
		return;
	fprintf(out, "<div><dt>%s</dt><dd>", name);
	escape_html(out, value);
	fputs("</dd></div>\n", out);
}

static void write_facts(FILE *out, const struct test_results *results)
{
	time_t seconds = (time_t)(results->started_ns / 1000000000);
	char text[64];
	struct tm tm;

	fputs("<dl>", out);
	if (results->started_ns && gmtime_r(&seconds, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		write_fact(out, "started", text);
	fputs("<div><dt>took</dt><dd>", out);
	html_duration(out, results->duration_ns);
	fputs("</dd></div>\n", out);
	write_fact(out, "host", results->host);
	if (results->n_shards) {
		snprintf(text, sizeof(text), "%u of %u", results->shard, results->n_shards);
		write_fact(out, "shard", text);
	}
	fputs("</dl>\n", out);
	if (results->command) {
		fputs("<pre class=\"cmd\">", out);
		escape_html(out, results->command);
		fputs("</pre>\n", out);
	}
}

/* Worst first; also the order of the bar. */
static const enum verdict shown_order[] = {
	VERDICT_BROKEN, VERDICT_FAILED, VERDICT_TIMED_OUT, VERDICT_NOT_RUN, VERDICT_SKIPPED,
	VERDICT_PASSED,
};

static void write_counts(FILE *out, const struct result_counts *counts)
{
	fputs("<div class=\"bar\" aria-hidden=\"true\">", out);
	for (unsigned i = 0; i < ARRAY_SIZE(shown_order); i++)
		if (counts->verdict[shown_order[i]])
			fprintf(out, "<i class=\"%s\" style=\"flex-grow:%u\"></i>",
				html_class(shown_order[i]), counts->verdict[shown_order[i]]);
	fputs("</div>\n<ul class=\"counts\">", out);
	for (unsigned i = ARRAY_SIZE(shown_order); i-- > 0;) {
		enum verdict v = shown_order[i];
		if (counts->verdict[v] || v == VERDICT_PASSED || v == VERDICT_FAILED)
			fprintf(out, "<li class=\"%s\"><b>%u</b> %s %s</li>", html_class(v),
				counts->verdict[v], html_sign(v), verdict_words(v));
	}
	if (counts->flaky)
		fprintf(out, "<li class=\"fl\"><b>%u</b> flaky</li>", counts->flaky);
	fputs("</ul>\n", out);
}

static void write_verdict(FILE *out, const struct test_results *results,
			  const struct result_counts *counts)
{
	unsigned bad = counts->verdict[VERDICT_FAILED] + counts->verdict[VERDICT_TIMED_OUT] +
		       counts->verdict[VERDICT_BROKEN];
	const char *class = bad ? "bad" : !results->complete ? "late" : "ok";

	fprintf(out, "<p class=\"big %s\">", class);
	if (bad)
		fprintf(out, "%u of %u went wrong", bad, counts->attempts);
	else if (!results->complete)
		fputs("Nothing went wrong, but not everything was run", out);
	else if (counts->attempts == 0)
		fputs("There was nothing to run", out);
	else
		fprintf(out, counts->verdict[VERDICT_SKIPPED] ? "Passed, with %u skipped" :
			"All passed", counts->verdict[VERDICT_SKIPPED]);
	fputs("</p>\n", out);
	if (!results->complete)
		fputs("<p class=\"note\">These results are <b>not complete</b>.</p>\n", out);
	for (unsigned i = 0; i < results->n_notes && i < WRONG_LISTED; i++) {
		fputs("<p class=\"note\">", out);
		escape_html(out, results->note[i]);
		fputs("</p>\n", out);
	}
}

static int write_wrong(FILE *out, const struct result_order *order)
{
	unsigned n = 0;

	for (unsigned i = 0; i < order->n && n < WRONG_LISTED; i++) {
		const struct test_result *r = order->test[i];
		char *title, *why;
		if (!verdict_is_bad(r->verdict))
			continue;
		title = result_order_title(r);
		why = r->why ? strndup(r->why, strcspn(r->why, "\n")) : NULL;
		if (!title || (r->why && !why)) {
			free(title);
			free(why);
			return -ENOMEM;
		}
		fputs(n++ ? "" : "<section><h2>What went wrong</h2>\n<ul class=\"wrong\">\n", out);
		fprintf(out, "<li class=\"%s\"><a href=\"#r%u\"><b>%s</b> ", html_class(r->verdict),
			i, html_sign(r->verdict));
		escape_html(out, title);
		fprintf(out, "</a> <small>%s</small><br>", verdict_words(r->verdict));
		html_text(out, why, WRONG_WHY);
		fputs("</li>\n", out);
		free(title);
		free(why);
	}
	fputs(n ? "</ul></section>\n" : "", out);
	return 0;
}

static int write_test(const struct html *h, const struct result_order *order, unsigned first,
		      unsigned n)
{
	const struct test_result *test = order->test[first];
	int r;

	fputs("<section><h2>", h->out);
	escape_html(h->out, test->name);
	fputs(" <small>", h->out);
	escape_html(h->out, test->file);
	if (test->line)
		fprintf(h->out, ":%u", test->line);
	fputs("</small></h2>\n", h->out);
	r = html_write_grid(h, order, first, n);
	for (unsigned i = first; i < first + n && r == 0; i++)
		if (verdict_is_bad(order->test[i]->verdict))
			r = html_write_run(h, order->test[i], i);
	for (unsigned i = first; i < first + n && r == 0 && h->details_of_good; i++)
		if (!verdict_is_bad(order->test[i]->verdict))
			r = html_write_run(h, order->test[i], i);
	fputs("</section>\n", h->out);
	return r;
}

/* A part of 'all' for each of 'n', within bounds; none if that is too little to be read. */
static size_t share(size_t all, unsigned n, size_t least, size_t most)
{
	size_t each = all / (n ? n : 1);

	return each < least ? 0 : min_u64(each, most);
}

int report_write_html(FILE *out, const struct test_results *results, int dir)
{
	struct html h = { .out = out, .dir = dir };
	struct result_counts counts;
	struct result_order order;
	int r = test_results_count(results, &counts);
	unsigned bad = counts.verdict[VERDICT_FAILED] + counts.verdict[VERDICT_TIMED_OUT] +
		       counts.verdict[VERDICT_BROKEN];

	if (r == 0)
		r = result_order_init(&order, results);
	if (r < 0)
		return r;
	h.console_bad = share(BAD_BYTES, bad, BAD_LEAST, BAD_MOST);
	h.console_good = share(GOOD_BYTES, counts.attempts - bad, GOOD_LEAST, GOOD_MOST);
	h.why = max_u64(share(WHY_BYTES, counts.attempts, 0, WHY_MOST), 100);
	h.details_of_good = counts.attempts <= DETAILS_MOST;
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<title>vireo test: ", out);
	fprintf(out, bad ? "%u of %u went wrong" : results->complete ? "passed" : "not complete",
		bad, counts.attempts);
	fputs("</title>\n<style>\n", out);
	fputs(html_style, out);
	fputs("</style></head>\n<body>\n<header><h1>vireo test</h1>\n", out);
	write_verdict(out, results, &counts);
	write_counts(out, &counts);
	write_facts(out, results);
	fputs("</header>\n", out);
	r = write_wrong(out, &order);
	fputs("<input type=\"checkbox\" id=\"only\"> "
	      "<label for=\"only\">only details of what went wrong</label>\n<main>\n", out);
	for (unsigned i = 0, n; i < order.n && r == 0; i += n) {
		n = result_order_same_name(&order, i);
		r = write_test(&h, &order, i, n);
	}
	if (!h.details_of_good)
		fputs("<p class=\"gap\">There are too many runs for details of those that went "
		      "well: results.json has all.</p>\n", out);
	fputs("</main>\n</body></html>\n", out);
	result_order_fini(&order);
	return r;
}
