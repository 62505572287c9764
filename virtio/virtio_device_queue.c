/*
 * The queue registers, the same behind both transports.  virtio-v1.4 4.1.4.3 "Common
 * configuration structure layout", 4.2.2 "MMIO Device Register Layout".
 */
#include "virtio/virtio_device.h"
#include "vmm/base/fd.h"

struct virtio_queue *virtio_device_queue(struct virtio_device *dev, unsigned index)
{
	if (index >= dev->n_queues || dev->queue[index].size_max == 0)
		return NULL;
	return &dev->queue[index];
}

void virtio_device_set_queue_size(struct virtio_device *dev, unsigned index, uint32_t size)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);

	if (!q || q->enabled)
		return;
	q->size = size <= q->size_max && is_power_of_two(size) ? (uint16_t)size : 0;
}

void virtio_device_set_queue_address(struct virtio_device *dev, unsigned index,
				     enum virtio_queue_area area, bool high_half, uint32_t value)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);

	if (!q || q->enabled)
		return;
	uint64_t *field = area == VIRTIO_QUEUE_DESC ? &q->desc :
			  area == VIRTIO_QUEUE_DRIVER ? &q->driver : &q->device;
	*field = high_half ? (*field & UINT32_MAX) | (uint64_t)value << 32 :
			     (*field & ~(uint64_t)UINT32_MAX) | value;
}

void virtio_device_enable_queue(struct virtio_device *dev, unsigned index)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);

	if (!q || q->enabled)
		return;
	if (!dev->negotiation.sealed || dev->negotiation.status & VIRTIO_STATUS_DRIVER_OK) {
		const char *when = dev->negotiation.sealed ? "after DRIVER_OK" :
							     "before FEATURES_OK";
		log_guest(&dev->log, LOG_WARNING, "%s: queue %u was enabled %s: ignored", dev->name,
			  index, when);
		return;
	}
	if (q->size == 0) {
		log_guest(&dev->log, LOG_WARNING,
			  "%s: queue %u was enabled with a wrong size: ignored", dev->name, index);
		return;
	}
	q->enabled = true;
}

static void stop_in_part(struct virtio_device *dev, unsigned index)
{
	for (unsigned i = 0; i < dev->n_parts; i++) {
		const struct virtio_part *part = &dev->part[i];
		if (index >= part->first_queue && index - part->first_queue < part->n_queues)
			part->datapath->ops->stop_queue(part->datapath, index - part->first_queue);
	}
}

void virtio_device_disable_queue(struct virtio_device *dev, unsigned index)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);

	if (!q || !q->enabled)
		return;
	if (dev->state == VIRTIO_STARTED)
		stop_in_part(dev, index);
	q->enabled = false;
	fd_drain(q->kick_fd);
}

void virtio_device_kick(struct virtio_device *dev, unsigned index)
{
	struct virtio_queue *q = virtio_device_queue(dev, index);

	/* Before the start nobody listens: every queue is looked at then without a kick. */
	if (q && q->enabled && dev->state == VIRTIO_STARTED && dev->dma_allowed)
		fd_signal(q->kick_fd);
}
