#include "devices/host_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"

/* What a blocking terminal that polls writable surely takes. */
enum { TTY_PIECE = 1 };

/*
 * O_NONBLOCK lives in the open file description, which is shared with the shell and whoever
 * else.  Pipes and terminals can be opened anew through /proc, which gives a description of our
 * own.
 */
static int open_anew(int fd, int access)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int host_fd_open(struct host_fd *out, int fd, int access)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	*out = (struct host_fd)HOST_FD_INIT;
	if (flags < 0 || fstat(fd, &st) < 0)
		return error_set(errno, "file descriptor %d", fd);
	out->is_tty = S_ISCHR(st.st_mode) && isatty(fd);
	if (flags & O_NONBLOCK) {
		out->kind = HOST_FD_NONBLOCK;
	} else if (S_ISSOCK(st.st_mode)) {
		out->kind = HOST_FD_SHARED;
	} else if (S_ISFIFO(st.st_mode) || out->is_tty) {
		out->kind = HOST_FD_NONBLOCK;
		out->fd = open_anew(fd, access);
		if (out->fd == FD_NONE)
			out->kind = HOST_FD_SHARED;
	} else {
		/* Not anew: the position in the file is shared on purpose (a shell's ">>"). */
		out->kind = HOST_FD_FILE;
	}
	if (out->fd == FD_NONE)
		out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (out->fd == FD_NONE)
		return error_set(errno, "duplicate file descriptor %d", fd);
	return 0;
}

void host_fd_close(struct host_fd *host)
{
	fd_close(&host->fd);
}

static bool is_ready(const struct host_fd *host, short events)
{
	struct pollfd p = { .fd = host->fd, .events = events };

	/* Errors and hang-ups count as ready: the call that follows tells which. */
	return host->kind != HOST_FD_SHARED || poll(&p, 1, 0) > 0;
}

ssize_t host_fd_read(const struct host_fd *host, void *buf, size_t len)
{
	ssize_t n;

	if (!is_ready(host, POLLIN))
		return -EAGAIN;
	do {
		n = read(host->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t host_fd_write(const struct host_fd *host, const void *buf, size_t len)
{
	ssize_t n;

	if (!is_ready(host, POLLOUT))
		return -EAGAIN;
	/* A pipe that polls writable has room for PIPE_BUF bytes, and so has a socket. */
	if (host->kind == HOST_FD_SHARED)
		len = min_u64(len, host->is_tty ? TTY_PIECE : PIPE_BUF);
	do {
		n = write(host->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
