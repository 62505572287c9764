/*
 * A regular expression of a test file (PCRE2), matched against text that is still growing, with
 * bounded work: neither a pattern nor a guest's text can make it hang.
 *
 * '^' and '$' are the begin and end of a line, '.' is any character but a line's end, and text is
 * UTF-8.
 */
#ifndef TEST_PATTERN_H
#define TEST_PATTERN_H

#include "vmm/base/util.h"

struct pattern;

enum { PATTERN_WHY_SIZE = 256, PATTERN_MAX = 16384 };

/*
 * Compile 'text' (copied).  With 'of_stream' one that is content with no text at all is refused: it
 * would match before anything was printed.
 *
 * Returns 0 and an owned pattern; -EINVAL (wrong), -ENOTSUP or -ENOENT (no PCRE2 here), -ENOMEM,
 * with a sentence in 'why'.
 */
MUST_USE int pattern_create(struct pattern **out, const char *text, bool of_stream,
			    char why[PATTERN_WHY_SIZE]);
void pattern_destroy(struct pattern *pattern);

/* As it was written. */
const char *pattern_text(const struct pattern *pattern);

enum pattern_verdict {
	PATTERN_FOUND,		/* [start, end) */
	PATTERN_NOT_FOUND,	/* and none begins in this text */
	PATTERN_OPEN,		/* more text may complete, or change, one that begins at 'start' */
	PATTERN_TOO_HARD,	/* given up: too much work */
};

struct pattern_place {
	size_t start, end;
};

/*
 * Find the first match in text[0 .. len) (valid UTF-8) that begins at 'from' or later.  'more': the
 * text may go on, so that a match that touches its end, or looks beyond it, is OPEN.  One thread
 * per pattern.
 */
enum pattern_verdict pattern_find(const struct pattern *pattern, const char *text, size_t len,
				  size_t from, bool more, struct pattern_place *place);

#endif
