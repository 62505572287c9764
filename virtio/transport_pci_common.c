/*
 * The common configuration structure.  virtio-v1.4 4.1.4.3 "Common configuration structure
 * layout".
 *
 * No register changes by being read, so a read of any width and alignment is a piece of the image
 * of all of them.  A write counts if it has a register's own width (64-bit ones also in two
 * halves); any other is ignored.
 */
#include "virtio/transport_pci.h"
#include "vmm/base/le.h"

enum {
	DEVICE_FEATURE_SELECT = 0,
	DEVICE_FEATURE = 4,
	DRIVER_FEATURE_SELECT = 8,
	DRIVER_FEATURE = 12,
	CONFIG_MSIX_VECTOR = 16,
	NUM_QUEUES = 18,
	DEVICE_STATUS = 20,
	CONFIG_GENERATION = 21,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_MSIX_VECTOR = 26,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY_OFF = 30,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
	QUEUE_NOTIF_CONFIG_DATA = 56,
	QUEUE_RESET = 58,
	/* Read 0, because ADMIN_VQ is not offered. */
	ADMIN_QUEUE_INDEX = 60,
	ADMIN_QUEUE_NUM = 62,
};

static const struct common_register {
	uint8_t offset, size;
	bool read_only;
} registers[] = {
	{ DEVICE_FEATURE_SELECT, 4, false },
	{ DEVICE_FEATURE, 4, true },
	{ DRIVER_FEATURE_SELECT, 4, false },
	{ DRIVER_FEATURE, 4, false },
	{ CONFIG_MSIX_VECTOR, 2, false },
	{ NUM_QUEUES, 2, true },
	{ DEVICE_STATUS, 1, false },
	{ CONFIG_GENERATION, 1, true },
	{ QUEUE_SELECT, 2, false },
	{ QUEUE_SIZE, 2, false },
	{ QUEUE_MSIX_VECTOR, 2, false },
	{ QUEUE_ENABLE, 2, false },
	{ QUEUE_NOTIFY_OFF, 2, true },
	{ QUEUE_DESC, 8, false },
	{ QUEUE_DRIVER, 8, false },
	{ QUEUE_DEVICE, 8, false },
	{ QUEUE_NOTIF_CONFIG_DATA, 2, true },
	{ QUEUE_RESET, 2, false },
	{ ADMIN_QUEUE_INDEX, 2, true },
	{ ADMIN_QUEUE_NUM, 2, true },
};

/*
 * The register that an access of this place and width is for, or NULL: 4.1.3.1 has drivers use a
 * register's own width, 64-bit ones in two halves.
 */
static const struct common_register *find_register(unsigned offset, unsigned size)
{
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++) {
		const struct common_register *r = &registers[i];
		if (offset == r->offset && size == r->size)
			return r;
		if (r->size == 8 && size == 4 && (offset == r->offset || offset == r->offset + 4u))
			return r;
	}
	return NULL;
}

/* The registers of the selected queue; for one that does not exist: 0, and no vector. */
static void fill_queue(struct virtio_pci *t, uint8_t *image)
{
	struct virtio_device *dev = t->base.device;
	const struct virtio_queue *q = virtio_device_queue_state(dev, t->queue_select);

	if (!q) {
		store_le16(image + QUEUE_MSIX_VECTOR, MSIX_NO_VECTOR);
		return;
	}
	store_le16(image + QUEUE_SIZE, q->size);
	store_le16(image + QUEUE_MSIX_VECTOR, t->queue[t->queue_select].source.vector);
	store_le16(image + QUEUE_ENABLE, q->enabled);
	store_le16(image + QUEUE_NOTIFY_OFF, t->queue_select);
	store_le64(image + QUEUE_DESC, q->desc);
	store_le64(image + QUEUE_DRIVER, q->driver);
	store_le64(image + QUEUE_DEVICE, q->device);
	store_le16(image + QUEUE_RESET, q->ending == VIRTIO_QUEUE_RESETTING);
	if (features_has(&dev->negotiation.offered, VIRTIO_F_NOTIF_CONFIG_DATA))
		store_le16(image + QUEUE_NOTIF_CONFIG_DATA, t->queue_select);
}

uint64_t virtio_pci_common_read(struct virtio_pci *t, unsigned offset, unsigned size)
{
	struct virtio_device *dev = t->base.device;
	const struct negotiation *n = &dev->negotiation;
	uint8_t image[VIRTIO_PCI_COMMON_LEN + sizeof(uint64_t)] = { 0 };

	if (!find_register(offset, size))
		virtio_device_mistake(dev, MISTAKE_REGISTER_WIDTH);
	if (offset >= VIRTIO_PCI_COMMON_LEN)
		return 0;
	store_le32(image + DEVICE_FEATURE_SELECT, n->device_feature_select);
	store_le32(image + DEVICE_FEATURE, negotiation_read_offered(n));
	store_le32(image + DRIVER_FEATURE_SELECT, n->driver_feature_select);
	store_le32(image + DRIVER_FEATURE, negotiation_read_driver(n));
	store_le16(image + CONFIG_MSIX_VECTOR, t->config_source.vector);
	store_le16(image + NUM_QUEUES, (uint16_t)dev->n_queues);
	image[DEVICE_STATUS] = virtio_device_read_status(dev);
	image[CONFIG_GENERATION] = (uint8_t)virtio_device_config_generation(dev);
	store_le16(image + QUEUE_SELECT, t->queue_select);
	fill_queue(t, image);
	return load_le(image + offset, size);
}

static void set_queue_vector(struct virtio_pci *t, uint16_t vector)
{
	if (virtio_device_queue(t->base.device, t->queue_select))
		virtio_pci_set_vector(t, &t->queue[t->queue_select].source, vector);
}

static void enable_queue(struct virtio_pci *t, uint16_t value)
{
	if (value != 1) {
		virtio_device_mistake(t->base.device, MISTAKE_QUEUE_DISABLE);
		return;
	}
	virtio_device_enable_queue(t->base.device, t->queue_select);
	virtio_pci_update_bells(t);
}

static void write16(struct virtio_pci *t, unsigned offset, uint16_t value)
{
	switch (offset) {
	case CONFIG_MSIX_VECTOR:
		virtio_pci_set_vector(t, &t->config_source, value);
		break;
	case QUEUE_SELECT:
		t->queue_select = value;
		break;
	case QUEUE_SIZE:
		virtio_device_set_queue_size(t->base.device, t->queue_select, value);
		break;
	case QUEUE_MSIX_VECTOR:
		set_queue_vector(t, value);
		break;
	case QUEUE_ENABLE:
		enable_queue(t, value);
		break;
	case QUEUE_RESET:
		if (value == 1)
			virtio_device_reset_queue(t->base.device, t->queue_select);
		break;
	default:
		break;
	}
}

static void write_address(struct virtio_pci *t, unsigned offset, uint32_t value)
{
	static const enum virtio_queue_area area[] = {
		VIRTIO_QUEUE_DESC, VIRTIO_QUEUE_DRIVER, VIRTIO_QUEUE_DEVICE,
	};
	unsigned at = offset - QUEUE_DESC;

	virtio_device_set_queue_address(t->base.device, t->queue_select, area[at / 8], at % 8 == 4,
					value);
}

static void write32(struct virtio_pci *t, unsigned offset, uint32_t value)
{
	struct negotiation *n = &t->base.device->negotiation;

	switch (offset) {
	case DEVICE_FEATURE_SELECT:
		n->device_feature_select = value;
		break;
	case DRIVER_FEATURE_SELECT:
		n->driver_feature_select = value;
		break;
	case DRIVER_FEATURE:
		negotiation_write_driver(n, value);
		break;
	case QUEUE_DESC:
	case QUEUE_DESC + 4:
	case QUEUE_DRIVER:
	case QUEUE_DRIVER + 4:
	case QUEUE_DEVICE:
	case QUEUE_DEVICE + 4:
		write_address(t, offset, value);
		break;
	default:
		break;
	}
}

void virtio_pci_common_write(struct virtio_pci *t, unsigned offset, unsigned size, uint64_t value)
{
	const struct common_register *r = find_register(offset, size);
	struct virtio_device *dev = t->base.device;

	if (!r || r->read_only) {
		virtio_device_mistake(dev, r ? MISTAKE_REGISTER_READ_ONLY : MISTAKE_REGISTER_WIDTH);
		return;
	}
	/* virtio-v1.4 3.4.2: of a suspended device only the status can be written. */
	if (negotiation_is_suspended(&dev->negotiation) && offset != DEVICE_STATUS &&
	    offset != QUEUE_SELECT) {
		virtio_device_mistake(dev, MISTAKE_CONFIG_SUSPENDED);
		return;
	}
	switch (size) {
	case 1:
		virtio_device_write_status(dev, (uint8_t)value);
		break;
	case 2:
		write16(t, offset, (uint16_t)value);
		break;
	case 4:
		write32(t, offset, (uint32_t)value);
		break;
	default:
		write32(t, offset, (uint32_t)value);
		write32(t, offset + 4, (uint32_t)(value >> 32));
		break;
	}
}
