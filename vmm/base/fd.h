/* File descriptors: one idiom for closing, and thin wrappers that finish what they start. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include "vmm/base/util.h"

#define FD_NONE (-1)

/* Close '*fd' unless it is FD_NONE, and make it FD_NONE.  errno is kept. */
void fd_close(int *fd);

/*
 * Create a non-blocking, close-on-exec eventfd with value 0.  Returns 0 and the owned fd in '*out',
 * or -errno with '*out' FD_NONE.
 */
MUST_USE int fd_create_event(int *out);

/* Add 1 to an eventfd.  Never blocks; a counter that is already full means the same. */
static inline void fd_signal(int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is at its maximum, the reader will wake up all the same. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Read and clear an eventfd.  Returns true if it had been signalled. */
static inline bool fd_drain(int fd)
{
	uint64_t n;
	ssize_t r;

	while ((r = read(fd, &n, sizeof(n))) < 0 && errno == EINTR)
		;
	return r == (ssize_t)sizeof(n);
}

/*
 * Read exactly 'len' bytes at 'offset' (pread).  Returns 0, -ENODATA when the file ends early, or
 * -errno.  No error chain is set.
 */
MUST_USE int fd_pread_all(int fd, void *buf, size_t len, off_t offset);

/* Write exactly 'len' bytes; waits for a descriptor that is not ready.  Returns 0 or -errno. */
MUST_USE int fd_write_all(int fd, const void *buf, size_t len);

#endif
