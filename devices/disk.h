/*
 * A disk image: a raw file or block device that is open, locked and measured, and the few verbs
 * that differ between a plain one (disk_raw.c) and one with a throw-away overlay (disk_overlay.c).
 */
#ifndef DEVICES_DISK_H
#define DEVICES_DISK_H

#include "devices/disk_io.h"
#include "vmm/base/util.h"

struct disk;

struct disk_ops {
	/* Do the operation completely; blocks.  Returns 0 or -errno.  Many threads at once. */
	int (*execute)(struct disk *disk, const struct disk_io *io,
		       const struct disk_worker *worker);
	/* Do a READ if that needs no waiting.  Returns 0 or -EAGAIN.  Any thread. */
	int (*read_now)(struct disk *disk, const struct disk_io *io);
	void (*destroy)(struct disk *disk);
};

enum { DISK_SECTOR = 512 };

struct disk {
	const struct disk_ops *ops;
	uint64_t size;			/* bytes, a multiple of block_size, > 0 */
	uint32_t block_size;		/* logical, what the guest is told: 512 to 4096 */
	uint32_t physical_block_size;	/* at least block_size */
	uint32_t io_align;		/* of offsets and lengths: 512, more for O_DIRECT */
	bool readonly;
	bool is_block_device;
	bool can_unmap;			/* writing zeroes may give space back to the host */
	/*
	 * The descriptor on which an operation at an offset is the same operation at that offset,
	 * so that the kernel can be asked directly (io_uring); FD_NONE with an overlay.
	 */
	int fd;
	bool direct;			/* O_DIRECT: memory aligned to io_align, too */
};

struct disk_config {
	const char *path;
	bool readonly;
	bool ephemeral;			/* writes are forgotten; the file is only read */
	bool direct;			/* O_DIRECT */
	unsigned block_size;		/* 0: what the device has, 512 for files */
	bool only_look;			/* measure it: no lock, and no right to write is needed */
};

/*
 * Open, lock and measure a disk image.  The lock (shared for readonly and ephemeral, exclusive
 * otherwise) is held until disk_destroy and goes with the file, not with the process.  With
 * 'only_look' there is none, and nothing must be read or written.
 *
 * Returns 0 and an owned disk, or -errno with an error chain and a hint: -ENOENT, -EACCES, -EISDIR,
 * -EAGAIN (locked by someone else), -EINVAL (no file or block device, empty, not a multiple of the
 * block size, O_DIRECT not possible), ...
 */
MUST_USE int disk_open(struct disk **out, const struct disk_config *config);

/* Nothing may be in flight.  NULL is fine. */
void disk_destroy(struct disk *disk);

/* Must a READ or WRITE of the image itself go through a worker's bounce buffer? */
bool disk_needs_bounce(const struct disk *disk, const struct disk_io *io);

/* disk_raw.c */
extern const struct disk_ops disk_raw_ops;

/*
 * disk_overlay.c: wrap 'base' (consumed, also on failure; only read from) so that writes go to a
 * temporary file that has no name.  Returns 0 and an owned disk, or -errno with an error chain.
 */
MUST_USE int disk_overlay_create(struct disk **out, struct disk *base);

#endif
