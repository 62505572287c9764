/*
 * PCRE2's own limit counts the steps of a match from one place of the text, so that a match that is
 * tried from each of a million places would still have a million times that.  Therefore places are
 * tried in slices, with a budget of steps for all of a slice; where that is not enough, the slice
 * is made smaller, down to a single place that has the budget for itself.  In between the time is
 * looked at.
 */
#include "vmm/test/pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/error.h"
#include "vmm/test/pcre2_library.h"

#if HAVE_PCRE2

enum {
	SLICE = 4096,			/* places at once */
	NARROWER = 16,
	STEPS = 8 << 20,		/* of a slice: a fraction of a second */
	HEAP_KIB = 65536,
	CPU_LIMIT_NS = 1000000000,	/* of one search */
};

struct pattern {
	char *text;
	pcre2_code *code;
	pcre2_match_data *data;
};

static const struct pcre2_library *pcre2;
static pcre2_match_context *limits;	/* one thread looks for patterns */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static int load(char why[PATTERN_WHY_SIZE])
{
	int r = pcre2_library_load(&pcre2);

	if (r == 0 && !limits) {
		limits = pcre2->match_context_create(NULL);
		if (limits)
			pcre2->set_heap_limit(limits, HEAP_KIB);
		else
			r = error_set(ENOMEM, "no memory for a regular expression");
	}
	if (r == 0)
		return 0;
	snprintf(why, PATTERN_WHY_SIZE, "%s", error_text());
	error_clear();
	return r;
}

static int compile(struct pattern *p, char why[PATTERN_WHY_SIZE])
{
	char message[160];
	size_t len = strlen(p->text), offset = 0;
	int err = 0;

	if (len > PATTERN_MAX) {
		snprintf(why, PATTERN_WHY_SIZE, "this regular expression has more than %d bytes",
			 PATTERN_MAX);
		return -EINVAL;
	}
	p->code = pcre2->compile((PCRE2_SPTR)p->text, len,
				 PCRE2_UTF | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
					 PCRE2_USE_OFFSET_LIMIT,
				 &err, &offset, NULL);
	if (!p->code) {
		pcre2->error_message(err, (PCRE2_UCHAR *)message, sizeof(message));
		snprintf(why, PATTERN_WHY_SIZE, "no regular expression: %s, at character %zu",
			 message, offset + 1);
		return -EINVAL;
	}
	/* Only faster: without it the interpreter does it. */
	pcre2->jit_compile(p->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
	p->data = pcre2->match_data_create(p->code, NULL);
	if (p->data)
		return 0;
	snprintf(why, PATTERN_WHY_SIZE, "no memory");
	return -ENOMEM;
}

int pattern_create(struct pattern **out, const char *text, bool of_stream,
		   char why[PATTERN_WHY_SIZE])
{
	struct pattern *p = NULL;
	struct pattern_place place;
	int r = load(why);

	*out = NULL;
	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (p)
		p->text = strdup(text);
	if (!p || !p->text) {
		snprintf(why, PATTERN_WHY_SIZE, "no memory");
		r = -ENOMEM;
	} else {
		r = compile(p, why);
	}
	if (r == 0 && of_stream && pattern_find(p, "", 0, 0, false, &place) == PATTERN_FOUND) {
		snprintf(why, PATTERN_WHY_SIZE,
			 "it matches where nothing is printed, so that it waits for nothing");
		r = -EINVAL;
	}
	if (r < 0)
		pattern_destroy(p);
	else
		*out = p;
	return r;
}

void pattern_destroy(struct pattern *p)
{
	if (!p)
		return;
	if (p->data)
		pcre2->match_data_free(p->data);
	if (p->code)
		pcre2->code_free(p->code);
	free(p->text);
	free(p);
}

static bool is_limit(int r)
{
	return r == PCRE2_ERROR_MATCHLIMIT || r == PCRE2_ERROR_DEPTHLIMIT ||
	       r == PCRE2_ERROR_HEAPLIMIT || r == PCRE2_ERROR_JIT_STACKLIMIT;
}

/* Is it the first byte of a character, or the end? */
static bool is_boundary(const char *text, size_t len, size_t at)
{
	return at >= len || ((unsigned char)text[at] & 0xc0) != 0x80;
}

enum pattern_verdict pattern_find(const struct pattern *p, const char *text, size_t len,
				  size_t from, bool more, struct pattern_place *place)
{
	uint32_t options = PCRE2_NO_UTF_CHECK | (more ? PCRE2_PARTIAL_HARD : 0);
	size_t slice = SLICE;
	uint64_t started = cpu_ns();
	const PCRE2_SIZE *ovector = pcre2->ovector(p->data);

	while (from <= len) {
		size_t last = len - from < slice ? len : from + slice - 1;
		int r;

		while (!is_boundary(text, len, last))
			last--;
		pcre2->set_offset_limit(limits, last);
		pcre2->set_match_limit(limits, (uint32_t)(STEPS / slice));
		r = pcre2->match(p->code, (PCRE2_SPTR)text, len, from, options, p->data, limits);
		if (r > 0 || r == PCRE2_ERROR_PARTIAL) {
			/* \K can put the begin behind the end. */
			place->start = ovector[0] < ovector[1] ? ovector[0] : ovector[1];
			place->end = ovector[1];
			return r > 0 ? PATTERN_FOUND : PATTERN_OPEN;
		}
		if (is_limit(r) && slice > 1) {
			slice = slice > NARROWER ? slice / NARROWER : 1;
		} else if (r != PCRE2_ERROR_NOMATCH) {
			return PATTERN_TOO_HARD;
		} else {
			from = last + 1;
			while (!is_boundary(text, len, from))
				from++;
			slice = slice * 2 < SLICE ? slice * 2 : SLICE;
		}
		if (cpu_ns() - started > CPU_LIMIT_NS)
			return PATTERN_TOO_HARD;
	}
	return PATTERN_NOT_FOUND;
}

const char *pattern_text(const struct pattern *p)
{
	return p->text;
}

#else

int pattern_create(struct pattern **out, const char *text, bool of_stream,
		   char why[PATTERN_WHY_SIZE])
{
	const struct pcre2_library *library;
	int r = pcre2_library_load(&library);

	(void)text;
	(void)of_stream;
	*out = NULL;
	snprintf(why, PATTERN_WHY_SIZE, "%s", error_text());
	error_clear();
	return r;
}

/* There is none. */
void pattern_destroy(struct pattern *pattern)
{
	(void)pattern;
}

const char *pattern_text(const struct pattern *pattern)
{
	(void)pattern;
	return "";
}

enum pattern_verdict pattern_find(const struct pattern *pattern, const char *text, size_t len,
				  size_t from, bool more, struct pattern_place *place)
{
	(void)pattern;
	(void)text;
	(void)len;
	(void)from;
	(void)more;
	(void)place;
	return PATTERN_TOO_HARD;
}

#endif
