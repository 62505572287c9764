/*
 * The smallest virtio device: each chain's readable bytes are copied into its writable ones, and
 * the chain comes back.  It can be told to hold chains, and it counts what its datapath did to
 * it.
 */
#ifndef TESTS_ECHO_DEVICE_H
#define TESTS_ECHO_DEVICE_H

#include "virtio/datapath_local.h"
#include "virtio/virtio_device.h"

enum {
	ECHO_QUEUES = 3,
	ECHO_QUEUE_SIZE = 16,
	ECHO_CONFIG_LEN = 24,
	ECHO_CONFIG_WRITABLE = 8,	/* these 4 bytes from here on */
};

struct echo_queue {
	struct virtqueue *vq;		/* NULL while it does not run */
	struct chain held[ECHO_QUEUE_SIZE];
	unsigned n_held;
};

struct echo_device {
	struct virtio_device dev;
	struct datapath *datapath;
	struct event_loop *loop;
	struct echo_queue queue[ECHO_QUEUES];
	bool *destroyed;		/* set by destroy, if not NULL */

	/* What the test wants. */
	bool hold;			/* keep chains instead of answering */
	unsigned max_held;		/* take no more than these; 0: any number */
	bool refuse_start;		/* start fails */
	bool slow;			/* what is held cannot be given up: a stop must wait */
	unsigned look_us;		/* how long it takes to find that out: a busy loop */

	/* What happened. */
	unsigned n_starts, n_stops, n_queue_starts, n_queue_stops, n_sealed, n_resets;
	unsigned n_cancels;
	unsigned n_hard_stops;		/* of queues that a slow host had something of */
	unsigned n_handled;		/* calls of handle */
	unsigned n_config_written;
	struct features started_with;
};

/*
 * A device of type VIRTIO_ID_NET that offers CSUM, HOST_TSO4 (needs CSUM) and MTU; its queues
 * belong to 'loop'.  Byte i of its configuration is 0x10 + i.  Failure ends the test.
 */
struct echo_device *echo_device_create(struct event_loop *loop);

/* The same, but a failure is returned: 0, or -errno with an error chain. */
MUST_USE int echo_device_try(struct echo_device **out, struct event_loop *loop);

/* Answer what is held in queue 'index', the oldest first.  Owner loop. */
void echo_device_release(struct echo_device *echo, unsigned index);

#endif
