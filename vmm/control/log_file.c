#include "vmm/control/log_file.h"

#include <fcntl.h>
#include <stdio.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

static int open_at(int *fd, int dir, const char *name)
{
	*fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0) {
		*fd = FD_NONE;
		return error_set(errno, "make the log '%s'", name);
	}
	return 0;
}

int log_file_open(struct log_file *log, int dir, const char *name)
{
	char old[64];
	int r;

	snprintf(old, sizeof(old), "%s.1", name);
	r = open_at(&log->fd, dir, name);
	return r < 0 ? r : open_at(&log->old_fd, dir, old);
}

void log_file_close(struct log_file *log)
{
	fd_close(&log->fd);
	fd_close(&log->old_fd);
}

/* What is in the file goes to the other one, and it begins again. */
static int turn_over(struct log_file *log)
{
	char buf[16384];
	uint64_t done = 0;
	ssize_t n;

	if (ftruncate(log->old_fd, 0) < 0)
		return -errno;
	while (done < log->len) {
		n = pread(log->fd, buf, sizeof(buf), (off_t)done);
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		if (pwrite(log->old_fd, buf, (size_t)n, (off_t)done) != n)
			return -EIO;
		done += (uint64_t)n;
	}
	if (ftruncate(log->fd, 0) < 0)
		return -errno;
	log->len = 0;
	return 0;
}

void log_file_write(struct log_file *log, const void *buf, size_t len)
{
	int r = 0;

	if (log->failed || log->fd == FD_NONE)
		return;
	if (log->len > 0 && log->len + len > LOG_FILE_LIMIT)
		r = turn_over(log);
	if (r == 0) {
		ssize_t n = pwrite(log->fd, buf, len, (off_t)log->len);
		if (n != (ssize_t)len)
			r = n < 0 ? -errno : -ENOSPC;
		log->len += n > 0 ? (uint64_t)n : 0;
	}
	if (r < 0) {
		log->failed = true;
		log_warning("a log in the run directory ends here: %s", error_name(-r));
	}
}
