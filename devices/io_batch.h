/*
 * Several reads or writes of one descriptor in one system call, where the kernel has io_uring.
 * None of them waits: what cannot be done at once is answered by -EAGAIN, and all have their
 * answers when the call returns.
 */
#ifndef DEVICES_IO_BATCH_H
#define DEVICES_IO_BATCH_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/base/util.h"

enum { IO_BATCH_MAX = 64 };

struct io_batch;

struct io_batch_op {
	const struct iovec *iov;	/* borrowed */
	unsigned n;
	ssize_t result;			/* bytes, or -errno */
};

/*
 * For 'fd' (kept: it must stay open), at start-up: later no ring can be made.
 *
 * Returns 0 and an owned batch, or -errno with an error chain: then it has to be done one by one.
 */
MUST_USE int io_batch_create(struct io_batch **out, int fd);
void io_batch_destroy(struct io_batch *batch);

/*
 * Write the 'n' operations (up to IO_BATCH_MAX) in their order; each gets its result.  Returns how
 * many were done, those at the front: the others have to be done one by one.  Those are fewer than
 * 'n' while the kernel is short of memory; and 0 from now on if the file cannot say -EAGAIN.  One
 * thread at a time.
 */
unsigned io_batch_write(struct io_batch *batch, struct io_batch_op *op, unsigned n);

/* The same for reads. */
unsigned io_batch_read(struct io_batch *batch, struct io_batch_op *op, unsigned n);

#endif
