/*
 * A ring of io_uring that is empty between two calls.  The descriptor is registered with it, so
 * that an operation costs a good third less than a system call of its own.
 */
#include "devices/io_batch.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_URING

#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THE_FILE = 0 };

struct io_batch {
	struct io_uring ring;
	bool has_ring;
};

/* By hand: Debian 12's shared liburing does not export its functions for these two. */
static int ring_register(const struct io_uring *ring, unsigned what, const void *arg, unsigned n)
{
	return syscall(__NR_io_uring_register, ring->ring_fd, what, arg, n) < 0 ? -errno : 0;
}

/* The sandbox's filter does not see what a ring does: it is held to what prepare() uses. */
static int restrict_ring(const struct io_uring *ring)
{
	static const uint8_t op[] = { IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITE,
				      IORING_OP_WRITEV };
	struct io_uring_restriction rule[ARRAY_SIZE(op) + 2] = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(op); i++) {
		rule[i].opcode = IORING_RESTRICTION_SQE_OP;
		rule[i].sqe_op = op[i];
	}
	rule[ARRAY_SIZE(op)].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	rule[ARRAY_SIZE(op)].sqe_flags = IOSQE_FIXED_FILE;
	/* At the end. */
	rule[ARRAY_SIZE(op) + 1].opcode = IORING_RESTRICTION_REGISTER_OP;
	rule[ARRAY_SIZE(op) + 1].register_op = IORING_UNREGISTER_FILES;
	int r = ring_register(ring, IORING_REGISTER_RESTRICTIONS, rule, ARRAY_SIZE(rule));
	return r < 0 ? r : ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int create_ring(struct io_batch *batch, int fd)
{
	struct io_uring_params params = {
		/* Completions wait for our next system call instead of interrupting us. */
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,
	};
	int r = io_uring_queue_init_params(IO_BATCH_MAX, &batch->ring, &params);

	if (r == -EINVAL)	/* before Linux 5.19 */
		r = io_uring_queue_init(IO_BATCH_MAX, &batch->ring, IORING_SETUP_R_DISABLED);
	if (r < 0)
		return error_set(r, "set up io_uring");
	batch->has_ring = true;
	r = io_uring_register_files(&batch->ring, &fd, 1);
	if (r < 0)
		return error_set(r, "register a descriptor with io_uring");
	r = restrict_ring(&batch->ring);
	return r < 0 ? error_set(r, "restrict io_uring to reads and writes") : 0;
}

int io_batch_create(struct io_batch **out, int fd)
{
	struct io_batch *batch = calloc(1, sizeof(*batch));
	int r;

	*out = NULL;
	if (!batch)
		return error_set(ENOMEM, "create a batch of operations");
	r = create_ring(batch, fd);
	if (r < 0) {
		io_batch_destroy(batch);
		return r;
	}
	*out = batch;
	return 0;
}

/*
 * The kernel takes its time to take a ring down, and until then whoever opens the file anew finds
 * it in use: it is given back first.
 */
static void close_ring(struct io_batch *batch)
{
	if (!batch->has_ring)
		return;
	(void)ring_register(&batch->ring, IORING_UNREGISTER_FILES, NULL, 0);
	io_uring_queue_exit(&batch->ring);
	batch->has_ring = false;
}

void io_batch_destroy(struct io_batch *batch)
{
	if (!batch)
		return;
	close_ring(batch);
	free(batch);
}

static void prepare(struct io_uring_sqe *sqe, struct io_batch_op *op, bool is_write)
{
	const struct iovec *v = op->iov;

	if (is_write && op->n == 1)
		io_uring_prep_write(sqe, THE_FILE, v->iov_base, (unsigned)v->iov_len, 0);
	else if (is_write)
		io_uring_prep_writev(sqe, THE_FILE, v, op->n, 0);
	else if (op->n == 1)
		io_uring_prep_read(sqe, THE_FILE, v->iov_base, (unsigned)v->iov_len, 0);
	else
		io_uring_prep_readv(sqe, THE_FILE, v, op->n, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	/* O_NONBLOCK alone has the ring wait, as it would for a poll. */
	sqe->rw_flags = RWF_NOWAIT;
	io_uring_sqe_set_data(sqe, op);
}

/* Take 'n' completions.  None of them waits for anybody. */
static void reap(struct io_batch *batch, unsigned n)
{
	struct io_uring_cqe *cqe;

	while (n > 0) {
		if (io_uring_wait_cqe(&batch->ring, &cqe) < 0)
			continue;	/* a signal */
		((struct io_batch_op *)io_uring_cqe_get_data(cqe))->result = cqe->res;
		io_uring_cqe_seen(&batch->ring, cqe);
		n--;
	}
}

/*
 * What the kernel did not look at must not be seen by it later: its owner does it otherwise.
 * Nobody reads the tail but the kernel, in a call of ours.
 */
static void take_back(struct io_uring_sq *sq)
{
	unsigned head = *sq->khead;

	sq->sqe_head = sq->sqe_tail = head;
	*sq->ktail = head;
}

/* The kernel's reasons that may be gone the next time. */
static bool is_shortage(int r)
{
	return r == -EAGAIN || r == -EBUSY || r == -ENOMEM;
}

static unsigned submit(struct io_batch *batch, unsigned n)
{
	unsigned n_begun = 0;

	while (n_begun < n) {
		int r = io_uring_submit_and_wait(&batch->ring, n - n_begun);

		if (r > 0) {
			n_begun += (unsigned)r;
			reap(batch, (unsigned)r);
		}
		if (r > 0 || r == -EINTR)
			continue;
		take_back(&batch->ring.sq);
		if (!is_shortage(r))
			close_ring(batch);
		break;
	}
	return n_begun;
}

static unsigned run(struct io_batch *batch, struct io_batch_op *op, unsigned n, bool is_write)
{
	if (!batch->has_ring)
		return 0;
	for (unsigned i = 0; i < n; i++)
		prepare(io_uring_get_sqe(&batch->ring), &op[i], is_write);
	unsigned n_done = submit(batch, n);

	/* A file that does not know RWF_NOWAIT did nothing. */
	if (n_done > 0 && op[0].result == -EOPNOTSUPP) {
		close_ring(batch);
		return 0;
	}
	return n_done;
}

unsigned io_batch_write(struct io_batch *batch, struct io_batch_op *op, unsigned n)
{
	return run(batch, op, n, true);
}

unsigned io_batch_read(struct io_batch *batch, struct io_batch_op *op, unsigned n)
{
	return run(batch, op, n, false);
}

#else

int io_batch_create(struct io_batch **out, int fd)
{
	(void)fd;
	*out = NULL;
	return error_set(ENOTSUP, "Vireo was built without io_uring");
}

void io_batch_destroy(struct io_batch *batch)
{
	(void)batch;
}

unsigned io_batch_write(struct io_batch *batch, struct io_batch_op *op, unsigned n)
{
	(void)batch;
	(void)op;
	(void)n;
	return 0;
}

unsigned io_batch_read(struct io_batch *batch, struct io_batch_op *op, unsigned n)
{
	(void)batch;
	(void)op;
	(void)n;
	return 0;
}

#endif
