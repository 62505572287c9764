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
 *   start    machine lock held, before any ring runs: what concerns the device as a whole; all its
 *            queues and the accepted features can be seen.  Returns 0 or -errno with a chain.
 *   queue_open  machine lock held, before the ring of queue 'dq->index - first' runs: allocate what
 *            it needs.  Returns 0 or -errno with a chain; it has cleaned up after itself then.
 *            Also for a single queue that starts (again) while others run.  May be NULL.
 *   queue_start  owner loop, the ring 'q' exists: attach completion sources, pollers.  May be NULL.
 *   handle   owner loop: there may be chains.  Called once after start without a kick, and after
 *            each kick.  Pops until VQ_EMPTY, VQ_BROKEN (nothing to do: the datapath reports it,
 *            wherever the pop happened), or as long as it finds fair to others of its loop: it is
 *            called again while there is more.  If it takes nothing although there is something,
 *            it is not called again before local_queue_resume().  Flush is done by the datapath
 *            after it returns; completions outside of handle() flush by themselves.
 *   flush    owner loop: in place of virtqueue_flush() after 'handle', by a model that may want to
 *            call the driver later.  NULL: at once.
 *   queue_stop   owner loop: finish or cancel everything in flight; after it no chain is out (those
 *            that were never answered are simply dropped) and no guest memory is touched.
 *   queue_close  machine lock held, after the ring stopped: free what queue_open allocated.
 *   hold     owner loop, machine lock held: the queue is suspended: what was popped and not begun
 *            goes back to the ring.  Perhaps more than once.  NULL: there is no such thing.
 *   cancel   owner loop: the queue will be stopped: ask the host to give up what it has in
 *            progress.  No pop finds anything after it.  Perhaps more than once, or not at all.
 *   waits    owner loop: would queue_stop have to wait for the host now?  NULL: it never does.
 *   stop     machine lock held, after all queues stopped: undo start.
 */
struct local_ops {
	int (*start)(void *model, const struct datapath_start *start);	/* may be NULL */
	int (*queue_open)(void *model, unsigned index, const struct datapath_queue *dq);
	void (*queue_start)(void *model, unsigned index, struct virtqueue *q);
	void (*handle)(void *model, unsigned index, struct virtqueue *q);
	void (*flush)(void *model, unsigned index, struct virtqueue *q);	/* may be NULL */
	void (*queue_stop)(void *model, unsigned index, struct virtqueue *q);	/* may be NULL */
	void (*queue_close)(void *model, unsigned index);			/* may be NULL */
	void (*hold)(void *model, unsigned index);				/* may be NULL */
	void (*cancel)(void *model, unsigned index);				/* may be NULL */
	bool (*waits)(void *model, unsigned index);				/* may be NULL */
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
