/* The picture of a run: phases of the boot and steps over time. */
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/report/timeline_svg.h"
#include "vmm/test/escape.h"
#include "vmm/test/html.h"
#include "vmm/test/run_files.h"

/* In the picture's units, which are pixels at its natural size. */
enum {
	ROW = 22,
	TOP = 30,
	LEFT = 260,
	BARS = 560,
	RIGHT = 150,
	WIDTH = LEFT + BARS + RIGHT,
	NAME_SHOWN = 36,		/* columns left of the bars */
	PHASE_SHOWN = 7,		/* pixels for a column in a bar */
	MAX_ROWS = 40,
	MAX_TRACE = 1 << 20,
};

static double x_of(uint64_t ns, uint64_t total)
{
	return LEFT + BARS * (ns < total ? (double)ns / (double)total : 1);
}

/* A step of the scale that makes at most six of it, in ms. */
static double scale_step(double total_ms)
{
	static const double factor[] = { 2, 2.5, 2 };
	double step = 1e-6;

	for (unsigned i = 0; total_ms / step > 6 && i < 100; i++)
		step *= factor[i % ARRAY_SIZE(factor)];
	return step;
}

static void write_scale(FILE *out, uint64_t total, unsigned bottom)
{
	double ms = (double)total / 1e6, step = scale_step(ms);
	bool seconds = step >= 500;

	for (unsigned i = 0; i <= 6 && i * step <= ms; i++) {
		double x = LEFT + BARS * (i * step / ms);
		fprintf(out, "<line class=\"g\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%u\"/>"
			"<text class=\"s\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g%s"
			"</text>\n", x, TOP - 8, x, bottom, x, TOP - 14,
			seconds ? i * step / 1000 : i * step, seconds ? " s" : " ms");
	}
}

static void write_name(FILE *out, unsigned y, const char *name)
{
	char *line = NULL;
	size_t len;
	FILE *cut = open_memstream(&line, &len);

	if (cut) {
		escape_line(cut, name, NAME_SHOWN);
		fclose(cut);
	}
	fprintf(out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">", LEFT - 12, y + 15);
	escape_html(out, line);
	fputs("</text>", out);
	free(line);
}

static void write_bar(FILE *out, const char *class, double x, double width, unsigned y,
		      const char *title)
{
	fprintf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\" rx=\"2\">"
		"<title>", class, x, y + 4, width < 2 ? 2 : width, ROW - 8);
	escape_html(out, title);
	fputs("</title></rect>", out);
}

/* All phases of the boot in one row; their names where there is room. */
static void write_phases(FILE *out, const struct timeline *t, uint64_t total, unsigned y)
{
	unsigned n = 0;

	write_name(out, y, "boot");
	for (unsigned i = 0; i < t->n; i++) {
		uint64_t end = total;
		if (!t->mark[i].is_phase || t->mark[i].ns > total)
			continue;
		for (unsigned k = i + 1; k < t->n && end == total; k++)
			if (t->mark[k].is_phase || k + 1 == t->n)
				end = min_u64(t->mark[k].ns, total);
		double x = x_of(t->mark[i].ns, total), width = x_of(end, total) - x;
		write_bar(out, n++ % 2 ? "ph2" : "ph", x, width, y, t->mark[i].name);
		if (strlen(t->mark[i].name) * PHASE_SHOWN < width) {
			fprintf(out, "<text class=\"in\" x=\"%.1f\" y=\"%u\">", x + 5, y + 15);
			escape_html(out, t->mark[i].name);
			fputs("</text>", out);
		}
	}
	fputc('\n', out);
}

static void write_step(FILE *out, const struct test_step *step, uint64_t total, unsigned y)
{
	double x = x_of(step->start_ns, total);
	double end = x_of(step->start_ns + step->duration_ns, total);

	write_name(out, y, step->text);
	if (step->verdict == VERDICT_NOT_RUN || step->verdict == VERDICT_SKIPPED) {
		fprintf(out, "<text class=\"s\" x=\"%d\" y=\"%u\">%s</text>\n", LEFT + 4, y + 15,
			verdict_words(step->verdict));
		return;
	}
	write_bar(out, html_class(step->verdict), x, end - x, y, step->text);
	fprintf(out, "<text class=\"s\" x=\"%.1f\" y=\"%u\">", end + 6, y + 15);
	if (step->verdict != VERDICT_PASSED)
		fprintf(out, "%s %s, ", html_sign(step->verdict), verdict_words(step->verdict));
	html_duration(out, step->duration_ns);
	fputs("</text>\n", out);
}

static bool read_boot(const struct html *h, const struct test_result *result, struct timeline *t)
{
	size_t len;
	char *text = run_files_read(h->dir, result->dir, "timeline.json", MAX_TRACE, false, &len);
	bool is_there = text && timeline_read_trace(t, text, len) == 0;

	if (text && !is_there)
		error_clear();
	free(text);
	return is_there;
}

/* When all of it is over: who measured what may disagree a little. */
static uint64_t end_of_all(const struct test_result *result)
{
	uint64_t total = result->duration_ns;

	for (unsigned i = 0; i < result->n_steps; i++)
		total = max_u64(total, result->step[i].start_ns + result->step[i].duration_ns);
	return max_u64(total, 1);
}

void html_write_timeline(const struct html *h, const struct test_result *result)
{
	struct timeline *t = malloc(sizeof(*t));
	bool has_boot = t && read_boot(h, result, t);
	unsigned n = result->n_steps < MAX_ROWS ? result->n_steps : MAX_ROWS, y = TOP;
	unsigned height = TOP + (n + has_boot) * ROW + 8;
	uint64_t total = end_of_all(result);

	if (n + has_boot > 0) {
		fprintf(h->out, "<svg class=\"tl\" viewBox=\"0 0 %d %u\" role=\"img\" "
			"aria-label=\"timeline\">\n", WIDTH, height);
		write_scale(h->out, total, height - 6);
		if (has_boot) {
			write_phases(h->out, t, total, y);
			y += ROW;
		}
		/* The last ones, which went wrong. */
		for (unsigned i = result->n_steps - n; i < result->n_steps; i++, y += ROW)
			write_step(h->out, &result->step[i], total, y);
		fputs("</svg>\n", h->out);
	}
	free(t);
}
