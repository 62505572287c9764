/* The engines that work on disk images, with real files and block devices. */
#include "devices/disk_engine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/support/temp_disk.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { SIZE = (1 << 20) + 512 };

static int open_disk(struct disk **out, const char *path, const char *how)
{
	struct disk_config config = {
		.path = path,
		.readonly = strstr(how, "readonly"),
		.ephemeral = strstr(how, "ephemeral"),
		.direct = strstr(how, "direct"),
	};

	return disk_open(out, &config);
}

static struct temp_disk file;
static struct disk *disk;

static void fini(void)
{
	disk_destroy(disk);
	disk = NULL;
	temp_disk_remove(&file);
}

TestSuite(disk_engine, .fini = fini);

struct rig {
	struct event_loop *loop;
	struct disk_pool *pool;
	struct disk_engine *engine;
	unsigned n_pending, n_completed, n_batches;
	bool waiting;			/* in event_loop_run */
};

static struct rig rig;

static void on_complete(void *owner, struct disk_io *io)
{
	struct rig *r = owner;

	(void)io;
	r->n_completed++;
	if (--r->n_pending == 0 && r->waiting)
		event_loop_stop(r->loop);
}

static void on_completed(void *owner)
{
	((struct rig *)owner)->n_batches++;
}

struct variant {
	const char *name, *how;
	bool uring;
};

static const struct variant variants[] = {
	{ "threads", "", false },
	{ "io_uring", "", true },
	{ "threads, O_DIRECT", "direct", false },
	{ "io_uring, O_DIRECT", "direct", true },
	{ "overlay", "ephemeral", false },
	{ "overlay, O_DIRECT", "ephemeral direct", false },
};

/* Returns false where the host lacks what the variant needs. */
static bool rig_start_on(const char *path, const struct variant *v)
{
	struct disk_client client = { on_complete, on_completed, &rig };
	int r;

	rig = (struct rig){ 0 };
	r = open_disk(&disk, path, v->how);
	if (r == -EINVAL && strstr(v->how, "direct"))
		return false;
	cr_assert_eq(r, 0, "%s", error_text());
	cr_assert_eq(event_loop_create(&rig.loop, "test"), 0);
	cr_assert_eq(disk_pool_create(&rig.pool, disk), 0);
	cr_assert_eq(disk_pool_grow(rig.pool, 3), 0);
	if (v->uring)
		r = disk_uring_create(&rig.engine, &client, disk, rig.pool, 64);
	else
		r = disk_threads_create(&rig.engine, &client, rig.pool);
	if (r == 0)
		cr_assert_eq(rig.engine->ops->start(rig.engine, rig.loop), 0);
	return r == 0;
}

static bool rig_start(const struct variant *v)
{
	return rig_start_on(file.path, v);
}

static void rig_end(void)
{
	if (rig.engine) {
		rig.engine->ops->stop(rig.engine);
		rig.engine->ops->destroy(rig.engine);
	}
	disk_pool_destroy(rig.pool);
	event_loop_destroy(rig.loop);
	disk_destroy(disk);
	disk = NULL;
}

static void run(struct disk_io *io, unsigned n)
{
	rig.n_pending = n;
	for (unsigned i = 0; i < n; i++)
		rig.engine->ops->submit(rig.engine, &io[i]);
	rig.engine->ops->kick(rig.engine);
	if (rig.n_pending > 0) {
		rig.waiting = true;
		event_loop_run(rig.loop);
		rig.waiting = false;
	}
	cr_assert_eq(rig.n_pending, 0);
}

static int run_one(enum disk_op op, uint64_t offset, uint64_t len, void *buf)
{
	struct iovec iov = { buf, len };
	struct disk_io io = { .op = op, .offset = offset, .len = len, .iov = &iov, .n_iov = 1 };

	run(&io, 1);
	return io.result;
}

static unsigned rnd(unsigned limit)
{
	return (unsigned)rand() % limit;
}

/* Cut 'buf' into pieces of odd lengths. */
static unsigned cut(struct iovec *iov, unsigned max, uint8_t *buf, size_t len)
{
	unsigned n = 0;

	while (len > 0) {
		size_t piece = n + 1 == max ? len : min_u64(len, 1 + rnd(9000));

		iov[n++] = (struct iovec){ buf, piece };
		buf += piece;
		len -= piece;
	}
	return n;
}

/* Random operations; 'model' is what the disk must hold. */
static void random_walk(uint8_t *model, uint64_t size, unsigned rounds)
{
	uint8_t *memory = malloc(256 << 10);
	struct iovec iov[32];

	for (unsigned i = 0; i < rounds; i++) {
		uint64_t align = disk->io_align;
		uint64_t offset = rnd((unsigned)(size / align)) * align;
		uint64_t len = (1 + rnd(i % 3 ? 8 : 200)) * align;
		struct disk_io io = { .op = (enum disk_op)rnd(5), .stable = rnd(2) };
		uint8_t *buf = memory + rnd(3) * 511;

		io.offset = offset;
		io.len = min_u64(min_u64(len, 128 << 10), size - offset);
		io.may_unmap = rnd(2);
		io.iov = iov;
		io.n_iov = cut(iov, ARRAY_SIZE(iov), buf, io.len);
		for (size_t k = 0; k < io.len; k++)
			buf[k] = (uint8_t)rand();
		run(&io, 1);
		cr_assert_eq(io.result, 0, "round %u op %d: %s", i, io.op, strerror(-io.result));
		if (io.op == DISK_WRITE)
			memcpy(model + offset, buf, io.len);
		else if (io.op == DISK_ZERO)
			memset(model + offset, 0, io.len);
		else if (io.op == DISK_READ)
			cr_assert_eq(memcmp(model + offset, buf, io.len), 0, "round %u", i);
		else if (io.op == DISK_DISCARD)	/* anything may be there now */
			cr_assert_eq(run_one(DISK_READ, offset, io.len, model + offset), 0);
	}
	free(memory);
}

static void walk_variant(const struct variant *v)
{
	uint64_t size = strstr(v->how, "direct") ? SIZE - 512 : SIZE;
	uint8_t *model = malloc(SIZE), *all = malloc(SIZE);

	srand(1);
	temp_disk_create(&file, NULL, size);
	temp_disk_fill(model, 0, size);
	if (!rig_start(v)) {
		rig_end();
		fini();
		cr_skip_test("%s: not possible on this host", v->name);
	}
	random_walk(model, size, 600);
	cr_assert_eq(run_one(DISK_READ, 0, size, all), 0);
	cr_assert_eq(memcmp(model, all, size), 0);
	rig_end();
	if (strstr(v->how, "ephemeral"))
		cr_assert(temp_disk_has_pattern(&file, 0, size));
	free(model);
	free(all);
}

Test(disk_engine, threads_do_what_was_asked)
{
	walk_variant(&variants[0]);
}

Test(disk_engine, uring_does_what_was_asked)
{
	walk_variant(&variants[1]);
}

Test(disk_engine, threads_with_direct_take_unaligned_memory)
{
	walk_variant(&variants[2]);
}

Test(disk_engine, uring_with_direct_takes_unaligned_memory)
{
	walk_variant(&variants[3]);
}

Test(disk_engine, overlay_keeps_writes_and_leaves_the_file_alone)
{
	walk_variant(&variants[4]);
}

Test(disk_engine, overlay_over_direct_works_too)
{
	walk_variant(&variants[5]);
}

Test(disk_engine, overlay_survives_concurrent_writes_to_one_block)
{
	uint8_t sector[8][512], all[4096];
	struct iovec iov[8];
	struct disk_io io[8];

	temp_disk_create(&file, NULL, SIZE);
	cr_assert(rig_start(&variants[4]));
	for (unsigned round = 0; round < 50; round++) {
		uint64_t block = round * 4096;

		for (unsigned i = 0; i < 8; i++) {
			memset(sector[i], (int)(round + i), 512);
			iov[i] = (struct iovec){ sector[i], 512 };
			io[i] = (struct disk_io){ .op = DISK_WRITE, .offset = block + i * 512,
						  .len = 512, .iov = &iov[i], .n_iov = 1 };
		}
		run(io, 8);
		cr_assert_eq(run_one(DISK_READ, block, 4096, all), 0);
		for (unsigned i = 0; i < 8; i++)
			cr_assert_eq(memcmp(all + i * 512, sector[i], 512), 0);
	}
	rig_end();
}

Test(disk_engine, batches_complete_in_one_go_each)
{
	enum { N = 64 };
	uint8_t *buf = malloc(N * 512);
	struct iovec iov[N];
	struct disk_io io[N];

	temp_disk_create(&file, NULL, SIZE);
	for (unsigned v = 0; v < 2; v++) {
		if (!rig_start(&variants[v]))
			continue;
		for (unsigned i = 0; i < N; i++) {
			iov[i] = (struct iovec){ buf + i * 512, 512 };
			io[i] = (struct disk_io){ .op = DISK_READ, .offset = i * 4096, .len = 512,
						  .iov = &iov[i], .n_iov = 1 };
		}
		run(io, N);
		for (unsigned i = 0; i < N * 512; i++)
			cr_assert_eq(buf[i], temp_disk_byte(i / 512 * 4096 + i % 512));
		rig_end();
	}
	free(buf);
}

/* covers: BLK-REQ-19 */
Test(disk_engine, file_that_shrinks_gives_errors_where_it_ends)
{
	uint8_t buf[8192];

	temp_disk_create(&file, NULL, SIZE);
	for (unsigned v = 0; v < 2; v++) {
		if (!rig_start(&variants[v]))
			continue;
		cr_assert_eq(truncate(file.path, 65536), 0);
		cr_assert_eq(run_one(DISK_READ, 65536 - 4096, 8192, buf), -EIO);
		cr_assert_eq(run_one(DISK_READ, SIZE - 512, 512, buf), -EIO);
		cr_assert_eq(run_one(DISK_READ, 0, 512, buf), 0);
		cr_assert_eq(truncate(file.path, SIZE), 0);
		rig_end();
	}
}

Test(disk_engine, stop_drops_what_has_not_begun)
{
	enum { N = 64, LEN = 1 << 20 };
	static struct disk_io io[N];
	uint8_t *buf = calloc(1, LEN);
	struct iovec iov = { buf, LEN };

	temp_disk_create(&file, NULL, LEN);
	for (unsigned v = 0; v < 2; v++) {
		if (!rig_start(&variants[v]))
			continue;
		for (unsigned i = 0; i < N; i++) {
			io[i] = (struct disk_io){ .op = DISK_WRITE, .stable = true, .len = LEN,
						  .iov = &iov, .n_iov = 1 };
			rig.engine->ops->submit(rig.engine, &io[i]);
		}
		rig.n_pending = N;
		rig.engine->ops->kick(rig.engine);
		rig.engine->ops->stop(rig.engine);
		rig.n_completed = 0;
		/* Fine to go on after a stop. */
		cr_assert_eq(rig.engine->ops->start(rig.engine, rig.loop), 0);
		cr_assert_eq(run_one(DISK_READ, 0, 512, buf), 0);
		cr_assert_eq(rig.n_completed, 1);
		rig_end();
	}
	free(buf);
}

Test(disk_engine, uring_refuses_a_disk_with_an_overlay)
{
	temp_disk_create(&file, NULL, SIZE);
	cr_assert_not(rig_start(&(struct variant){ "", "ephemeral", true }));
	rig_end();
}

Test(disk_engine, large_requests_are_cut_into_pieces)
{
	enum { LEN = 24 << 20 };
	uint8_t *buf = malloc(LEN);

	temp_disk_create(&file, NULL, LEN);
	for (unsigned v = 0; v < 2; v++) {
		if (!rig_start(&variants[v]))
			continue;
		memset(buf, 0, LEN);
		cr_assert_eq(run_one(DISK_READ, 0, LEN, buf), 0);
		for (size_t i = 0; i < LEN; i += 4099)
			cr_assert_eq(buf[i], temp_disk_byte(i));
		rig_end();
	}
	free(buf);
}

/* --- block devices ----------------------------------------------------------------------- */

/* Put 'file' behind a loop device.  Returns its descriptor, FD_NONE if not possible. */
static int loop_attach(char path[32], unsigned block_size)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int image = open(file.path, O_RDWR | O_CLOEXEC);
	int dev = FD_NONE;

	for (unsigned tries = 0; control >= 0 && tries < 5 && dev == FD_NONE; tries++) {
		struct loop_config config = {
			.fd = (uint32_t)image,
			.block_size = block_size,
			/* Gone with the last descriptor, also if the test dies. */
			.info.lo_flags = LO_FLAGS_AUTOCLEAR,
		};

		snprintf(path, 32, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		dev = open(path, O_RDWR | O_CLOEXEC);
		if (dev >= 0 && ioctl(dev, LOOP_CONFIGURE, &config) < 0)
			fd_close(&dev);
	}
	fd_close(&control);
	fd_close(&image);
	return dev;
}

static void walk_loop_device(const struct variant *v, unsigned block_size)
{
	uint8_t *model = malloc(1 << 20);
	char path[32];
	int dev;

	srand(2);
	temp_disk_create(&file, NULL, 1 << 20);
	temp_disk_fill(model, 0, 1 << 20);
	dev = loop_attach(path, block_size);
	if (dev == FD_NONE) {
		fini();
		cr_skip_test("/dev/loop-control: no loop device to be had");
	}
	if (!rig_start_on(path, v)) {
		rig_end();
		fini();
		cr_skip_test("%s: not possible on this host", v->name);
	}
	cr_assert(disk->is_block_device);
	cr_assert_eq(disk->size, 1 << 20);
	cr_assert_eq(disk->block_size, block_size);
	random_walk(model, 1 << 20, 300);
	rig_end();
	fd_close(&dev);
	free(model);
}

Test(disk_engine, block_device_with_small_blocks_on_uring)
{
	walk_loop_device(&variants[1], 512);
}

Test(disk_engine, block_device_with_large_blocks_on_threads)
{
	walk_loop_device(&variants[0], 4096);
}

Test(disk_engine, block_device_with_large_blocks_takes_direct)
{
	walk_loop_device(&variants[2], 4096);
}
