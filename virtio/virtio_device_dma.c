/*
 * A device that may not reach memory: Bus Master Enable is off.
 *
 * A kernel that gives a machine to another one (kexec), or a driver that goes, switches it off so
 * that nothing comes into memory that has another use now.  So rings that run stand still, also
 * where the host would have something for them: a frame that arrives waits, as for a driver that
 * gives no buffers.  They go on where they stood.  What the host was at work with gets a moment;
 * after that it is asked to give up, and the device needs a reset.
 */
#include <unistd.h>

#include "virtio/virtio_device_impl.h"
#include "vmm/base/clock.h"

/* How long the host may take to finish what it has in progress. */
enum { QUIET_PATIENCE_MS = 100 };

static bool becomes_quiet(struct virtio_device *dev)
{
	uint64_t deadline = clock_now_ms() + QUIET_PATIENCE_MS;

	while (!virtio_device_is_quiet(dev)) {
		if (clock_now_ms() >= deadline)
			return false;
		usleep(1000);
	}
	return true;
}

/* What a session may go on with is stopped for good by a reset that is under way. */
static void hold_still(struct virtio_device *dev)
{
	if (dev->state != VIRTIO_STARTED || dev->negotiation.resetting)
		return;
	virtio_device_suspend(dev);
	if (!becomes_quiet(dev))
		virtio_device_needs_reset(dev, VIRTIO_NO_QUEUE,
					  "bus mastering ended with requests in progress");
}

/* Those that were enabled while the device ran and might not reach memory. */
static void start_waiting_queues(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues && dev->state == VIRTIO_STARTED; i++)
		if (dev->queue[i].start_waits)
			virtio_device_start_queue(dev, i);
}

void virtio_device_go_on(struct virtio_device *dev)
{
	const struct negotiation *n = &dev->negotiation;

	if (!dev->dma_allowed || negotiation_is_suspended(n) || n->suspending || n->resetting)
		return;
	for (unsigned i = 0; i < dev->n_parts && dev->state == VIRTIO_STARTED; i++)
		dev->part[i].datapath->ops->resume(dev->part[i].datapath);
	start_waiting_queues(dev);
}

void virtio_device_allow_dma(struct virtio_device *dev, bool allowed)
{
	bool was = dev->dma_allowed;

	dev->dma_allowed = allowed;
	if (allowed == was)
		return;
	if (!allowed) {
		hold_still(dev);
		return;
	}
	virtio_device_go_on(dev);
	if (dev->negotiation.status & VIRTIO_STATUS_DRIVER_OK || dev->start_waits)
		virtio_device_start(dev);
	dev->start_waits = false;
}
