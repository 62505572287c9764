#include "vmm/test/console_scan.h"

#include <ctype.h>
#include <string.h>

enum {
	/* Longer lines are looked at in pieces, which have something in common. */
	MAX_LINE = 4096,
	OVERLAP = 256,
	/* Within so many bytes of its begin stands what a message must have. */
	MESSAGE = 256,
};

static const char *const names[] = { "panic", "oops", "bug", "warn", "lockup" };

/* The first row that fits is it: the more special ones stand first. */
static const struct sign {
	enum kernel_trouble kind;
	const char *start;	/* of the message */
	const char *also;	/* what must follow somewhere in the line; or NULL */
} signs[] = {
	{ TROUBLE_PANIC, "Kernel panic - not syncing", NULL },
	{ TROUBLE_OOPS, "BUG: unable to handle", NULL },
	{ TROUBLE_OOPS, "BUG: kernel NULL pointer dereference", NULL },
	{ TROUBLE_OOPS, "Unable to handle kernel", NULL },
	{ TROUBLE_OOPS, "Internal error: ", NULL },
	{ TROUBLE_OOPS, "Oops", ": " },
	{ TROUBLE_OOPS, "general protection fault", NULL },
	{ TROUBLE_OOPS, "kernel BUG at ", NULL },
	{ TROUBLE_OOPS, "invalid opcode: ", NULL },
	{ TROUBLE_OOPS, "stack segment: ", NULL },
	{ TROUBLE_OOPS, "double fault: ", NULL },
	{ TROUBLE_OOPS, "divide error: ", NULL },
	{ TROUBLE_LOCKUP, "watchdog: BUG: soft lockup", NULL },
	{ TROUBLE_LOCKUP, "BUG: soft lockup", NULL },
	{ TROUBLE_LOCKUP, "BUG: workqueue lockup", NULL },
	{ TROUBLE_LOCKUP, "watchdog: Watchdog detected hard LOCKUP", NULL },
	{ TROUBLE_LOCKUP, "Watchdog detected hard LOCKUP", NULL },
	{ TROUBLE_LOCKUP, "NMI watchdog: Watchdog detected hard LOCKUP", NULL },
	{ TROUBLE_LOCKUP, "rcu: INFO: ", "stall" },
	{ TROUBLE_LOCKUP, "INFO: rcu", "stall" },
	{ TROUBLE_LOCKUP, "INFO: task ", "blocked for more than" },
	{ TROUBLE_BUG, "BUG: ", NULL },
	{ TROUBLE_BUG, "UBSAN: ", NULL },
	{ TROUBLE_BUG, "INFO: possible recursive locking", NULL },
	{ TROUBLE_BUG, "unreferenced object ", NULL },
	{ TROUBLE_WARN, "WARNING: ", NULL },
};

static bool begins(const char *p, const char *end, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(end - p) >= len && !memcmp(p, word, len);
}

static const struct sign *judge(const char *p, const char *end)
{
	for (unsigned i = 0; i < ARRAY_SIZE(signs); i++) {
		const struct sign *sign = &signs[i];
		if (*sign->start != *p || !begins(p, end, sign->start))
			continue;
		if (sign->also && !memmem(p, min_u64((uint64_t)(end - p), MESSAGE), sign->also,
					  strlen(sign->also)))
			continue;
		return sign;
	}
	return NULL;
}

static void note(struct console_scan *scan, const struct console_text *text,
		 enum kernel_trouble kind, const char *p, const char *end)
{
	size_t len = min_u64((uint64_t)(end - p), TROUBLE_TEXT_SIZE - 1);
	struct trouble *trouble;

	if (scan->found & kind)
		return;
	scan->found |= kind;
	trouble = &scan->trouble[scan->n_troubles++];
	trouble->kind = kind;
	trouble->place.start = text->dropped + (uint64_t)(p - text->data);
	trouble->place.end = text->dropped + (uint64_t)(end - text->data);
	while (len > 0 && len < (size_t)(end - p) && ((unsigned char)p[len] & 0xc0) == 0x80)
		len--;
	memcpy(trouble->text, p, len);
	trouble->text[len] = '\0';
}

/* One of "[    1.234567] " and what goes with it ("[    T1] ", "[C0] ")?  Its end, or NULL. */
static const char *skip_time(const char *p, const char *end)
{
	const char *q = p + 1;

	if (p == end || *p != '[')
		return NULL;
	while (q < end && (*q == ' ' || *q == '.' || isalnum((unsigned char)*q)))
		q++;
	return q + 1 < end && q[0] == ']' && q[1] == ' ' ? q + 2 : NULL;
}

/* A line, or a piece of one; 'is_begin': it has its begin. */
static void look_at_line(struct console_scan *scan, const struct console_text *text, const char *p,
			 const char *end, bool is_begin)
{
	const struct sign *sign = is_begin && p < end ? judge(p, end) : NULL;

	/* Only the first in a line: the others are about the same. */
	for (const char *q = p; !sign && (q = memchr(q, '[', (size_t)(end - q))) != NULL; q++) {
		const char *message = skip_time(q, end);
		if (message && message < end)
			sign = judge(message, end);
		if (sign)
			p = message;
	}
	if (sign)
		note(scan, text, sign->kind, p, end);
}

void console_scan_look(struct console_scan *scan, const struct console_text *text, bool end)
{
	bool is_begin = true;

	if (!text->data)
		return;
	if (scan->from < text->dropped)
		scan->from = text->dropped;
	const char *p = text->data + (scan->from - text->dropped), *stop = text->data + text->len;

	/* After a piece of a line it goes on within that. */
	if (p > text->data)
		is_begin = p[-1] == '\n';
	while (p < stop) {
		const char *line_end = memchr(p, '\n', (size_t)(stop - p));
		size_t len = (size_t)((line_end ? line_end : stop) - p);
		if (!line_end && len < MAX_LINE && !end)
			break;
		look_at_line(scan, text, p, p + len, is_begin);
		is_begin = line_end != NULL;
		/* What has no end yet may hold a message whose end is still to come. */
		p += line_end ? len + 1 : end || len < OVERLAP ? len : len - OVERLAP;
		if (!line_end)
			break;
	}
	scan->from = text->dropped + (uint64_t)(p - text->data);
}

const struct trouble *console_scan_first(const struct console_scan *scan, unsigned kinds)
{
	for (unsigned i = 0; i < scan->n_troubles; i++)
		if (scan->trouble[i].kind & kinds)
			return &scan->trouble[i];
	return NULL;
}

enum kernel_trouble console_trouble_parse(const char *word)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], word))
			return (enum kernel_trouble)(1 << i);
	return 0;
}

const char *console_trouble_name(enum kernel_trouble kind)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (kind == (enum kernel_trouble)(1 << i))
			return names[i];
	return "?";
}
