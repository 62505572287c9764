/*
 * The in-process datapath: each queue is owned by one I/O loop, which watches the kick eventfd,
 * drains the ring through the model's callback, and re-arms it.
 */
#ifndef VIRTIO_DATAPATH_LOCAL_H
#define VIRTIO_DATAPATH_LOCAL_H

#include "virtio/datapath.h"
#include "vmm/base/event_loop.h"

/*
 * What a model brings.  'model' is the model's own pointer; 'index' counts from the datapath's
 * first queue, which is the device's number too where one datapath serves the whole device.
 *
 *   start    machine lock held, before any ring runs: allocate per-queue state for the enabled
 *            queues.  Returns 0 or -errno with a chain; it has cleaned up after itself then.
 *   queue_start  owner loop, the ring 'q' exists: attach completion sources, pollers.  May be NULL.
 *   handle   owner loop: there may be chains.  Called once after start without a kick, and after
 *            each kick.  Pops until VQ_EMPTY, VQ_BROKEN (nothing to do: the datapath reports it,
 *            wherever the pop happened), or as long as it finds fair to others of its loop: it is
 *            called again while there is more.  If it takes nothing although there is something,
 *            it is not called again before local_queue_resume().  Flush is done by the datapath
 *            after it returns; completions outside of handle() flush by themselves.
 *   queue_stop   owner loop: finish or cancel everything in flight; after it no chain is out (those
 *            that were never answered are simply dropped) and no guest memory is touched.
 *   stop     machine lock held, after all queues stopped: free what start allocated.
 */
struct local_ops {
	int (*start)(void *model, const struct datapath_start *start);	/* may be NULL */
	void (*queue_start)(void *model, unsigned index, struct virtqueue *q);
	void (*handle)(void *model, unsigned index, struct virtqueue *q);
	void (*queue_stop)(void *model, unsigned index, struct virtqueue *q);	/* may be NULL */
	void (*stop)(void *model);						/* may be NULL */
};

/*
 * Create the datapath.  'loop' has one entry per queue (n_queues); loops are kept.  None of them
 * may be the main loop, whose thread waits for the machine lock.  'ops' is kept.
 *
 * Returns 0 and an owned datapath, or -ENOMEM with an error chain.
 */
MUST_USE int local_create(struct datapath **out, const struct local_ops *ops, void *model,
			  struct event_loop *const *loop, unsigned n_queues);

/* The loop that owns queue 'index'. */
struct event_loop *local_loop(struct datapath *dp, unsigned index);

/* Have 'handle' called again soon.  Owner loop, between queue_start and queue_stop. */
void local_queue_resume(struct datapath *dp, unsigned index);

#endif
