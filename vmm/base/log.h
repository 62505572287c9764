/*
 * The log: lines to standard error for the person who runs Vireo. Not for guest output, and not
 * for the error that ends a command (error.h). A guest can cause log lines only through
 * log_guest(), which is limited, so that no guest can flood the host.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>

#include "vmm/base/util.h"

/* A notice is what Vireo chose for its user: shown unless it shall be quiet. */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* Lines above this level are dropped; LOG_WARNING at start.  Set once, before threads start. */
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);

/* Write one line ("vireo: warning: ...") in a single write(2).  Any thread. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* A budget of lines for something that a guest can repeat; zero-initialised is ready for use. */
struct log_limit {
	atomic_uint used;
};
enum { LOG_LIMIT_LINES = 10 };

/*
 * As log_line, but at most LOG_LIMIT_LINES times per 'limit'; the last line says that more
 * follow.
 */
void log_guest(struct log_limit *limit, enum log_level level, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/*
 * A terminal in raw mode needs "\r\n".  While on, each log line ends that way.  Main thread.
 */
void log_set_raw_terminal(bool on);

#endif
