/*
 * Resets at the worst moments: with requests in flight, in the middle of setting up, over and
 * over; after each of them the memory is the driver's alone, and the device works again.
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "virtio/features.h"

enum { N_ROUNDS = 40, N_IN_FLIGHT = 12, RING = 64, BLOCK = 4096, CANARY = 0xa5 };

static struct blk disk;
static uint8_t *data, *status;
static struct blk_header *header;

static bool is_canary(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != CANARY)
			return false;
	}
	return true;
}

/* covers: CORE-RESET-02 CORE-RESET-03 CORE-RESET-07 */
static void reset_with_requests_in_flight(unsigned round)
{
	struct ring *r = &disk.ring;
	size_t used_size = 6 + RING * sizeof(struct ring_used_elem);

	blk_open(&disk, 1ull << VIRTIO_F_EVENT_IDX, RING);
	for (unsigned i = 0; i < N_IN_FLIGHT; i++) {
		header[i] = (struct blk_header){ .type = BLK_IN, .sector = i * 8 };
		ring_add(r, (struct piece[]){ { &header[i], 16 }, { data + i * BLOCK, BLOCK },
					      { &status[i], 1 } }, 1, 2);
	}
	ring_publish(r);
	/* Between at once and a moment later. */
	for (uint64_t until = cycles() + round * 1000; cycles() < until;)
		pause();
	if (!check(virtio_reset(&disk.v), "no reset with requests in flight"))
		return;
	memset(data, CANARY, N_IN_FLIGHT * BLOCK);
	memset(status, CANARY, N_IN_FLIGHT);
	memset((void *)r->used, CANARY, used_size);
	WAIT_UNTIL(false, 500 * 1000);
	check(is_canary(data, N_IN_FLIGHT * BLOCK) && is_canary(status, N_IN_FLIGHT),
	      "a buffer was written after the reset of round %u", round);
	check(is_canary((const uint8_t *)r->used, used_size),
	      "the ring was written after the reset of round %u", round);
}

/* covers: CORE-RESET-04 PCI-COMMON-08 */
static void registers_after_reset(void)
{
	struct virtio *v = &disk.v;
	uint16_t max;

	blk_open(&disk, 0, RING);
	check(virtio_reset(v), "reset");
	v->ops->select_queue(v, 0);
	max = v->ops->queue_max(v);
	check(max >= RING, "queue size %u after reset", max);
	check(!v->ops->queue_enabled(v), "the queue is enabled after reset");
	check_equal(v->ops->take_isr(v), 0, "interrupt causes after reset");
	if (!v->is_pci || v->is_legacy)
		return;
	check_equal(read64(v->common + COMMON_QUEUE_DESC), 0, "queue address after reset");
	check_equal(read16(v->common + COMMON_QUEUE_VECTOR), VIRTIO_NO_VECTOR,
		    "vector after reset");
	check_equal(read16(v->common + COMMON_CONFIG_VECTOR), VIRTIO_NO_VECTOR,
		    "vector after reset");
	write32(v->common + COMMON_DRIVER_FEATURE_SELECT, 1);
	check_equal(read32(v->common + COMMON_DRIVER_FEATURE), 0, "features after reset");
}

/* A kick to a device that nobody set up, or that was just reset. */
static void kicks_without_a_driver(void)
{
	blk_open(&disk, 0, RING);
	for (unsigned i = 0; i < 20; i++) {
		virtio_kick(&disk.v, 0);
		virtio_reset(&disk.v);
		virtio_kick(&disk.v, 0);
	}
}

int main(void)
{
	uint8_t *buf = heap_alloc(BLOCK, BLOCK);

	blk_find(&disk, 0);
	data = heap_alloc(N_IN_FLIGHT * BLOCK, BLOCK);
	status = heap_alloc(N_IN_FLIGHT, 1);
	header = heap_alloc(N_IN_FLIGHT * sizeof(*header), 16);
	for (unsigned round = 0; round < N_ROUNDS; round++) {
		reset_with_requests_in_flight(round);
		blk_open(&disk, 1ull << VIRTIO_F_EVENT_IDX, RING);
		check_equal(blk_request(&disk, BLK_IN, round, buf, 512), BLK_OK,
			    "read after a reset");
	}
	registers_after_reset();
	kicks_without_a_driver();
	blk_open(&disk, 0, RING);
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "read at the end");
	return check_result("reset");
}
