/*
 * A disk as drivers from before version 1 see it: no FEATURES_OK, queues by their page, in use
 * before DRIVER_OK, a configuration that moves with MSI-X.  docs/negotiation.md N4; virtio-v1.4
 * 3.1.2 "Legacy Interface: Device Initialization", 4.1.4.10, 4.2.4.
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "virtio/features.h"

enum { KNOWN = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER, LEGACY_SETTLED = 30 };

static struct blk disk;
static struct virtio *v;
static uint8_t *buf;

static void works(const char *after)
{
	blk_open(&disk, 0, 0);
	check(blk_request(&disk, BLK_IN, 0, buf, 512) == BLK_OK, "no I/O after: %s", after);
}

/* covers: PCI-LEGACY-06 FEAT-LEGACY-04 CORE-FEAT-LEGACY-01 */
static void features(void)
{
	uint64_t offered = virtio_offered(v);

	check(offered >> VIRTIO_F_ANY_LAYOUT & 1, "ANY_LAYOUT is not offered");
	check(!(offered >> LEGACY_SETTLED & 1), "bit 30 is offered");
	check_equal(v->ops->read_features(v, 1), 0, "upper half of the features");
	virtio_negotiate(v, 0, NULL);
	v->ops->write_features(v, 1, 0xffffffff);
	works("features of the upper half");
}

/* covers: CORE-CONFIG-LEGACY-04 CORE-CONFIG-LEGACY-05 */
static void queue_before_driver_ok(void)
{
	uint64_t accepted;

	virtio_negotiate(v, 1ull << VIRTIO_F_INDIRECT_DESC, &accepted);
	check(ring_init(&disk.ring, v, 0, 0, accepted), "queue 0");
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "N4: read before DRIVER_OK");
	virtio_driver_ok(v);
	check_equal(virtio_status(v), KNOWN | VIRTIO_STATUS_DRIVER_OK, "N4: status");
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "N4: read after DRIVER_OK");
}

/* A driver that knows nothing of features at all. */
static void no_negotiation(void)
{
	check(virtio_reset(v), "reset");
	check(ring_init(&disk.ring, v, 0, 0, 0), "queue 0 without anything else");
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "N4: read at status 0");
	works("a driver that negotiates nothing");
}

/* covers: PCI-LEGACY-03 PCI-LEGACY-04 PCI-LEGACY-05 */
static void configuration(void)
{
	uint32_t sectors, again = 0;
	struct msix msix;

	check(virtio_reset(v), "reset");
	sectors = v->ops->read_config(v, BLK_CONFIG_CAPACITY, 4);
	check(sectors >= 2048, "N3: capacity %u before anything", sectors);
	for (unsigned i = 0; i < 4; i++)
		again |= v->ops->read_config(v, i, 1) << 8 * i;
	check_equal(again, sectors, "capacity by bytes");
	check_equal(v->ops->read_config(v, 2, 2), sectors >> 16, "half of the capacity");
	v->ops->write_config(v, BLK_CONFIG_CAPACITY, 4, 0);
	check_equal(v->ops->read_config(v, BLK_CONFIG_CAPACITY, 4), sectors,
		    "capacity after writing to it");
	if (!v->is_pci || !msix_init(&msix, v->function))
		return;
	for (unsigned i = 0; i < 4; i++) {
		msix_enable(&msix, i % 2 == 0, false);
		check_equal(v->ops->read_config(v, BLK_CONFIG_CAPACITY, 4), sectors,
			    "capacity after MSI-X was switched");
	}
}

/* Write queue 0's page; mmio: with this page size and alignment. */
static void place(uint32_t page, uint32_t page_size, uint32_t align)
{
	v->ops->select_queue(v, 0);
	if (v->is_pci) {
		out32((uint16_t)(v->port + LEGACY_QUEUE_PFN), page);
		return;
	}
	write32(v->base + MMIO_GUEST_PAGE_SIZE, page_size);
	write32(v->base + MMIO_QUEUE_SIZE, 16);
	write32(v->base + MMIO_QUEUE_ALIGN, align);
	write32(v->base + MMIO_QUEUE_PFN, page);
}

/* covers: PCI-LEGACY-10 MMIO-LEGACY-05 MMIO-LEGACY-06 MMIO-LEGACY-09 */
static void queue_pages(void)
{
	static const uint32_t number[] = { 0xffffffff, 0xfec00, 0x80000000, 1u << 24, 3 };
	const unsigned n = sizeof(number) / sizeof(number[0]);

	for (unsigned i = 0; i < n * (v->is_pci ? 1 : n); i++) {
		virtio_negotiate(v, 0, NULL);
		place(number[i % n], i < n ? 4096 : number[i / n], i < n ? 4096 : number[i / n]);
		virtio_kick(v, 0);
		virtio_driver_ok(v);
		virtio_kick(v, 0);
		check(virtio_reset(v), "reset");
		check(!v->ops->queue_enabled(v), "page of a queue after reset");
		check(v->ops->queue_max(v) > 0, "size of a queue after reset");
		v->page_size_written = false;
		works("a queue where there is no memory");
	}
	v->ops->select_queue(v, 0x4000);
	check_equal(v->ops->queue_max(v), 0, "size of a queue that does not exist");
	v->ops->set_queue(v, 16, 4096, 0, 0);
	check(!v->ops->queue_enabled(v), "page of a queue that does not exist");
}

/*
 * The page size is told once: a driver resets the device afterwards, over and over.
 * covers: MMIO-LEGACY-01 MMIO-LEGACY-02 MMIO-LEGACY-08
 */
static void mmio_registers(void)
{
	static const uint16_t modern[] = {
		MMIO_QUEUE_READY, MMIO_QUEUE_DESC, MMIO_QUEUE_DRIVER, MMIO_QUEUE_DEVICE,
		MMIO_QUEUE_RESET, MMIO_GENERATION,
	};

	check_equal(read32(v->base + MMIO_VERSION), 1, "version");
	works("the page size was written");
	check(v->page_size_written, "the page size was not written");
	works("the page size was not written again");
	for (unsigned i = 0; i < sizeof(modern) / sizeof(modern[0]); i++) {
		read32(v->base + modern[i]);
		write32(v->base + modern[i], 0xffffffff);
	}
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK,
		    "read after writing to modern registers");
}

int main(void)
{
	blk_find(&disk, 0);
	v = &disk.v;
	if (!v->is_legacy)
		check_skip("the disk is not driven by its legacy face");
	buf = heap_alloc(4096, 4096);
	features();
	queue_before_driver_ok();
	no_negotiation();
	configuration();
	queue_pages();
	if (!v->is_pci)
		mmio_registers();
	works("everything");
	return check_result("legacy");
}
