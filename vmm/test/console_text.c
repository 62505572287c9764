#include "vmm/test/console_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A sequence that does not end is taken for text after so many bytes: garbage must not hide what
 * follows.
 */
enum { MAX_CONTROL = 128, MAX_STRING = 2048, ESCAPE = 0x1b, BELL = 0x07 };

void console_text_fini(struct console_text *t)
{
	free(t->data);
	free(t->joint);
	*t = (struct console_text){ 0 };
}

/* --- The text -------------------------------------------------------------------------------- */

/* Forget the oldest, but not within a character. */
static void trim(struct console_text *t)
{
	size_t cut = t->len - CONSOLE_TEXT_KEPT;
	unsigned n = 0;

	while (cut > 0 && ((unsigned char)t->data[cut] & 0xc0) == 0x80)
		cut--;
	memmove(t->data, t->data + cut, t->len - cut);
	t->len -= cut;
	t->dropped += cut;
	if (t->n_joints == 0)
		return;
	/* The last joint before what is left says where that is. */
	while (n + 1 < t->n_joints && t->joint[n + 1].at <= t->dropped)
		n++;
	if (n == 0)
		return;
	memmove(t->joint, t->joint + n, (t->n_joints - n) * sizeof(*t->joint));
	t->n_joints -= n;
}

static int make_room(struct console_text *t, size_t len)
{
	size_t room = t->room ? t->room : 16384;
	char *data;

	if (t->room - t->len >= len)
		return 0;
	if (t->room == CONSOLE_TEXT_ROOM) {
		trim(t);
		return 0;
	}
	while (room < CONSOLE_TEXT_ROOM && room - t->len < len)
		room *= 2;
	data = realloc(t->data, room);
	if (!data)
		return -ENOMEM;
	t->data = data;
	t->room = room;
	return make_room(t, len);
}

static int add_joint(struct console_text *t, uint64_t at, uint64_t raw)
{
	if (t->n_joints == CONSOLE_TEXT_JOINTS) {
		/* Of what is that far back, places are only about right. */
		t->n_joints /= 2;
		memmove(t->joint, t->joint + t->n_joints, t->n_joints * sizeof(*t->joint));
	}
	if (t->n_joints == t->joint_room) {
		unsigned room = t->joint_room ? t->joint_room * 2 : 64;
		struct console_joint *joint = realloc(t->joint, room * sizeof(*joint));
		if (!joint)
			return -ENOMEM;
		t->joint = joint;
		t->joint_room = room;
	}
	t->joint[t->n_joints++] = (struct console_joint){ at, raw };
	return 0;
}

/* Text that comes from byte 'raw' of the console on. */
static int append(struct console_text *t, const void *buf, size_t len, uint64_t raw)
{
	uint64_t at = console_text_total(t);
	const struct console_joint *last = t->n_joints ? &t->joint[t->n_joints - 1] : NULL;
	int r = make_room(t, len);

	if (r == 0 && (last ? last->raw + (at - last->at) : at) != raw)
		r = add_joint(t, at, raw);
	if (r < 0)
		return r;
	memcpy(t->data + t->len, buf, len);
	t->len += len;
	return 0;
}

uint64_t console_text_raw(const struct console_text *t, uint64_t at)
{
	unsigned low = 0, high = t->n_joints;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		if (t->joint[mid].at <= at)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return min_u64(at, t->n_raw);
	return min_u64(t->joint[low - 1].raw + (at - t->joint[low - 1].at), t->n_raw);
}

/* --- Characters ------------------------------------------------------------------------------ */

static const char broken[] = "\xef\xbf\xbd";	/* U+FFFD */

/* What was begun of a character is none.  'raw': the byte after it. */
static int break_pending(struct console_text *t, uint64_t raw)
{
	uint64_t from = raw - t->n_pending;

	if (t->n_pending == 0)
		return 0;
	t->n_pending = 0;
	return append(t, broken, 3, from);
}

/* How many bytes a character has that begins with 'c' (from 0x80 on); 0: none does. */
static unsigned char_len(unsigned char c)
{
	return c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 :
	       c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

/* May 'c' be its second byte?  (Nothing overlong, no surrogates, nothing beyond U+10FFFF.) */
static bool fits_second(unsigned char first, unsigned char c)
{
	switch (first) {
	case 0xe0: return c >= 0xa0;
	case 0xed: return c <= 0x9f;
	case 0xf0: return c >= 0x90;
	case 0xf4: return c <= 0x8f;
	default: return true;
	}
}

/* A byte from 0x80 on, which is byte 'raw'. */
static int add_high(struct console_text *t, unsigned char c, uint64_t raw)
{
	int r;

	if (t->n_pending > 0 && (c & 0xc0) == 0x80 &&
	    (t->n_pending > 1 || fits_second(t->pending[0], c))) {
		t->pending[t->n_pending++] = c;
		if (t->n_pending < t->wants)
			return 0;
		t->n_pending = 0;
		return append(t, t->pending, t->wants, raw + 1 - t->wants);
	}
	r = break_pending(t, raw);
	if (r < 0)
		return r;
	t->wants = char_len(c);
	if (t->wants == 0)
		return append(t, broken, 3, raw);
	t->pending[0] = c;
	t->n_pending = 1;
	return 0;
}

static bool is_plain(unsigned char c)
{
	return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t';
}

/* --- Sequences ------------------------------------------------------------------------------- */

/* One byte that belongs to a sequence.  False: it does not, and the sequence is over. */
static bool take_sequence(struct console_text *t, unsigned char c)
{
	t->sequence_len++;
	switch (t->state) {
	case CT_ESCAPE:
		if (c == '[')
			t->state = CT_CONTROL;
		else if (c && strchr("]PX^_", c))
			t->state = CT_STRING;
		else if (c >= 0x20 && c <= 0x2f)
			t->state = CT_ESCAPE_MORE;
		else
			t->state = CT_TEXT;
		return t->state != CT_TEXT || (c >= 0x30 && c <= 0x7e);
	case CT_ESCAPE_MORE:
		if (c >= 0x20 && c <= 0x2f && t->sequence_len < MAX_CONTROL)
			return true;
		t->state = CT_TEXT;
		return c >= 0x30 && c <= 0x7e;
	case CT_CONTROL:
		if (c >= 0x20 && c <= 0x3f && t->sequence_len < MAX_CONTROL)
			return true;
		t->state = CT_TEXT;
		return c >= 0x40 && c <= 0x7e;
	case CT_STRING:
		if (c == BELL || c == '\n' || t->sequence_len >= MAX_STRING)
			t->state = CT_TEXT;
		else if (c == ESCAPE)
			t->state = CT_STRING_ESCAPE;
		/* A line's end ends it, too: what follows is for people. */
		return c != '\n';
	case CT_STRING_ESCAPE:
		t->state = c == '\\' ? CT_TEXT : CT_ESCAPE;
		return c == '\\' || take_sequence(t, c);
	case CT_TEXT:
		break;
	}
	return false;
}

static int add_byte(struct console_text *t, unsigned char c, uint64_t raw)
{
	int r = c < 0x80 ? break_pending(t, raw) : 0;

	if (r < 0 || (t->state != CT_TEXT && take_sequence(t, c)))
		return r;
	if (c == ESCAPE) {
		t->state = CT_ESCAPE;
		t->sequence_len = 0;
		return 0;
	}
	if (c >= 0x80)
		return add_high(t, c, raw);
	return is_plain(c) ? append(t, &c, 1, raw) : 0;
}

int console_text_add(struct console_text *t, const void *buf, size_t len)
{
	const unsigned char *p = buf;
	size_t i = 0;
	int r = 0;

	while (i < len && r == 0) {
		size_t from = i;
		if (t->state == CT_TEXT && t->n_pending == 0)
			while (i < len && is_plain(p[i]))
				i++;
		if (i > from) {
			r = append(t, p + from, i - from, t->n_raw + from);
		} else {
			r = add_byte(t, p[i], t->n_raw + i);
			i++;
		}
	}
	t->n_raw += len;
	return r;
}

void console_text_end(struct console_text *t)
{
	/* Without memory the end lacks a mark that it was broken. */
	if (break_pending(t, t->n_raw) < 0)
		t->n_pending = 0;
	t->state = CT_TEXT;
}
