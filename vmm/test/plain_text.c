#include "vmm/test/plain_text.h"

enum {
	ESC = 0x1b,
	/* Longer ones are none: their ESC is left out and the rest is shown. */
	MAX_SEQUENCE = 64,
	MAX_STRING = 512,
	CONTROL_PICTURES = 0x2400,
	DELETE_PICTURE = 0x2421,
};

struct range {
	uint32_t from, to;
};

/* Sorted. */
static bool in_ranges(const struct range *range, unsigned n, uint32_t c)
{
	unsigned low = 0;

	while (low < n) {
		unsigned middle = low + (n - low) / 2;
		if (c < range[middle].from)
			n = middle;
		else if (c > range[middle].to)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

unsigned char_decode(const char *bytes, size_t len, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)bytes;
	unsigned n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 :
		     p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c = n == 1 ? p[0] : n ? p[0] & (0x7fu >> n) : 0;

	*out = NO_CHARACTER;
	if (n == 0 || n > len)
		return 1;
	for (unsigned i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 1;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 1;
	*out = c;
	return n;
}

unsigned char_encode(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	unsigned n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (unsigned i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)((0xf00u >> n & 0xff) | c);
	return n;
}

unsigned char_width(uint32_t c)
{
	static const struct range none[] = {
		{ 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a },
		{ 0x64b, 0x65f }, { 0x6d6, 0x6dc }, { 0x900, 0x902 }, { 0x93c, 0x93c },
		{ 0x941, 0x948 }, { 0xe31, 0xe31 }, { 0xe34, 0xe3a }, { 0xe47, 0xe4e },
		{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0x302a, 0x302d },
		{ 0x3099, 0x309a }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xe0100, 0xe01ef },
	};
	static const struct range wide[] = {
		{ 0x1100, 0x115f }, { 0x231a, 0x231b }, { 0x23e9, 0x23ec }, { 0x25fd, 0x25fe },
		{ 0x2614, 0x2615 }, { 0x26a1, 0x26a1 }, { 0x2705, 0x2705 }, { 0x2728, 0x2728 },
		{ 0x274c, 0x274c }, { 0x2753, 0x2757 }, { 0x2e80, 0x303e }, { 0x3041, 0x33ff },
		{ 0x3400, 0x4dbf }, { 0x4e00, 0xa4cf }, { 0xa960, 0xa97f }, { 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff01, 0xff60 }, { 0xffe0, 0xffe6 },
		{ 0x1f004, 0x1f004 }, { 0x1f18e, 0x1f18e }, { 0x1f191, 0x1f19a },
		{ 0x1f200, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff },
		{ 0x1fa70, 0x1faff }, { 0x20000, 0x3fffd },
	};

	if (c < 0x300)
		return 1;
	if (in_ranges(none, ARRAY_SIZE(none), c))
		return 0;
	return in_ranges(wide, ARRAY_SIZE(wide), c) ? 2 : 1;
}

/* Invisible, or turns the direction of writing, or no character at all. */
static bool is_not_to_be_shown(uint32_t c)
{
	static const struct range hidden[] = {
		{ 0x80, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x115f, 0x1160 },
		{ 0x180e, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0x3164, 0x3164 }, { 0xd800, 0xdfff }, { 0xfdd0, 0xfdef }, { 0xfeff, 0xfeff },
		{ 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb }, { 0xe0000, 0xe0fff },
	};

	return in_ranges(hidden, ARRAY_SIZE(hidden), c) || (c & 0xfffe) == 0xfffe;
}

/* The length of a control sequence, whose ESC '[' is at 'at'; 1 if it is none. */
static size_t control_sequence(const struct plain_text *t)
{
	const char *p = t->bytes + t->at;
	size_t most = min_u64(t->len - t->at, MAX_SEQUENCE);

	for (size_t i = 2; i < most; i++) {
		unsigned char c = (unsigned char)p[i];
		if (c >= 0x40 && c <= 0x7e)
			return i + 1;
		if (c < 0x20 || c > 0x7e)
			break;
	}
	return 1;
}

/* The length of ESC ']' and the like: up to BEL or ESC '\'; no line's end is in it. */
static size_t string_sequence(const struct plain_text *t)
{
	const char *p = t->bytes + t->at;
	size_t most = min_u64(t->len - t->at, MAX_STRING);

	for (size_t i = 2; i < most; i++) {
		if (p[i] == '\a')
			return i + 1;
		if (p[i] == ESC)
			return i + 1 < most && p[i + 1] == '\\' ? i + 2 : 1;
		if (p[i] == '\n')
			break;
	}
	return 1;
}

/* The length of the sequence that begins with the ESC at 'at'. */
static size_t sequence(const struct plain_text *t)
{
	size_t left = t->len - t->at;
	unsigned char next = left > 1 ? (unsigned char)t->bytes[t->at + 1] : 0;

	switch (next) {
	case '[':
		return control_sequence(t);
	case ']': case 'P': case 'X': case '^': case '_':
		return string_sequence(t);
	case '(': case ')': case '*': case '+': case '#': case '%': case ' ':
		return left > 2 && t->bytes[t->at + 2] > 0x20 ? 3 : 1;
	default:
		return next >= 0x30 && next <= 0x7e ? 2 : 1;
	}
}

bool plain_text_next(struct plain_text *t, struct plain_char *out)
{
	while (t->at < t->len && t->bytes[t->at] == ESC)
		t->at += sequence(t);
	if (t->at >= t->len)
		return false;
	out->from = t->at;
	t->at += char_decode(t->bytes + t->at, t->len - t->at, &out->c);
	if (out->c == '\r') {
		while (t->at < t->len && t->bytes[t->at] == '\r')
			t->at++;
		if (t->at < t->len && t->bytes[t->at] == '\n')
			t->at++;
		out->c = '\n';
	} else if (out->c < 0x20 && out->c != '\n' && out->c != '\t') {
		out->c += CONTROL_PICTURES;
	} else if (out->c == 0x7f) {
		out->c = DELETE_PICTURE;
	} else if (is_not_to_be_shown(out->c)) {
		out->c = NO_CHARACTER;
	}
	return true;
}
