/*
 * A log on disk that does not grow without limit: a file NAME and, when that is full, what was in
 * it before as NAME.1.  Both are opened once, as nothing can be opened or renamed in the sandbox.
 */
#ifndef CONTROL_LOG_FILE_H
#define CONTROL_LOG_FILE_H

#include "vmm/base/fd.h"
#include "vmm/base/util.h"

enum { LOG_FILE_LIMIT = 1 << 20 };

struct log_file {
	int fd, old_fd;
	uint64_t len;
	bool failed;		/* the disk is full: nothing is written any more */
};
#define LOG_FILE_INIT { .fd = FD_NONE, .old_fd = FD_NONE }

/* Make 'name' and 'name'.1 in directory 'dir'.  Returns 0 or -errno with an error chain. */
MUST_USE int log_file_open(struct log_file *log, int dir, const char *name);
void log_file_close(struct log_file *log);

/* Append; a failure ends the log with a warning.  One thread.  Works in the sandbox. */
void log_file_write(struct log_file *log, const void *buf, size_t len);

#endif
