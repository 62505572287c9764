/*
 * The inside of virtio-pci, shared by its files: transport_pci.c (the function and its
 * interrupts), transport_pci_caps.c (what names its parts), transport_pci_bar.c (the modern BAR),
 * transport_pci_common.c (the common configuration), transport_pci_legacy.c (the legacy interface),
 * transport_pci_bell.c (the doorbells) and transport_pci_window.c (access to the BAR through
 * configuration space).
 */
#ifndef VIRTIO_TRANSPORT_PCI_H
#define VIRTIO_TRANSPORT_PCI_H

#include "virtio/transport.h"
#include "vmm/machine/msix.h"
#include "vmm/machine/pci.h"

/* What lies where in BAR 4: each structure has its own page, so that a guest can map it alone. */
enum {
	VIRTIO_PCI_LEGACY_BAR = 0,
	VIRTIO_PCI_SHM_BAR = 2,
	VIRTIO_PCI_BAR = 4,
	VIRTIO_PCI_COMMON = 0x0000,
	VIRTIO_PCI_ISR = 0x1000,
	VIRTIO_PCI_DEVICE = 0x2000,
	VIRTIO_PCI_NOTIFY = 0x3000,
	VIRTIO_PCI_MSIX_TABLE = 0x4000,	/* room for VIRTIO_MAX_QUEUES + 1 vectors: two pages */
	VIRTIO_PCI_MSIX_PBA = 0x6000,
	VIRTIO_PCI_BAR_SIZE = 0x8000,
	VIRTIO_PCI_PAGE = 0x1000,

	VIRTIO_PCI_COMMON_LEN = 64,
	VIRTIO_PCI_ISR_LEN = 4,
	VIRTIO_PCI_NOTIFY_STRIDE = 4,
};

/* One queue's ties to the machine. */
struct virtio_pci_queue {
	struct msix_source source;
	struct doorbell bell;
	bool bell_attached;
};

/* Where a region of shared memory lies in its BAR. */
struct virtio_pci_shm {
	const struct virtio_shm *shm;
	uint64_t offset;
};

struct virtio_pci {
	struct virtio_transport base;
	struct machine *machine;
	struct pci_device pci;
	bool is_modern, is_legacy;	/* which interfaces there are; transitional: both */
	bool on_bus;
	struct msix *msix;
	struct msix_source config_source;
	struct virtio_pci_queue *queue;	/* one for each of the device's */

	uint16_t queue_select;
	uint8_t isr;
	uint64_t notify_addr;		/* where the doorbells are, while 'notify_mapped' */
	bool notify_mapped;
	uint64_t legacy_addr;		/* likewise, of the legacy BAR */
	bool legacy_mapped;
	unsigned window;		/* offset of the PCI_CFG capability; 0: there is none */
	struct virtio_pci_shm shm[VIRTIO_MAX_SHM];
};

static inline struct virtio_pci *virtio_pci_from(struct pci_device *pci)
{
	return container_of(pci, struct virtio_pci, pci);
}

/*
 * 4.1.2 "PCI Device Discovery": the transitional device ID of a type; 0: it has no legacy
 * interface.
 */
uint16_t virtio_pci_transitional_id(enum virtio_device_id id);

/* The common configuration.  'offset' + 'size' may end beyond it. */
uint64_t virtio_pci_common_read(struct virtio_pci *t, unsigned offset, unsigned size);
void virtio_pci_common_write(struct virtio_pci *t, unsigned offset, unsigned size, uint64_t value);

/* The virtio structures in the BAR; 'offset' is from its start. */
uint64_t virtio_pci_bar_read(struct virtio_pci *t, uint64_t offset, unsigned size);
void virtio_pci_bar_write(struct virtio_pci *t, uint64_t offset, unsigned size, uint64_t value);

/* How long is the structure that begins at 'page'?  0 if there is none. */
unsigned virtio_pci_structure_len(const struct virtio_pci *t, uint64_t page);

/* Declare the BARs and the capabilities of the modern interface. */
void virtio_pci_add_structures(struct virtio_pci *t);

extern const struct region_ops virtio_pci_bar_ops, virtio_pci_legacy_ops;

/* The offset in the legacy BAR that notifies; the BAR's size for this device. */
enum { VIRTIO_PCI_LEGACY_NOTIFY = 16 };
uint64_t virtio_pci_legacy_size(const struct virtio_device *dev);

/* The BAR decodes / is about to stop: struct pci_device_ops. */
void virtio_pci_bar_mapped(struct pci_device *pci, unsigned bar, uint64_t addr);
void virtio_pci_bar_unmapping(struct pci_device *pci, unsigned bar, uint64_t addr);

/* The vector of a queue / of the configuration, as the driver chose it. */
void virtio_pci_set_vector(struct virtio_pci *t, struct msix_source *source, uint16_t vector);

/* Put doorbells where they belong now. */
void virtio_pci_update_bells(struct virtio_pci *t);
void virtio_pci_detach_bell(struct virtio_pci *t, struct virtio_pci_queue *q);

/* Read and clear the ISR status, which takes INTx down. */
uint8_t virtio_pci_take_isr(struct virtio_pci *t);

/* The PCI_CFG capability: add it, and what happens around an access to configuration space. */
void virtio_pci_window_add(struct virtio_pci *t);
void virtio_pci_window_reading(struct virtio_pci *t, unsigned offset, unsigned size);
void virtio_pci_window_written(struct virtio_pci *t, unsigned offset, unsigned size);

#endif
