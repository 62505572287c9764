/*
 * What a driver can say in the descriptors of a split ring.  What it must not say is in
 * ring_fault_test.c.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/queue_rig.h"
#include "vmm/base/iov.h"

enum {
	SIZE = 8,
	RING = 0x10000,
	TABLE = 0x20000,		/* indirect */
	DATA = 0x30000,
};

static struct queue_rig rig;

static void make_queue(uint16_t size, bool indirect)
{
	struct features f = FEATURES_EMPTY;

	if (indirect)
		features_add(&f, VIRTIO_F_INDIRECT_DESC);
	queue_rig_make(&rig, FAKE_SPLIT, size, f, RING);
}

static void setup(void)
{
	queue_rig_init(&rig);
	make_queue(SIZE, true);
}

static void teardown(void)
{
	queue_rig_fini(&rig);
}

TestSuite(chain, .init = setup, .fini = teardown);

static void offer(uint16_t head)
{
	fake_ring_offer(&rig.ring, head);
	fake_ring_publish(&rig.ring);
}

/* The device's pointer for a guest address. */
static void *host(uint64_t addr)
{
	return guest_memory_at(&rig.machine->m.memory, addr, 1);
}

/* covers: RING-SPLIT-DESC-05 RING-SPLIT-DESC-07 RING-SPLIT-DESC-06 */
Test(chain, buffers_come_out_in_order_and_apart_by_direction)
{
	struct fake_buf buf[] = {
		{ DATA, 16, false }, { DATA + 0x100, 1, false },
		{ DATA + 0x1000, 512, true }, { DATA + 0x2000, 1, true },
	};

	fake_ring_chain(&rig.ring, rig.ring.desc, SIZE, 6, buf, 4);
	/* Bits without a meaning are set, too. */
	fake_ring_desc(&rig.ring, rig.ring.desc, 6, DATA, 16, 0xfff8 | DESC_NEXT, 7);
	offer(6);
	struct chain c = queue_rig_pop(&rig);
	cr_assert_eq(c.head, 6);
	cr_assert_eq(c.n_out, 2);
	cr_assert_eq(c.n_in, 2);
	cr_assert_eq(c.in, c.out + 2);
	cr_assert_eq(c.out_len, 17);
	cr_assert_eq(c.in_len, 513);
	cr_assert_eq(c.out[0].iov_base, host(DATA));
	cr_assert_eq(c.out[1].iov_len, 1);
	cr_assert_eq(c.in[0].iov_base, host(DATA + 0x1000));
	cr_assert_eq(c.in[1].iov_base, host(DATA + 0x2000));
}

/* covers: RING-SPLIT-FRAME-05 */
Test(chain, empty_descriptors_are_skipped)
{
	struct fake_buf buf[] = {
		{ UINT64_MAX, 0, false }, { DATA, 3, false }, { 0, 0, false },
		{ DATA, 0, true }, { DATA + 8, 5, true }, { UINT64_MAX - 1, 0, true },
	};

	fake_ring_add(&rig.ring, buf, 6);
	struct chain c = queue_rig_pop(&rig);
	cr_assert_eq(c.n_out, 1);
	cr_assert_eq(c.n_in, 1);
	cr_assert_eq(c.out_len, 3);
	cr_assert_eq(c.in_len, 5);
}

/* covers: RING-SPLIT-FRAME-02 RING-SPLIT-LAYOUT-03 */
Test(chain, may_be_as_long_as_the_queue)
{
	struct fake_buf buf[64];
	uint32_t id, len;

	for (unsigned size = 1; size <= 64; size *= 2) {
		make_queue((uint16_t)size, true);
		for (unsigned i = 0; i < size; i++)
			buf[i] = (struct fake_buf){ DATA + 32 * i, 16, i >= size / 2 };
		for (int round = 0; round < 3; round++) {
			fake_ring_add(&rig.ring, buf, size);
			struct chain c = queue_rig_pop(&rig);
			cr_assert_eq(c.n_out + c.n_in, size);
			for (unsigned i = 0; i < size; i++)
				cr_assert_eq(c.out[i].iov_base, host(DATA + 32 * i));
			virtqueue_push(rig.q, c.head, 0);
			virtqueue_flush(rig.q);
			cr_assert(fake_ring_reap(&rig.ring, &id, &len));
		}
	}
}

/* Two long ones at once: what the first one's iovecs say must stay. */
Test(chain, iovecs_stay_until_the_push)
{
	struct fake_buf buf[16];

	make_queue(32, true);
	for (unsigned i = 0; i < 16; i++)
		buf[i] = (struct fake_buf){ DATA + 64 * i, 16 + i, false };
	fake_ring_add(&rig.ring, buf, 16);
	fake_ring_add(&rig.ring, buf, 1);
	for (unsigned i = 0; i < 15; i++)
		buf[i].addr += 0x8000;
	fake_ring_add(&rig.ring, buf, 15);
	struct chain a = queue_rig_pop(&rig), b = queue_rig_pop(&rig), c = queue_rig_pop(&rig);
	cr_assert_eq(b.n_out, 1);
	for (unsigned i = 0; i < 15; i++) {
		cr_assert_eq(a.out[i].iov_base, host(DATA + 64 * i));
		cr_assert_eq(c.out[i].iov_base, host(DATA + 0x8000 + 64 * i));
	}
}

/* covers: RING-SPLIT-IND-01 RING-SPLIT-IND-03 */
Test(chain, indirect_tables_are_followed_by_next)
{
	for (unsigned write = 0; write <= DESC_WRITE; write += DESC_WRITE) {
		/* 0 -> 3 -> 1 -> 2 */
		fake_ring_desc(&rig.ring, TABLE, 0, DATA, 16, DESC_NEXT, 3);
		fake_ring_desc(&rig.ring, TABLE, 3, DATA + 16, 1, DESC_NEXT, 1);
		fake_ring_desc(&rig.ring, TABLE, 1, DATA + 32, 2, DESC_NEXT | DESC_WRITE, 2);
		fake_ring_desc(&rig.ring, TABLE, 2, DATA + 48, 3, DESC_WRITE, 0xffff);
		uint16_t flags = (uint16_t)(DESC_INDIRECT | write);
		fake_ring_desc(&rig.ring, rig.ring.desc, 5, TABLE, 64, flags, 9);
		offer(5);
		struct chain c = queue_rig_pop(&rig);
		cr_assert_eq(c.head, 5);
		cr_assert_eq(c.n_out, 2);
		cr_assert_eq(c.n_in, 2);
		cr_assert_eq(c.out[1].iov_base, host(DATA + 16));
		cr_assert_eq(c.in[0].iov_base, host(DATA + 32));
		virtqueue_push(rig.q, 5, 0);
		virtqueue_flush(rig.q);
	}
}

/* covers: RING-SPLIT-IND-02 */
Test(chain, direct_descriptors_may_come_before_the_indirect_one)
{
	struct fake_buf tail[] = { { DATA + 16, 512, true }, { DATA + 0x800, 1, true } };

	fake_ring_chain(&rig.ring, TABLE, 2, 0, tail, 2);
	fake_ring_desc(&rig.ring, rig.ring.desc, 0, DATA, 16, DESC_NEXT, 1);
	fake_ring_desc(&rig.ring, rig.ring.desc, 1, TABLE, 32, DESC_INDIRECT, 0);
	offer(0);
	struct chain c = queue_rig_pop(&rig);
	cr_assert_eq(c.n_out, 1);
	cr_assert_eq(c.n_in, 2);
	cr_assert_eq(c.in_len, 513);
}

/* covers: RING-SPLIT-DESC-11 */
Test(chain, buffers_may_end_where_memory_ends)
{
	struct fake_buf buf[] = {
		{ FAKE_LOW_RAM_SIZE - 16, 16, false },
		{ FAKE_HIGH_RAM_BASE, 4096, true },
		{ FAKE_HIGH_RAM_BASE + FAKE_HIGH_RAM_SIZE - 1, 1, true },
	};

	fake_ring_add(&rig.ring, buf, 3);
	cr_assert_eq(queue_rig_pop(&rig).in_len, 4097);
}

/* covers: RING-SPLIT-AVAIL-05 */
Test(chain, head_in_flight_cannot_come_again)
{
	struct fake_buf buf = { DATA, 16, true };
	struct chain c;

	fake_ring_add(&rig.ring, &buf, 1);
	offer(0);
	struct chain first = queue_rig_pop(&rig);
	uint8_t *used = fake_machine_driver_at(rig.machine, rig.ring.device, 4 + 8 * SIZE);
	memset(used + 4, 0x5a, 8 * SIZE);
	cr_assert_eq(virtqueue_pop(rig.q, &c), VQ_BROKEN);
	cr_assert_eq(virtqueue_fault(rig.q), VQ_FAULT_HEAD_IN_FLIGHT);
	cr_assert_eq(virtqueue_in_flight(rig.q), 1);
	/* The answer to the first goes nowhere, and does no harm. */
	virtqueue_push(rig.q, first.head, 16);
	virtqueue_flush(rig.q);
	cr_assert_eq(virtqueue_in_flight(rig.q), 0);
	cr_assert_eq(fake_ring_used_idx(&rig.ring), 0);
	for (unsigned i = 0; i < 8 * SIZE; i++)
		cr_assert_eq(used[4 + i], 0x5a, "a broken ring is not written");
}

/* covers: RING-SPLIT-DESC-13 */
Test(chain, what_was_judged_does_not_change)
{
	struct fake_buf buf = { DATA, 16, true };

	fake_ring_add(&rig.ring, &buf, 1);
	struct chain c = queue_rig_pop(&rig);
	fake_ring_desc(&rig.ring, rig.ring.desc, 0, UINT64_MAX, UINT32_MAX, 0, 0);
	cr_assert_eq(c.in[0].iov_base, host(DATA));
	cr_assert_eq(c.in[0].iov_len, 16);
}

/* covers: RING-SPLIT-DESC-04 RING-SPLIT-AVAIL-01 */
Test(chain, the_device_writes_neither_descriptors_nor_the_available_ring)
{
	struct fake_buf buf[] = { { DATA, 16, false }, { DATA + 64, 16, true } };
	size_t len = rig.ring.device - rig.ring.desc;
	uint8_t before[512];

	fake_ring_add(&rig.ring, buf, 2);
	fake_ring_add(&rig.ring, buf, 2);
	memcpy(before, fake_machine_driver_at(rig.machine, rig.ring.desc, len), len);
	for (int i = 0; i < 2; i++) {
		struct chain c = queue_rig_pop(&rig);
		iov_fill(c.in, c.n_in, 0, 0xaa, 16);
		virtqueue_push(rig.q, c.head, 16);
	}
	virtqueue_flush(rig.q);
	virtqueue_rearm(rig.q);
	const void *now = fake_machine_driver_at(rig.machine, rig.ring.desc, len);
	cr_assert_eq(memcmp(before, now, len), 0);
}

/* covers: RING-SPLIT-DESC-01 CORE-VQ-08 */
Test(chain, a_ring_over_its_own_buffers_hurts_the_guest_alone)
{
	/* The buffer is the used ring, the descriptor table and the available ring themselves. */
	struct fake_buf buf = { rig.ring.desc, (uint32_t)fake_ring_bytes(SIZE), true };
	struct chain c;

	fake_ring_add(&rig.ring, &buf, 1);
	c = queue_rig_pop(&rig);
	iov_fill(c.in, c.n_in, 0, 0xff, c.in_len);
	virtqueue_push(rig.q, c.head, (uint32_t)c.in_len);
	virtqueue_flush(rig.q);
	enum vq_pop pop;
	while ((pop = virtqueue_pop(rig.q, &c)) == VQ_CHAIN)
		virtqueue_push(rig.q, c.head, 0);
	cr_assert_eq(pop, VQ_BROKEN);
}
