/*
 * The queue registers, the same behind both transports.  virtio-v1.4 4.1.4.3 "Common
 * configuration structure layout", 4.2.2 "MMIO Device Register Layout".
 */
#include <unistd.h>

#include "virtio/virtio_device_impl.h"
#include "vmm/base/clock.h"
#include "vmm/base/fd.h"

struct virtio_queue *virtio_device_queue(struct virtio_device *dev, unsigned index)
{
	if (index >= dev->n_queues || dev->queue[index].size_max == 0)
		return NULL;
	return &dev->queue[index];
}

/* The queue, if a driver may configure it now; what it must not do is counted. */
static struct virtio_queue *configurable(struct virtio_device *dev, unsigned index)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);

	if (!q)
		virtio_device_mistake(dev, MISTAKE_QUEUE_NO_QUEUE);
	else if (q->enabled)
		virtio_device_mistake(dev, MISTAKE_QUEUE_ENABLED);
	return q && !q->enabled ? q : NULL;
}

/* virtio-v1.4 2.7: a split queue's size is a power of two; 2.8: a packed one's need not be. */
static bool size_is_possible(const struct virtio_device *dev, const struct virtio_queue *q,
			     uint32_t size)
{
	bool packed = dev->negotiation.sealed &&
		      features_has(&dev->negotiation.accepted, VIRTIO_F_RING_PACKED);

	return size > 0 && size <= q->size_max && (packed || is_power_of_two(size));
}

void virtio_device_set_queue_size(struct virtio_device *dev, unsigned index, uint32_t size)
{
	struct virtio_queue *q = configurable(dev, index);

	if (!q)
		return;
	if (size_is_possible(dev, q, size)) {
		q->size = (uint16_t)size;
		return;
	}
	q->size = 0;
	virtio_device_mistake(dev, MISTAKE_QUEUE_SIZE);
}

void virtio_device_set_queue_address(struct virtio_device *dev, unsigned index,
				     enum virtio_queue_area area, bool high_half, uint32_t value)
{
	struct virtio_queue *q = configurable(dev, index);

	if (!q)
		return;
	uint64_t *field = area == VIRTIO_QUEUE_DESC ? &q->desc :
			  area == VIRTIO_QUEUE_DRIVER ? &q->driver : &q->device;
	*field = high_half ? (*field & UINT32_MAX) | (uint64_t)value << 32 :
			     (*field & ~(uint64_t)UINT32_MAX) | value;
}

/* Why the driver may not enable this queue now; NULL if it may. */
static const char *enable_refusal(const struct virtio_device *dev, const struct virtio_queue *q,
				  enum driver_mistake *kind)
{
	const struct negotiation *n = &dev->negotiation;

	*kind = MISTAKE_QUEUE_ENABLE_TIME;
	if (!n->sealed || n->legacy)
		return "before FEATURES_OK";
	if (negotiation_is_suspended(n) || n->suspending || n->resetting)
		return "while the device is suspended or resetting";
	if (n->status & VIRTIO_STATUS_DRIVER_OK && !q->was_reset)
		return "after DRIVER_OK";
	*kind = MISTAKE_QUEUE_SIZE;
	return q->size == 0 ? "with a wrong size" : NULL;
}

void virtio_device_enable_queue(struct virtio_device *dev, unsigned index)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);
	enum driver_mistake kind;
	const char *refusal;

	if (!q)
		virtio_device_mistake(dev, MISTAKE_QUEUE_NO_QUEUE);
	if (!q || q->enabled)
		return;
	refusal = enable_refusal(dev, q, &kind);
	if (refusal) {
		virtio_device_mistake(dev, kind);
		log_guest(&dev->log, LOG_WARNING, "%s: queue %u was enabled %s: ignored", dev->name,
			  index, refusal);
		return;
	}
	q->enabled = true;
	q->was_reset = false;
	virtio_device_note(dev, EVENT_QUEUE_ENABLED, (int)index, "");
	if (dev->state == VIRTIO_STARTED)
		virtio_device_start_queue(dev, index);
}

/* --- the end of a queue ---------------------------------------------------------------------- */

/* How long an ending keeps the vCPU that asked for it. */
enum { STOP_PATIENCE_MS = 100 };

static const struct virtio_part *part_of(const struct virtio_device *dev, unsigned index)
{
	for (unsigned i = 0; i < dev->n_parts; i++) {
		const struct virtio_part *part = &dev->part[i];
		if (index >= part->first_queue && index - part->first_queue < part->n_queues)
			return part;
	}
	return NULL;
}

bool virtio_device_can_stop(const struct virtio_device *dev, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n && virtio_device_has_rings(dev); i++) {
		const struct virtio_part *part = part_of(dev, i);
		if (part && part->datapath->ops->can_stop &&
		    !part->datapath->ops->can_stop(part->datapath, i - part->first_queue))
			return false;
	}
	return true;
}

void virtio_device_cancel(struct virtio_device *dev, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n && virtio_device_has_rings(dev); i++) {
		const struct virtio_part *part = part_of(dev, i);
		if (part && part->datapath->ops->prepare_stop)
			part->datapath->ops->prepare_stop(part->datapath, i - part->first_queue);
	}
}

bool virtio_device_prepare_stop(struct virtio_device *dev, unsigned first, unsigned n)
{
	/* By the clock: each look waits for a turn of the queues' loops, which others share. */
	uint64_t deadline = clock_now_ms() + STOP_PATIENCE_MS;

	virtio_device_cancel(dev, first, n);
	while (!virtio_device_can_stop(dev, first, n)) {
		if (clock_now_ms() >= deadline)
			return false;
		usleep(1000);
	}
	return true;
}

static void finish(struct virtio_device *dev, unsigned index)
{
	struct virtio_queue *q = &dev->queue[index];
	const struct virtio_part *part = part_of(dev, index);
	enum virtio_queue_ending ending = q->ending;

	if (virtio_device_has_rings(dev) && part)
		part->datapath->ops->stop_queue(part->datapath, index - part->first_queue);
	q->ending = VIRTIO_QUEUE_STAYS;
	q->enabled = false;
	q->start_waits = false;
	q->pfn = 0;
	/* The doorbell first: nobody signals any more what is drained then. */
	dev->transport->ops->update_doorbells(dev->transport);
	fd_drain(q->kick_fd);
	if (ending != VIRTIO_QUEUE_RESETTING)
		return;
	dev->transport->ops->queue_reset(dev->transport, index);
	virtio_queue_reset(q);
	q->was_reset = true;
}

static void end_queue(struct virtio_device *dev, unsigned index, enum virtio_queue_ending ending)
{
	struct virtio_queue *q = &dev->queue[index];

	q->ending = ending;
	/* A legacy driver does not look whether it is over. */
	if (virtio_device_prepare_stop(dev, index, 1) || dev->negotiation.legacy)
		finish(dev, index);
}

const struct virtio_queue *virtio_device_queue_state(struct virtio_device *dev, unsigned index)
{
	const struct virtio_queue *q = virtio_device_queue(dev, index);

	if (q && q->ending != VIRTIO_QUEUE_STAYS && virtio_device_can_stop(dev, index, 1))
		finish(dev, index);
	return q;
}

void virtio_device_disable_queue(struct virtio_device *dev, unsigned index)
{
	const struct virtio_queue *q = virtio_device_queue(dev, index);

	if (q && q->enabled && q->ending == VIRTIO_QUEUE_STAYS && !dev->negotiation.resetting)
		end_queue(dev, index, VIRTIO_QUEUE_DISABLING);
}

void virtio_queue_reset(struct virtio_queue *q)
{
	q->size = q->size_max;
	q->enabled = false;
	q->ending = VIRTIO_QUEUE_STAYS;
	q->was_reset = false;
	q->start_waits = false;
	q->desc = q->driver = q->device = 0;
	q->pfn = 0;
	/* A kick or call of the ended session must not reach the next one. */
	fd_drain(q->kick_fd);
	fd_drain(q->call_fd);
}

void virtio_device_reset_queue(struct virtio_device *dev, unsigned index)
{
	const struct virtio_queue *q = virtio_device_queue(dev, index);
	const struct negotiation *n = &dev->negotiation;

	if (!n->sealed || !features_has(&n->accepted, VIRTIO_F_RING_RESET) || n->resetting ||
	    negotiation_is_suspended(n) || n->suspending || !q || !q->enabled) {
		virtio_device_mistake(dev, q ? MISTAKE_QUEUE_RESET : MISTAKE_QUEUE_NO_QUEUE);
		return;
	}
	if (q->ending == VIRTIO_QUEUE_STAYS)
		end_queue(dev, index, VIRTIO_QUEUE_RESETTING);
}

/* --- legacy ---------------------------------------------------------------------------------- */

void virtio_device_set_queue_legacy(struct virtio_device *dev, unsigned index, uint32_t pfn,
				    uint64_t page_size, uint64_t align)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);
	uint64_t base, used;

	if (!q)
		virtio_device_mistake(dev, MISTAKE_QUEUE_NO_QUEUE);
	/* Drivers give up queues after a reset, too: that is not yet a session. */
	if (!q || (pfn == 0 && !q->enabled) || !virtio_device_seal_legacy(dev))
		return;
	if (pfn == 0) {
		virtio_device_disable_queue(dev, index);
		return;
	}
	if (q->enabled) {
		virtio_device_mistake(dev, MISTAKE_QUEUE_ENABLED);
		return;
	}
	/* Nothing of this is an address yet: what it comes to is judged by virtqueue_create. */
	if (!is_power_of_two(page_size) || !is_power_of_two(align) || q->size == 0 ||
	    __builtin_mul_overflow((uint64_t)pfn, page_size, &base) ||
	    __builtin_add_overflow(base, 18ull * q->size + 6 + align - 1, &used)) {
		virtio_device_mistake(dev, MISTAKE_RING_CONFIG);
		log_guest(&dev->log, LOG_WARNING,
			  "%s: queue %u: a ring of %u at page 0x%x of %llu bytes, aligned to %llu, "
			  "cannot be: ignored",
			  dev->name, index, q->size, pfn, (unsigned long long)page_size,
			  (unsigned long long)align);
		return;
	}
	q->pfn = pfn;
	q->desc = base;
	q->driver = base + 16ull * q->size;
	q->device = used & ~(align - 1);
	q->enabled = true;
	virtio_device_note(dev, EVENT_QUEUE_ENABLED, (int)index, "");
	if (dev->state == VIRTIO_STARTED)
		virtio_device_start_queue(dev, index);
}

/* --- kicks ----------------------------------------------------------------------------------- */

void virtio_device_kick(struct virtio_device *dev, unsigned index)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);

	if (!(dev->negotiation.status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_SUSPEND)))
		virtio_device_mistake(dev, MISTAKE_KICK_BEFORE_DRIVER_OK);
	else if (!q || !q->enabled)
		virtio_device_mistake(dev, MISTAKE_KICK_NO_QUEUE);
	/* Before the start nobody listens: every queue is looked at then without a kick. */
	if (q && q->enabled && dev->state == VIRTIO_STARTED && dev->dma_allowed &&
	    !negotiation_is_suspended(&dev->negotiation))
		fd_signal(q->kick_fd);
}

void virtio_device_kick_legacy(struct virtio_device *dev, unsigned index)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);

	if (!q || !q->enabled) {
		virtio_device_mistake(dev, MISTAKE_KICK_NO_QUEUE);
		return;
	}
	/* Drivers of old use their queues while they probe: 3.1.2 "Legacy Interface". */
	if (dev->negotiation.legacy &&
	    !(dev->negotiation.status & (VIRTIO_STATUS_FAILED | VIRTIO_STATUS_NEEDS_RESET))) {
		dev->start_waits = !dev->dma_allowed;
		virtio_device_start(dev);
	}
	if (dev->state == VIRTIO_STARTED && dev->dma_allowed)
		fd_signal(q->kick_fd);
}

bool virtio_device_wants_doorbell(const struct virtio_device *dev, unsigned index)
{
	return dev->queue[index].enabled && dev->state == VIRTIO_STARTED && dev->dma_allowed &&
	       !dev->strict;
}
