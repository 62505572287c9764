/*
 * What the guest said on its consoles: the last 64 KiB in memory, all of it (as far as log_file.h
 * goes) on disk.  Whoever writes for the guest only copies; the main loop does the rest, and where
 * the guest is faster than that, the file says how much is missing.
 */
#ifndef CONTROL_CONSOLE_LOG_H
#define CONTROL_CONSOLE_LOG_H

#include <pthread.h>

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/control/log_file.h"

enum { CONSOLE_LOG_KEPT = 65536 };

struct console_log {
	struct event_loop *loop;
	struct event_post post;
	void (*grown)(void *arg);	/* on the main loop: there is more */
	void *arg;
	struct log_file file;
	uint64_t written;		/* how far the file is */

	pthread_mutex_t lock;		/* what follows */
	uint64_t end;			/* bytes since the beginning */
	char ring[CONSOLE_LOG_KEPT];
};

/*
 * 'log' comes zeroed, but for 'file' (LOG_FILE_INIT): its ring is not touched before it is needed.
 * Files are made in directory 'dir'.  Returns 0 or -errno with an error chain.
 */
MUST_USE int console_log_init(struct console_log *log, struct event_loop *loop, int dir);
/* Writes the rest.  Nobody calls console_log_add() any more. */
void console_log_fini(struct console_log *log);

/* The guest said 'buf'; the form of struct consoles_copy.  Any thread. */
void console_log_add(void *log, const uint8_t *buf, size_t len);

/*
 * Copy up to 'size' bytes from position '*next' on, and move that; '*lost' grows by those that are
 * not there any more.  Returns how many.  Any thread.
 */
size_t console_log_read(struct console_log *log, uint64_t *next, char *buf, size_t size,
			uint64_t *lost);

/* The position where the last 'n' lines begin, as far as they are kept. */
uint64_t console_log_tail(struct console_log *log, uint64_t n);

#endif
