/* The verbs of a plain disk: each is one system call on the image, or a few. */
#include "devices/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/fd.h"

static int sync_data(const struct disk *disk)
{
	return disk->readonly || fdatasync(disk->fd) == 0 ? 0 : -errno;
}

static int allocate(const struct disk *disk, int mode, const struct disk_io *io)
{
	int r;

	do
		r = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset,
			      (off_t)io->len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* Discarding is advice: a host that cannot is not an error of the guest's. */
static int discard(const struct disk *disk, const struct disk_io *io,
		   const struct disk_worker *worker)
{
	int r;

	(void)worker;
	if (disk->is_block_device) {
		uint64_t range[2] = { io->offset, io->len };

		r = ioctl(disk->fd, BLKDISCARD, range) < 0 ? -errno : 0;
	} else {
		r = allocate(disk, FALLOC_FL_PUNCH_HOLE, io);
	}
	return r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSYS ? 0 : r;
}

/*
 * A block device may take long for a gigabyte, and even write all of it: in pieces it can be told
 * to stop.
 */
static int in_pieces(int (*fn)(const struct disk *disk, const struct disk_io *io,
			       const struct disk_worker *worker),
		     const struct disk *disk, const struct disk_io *io,
		     const struct disk_worker *worker)
{
	struct disk_io piece = *io;
	uint64_t end = io->offset + io->len;
	int r = 0;

	for (; r == 0 && piece.offset < end; piece.offset += piece.len) {
		if (disk_worker_is_cancelled(worker))
			return -ECANCELED;
		piece.len = min_u64(end - piece.offset, DISK_RANGE_PIECE);
		r = fn(disk, &piece, worker);
	}
	return r;
}

/* The cheap ways may be unknown to the file system or refuse the range; writing never does. */
static int write_zeroes(const struct disk *disk, const struct disk_io *io,
			const struct disk_worker *worker)
{
	int r = -EOPNOTSUPP;

	if (io->may_unmap)
		r = allocate(disk, FALLOC_FL_PUNCH_HOLE, io);
	if (r < 0)
		r = allocate(disk, FALLOC_FL_ZERO_RANGE, io);
	if (r < 0)
		r = disk_write_zeroes(disk->fd, io->offset, io->len, worker);
	return r;
}

static int raw_execute(struct disk *disk, const struct disk_io *io,
		       const struct disk_worker *worker)
{
	int r;

	switch (io->op) {
	case DISK_READ:
	case DISK_WRITE:
		if (disk_needs_bounce(disk, io))
			return disk_transfer_bounced(disk->fd, io, worker);
		return disk_transfer(disk->fd, io, worker);
	case DISK_FLUSH:
		return sync_data(disk);
	case DISK_DISCARD:
		return in_pieces(discard, disk, io, worker);
	case DISK_ZERO:
		r = in_pieces(write_zeroes, disk, io, worker);
		return r == 0 && io->stable ? sync_data(disk) : r;
	}
	return -EINVAL;
}

static int raw_read_now(struct disk *disk, const struct disk_io *io)
{
	/* With O_DIRECT nothing is there without waiting. */
	return disk->direct ? -EAGAIN : disk_read_now(disk->fd, io);
}

static void raw_destroy(struct disk *disk)
{
	struct flock unlock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	/*
	 * Closing is not enough at once: io_uring lets go of its registered file some time later.
	 */
	if (disk->fd != FD_NONE)
		fcntl(disk->fd, F_OFD_SETLK, &unlock);
	fd_close(&disk->fd);
	free(disk);
}

const struct disk_ops disk_raw_ops = {
	.execute = raw_execute,
	.read_now = raw_read_now,
	.destroy = raw_destroy,
};
