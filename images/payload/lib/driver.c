#include "images/payload/lib/driver.h"

#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/interrupt.h"
#include "virtio/features.h"
#include "vmm/machine/layout.h"

enum { VECTOR_CONFIG = 0x40, VECTOR_QUEUE = 0x41, MSIX_CONFIG = 0, MSIX_QUEUE = 1 };

bool driver_find(struct driver *d, uint32_t id)
{
	*d = (struct driver){ 0 };
	if (!virtio_find(&d->v, id, 0))
		return false;
	d->has_msix = d->v.is_pci && msix_init(&d->msix, d->v.function) && d->msix.n_vectors > 1;
	return true;
}

static uint32_t line_gsi(const struct driver *d)
{
	uint32_t ours = GSI_PCI_INTA + d->v.function.slot % (uint32_t)GSI_PCI_LINES;

	return (uint32_t)option_number("gsi", d->v.is_pci ? ours : d->v.gsi);
}

static void interrupts_open(struct driver *d)
{
	d->v.vector = VIRTIO_NO_VECTOR;
	if (d->has_msix)
		msix_enable(&d->msix, d->by_interrupt, false);
	if (!d->by_interrupt)
		return;
	lapic_enable();
	if (d->has_msix) {
		msix_set(&d->msix, MSIX_CONFIG, VECTOR_CONFIG);
		msix_set(&d->msix, MSIX_QUEUE, VECTOR_QUEUE);
		d->v.vector = MSIX_QUEUE;
	} else {
		ioapic_route(line_gsi(d), VECTOR_QUEUE, IOAPIC_EDGE);
	}
}

bool driver_make_queue(struct driver *d, unsigned index, uint16_t size)
{
	uint16_t max;

	d->v.ops->select_queue(&d->v, (uint16_t)index);
	max = d->v.ops->queue_max(&d->v);
	d->armed[index] = false;
	return ring_init(&d->ring[index], &d->v, (uint16_t)index, size < max ? size : max,
			 d->features);
}

bool driver_open(struct driver *d, uint64_t wanted, uint64_t optional, unsigned n_queues,
		 bool by_interrupt)
{
	if (d->v.is_legacy)
		optional |= 1ull << VIRTIO_F_ANY_LAYOUT;
	d->by_interrupt = by_interrupt;
	d->n_interrupts = 0;
	d->n_queues = 0;
	interrupts_open(d);
	if (!virtio_negotiate(&d->v, wanted | optional, &d->features) ||
	    (d->features & wanted) != wanted)
		return false;
	if (d->v.vector != VIRTIO_NO_VECTOR &&
	    virtio_set_config_vector(&d->v, MSIX_CONFIG) != MSIX_CONFIG)
		return false;
	for (; d->n_queues < n_queues; d->n_queues++) {
		if (!driver_make_queue(d, d->n_queues, d->size))
			return false;
	}
	virtio_driver_ok(&d->v);
	return true;
}

void driver_close(struct driver *d)
{
	virtio_reset(&d->v);
	if (d->has_msix)
		msix_enable(&d->msix, false, false);
	else if (d->by_interrupt)
		ioapic_mask(line_gsi(d));
}

void driver_arm(struct driver *d, unsigned index)
{
	if (!d->by_interrupt || d->armed[index])
		return;
	/* What comes after this raises the line again. */
	if (!d->has_msix)
		d->v.ops->take_isr(&d->v);
	ring_want_interrupt(&d->ring[index], true);
	d->armed[index] = true;
}

static bool wait_for_interrupt(struct driver *d, unsigned index)
{
	if (!interrupt_wait(VECTOR_QUEUE, interrupt_counts[VECTOR_QUEUE], WAIT_LONG))
		return false;
	d->n_interrupts++;
	ring_want_interrupt(&d->ring[index], false);
	d->armed[index] = false;
	return true;
}

int driver_wait(struct driver *d, unsigned index)
{
	struct ring *r = &d->ring[index];
	int id;

	if (!d->by_interrupt)
		return ring_wait(r);
	for (;;) {
		if (d->armed[index] && !wait_for_interrupt(d, index))
			return -1;
		id = ring_take(r);
		if (id >= 0)
			return id;
		driver_arm(d, index);
		id = ring_take(r);
		if (id >= 0) {
			/* It came in between, and may have brought none. */
			d->armed[index] = false;
			return id;
		}
	}
}

bool driver_needs_reset(struct driver *d, uint64_t wait)
{
	return WAIT_UNTIL(virtio_status(&d->v) & VIRTIO_STATUS_NEEDS_RESET, wait);
}
