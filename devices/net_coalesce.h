/*
 * Notification coalescing of one queue: a call to the driver waits for more packets, or for a
 * timer.  Off, it costs nothing: the queue does not know of it and there is no timer.
 *
 * Used buffers are counted for packets; a timer that runs already is not started anew, so a call
 * may come earlier than it could (the driver allows that).
 *
 * virtio-v1.4 5.1.6.5.9 "Notifications Coalescing"
 */
#ifndef DEVICES_NET_COALESCE_H
#define DEVICES_NET_COALESCE_H

#include "virtio/virtqueue.h"
#include "vmm/base/event_loop.h"

/* As the driver set them; if one is 0, nothing is put off. */
struct net_coalesce_params {
	uint32_t max_packets, max_usecs;
};

/* Owner loop. */
struct net_coalesce {
	struct virtqueue_hold hold;
	struct event_source timer;	/* a timerfd while something is put off; else FD_NONE */
	bool timer_runs;
	struct net_coalesce_params params;
	struct virtqueue *q;		/* NULL: its queue does not run */
};

void net_coalesce_init(struct net_coalesce *c);

/*
 * The queue runs, on 'loop', with these parameters / stops.  If they cannot be applied, nothing is
 * put off.  Owner loop; stop is fine when it does not run.
 */
void net_coalesce_start(struct net_coalesce *c, struct virtqueue *q, struct event_loop *loop,
			struct net_coalesce_params params);
void net_coalesce_stop(struct net_coalesce *c);

/*
 * Change the parameters of a queue that runs; a call that was put off is sent.  Returns 0, or
 * -errno with an error chain: the old ones stay.
 */
MUST_USE int net_coalesce_set(struct net_coalesce *c, struct event_loop *loop,
			      struct net_coalesce_params params);

#endif
