#include "virtio/queue_look.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

/* Does an eventfd hold a signal?  It stays there. */
static bool is_signalled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd != FD_NONE && poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

static bool read_word(const struct virtio_device *dev, uint64_t area, uint64_t offset,
		      uint16_t *out)
{
	const void *p;

	if (area > UINT64_MAX - offset)
		return false;
	p = guest_memory_at(&dev->machine->memory, area + offset, sizeof(*out));
	if (p)
		*out = le16toh(__atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED));
	return p;
}

/* virtio-v1.4 2.7.6 "The Virtqueue Available Ring", 2.7.8 "The Virtqueue Used Ring" */
static bool read_rings(struct queue_look *out, const struct virtio_device *dev)
{
	uint64_t n = out->size;

	if (out->driver % 2 || out->device_area % 2)
		return false;
	return read_word(dev, out->driver, 0, &out->avail_flags) &&
	       read_word(dev, out->driver, 2, &out->avail_index) &&
	       read_word(dev, out->driver, 4 + 2 * n, &out->used_event) &&
	       read_word(dev, out->device_area, 0, &out->used_flags) &&
	       read_word(dev, out->device_area, 2, &out->used_index) &&
	       read_word(dev, out->device_area, 4 + 8 * n, &out->avail_event);
}

bool queue_look_take(struct queue_look *out, struct virtio_device *dev, unsigned index)
{
	const struct virtio_queue *q;
	bool packed;

	if (index >= dev->n_queues)
		return false;
	q = &dev->queue[index];
	*out = (struct queue_look){
		.index = index, .size = q->size, .size_max = q->size_max, .enabled = q->enabled,
		.ending = q->ending, .desc = q->desc, .driver = q->driver,
		.device_area = q->device,
		.kick_pending = is_signalled(q->kick_fd), .call_pending = is_signalled(q->call_fd),
	};
	if (dev->transport && dev->transport->ops->queue_masked)
		out->call_masked = dev->transport->ops->queue_masked(dev->transport, index);
	snprintf(out->device, sizeof(out->device), "%s", dev->name);
	for (unsigned i = 0; i < dev->n_parts; i++) {
		struct datapath *dp = dev->part[i].datapath;
		unsigned k = index - dev->part[i].first_queue;

		if (k >= dev->part[i].n_queues)
			continue;
		snprintf(out->datapath, sizeof(out->datapath), "%s", dp->name);
		out->runs = dp->is_started && dp->ops->look && dp->ops->look(dp, k, &out->ring);
	}
	packed = features_has(&dev->negotiation.accepted, VIRTIO_F_RING_PACKED);
	out->has_memory = q->enabled && !packed && !dev->dma && dev->machine &&
			  read_rings(out, dev);
	return true;
}
