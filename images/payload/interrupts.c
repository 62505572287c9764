/*
 * Interrupts of a disk: MSI-X (masked, pending, moved, none), INTx, and the line of virtio-mmio.
 * Options for machines other than ours: gsi=N.  PCI Local Bus Specification 3.0, 6.8.2;
 * virtio-v1.4 4.1.4.5
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/interrupt.h"
#include "vmm/machine/layout.h"

enum { VECTOR_CONFIG = 0x40, VECTOR_QUEUE, VECTOR_OTHER, VECTOR_LINE, RING = 16 };

static struct blk disk;
static struct msix msix;
static uint8_t *buf;

/* One read that asks for an interrupt, or does not. */
static void request(bool wanted)
{
	ring_want_interrupt(&disk.ring, wanted);
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "read");
}

/* Does a request bring exactly this many interrupts on 'vector'? */
static void expect(uint8_t vector, bool wanted, unsigned n, const char *when)
{
	uint32_t before = interrupt_counts[vector];

	request(wanted);
	interrupt_wait(vector, before, n > 0 ? WAIT_LONG : WAIT_SHORT);
	interrupt_wait(vector, before + n, WAIT_SHORT / 8);
	check(interrupt_counts[vector] - before == n, "%u interrupts, not %u: %s",
	      interrupt_counts[vector] - before, n, when);
}

static void expect_late(uint8_t vector, uint32_t before, const char *when)
{
	check(interrupt_wait(vector, before, WAIT_LONG), "no interrupt: %s", when);
}

/* covers: RING-SPLIT-USEDNOTIF-02 RING-SPLIT-USEDNOTIF-03 */
static void plain_vectors(void)
{
	msix_enable(&msix, true, false);
	msix_set(&msix, 0, VECTOR_CONFIG);
	msix_set(&msix, 1, VECTOR_QUEUE);
	disk.uses_vectors = true;
	blk_open(&disk, 0, RING);
	expect(VECTOR_QUEUE, true, 1, "MSI-X");
	expect(VECTOR_QUEUE, true, 1, "MSI-X again");
	expect(VECTOR_QUEUE, false, 0, "the driver wants none");
	check_equal(interrupt_counts[VECTOR_CONFIG], 0, "configuration interrupts");
}

static void masked_vectors(void)
{
	uint32_t before;

	msix_mask(&msix, 1, true);
	before = interrupt_counts[VECTOR_QUEUE];
	expect(VECTOR_QUEUE, true, 0, "masked vector");
	check(msix_is_pending(&msix, 1), "no pending bit for a masked vector");
	msix_mask(&msix, 1, false);
	expect_late(VECTOR_QUEUE, before, "unmasked with a pending bit");
	check(!msix_is_pending(&msix, 1), "pending bit after unmasking");

	msix_enable(&msix, true, true);
	before = interrupt_counts[VECTOR_QUEUE];
	expect(VECTOR_QUEUE, true, 0, "masked function");
	check(msix_is_pending(&msix, 1), "no pending bit while the function is masked");
	msix_enable(&msix, true, false);
	expect_late(VECTOR_QUEUE, before, "function unmasked with a pending bit");
	expect(VECTOR_QUEUE, true, 1, "after all the masking");
}

static void moved_vectors(void)
{
	/* Another message in the same entry; only a masked one may be rewritten. */
	msix_mask(&msix, 1, true);
	msix_set(&msix, 1, VECTOR_OTHER);
	expect(VECTOR_OTHER, true, 1, "entry rewritten");
	msix_mask(&msix, 1, true);
	msix_set(&msix, 1, VECTOR_QUEUE);
	expect(VECTOR_QUEUE, true, 1, "entry rewritten again");
	/* Another entry; none; one that does not exist. */
	disk.v.ops->select_queue(&disk.v, 0);
	check_equal(virtio_set_queue_vector(&disk.v, 0), 0, "queue vector");
	expect(VECTOR_CONFIG, true, 1, "vector shared with the configuration");
	check_equal(virtio_set_queue_vector(&disk.v, VIRTIO_NO_VECTOR), VIRTIO_NO_VECTOR,
		    "no vector");
	expect(VECTOR_CONFIG, true, 0, "no vector");
	check_equal(virtio_set_queue_vector(&disk.v, 0x7fe), VIRTIO_NO_VECTOR,
		    "vector out of range");
	expect(VECTOR_QUEUE, true, 0, "vector out of range");
	check_equal(virtio_set_queue_vector(&disk.v, 1), 1, "queue vector");
	expect(VECTOR_QUEUE, true, 1, "vector given back");
}

static void break_ring(void)
{
	disk.ring.avail->ring[disk.ring.avail_idx++ % disk.ring.size] = disk.ring.size;
	ring_publish_quietly(&disk.ring);
	virtio_kick(&disk.v, 0);
}

/* covers: CORE-NOTIF-02 */
static void configuration_vector(void)
{
	uint32_t before = interrupt_counts[VECTOR_CONFIG];

	break_ring();
	expect_late(VECTOR_CONFIG, before, "configuration change");
	check(virtio_status(&disk.v) & VIRTIO_STATUS_NEEDS_RESET, "N10: NEEDS_RESET");
}

/*
 * The line, which the I/O APIC is told to take as edges: with a counting handler that does not
 * read the ISR, a level would come again for ever.
 */
static void line(uint32_t gsi, const char *what)
{
	struct virtio *v = &disk.v;
	uint32_t before;

	blk_open(&disk, 0, RING);
	v->ops->take_isr(v);
	ioapic_route(gsi, VECTOR_LINE, IOAPIC_EDGE);
	for (unsigned i = 0; i < 3; i++) {
		expect(VECTOR_LINE, true, 1, what);
		if (v->is_pci)
			check(pci_read16(v->function, PCI_STATUS) & PCI_STATUS_INTERRUPT,
			      "Interrupt Status bit with INTx");
		check_equal(v->ops->take_isr(v), 1, "interrupt cause");
		check_equal(v->ops->take_isr(v), 0, "interrupt cause after reading it");
		if (v->is_pci)
			check(!(pci_read16(v->function, PCI_STATUS) & PCI_STATUS_INTERRUPT),
			      "Interrupt Status bit after reading the ISR");
	}
	expect(VECTOR_LINE, false, 0, "the driver wants none");
	v->ops->take_isr(v);
	before = interrupt_counts[VECTOR_LINE];
	break_ring();
	expect_late(VECTOR_LINE, before, "configuration change by line");
	check_equal(v->ops->take_isr(v) & 2, 2, "cause of a configuration change");
	ioapic_mask(gsi);
}

/* covers: PCI-ISR-03 PCI-ISR-04 PCI-ISR-05 PCI-ISR-06 */
static void intx(void)
{
	struct pci_function f = disk.v.function;
	uint16_t command = pci_read16(f, PCI_COMMAND);

	msix_enable(&msix, false, false);
	disk.uses_vectors = false;
	pci_write16(f, PCI_COMMAND, command | PCI_COMMAND_INTX_OFF);
	blk_open(&disk, 0, RING);
	ioapic_route(GSI_PCI_INTA + f.slot % 4, VECTOR_LINE, IOAPIC_EDGE);
	expect(VECTOR_LINE, true, 0, "INTx is disabled");
	check(disk.v.ops->take_isr(&disk.v) & 1, "ISR while INTx is disabled");
	pci_write16(f, PCI_COMMAND, command);
	line((uint32_t)option_number("gsi", GSI_PCI_INTA + f.slot % GSI_PCI_LINES), "INTx");
}

int main(void)
{
	lapic_enable();
	blk_find(&disk, 0);
	buf = heap_alloc(512, 512);
	if (!disk.v.is_pci) {
		line((uint32_t)option_number("gsi", disk.v.gsi), "mmio");
		return check_result("interrupts");
	}
	check(pci_read8(disk.v.function, PCI_INTERRUPT_PIN) == 1, "no interrupt pin");
	if (check(msix_init(&msix, disk.v.function), "no MSI-X")) {
		check(msix.n_vectors >= 2, "only %u vectors", msix.n_vectors);
		plain_vectors();
		masked_vectors();
		moved_vectors();
		configuration_vector();
	}
	intx();
	return check_result("interrupts");
}
