/*
 * What 'vireo test' says while it runs.  On a terminal: a line for each test that has ended, and
 * below them, redrawn in place, one for each that runs, with its step and the time left, and one
 * for the whole.  Elsewhere (a file, a pipe, CI=true): only lines of tests that have ended.  A test
 * that went wrong says why, with the console's last lines, at once.
 *
 * No guest can write an escape sequence or a line of its own through it.  One thread; the caller
 * has it redrawn a few times a second (progress_tick), so that time passes.
 */
#ifndef TEST_PROGRESS_H
#define TEST_PROGRESS_H

#include <stdio.h>

#include "vmm/test/result.h"

struct progress;

struct progress_config {
	FILE *out;		/* kept */
	bool live;		/* redraw: progress_is_live(out) knows */
	bool quiet;		/* say nothing of tests that passed */
	unsigned n_planned;	/* attempts that will be run */
	const char *results;	/* the results directory, for the last lines; kept */
	unsigned n_console_lines;	/* of a test that went wrong; 0: 10 */
};

/* Is it a terminal, whose user is no CI system (CI, TERM=dumb)? */
bool progress_is_live(FILE *out);

MUST_USE int progress_create(struct progress **out, const struct progress_config *config);
/* Clears the live lines.  NULL is fine. */
void progress_destroy(struct progress *p);

/*
 * A test starts, in 'slot' (below 256: which of those that run at a time).  'title' is borrowed;
 * 'limit_ms': its time limit, 0: none.
 */
void progress_start(struct progress *p, unsigned slot, const char *title, uint64_t limit_ms);

/* It is at step 'index' (from 0) of 'of'.  'text' is borrowed. */
void progress_step(struct progress *p, unsigned slot, const char *text, unsigned index,
		   unsigned of);

/*
 * It ended.  'slot' UINT_MAX: one that never started (skipped).  'console' is the file of its
 * console, or NULL: the last lines are shown when it went wrong.
 */
void progress_end(struct progress *p, unsigned slot, const struct test_result *result,
		  const char *console);

/* Something to say in between ("vireo: ..."), one line, above the live ones. */
void progress_say(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Draw anew: time passed, or the terminal has another size. */
void progress_tick(struct progress *p);

/* The list of what went wrong, and "3 passed, 1 failed, 0 skipped".  Ends the live lines. */
void progress_summary(struct progress *p, const struct test_results *results);

#endif
