/*
 * A driver's session with a device, from reset to reset: what a status write does to its
 * datapaths, how it fails, pauses and ends.
 *
 * virtio-v1.4 2.1 "Device Status Field", 2.4 "Device Reset", 3.4 "Device Suspend".
 */
#include <errno.h>

#include "virtio/virtio_device_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static void stop_parts(struct virtio_device *dev, unsigned n)
{
	while (n-- > 0)
		dev->part[n].datapath->ops->stop(dev->part[n].datapath);
}

bool virtio_device_has_rings(const struct virtio_device *dev)
{
	return dev->state == VIRTIO_STARTED || dev->state == VIRTIO_BREAKING;
}

/*
 * It works no more.  Rings that the host still has something of in progress are given back by the
 * reset; until then nothing is taken from them.
 */
static void break_down(struct virtio_device *dev)
{
	if (dev->state == VIRTIO_BREAKING)
		return;
	if (dev->state == VIRTIO_STARTED && !virtio_device_prepare_stop(dev, 0, dev->n_queues)) {
		dev->state = VIRTIO_BREAKING;
		return;
	}
	if (dev->state == VIRTIO_STARTED)
		stop_parts(dev, dev->n_parts);
	dev->state = VIRTIO_BROKEN;
}

/* What kept it from giving its rings back may be over. */
static void break_down_fully(struct virtio_device *dev)
{
	if (dev->state != VIRTIO_BREAKING || !virtio_device_can_stop(dev, 0, dev->n_queues))
		return;
	stop_parts(dev, dev->n_parts);
	dev->state = VIRTIO_BROKEN;
}

/* --- failure --------------------------------------------------------------------------------- */

void virtio_device_needs_reset(struct virtio_device *dev, unsigned queue, const char *reason)
{
	/* Nor while a reset is under way: it ends what failed, without waiting for the host. */
	if (dev->state == VIRTIO_BROKEN || dev->state == VIRTIO_BREAKING ||
	    dev->negotiation.resetting)
		return;
	break_down(dev);
	virtio_device_note(dev, EVENT_NEEDS_RESET, queue < dev->n_queues ? (int)queue : -1, reason);
	if (queue == VIRTIO_NO_QUEUE)
		log_guest(&dev->log, LOG_WARNING, "%s: %s; it needs reset now", dev->name, reason);
	else
		log_guest(&dev->log, LOG_WARNING, "%s: queue %u: %s; it needs reset now", dev->name,
			  queue, reason);
	/* The bit first, then the interrupt: the driver finds it set. */
	if (negotiation_needs_reset(&dev->negotiation))
		dev->transport->ops->config_changed(dev->transport);
}

/* DRIVER_MISTAKE_KINDS if it is none: a back end died. */
static enum driver_mistake mistake_of(enum vq_fault fault)
{
	switch (fault) {
	case VQ_FAULT_AVAIL_INDEX: return MISTAKE_RING_AVAIL_INDEX;
	case VQ_FAULT_HEAD: return MISTAKE_RING_HEAD;
	case VQ_FAULT_HEAD_IN_FLIGHT: return MISTAKE_RING_HEAD_IN_FLIGHT;
	case VQ_FAULT_NEXT: return MISTAKE_RING_NEXT;
	case VQ_FAULT_LOOP: return MISTAKE_RING_LOOP;
	case VQ_FAULT_ADDRESS: return MISTAKE_RING_ADDRESS;
	case VQ_FAULT_ORDER: return MISTAKE_RING_ORDER;
	case VQ_FAULT_INDIRECT: return MISTAKE_RING_INDIRECT;
	case VQ_FAULT_NOT_AVAILABLE: return MISTAKE_RING_NOT_AVAILABLE;
	case VQ_FAULT_LENGTH: return MISTAKE_RING_LENGTH;
	/* Nothing that a driver must not do. */
	case VQ_FAULT_PIECES:
	case VQ_FAULT_NONE: break;
	}
	return DRIVER_MISTAKE_KINDS;
}

/* The failure that waits to be carried out, NULL if there is none; the driver's part is counted. */
static const char *take_failure(struct virtio_device *dev)
{
	const char *reason = atomic_exchange(&dev->fail_reason, NULL);
	enum driver_mistake kind = mistake_of((enum vq_fault)atomic_load(&dev->fail_fault));

	if (reason && kind != DRIVER_MISTAKE_KINDS)
		virtio_device_mistake(dev, kind);
	return reason;
}

void virtio_device_catch_up(struct virtio_device *dev)
{
	/* NULL: a reset came first, and the failure was of the session that it ended. */
	const char *reason = take_failure(dev);
	unsigned queue = atomic_load(&dev->fail_queue);

	break_down_fully(dev);
	if (!reason)
		return;
	if (!atomic_load(&dev->fail_of_datapath) || !virtio_device_recover(dev, queue, reason))
		virtio_device_needs_reset(dev, queue, reason);
}

void virtio_device_fail_posted(struct event_post *post)
{
	struct virtio_device *dev = container_of(post, struct virtio_device, fail_post);

	machine_lock(dev->machine);
	virtio_device_catch_up(dev);
	machine_unlock(dev->machine);
}

static void fail(struct virtio_device *dev, unsigned queue, enum vq_fault fault,
		 const char *reason, bool of_datapath)
{
	/* The first failure says what is wrong; later ones are its consequences. */
	if (atomic_exchange(&dev->fail_claimed, true))
		return;
	atomic_store(&dev->fail_queue, queue);
	atomic_store(&dev->fail_fault, (unsigned)fault);
	atomic_store(&dev->fail_of_datapath, of_datapath);
	atomic_store(&dev->fail_reason, reason);
	event_loop_post(dev->machine->main_loop, &dev->fail_post);
}

void virtio_device_fail(struct virtio_device *dev, unsigned queue, const char *reason)
{
	fail(dev, queue, VQ_FAULT_NONE, reason, false);
}

void virtio_device_datapath_failed(void *arg, unsigned queue, enum vq_fault fault,
				   const char *reason)
{
	/* What the driver did wrong stays wrong, whoever looks. */
	fail(arg, queue, fault, reason, fault == VQ_FAULT_NONE);
}

/* --- start ----------------------------------------------------------------------------------- */

static const struct dma *device_dma(const struct virtio_device *dev)
{
	return dev->dma ? dev->dma : &dev->machine->dma;
}

struct features virtio_device_tell(const struct virtio_device *dev, struct datapath *dp)
{
	struct features accepted = dev->negotiation.accepted;

	return dp->ops->tell ? dp->ops->tell(dp, accepted, device_dma(dev)) : accepted;
}

struct datapath_start virtio_device_describe_part(struct virtio_device *dev,
						  struct virtio_part *part)
{
	for (unsigned i = 0; i < part->n_queues; i++) {
		unsigned index = part->first_queue + i;
		const struct virtio_queue *q = &dev->queue[index];
		dev->start_queue[index] = (struct datapath_queue){
			.index = index,
			.enabled = q->enabled,
			.size = q->size,
			.desc = q->desc,
			.driver = q->driver,
			.device = q->device,
			.kick_fd = q->kick_fd,
			.call = dev->transport->ops->queue_call(dev->transport, index),
		};
	}
	part->told = virtio_device_tell(dev, part->datapath);
	return (struct datapath_start){
		.features = dev->negotiation.accepted,
		.dma = device_dma(dev),
		.queue = dev->start_queue + part->first_queue,
		.n_queues = part->n_queues,
	};
}

/* A back end that died, or cannot do this one thing, is no reason to have no device at all. */
static int start_part(struct virtio_device *dev, unsigned index)
{
	struct virtio_part *part = &dev->part[index];
	const struct datapath_start start = virtio_device_describe_part(dev, part);
	int r = part->datapath->ops->start(part->datapath, &start);

	return r < 0 ? virtio_device_start_other(dev, index, r) : 0;
}

/* The reasons of a failed start, for the log: the driver brought most of them about. */
static void start_failed(struct virtio_device *dev, int r)
{
	struct error_chain chain;

	if (r == -EINVAL)
		virtio_device_mistake(dev, MISTAKE_RING_CONFIG);
	error_save(&chain);
	for (unsigned i = chain.n; i-- > 0;)
		log_guest(&dev->log, LOG_WARNING, "%s: %s", dev->name, chain.line[i]);
	error_clear();
}

void virtio_device_start(struct virtio_device *dev)
{
	/* Also called when a transport allows DMA again. */
	if (dev->state != VIRTIO_STOPPED || !dev->dma_allowed)
		return;
	for (unsigned i = 0; i < dev->n_parts; i++) {
		int r = start_part(dev, i);

		if (r < 0) {
			start_failed(dev, r);
			stop_parts(dev, i);
			virtio_device_needs_reset(dev, VIRTIO_NO_QUEUE, "it cannot start");
			return;
		}
	}
	virtio_device_note_datapaths(dev);
	dev->state = VIRTIO_STARTED;
	dev->transport->ops->update_doorbells(dev->transport);
}

/* Of a device that runs, and of the part that has it. */
static int start_queue(struct virtio_device *dev, unsigned index)
{
	int r = 0;

	for (unsigned i = 0; i < dev->n_parts && r == 0; i++) {
		struct virtio_part *part = &dev->part[i];
		if (index < part->first_queue || index - part->first_queue >= part->n_queues)
			continue;
		const struct datapath_start start = virtio_device_describe_part(dev, part);
		r = part->datapath->ops->start_queue(part->datapath, &start,
						     index - part->first_queue);
	}
	return r;
}

/* One that its datapath does not start, while another datapath might: the whole part goes over. */
static int start_queue_elsewhere(struct virtio_device *dev, unsigned index, int r)
{
	struct error_chain chain;

	error_save(&chain);
	/* It has no position that could be taken along. */
	dev->queue[index].start_waits = true;
	if (virtio_device_recover(dev, index, "it cannot start")) {
		dev->queue[index].start_waits = false;
		return start_queue(dev, index);
	}
	dev->queue[index].start_waits = false;
	error_restore(&chain);
	return r;
}

void virtio_device_start_queue(struct virtio_device *dev, unsigned index)
{
	dev->queue[index].start_waits = !dev->dma_allowed;
	if (!dev->dma_allowed)
		return;
	int r = start_queue(dev, index);

	if (r < 0)
		r = start_queue_elsewhere(dev, index, r);
	if (r < 0) {
		start_failed(dev, r);
		virtio_device_needs_reset(dev, index, "it cannot start");
	}
}

/* --- suspend --------------------------------------------------------------------------------- */

bool virtio_device_is_quiet(struct virtio_device *dev)
{
	/*
	 * What is out of a queue that is being reset never comes back, and whoever goes on would
	 * have it go on, too: the queue must go first.
	 */
	for (unsigned i = 0; i < dev->n_queues; i++) {
		const struct virtio_queue *q = virtio_device_queue_state(dev, i);
		if (q && q->ending != VIRTIO_QUEUE_STAYS)
			return false;
	}
	for (unsigned i = 0; i < dev->n_parts && dev->state == VIRTIO_STARTED; i++)
		if (!dev->part[i].datapath->ops->is_quiet(dev->part[i].datapath))
			return false;
	return true;
}

void virtio_device_suspend(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->n_parts && dev->state == VIRTIO_STARTED; i++)
		dev->part[i].datapath->ops->suspend(dev->part[i].datapath);
}

static void resume(struct virtio_device *dev)
{
	negotiation_resumed(&dev->negotiation);
	virtio_device_go_on(dev);
	virtio_device_start(dev);
	virtio_device_release_config(dev, true);
}

/* --- what whoever moves the buffers makes of the features ------------------------------------- */

static void forget_session(struct virtio_device *dev, unsigned n)
{
	while (n-- > 0)
		if (dev->part[n].datapath->ops->forget)
			dev->part[n].datapath->ops->forget(dev->part[n].datapath);
}

/* N25: all must.  Returns 0 or -errno with an error chain. */
static int parts_agree(struct virtio_device *dev)
{
	int r = 0;

	for (unsigned i = 0; i < dev->n_parts && r == 0; i++) {
		struct datapath *dp = dev->part[i].datapath;
		if (dp->ops->agree)
			r = dp->ops->agree(dp, dev->negotiation.accepted, device_dma(dev));
		if (r < 0)
			forget_session(dev, i);
	}
	return r;
}

/* What follows when that write sealed a set: 'before' is what there was, 'event' what it meant. */
static enum negotiation_event settle(struct virtio_device *dev, const struct negotiation *before,
				     enum negotiation_event event)
{
	if (!dev->negotiation.sealed || before->sealed)
		return event;
	if (parts_agree(dev) < 0) {
		negotiation_unseal(&dev->negotiation, before, error_text());
		error_clear();
		return NEG_REFUSED;
	}
	virtio_device_note_features(dev);
	if (dev->ops->sealed)
		dev->ops->sealed(dev);
	return event;
}

/* --- reset ----------------------------------------------------------------------------------- */

void virtio_device_reset(struct virtio_device *dev)
{
	if (dev->negotiation.status != 0)
		virtio_device_note(dev, EVENT_DEVICE_RESET, 0, "");
	/* All are told before the first is waited for, so that they end side by side. */
	virtio_device_cancel(dev, 0, dev->n_queues);
	if (virtio_device_has_rings(dev))
		stop_parts(dev, dev->n_parts);
	dev->state = VIRTIO_STOPPED;
	dev->start_waits = false;
	dev->recovered = false;
	/* Nobody can report a failure any more; one that is under way is of the past. */
	take_failure(dev);
	atomic_store(&dev->fail_claimed, false);

	if (dev->transport)
		dev->transport->ops->device_reset(dev->transport);
	for (unsigned i = 0; i < dev->n_queues; i++)
		virtio_queue_reset(&dev->queue[i]);
	fd_drain(dev->config_call_fd);
	virtio_device_release_config(dev, false);
	for (unsigned i = 0; i < dev->config_len; i++) {
		uint8_t mask = dev->config_writable[i] | dev->config_writable_legacy[i];
		dev->config[i] = (uint8_t)((dev->config[i] & ~mask) |
					   (dev->config_initial[i] & mask));
	}
	negotiation_reset_done(&dev->negotiation);
	virtio_device_follow_datapaths(dev);
	forget_session(dev, dev->n_parts);
	if (dev->ops->reset)
		dev->ops->reset(dev);
}

/* Would a reset have to wait for nobody now? */
static bool can_reset(struct virtio_device *dev)
{
	return virtio_device_can_stop(dev, 0, dev->n_queues) &&
	       (!dev->ops->can_reset || dev->ops->can_reset(dev));
}

/*
 * The driver wrote 0.  What the host has in progress can take as long as it likes: the driver is
 * kept waiting here for a moment only, which is enough for every host that is well.  If it is not,
 * the status tells when the reset is complete (N6).
 */
static void begin_reset(struct virtio_device *dev)
{
	if (virtio_device_prepare_stop(dev, 0, dev->n_queues) && can_reset(dev))
		virtio_device_reset(dev);
}

/* --- status ---------------------------------------------------------------------------------- */

static void refused(struct virtio_device *dev)
{
	char why[128];

	negotiation_describe_refusal(&dev->negotiation, why, sizeof(why));
	log_guest(&dev->log, LOG_WARNING, "%s: the driver's features are refused: %s", dev->name,
		  why);
}

static void act(struct virtio_device *dev, enum negotiation_event event)
{
	switch (event) {
	case NEG_NOTHING:
	case NEG_SEALED:
		break;
	case NEG_REFUSED:
		refused(dev);
		break;
	case NEG_DRIVER_OK:
		virtio_device_note(dev, EVENT_DRIVER_OK, 0, "");
		virtio_device_start(dev);
		break;
	case NEG_RESET:
		begin_reset(dev);
		break;
	case NEG_FAILED:
		break_down(dev);
		log_guest(&dev->log, LOG_WARNING, "%s: the driver gave up", dev->name);
		break;
	case NEG_SUSPEND:
		virtio_device_suspend(dev);
		break;
	case NEG_RESUME:
		resume(dev);
		break;
	}
}

void virtio_device_write_status(struct virtio_device *dev, uint8_t value)
{
	const struct negotiation before = dev->negotiation;

	/* Whoever writes 0 again does not wait again. */
	if (dev->negotiation.resetting) {
		(void)virtio_device_read_status(dev);
		return;
	}
	enum negotiation_event event = negotiation_write_status(&dev->negotiation, value);

	act(dev, settle(dev, &before, event));
}

void virtio_device_write_status_legacy(struct virtio_device *dev, uint8_t value)
{
	const struct negotiation before = dev->negotiation;

	if (dev->negotiation.resetting && value != 0) {
		(void)virtio_device_read_status(dev);
		return;
	}
	enum negotiation_event event = negotiation_write_status_legacy(&dev->negotiation, value);

	event = settle(dev, &before, event);
	/* Nor whether its reset is complete, whoever had the device before.  N6 */
	if (event == NEG_RESET)
		virtio_device_reset(dev);
	else
		act(dev, event);
	/* A legacy driver does not ask whether its features were taken. */
	if (event == NEG_REFUSED)
		virtio_device_needs_reset(dev, VIRTIO_NO_QUEUE, "its driver cannot be served");
}

bool virtio_device_seal_legacy(struct virtio_device *dev)
{
	const struct negotiation before = dev->negotiation;
	enum negotiation_event event;

	/* Of a session that ends, by a reset at the modern window. */
	if (dev->negotiation.resetting)
		return false;
	event = settle(dev, &before, negotiation_seal_legacy(&dev->negotiation));
	if (event == NEG_REFUSED) {
		refused(dev);
		virtio_device_needs_reset(dev, VIRTIO_NO_QUEUE, "its driver cannot be served");
		return false;
	}
	return dev->negotiation.legacy;
}

uint8_t virtio_device_read_status(struct virtio_device *dev)
{
	/* N6: 0 once the reset is complete, and not before. */
	if (dev->negotiation.resetting && can_reset(dev))
		virtio_device_reset(dev);
	/* N6: the answer says suspended once that is complete, and not before. */
	if (dev->negotiation.suspending && virtio_device_is_quiet(dev))
		negotiation_suspended(&dev->negotiation);
	return negotiation_read_status(&dev->negotiation);
}
