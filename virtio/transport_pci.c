/*
 * virtio-pci, modern only: the function on the bus, its capabilities, interrupts and resets.
 * virtio-v1.4 4.1 "Virtio Over PCI Bus".
 *
 * Bus Master Enable off: a start is put off, doorbells are detached and kicks do not arrive; they
 * are made up for when it is set (virtio_device_allow_dma).
 */
#include "virtio/transport_pci.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum {
	VIRTIO_VENDOR = 0x1af4,
	VIRTIO_DEVICE_BASE = 0x1040,
	CAPABILITY_VENDOR = 0x09,
	CFG_TYPE_COMMON = 1,
	CFG_TYPE_NOTIFY = 2,
	CFG_TYPE_ISR = 3,
	CFG_TYPE_DEVICE = 4,
	ISR_QUEUE = 1,
	ISR_CONFIG = 2,
};

static struct virtio_pci *from_base(struct virtio_transport *base)
{
	return container_of(base, struct virtio_pci, base);
}

static void set_isr(struct virtio_pci *t, unsigned isr)
{
	t->isr = (uint8_t)isr;
	pci_device_set_intx(&t->pci, isr != 0 && !msix_enabled(t->msix));
}

/* A source fired while MSI-X is off. */
static void raise_intx(void *arg, struct msix_source *source)
{
	struct virtio_pci *t = arg;

	set_isr(t, t->isr | (source == &t->config_source ? ISR_CONFIG : ISR_QUEUE));
}

uint8_t virtio_pci_take_isr(struct virtio_pci *t)
{
	uint8_t isr = t->isr;

	set_isr(t, 0);
	return isr;
}

static void pci_config_changed(struct virtio_transport *base)
{
	struct virtio_pci *t = from_base(base);

	/* The bit is set in both modes: virtio-v1.4 4.1.4.5.1 "Device Requirements: ISR status
	 * capability" makes no exception for MSI-X. */
	set_isr(t, t->isr | ISR_CONFIG);
	if (msix_enabled(t->msix))
		fd_signal(base->device->config_call_fd);
}

static struct virtqueue_call pci_queue_call(struct virtio_transport *base, unsigned index)
{
	return (struct virtqueue_call){ .fd = base->device->queue[index].call_fd };
}

static void pci_config_reading(struct pci_device *pci, unsigned offset, unsigned size)
{
	virtio_pci_window_reading(virtio_pci_from(pci), offset, size);
}

/* What follows from the command register and from MSI-X Enable. */
static void follow_config(struct virtio_pci *t)
{
	virtio_device_allow_dma(t->base.device, pci_device_is_master(&t->pci));
	virtio_pci_update_bells(t);
	/* What INTx had pending is dropped when MSI-X is switched on, and shown again when off. */
	set_isr(t, msix_enabled(t->msix) && t->pci.intx_level ? 0 : t->isr);
}

static void pci_config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
	struct virtio_pci *t = virtio_pci_from(pci);

	msix_config_written(t->msix, offset, size);
	follow_config(t);
	virtio_pci_window_written(t, offset, size);
}

static void pci_device_reset(struct virtio_transport *base)
{
	struct virtio_pci *t = from_base(base);

	/*
	 * What the device signalled before is told to nobody; table and enable bit are PCI's
	 * and stay.
	 */
	for (unsigned i = 0; i < base->device->n_queues; i++) {
		virtio_pci_detach_bell(t, &t->queue[i]);
		msix_reset_source(&t->queue[i].source);
	}
	msix_reset_source(&t->config_source);
	t->queue_select = 0;
	set_isr(t, 0);
}

static void pci_system_reset(struct virtio_transport *base)
{
	msix_reset(from_base(base)->msix);
}

/* Called by the root after it restored the configuration space. */
static void pci_function_reset(struct pci_device *pci)
{
	struct virtio_pci *t = virtio_pci_from(pci);

	virtio_transport_reset(&t->base);
	follow_config(t);
}

static const struct pci_device_ops pci_ops = {
	.config_reading = pci_config_reading,
	.config_written = pci_config_written,
	.bar_mapped = virtio_pci_bar_mapped,
	.bar_unmapping = virtio_pci_bar_unmapping,
	.reset = pci_function_reset,
};

static void pci_destroy(struct virtio_transport *base)
{
	struct virtio_pci *t = from_base(base);

	if (t->on_bus)
		pci_root_remove(&t->pci);
	msix_destroy(t->msix);
	free(t->queue);
	free(t);
}

static const struct virtio_transport_ops pci_transport_ops = {
	.queue_call = pci_queue_call,
	.config_changed = pci_config_changed,
	.device_reset = pci_device_reset,
	.system_reset = pci_system_reset,
	.destroy = pci_destroy,
};

static void init_function(struct virtio_pci *t)
{
	const struct virtio_device *dev = t->base.device;
	/* virtio-v1.4 4.1.2.1 "Device Requirements: PCI Device Discovery" */
	const struct pci_ids ids = {
		.vendor = VIRTIO_VENDOR,
		.device = (uint16_t)(VIRTIO_DEVICE_BASE + dev->id),
		.subsystem_vendor = VIRTIO_VENDOR,
		.subsystem = (uint16_t)(VIRTIO_DEVICE_BASE + dev->id),
		.revision = 1,
		.class_code = dev->pci_class,
		.has_intx = true,
	};

	pci_device_init(&t->pci, dev->name, &ids, &pci_ops);
	pci_device_set_bar(&t->pci, VIRTIO_PCI_BAR, PCI_BAR_MEM64, VIRTIO_PCI_BAR_SIZE,
			   &virtio_pci_bar_ops, t);
}

/* virtio-v1.4 4.1.4 "Virtio Structure PCI Capabilities" */
static void add_structure(struct virtio_pci *t, uint8_t cfg_type, uint32_t page,
			  bool has_multiplier)
{
	uint8_t cap[20] = { 0 };
	unsigned len = has_multiplier ? 20 : 16;

	cap[2] = (uint8_t)len;
	cap[3] = cfg_type;
	cap[4] = VIRTIO_PCI_BAR;
	store_le32(cap + 8, page);
	store_le32(cap + 12, virtio_pci_structure_len(t, page));
	store_le32(cap + 16, VIRTIO_PCI_NOTIFY_STRIDE);
	pci_device_add_capability(&t->pci, CAPABILITY_VENDOR, cap + 2, len - 2);
}

static void add_structures(struct virtio_pci *t)
{
	add_structure(t, CFG_TYPE_COMMON, VIRTIO_PCI_COMMON, false);
	add_structure(t, CFG_TYPE_ISR, VIRTIO_PCI_ISR, false);
	if (t->base.device->config_len > 0)
		add_structure(t, CFG_TYPE_DEVICE, VIRTIO_PCI_DEVICE, false);
	add_structure(t, CFG_TYPE_NOTIFY, VIRTIO_PCI_NOTIFY, true);
	virtio_pci_window_add(t);
}

static int add_interrupts(struct virtio_pci *t)
{
	struct virtio_device *dev = t->base.device;
	const struct msix_config config = {
		.dev = &t->pci,
		.irq = t->machine->irq,
		.main_loop = t->machine->main_loop,
		.machine_lock = &t->machine->lock,
		.n_vectors = dev->n_queues + 1,
		.bar = VIRTIO_PCI_BAR,
		.table_offset = VIRTIO_PCI_MSIX_TABLE,
		.pba_offset = VIRTIO_PCI_MSIX_PBA,
		.intx = raise_intx,
		.arg = t,
	};
	int r = msix_create(&t->msix, &config);

	if (r < 0)
		return r;
	t->config_source.fd = dev->config_call_fd;
	r = msix_add_source(t->msix, &t->config_source);
	for (unsigned i = 0; i < dev->n_queues && r == 0; i++) {
		t->queue[i].source.fd = dev->queue[i].call_fd;
		r = msix_add_source(t->msix, &t->queue[i].source);
	}
	return r;
}

int virtio_pci_create(struct virtio_transport **out, struct machine *m, struct virtio_device *dev)
{
	struct virtio_pci *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	*out = NULL;
	if (!t)
		goto fail;
	t->base.ops = &pci_transport_ops;
	t->base.device = dev;
	t->machine = m;
	t->queue = calloc(dev->n_queues, sizeof(*t->queue));
	if (!t->queue)
		goto fail;
	init_function(t);
	add_structures(t);
	r = add_interrupts(t);
	if (r < 0)
		goto fail;
	dev->transport = &t->base;
	dev->machine = m;
	r = pci_root_add(&m->pci, &t->pci);
	if (r < 0)
		goto fail;
	t->on_bus = true;
	follow_config(t);
	*out = &t->base;
	return 0;
fail:
	r = error_add(r, "put '%s' on the PCI bus", dev->name);
	if (t)
		pci_destroy(&t->base);
	dev->transport = NULL;
	dev->ops->destroy(dev);
	return r;
}
