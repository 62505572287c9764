/*
 * The virtio models and what each needs to be made.  Each constructor returns an owned device that
 * a transport then consumes.  Strings are borrowed during the call.
 */
#ifndef DEVICES_VIRTIO_MODELS_H
#define DEVICES_VIRTIO_MODELS_H

#include "devices/chardev.h"
#include "virtio/virtio_device.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

enum virtio_blk_engine { BLK_ENGINE_AUTO, BLK_ENGINE_URING, BLK_ENGINE_THREADS };

struct virtio_blk_config {
	const char *name;		/* "disk0" or the user's name */
	const char *path;
	const char *serial;		/* GET_ID, at most 20 bytes; NULL: the name */
	bool readonly;
	bool ephemeral;			/* writes go to an overlay that vanishes at the end */
	bool direct;			/* O_DIRECT */
	bool only_look;			/* at what it would offer: no lock, never started */
	enum virtio_blk_engine engine;
	unsigned n_queues;		/* 1 to 64 */
	unsigned queue_size;		/* power of two, 4 to 256... 0: default */
	unsigned block_size;		/* logical: 512 to 4096; 0: what the file or device has */
	struct event_loop *const *loop;	/* n_loops I/O loops; queue i goes to loop[i % n_loops] */
	unsigned n_loops;
};

/*
 * Open and lock the file or block device and make the model.  Errors name the path: -ENOENT,
 * -EACCES, -EAGAIN (locked by another VM), -EINVAL (empty or not a multiple of the block size), ...
 */
MUST_USE int virtio_blk_create(struct virtio_device **out, const struct virtio_blk_config *config);

struct virtio_console_config {
	const char *name;
	struct chardev *chardev;	/* port 0; keeps */
	struct event_loop *loop;	/* I/O loop; keeps */
	uint16_t cols, rows;		/* 0: no size known, SIZE not offered */
};

MUST_USE int virtio_console_create(struct virtio_device **out,
				   const struct virtio_console_config *config);
/* The terminal's size changed.  Machine lock held. */
void virtio_console_resize(struct virtio_device *dev, uint16_t cols, uint16_t rows);

struct virtio_rng_config {
	const char *name;
	struct event_loop *loop;
};

/* Entropy from getrandom(2). */
MUST_USE int virtio_rng_create(struct virtio_device **out, const struct virtio_rng_config *config);

#endif
