/*
 * The registers of version 2.  virtio-v1.4 4.2.2 "MMIO Device Register Layout".
 */
#include "virtio/transport_mmio.h"

enum {
	QUEUE_READY = 0x044,
	QUEUE_DESC_LOW = 0x080,
	QUEUE_DESC_HIGH = 0x084,
	QUEUE_DRIVER_LOW = 0x090,
	QUEUE_DRIVER_HIGH = 0x094,
	QUEUE_DEVICE_LOW = 0x0a0,
	QUEUE_DEVICE_HIGH = 0x0a4,
	SHM_SEL = 0x0ac,
	SHM_LEN_LOW = 0x0b0,
	SHM_LEN_HIGH = 0x0b4,
	SHM_BASE_LOW = 0x0b8,
	SHM_BASE_HIGH = 0x0bc,
	QUEUE_RESET = 0x0c0,
	CONFIG_GENERATION = 0x0fc,
};

/* Writing 0 stops the queue before the register reads 0: 4.2.2.1 "Device Requirements". */
static void write_queue_ready(struct virtio_mmio *t, uint32_t value)
{
	struct virtio_device *dev = t->base.device;

	if (value == 1)
		virtio_device_enable_queue(dev, t->queue_sel);
	else if (value == 0)
		virtio_device_disable_queue(dev, t->queue_sel);
	virtio_mmio_update_bells(t);
}

static void write_address(struct virtio_mmio *t, unsigned offset, uint32_t value)
{
	enum virtio_queue_area area = offset < QUEUE_DRIVER_LOW ? VIRTIO_QUEUE_DESC :
				      offset < QUEUE_DEVICE_LOW ? VIRTIO_QUEUE_DRIVER :
								  VIRTIO_QUEUE_DEVICE;

	virtio_device_set_queue_address(t->base.device, t->queue_sel, area, offset & 4, value);
}

/* A region that does not exist has length and address -1. */
static uint32_t read_shm(const struct virtio_mmio *t, unsigned offset)
{
	const struct virtio_device *dev = t->base.device;
	uint64_t len = UINT64_MAX, base = UINT64_MAX;

	for (unsigned i = 0; i < t->n_shm; i++) {
		if (dev->shm[i].id != t->shm_sel)
			continue;
		len = dev->shm[i].len;
		base = t->shm[i].base;
	}
	switch (offset) {
	case SHM_LEN_LOW: return (uint32_t)len;
	case SHM_LEN_HIGH: return (uint32_t)(len >> 32);
	case SHM_BASE_LOW: return (uint32_t)base;
	default: return (uint32_t)(base >> 32);
	}
}

static bool modern_read(struct virtio_mmio *t, unsigned offset, uint32_t *value)
{
	struct virtio_device *dev = t->base.device;
	const struct virtio_queue *q = virtio_device_queue_state(dev, t->queue_sel);

	switch (offset) {
	case MMIO_DEVICE_FEATURES:
		*value = negotiation_read_offered(&dev->negotiation);
		return true;
	case QUEUE_READY:
		*value = q && q->enabled;
		return true;
	case SHM_LEN_LOW:
	case SHM_LEN_HIGH:
	case SHM_BASE_LOW:
	case SHM_BASE_HIGH:
		*value = read_shm(t, offset);
		return true;
	case QUEUE_RESET:
		*value = q && q->ending == VIRTIO_QUEUE_RESETTING;
		return true;
	case CONFIG_GENERATION:
		*value = virtio_device_config_generation(dev);
		return true;
	default:
		return false;
	}
}

/* virtio-v1.4 3.4.2: of a suspended device only the status can be written. */
static bool is_for_suspended(unsigned offset)
{
	return offset == MMIO_STATUS || offset == MMIO_QUEUE_SEL || offset == MMIO_INTERRUPT_ACK ||
	       offset == SHM_SEL;
}

static bool modern_write(struct virtio_mmio *t, unsigned offset, uint32_t value)
{
	struct virtio_device *dev = t->base.device;
	bool data = features_has(&dev->negotiation.accepted, VIRTIO_F_NOTIFICATION_DATA);

	if (negotiation_is_suspended(&dev->negotiation) && !is_for_suspended(offset)) {
		virtio_device_mistake(dev, MISTAKE_CONFIG_SUSPENDED);
		return true;
	}
	switch (offset) {
	case MMIO_DRIVER_FEATURES:
		negotiation_write_driver(&dev->negotiation, value);
		return true;
	case QUEUE_READY:
		write_queue_ready(t, value);
		return true;
	case MMIO_QUEUE_NOTIFY:
		/* With NOTIFICATION_DATA the upper half says where the driver is: hints only. */
		virtio_device_kick(dev, data ? value & 0xffff : value);
		return true;
	case MMIO_STATUS:
		virtio_device_write_status(dev, (uint8_t)value);
		return true;
	case QUEUE_RESET:
		if (value == 1)
			virtio_device_reset_queue(dev, t->queue_sel);
		return true;
	case QUEUE_DESC_LOW:
	case QUEUE_DESC_HIGH:
	case QUEUE_DRIVER_LOW:
	case QUEUE_DRIVER_HIGH:
	case QUEUE_DEVICE_LOW:
	case QUEUE_DEVICE_HIGH:
		write_address(t, offset, value);
		return true;
	case SHM_SEL:
		t->shm_sel = value;
		return true;
	case SHM_LEN_LOW:
	case SHM_LEN_HIGH:
	case SHM_BASE_LOW:
	case SHM_BASE_HIGH:
	case CONFIG_GENERATION:
		virtio_device_mistake(dev, MISTAKE_REGISTER_READ_ONLY);
		return true;
	default:
		return false;
	}
}

const struct virtio_mmio_version virtio_mmio_modern = {
	.number = 2,
	.read = modern_read,
	.write = modern_write,
	.write_config = virtio_device_write_config,
};
