#include "vmm/report/timeline_svg.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/json_depth.h"

/* In the picture's units, which are pixels at its natural size. */
enum {
	ROW = 20,
	TOP = 64,
	LEFT = 250,			/* where the bars begin; names are left of it */
	BARS = 560,			/* for the whole time */
	RIGHT = 150,			/* for the last time behind a bar */
	WIDTH = LEFT + BARS + RIGHT,
	NAME_SHOWN = 34,		/* characters that fit left of the bars */
};

/* A guest may have had a say in a name; XML has no control characters. */
static void write_escaped(FILE *out, const char *s, size_t max)
{
	size_t len = strlen(s), shown = len > max ? max - 1 : len;

	for (size_t i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)s[i];
		switch (c) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		case '"': fputs("&quot;", out); break;
		default:
			if (c < 0x20 || c >= 0x7f)
				fputc('?', out);
			else
				fputc(c, out);
		}
	}
	if (shown < len)
		fputs("&#8230;", out);
}

static uint64_t last_ns(const struct timeline *t)
{
	uint64_t last = 1;

	for (unsigned i = 0; i < t->n; i++)
		last = t->mark[i].ns > last ? t->mark[i].ns : last;
	return last;
}

static double x_of(uint64_t ns, uint64_t last)
{
	return LEFT + BARS * ((double)ns / (double)last);
}

/* A step of the scale that makes at most ten of it: 1, 2 or 5 of a power of ten, in ms. */
static double scale_step(double total_ms)
{
	static const double factor[] = { 2, 2.5, 2 };
	double step = 1e-6;

	for (unsigned i = 0; total_ms / step > 10 && i < 100; i++)
		step *= factor[i % ARRAY_SIZE(factor)];
	return step;
}

static void write_scale(FILE *out, uint64_t last, unsigned bottom)
{
	double total = (double)last / 1e6, step = scale_step(total);

	for (unsigned i = 0; i <= 10 && i * step <= total; i++) {
		double x = LEFT + BARS * (i * step / total);
		fprintf(out, "<line class=\"g\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%u\"/>\n", x,
			TOP - 8, x, bottom);
		fprintf(out, "<text class=\"s\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g"
			"</text>\n", x, TOP - 14, i * step);
	}
}

/* When the phase that begins with mark 'i' is over. */
static uint64_t end_of(const struct timeline *t, unsigned i, uint64_t last)
{
	for (unsigned k = i + 1; k < t->n; k++)
		if (t->mark[k].is_phase)
			return t->mark[k].ns;
	return last;
}

static void write_row(FILE *out, const struct timeline *t, unsigned i, uint64_t last)
{
	const struct timeline_mark *m = &t->mark[i];
	uint64_t end = m->is_phase ? end_of(t, i, last) : m->ns;
	double x = x_of(m->ns, last), end_x = x_of(end > m->ns ? end : m->ns, last);
	unsigned y = TOP + i * ROW;

	fputs("<text x=\"12\" y=\"", out);
	fprintf(out, "%u\">", y + 14);
	write_escaped(out, m->name, NAME_SHOWN);
	fputs("<title>", out);
	write_escaped(out, m->name, TIMELINE_NAME_SIZE);
	fputs("</title></text>\n", out);
	if (m->is_phase) {
		fprintf(out, "<rect class=\"p\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" "
			"height=\"%d\"/>\n", x, y + 3, end_x - x < 1 ? 1 : end_x - x, ROW - 6);
		fprintf(out, "<text class=\"s\" x=\"%.1f\" y=\"%u\">%.3f ms</text>\n", end_x + 6,
			y + 14, (double)(end - m->ns) / 1e6);
	} else {
		fprintf(out, "<circle class=\"m\" cx=\"%.1f\" cy=\"%u\" r=\"4\"/>\n", x,
			y + ROW / 2);
		fprintf(out, "<text class=\"s\" x=\"%.1f\" y=\"%u\">at %.3f ms</text>\n", x + 8,
			y + 14, (double)m->ns / 1e6);
	}
}

void timeline_write_svg(FILE *out, const struct timeline *t)
{
	unsigned height = TOP + t->n * ROW + 16;
	uint64_t last = last_ns(t);

	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
		"viewBox=\"0 0 %d %u\" role=\"img\" aria-label=\"boot timeline\">\n", WIDTH,
		height, WIDTH, height);
	fputs("<style>\n"
	      "svg { background: #fff; font: 13px sans-serif; }\n"
	      "text { fill: #1b1f24; } .s { fill: #57606a; font-size: 11px; }\n"
	      ".t { font-size: 16px; font-weight: bold; } .g { stroke: #d0d7de; }\n"
	      ".p { fill: #2f6fb7; } .m { fill: #bc4c00; }\n"
	      "@media (prefers-color-scheme: dark) {\n"
	      "svg { background: #0d1117; } text { fill: #e6edf3; } .s { fill: #9da7b3; }\n"
	      ".g { stroke: #30363d; } .p { fill: #58a6ff; } .m { fill: #f0883e; }\n"
	      "}\n</style>\n", out);
	fprintf(out, "<text class=\"t\" x=\"12\" y=\"24\">Boot timeline: %.3f ms</text>\n",
		(double)last / 1e6);
	fprintf(out, "<text class=\"s\" x=\"12\" y=\"%d\">milliseconds</text>\n", TOP - 14);
	write_scale(out, last, height - 12);
	for (unsigned i = 0; i < t->n; i++)
		write_row(out, t, i, last);
	fputs("</svg>\n", out);
}

#if HAVE_JANSSON

#include <jansson.h>
#include <stdlib.h>

enum { MAX_DEPTH = 16 };

/* Events of the boot: what others have put into the file is passed over. */
static void read_event(struct timeline *out, const json_t *event)
{
	const char *ph = json_string_value(json_object_get(event, "ph"));
	const char *name = json_string_value(json_object_get(event, "name"));
	const char *cat = json_string_value(json_object_get(event, "cat"));
	double us = json_number_value(json_object_get(event, "ts"));

	if (!ph || !name || !cat || strcmp(cat, "boot") != 0 || out->n == TIMELINE_MAX)
		return;
	if ((strcmp(ph, "X") != 0 && strcmp(ph, "i") != 0) || !(us >= 0 && us < 1e13))
		return;
	struct timeline_mark *mark = &out->mark[out->n++];
	*mark = (struct timeline_mark){ .ns = (uint64_t)(us * 1000 + 0.5), .is_phase = *ph == 'X' };
	snprintf(mark->name, sizeof(mark->name), "%s", name);
}

static int by_time(const void *a, const void *b)
{
	const struct timeline_mark *x = a, *y = b;

	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

int timeline_read_trace(struct timeline *out, const char *text, size_t len)
{
	json_error_t error;
	json_t *root, *events;

	out->n = 0;
	if (json_is_deeper(text, len, MAX_DEPTH))
		return error_set(EINVAL, "it has more than %d levels", MAX_DEPTH);
	root = json_loadb(text, len, 0, &error);
	if (!root)
		return error_set(EINVAL, "it is no JSON: line %d, column %d: %s", error.line,
				 error.column, error.text);
	events = json_is_array(root) ? root : json_object_get(root, "traceEvents");
	for (size_t i = 0; i < json_array_size(events); i++)
		read_event(out, json_array_get(events, i));
	json_decref(root);
	if (out->n == 0)
		return error_set(EINVAL, "there is no boot timeline in it");
	qsort(out->mark, out->n, sizeof(out->mark[0]), by_time);
	return 0;
}

#else

int timeline_read_trace(struct timeline *out, const char *text, size_t len)
{
	(void)text;
	(void)len;
	out->n = 0;
	error_set(EOPNOTSUPP, "read a trace: this Vireo was built without libjansson");
	error_hint("install libjansson-dev and build again");
	return -EOPNOTSUPP;
}

#endif
