/*
 * The legacy interface: ports in BAR 0.  virtio-v1.4 4.1.4.10 "Legacy Interfaces: A Note on PCI
 * Device Layout".
 *
 * The device's configuration follows the header, which is longer while MSI-X is enabled; it is in
 * the guest's byte order, which on this architecture is that of the modern interface.
 */
#include "virtio/transport_pci.h"
#include "vmm/base/le.h"

enum {
	DEVICE_FEATURES = 0,
	DRIVER_FEATURES = 4,
	QUEUE_ADDRESS = 8,
	QUEUE_SIZE = 12,
	QUEUE_SELECT = 14,
	QUEUE_NOTIFY = VIRTIO_PCI_LEGACY_NOTIFY,
	DEVICE_STATUS = 18,
	ISR_STATUS = 19,
	HEADER_LEN = 20,
	CONFIG_VECTOR = 20,
	QUEUE_VECTOR = 22,
	HEADER_LEN_MSIX = 24,

	PAGE = 4096,			/* of queue addresses, and what rings are aligned to */
};

static const struct legacy_register {
	uint8_t offset, size;
	bool read_only;
} registers[] = {
	{ DEVICE_FEATURES, 4, true }, { DRIVER_FEATURES, 4, false }, { QUEUE_ADDRESS, 4, false },
	{ QUEUE_SIZE, 2, true },      { QUEUE_SELECT, 2, false },    { QUEUE_NOTIFY, 2, false },
	{ DEVICE_STATUS, 1, false },  { ISR_STATUS, 1, true },	     { CONFIG_VECTOR, 2, false },
	{ QUEUE_VECTOR, 2, false },
};

uint64_t virtio_pci_legacy_size(const struct virtio_device *dev)
{
	uint64_t size = 32;

	while (size < HEADER_LEN_MSIX + dev->config_len)
		size *= 2;
	return size;
}

static unsigned header_len(const struct virtio_pci *t)
{
	return msix_enabled(t->msix) ? HEADER_LEN_MSIX : HEADER_LEN;
}

static void fill_header(struct virtio_pci *t, uint8_t *image)
{
	struct virtio_device *dev = t->base.device;
	const struct virtio_queue *q = virtio_device_queue(dev, t->queue_select);

	store_le32(image + DEVICE_FEATURES, negotiation_read_offered_legacy(&dev->negotiation));
	store_le32(image + DRIVER_FEATURES, features_half(&dev->negotiation.draft, 0));
	store_le32(image + QUEUE_ADDRESS, q ? q->pfn : 0);
	store_le16(image + QUEUE_SIZE, q ? q->size : 0);
	store_le16(image + QUEUE_SELECT, t->queue_select);
	image[DEVICE_STATUS] = virtio_device_read_status(dev);
	store_le16(image + CONFIG_VECTOR, t->config_source.vector);
	store_le16(image + QUEUE_VECTOR,
		   q ? t->queue[t->queue_select].source.vector : MSIX_NO_VECTOR);
}

static uint64_t legacy_read(void *arg, uint64_t offset, unsigned size)
{
	struct virtio_pci *t = arg;
	unsigned at = (unsigned)offset, header = header_len(t);
	uint8_t image[HEADER_LEN_MSIX + sizeof(uint64_t)] = { 0 };

	if (at >= header) {
		virtio_device_read_config(t->base.device, at - header, image, size);
		return load_le(image, size);
	}
	fill_header(t, image);
	if (at <= ISR_STATUS && at + size > ISR_STATUS)
		image[ISR_STATUS] = virtio_pci_take_isr(t);
	if (at + size > header)
		virtio_device_read_config(t->base.device, 0, image + header, at + size - header);
	return load_le(image + at, size);
}

static void write_register(struct virtio_pci *t, unsigned offset, uint32_t value)
{
	struct virtio_device *dev = t->base.device;

	switch (offset) {
	case DRIVER_FEATURES:
		negotiation_write_driver_legacy(&dev->negotiation, value);
		break;
	case QUEUE_ADDRESS:
		virtio_device_set_queue_legacy(dev, t->queue_select, value, PAGE, PAGE);
		virtio_pci_update_bells(t);
		break;
	case QUEUE_SELECT:
		t->queue_select = (uint16_t)value;
		break;
	case QUEUE_NOTIFY:
		virtio_device_kick_legacy(dev, value);
		break;
	case DEVICE_STATUS:
		virtio_device_write_status_legacy(dev, (uint8_t)value);
		break;
	case CONFIG_VECTOR:
		virtio_pci_set_vector(t, &t->config_source, (uint16_t)value);
		break;
	case QUEUE_VECTOR:
		if (virtio_device_queue(dev, t->queue_select))
			virtio_pci_set_vector(t, &t->queue[t->queue_select].source,
					      (uint16_t)value);
		break;
	default:
		break;
	}
}

/* virtio-v1.4 3.4.2: of a device that was suspended at the other window only the status. */
static bool is_for_suspended(unsigned offset)
{
	return offset == DEVICE_STATUS || offset == QUEUE_SELECT;
}

static void legacy_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_pci *t = arg;
	struct virtio_device *dev = t->base.device;
	unsigned at = (unsigned)offset, header = header_len(t);
	uint8_t buf[8];

	if (at >= header) {
		store_le(buf, size, value);
		virtio_device_write_config_legacy(dev, at - header, buf, size);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++) {
		const struct legacy_register *r = &registers[i];
		if (r->offset != at || r->size != size)
			continue;
		if (r->read_only)
			virtio_device_mistake(dev, MISTAKE_REGISTER_READ_ONLY);
		else if (negotiation_is_suspended(&dev->negotiation) && !is_for_suspended(at))
			virtio_device_mistake(dev, MISTAKE_CONFIG_SUSPENDED);
		else
			write_register(t, at, (uint32_t)value);
		return;
	}
	virtio_device_mistake(dev, MISTAKE_REGISTER_WIDTH);
}

const struct region_ops virtio_pci_legacy_ops = { .read = legacy_read, .write = legacy_write };
