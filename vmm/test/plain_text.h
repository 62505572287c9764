/*
 * What a console printed, as characters that are safe to show anywhere: colours and other sequences
 * for terminals are left out, what is no text becomes a visible sign.  A guest that lies about
 * lengths, starts sequences that it never ends, or mixes directions of writing is shown, not
 * obeyed.  Pure; any thread.
 */
#ifndef TEST_PLAIN_TEXT_H
#define TEST_PLAIN_TEXT_H

#include "vmm/base/util.h"

/* Stands for what is no character. */
enum { NO_CHARACTER = 0xfffd };

/*
 * The character at the beginning of 'len' bytes ('len' > 0) of UTF-8: returns its length, and
 * NO_CHARACTER with length 1 where there is none.
 */
unsigned char_decode(const char *bytes, size_t len, uint32_t *out);

/* 'c' (no surrogate) as UTF-8; returns its length, at most 4. */
unsigned char_encode(char out[4], uint32_t c);

/* Columns that a character takes on a terminal: 0 (it combines), 1 or 2. */
unsigned char_width(uint32_t c);

/* A walk over 'len' bytes; start with 'at' where it shall begin. */
struct plain_text {
	const char *bytes;
	size_t len, at;
};

struct plain_char {
	uint32_t c;		/* printable, '\n' or '\t'; valid in XML 1.0 */
	size_t from;		/* where it begins in 'bytes' */
};

/*
 * The next character; false at the end.  A carriage return is part of the line's end, or one by
 * itself.  Work is linear in 'len'.
 */
bool plain_text_next(struct plain_text *t, struct plain_char *out);

#endif
