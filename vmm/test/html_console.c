/*
 * The console in the report.  It may be larger than memory, so windows of it are read: its end, its
 * beginning, and what steps matched or what offended.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/base/fd.h"
#include "vmm/base/text.h"
#include "vmm/test/escape.h"
#include "vmm/test/html.h"
#include "vmm/test/plain_text.h"
#include "vmm/test/run_files.h"

enum {
	MAX_MARKS = 64,		/* of the steps that are looked at, the last ones */
	MAX_WINDOWS = 2 + MAX_MARKS,
	LINE_SOUGHT = 400,	/* a window begins with a line, if one begins so near */
};

enum mark_kind { MARK_NONE, MARK_MATCH, MARK_OFFENCE };

struct mark {
	uint64_t from, to;
	enum mark_kind kind;
};

struct window {
	uint64_t from, to;
};

struct view {
	FILE *out;
	int fd;
	uint64_t size;
	unsigned n_marks, n_windows;
	unsigned index;		/* of the run: the first line that offended is "oINDEX" */
	bool has_id;
	struct mark mark[MAX_MARKS];
	struct window window[MAX_WINDOWS];
};

/* From the last step back: where it went wrong is what people look for. */
static void collect_marks(struct view *v, const struct test_result *result)
{
	for (unsigned i = result->n_steps; i-- > 0 && v->n_marks < MAX_MARKS;) {
		const struct test_step *step = &result->step[i];
		if (step->console_from < 0 || step->console_to < step->console_from ||
		    (uint64_t)step->console_from >= v->size)
			continue;
		v->mark[v->n_marks++] = (struct mark){
			.from = (uint64_t)step->console_from,
			.to = min_u64((uint64_t)step->console_to, v->size),
			.kind = verdict_is_bad(step->verdict) ? MARK_OFFENCE : MARK_MATCH,
		};
	}
}

static void add_window(struct view *v, uint64_t middle, uint64_t reach, uint64_t *left)
{
	uint64_t from = middle > reach ? middle - reach : 0;
	uint64_t to = min_u64(middle + reach, v->size);

	if (to - from > *left || v->n_windows == MAX_WINDOWS)
		return;
	*left -= to - from;
	v->window[v->n_windows++] = (struct window){ from, to };
}

static int by_place(const void *a, const void *b)
{
	const struct window *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* What of it is shown, in at most 'most' bytes: in order, and apart from each other. */
static void choose_windows(struct view *v, size_t most)
{
	uint64_t left = most, reach = most / 8;
	unsigned kept = 0;

	if (v->size <= most) {
		v->window[v->n_windows++] = (struct window){ 0, v->size };
		return;
	}
	add_window(v, v->size, 2 * reach, &left);
	for (int kind = MARK_OFFENCE; kind >= MARK_MATCH; kind--) {
		for (unsigned i = 0; i < v->n_marks; i++)
			if ((int)v->mark[i].kind == kind)
				add_window(v, v->mark[i].from, reach / 2, &left);
		if (kind == MARK_OFFENCE)
			add_window(v, 0, reach, &left);
	}
	qsort(v->window, v->n_windows, sizeof(v->window[0]), by_place);
	for (unsigned i = 1; i < v->n_windows; i++) {
		if (v->window[i].from <= v->window[kept].to)
			v->window[kept].to = max_u64(v->window[kept].to, v->window[i].to);
		else
			v->window[++kept] = v->window[i];
	}
	v->n_windows = kept + 1;
}

static enum mark_kind kind_of(const struct view *v, uint64_t from, uint64_t to)
{
	enum mark_kind kind = MARK_NONE;

	for (unsigned i = 0; i < v->n_marks; i++)
		if (v->mark[i].from < to && from < v->mark[i].to && v->mark[i].kind > kind)
			kind = v->mark[i].kind;
	return kind;
}

/*
 * One line, [from, to) of 'bytes', which begin at 'base' of the console.  Returns how many bytes of
 * text that made, some 'most' of them.
 */
static size_t write_line(struct view *v, const char *bytes, size_t from, size_t to, uint64_t base,
			 size_t most)
{
	struct plain_text t = { .bytes = bytes, .len = to, .at = from };
	enum mark_kind line = kind_of(v, base + from, base + to), now = MARK_NONE;
	struct plain_char c;
	size_t len = 0;

	if (line == MARK_MATCH)
		fputs("<span class=\"lm\">", v->out);
	if (line == MARK_OFFENCE)
		fprintf(v->out, v->has_id ? "<span class=\"lo\">" :
			"<span class=\"lo\" id=\"o%u\">", v->index);
	v->has_id |= line == MARK_OFFENCE;
	while (len <= most && plain_text_next(&t, &c)) {
		enum mark_kind kind = line == MARK_NONE || c.c == '\n' ? MARK_NONE :
				      kind_of(v, base + c.from, base + c.from + 1);
		if (kind != now && now != MARK_NONE)
			fputs("</mark>", v->out);
		if (kind != now && kind != MARK_NONE)
			fputs(kind == MARK_OFFENCE ? "<mark class=\"o\">" : "<mark>", v->out);
		now = kind;
		len += escape_html_char(v->out, c.c);
	}
	if (now != MARK_NONE)
		fputs("</mark>", v->out);
	if (line != MARK_NONE)
		fputs("</span>", v->out);
	return len;
}

static void write_gap(const struct view *v, uint64_t len)
{
	fprintf(v->out, "<span class=\"gap\">&#8943; %llu %s left out &#8943;</span>\n",
		(unsigned long long)(len < 4096 ? len : len >> 10), len < 4096 ? "bytes" : "KiB");
}

static void write_window(struct view *v, const struct window *w)
{
	size_t len = w->to - w->from, at = 0, written = 0;
	char *bytes = malloc(len + 1), *newline;

	if (!bytes || fd_pread_all(v->fd, bytes, len, (off_t)w->from) < 0) {
		free(bytes);
		return;
	}
	newline = w->from ? memchr(bytes, '\n', min_u64(len, LINE_SOUGHT)) : NULL;
	/* Not beyond what the window is there for. */
	if (newline && kind_of(v, w->from, w->from + (uint64_t)(newline - bytes)) == MARK_NONE)
		at = (size_t)(newline - bytes) + 1;
	/* Escapes are long: what has more of them than text is not worth its room. */
	while (at < len && written <= 2 * len) {
		newline = memchr(bytes + at, '\n', len - at);
		size_t to = newline ? (size_t)(newline - bytes) + 1 : len;
		written += write_line(v, bytes, at, to, w->from, 2 * len - written);
		at = to;
	}
	if (written > 2 * len)
		fputs("<span class=\"gap\">&#8943; some is left out &#8943;</span>\n", v->out);
	free(bytes);
}

/* Is something of what offended shown? */
static bool has_offence(const struct view *v)
{
	for (unsigned i = 0; i < v->n_windows; i++)
		if (kind_of(v, v->window[i].from, v->window[i].to) == MARK_OFFENCE)
			return true;
	return false;
}

void html_write_console(const struct html *h, const struct test_result *result, unsigned index)
{
	struct view v = { .out = h->out, .index = index };
	bool is_bad = verdict_is_bad(result->verdict);
	uint64_t end = 0;

	v.fd = result->dir ? run_files_open(h->dir, result->dir, "console.log", &v.size) : FD_NONE;
	if (v.fd < 0)
		return;
	collect_marks(&v, result);
	choose_windows(&v, is_bad ? h->console_bad : h->console_good);
	fputs("<h4>Console", h->out);
	if (has_offence(&v))
		fprintf(h->out, " <a href=\"#o%u\">what went wrong</a>", index);
	fprintf(h->out, "</h4>\n<div class=\"con%s\" tabindex=\"0\"><pre>", is_bad ? " end" : "");
	for (unsigned i = 0; i < v.n_windows; i++) {
		if (v.window[i].from > end)
			write_gap(&v, v.window[i].from - end);
		write_window(&v, &v.window[i]);
		end = v.window[i].to;
	}
	if (v.size == 0)
		fputs("<span class=\"gap\">nothing was printed</span>", h->out);
	fputs("</pre></div>\n", h->out);
	fd_close(&v.fd);
}
