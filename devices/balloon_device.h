/* The inside of the balloon, shared by its control path (virtio_balloon.c) and its queues. */
#ifndef DEVICES_BALLOON_DEVICE_H
#define DEVICES_BALLOON_DEVICE_H

#include "devices/balloon_discard.h"
#include "devices/balloon_hints.h"
#include "devices/balloon_roles.h"
#include "devices/balloon_stats.h"
#include "virtio/datapath_local.h"
#include "virtio/virtio_device.h"

/* A queue's request that takes more than one turn.  Owner loop. */
struct balloon_queue {
	bool busy;
	struct chain chain;		/* while busy */
	/* What is next.  Reporting: byte 'offset' of buffer 'iov'.  Inflating: of the stream. */
	unsigned iov;
	size_t offset;
};

/*
 * The driver's statistics buffer is held by leaving it in the ring after it was read: what is
 * taken out and not given back would keep the loop, and other devices on it, from polling.
 */
struct balloon_poll {
	struct event_source timer;	/* a timerfd, FD_NONE without statistics */
	uint64_t period_ms;
	struct virtqueue *q;		/* NULL: no statistics queue runs */
	unsigned index;			/* of 'q' */
	bool held;			/* the buffer in the ring was read */
	bool asked;			/* the next one is the answer to a poll */
	bool skip;			/* the next one is to be ignored */
};

struct virtio_balloon {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' once it is a part */
	struct event_loop *loop;
	bool hint_at_start;

	/* Written at start, or when a queue comes late: before that queue runs. */
	enum balloon_role role[BALLOON_QUEUES];
	bool poison_accepted;

	struct balloon_queue queue[BALLOON_QUEUES];
	struct balloon_discard discard;
	struct balloon_poll poll;
	struct balloon_stats_box stats;
	struct balloon_hints hints;
	struct event_post hints_post;	/* a session ended: to the control path */
	_Atomic uint32_t poison;	/* poison_val; written by the control path */
	uint32_t actual_pages;		/* as the driver says; control path */
	struct log_limit log;
};

/* The queues' callbacks of struct local_ops. */
void balloon_queue_start(void *model, unsigned index, struct virtqueue *q);
void balloon_queue_handle(void *model, unsigned index, struct virtqueue *q);
void balloon_queue_stop(void *model, unsigned index, struct virtqueue *q);

/* The callback of poll.timer: use the held buffer, so that the driver sends the next. */
void balloon_poll_due(struct event_source *source, uint32_t events);

/* Let the timer go off now, and from then on by the period; any thread. */
void balloon_poll_now(struct balloon_poll *poll);

#endif
