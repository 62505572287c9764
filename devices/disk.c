/*
 * Opening a disk image.  Every way in which a file can be the wrong one is found here, before the
 * guest runs, and said in words; what can go wrong later (a file that shrinks, a full file system)
 * becomes an I/O error of the guest's request.
 */
#include "devices/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

enum { BLOCK_MAX = 4096 };

static int open_file(struct disk *disk, const struct disk_config *config)
{
	/* O_NONBLOCK, so that a FIFO or a terminal named by mistake does not hang us. */
	bool reads = disk->readonly || config->only_look;
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (reads ? O_RDONLY : O_RDWR);
	int err;

	flags |= disk->direct ? O_DIRECT : 0;
	/* Nobody asks when a disk image was last read; only its owner may leave that out. */
	disk->fd = open(config->path, flags | O_NOATIME);
	if (disk->fd < 0 && errno == EPERM)
		disk->fd = open(config->path, flags);
	if (disk->fd >= 0)
		return 0;
	err = errno;
	error_set(err, "open '%s' for %s", config->path, reads ? "reading" : "writing");
	if (err == ENOENT)
		error_hint("'truncate -s 1G %s' makes an empty disk", config->path);
	else if (err == EINVAL && disk->direct)
		error_hint("its file system knows no O_DIRECT: leave 'direct' off");
	else if ((err == EACCES || err == EROFS || err == EPERM) && !reads)
		error_hint("if it is only to be read, say 'readonly', or 'ephemeral' to write to a "
			   "throw-away overlay");
	return -err;
}

static int check_kind(struct disk *disk, const char *path, const struct stat *st)
{
	int flags;

	if (S_ISDIR(st->st_mode))
		return error_set(EISDIR, "'%s' is a directory, not a disk image", path);
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return error_set(EINVAL, "'%s' is neither a regular file nor a block device", path);
	disk->is_block_device = S_ISBLK(st->st_mode);

	/* io_uring takes O_NONBLOCK at its word even for files, and would answer EAGAIN. */
	flags = fcntl(disk->fd, F_GETFL);
	if (flags < 0 || fcntl(disk->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return error_set(errno, "set the flags of '%s'", path);
	return 0;
}

/*
 * A killed VM keeps its lock until the kernel has taken its io_uring down, a moment after its
 * end.
 */
enum { LOCK_TRIES = 60, LOCK_WAIT_NS = 25000000 };

/* Locks of the open file description: they end with our descriptor, and work between threads. */
static int lock_file(struct disk *disk, const char *path)
{
	const struct timespec wait = { .tv_nsec = LOCK_WAIT_NS };
	struct flock lock = {
		.l_type = disk->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	int r = fcntl(disk->fd, F_OFD_SETLK, &lock);

	for (int i = 1; r < 0 && errno == EAGAIN && i < LOCK_TRIES; i++) {
		nanosleep(&wait, NULL);
		r = fcntl(disk->fd, F_OFD_SETLK, &lock);
	}
	if (r == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES) {
		error_set(EAGAIN, "'%s' is in use by another VM (or program)", path);
		error_hint("several VMs can share a disk if all of them use it 'readonly' or "
			   "'ephemeral'");
		return -EAGAIN;
	}
	log_warning("'%s' cannot be locked (%s): make sure that no other VM uses it", path,
		    error_name(errno));
	return 0;
}

static int measure_block_device(struct disk *disk, const char *path)
{
	unsigned physical = 0;
	int logical = 0;

	if (ioctl(disk->fd, BLKGETSIZE64, &disk->size) < 0 ||
	    ioctl(disk->fd, BLKSSZGET, &logical) < 0 || ioctl(disk->fd, BLKPBSZGET, &physical) < 0)
		return error_set(errno, "ask block device '%s' for its size", path);
	disk->block_size = (uint32_t)logical;
	disk->physical_block_size = physical;
	return 0;
}

/*
 * What O_DIRECT wants is known for sure only by trying: read one block of each size from memory
 * that is aligned to exactly that much.
 */
static int probe_direct(struct disk *disk, const char *path)
{
	size_t size = 4 * BLOCK_MAX;
	uint8_t *buf = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t align;

	if (buf == MAP_FAILED)
		return error_set(ENOMEM, "allocate a buffer to try O_DIRECT");
	for (align = DISK_SECTOR; align <= BLOCK_MAX; align *= 2)
		if (pread(disk->fd, buf + 2 * BLOCK_MAX - align, align, 0) > 0)
			break;
	munmap(buf, size);
	if (align > BLOCK_MAX) {
		error_set(EINVAL, "'%s' cannot be read with O_DIRECT", path);
		error_hint("leave 'direct' off");
		return -EINVAL;
	}
	disk->io_align = align;
	return 0;
}

static int choose_block_size(struct disk *disk, const struct disk_config *config)
{
	unsigned wanted = config->block_size;

	if (wanted && (!is_power_of_two(wanted) || wanted < DISK_SECTOR || wanted > BLOCK_MAX))
		return error_set(EINVAL, "block size %u is not 512, 1024, 2048 or 4096", wanted);
	if (wanted)
		disk->block_size = wanted;
	else if (disk->block_size < disk->io_align)
		disk->block_size = disk->io_align;
	if (disk->block_size < disk->io_align) {
		error_set(EINVAL, "O_DIRECT on '%s' needs blocks of %" PRIu32 " bytes",
			  config->path, disk->io_align);
		error_hint("set the block size to %" PRIu32 " or leave 'direct' off",
			   disk->io_align);
		return -EINVAL;
	}
	if (disk->physical_block_size < disk->block_size)
		disk->physical_block_size = disk->block_size;
	return 0;
}

static int check_size(const struct disk *disk, const char *path)
{
	uint64_t rest = disk->size % disk->block_size;

	if (disk->size == 0) {
		error_set(EINVAL, "'%s' is empty", path);
		error_hint("'truncate -s 1G %s' gives it a size", path);
		return -EINVAL;
	}
	if (rest == 0)
		return 0;
	error_set(EINVAL,
		  "'%s' has %" PRIu64 " bytes, which is no multiple of its block size %" PRIu32
		  ": it seems to be truncated",
		  path, disk->size, disk->block_size);
	error_hint("get a complete copy; if nothing is missing, 'truncate -s %" PRIu64
		   " %s' pads it with zeroes",
		   disk->size - rest + disk->block_size, path);
	return -EINVAL;
}

/*
 * Can space be given back?  A file says so when it is asked to punch a hole behind its end, where
 * nothing is.  A block device cannot be asked without doing it: it may.
 */
static bool probe_unmap(const struct disk *disk)
{
	return disk->is_block_device ||
	       fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)align_up(disk->size, BLOCK_MAX), BLOCK_MAX) == 0;
}

static int measure(struct disk *disk, const struct disk_config *config, const struct stat *st)
{
	int r = 0;

	disk->io_align = DISK_SECTOR;
	disk->block_size = DISK_SECTOR;
	disk->physical_block_size = DISK_SECTOR;
	disk->size = (uint64_t)st->st_size;
	if (disk->is_block_device)
		r = measure_block_device(disk, config->path);
	else if (is_power_of_two((uint64_t)st->st_blksize) && st->st_blksize >= DISK_SECTOR &&
		 st->st_blksize <= (64 << 10))
		disk->physical_block_size = (uint32_t)st->st_blksize;
	if (r == 0 && disk->size > 0 && disk->direct)
		r = probe_direct(disk, config->path);
	if (r == 0)
		r = choose_block_size(disk, config);
	if (r == 0)
		r = check_size(disk, config->path);
	if (r == 0 && !disk->readonly)
		disk->can_unmap = probe_unmap(disk);
	return r;
}

static int open_raw(struct disk **out, const struct disk_config *config)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	struct stat st;
	int r;

	if (!disk)
		return error_set(ENOMEM, "open '%s'", config->path);
	disk->ops = &disk_raw_ops;
	disk->fd = FD_NONE;
	disk->readonly = config->readonly || config->ephemeral;
	disk->direct = config->direct;

	r = open_file(disk, config);
	if (r == 0 && fstat(disk->fd, &st) < 0)
		r = error_set(errno, "look at '%s'", config->path);
	if (r == 0)
		r = check_kind(disk, config->path, &st);
	if (r == 0 && !config->only_look)
		r = lock_file(disk, config->path);
	if (r == 0)
		r = measure(disk, config, &st);
	if (r < 0) {
		disk_destroy(disk);
		return r;
	}
	*out = disk;
	return 0;
}

int disk_open(struct disk **out, const struct disk_config *config)
{
	struct disk *disk = NULL;
	int r;

	*out = NULL;
	r = open_raw(&disk, config);
	if (r == 0 && config->ephemeral && !config->readonly)
		r = disk_overlay_create(&disk, disk);
	if (r < 0)
		return r;
	*out = disk;
	return 0;
}

void disk_destroy(struct disk *disk)
{
	if (disk)
		disk->ops->destroy(disk);
}

bool disk_needs_bounce(const struct disk *disk, const struct disk_io *io)
{
	return disk->direct && !disk_io_is_aligned(io, disk->io_align);
}
