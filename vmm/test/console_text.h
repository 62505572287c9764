/*
 * What a guest printed, as people would read it: without the sequences that steer a terminal
 * (ECMA-48 "ANSI"), without carriage returns and other control characters, always valid UTF-8.  It
 * keeps the last mebibyte or two, and knows of each place which byte of the console it was.
 *
 * Places are counted from the first character on ('uint64_t at', in bytes), whatever was dropped.
 */
#ifndef TEST_CONSOLE_TEXT_H
#define TEST_CONSOLE_TEXT_H

#include "vmm/base/util.h"

enum {
	CONSOLE_TEXT_KEPT = 1 << 20,	/* at least the last so many bytes, if there were as many */
	CONSOLE_TEXT_ROOM = 2 << 20,
	CONSOLE_TEXT_JOINTS = 1 << 16,
};

/* Where something was left out of the text, or replaced: from 'at' on it is byte 'raw' and on. */
struct console_joint {
	uint64_t at, raw;
};

enum console_text_state {
	CT_TEXT,
	CT_ESCAPE,		/* ESC */
	CT_ESCAPE_MORE,		/* ESC and intermediates: one more byte ends it */
	CT_CONTROL,		/* ESC [ */
	CT_STRING,		/* ESC ] and others, up to BEL or ESC \ */
	CT_STRING_ESCAPE,
};

struct console_text {
	char *data;		/* owned */
	size_t len, room;
	uint64_t dropped;	/* so many bytes of text were there before data[0] */
	uint64_t n_raw;		/* bytes of the console so far */
	struct console_joint *joint;
	unsigned n_joints, joint_room;
	enum console_text_state state;
	unsigned sequence_len;
	unsigned char pending[4];	/* a character that is not complete yet */
	unsigned n_pending, wants;
};

/* Zeroed is empty. */
void console_text_fini(struct console_text *text);

/* Add what was printed; at most 1 MiB at a time.  Returns 0 or -ENOMEM, then some of it is lost. */
MUST_USE int console_text_add(struct console_text *text, const void *buf, size_t len);

/* Nothing more comes: a character that was begun is a broken one. */
void console_text_end(struct console_text *text);

/* The end: where the next byte will be. */
static inline uint64_t console_text_total(const struct console_text *text)
{
	return text->dropped + text->len;
}

/* Which byte of the console is that place?  (Of one long gone: a place near it.) */
uint64_t console_text_raw(const struct console_text *text, uint64_t at);

#endif
