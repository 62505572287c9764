/*
 * BAR 4: which structure an access reaches, and the doorbells that take the place of the
 * notification structure while it decodes.  virtio-v1.4 4.1.4 "Virtio Structure PCI
 * Capabilities".
 */
#include "virtio/transport_pci.h"
#include "vmm/base/le.h"

void virtio_pci_detach_bell(struct virtio_pci *t, struct virtio_pci_queue *q)
{
	if (q->bell_attached)
		doorbell_detach(&t->machine->doorbells, &q->bell);
	q->bell_attached = false;
}

static void update_bell(struct virtio_pci *t, unsigned index)
{
	struct virtio_pci_queue *q = &t->queue[index];
	const struct virtio_queue *vq = &t->base.device->queue[index];
	bool wanted = vq->enabled && t->notify_mapped && t->base.device->dma_allowed;

	if (!wanted)
		virtio_pci_detach_bell(t, q);
	if (!wanted || q->bell_attached)
		return;
	/* Any width: the address alone names the queue, and KVM is fastest if it need not look. */
	q->bell = (struct doorbell){
		.space = DOORBELL_MMIO,
		.addr = t->notify_addr + (uint64_t)index * VIRTIO_PCI_NOTIFY_STRIDE,
		.fd = vq->kick_fd,
	};
	/* If it cannot be had, the write exits and is handled in virtio_pci_bar_write. */
	q->bell_attached = doorbell_attach(&t->machine->doorbells, &q->bell) == 0;
}

void virtio_pci_update_bells(struct virtio_pci *t)
{
	for (unsigned i = 0; i < t->base.device->n_queues; i++)
		update_bell(t, i);
}

void virtio_pci_bar_mapped(struct pci_device *pci, unsigned bar, uint64_t addr)
{
	struct virtio_pci *t = virtio_pci_from(pci);

	if (bar != VIRTIO_PCI_BAR)
		return;
	t->notify_addr = addr + VIRTIO_PCI_NOTIFY;
	t->notify_mapped = true;
	virtio_pci_update_bells(t);
}

void virtio_pci_bar_unmapping(struct pci_device *pci, unsigned bar, uint64_t addr)
{
	struct virtio_pci *t = virtio_pci_from(pci);

	(void)addr;
	if (bar != VIRTIO_PCI_BAR)
		return;
	t->notify_mapped = false;
	virtio_pci_update_bells(t);
}

unsigned virtio_pci_structure_len(const struct virtio_pci *t, uint64_t page)
{
	const struct virtio_device *dev = t->base.device;

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

void virtio_pci_bar_write(struct virtio_pci *t, uint64_t offset, unsigned size, uint64_t value)
{
	unsigned at = offset % VIRTIO_PCI_PAGE;
	uint8_t buf[8];

	switch (offset - at) {
	case VIRTIO_PCI_COMMON:
		virtio_pci_common_write(t, at, size, value);
		break;
	case VIRTIO_PCI_DEVICE:
		store_le(buf, size, value);
		virtio_device_write_config(t->base.device, at, buf, size);
		break;
	case VIRTIO_PCI_NOTIFY:
		/* The value repeats the index; one that disagrees is not worth believing. */
		if (at % VIRTIO_PCI_NOTIFY_STRIDE == 0)
			virtio_device_kick(t->base.device, at / VIRTIO_PCI_NOTIFY_STRIDE);
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
	return virtio_pci_bar_read(t, offset, size);
}

static void bar_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_pci *t = arg;

	if (offset >= VIRTIO_PCI_MSIX_TABLE)
		msix_write(t->msix, offset, size, value);
	else
		virtio_pci_bar_write(t, offset, size, value);
}

const struct region_ops virtio_pci_bar_ops = { .read = bar_read, .write = bar_write };
