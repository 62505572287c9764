/* Log lines: formatted on the stack, written by one system call. */
#include "vmm/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static atomic_int log_level = LOG_WARNING;
static atomic_bool log_raw;

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, (int)level);
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void log_set_raw_terminal(bool on)
{
	atomic_store(&log_raw, on);
}

static void PRINTF_LIKE(3, 0) write_line(enum log_level level, const char *suffix, const char *fmt,
					 va_list ap)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "", "" };
	char line[1024];
	size_t room = sizeof(line) - 3 - strlen(suffix);
	int n = snprintf(line, room, "vireo: %s", prefix[level]);
	int m = vsnprintf(line + n, room - (size_t)n, fmt, ap);
	size_t len = (size_t)n + (m > 0 ? (size_t)m : 0);

	if (len > room - 1)
		len = room - 1;
	memcpy(line + len, suffix, strlen(suffix));
	len += strlen(suffix);
	if (atomic_load_explicit(&log_raw, memory_order_relaxed))
		line[len++] = '\r';
	line[len++] = '\n';
	/* Nowhere to report a failing log to. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	write_line(level, "", fmt, ap);
	va_end(ap);
}

void log_guest(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (!log_wants(level))
		return;
	/* Look first, so that the counter cannot wrap around under a patient guest. */
	if (atomic_load_explicit(&limit->used, memory_order_relaxed) >= LOG_LIMIT_LINES)
		return;
	unsigned n = atomic_fetch_add_explicit(&limit->used, 1, memory_order_relaxed);
	if (n >= LOG_LIMIT_LINES)
		return;
	va_start(ap, fmt);
	bool last = n == LOG_LIMIT_LINES - 1;
	write_line(level, last ? " (further lines of this kind are dropped)" : "", fmt, ap);
	va_end(ap);
}
