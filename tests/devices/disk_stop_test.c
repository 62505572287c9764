/*
 * Stopping an engine while its disk hangs: a driver that resets the device waits for that.  The
 * disk is one whose operations end when the test says so; for io_uring it is a pipe, whose reads
 * wait for ever.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/disk_engine.h"
#include "tests/support/loop_pump.h"
#include "tests/support/temp_disk.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { SOON_MS = 2000 };

/* A flush waits for the gate; a discard goes on until it is cancelled; a read is done. */
struct slow_disk {
	struct disk disk;
	sem_t gate;
	atomic_int n_begun, n_ended;
};

static struct slow_disk slow;
static struct event_loop *loop;
static struct disk_pool *pool;
static struct disk_engine *engine;
static atomic_uint n_completed;

static int slow_execute(struct disk *disk, const struct disk_io *io,
			const struct disk_worker *worker)
{
	(void)disk;
	atomic_fetch_add(&slow.n_begun, 1);
	if (io->op == DISK_FLUSH)
		while (sem_wait(&slow.gate) < 0)
			;
	else if (io->op == DISK_DISCARD)
		while (!disk_worker_is_cancelled(worker))
			usleep(100);
	atomic_fetch_add(&slow.n_ended, 1);
	return 0;
}

static int slow_read_now(struct disk *disk, const struct disk_io *io)
{
	(void)disk;
	(void)io;
	return -EAGAIN;
}

static void slow_destroy(struct disk *disk)
{
	(void)disk;
}

static const struct disk_ops slow_ops = {
	.execute = slow_execute,
	.read_now = slow_read_now,
	.destroy = slow_destroy,
};

static void on_complete(void *owner, struct disk_io *io)
{
	(void)owner;
	(void)io;
	atomic_fetch_add(&n_completed, 1);
	event_loop_stop(loop);
}

static void on_completed(void *owner)
{
	(void)owner;
}

static const struct disk_client client = { .complete = on_complete, .completed = on_completed };

static void setup(void)
{
	memset(&slow, 0, sizeof(slow));
	slow.disk.ops = &slow_ops;
	slow.disk.fd = FD_NONE;
	slow.disk.io_align = 512;
	sem_init(&slow.gate, 0, 0);
	n_completed = 0;
	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	cr_assert_eq(disk_pool_create(&pool, &slow.disk), 0);
}

static void teardown(void)
{
	if (engine) {
		engine->ops->stop(engine);
		engine->ops->destroy(engine);
	}
	for (unsigned i = 0; i < 100; i++)
		sem_post(&slow.gate);
	disk_pool_destroy(pool);
	event_loop_destroy(loop);
	sem_destroy(&slow.gate);
	engine = NULL;
}

TestSuite(disk_stop, .init = setup, .fini = teardown, .timeout = 30);

static void use_threads(unsigned n)
{
	cr_assert_eq(disk_pool_grow(pool, n), 0);
	cr_assert_eq(disk_threads_create(&engine, &client, pool), 0);
	cr_assert_eq(engine->ops->start(engine, loop), 0);
}

/* An engine whose ring works on 'fd'. */
static void use_uring(int fd)
{
	slow.disk.fd = fd;
	if (disk_uring_create(&engine, &client, &slow.disk, pool, 64) < 0) {
		teardown();
		cr_skip_test("io_uring: the kernel or the build has none");
	}
	cr_assert_eq(engine->ops->start(engine, loop), 0);
}

static void begin(struct disk_io *io, unsigned n, enum disk_op op)
{
	for (unsigned i = 0; i < n; i++) {
		io[i] = (struct disk_io){ .op = op, .len = 512 };
		engine->ops->submit(engine, &io[i]);
	}
	engine->ops->kick(engine);
}

static void wait_for(atomic_int *n, int wanted)
{
	while (atomic_load(n) < wanted)
		usleep(100);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void stop_soon(void)
{
	int64_t begun = now_ms();

	engine->ops->stop(engine);
	cr_assert_lt(now_ms() - begun, SOON_MS);
}

/* Start again for one read: it is answered, and nothing of before. */
static void go_on(void)
{
	uint8_t buf[512];
	struct iovec iov = { buf, sizeof(buf) };
	struct disk_io io = { .op = DISK_READ, .len = 512, .iov = &iov, .n_iov = 1 };

	n_completed = 0;
	cr_assert_eq(engine->ops->start(engine, loop), 0);
	engine->ops->submit(engine, &io);
	engine->ops->kick(engine);
	while (n_completed == 0)
		event_loop_run(loop);
	engine->ops->stop(engine);
	cr_assert_eq(n_completed, 1);
	cr_assert_eq(io.result, 0);
}

Test(disk_stop, threads_leave_a_flush_alone)
{
	struct disk_io *io = malloc(sizeof(*io));

	use_threads(2);
	begin(io, 1, DISK_FLUSH);
	wait_for(&slow.n_begun, 1);
	stop_soon();
	/* What the flush belonged to is gone. */
	memset(io, 0xff, sizeof(*io));
	free(io);
	go_on();
	sem_post(&slow.gate);
	wait_for(&slow.n_ended, 2);
	go_on();
	cr_assert_eq(slow.n_ended, 3);
}

Test(disk_stop, a_flush_left_alone_may_outlive_its_engine)
{
	struct disk_io *io = malloc(sizeof(*io));

	use_threads(1);
	begin(io, 1, DISK_FLUSH);
	wait_for(&slow.n_begun, 1);
	stop_soon();
	free(io);
	engine->ops->destroy(engine);
	engine = NULL;
	sem_post(&slow.gate);
	wait_for(&slow.n_ended, 1);
}

Test(disk_stop, threads_give_up_and_begin_nothing_new)
{
	enum { N = 64 };
	struct disk_io io[N];

	use_threads(DISK_POOL_THREADS);
	begin(io, N, DISK_DISCARD);
	wait_for(&slow.n_begun, DISK_POOL_THREADS);
	stop_soon();
	cr_assert_eq(slow.n_begun, DISK_POOL_THREADS);
	cr_assert_eq(slow.n_ended, DISK_POOL_THREADS);
	go_on();
}

/* Several engines of one disk are told first and waited for then: nothing new begins meanwhile. */
Test(disk_stop, cancelling_does_not_wait)
{
	struct disk_engine *other;
	struct disk_io io[2][8];

	use_threads(2);
	cr_assert_eq(disk_threads_create(&other, &client, pool), 0);
	cr_assert_eq(other->ops->start(other, loop), 0);
	begin(io[0], 8, DISK_DISCARD);
	wait_for(&slow.n_begun, 2);
	for (unsigned i = 0; i < 8; i++) {
		io[1][i] = (struct disk_io){ .op = DISK_DISCARD, .len = 512 };
		other->ops->submit(other, &io[1][i]);
	}
	other->ops->kick(other);
	other->ops->cancel(other);
	engine->ops->cancel(engine);
	stop_soon();
	other->ops->stop(other);
	cr_assert_eq(slow.n_begun, 2);
	other->ops->destroy(other);
	go_on();
}

/* What ends between the order to give up and the stop is no answer to the guest's request. */
Test(disk_stop, nothing_is_reported_once_cancelled)
{
	struct disk_io io[2];

	use_threads(2);
	begin(io, 2, DISK_DISCARD);
	wait_for(&slow.n_begun, 2);
	engine->ops->cancel(engine);
	while (engine->ops->is_busy(engine))
		usleep(100);
	loop_pump(loop);
	cr_assert_eq(n_completed, 0);
	stop_soon();
	go_on();
}

Test(disk_stop, uring_takes_back_reads_that_wait)
{
	enum { N = 32 };
	uint8_t *buf = calloc(N, 512);
	struct iovec iov[N];
	struct disk_io io[N], beside = { .op = DISK_DISCARD, .len = 512 };
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	use_uring(fd[0]);
	for (unsigned i = 0; i < N; i++) {
		iov[i] = (struct iovec){ buf + i * 512, 512 };
		io[i] = (struct disk_io){ .op = DISK_READ, .len = 512, .iov = &iov[i], .n_iov = 1 };
		engine->ops->submit(engine, &io[i]);
	}
	/* The thread beside the ring is told, too, before anything is waited for. */
	engine->ops->submit(engine, &beside);
	engine->ops->kick(engine);
	wait_for(&slow.n_begun, 1);
	engine->ops->cancel(engine);
	wait_for(&slow.n_ended, 1);
	stop_soon();
	/* What comes now is for a read of now. */
	memset(buf, 0x5a, N * 512);
	cr_assert_eq(write(fd[1], buf, 512), 512);
	memset(buf, 0xcc, N * 512);
	go_on();
	for (unsigned i = 0; i < N * 512; i++)
		cr_assert_eq(buf[i], 0xcc);
	fd_close(&fd[0]);
	fd_close(&fd[1]);
	free(buf);
}

/* Flushes that a stop left alone end some time; none is taken for one that was begun later. */
Test(disk_stop, uring_tells_flushes_of_sessions_apart)
{
	enum { N = 24, LEN = 1 << 20 };
	uint8_t *buf = calloc(1, LEN);
	struct temp_disk file;
	int fd;

	temp_disk_create(&file, NULL, LEN);
	fd = open(file.path, O_RDWR | O_CLOEXEC);
	use_uring(fd);
	for (unsigned round = 0; round < 30; round++) {
		struct disk_io *io = calloc(N, sizeof(*io));

		cr_assert_eq(pwrite(fd, buf, LEN, 0), LEN);
		/* More than the ring keeps apart: what is left goes to the thread. */
		begin(io, N, DISK_FLUSH);
		stop_soon();
		memset(io, 0xff, N * sizeof(*io));
		free(io);
		for (unsigned i = 0; i < 30; i++)
			sem_post(&slow.gate);
		go_on();
		cr_assert_eq(engine->ops->start(engine, loop), 0);
	}
	engine->ops->stop(engine);
	engine->ops->destroy(engine);
	engine = NULL;
	fd_close(&fd);
	temp_disk_remove(&file);
	free(buf);
}

/* A range of gigabytes is done in pieces, between which it can be cancelled. */
Test(disk_stop, ranges_are_given_up_between_pieces)
{
	static const enum disk_op op[] = { DISK_DISCARD, DISK_ZERO };
	const atomic_bool yes = true, no = false;
	struct disk_worker worker = { .cancel = &yes };
	struct temp_disk file;
	struct disk *disk;

	temp_disk_create(&file, NULL, 65536);
	cr_assert_eq(truncate(file.path, 5 * DISK_RANGE_PIECE + 512), 0);
	cr_assert_eq(disk_open(&disk, &(struct disk_config){ .path = file.path }), 0, "%s",
		     error_text());
	for (unsigned i = 0; i < ARRAY_SIZE(op); i++) {
		struct disk_io io = { .op = op[i], .offset = 512, .len = disk->size - 1024 };

		worker.cancel = &yes;
		cr_assert_eq(disk->ops->execute(disk, &io, &worker), -ECANCELED);
		cr_assert(temp_disk_has_pattern(&file, 0, 65536));
	}
	worker.cancel = &no;
	cr_assert_eq(disk->ops->execute(disk,
					&(struct disk_io){ .op = DISK_ZERO, .offset = 512,
							   .len = disk->size - 1024 },
					&worker),
		     0);
	cr_assert(temp_disk_has_pattern(&file, 0, 512));
	cr_assert_not(temp_disk_has_pattern(&file, 512, 512));
	disk_destroy(disk);
	temp_disk_remove(&file);
}
