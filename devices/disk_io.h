/*
 * One operation on a disk: what is to be done (struct disk_io), and the loop of system calls that
 * moves its bytes when a thread does it (disk_transfer).  Who does it, and when, is disk_engine.h.
 */
#ifndef DEVICES_DISK_IO_H
#define DEVICES_DISK_IO_H

#include <errno.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "vmm/base/util.h"

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_ZERO };

struct disk_engine;

/* Embedded in the requester's own request.  Judged already: the range lies inside the disk and is
 * aligned to the disk's io_align. */
struct disk_io {
	enum disk_op op;
	bool stable;			/* complete only once on stable storage */
	bool may_unmap;			/* DISK_ZERO: space may be given back */
	uint64_t offset, len;		/* bytes; not used by DISK_FLUSH */
	const struct iovec *iov;	/* READ, WRITE: a stream of memory ... */
	unsigned n_iov;
	uint64_t iov_offset;		/* ... whose bytes from here on are meant */
	int result;			/* 0 or -errno, when complete */
	struct disk_engine *engine;	/* set by the engine */
	struct disk_io *next;		/* set by the engine */
};

/* What a thread has at hand that does disk operations. */
struct disk_worker {
	uint8_t *bounce;		/* DISK_BOUNCE_SIZE, page aligned; NULL if no O_DIRECT */
	const atomic_bool *cancel;	/* give up between two system calls with -ECANCELED */
};

/*
 * DISK_PIECE: the most that one system call moves, DISK_RANGE_PIECE: the most that one discards or
 * zeroes, so that gigabytes can be cancelled.
 */
enum {
	DISK_PIECE = 4 << 20,
	DISK_RANGE_PIECE = 32 << 20,
	DISK_BOUNCE_SIZE = 256 << 10,
	DISK_WINDOW = 64,
};

/* Is the worker to give up? */
bool disk_worker_is_cancelled(const struct disk_worker *worker);

/*
 * Build in 'window' (DISK_WINDOW entries) a list for the next piece of io's memory, starting 'done'
 * bytes into the operation.  Returns the number of entries, at least 1 while done < io->len.
 */
unsigned disk_io_window(const struct disk_io *io, uint64_t done, struct iovec *window);

/* Are all memory pieces of 'io' multiples of 'align' in address and length? */
bool disk_io_is_aligned(const struct disk_io *io, size_t align);

/*
 * Do a READ or WRITE on 'fd' completely; blocks.  Returns 0, -EIO when the file ends early,
 * -ECANCELED, or what the system says.  No error chain is set.
 */
MUST_USE int disk_transfer(int fd, const struct disk_io *io, const struct disk_worker *worker);

/* The same through the worker's bounce buffer: for memory that O_DIRECT does not take. */
MUST_USE int disk_transfer_bounced(int fd, const struct disk_io *io,
				   const struct disk_worker *worker);

/*
 * Do a READ only as far as it needs no waiting: RWF_NOWAIT.  Returns 0, or -EAGAIN when some of it
 * must be waited for (also for every error: the one who waits will meet it again).
 */
MUST_USE static inline int disk_read_now(int fd, const struct disk_io *io)
{
	/* More than one system call's worth is not for the loop's thread. */
	if (io->len > DISK_PIECE / 4 || io->n_iov > DISK_WINDOW || io->iov_offset > 0)
		return -EAGAIN;
	ssize_t n = preadv2(fd, io->iov, (int)io->n_iov, (off_t)io->offset, RWF_NOWAIT);
	return n == (ssize_t)io->len ? 0 : -EAGAIN;
}

/* Write zeroes to [offset, offset + len) of 'fd' the slow way.  Returns as disk_transfer. */
MUST_USE int disk_write_zeroes(int fd, uint64_t offset, uint64_t len,
			       const struct disk_worker *worker);

#endif
