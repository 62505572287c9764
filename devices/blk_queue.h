/*
 * One request queue of a block device: from chain to disk operation and back.  All calls except
 * init, fini, start and stop belong to the loop that owns the queue.
 */
#ifndef DEVICES_BLK_QUEUE_H
#define DEVICES_BLK_QUEUE_H

#include "devices/blk_request.h"
#include "devices/disk_engine.h"
#include "virtio/virtqueue.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

struct blk_slot;

/* What all queues of a device share; the device changes it only while no queue runs, except for
 * 'writethrough'. */
struct blk_shared {
	const char *name;		/* of the device, for the log */
	struct disk *disk;
	uint8_t id[BLK_ID_LEN];		/* GET_ID: padded with NUL */
	struct blk_limits limits;
	atomic_bool writethrough;	/* a write is stable when it completes */
	struct log_limit log;
};

struct blk_queue {
	struct blk_shared *shared;	/* keeps */
	struct disk_engine *engine;	/* owned */
	struct virtqueue *vq;		/* while started; borrowed */
	struct blk_slot *slot;		/* one per head; address space until used */
	struct blk_segment *segment;	/* BLK_MAX_SEGMENTS per head; likewise */
	unsigned size;
	unsigned misses, skip;		/* reads that had to wait; how many not to try at once */
	bool in_batch;			/* something was submitted in this turn */
};

/* The callbacks for the engine of 'bq'. */
struct disk_client blk_queue_client(struct blk_queue *bq);

/* Make slots for 'size' heads / free them.  Control path.  Returns 0 or -ENOMEM with a chain. */
MUST_USE int blk_queue_start(struct blk_queue *bq, unsigned size);
void blk_queue_stop(struct blk_queue *bq);

/* Take 'vq' up / let it go with nothing in flight.  Returns 0 or -errno with an error chain. */
MUST_USE int blk_queue_attach(struct blk_queue *bq, struct virtqueue *vq, struct event_loop *loop);
void blk_queue_detach(struct blk_queue *bq);

/*
 * Serve what there is, but in one go no more than some requests and some megabytes: a driver that
 * never stops cannot keep the loop, and one that waits can look at the first answers meanwhile.
 */
void blk_queue_serve(struct blk_queue *bq);

#endif
