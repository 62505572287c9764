#include "devices/console_tail.h"

#include <string.h>

#include "vmm/base/event_log.h"

/* A line is over.  Linux begins each with a time, so that its message is looked for anywhere. */
static void judge_line(struct console_tail *tail)
{
	static const char ready[] = "vireo: ready";
	const char *run;

	tail->line[tail->line_len] = '\0';
	run = strstr(tail->line, "Run /");
	if (!tail->has_init && run && strstr(run, " as init process")) {
		tail->has_init = true;
		event_note(EVENT_GUEST, NULL, 0, "init");
	}
	if (!tail->is_ready && !strncmp(tail->line, ready, sizeof(ready) - 1)) {
		tail->is_ready = true;
		event_note(EVENT_GUEST, NULL, 0, "ready");
	}
	tail->line_len = 0;
}

static void watch_lines(struct console_tail *tail, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = (char)buf[i];
		if (c == '\n' || c == '\r')
			judge_line(tail);
		else if (c && tail->line_len < sizeof(tail->line) - 1)
			tail->line[tail->line_len++] = c;
	}
}

void console_tail_add(struct console_tail *tail, const uint8_t *buf, size_t len)
{
	size_t at, first;

	if (!tail->has_init || !tail->is_ready)
		watch_lines(tail, buf, len);
	if (len > CONSOLE_TAIL_KEPT) {
		tail->n += len - CONSOLE_TAIL_KEPT;
		buf += len - CONSOLE_TAIL_KEPT;
		len = CONSOLE_TAIL_KEPT;
	}
	at = tail->n % CONSOLE_TAIL_KEPT;
	first = min_u64(len, CONSOLE_TAIL_KEPT - at);
	memcpy(tail->ring + at, buf, first);
	memcpy(tail->ring, buf + first, len - first);
	tail->n += len;
}

void console_tail_reset(struct console_tail *tail)
{
	tail->has_init = tail->is_ready = false;
	tail->line_len = 0;
}

size_t console_tail_read(const struct console_tail *tail, void *buf, size_t size)
{
	size_t n = min_u64(min_u64(size, tail->n), CONSOLE_TAIL_KEPT);
	size_t at = (tail->n - n) % CONSOLE_TAIL_KEPT;
	size_t first = min_u64(n, CONSOLE_TAIL_KEPT - at);

	memcpy(buf, tail->ring + at, first);
	memcpy((uint8_t *)buf + first, tail->ring, n - first);
	return n;
}
