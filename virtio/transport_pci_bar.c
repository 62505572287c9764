/*
 * BAR 4: which structure an access reaches.  virtio-v1.4 4.1.4 "Virtio Structure PCI
 * Capabilities".
 */
#include "virtio/transport_pci.h"
#include "vmm/base/le.h"

unsigned virtio_pci_structure_len(const struct virtio_pci *t, uint64_t page)
{
	const struct virtio_device *dev = t->base.device;

	if (!t->is_modern)
		return 0;
	switch (page) {
	case VIRTIO_PCI_COMMON: return VIRTIO_PCI_COMMON_LEN;
	case VIRTIO_PCI_ISR: return VIRTIO_PCI_ISR_LEN;
	case VIRTIO_PCI_DEVICE: return (unsigned)align_up(dev->config_len, 4);
	case VIRTIO_PCI_NOTIFY: return dev->n_queues * VIRTIO_PCI_NOTIFY_STRIDE;
	default: return 0;
	}
}

uint64_t virtio_pci_bar_read(struct virtio_pci *t, uint64_t offset, unsigned size)
{
	unsigned at = offset % VIRTIO_PCI_PAGE;
	uint8_t buf[8];

	switch (offset - at) {
	case VIRTIO_PCI_COMMON:
		return virtio_pci_common_read(t, at, size);
	case VIRTIO_PCI_ISR:
		return at == 0 ? virtio_pci_take_isr(t) : 0;
	case VIRTIO_PCI_DEVICE:
		virtio_device_read_config(t->base.device, at, buf, size);
		return load_le(buf, size);
	default:
		return 0;
	}
}

/*
 * The address alone names the queue.  The value repeats it, as the index or as what
 * NOTIF_CONFIG_DATA gave (the same here), in 16 bits, or in 32 with NOTIFICATION_DATA, whose other
 * bits say where the driver is: hints that the ring itself tells better.  4.1.5.2.
 */
static void notified(struct virtio_pci *t, unsigned at, unsigned size, uint64_t value)
{
	struct virtio_device *dev = t->base.device;
	unsigned index = at / VIRTIO_PCI_NOTIFY_STRIDE;
	bool data = features_has(&dev->negotiation.accepted, VIRTIO_F_NOTIFICATION_DATA);

	if (at % VIRTIO_PCI_NOTIFY_STRIDE != 0) {
		virtio_device_mistake(dev, MISTAKE_REGISTER_WIDTH);
		return;
	}
	if (size != (data ? 4 : 2) || (value & 0xffff) != index)
		virtio_device_mistake(dev, MISTAKE_KICK_VALUE);
	virtio_device_kick(dev, index);
}

void virtio_pci_bar_write(struct virtio_pci *t, uint64_t offset, unsigned size, uint64_t value)
{
	unsigned at = offset % VIRTIO_PCI_PAGE;
	uint8_t buf[8];

	switch (offset - at) {
	case VIRTIO_PCI_COMMON:
		virtio_pci_common_write(t, at, size, value);
		break;
	case VIRTIO_PCI_ISR:
		virtio_device_mistake(t->base.device, MISTAKE_REGISTER_READ_ONLY);
		break;
	case VIRTIO_PCI_DEVICE:
		store_le(buf, size, value);
		virtio_device_write_config(t->base.device, at, buf, size);
		break;
	case VIRTIO_PCI_NOTIFY:
		notified(t, at, size, value);
		break;
	default:
		break;
	}
}

static uint64_t bar_read(void *arg, uint64_t offset, unsigned size)
{
	struct virtio_pci *t = arg;

	if (offset >= VIRTIO_PCI_MSIX_TABLE)
		return msix_read(t->msix, offset, size);
	return t->is_modern ? virtio_pci_bar_read(t, offset, size) : 0;
}

static void bar_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_pci *t = arg;

	if (offset >= VIRTIO_PCI_MSIX_TABLE)
		msix_write(t->msix, offset, size, value);
	else if (t->is_modern)
		virtio_pci_bar_write(t, offset, size, value);
}

const struct region_ops virtio_pci_bar_ops = { .read = bar_read, .write = bar_write };
