/*
 * One queue of a device for a report: its registers, where the device side is in the ring, and what
 * stands in memory for both sides to read.  A copy.
 */
#ifndef VIRTIO_QUEUE_LOOK_H
#define VIRTIO_QUEUE_LOOK_H

#include "virtio/virtio_device.h"
#include "virtio/virtqueue.h"

struct queue_look {
	char device[80];		/* its name */
	unsigned index;
	uint16_t size, size_max;
	bool enabled;
	enum virtio_queue_ending ending;
	uint64_t desc, driver, device_area;
	char datapath[40];		/* who moves its buffers */
	bool kick_pending, call_pending;	/* signalled, and nobody has taken it yet */
	bool call_masked;		/* an interrupt is due; the driver masked it (MSI-X) */

	bool runs;			/* in this process: 'ring' is valid */
	struct virtqueue_look ring;

	/* Read from memory: of a split ring that no IOMMU hides. */
	bool has_memory;
	uint16_t avail_flags, avail_index, used_event;
	uint16_t used_flags, used_index, avail_event;
};

/*
 * Look at queue 'index'.  Returns false if there is none.  Waits for the loop that owns the ring,
 * as whatever stops it does.  Machine lock held, main thread.
 */
bool queue_look_take(struct queue_look *out, struct virtio_device *dev, unsigned index);

#endif
