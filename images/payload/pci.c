/*
 * PCI: the two ways into configuration space agree, BARs have sizes and move, decoding and bus
 * mastering can be switched off, the capabilities of a virtio function are as they must be.  PCI
 * Local Bus Specification 3.0, 6.2; virtio-v1.4 4.1 "Virtio Over PCI Bus".
 */
#include "images/payload/lib/acpi.h"
#include "images/payload/lib/blk.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "vmm/machine/layout.h"

enum { CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_BAR = 4, COMMON_SIZE = 56 };

static struct blk disk;

static void two_ways_agree(struct pci_function f, uint64_t ecam)
{
	for (unsigned at = 0; at < 256; at += 4) {
		if (!check(pci_read32(f, at) == read32(pci_ecam_address(ecam, f, at)),
			   "%u.%u register %x by CF8 and by ECAM", f.slot, f.function, at))
			break;
	}
	for (unsigned at = 0; at < 8; at++)
		check_equal(pci_read8(f, at), read8(pci_ecam_address(ecam, f, at)), "a byte");
	/* A function without PCI Express has nothing there: zeros or ones. */
	for (unsigned at = 256; at < 4096; at += 512)
		check(read32(pci_ecam_address(ecam, f, at)) + 1 <= 1, "extended register %x", at);
}

/* Sizes are powers of two, places are multiples of them.  covers: PCI-BUS-01 */
static void bars_are_sane(struct pci_function f)
{
	for (unsigned i = 0; i < 6; i++) {
		struct pci_bar bar = pci_bar_probe(f, i);

		if (bar.size != 0)
			check((bar.size & (bar.size - 1)) == 0 && bar.address % bar.size == 0,
			      "%u.%u BAR %u: %lx bytes at %lx", f.slot, f.function, i, bar.size,
			      bar.address);
		i += bar.is_64;
	}
}

static void header_is_read_only(struct pci_function f)
{
	static const uint8_t at[] = { PCI_VENDOR, PCI_REVISION, PCI_SUBSYSTEM - 2,
				      PCI_CAPABILITIES };

	for (unsigned i = 0; i < sizeof(at); i++) {
		uint32_t before = pci_read32(f, at[i]);

		pci_write32(f, at[i], ~before);
		check_equal(pci_read32(f, at[i]), before, "read-only register");
	}
}

/* covers: PCI-ID-LEGACY-01 PCI-ID-LEGACY-02 PCI-ID-LEGACY-03 PCI-LEGACY-01 PCI-LEGACY-08 */
static void transitional_ids(struct pci_function f)
{
	check(pci_read16(f, PCI_DEVICE) >= 0x1000, "device id");
	check_equal(pci_read8(f, PCI_REVISION), 0, "revision");
	check_equal(pci_read16(f, PCI_SUBSYSTEM), VIRTIO_ID_BLOCK, "subsystem");
	check(pci_io_bar(f, 0) != 0, "BAR 0 is not one of ports");
}

/* covers: PCI-ID-01 PCI-ID-04 PCI-ID-05 PCI-ID-06 */
static void virtio_ids(struct pci_function f)
{
	if (pci_read16(f, PCI_DEVICE) < 0x1040) {
		transitional_ids(f);
		return;
	}
	check(pci_read16(f, PCI_DEVICE) >= 0x1040 && pci_read16(f, PCI_DEVICE) < 0x1080,
	      "device id");
	check(pci_read8(f, PCI_REVISION) >= 1, "revision %u", pci_read8(f, PCI_REVISION));
	check(pci_read16(f, PCI_SUBSYSTEM) >= 0x40, "subsystem %x", pci_read16(f, PCI_SUBSYSTEM));
}

/* covers: PCI-CAP-01 PCI-CAP-04 PCI-CAP-05 PCI-CAP-07 PCI-COMMON-01 PCI-COMMON-02 PCI-ISR-01 */
static void virtio_capabilities(struct virtio *v)
{
	static const uint8_t min_len[] = { 0, 16, 20, 16, 16, 20 };
	unsigned seen = 0;

	for (unsigned cap = pci_capability(v->function, PCI_CAP_VENDOR, 0); cap != 0;
	     cap = pci_capability(v->function, PCI_CAP_VENDOR, cap)) {
		uint8_t type = pci_read8(v->function, cap + 3);
		uint8_t bar = pci_read8(v->function, cap + CAP_BAR);
		uint32_t offset = pci_read32(v->function, cap + CAP_OFFSET);
		uint32_t length = pci_read32(v->function, cap + CAP_LENGTH);

		if (type == 0 || type > 5)
			continue;
		seen |= 1u << type;
		check(pci_read8(v->function, cap + 2) >= min_len[type], "length of capability %u",
		      type);
		if (type == 5)
			continue;
		check(bar < 6 && offset + (uint64_t)length <= pci_bar_probe(v->function, bar).size,
		      "capability %u is not inside its BAR", type);
		check(type != 1 || (length >= COMMON_SIZE && offset % 4 == 0), "common: %u bytes",
		      length);
		pci_write32(v->function, cap + CAP_OFFSET, ~offset);
		check_equal(pci_read32(v->function, cap + CAP_OFFSET), offset,
			    "capability after a write");
	}
	check_equal(seen, 0x3e, "types of capabilities");
}

/* covers: PCI-NOTIFY-02 PCI-NOTIFY-03 PCI-NOTIFY-06 PCI-NOTIFY-12 */
static void kick_addresses(struct virtio *v)
{
	uint16_t n = read16(v->common + COMMON_N_QUEUES);

	check(n >= 1, "no queues");
	check((v->notify_multiplier & (v->notify_multiplier - 1)) == 0, "multiplier %u",
	      v->notify_multiplier);
	for (uint16_t i = 0; i < n; i++)
		check(virtio_kick_address(v, i) - v->notify + 2 <= v->notify_length,
		      "kick address of queue %u", i);
}

/* Every width at every offset does no harm.  covers: PCI-LAYOUT-03 PCI-NOTIFY-17 PCI-COMMON-29 */
static void all_widths(struct virtio *v)
{
	for (uintptr_t at = v->common; at < v->common + COMMON_SIZE + 8; at++) {
		read8(at);
		read16(at);
		read32(at);
		read64(at);
	}
	for (unsigned i = 0; i < 8; i++) {
		check_equal(read32(v->notify + i), 0, "notification area");
		write8(v->notify + i, 0xff);
		write32(v->notify + i, 0xffffffff);
	}
	write16(v->common + COMMON_N_QUEUES, 0xffff);
	write32(v->common + COMMON_DEVICE_FEATURE, 0);
	write8(v->common + COMMON_GENERATION, 0xff);
}

/* covers: PCI-LAYOUT-01 PCI-LAYOUT-04 */
static void halves_of_addresses(struct virtio *v)
{
	uintptr_t at = v->common + COMMON_QUEUE_DESC;
	uint64_t whole;

	virtio_negotiate(v, 0, NULL);
	v->ops->select_queue(v, 0);
	write32(at + 4, 0x12345678);
	write32(at, 0x9abcdef0);
	check_equal(read32(at + 4), 0x12345678, "high half");
	check_equal(read32(at), 0x9abcdef0, "low half");
	write64(at, 0x1111111122222220ull);
	whole = read32(at) | (uint64_t)read32(at + 4) << 32;
	check(whole == 0x1111111122222220ull || whole == 0x123456789abcdef0ull,
	      "eight bytes at once: %lx", whole);
	virtio_reset(v);
}

/* covers: PCI-BUS-03 */
static void bars_move(struct virtio *v)
{
	struct pci_function f = v->function;
	unsigned bar = pci_read8(f, v->common_cap + CAP_BAR);
	uint32_t offset = pci_read32(f, v->common_cap + CAP_OFFSET);
	struct pci_bar old = pci_bar_probe(f, bar);
	uint64_t to = LAYOUT_PCI_MMIO + 0x10000000;
	uint16_t command = pci_read16(f, PCI_COMMAND);
	uint8_t *buf = heap_alloc(512, 512);

	pci_write16(f, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY);
	check_equal(read32(old.address + offset + COMMON_STATUS), 0xffffffff,
		    "BAR without decoding");
	pci_write16(f, PCI_COMMAND, command);
	/* Moved while the disk runs: kicks follow. */
	blk_open(&disk, 0, 16);
	pci_bar_move(f, bar, to);
	check_equal(read8(to + offset + COMMON_STATUS), 0xf, "status at the new place");
	check_equal(read32(old.address + offset + COMMON_STATUS), 0xffffffff, "the old place");
	disk.ring.doorbell.address = to + (disk.ring.doorbell.address - old.address);
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "read after moving the BAR");
	disk.ring.doorbell.address = old.address + (disk.ring.doorbell.address - to);
	/* Over our own RAM, over the I/O APIC, and to where nothing is: it does not matter. */
	pci_bar_move(f, bar, 0x1000000);
	pci_bar_move(f, bar, LAYOUT_IOAPIC & ~(old.size - 1));
	pci_bar_move(f, bar, LAYOUT_ECAM);
	check_equal(pci_read16(f, PCI_VENDOR), 0x1af4, "vendor after BARs on top of others");
	pci_bar_move(f, bar, 0xfffffffffffff000);
	pci_bar_move(f, bar, old.address);
	check_equal(read8(old.address + offset + COMMON_STATUS), 0xf,
		    "status back at the old place");
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "read after moving it back");
}

/* covers: PCI-BUS-02 */
static void no_dma_without_mastering(struct virtio *v)
{
	uint16_t command = pci_read16(v->function, PCI_COMMAND);
	uint8_t *buf = heap_alloc(512, 512);

	blk_open(&disk, 0, 16);
	pci_write16(v->function, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
	*disk.header = (struct blk_header){ .type = BLK_IN };
	*disk.status = BLK_PENDING;
	ring_add(&disk.ring, (struct piece[]){ { disk.header, 16 }, { buf, 512 },
					       { (void *)disk.status, 1 } }, 1, 2);
	ring_publish_quietly(&disk.ring);
	virtio_kick(v, 0);
	check(!WAIT_UNTIL(disk.ring.used->idx != disk.ring.used_idx, WAIT_SHORT),
	      "DMA without Bus Master Enable");
	pci_write16(v->function, PCI_COMMAND, command);
	virtio_kick(v, 0);
	check(ring_wait(&disk.ring) >= 0, "no answer after Bus Master Enable came back");
}

int main(void)
{
	struct pci_function f = { 0, 0 };
	uint64_t ecam = acpi_ecam();
	unsigned n = 0;

	check(ecam != 0, "no MCFG");
	check(pci_read16(f, PCI_VENDOR) != 0xffff, "no host bridge");
	for (bool more = pci_next(&f, true); more; more = pci_next(&f, false)) {
		n++;
		two_ways_agree(f, ecam);
		bars_are_sane(f);
		header_is_read_only(f);
	}
	print("%u functions\n", n);
	check_equal(pci_read32((struct pci_function){ 31, 7 }, 0), 0xffffffff, "an empty place");
	blk_find(&disk, 0);
	if (!disk.v.is_pci)
		check_skip("the disk is not on PCI");
	virtio_ids(disk.v.function);
	if (disk.v.is_legacy)
		return check_result("pci");
	virtio_capabilities(&disk.v);
	kick_addresses(&disk.v);
	all_widths(&disk.v);
	halves_of_addresses(&disk.v);
	bars_move(&disk.v);
	no_dma_without_mastering(&disk.v);
	return check_result("pci");
}
