/* Words that people type: sizes, numbers, booleans, and the nearest name to a mistyped one. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "vmm/base/util.h"

/*
 * Parse a size: decimal or 0x hexadecimal, then nothing, K, M, G or T (powers of 1024; "KiB" and
 * "KB" forms are accepted). Returns 0, -EINVAL for something else, -ERANGE on overflow.
 */
MUST_USE int text_parse_size(const char *text, uint64_t *out);

/* Parse an unsigned number, decimal or 0x hexadecimal.  Returns 0, -EINVAL or -ERANGE. */
MUST_USE int text_parse_u64(const char *text, uint64_t *out);

/* yes/no, on/off, true/false, 1/0.  Returns 0 or -EINVAL. */
MUST_USE int text_parse_bool(const char *text, bool *out);

/*
 * Parse a duration: a number (fractions allowed) with ms, s (default), m or h, into milliseconds.
 * Returns 0, -EINVAL or -ERANGE.
 */
MUST_USE int text_parse_duration_ms(const char *text, uint64_t *out);

/* How many characters must be inserted, deleted, replaced or swapped to get from 'a' to 'b'. */
unsigned text_distance(const char *a, const char *b);

/*
 * The name nearest to 'word' among 'n' names, if it is near enough to be a typing slip; else NULL.
 */
const char *text_nearest(const char *word, const char *const *names, unsigned n);

/* Print 'bytes' the way text_parse_size reads it ("512M"); 'buf' has room for 24 characters. */
const char *text_format_size(char buf[24], uint64_t bytes);

#endif
