/*
 * The last of what a console said, kept for reports, and the moments in it that matter for the boot
 * timeline: lines that say how far the guest is (EVENT_GUEST):
 *
 *   init   "Run /init as init process", which Linux prints
 *   ready  "vireo: ready" at the beginning of a line, by whoever in the guest knows
 *
 * Each is noted once between two resets.  What a guest can cost is a copy of each byte.
 */
#ifndef DEVICES_CONSOLE_TAIL_H
#define DEVICES_CONSOLE_TAIL_H

#include "vmm/base/util.h"

enum { CONSOLE_TAIL_KEPT = 8192, CONSOLE_TAIL_LINE = 120 };

struct console_tail {
	uint64_t n;			/* bytes so far */
	uint8_t ring[CONSOLE_TAIL_KEPT];
	char line[CONSOLE_TAIL_LINE];	/* the line that has begun, cut off */
	unsigned line_len;
	bool has_init, is_ready;
};

/* Add output.  'tail' comes zeroed; the caller's lock. */
void console_tail_add(struct console_tail *tail, const uint8_t *buf, size_t len);

/* The guest begins anew: the moments may come again. */
void console_tail_reset(struct console_tail *tail);

/* Copy the last 'size' bytes, or what there is, in order.  Returns how many.  Same lock. */
size_t console_tail_read(const struct console_tail *tail, void *buf, size_t size);

#endif
