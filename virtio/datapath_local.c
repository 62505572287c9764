#include "virtio/datapath_local.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

struct local_queue {
	struct local *local;
	unsigned index;			/* within the datapath */
	unsigned device_index;
	struct event_loop *loop;
	struct event_source kick;
	struct event_poller poller;
	struct virtqueue *vq;		/* NULL: does not run */
	bool watched;			/* not (any more) when the ring broke */
	bool stalled;			/* the model takes no more until local_queue_resume */
	bool armed;			/* the driver was told to kick */
	bool has_position;
	struct virtqueue_position position;	/* where the ring stood when it was closed */
	struct queue_stats past;	/* what rings that are closed had counted */
};

struct local {
	struct datapath base;
	const struct local_ops *ops;
	void *model;
	unsigned n_queues;
	struct local_queue queue[];
};

static struct local *to_local(struct datapath *dp)
{
	return container_of(dp, struct local, base);
}

/*
 * What this process serves: these bits of the ring, and every header bit of a device type,
 * because headers are the model's own.  virtio-v1.4 2.2 "Feature Bits": 0-23 and 50-127 are the
 * device types'.
 */
static struct features local_features(struct datapath *dp)
{
	struct features f = { { UINT64_C(0xffffff) | ~UINT64_C(0) << 50, ~UINT64_C(0) } };

	(void)dp;
	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	features_add(&f, VIRTIO_F_EVENT_IDX);
	features_add(&f, VIRTIO_F_VERSION_1);
	features_add(&f, VIRTIO_F_RING_PACKED);
	features_add(&f, VIRTIO_F_IN_ORDER);
	features_add(&f, VIRTIO_F_ANY_LAYOUT);
	features_add(&f, VIRTIO_F_RING_RESET);
	features_add(&f, VIRTIO_F_SUSPEND);
	/* Memory is reached through 'dma' and shared coherently: there is nothing else to do. */
	features_add(&f, VIRTIO_F_ACCESS_PLATFORM);
	features_add(&f, VIRTIO_F_ORDER_PLATFORM);
	return f;
}

static void unwatch(struct local_queue *lq)
{
	lq->watched = false;
	event_loop_remove(&lq->kick);
	event_loop_remove_poller(&lq->poller);
}

/* From the pop that found it, on the owner loop. */
static void queue_broken(void *arg, enum vq_fault fault)
{
	struct local_queue *lq = arg;
	struct datapath *dp = &lq->local->base;

	unwatch(lq);
	if (dp->fail)
		dp->fail(dp->fail_arg, lq->device_index, fault, vq_fault_text(fault));
}

/*
 * Drain the ring. Nobody kicks while we are at it, nor while the loop polls; the driver is asked
 * to kick only when the loop is about to sleep (queue_arm), because each kick costs it a good
 * part of a request. A guest that never stops adding does not keep other sources of the loop from
 * being looked at: that is one round each.
 */
static inline void queue_run(struct local_queue *lq)
{
	const struct local *local = lq->local;
	struct virtqueue *vq = lq->vq;
	bool had_work = virtqueue_suppress(vq);
	uint16_t before = virtqueue_avail_index(vq);

	lq->armed = false;
	local->ops->handle(local->model, lq->index, vq);
	if (local->ops->flush)
		local->ops->flush(local->model, lq->index, vq);
	else
		virtqueue_flush(vq);
	/* If nothing was taken, no kick is needed: the model says when to go on. */
	lq->stalled = lq->watched && had_work && virtqueue_avail_index(vq) == before;
}

/*
 * The loop sleeps next: returns true if a chain came in before the driver knew that it must kick.
 */
static bool queue_arm(struct event_poller *poller)
{
	struct local_queue *lq = container_of(poller, struct local_queue, poller);

	if (!lq->watched || lq->stalled || lq->armed)
		return false;
	lq->armed = !virtqueue_rearm(lq->vq);
	if (!lq->armed)
		fd_signal(lq->kick.fd);
	return !lq->armed;
}

/* Chains that the model has not answered yet: their completions come through descriptors. */
static bool queue_awaits(const struct event_poller *poller)
{
	const struct local_queue *lq = container_of(poller, const struct local_queue, poller);

	return virtqueue_in_flight(lq->vq) > 0;
}

static void queue_kicked(struct event_source *source, uint32_t events)
{
	struct local_queue *lq = container_of(source, struct local_queue, kick);

	(void)events;
	if (fd_drain(source->fd))
		queue_stats_add(&virtqueue_stats(lq->vq)->kicks, 1);
	queue_run(lq);
}

static bool queue_poll(struct event_poller *poller)
{
	struct local_queue *lq = container_of(poller, struct local_queue, poller);

	if (!lq->watched || lq->stalled || !virtqueue_has_work(lq->vq))
		return false;
	queue_run(lq);
	return true;
}

/* A call to the owner loop; an error chain belongs to a thread and is carried back. */
struct begin_call {
	struct local_queue *lq;
	int r;
	struct error_chain chain;
};

static void queue_begin(void *arg)
{
	struct begin_call *call = arg;
	struct local_queue *lq = call->lq;
	const struct local *local = lq->local;

	call->r = event_loop_add(lq->loop, &lq->kick, EPOLLIN);
	if (call->r < 0) {
		error_save(&call->chain);
		return;
	}
	event_loop_add_poller(lq->loop, &lq->poller);
	lq->watched = true;
	lq->stalled = false;
	lq->armed = false;
	if (local->ops->queue_start)
		local->ops->queue_start(local->model, lq->index, lq->vq);
	/* What was made available before DRIVER_OK came without a kick that we would have seen. */
	fd_signal(lq->kick.fd);
}

static void queue_end(void *arg)
{
	struct local_queue *lq = arg;
	const struct local *local = lq->local;

	unwatch(lq);
	if (local->ops->queue_stop)
		local->ops->queue_stop(local->model, lq->index, lq->vq);
}

static void queue_close(struct local_queue *lq)
{
	const struct local *local = lq->local;

	if (!lq->vq)
		return;
	/* Chains that were never answered are dropped: whoever goes on would not find them. */
	lq->has_position = virtqueue_fault(lq->vq) == VQ_FAULT_NONE &&
			   virtqueue_in_flight(lq->vq) == 0;
	if (lq->has_position)
		lq->position = virtqueue_position(lq->vq);
	queue_stats_forget_in_flight(virtqueue_stats(lq->vq));
	queue_stats_sum(&lq->past, virtqueue_stats(lq->vq));
	virtqueue_destroy(lq->vq);
	lq->vq = NULL;
	if (local->ops->queue_close)
		local->ops->queue_close(local->model, lq->index);
}

static int queue_open(struct local_queue *lq, const struct datapath_start *start)
{
	const struct local *local = lq->local;
	const struct datapath_queue *dq = &start->queue[lq->index];
	const struct virtqueue_config config = {
		.size = dq->size,
		.desc = dq->desc,
		.driver = dq->driver,
		.device = dq->device,
		.features = start->features,
		.dma = start->dma,
		.call = dq->call,
		.resume = dq->resume,
		.avail_base = dq->position.avail,
		.used_base = dq->position.used,
		.broken = queue_broken,
		.broken_arg = lq,
	};
	int r = virtqueue_create(&lq->vq, &config);

	if (r < 0)
		return error_add(r, "set up queue %u", dq->index);
	lq->has_position = false;
	lq->device_index = dq->index;
	lq->kick.fd = dq->kick_fd;
	r = local->ops->queue_open ? local->ops->queue_open(local->model, lq->index, dq) : 0;
	if (r < 0) {
		virtqueue_destroy(lq->vq);
		lq->vq = NULL;
	}
	return r;
}

/* The ring exists; hand it to its loop. */
static int queue_hand_over(struct local_queue *lq)
{
	struct begin_call call = { .lq = lq };

	event_loop_call(lq->loop, queue_begin, &call);
	if (call.r < 0)
		error_restore(&call.chain);
	return call.r;
}

static void close_queues(struct local *local)
{
	for (unsigned i = 0; i < local->n_queues; i++)
		queue_close(&local->queue[i]);
}

/* End the first 'n' queues, each on its loop. */
static void end_queues(struct local *local, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (local->queue[i].vq)
			event_loop_call(local->queue[i].loop, queue_end, &local->queue[i]);
}

static int begin_queues(struct local *local)
{
	for (unsigned i = 0; i < local->n_queues; i++) {
		int r = local->queue[i].vq ? queue_hand_over(&local->queue[i]) : 0;

		if (r < 0) {
			end_queues(local, i);
			return r;
		}
	}
	return 0;
}

/* None runs. */
static void close_all(struct datapath *dp)
{
	struct local *local = to_local(dp);

	close_queues(local);
	if (local->ops->stop)
		local->ops->stop(local->model);
}

static int local_start(struct datapath *dp, const struct datapath_start *start)
{
	struct local *local = to_local(dp);
	int r = 0;

	if (local->ops->start)
		r = local->ops->start(local->model, start);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < local->n_queues && i < start->n_queues && r == 0; i++)
		if (start->queue[i].enabled)
			r = queue_open(&local->queue[i], start);
	if (r == 0)
		r = begin_queues(local);
	return datapath_end_start(dp, r, close_all);
}

static void local_stop(struct datapath *dp)
{
	struct local *local = to_local(dp);

	if (!datapath_begin_stop(dp))
		return;
	/* All end before the first is freed: a model's queues may know of each other. */
	end_queues(local, local->n_queues);
	close_all(dp);
}

static int local_start_queue(struct datapath *dp, const struct datapath_start *start,
			     unsigned queue)
{
	struct local *local = to_local(dp);

	if (queue >= local->n_queues || queue >= start->n_queues || local->queue[queue].vq)
		return 0;
	int r = queue_open(&local->queue[queue], start);

	if (r == 0)
		r = queue_hand_over(&local->queue[queue]);
	if (r < 0)
		queue_close(&local->queue[queue]);
	return r;
}

static void local_stop_queue(struct datapath *dp, unsigned queue)
{
	struct local *local = to_local(dp);

	if (queue >= local->n_queues || !local->queue[queue].vq)
		return;
	event_loop_call(local->queue[queue].loop, queue_end, &local->queue[queue]);
	queue_close(&local->queue[queue]);
}

static bool local_position(struct datapath *dp, unsigned queue, struct virtqueue_position *out)
{
	const struct local *local = to_local(dp);

	if (queue >= local->n_queues || local->queue[queue].vq ||
	    !local->queue[queue].has_position)
		return false;
	*out = local->queue[queue].position;
	return true;
}

static void local_stats(struct datapath *dp, unsigned queue, struct queue_stats *sum)
{
	const struct local *local = to_local(dp);

	if (queue >= local->n_queues)
		return;
	queue_stats_sum(sum, &local->queue[queue].past);
	if (local->queue[queue].vq)
		queue_stats_sum(sum, virtqueue_stats(local->queue[queue].vq));
}

/* --- pausing, for VIRTIO_F_SUSPEND and before a stop ----------------------------------------*/

/* A question or an order to each queue that runs, on its loop. */
struct queue_call {
	struct local_queue *lq;
	bool yes;
};

static bool ask_queue(struct local *local, unsigned queue, void (*fn)(void *arg))
{
	struct queue_call call = { .lq = &local->queue[queue], .yes = true };

	if (queue < local->n_queues && call.lq->vq)
		event_loop_call(call.lq->loop, fn, &call);
	return call.yes;
}

static bool ask_queues(struct local *local, void (*fn)(void *arg))
{
	for (unsigned i = 0; i < local->n_queues; i++)
		if (!ask_queue(local, i, fn))
			return false;
	return true;
}

static void queue_suspend(void *arg)
{
	struct queue_call *call = arg;
	const struct local *local = call->lq->local;

	if (local->ops->hold)
		local->ops->hold(local->model, call->lq->index);
	virtqueue_pause(call->lq->vq, true);
}

static void queue_is_quiet(void *arg)
{
	struct queue_call *call = arg;

	call->yes = virtqueue_in_flight(call->lq->vq) == 0;
}

static void queue_resume(void *arg)
{
	struct local_queue *lq = ((struct queue_call *)arg)->lq;

	virtqueue_pause(lq->vq, false);
	lq->stalled = false;
	lq->armed = false;
	fd_signal(lq->kick.fd);
}

static void queue_prepare_stop(void *arg)
{
	struct queue_call *call = arg;
	const struct local *local = call->lq->local;

	/* In this order: a model may want to take what is there. */
	if (local->ops->cancel)
		local->ops->cancel(local->model, call->lq->index);
	virtqueue_pause(call->lq->vq, true);
}

static void queue_can_stop(void *arg)
{
	struct queue_call *call = arg;
	const struct local *local = call->lq->local;

	call->yes = !local->ops->waits || !local->ops->waits(local->model, call->lq->index);
}

static void local_suspend(struct datapath *dp)
{
	ask_queues(to_local(dp), queue_suspend);
}

static bool local_is_quiet(struct datapath *dp)
{
	return ask_queues(to_local(dp), queue_is_quiet);
}

static void local_resume(struct datapath *dp)
{
	ask_queues(to_local(dp), queue_resume);
}

static void local_prepare_stop(struct datapath *dp, unsigned queue)
{
	ask_queue(to_local(dp), queue, queue_prepare_stop);
}

static bool local_can_stop(struct datapath *dp, unsigned queue)
{
	return ask_queue(to_local(dp), queue, queue_can_stop);
}

struct look_call {
	const struct virtqueue *vq;
	struct virtqueue_look *out;
};

static void queue_look(void *arg)
{
	struct look_call *call = arg;

	virtqueue_take_look(call->vq, call->out);
}

static bool local_look(struct datapath *dp, unsigned queue, struct virtqueue_look *out)
{
	struct local *local = to_local(dp);

	if (queue >= local->n_queues || !local->queue[queue].vq)
		return false;
	struct look_call call = { .vq = local->queue[queue].vq, .out = out };
	event_loop_call(local->queue[queue].loop, queue_look, &call);
	return true;
}

static void local_destroy(struct datapath *dp)
{
	local_stop(dp);
	free(to_local(dp));
}

static const struct datapath_ops local_datapath_ops = {
	.features = local_features,
	.start = local_start,
	.stop = local_stop,
	.prepare_stop = local_prepare_stop,
	.can_stop = local_can_stop,
	.start_queue = local_start_queue,
	.stop_queue = local_stop_queue,
	.position = local_position,
	.stats = local_stats,
	.suspend = local_suspend,
	.is_quiet = local_is_quiet,
	.resume = local_resume,
	.look = local_look,
	.destroy = local_destroy,
};

int local_create(struct datapath **out, const struct local_ops *ops, void *model,
		 struct event_loop *const *loop, unsigned n_queues)
{
	struct local *local = calloc(1, sizeof(*local) + n_queues * sizeof(local->queue[0]));

	*out = NULL;
	if (!local)
		return error_set(ENOMEM, "create a datapath of %u queues", n_queues);
	local->base.ops = &local_datapath_ops;
	local->base.name = "in process";
	local->ops = ops;
	local->model = model;
	local->n_queues = n_queues;
	for (unsigned i = 0; i < n_queues; i++)
		local->queue[i] = (struct local_queue){
			.local = local,
			.index = i,
			.loop = loop[i],
			.kick = { .fd = FD_NONE, .fn = queue_kicked },
			.poller = { .poll = queue_poll, .arm = queue_arm,
				    .awaits = queue_awaits },
		};
	*out = &local->base;
	return 0;
}

struct event_loop *local_loop(struct datapath *dp, unsigned index)
{
	return to_local(dp)->queue[index].loop;
}

void local_queue_resume(struct datapath *dp, unsigned index)
{
	struct local_queue *lq = &to_local(dp)->queue[index];

	if (lq->watched)
		fd_signal(lq->kick.fd);
}
