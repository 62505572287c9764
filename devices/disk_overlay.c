/*
 * A disk whose writes are forgotten: the base is only read, and what the guest writes goes to the
 * same offset of a sparse file without a name.  One bit per block of 4 KiB says where a block is to
 * be read from; bits are only ever set, so that readers need no lock.
 *
 * Writers take turns.  A block that is written in part for the first time is copied up first, and
 * its bit is set only when the overlay has all of it: a reader sees the block before or after,
 * never a hole.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/disk.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

enum { BLOCK = 4096 };

struct overlay {
	struct disk disk;
	struct disk *base;
	int fd;				/* our file; disk.fd is FD_NONE */
	_Atomic uint64_t *in_overlay;	/* one bit per block; zero pages until written */
	size_t bitmap_size;
	pthread_mutex_t writers;
};

static bool block_is_ours(const struct overlay *o, uint64_t block)
{
	/* Pairs with the release in set_ours: the block's bytes were written before its bit. */
	return atomic_load_explicit(&o->in_overlay[block / 64], memory_order_acquire) >>
		       (block % 64) & 1;
}

static void set_ours(struct overlay *o, uint64_t first, uint64_t end)
{
	while (first < end) {
		unsigned from = first % 64;
		unsigned n = (unsigned)min_u64(64 - from, end - first);
		uint64_t mask = n == 64 ? UINT64_MAX : ((UINT64_C(1) << n) - 1) << from;

		atomic_fetch_or_explicit(&o->in_overlay[first / 64], mask, memory_order_release);
		first += n;
	}
}

/* The part of 'io' that starts 'done' bytes into it, up to where overlay and base change over. */
static struct disk_io next_run(const struct overlay *o, const struct disk_io *io, uint64_t done,
			       bool *ours)
{
	struct disk_io run = *io;
	uint64_t block, end;

	run.offset += done;
	run.iov_offset += done;
	end = io->offset + io->len;
	block = run.offset / BLOCK;
	*ours = block_is_ours(o, block);
	do
		block++;
	while (block * BLOCK < end && block_is_ours(o, block) == *ours);
	run.len = min_u64(block * BLOCK, end) - run.offset;
	return run;
}

static int overlay_read(struct overlay *o, const struct disk_io *io,
			const struct disk_worker *worker)
{
	bool ours;
	int r = 0;

	for (uint64_t done = 0; r == 0 && done < io->len;) {
		struct disk_io run = next_run(o, io, done, &ours);

		r = ours ? disk_transfer(o->fd, &run, worker)
			 : o->base->ops->execute(o->base, &run, worker);
		done += run.len;
	}
	return r;
}

static int overlay_read_now(struct disk *disk, const struct disk_io *io)
{
	struct overlay *o = container_of(disk, struct overlay, disk);
	bool ours;
	struct disk_io run = next_run(o, io, 0, &ours);

	/* A read of both sides is rare enough for a thread. */
	if (run.len != io->len)
		return -EAGAIN;
	return ours ? disk_read_now(o->fd, io) : o->base->ops->read_now(o->base, io);
}

static int copy_up(struct overlay *o, uint64_t block, const struct disk_worker *worker)
{
	_Alignas(BLOCK) uint8_t bytes[BLOCK];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct disk_io io = {
		.op = DISK_READ,
		.offset = block * BLOCK,
		.len = min_u64(BLOCK, o->disk.size - block * BLOCK),
		.iov = &iov,
		.n_iov = 1,
	};
	int r;

	if (block_is_ours(o, block))
		return 0;
	r = o->base->ops->execute(o->base, &io, worker);
	if (r < 0)
		return r;
	io.op = DISK_WRITE;
	r = disk_transfer(o->fd, &io, worker);
	if (r == 0)
		set_ours(o, block, block + 1);
	return r;
}

/* Copy up the blocks that [offset, offset + len) covers only in part: at most two. */
static int copy_up_edges(struct overlay *o, uint64_t offset, uint64_t len,
			 const struct disk_worker *worker)
{
	uint64_t end = offset + len;
	int r = 0;

	if (offset % BLOCK)
		r = copy_up(o, offset / BLOCK, worker);
	if (r == 0 && end % BLOCK && end != o->disk.size)
		r = copy_up(o, end / BLOCK, worker);
	return r;
}

static int overlay_write(struct overlay *o, const struct disk_io *io,
			 const struct disk_worker *worker)
{
	struct disk_io write = *io;
	int r = copy_up_edges(o, io->offset, io->len, worker);

	/* Nothing here outlives us, so nothing needs to be stable. */
	write.stable = false;
	if (r == 0)
		r = disk_transfer(o->fd, &write, worker);
	if (r == 0)
		set_ours(o, io->offset / BLOCK, (io->offset + io->len + BLOCK - 1) / BLOCK);
	return r;
}

static int punch(const struct overlay *o, uint64_t offset, uint64_t len)
{
	return fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			 (off_t)len) < 0
		       ? -errno
		       : 0;
}

/* Whole blocks become holes that are ours; what is left of blocks at the edges is written. */
static int overlay_zero(struct overlay *o, const struct disk_io *io,
			const struct disk_worker *worker)
{
	uint64_t end = io->offset + io->len;
	int r = copy_up_edges(o, io->offset, io->len, worker);

	if (r == 0 && punch(o, io->offset, io->len) < 0)
		r = disk_write_zeroes(o->fd, io->offset, io->len, worker);
	if (r == 0)
		set_ours(o, io->offset / BLOCK, (end + BLOCK - 1) / BLOCK);
	return r;
}

/* Only blocks that have taken space are worth a thought: give back those that lie wholly inside. */
static int overlay_discard(struct overlay *o, const struct disk_io *io)
{
	uint64_t first = align_up(io->offset, BLOCK);
	uint64_t end = (io->offset + io->len) / BLOCK * BLOCK;

	if (first < end && punch(o, first, end - first) == 0)
		set_ours(o, first / BLOCK, end / BLOCK);
	return 0;
}

static int overlay_change(struct overlay *o, const struct disk_io *io,
			  const struct disk_worker *worker)
{
	int r;

	pthread_mutex_lock(&o->writers);
	if (io->op == DISK_WRITE)
		r = overlay_write(o, io, worker);
	else if (io->op == DISK_ZERO)
		r = overlay_zero(o, io, worker);
	else
		r = overlay_discard(o, io);
	pthread_mutex_unlock(&o->writers);
	return r;
}

static int overlay_execute(struct disk *disk, const struct disk_io *io,
			   const struct disk_worker *worker)
{
	struct overlay *o = container_of(disk, struct overlay, disk);

	switch (io->op) {
	case DISK_READ:
		return overlay_read(o, io, worker);
	case DISK_FLUSH:
		return 0;
	case DISK_WRITE:
	case DISK_DISCARD:
	case DISK_ZERO:
		return overlay_change(o, io, worker);
	}
	return -EINVAL;
}

static void overlay_destroy(struct disk *disk)
{
	struct overlay *o = container_of(disk, struct overlay, disk);

	if (o->in_overlay)
		munmap((void *)o->in_overlay, o->bitmap_size);
	fd_close(&o->fd);
	disk_destroy(o->base);
	pthread_mutex_destroy(&o->writers);
	free(o);
}

static const struct disk_ops overlay_ops = {
	.execute = overlay_execute,
	.read_now = overlay_read_now,
	.destroy = overlay_destroy,
};

/* A file on disk if that can be had: what a guest writes can be more than fits in memory. */
static int open_nameless(void)
{
	const char *dir[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };

	for (unsigned i = 0; i < ARRAY_SIZE(dir); i++) {
		int fd = dir[i] && dir[i][0] ? open(dir[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
					     : FD_NONE;

		if (fd >= 0)
			return fd;
	}
	log_info("no directory for temporary files: throw-away writes stay in memory");
	return memfd_create("vireo-overlay", MFD_CLOEXEC);
}

static int overlay_prepare(struct overlay *o)
{
	uint64_t blocks = (o->disk.size + BLOCK - 1) / BLOCK;
	void *map;

	o->fd = open_nameless();
	if (o->fd < 0)
		return error_set(errno, "create a temporary file for the overlay");
	if (ftruncate(o->fd, (off_t)o->disk.size) < 0) {
		int r = error_set(errno, "size the overlay like its disk");

		error_hint("set TMPDIR to a directory whose file system allows larger files");
		return r;
	}
	o->bitmap_size = (blocks + 63) / 64 * sizeof(uint64_t);
	map = mmap(NULL, o->bitmap_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return error_set(errno, "map the overlay's block table");
	o->in_overlay = map;
	return 0;
}

int disk_overlay_create(struct disk **out, struct disk *base)
{
	struct overlay *o = calloc(1, sizeof(*o));
	int r;

	*out = NULL;
	if (!o) {
		disk_destroy(base);
		return error_set(ENOMEM, "create an overlay");
	}
	o->disk = *base;
	o->disk.ops = &overlay_ops;
	o->disk.readonly = false;
	o->disk.can_unmap = true;
	o->disk.fd = FD_NONE;
	o->base = base;
	o->fd = FD_NONE;
	pthread_mutex_init(&o->writers, NULL);
	r = overlay_prepare(o);
	if (r < 0) {
		overlay_destroy(&o->disk);
		return r;
	}
	*out = &o->disk;
	return 0;
}
