#include "vmm/test/progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/test/console_end.h"
#include "vmm/test/escape.h"

enum {
	MAX_SLOTS = 256,
	DEFAULT_COLUMNS = 80,
	MAX_COLUMNS = 300,
	CONSOLE_LINES = 10,
	LISTED = 100,		/* of what went wrong, at the end */
};

struct slot {
	bool used;
	char *title, *step;
	unsigned index, of;
	uint64_t began_ms, due_ms;	/* 0: no limit */
};

struct progress {
	struct progress_config config;
	uint64_t began_ms;
	unsigned n_slots;		/* those above are unused */
	unsigned n_drawn;		/* live lines that are on the screen */
	unsigned drawn_width[MAX_SLOTS + 1];
	unsigned count[N_VERDICTS];
	struct slot slot[MAX_SLOTS];
};

static const struct {
	const char *word, *colour;
} looks[N_VERDICTS] = {
	[VERDICT_PASSED] = { "ok", "32" },
	[VERDICT_FAILED] = { "FAILED", "31" },
	[VERDICT_TIMED_OUT] = { "TIMED OUT", "33" },
	[VERDICT_BROKEN] = { "BROKEN", "35" },
	[VERDICT_SKIPPED] = { "skipped", "36" },
	[VERDICT_NOT_RUN] = { "not run", "36" },
};

bool progress_is_live(FILE *out)
{
	const char *term = getenv("TERM"), *ci = getenv("CI");

	if (ci && *ci && strcmp(ci, "0") != 0 && strcasecmp(ci, "false") != 0)
		return false;
	return isatty(fileno(out)) && term && *term && strcmp(term, "dumb") != 0;
}

static void screen_size(const struct progress *p, unsigned *columns, unsigned *rows)
{
	struct winsize size;

	*columns = DEFAULT_COLUMNS;
	*rows = 24;
	if (ioctl(fileno(p->config.out), TIOCGWINSZ, &size) == 0) {
		if (size.ws_col > 0)
			*columns = size.ws_col < MAX_COLUMNS ? size.ws_col : MAX_COLUMNS;
		if (size.ws_row > 0)
			*rows = size.ws_row;
	}
}

/* --- The live lines --------------------------------------------------------------------------- */

/*
 * Remove them: the cursor is at the end of the last one.  A terminal that became narrower has
 * wrapped them; the lines that it made count, too.
 */
static void clear_live(struct progress *p)
{
	unsigned columns, rows, up = 0;

	if (!p->n_drawn)
		return;
	screen_size(p, &columns, &rows);
	for (unsigned i = 0; i < p->n_drawn; i++)
		up += p->drawn_width[i] > columns ? (p->drawn_width[i] + columns - 1) / columns : 1;
	up = up - 1 < rows - 1 ? up - 1 : rows - 1;
	fputc('\r', p->config.out);
	if (up > 0)
		fprintf(p->config.out, "\033[%uA", up);
	fputs("\033[J", p->config.out);
	p->n_drawn = 0;
}

static unsigned count_running(const struct progress *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_slots; i++)
		n += p->slot[i].used;
	return n;
}

/* "1:05" */
static void format_time(char buf[16], uint64_t ms)
{
	uint64_t s = ms / 1000 < 359999 ? ms / 1000 : 359999;

	if (s >= 3600)
		snprintf(buf, 16, "%u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60),
			 (unsigned)(s % 60));
	else
		snprintf(buf, 16, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
}

/*
 * " 0:12  2/5 boots [vm.cpus=4]: expect "login:"  0:48 left", in less than 'columns'.  Returns how
 * many it took.
 */
static unsigned draw_slot(const struct progress *p, const struct slot *s, uint64_t now_ms,
			  unsigned columns)
{
	char taken[16], left[16] = "", head[48], tail[32] = "";
	unsigned room, used, for_title;

	format_time(taken, now_ms - s->began_ms);
	if (s->due_ms) {
		format_time(left, s->due_ms > now_ms ? s->due_ms - now_ms : 0);
		snprintf(tail, sizeof(tail), "  %s left", left);
	}
	if (s->of)
		snprintf(head, sizeof(head), "%7s  %u/%u ", taken, s->index + 1, s->of);
	else
		snprintf(head, sizeof(head), "%7s  ", taken);
	if (strlen(head) + strlen(tail) + 1 >= columns)
		return escape_line(p->config.out, head, columns - 1);
	room = columns - 1 - (unsigned)(strlen(head) + strlen(tail));
	fputs(head, p->config.out);
	for_title = s->step && room > 24 ? room * 3 / 5 : room;
	used = escape_line(p->config.out, s->title, for_title);
	if (s->step && room > used + 6) {
		fputs(": ", p->config.out);
		used += 2 + escape_line(p->config.out, s->step, room - used - 2);
	}
	fputs(tail, p->config.out);
	return used + (unsigned)(strlen(head) + strlen(tail));
}

static unsigned draw_summary(const struct progress *p, uint64_t now_ms, unsigned columns)
{
	char line[160], time[16];
	unsigned done = 0, bad = 0;

	for (unsigned i = 0; i < N_VERDICTS; i++) {
		done += p->count[i];
		bad += verdict_is_bad((enum verdict)i) ? p->count[i] : 0;
	}
	format_time(time, now_ms - p->began_ms);
	snprintf(line, sizeof(line), "%7s  %u of %u done, %u went wrong, %u running", time, done,
		 p->config.n_planned, bad, count_running(p));
	return escape_line(p->config.out, line, columns - 1);
}

static void draw_live(struct progress *p)
{
	uint64_t now_ms = clock_now_ms();
	unsigned columns, rows;

	if (!p->config.live)
		return;
	screen_size(p, &columns, &rows);
	columns = columns < 2 ? 2 : columns;
	for (unsigned i = 0; i < p->n_slots && p->n_drawn + 2 < rows; i++) {
		if (!p->slot[i].used)
			continue;
		p->drawn_width[p->n_drawn++] = draw_slot(p, &p->slot[i], now_ms, columns);
		fputc('\n', p->config.out);
	}
	/* The summary counts those for which there is no row. */
	p->drawn_width[p->n_drawn++] = draw_summary(p, now_ms, columns);
	fflush(p->config.out);
}

/* --- Lines that stay ---------------------------------------------------------------------------*/

static void put_word(const struct progress *p, enum verdict verdict)
{
	if (p->config.live)
		fprintf(p->config.out, "\033[%sm%-9s\033[0m", looks[verdict].colour,
			looks[verdict].word);
	else
		fprintf(p->config.out, "%-9s", looks[verdict].word);
}

/* Each line of a reason, indented. */
static void put_why(const struct progress *p, const char *why)
{
	FILE *out = p->config.out;

	for (unsigned n = 0; why && *why && n < 20; n++) {
		size_t len = strcspn(why, "\n");
		char *line = strndup(why, len);
		if (line) {
			fputs("          ", out);
			escape_line(out, line, MAX_COLUMNS);
			fputc('\n', out);
		}
		free(line);
		why += len + (why[len] == '\n');
	}
}

static void put_result(const struct progress *p, const struct test_result *r)
{
	char *title = test_result_title(r);

	put_word(p, r->verdict);
	if (r->verdict == VERDICT_SKIPPED || r->verdict == VERDICT_NOT_RUN)
		fputs("          ", p->config.out);
	else
		fprintf(p->config.out, "%8.1fs ", (double)r->duration_ns / 1e9);
	fputc(' ', p->config.out);
	escape_line(p->config.out, title ? title : r->name, MAX_COLUMNS);
	if (r->attempt > 1)
		fprintf(p->config.out, " (attempt %u)", r->attempt);
	if (r->flaky)
		fputs(" (flaky)", p->config.out);
	if (r->retried)
		fputs(": is tried again", p->config.out);
	if (r->verdict == VERDICT_SKIPPED && r->why) {
		fputs(": ", p->config.out);
		escape_line(p->config.out, r->why, MAX_COLUMNS);
	}
	fputc('\n', p->config.out);
	free(title);
}

/* The step that went wrong says more than the verdict of the whole, unless that says the same. */
static void put_bad_step(const struct progress *p, const struct test_result *r)
{
	for (unsigned i = 0; i < r->n_steps; i++) {
		const struct test_step *step = &r->step[i];
		if (!verdict_is_bad(step->verdict))
			continue;
		fprintf(p->config.out, "          step %u of %u, ", i + 1, r->n_steps);
		if (r->file && step->line) {
			escape_line(p->config.out, r->file, MAX_COLUMNS);
			fprintf(p->config.out, ":%u: ", step->line);
		}
		escape_line(p->config.out, step->text, MAX_COLUMNS);
		fputc('\n', p->config.out);
		if (step->why && (!r->why || !strstr(r->why, step->why)))
			put_why(p, step->why);
		return;
	}
}

static void put_console(const struct progress *p, const char *path)
{
	char *line[64];
	unsigned most = p->config.n_console_lines ? p->config.n_console_lines : CONSOLE_LINES;
	unsigned n = console_end_read(path, line, most < ARRAY_SIZE(line) ? most :
				      ARRAY_SIZE(line));

	for (unsigned i = 0; i < n; i++) {
		fputs("          | ", p->config.out);
		escape_line(p->config.out, line[i], MAX_COLUMNS);
		fputc('\n', p->config.out);
		free(line[i]);
	}
}

/* --- What the runner calls --------------------------------------------------------------------*/

int progress_create(struct progress **out, const struct progress_config *config)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->config = *config;
	(*out)->began_ms = clock_now_ms();
	return 0;
}

static void free_slot(struct slot *s)
{
	free(s->title);
	free(s->step);
	*s = (struct slot){ 0 };
}

void progress_destroy(struct progress *p)
{
	if (!p)
		return;
	clear_live(p);
	fflush(p->config.out);
	for (unsigned i = 0; i < p->n_slots; i++)
		free_slot(&p->slot[i]);
	free(p);
}

void progress_start(struct progress *p, unsigned slot, const char *title, uint64_t limit_ms)
{
	struct slot *s;

	if (slot >= MAX_SLOTS)
		return;
	s = &p->slot[slot];
	free_slot(s);
	s->used = true;
	s->title = strdup(title);
	s->began_ms = clock_now_ms();
	s->due_ms = limit_ms ? s->began_ms + limit_ms : 0;
	if (slot >= p->n_slots)
		p->n_slots = slot + 1;
	progress_tick(p);
}

void progress_step(struct progress *p, unsigned slot, const char *text, unsigned index,
		   unsigned of)
{
	struct slot *s;

	if (slot >= MAX_SLOTS || !p->slot[slot].used)
		return;
	s = &p->slot[slot];
	free(s->step);
	s->step = strdup(text);
	s->index = index;
	s->of = of;
	/* A tick draws it: steps may follow each other faster than anybody reads. */
}

void progress_end(struct progress *p, unsigned slot, const struct test_result *result,
		  const char *console)
{
	if (slot < MAX_SLOTS)
		free_slot(&p->slot[slot]);
	if (!result->retried)
		p->count[result->verdict]++;
	clear_live(p);
	if (!p->config.quiet || verdict_is_bad(result->verdict))
		put_result(p, result);
	if (verdict_is_bad(result->verdict)) {
		put_why(p, result->why);
		put_bad_step(p, result);
		if (console)
			put_console(p, console);
		if (result->command) {
			fputs("          reproduce: ", p->config.out);
			escape_line(p->config.out, result->command, 4 * MAX_COLUMNS);
			fputc('\n', p->config.out);
		}
	}
	fflush(p->config.out);
	draw_live(p);
}

void progress_say(struct progress *p, const char *fmt, ...)
{
	char *line = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&line, fmt, args) < 0)
		line = NULL;
	va_end(args);
	clear_live(p);
	escape_line(p->config.out, line, 4 * MAX_COLUMNS);
	fputc('\n', p->config.out);
	fflush(p->config.out);
	free(line);
	draw_live(p);
}

void progress_tick(struct progress *p)
{
	if (!p->config.live)
		return;
	clear_live(p);
	draw_live(p);
}

/* "3 passed, 1 failed, 0 skipped, 2 timed out, 1 broken, 1 not run, 1 flaky" */
static void put_counts(const struct progress *p, const struct result_counts *counts)
{
	static const enum verdict rare[] = { VERDICT_TIMED_OUT, VERDICT_BROKEN, VERDICT_NOT_RUN };

	fprintf(p->config.out, "%u passed, %u failed, %u skipped", counts->verdict[VERDICT_PASSED],
		counts->verdict[VERDICT_FAILED], counts->verdict[VERDICT_SKIPPED]);
	for (unsigned i = 0; i < ARRAY_SIZE(rare); i++)
		if (counts->verdict[rare[i]])
			fprintf(p->config.out, ", %u %s", counts->verdict[rare[i]],
				verdict_words(rare[i]));
	if (counts->flaky)
		fprintf(p->config.out, ", %u flaky", counts->flaky);
}

void progress_summary(struct progress *p, const struct test_results *results)
{
	struct result_counts counts;
	unsigned listed = 0;
	char taken[16];

	clear_live(p);
	for (unsigned i = 0; i < results->n_tests && listed < LISTED; i++) {
		const struct test_result *r = results->test[i];
		if (!verdict_is_bad(r->verdict) || (r->retried && !r->flaky))
			continue;
		if (listed++ == 0)
			fputs("\nwhat went wrong:\n", p->config.out);
		put_result(p, r);
	}
	for (unsigned i = 0; i < results->n_notes && i < LISTED; i++) {
		fputs("note: ", p->config.out);
		escape_line(p->config.out, results->note[i], MAX_COLUMNS);
		fputc('\n', p->config.out);
	}
	if (test_results_count(results, &counts) < 0)
		return;
	format_time(taken, clock_now_ms() - p->began_ms);
	put_counts(p, &counts);
	fprintf(p->config.out, " in %s%s", taken, results->complete ? "" : " (not complete)");
	if (p->config.results) {
		fputs(": ", p->config.out);
		escape_line(p->config.out, p->config.results, MAX_COLUMNS);
		fputs("/report.html", p->config.out);
	}
	fputc('\n', p->config.out);
	fflush(p->config.out);
}
