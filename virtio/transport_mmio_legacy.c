/*
 * The registers of version 1.  virtio-v1.4 4.2.4 "Legacy interface".
 */
#include "virtio/transport_mmio.h"

enum {
	GUEST_PAGE_SIZE = 0x028,
	QUEUE_ALIGN = 0x03c,
	QUEUE_PFN = 0x040,
};

static bool legacy_read(struct virtio_mmio *t, unsigned offset, uint32_t *value)
{
	struct virtio_device *dev = t->base.device;
	const struct virtio_queue *q = virtio_device_queue(dev, t->queue_sel);

	switch (offset) {
	case MMIO_DEVICE_FEATURES:
		*value = dev->negotiation.device_feature_select == 0 ?
				 negotiation_read_offered_legacy(&dev->negotiation) : 0;
		return true;
	case QUEUE_PFN:
		*value = q ? q->pfn : 0;
		return true;
	default:
		return false;
	}
}

/* The upper halves exist as registers only: nothing of them is offered, nothing can be taken. */
static void write_features(struct virtio_device *dev, uint32_t value)
{
	struct negotiation *n = &dev->negotiation;

	if (n->driver_feature_select == 0)
		negotiation_write_driver_legacy(n, value);
	else if (value != 0)
		virtio_device_mistake(dev, MISTAKE_FEATURES_NOT_OFFERED);
}

static bool legacy_write(struct virtio_mmio *t, unsigned offset, uint32_t value)
{
	struct virtio_device *dev = t->base.device;

	switch (offset) {
	case MMIO_DRIVER_FEATURES:
		write_features(dev, value);
		return true;
	case GUEST_PAGE_SIZE:
		t->guest_page_size = value;
		return true;
	case QUEUE_ALIGN:
		if (virtio_device_queue(dev, t->queue_sel))
			t->queue[t->queue_sel].align = value;
		return true;
	case QUEUE_PFN: {
		uint32_t align = virtio_device_queue(dev, t->queue_sel) ?
					 t->queue[t->queue_sel].align : 0;
		virtio_device_set_queue_legacy(dev, t->queue_sel, value, t->guest_page_size, align);
		virtio_mmio_update_bells(t);
		return true;
	}
	case MMIO_QUEUE_NOTIFY:
		virtio_device_kick_legacy(dev, value);
		return true;
	case MMIO_STATUS:
		virtio_device_write_status_legacy(dev, (uint8_t)value);
		return true;
	default:
		return false;
	}
}

const struct virtio_mmio_version virtio_mmio_legacy = {
	.number = 1,
	.read = legacy_read,
	.write = legacy_write,
	.write_config = virtio_device_write_config_legacy,
};
