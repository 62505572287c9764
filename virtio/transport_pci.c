/*
 * virtio-pci: the function on the bus, its interrupts and resets.  virtio-v1.4 4.1 "Virtio Over
 * PCI Bus".
 *
 * Bus Master Enable off: a start is put off, doorbells are detached and kicks do not arrive; they
 * are made up for when it is set (virtio_device_allow_dma).
 */
#include "virtio/transport_pci.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum {
	VIRTIO_VENDOR = 0x1af4,
	VIRTIO_DEVICE_BASE = 0x1040,
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

static bool pci_queue_masked(const struct virtio_transport *base, unsigned index)
{
	const struct virtio_pci *t = container_of(base, const struct virtio_pci, base);

	return msix_is_pending(&t->queue[index].source);
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

static void pci_update_doorbells(struct virtio_transport *base)
{
	virtio_pci_update_bells(from_base(base));
}

static void pci_queue_reset(struct virtio_transport *base, unsigned index)
{
	struct virtio_pci *t = from_base(base);

	virtio_pci_detach_bell(t, &t->queue[index]);
	msix_reset_source(&t->queue[index].source);
}

/* A refused vector reads back as none: virtio-v1.4 4.1.5.1.2 "MSI-X Vector Configuration". */
void virtio_pci_set_vector(struct virtio_pci *t, struct msix_source *source, uint16_t vector)
{
	if (msix_set_vector(source, vector) < 0)
		virtio_device_mistake(t->base.device, MISTAKE_VECTOR);
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

static struct virtio_place pci_place(const struct virtio_transport *base)
{
	const struct virtio_pci *t = container_of(base, const struct virtio_pci, base);

	/* The only bus is 0. */
	return (struct virtio_place){ true, t->pci.slot << 3 | t->pci.function };
}

static const struct virtio_transport_ops pci_transport_ops = {
	.place = pci_place,
	.queue_call = pci_queue_call,
	.queue_masked = pci_queue_masked,
	.config_changed = pci_config_changed,
	.update_doorbells = pci_update_doorbells,
	.queue_reset = pci_queue_reset,
	.device_reset = pci_device_reset,
	.system_reset = pci_system_reset,
	.destroy = pci_destroy,
};

uint16_t virtio_pci_transitional_id(enum virtio_device_id id)
{
	switch (id) {
	case VIRTIO_ID_NET: return 0x1000;
	case VIRTIO_ID_BLOCK: return 0x1001;
	case VIRTIO_ID_BALLOON: return 0x1002;
	case VIRTIO_ID_CONSOLE: return 0x1003;
	case VIRTIO_ID_SCSI: return 0x1004;
	case VIRTIO_ID_RNG: return 0x1005;
	default: return 0;
	}
}

static void init_function(struct virtio_pci *t)
{
	const struct virtio_device *dev = t->base.device;
	/* 4.1.2.1 "Device Requirements: PCI Device Discovery", 4.1.2.3 "Legacy Interfaces" */
	const struct pci_ids ids = {
		.vendor = VIRTIO_VENDOR,
		.device = t->is_legacy ? virtio_pci_transitional_id(dev->id) :
					 (uint16_t)(VIRTIO_DEVICE_BASE + dev->id),
		.subsystem_vendor = VIRTIO_VENDOR,
		.subsystem = (uint16_t)(t->is_legacy ? dev->id : VIRTIO_DEVICE_BASE + dev->id),
		.revision = t->is_legacy ? 0 : 1,
		.class_code = dev->pci_class,
		.has_intx = true,
	};

	pci_device_init(&t->pci, dev->name, &ids, &pci_ops);
	if (t->is_legacy)
		pci_device_set_bar(&t->pci, VIRTIO_PCI_LEGACY_BAR, PCI_BAR_IO,
				   virtio_pci_legacy_size(dev), &virtio_pci_legacy_ops, t);
	/* The MSI-X table is there in any case. */
	pci_device_set_bar(&t->pci, VIRTIO_PCI_BAR, PCI_BAR_MEM64, VIRTIO_PCI_BAR_SIZE,
			   &virtio_pci_bar_ops, t);
	if (t->is_modern)
		virtio_pci_add_structures(t);
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

int virtio_pci_create(struct virtio_transport **out, struct machine *m, struct virtio_device *dev,
		      enum virtio_transport_kind kind)
{
	struct virtio_pci *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	*out = NULL;
	if (!t)
		goto fail;
	t->base.ops = &pci_transport_ops;
	t->base.device = dev;
	t->machine = m;
	t->is_modern = kind != VIRTIO_PCI_LEGACY;
	t->is_legacy = kind != VIRTIO_PCI;
	t->queue = calloc(dev->n_queues, sizeof(*t->queue));
	if (!t->queue)
		goto fail;
	r = virtio_transport_settle_features(dev, kind);
	if (r < 0)
		goto fail;
	init_function(t);
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
