/*
 * Doorbells: while the device runs and the BAR decodes, KVM takes a driver's kicks and signals the
 * queue's eventfd without an exit.  A modern driver kicks an address of its queue's own in BAR 4, a
 * legacy one writes the queue's number to a port.
 */
#include "virtio/transport_pci.h"

void virtio_pci_detach_bell(struct virtio_pci *t, struct virtio_pci_queue *q)
{
	if (q->bell_attached)
		doorbell_detach(&t->machine->doorbells, &q->bell);
	q->bell_attached = false;
}

static struct doorbell bell_of(const struct virtio_pci *t, unsigned index)
{
	int fd = t->base.device->queue[index].kick_fd;

	if (t->base.device->negotiation.legacy)
		return (struct doorbell){
			.space = DOORBELL_PIO,
			.addr = t->legacy_addr + VIRTIO_PCI_LEGACY_NOTIFY,
			.len = 2,
			.match = true,
			.value = index,
			.fd = fd,
		};
	/* Any width: the address alone names the queue, and KVM is fastest if it need not look. */
	return (struct doorbell){
		.space = DOORBELL_MMIO,
		.addr = t->notify_addr + (uint64_t)index * VIRTIO_PCI_NOTIFY_STRIDE,
		.fd = fd,
	};
}

static void update_bell(struct virtio_pci *t, unsigned index)
{
	struct virtio_pci_queue *q = &t->queue[index];
	const struct virtio_device *dev = t->base.device;
	bool mapped = dev->negotiation.legacy ? t->legacy_mapped : t->notify_mapped;
	bool wanted = mapped && virtio_device_wants_doorbell(dev, index);

	if (!wanted)
		virtio_pci_detach_bell(t, q);
	if (!wanted || q->bell_attached)
		return;
	q->bell = bell_of(t, index);
	/* If it cannot be had, the write exits and is handled where the register is. */
	q->bell_attached = doorbell_attach(&t->machine->doorbells, &q->bell) == 0;
}

void virtio_pci_update_bells(struct virtio_pci *t)
{
	for (unsigned i = 0; i < t->base.device->n_queues; i++)
		update_bell(t, i);
}

/* A BAR with doorbells has moved: those at the old place are gone by then. */
static void follow(struct virtio_pci *t, unsigned bar, uint64_t addr, bool mapped)
{
	if (bar == VIRTIO_PCI_BAR) {
		t->notify_addr = addr + VIRTIO_PCI_NOTIFY;
		t->notify_mapped = mapped;
	} else if (bar == VIRTIO_PCI_LEGACY_BAR) {
		t->legacy_addr = addr;
		t->legacy_mapped = mapped;
	}
	virtio_pci_update_bells(t);
}

void virtio_pci_bar_mapped(struct pci_device *pci, unsigned bar, uint64_t addr)
{
	follow(virtio_pci_from(pci), bar, addr, true);
}

void virtio_pci_bar_unmapping(struct pci_device *pci, unsigned bar, uint64_t addr)
{
	follow(virtio_pci_from(pci), bar, addr, false);
}
