/*
 * Parts of the HTML report (report_html.c puts them together).  The page has no script, loads
 * nothing, and nothing in it is written but through escape.h; how much each run may take is
 * bounded, so that thousands of them make a page that a browser opens.
 */
#ifndef TEST_HTML_H
#define TEST_HTML_H

#include <stdio.h>

#include "vmm/test/result.h"
#include "vmm/test/result_order.h"

struct html {
	FILE *out;
	int dir;			/* the results directory */
	/* Bytes of a console that are shown, of a run that went wrong / of another. */
	size_t console_bad, console_good;
	size_t why;			/* bytes of a reason that are shown */
	bool details_of_good;		/* are there details of runs that went well? */
};

/* The style sheet, and icons. */
extern const char html_style[];
/* A class and a sign for each verdict: people see colours differently. */
const char *html_class(enum verdict verdict);
const char *html_sign(enum verdict verdict);

/* A text of any lines, of which at most 'most' bytes are written.  NULL is nothing. */
void html_text(FILE *out, const char *text, size_t most);

/* "12.3 s", "45 ms". */
void html_duration(FILE *out, uint64_t ns);

/* Runs 'first' to 'first' + 'n' of the order, of one test: a grid by the axes, with links. */
MUST_USE int html_write_grid(const struct html *h, const struct result_order *order, unsigned first,
			     unsigned n);

/* Everything about run number 'index' of the order. */
MUST_USE int html_write_run(const struct html *h, const struct test_result *result, unsigned index);

/* Where the time went: phases of the boot, if they were recorded, and the steps, as a picture. */
void html_write_timeline(const struct html *h, const struct test_result *result);

/*
 * The console of run 'index', with what matched and what offended marked; long ones without their
 * middle.
 */
void html_write_console(const struct html *h, const struct test_result *result, unsigned index);

#endif
