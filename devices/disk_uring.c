/*
 * io_uring as a disk engine: one ring per queue, made once; one io_uring_enter begins everything
 * that one look at the virtqueue brought.  The ring's own descriptor is what the loop watches.
 *
 * The ring does reads, writes and flushes that are plain.  Everything else - other operations,
 * memory that O_DIRECT does not take, very large requests, and whatever the ring did not finish in
 * one go - is done by a thread, whose answer is final.
 */
#include "devices/disk_engine.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_URING

#include <liburing.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"

enum {
	IMAGE = 0,			/* the only registered file */
	SUBMIT_TRIES = 8,
	PATIENCE_S = 5,
	MAX_FLUSHES = 16,
	/* What a completion is of: an operation, a flush, or a cancellation (no user data). */
	IS_FLUSH = 1,
};

/*
 * A flush of the ring's.  It has no memory of the guest's, so that a stop leaves it alone instead
 * of waiting; its completion comes some time later, and must not be taken for one of the next
 * session.
 */
struct uring_flush {
	struct disk_io *io;		/* NULL: left alone */
	bool in_flight;
};

struct uring_engine {
	struct disk_engine engine;
	struct disk_engine *threads;
	struct disk *disk;
	struct io_uring ring;
	bool has_ring;
	struct event_source source;	/* the ring's descriptor */
	struct event_loop *loop;
	struct event_post again;	/* the kernel was short of something: try again */
	unsigned in_flight;		/* operations that a stop waits for */
	struct uring_flush flush[MAX_FLUSHES];
	bool stopping;
};

static struct uring_engine *engine_of(struct disk_engine *engine)
{
	return container_of(engine, struct uring_engine, engine);
}

static struct uring_flush *free_flush(struct uring_engine *e)
{
	for (unsigned i = 0; i < MAX_FLUSHES; i++)
		if (!e->flush[i].in_flight)
			return &e->flush[i];
	return NULL;
}

static bool suits_ring(struct uring_engine *e, const struct disk_io *io)
{
	switch (io->op) {
	case DISK_READ:
	case DISK_WRITE:
		return io->len <= DISK_PIECE && io->n_iov <= IOV_MAX && io->iov_offset == 0 &&
		       !disk_needs_bounce(e->disk, io);
	case DISK_FLUSH:
		return !e->disk->readonly && free_flush(e);
	default:
		return false;
	}
}

static void prepare_flush(struct uring_engine *e, struct io_uring_sqe *sqe, struct disk_io *io)
{
	struct uring_flush *flush = free_flush(e);

	*flush = (struct uring_flush){ .io = io, .in_flight = true };
	io_uring_prep_fsync(sqe, IMAGE, IORING_FSYNC_DATASYNC);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, (uintptr_t)flush | IS_FLUSH);
}

static void prepare(struct io_uring_sqe *sqe, struct disk_io *io)
{
	if (io->op == DISK_READ && io->n_iov == 1)
		io_uring_prep_read(sqe, IMAGE, io->iov->iov_base, (unsigned)io->len, io->offset);
	else if (io->op == DISK_READ)
		io_uring_prep_readv(sqe, IMAGE, io->iov, io->n_iov, io->offset);
	else
		io_uring_prep_writev2(sqe, IMAGE, io->iov, io->n_iov, io->offset,
				      io->stable ? RWF_DSYNC : 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, io);
}

static void uring_submit(struct disk_engine *engine, struct disk_io *io)
{
	struct uring_engine *e = engine_of(engine);
	struct io_uring_sqe *sqe = suits_ring(e, io) ? io_uring_get_sqe(&e->ring) : NULL;

	if (!sqe) {
		e->threads->ops->submit(e->threads, io);
		return;
	}
	io->engine = engine;
	if (io->op == DISK_FLUSH)
		prepare_flush(e, sqe, io);
	else
		prepare(sqe, io);
	e->in_flight++;
}

static void finish(struct uring_engine *e, struct disk_io *io, int res)
{
	uint64_t wanted = io->op == DISK_FLUSH ? 0 : io->len;

	e->in_flight--;
	if (e->stopping)
		return;
	if (res >= 0 && (uint64_t)res == wanted) {
		io->result = 0;
		e->engine.client.complete(e->engine.client.owner, io);
	} else {
		e->threads->ops->submit(e->threads, io);
	}
}

/* Whose completion it is; NULL: nobody's any more. */
static struct disk_io *completed_io(const struct io_uring_cqe *cqe)
{
	uint64_t data = io_uring_cqe_get_data64(cqe);
	struct uring_flush *flush = (void *)(uintptr_t)(data & ~(uint64_t)IS_FLUSH);

	if (!(data & IS_FLUSH))
		return (void *)(uintptr_t)data;
	flush->in_flight = false;
	return flush->io;
}

/* Report what is complete.  Returns whether there was anything. */
static bool reap(struct uring_engine *e)
{
	struct io_uring_cqe *cqe;
	bool any = false;

	while (io_uring_peek_cqe(&e->ring, &cqe) == 0) {
		struct disk_io *io = completed_io(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&e->ring, cqe);
		if (io)
			finish(e, io, res);
		any = true;
	}
	return any;
}

/*
 * Hand the submission queue to the kernel and take what is complete, until completions submit
 * nothing new.  The kernel may be short of memory; what stays behind then is tried again after the
 * loop had a turn.  Returns whether anything was complete.
 */
static bool pump(struct uring_engine *e)
{
	bool any = reap(e);

	for (unsigned i = 0; i < SUBMIT_TRIES && io_uring_sq_ready(&e->ring) > 0; i++) {
		io_uring_submit(&e->ring);
		any |= reap(e);
	}
	if (io_uring_sq_ready(&e->ring) > 0 && e->loop)
		event_loop_post(e->loop, &e->again);
	e->threads->ops->kick(e->threads);
	return any;
}

static void uring_kick(struct disk_engine *engine)
{
	pump(engine_of(engine));
}

static void pump_and_publish(struct uring_engine *e)
{
	if (pump(e))
		e->engine.client.completed(e->engine.client.owner);
}

static void on_ring(struct event_source *source, uint32_t events)
{
	(void)events;
	pump_and_publish(container_of(source, struct uring_engine, source));
}

static void on_again(struct event_post *post)
{
	struct uring_engine *e = container_of(post, struct uring_engine, again);

	if (e->loop)
		pump_and_publish(e);
}

/* The threads beside the ring report through us: what follows may be for the ring again. */
static void on_thread_complete(void *owner, struct disk_io *io)
{
	struct uring_engine *e = owner;

	e->engine.client.complete(e->engine.client.owner, io);
}

static void on_threads_completed(void *owner)
{
	struct uring_engine *e = owner;

	pump(e);
	e->engine.client.completed(e->engine.client.owner);
}

static int uring_start(struct disk_engine *engine, struct event_loop *loop)
{
	struct uring_engine *e = engine_of(engine);
	int r = e->threads->ops->start(e->threads, loop);

	if (r < 0)
		return r;
	e->source.fd = e->ring.ring_fd;
	r = event_loop_add(loop, &e->source, EPOLLIN);
	if (r < 0) {
		e->threads->ops->stop(e->threads);
		return r;
	}
	e->loop = loop;
	return 0;
}

/* Kernels before 5.19 answer -EINVAL; everything ends by itself there. */
static void cancel_all(struct uring_engine *e)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&e->ring);

	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY);
	io_uring_sqe_set_data(sqe, NULL);
	io_uring_submit(&e->ring);
}

static void leave_flushes(struct uring_engine *e)
{
	for (unsigned i = 0; i < MAX_FLUSHES; i++) {
		struct uring_flush *flush = &e->flush[i];

		if (flush->in_flight && flush->io)
			e->in_flight--;
		flush->io = NULL;
	}
}

static void uring_cancel(struct disk_engine *engine)
{
	struct uring_engine *e = engine_of(engine);

	if (e->stopping)
		return;
	e->stopping = true;
	e->loop = NULL;
	e->threads->ops->cancel(e->threads);
	pump(e);
	if (e->in_flight > 0)
		cancel_all(e);
	pump(e);
	leave_flushes(e);
}

static bool uring_is_busy(struct disk_engine *engine)
{
	struct uring_engine *e = engine_of(engine);

	pump(e);
	return e->in_flight > 0 || e->threads->ops->is_busy(e->threads);
}

static void uring_stop(struct disk_engine *engine)
{
	struct uring_engine *e = engine_of(engine);
	bool warned = false;

	uring_cancel(engine);
	while (e->in_flight > 0) {
		struct __kernel_timespec patience = { .tv_sec = PATIENCE_S };
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe_timeout(&e->ring, &cqe, &patience) == -ETIME && !warned) {
			/* The kernel owns the memory until it answers: no way out but its end. */
			log_warning("waiting for %u slow disk operations", e->in_flight);
			warned = true;
		}
		pump(e);
	}
	event_loop_remove(&e->source);
	e->threads->ops->stop(e->threads);
	e->stopping = false;
}

static void uring_destroy(struct disk_engine *engine)
{
	struct uring_engine *e = engine_of(engine);

	if (e->has_ring)
		io_uring_queue_exit(&e->ring);
	if (e->threads)
		e->threads->ops->destroy(e->threads);
	free(e);
}

static const struct disk_engine_ops uring_ops = {
	.name = "io_uring",
	.batches = true,
	.start = uring_start,
	.submit = uring_submit,
	.kick = uring_kick,
	.cancel = uring_cancel,
	.is_busy = uring_is_busy,
	.stop = uring_stop,
	.destroy = uring_destroy,
};

/* By hand: Debian 12's shared liburing does not export its functions for these two. */
static int ring_register(const struct io_uring *ring, unsigned what, const void *arg, unsigned n)
{
	return syscall(__NR_io_uring_register, ring->ring_fd, what, arg, n) < 0 ? -errno : 0;
}

/*
 * What a ring does is not seen by the sandbox's filter, so the ring itself is held to what
 * prepare() and the cancellation in uring_stop() use.
 */
static int restrict_ring(const struct io_uring *ring)
{
	static const uint8_t op[] = { IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITEV,
				      IORING_OP_FSYNC, IORING_OP_ASYNC_CANCEL };
	struct io_uring_restriction rule[ARRAY_SIZE(op) + 1] = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(op); i++) {
		rule[i].opcode = IORING_RESTRICTION_SQE_OP;
		rule[i].sqe_op = op[i];
	}
	rule[ARRAY_SIZE(op)].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	rule[ARRAY_SIZE(op)].sqe_flags = IOSQE_FIXED_FILE;
	int r = ring_register(ring, IORING_REGISTER_RESTRICTIONS, rule, ARRAY_SIZE(rule));
	return r < 0 ? r : ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int create_ring(struct uring_engine *e, unsigned n_slots)
{
	struct io_uring_params params = {
		/* Completions wait for our next system call instead of interrupting us. */
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,
	};
	int r = io_uring_queue_init_params(n_slots, &e->ring, &params);

	if (r == -EINVAL)	/* before Linux 5.19 */
		r = io_uring_queue_init(n_slots, &e->ring, IORING_SETUP_R_DISABLED);
	if (r < 0)
		return error_set(r, "set up io_uring");
	e->has_ring = true;
	r = io_uring_register_files(&e->ring, &e->disk->fd, 1);
	if (r < 0)
		return error_set(r, "register the disk image with io_uring");
	r = restrict_ring(&e->ring);
	return r < 0 ? error_set(r, "restrict io_uring to disk operations") : 0;
}

int disk_uring_create(struct disk_engine **out, const struct disk_client *client, struct disk *disk,
		      struct disk_pool *pool, unsigned n_slots)
{
	struct disk_client inner = { .complete = on_thread_complete,
				     .completed = on_threads_completed };
	struct uring_engine *e;
	int r;

	*out = NULL;
	if (disk->fd == FD_NONE)
		return error_set(ENOTSUP, "io_uring cannot serve a disk with an overlay");
	e = calloc(1, sizeof(*e));
	if (!e)
		return error_set(ENOMEM, "create a disk engine");
	e->engine.ops = &uring_ops;
	e->engine.client = *client;
	e->disk = disk;
	e->source = (struct event_source){ .fd = FD_NONE, .fn = on_ring };
	e->again.fn = on_again;
	inner.owner = e;
	r = create_ring(e, n_slots);
	if (r == 0)
		r = disk_threads_create(&e->threads, &inner, pool);
	if (r < 0) {
		uring_destroy(&e->engine);
		return r;
	}
	*out = &e->engine;
	return 0;
}

#else

int disk_uring_create(struct disk_engine **out, const struct disk_client *client, struct disk *disk,
		      struct disk_pool *pool, unsigned n_slots)
{
	(void)client;
	(void)disk;
	(void)pool;
	(void)n_slots;
	*out = NULL;
	return error_set(ENOTSUP, "Vireo was built without io_uring");
}

#endif
