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
	/* Read 0 while their features are not offered: queue_notif_config_data 56, queue_reset 58,
	 * admin_queue_index 60, admin_queue_num 62. */
};

/* The registers of the selected queue; for one that does not exist: 0, and no vector. */
static void fill_queue(const struct virtio_pci *t, uint8_t *image)
{
	const struct virtio_queue *q = virtio_device_queue(t->base.device, t->queue_select);

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
}

uint64_t virtio_pci_common_read(const struct virtio_pci *t, unsigned offset, unsigned size)
{
	struct virtio_device *dev = t->base.device;
	const struct negotiation *n = &dev->negotiation;
	uint8_t image[VIRTIO_PCI_COMMON_LEN + sizeof(uint64_t)] = { 0 };

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

/* A refused vector reads back as none: virtio-v1.4 4.1.5.1.2 "MSI-X Vector Configuration". */
static void set_queue_vector(struct virtio_pci *t, uint16_t vector)
{
	if (virtio_device_queue(t->base.device, t->queue_select))
		(void)!msix_set_vector(&t->queue[t->queue_select].source, vector);
}

static void enable_queue(struct virtio_pci *t)
{
	virtio_device_enable_queue(t->base.device, t->queue_select);
	virtio_pci_update_bells(t);
}

static void write8(struct virtio_pci *t, unsigned offset, uint8_t value)
{
	if (offset == DEVICE_STATUS)
		virtio_device_write_status(t->base.device, value);
}

static void write16(struct virtio_pci *t, unsigned offset, uint16_t value)
{
	switch (offset) {
	case CONFIG_MSIX_VECTOR:
		(void)!msix_set_vector(&t->config_source, value);
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
		if (value == 1)
			enable_queue(t);
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
	switch (size) {
	case 1:
		write8(t, offset, (uint8_t)value);
		break;
	case 2:
		write16(t, offset, (uint16_t)value);
		break;
	case 4:
		write32(t, offset, (uint32_t)value);
		break;
	case 8:
		if (offset == QUEUE_DESC || offset == QUEUE_DRIVER || offset == QUEUE_DEVICE) {
			write32(t, offset, (uint32_t)value);
			write32(t, offset + 4, (uint32_t)(value >> 32));
		}
		break;
	default:
		break;
	}
}
