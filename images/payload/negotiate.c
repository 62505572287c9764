/*
 * Negotiation as a driver sees it: docs/negotiation.md N1-N11, N17, N19, on a disk.  Each case
 * begins with a reset and ends with whatever state it made.
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "virtio/features.h"

enum {
	KNOWN = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER,
	SEALED = KNOWN | VIRTIO_STATUS_FEATURES_OK,
	RUNNING = SEALED | VIRTIO_STATUS_DRIVER_OK,
	VERSION_1_HALF = 1 << (VIRTIO_F_VERSION_1 - 32),
	UNUSED_BIT = 49,		/* of no feature at all */
	WINDOW_BAR = 4, WINDOW_OFFSET = 8, WINDOW_LENGTH = 12, WINDOW_DATA = 16,
};

static struct blk disk;
static struct virtio *v;
static uint8_t *buf;

static void write_status(uint32_t status)
{
	v->ops->write_status(v, status);
}

/* Reset and up to DRIVER. */
static void begin(void)
{
	check(virtio_reset(v), "reset");
	write_status(KNOWN);
}

/* With these features, does FEATURES_OK stand? */
static bool try_features(uint64_t bits)
{
	virtio_write_features(v, bits);
	write_status(SEALED);
	return virtio_status(v) == SEALED;
}

static void works(const char *after)
{
	blk_open(&disk, 1ull << VIRTIO_BLK_F_FLUSH, 16);
	check(blk_request(&disk, BLK_IN, 0, buf, 512) == BLK_OK, "no I/O after: %s", after);
}

static uint64_t capacity(void)
{
	return read32(v->config) | (uint64_t)read32(v->config + 4) << 32;
}

/* covers: CORE-STATUS-05 CORE-STATUS-06 CORE-STATUS-09 CORE-STATUS-11 */
static void status_tells_the_truth(void)
{
	check(virtio_reset(v), "reset");
	write_status(VIRTIO_STATUS_ACKNOWLEDGE);
	check_equal(virtio_status(v), VIRTIO_STATUS_ACKNOWLEDGE, "status after ACKNOWLEDGE");
	write_status(KNOWN | VIRTIO_STATUS_NEEDS_RESET);
	check_equal(virtio_status(v), KNOWN, "status after writing NEEDS_RESET");
	check(virtio_reset(v), "reset");
	check_equal(virtio_status(v), 0, "status after reset");
}

/* covers: CORE-STATUS-01 CORE-VQ-10 */
static void n1_nothing_before_driver_ok(void)
{
	struct ring *r = &disk.ring;

	begin();
	check(try_features(1ull << VIRTIO_F_VERSION_1), "VERSION_1 alone is refused");
	check(ring_init(r, v, 0, 16, 0), "queue 0");
	*disk.header = (struct blk_header){ .type = BLK_FLUSH };
	*disk.status = BLK_PENDING;
	ring_add(r, (struct piece[]){ { disk.header, 16 }, { (void *)disk.status, 1 } }, 1, 1);
	ring_publish_quietly(r);
	virtio_kick(v, 0);
	check(!WAIT_UNTIL(ring_take(r) >= 0, WAIT_SHORT), "N1: a buffer was used before DRIVER_OK");
	check_equal(*disk.status, BLK_PENDING, "N1: status byte before DRIVER_OK");
	write_status(RUNNING);
	check(ring_wait(r) >= 0, "a buffer that was there before DRIVER_OK is not seen");
	check(*disk.status == BLK_OK || *disk.status == BLK_UNSUPP, "status of that flush");
}

static void n2_drafts_are_replaced(void)
{
	begin();
	virtio_write_features(v, 1ull << UNUSED_BIT | 0xffffffff);
	virtio_write_features(v, 1ull << VIRTIO_F_VERSION_1);
	if (v->is_pci) {
		write32(v->common + COMMON_DRIVER_FEATURE_SELECT, 0);
		check_equal(read32(v->common + COMMON_DRIVER_FEATURE), 0, "N2: low half");
		write32(v->common + COMMON_DRIVER_FEATURE_SELECT, 1);
		check_equal(read32(v->common + COMMON_DRIVER_FEATURE), VERSION_1_HALF,
			    "N2: high half");
	}
	write_status(SEALED);
	check_equal(virtio_status(v), SEALED, "N2: status with the bad bit taken back");
	/* A reset forgets the draft: without one nothing stands. */
	begin();
	write_status(SEALED);
	check_equal(virtio_status(v), KNOWN, "N2: status without features after reset");
}

/* covers: CORE-CONFIG-01 */
static void n3_config_before_features_ok(void)
{
	uint64_t sectors;

	check(virtio_reset(v), "reset");
	sectors = capacity();
	check(sectors > 0, "N3: capacity is 0 before anything");
	write_status(KNOWN);
	check_equal(capacity(), sectors, "N3: capacity before features");
	virtio_write_features(v, 1ull << VIRTIO_F_VERSION_1);
	check_equal(capacity(), sectors, "N3: capacity with a draft");
	write_status(SEALED);
	check_equal(capacity(), sectors, "N3: capacity after FEATURES_OK");
}

/* covers: CORE-FEAT-LEGACY-04 CORE-RESET-06 */
static void n5_refusals(void)
{
	uint64_t offered = virtio_offered(v);

	begin();
	check(!try_features(offered | 1ull << UNUSED_BIT), "N5: a bit that is not offered");
	check_equal(virtio_status(v), KNOWN, "N5: status after a refusal");
	write_status(RUNNING);
	check(!(virtio_status(v) & VIRTIO_STATUS_FEATURES_OK), "N5: DRIVER_OK after a refusal");
	works("refusal of a bit");

	begin();
	check(!try_features(offered & ~(1ull << VIRTIO_F_VERSION_1)), "N5: no VERSION_1");
	works("refusal without VERSION_1");

	for (uint32_t half = 2; half < 6; half++) {
		begin();
		v->ops->write_features(v, half, 0x80000000);
		check(!try_features(1ull << VIRTIO_F_VERSION_1), "N5: bit %u", half * 32 + 31);
	}
	works("refusal of high bits");

	begin();
	check(try_features(offered), "all that is offered is refused");
}

/* covers: CORE-RESET-01 CORE-RESET-05 */
static void n6_status_0_is_a_reset(void)
{
	static const uint8_t from[] = {
		0, 1, KNOWN, SEALED, RUNNING, VIRTIO_STATUS_FAILED | RUNNING
	};

	for (unsigned i = 0; i < sizeof(from); i++) {
		check(virtio_reset(v), "reset");
		if (from[i] & VIRTIO_STATUS_FEATURES_OK)
			virtio_write_features(v, 1ull << VIRTIO_F_VERSION_1);
		if (from[i] & VIRTIO_STATUS_FAILED)
			write_status(from[i] & ~VIRTIO_STATUS_FAILED);
		write_status(from[i]);
		check(virtio_status(v) == from[i], "status %x reads %x", from[i], virtio_status(v));
		write_status(0);
		write_status(0);
		check(WAIT_UNTIL(virtio_status(v) == 0, WAIT_LONG), "N6: no reset from %x",
		      from[i]);
	}
}

/* covers: CORE-STATUS-08 */
static void n8_combined_writes(void)
{
	check(virtio_reset(v), "reset");
	write_status(KNOWN);
	check_equal(virtio_status(v), KNOWN, "N8: ACKNOWLEDGE and DRIVER at once");
	virtio_write_features(v, 1ull << VIRTIO_F_VERSION_1);
	write_status(RUNNING);
	check_equal(virtio_status(v), RUNNING, "N8: FEATURES_OK and DRIVER_OK at once");
	write_status(VIRTIO_STATUS_ACKNOWLEDGE);
	check_equal(virtio_status(v), RUNNING, "N8: status after clearing bits");
}

/* covers: PCI-COMMON-25 PCI-COMMON-26 */
static void n9_sealed_is_sealed(void)
{
	blk_open(&disk, 0, 16);
	virtio_write_features(v, ~0ull);
	check_equal(virtio_status(v), RUNNING, "N9: status after a late feature write");
	v->ops->select_queue(v, 0);
	v->ops->set_queue(v, 8, 0xdead0000, 0xdead1000, 0xdead2000);
	check(v->ops->queue_enabled(v), "N9: the queue is not enabled any more");
	for (unsigned i = 0; i < 20; i++)
		check_equal(blk_request(&disk, BLK_IN, i, buf, 512), BLK_OK,
			    "N9: read after rewriting a live queue");
	if (v->is_pci) {
		write32(v->common + COMMON_DRIVER_FEATURE_SELECT, 0);
		check_equal(read32(v->common + COMMON_DRIVER_FEATURE), 0,
			    "N9: features after sealing");
		write16(v->common + COMMON_QUEUE_ENABLE, 0);
		check(v->ops->queue_enabled(v), "queue_enable took 0");
	}
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "N9: read");
}

/* covers: CORE-STATUS-03 CORE-STATUS-04 RING-SPLIT-AVAIL-02 */
static void n10_needs_reset(void)
{
	blk_open(&disk, 0, 16);
	v->ops->take_isr(v);
	disk.ring.avail->ring[disk.ring.avail_idx++ % 16] = 16;
	ring_publish_quietly(&disk.ring);
	virtio_kick(v, 0);
	check(WAIT_UNTIL(virtio_status(v) & VIRTIO_STATUS_NEEDS_RESET, WAIT_LONG),
	      "N10: no NEEDS_RESET after a head past the ring");
	check(v->ops->take_isr(v) & 2, "N10: no configuration interrupt");
	write_status(RUNNING);
	check(virtio_status(v) & VIRTIO_STATUS_NEEDS_RESET, "N10: the driver cleared NEEDS_RESET");
	virtio_kick(v, 0);
	works("NEEDS_RESET");
}

/* covers: CORE-CONFIG-04 CORE-CONFIG-05 CORE-CONFIG-06 CORE-CONFIG-08 */
static void n11_config_cannot_fail(void)
{
	uint64_t sectors = capacity();
	uint8_t byte[8];

	for (unsigned i = 0; i < 8; i++)
		byte[i] = read8(v->config + i);
	check(memcmp(byte, &sectors, 8) == 0, "capacity by bytes");
	check_equal(read16(v->config + 2), sectors >> 16 & 0xffff, "capacity by words");
	write32(v->config, 0xffffffff);
	check_equal(capacity(), sectors, "N11: capacity after writing to it");
	for (unsigned at = 0xc0; at < 0x100; at += 4) {
		check_equal(read32(v->config + at), 0, "N11: configuration past its end");
		write32(v->config + at, 0xffffffff);
	}
	read32(v->config + 0x3b);
	check_equal(capacity(), sectors, "capacity");
}

static void n17_n19_offered_bits(void)
{
	uint64_t offered = virtio_offered(v);

	check(offered >> VIRTIO_F_VERSION_1 & 1, "VERSION_1 is not offered");
	if (!option_given("qemu"))
		check(!(offered &
			(1ull << VHOST_F_LOG_ALL | 1ull << VHOST_USER_F_PROTOCOL_FEATURES)),
		      "N17: internal bits in %lx", offered);
	for (uint32_t half = 2; half < 8; half++)
		check_equal(v->ops->read_features(v, half), 0, "N19: features past bit 63");
	check_equal(v->ops->read_features(v, 0xffffffff), 0, "N19: last half");
}

/* covers: PCI-COMMON-14 PCI-COMMON-21 PCI-COMMON-23 PCI-COMMON-24 CORE-VQ-05 CORE-VQ-07 */
static void queue_registers(void)
{
	uint16_t max;

	begin();
	check(try_features(1ull << VIRTIO_F_VERSION_1), "FEATURES_OK");
	v->ops->select_queue(v, 0xffff);
	check_equal(v->ops->queue_max(v), 0, "size of a queue that does not exist");
	v->ops->set_queue(v, 8, 1, 2, 3);
	v->ops->enable_queue(v);
	check(!v->ops->queue_enabled(v), "a queue that does not exist is enabled");
	virtio_kick(v, 0);
	v->ops->select_queue(v, 0);
	max = v->ops->queue_max(v);
	check(max > 0 && (max & (max - 1)) == 0, "size %u", max);

	/* A queue outside of RAM: the device lives and can be reset. */
	v->ops->set_queue(v, 16, 0xfffffffffffff000, 0xe0000000, 0x123456789abcde00);
	v->ops->enable_queue(v);
	write_status(RUNNING);
	virtio_kick(v, 0);
	works("a queue outside of RAM");
	begin();
	check(try_features(1ull << VIRTIO_F_VERSION_1), "FEATURES_OK");
	v->ops->select_queue(v, 0);
	v->ops->set_queue(v, 3, 0x1000001, 0x1000003, 0x1000005);
	v->ops->enable_queue(v);
	write_status(RUNNING);
	virtio_kick(v, 0);
	works("a misaligned queue of three");
}

/* The registers through configuration space.  virtio-v1.4 4.1.4.9; covers: PCI-CFG-01 PCI-CFG-02 */
static void pci_window(void)
{
	struct pci_function f = v->function;
	unsigned w = v->window_cap;

	if (!v->is_pci || !check(w != 0, "no PCI configuration access capability"))
		return;
	begin();
	pci_write8(f, w + WINDOW_BAR, pci_read8(f, v->common_cap + WINDOW_BAR));
	pci_write32(f, w + WINDOW_OFFSET,
		    pci_read32(f, v->common_cap + WINDOW_OFFSET) + COMMON_STATUS);
	pci_write32(f, w + WINDOW_LENGTH, 1);
	check_equal(pci_read8(f, w + WINDOW_DATA), KNOWN, "status through the window");
	pci_write8(f, w + WINDOW_DATA, 0);
	check(WAIT_UNTIL(pci_read8(f, w + WINDOW_DATA) == 0, WAIT_LONG),
	      "reset through the window");
	pci_write8(f, w + WINDOW_BAR, pci_read8(f, v->config_cap + WINDOW_BAR));
	pci_write32(f, w + WINDOW_OFFSET, pci_read32(f, v->config_cap + WINDOW_OFFSET));
	pci_write32(f, w + WINDOW_LENGTH, 4);
	check_equal(pci_read32(f, w + WINDOW_DATA), capacity() & 0xffffffff,
		    "capacity through the window");
	/* What no driver should ask for. */
	pci_write32(f, w + WINDOW_LENGTH, 3);
	pci_read32(f, w + WINDOW_DATA);
	pci_write32(f, w + WINDOW_LENGTH, 4);
	pci_write32(f, w + WINDOW_OFFSET, 0xfffffffc);
	pci_read32(f, w + WINDOW_DATA);
	pci_write32(f, w + WINDOW_DATA, 0xffffffff);
	pci_write8(f, w + WINDOW_BAR, 0xff);
	pci_read32(f, w + WINDOW_DATA);
	works("nonsense in the window");
}

int main(void)
{
	blk_find(&disk, 0);
	v = &disk.v;
	buf = heap_alloc(4096, 4096);
	status_tells_the_truth();
	n1_nothing_before_driver_ok();
	n2_drafts_are_replaced();
	n3_config_before_features_ok();
	n5_refusals();
	n6_status_0_is_a_reset();
	n8_combined_writes();
	n9_sealed_is_sealed();
	n10_needs_reset();
	n11_config_cannot_fail();
	n17_n19_offered_bits();
	queue_registers();
	pci_window();
	works("everything");
	return check_result("negotiation");
}
