/*
 * The console as the guest wrote it, in a file of bounded size: the begin, then how much is
 * missing, then the end.
 */
#ifndef TEST_CONSOLE_FILE_H
#define TEST_CONSOLE_FILE_H

#include "vmm/base/fd.h"
#include "vmm/base/util.h"

struct console_file {
	int fd;
	size_t part;		/* how long the begin and the end may be */
	uint64_t total;		/* written, whether still there or not */
	uint64_t end_at;	/* where the end begins in the file; 0: nothing is missing */
	int err;		/* the first that went wrong, 0: none */
};
#define CONSOLE_FILE_INIT { .fd = FD_NONE }

/* Create 'path'.  Returns 0 or -errno with an error chain. */
MUST_USE int console_file_open(struct console_file *file, const char *path, size_t part);

/* Write on.  What cannot be written (a full disk) is remembered in 'err', once, without a chain. */
void console_file_write(struct console_file *file, const void *buf, size_t len);

/* Put it in order and close it.  Idempotent; CONSOLE_FILE_INIT is fine. */
void console_file_close(struct console_file *file);

/* Where byte 'raw' of the console is in the closed file; -1: it is missing. */
int64_t console_file_place(const struct console_file *file, uint64_t raw);

#endif
