/*
 * Descriptors that were given to us: they may block, and their flags belong to whoever else
 * holds them (a shell's terminal).  These functions read and write them without ever waiting,
 * and without changing them.
 */
#ifndef DEVICES_HOST_FD_H
#define DEVICES_HOST_FD_H

#include <sys/types.h>

#include "vmm/base/fd.h"
#include "vmm/base/util.h"

enum host_fd_kind {
	HOST_FD_FILE,		/* never waits for anybody: regular files, /dev/null */
	HOST_FD_NONBLOCK,	/* O_NONBLOCK is set on it */
	HOST_FD_SHARED,		/* blocking: ask poll(2) first, and be modest */
};

struct host_fd {
	int fd;			/* our own */
	enum host_fd_kind kind;
	bool is_tty;
};
#define HOST_FD_INIT { .fd = FD_NONE }

/*
 * Make a descriptor of our own for what 'fd' (borrowed) leads to; 'access' is O_RDONLY or O_WRONLY.
 * Returns 0 or -errno with an error chain.
 */
MUST_USE int host_fd_open(struct host_fd *out, int fd, int access);
void host_fd_close(struct host_fd *host);

/* As read(2) and write(2), but never wait: -EAGAIN when nothing can be done now.  Any thread. */
ssize_t host_fd_read(const struct host_fd *host, void *buf, size_t len);
ssize_t host_fd_write(const struct host_fd *host, const void *buf, size_t len);

#endif
