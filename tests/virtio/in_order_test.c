/* VIRTIO_F_IN_ORDER, in both layouts: what a driver sees of a device that answers in any order. */
#include <criterion/criterion.h>

#include "tests/support/queue_rig.h"
#include "vmm/base/fd.h"

enum { SIZE = 8, RING = 0x10000, TABLE = 0x20000, DATA = 0x30000 };

static struct queue_rig rig;

static void make_queue(enum fake_layout layout, bool event_idx)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_IN_ORDER);
	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	if (event_idx)
		features_add(&f, VIRTIO_F_EVENT_IDX);
	queue_rig_make(&rig, layout, SIZE, f, RING);
}

static void setup(void)
{
	queue_rig_init(&rig);
}

static void teardown(void)
{
	queue_rig_fini(&rig);
}

TestSuite(in_order, .init = setup, .fini = teardown);

static uint16_t add(unsigned n)
{
	struct fake_buf buf[SIZE];

	for (unsigned i = 0; i < n; i++)
		buf[i] = (struct fake_buf){ DATA + 64 * i, 16, true };
	return fake_ring_add(&rig.ring, buf, n);
}

/* All 24 orders of four. */
static void permutation(unsigned n, unsigned order[4])
{
	unsigned left[4] = { 0, 1, 2, 3 };

	for (unsigned i = 0; i < 4; i++) {
		unsigned k = n % (4 - i);
		n /= 4 - i;
		order[i] = left[k];
		for (unsigned m = k; m + 1 < 4 - i; m++)
			left[m] = left[m + 1];
	}
}

/*
 * Every entry has its own length, also those of failed requests (0 and 1 bytes here).
 *
 * covers: FEAT-05 RING-INORDER-01 RING-INORDER-04 RING-INORDER-07 RING-INORDER-08
 * covers: RING-INORDER-09 RING-INORDER-10
 */
Test(in_order, answers_in_any_order_come_back_in_the_drivers)
{
	for (unsigned i = 0; i < FAKE_LAYOUTS; i++) {
		make_queue((enum fake_layout)i, false);
		for (unsigned n = 0; n < 24; n++) {
			uint16_t name[4] = { add(1), add(3), add(1), add(2) };
			struct chain c[4];
			bool done[4] = { false };
			unsigned order[4], n_seen = 0;

			for (unsigned k = 0; k < 4; k++)
				c[k] = queue_rig_pop(&rig);
			permutation(n, order);
			for (unsigned k = 0; k < 4; k++) {
				virtqueue_push(rig.q, c[order[k]].head, order[k]);
				virtqueue_flush(rig.q);
				done[order[k]] = true;
				cr_assert_eq(virtqueue_in_flight(rig.q), 3 - k);
				for (; n_seen < 4 && done[n_seen]; n_seen++)
					queue_rig_expect_used(&rig, name[n_seen], n_seen);
				cr_assert_not(fake_ring_has_used(&rig.ring));
			}
		}
	}
}

/*
 * The device makes no batches: every buffer has an entry, at the place where a batch of one is.
 * covers: RING-INORDER-03 RING-INORDER-06
 */
Test(in_order, every_buffer_has_its_own_entry)
{
	for (unsigned i = 0; i < FAKE_LAYOUTS; i++) {
		uint16_t name[4];
		struct chain c[4];

		make_queue((enum fake_layout)i, false);
		for (unsigned k = 0; k < 4; k++) {
			name[k] = add(2);
			c[k] = queue_rig_pop(&rig);
		}
		for (unsigned k = 4; k-- > 0;)
			virtqueue_push(rig.q, c[k].head, 32);
		virtqueue_flush(rig.q);
		for (unsigned k = 0; k < 4; k++) {
			cr_assert_eq(i == FAKE_PACKED ? rig.ring.used.at : 2 * rig.ring.used_seen,
				     2 * k);
			queue_rig_expect_used(&rig, name[k], 32);
		}
		cr_assert_not(fake_ring_has_used(&rig.ring));
	}
}

/* No interrupt for an answer that waits, one for all when the oldest is there. */
Test(in_order, the_call_comes_with_the_entries)
{
	for (unsigned i = 0; i < 2 * FAKE_LAYOUTS; i++) {
		make_queue((enum fake_layout)(i / 2), i % 2);
		for (unsigned round = 0; round < 20; round++) {
			struct chain c[3];

			for (unsigned k = 0; k < 3; k++) {
				add(1);
				c[k] = queue_rig_pop(&rig);
			}
			fake_ring_want_call(&rig.ring, 0);
			virtqueue_push(rig.q, c[2].head, 1);
			virtqueue_flush(rig.q);
			virtqueue_push(rig.q, c[1].head, 1);
			virtqueue_flush(rig.q);
			cr_assert_not(fd_drain(rig.call_fd));
			cr_assert_not(fake_ring_has_used(&rig.ring));
			virtqueue_push(rig.q, c[0].head, 1);
			cr_assert_not(fake_ring_has_used(&rig.ring));
			virtqueue_flush(rig.q);
			cr_assert(fd_drain(rig.call_fd));
			uint32_t id, len;
			for (unsigned k = 0; k < 3; k++)
				cr_assert(fake_ring_reap(&rig.ring, &id, &len));
		}
	}
}

/* A device may keep buffers for ever, and give others back. covers: RING-INORDER-11 */
Test(in_order, the_last_one_may_be_taken_back)
{
	for (unsigned i = 0; i < FAKE_LAYOUTS; i++) {
		make_queue((enum fake_layout)i, false);
		for (unsigned round = 0; round < 5 * SIZE; round++) {
			uint16_t name[2] = { add(1), add(2) };
			struct chain a = queue_rig_pop(&rig), b = queue_rig_pop(&rig);

			virtqueue_unpop(rig.q, &b);
			b = queue_rig_pop(&rig);
			virtqueue_push(rig.q, b.head, 20);
			virtqueue_flush(rig.q);
			cr_assert_not(fake_ring_has_used(&rig.ring));
			virtqueue_push(rig.q, a.head, 10);
			virtqueue_flush(rig.q);
			queue_rig_expect_used(&rig, name[0], 10);
			queue_rig_expect_used(&rig, name[1], 20);

			name[0] = add(1);
			a = queue_rig_pop(&rig);
			virtqueue_unpop(rig.q, &a);
			cr_assert_eq(virtqueue_in_flight(rig.q), 0);
			a = queue_rig_pop(&rig);
			virtqueue_push(rig.q, a.head, 3);
			virtqueue_flush(rig.q);
			queue_rig_expect_used(&rig, name[0], 3);
		}
	}
}

/* The longest wait: the oldest one comes last, with a full ring. covers: RING-INORDER-09 */
Test(in_order, a_full_ring_may_wait_for_its_oldest)
{
	for (unsigned i = 0; i < FAKE_LAYOUTS; i++) {
		make_queue((enum fake_layout)i, true);
		for (unsigned round = 0; round < 10; round++) {
			struct chain c[SIZE];
			uint16_t name[SIZE];

			for (unsigned k = 0; k < SIZE; k++) {
				name[k] = add(1);
				c[k] = queue_rig_pop(&rig);
			}
			for (unsigned k = SIZE; k-- > 0;) {
				cr_assert_not(fake_ring_has_used(&rig.ring));
				virtqueue_push(rig.q, c[k].head, k);
				virtqueue_flush(rig.q);
			}
			for (unsigned k = 0; k < SIZE; k++)
				queue_rig_expect_used(&rig, name[k], k);
		}
	}
}

/* A head that waits is not free: its driver has not got it back. */
Test(in_order, a_head_that_waits_cannot_come_again)
{
	struct chain a, b, c;

	make_queue(FAKE_SPLIT, false);
	add(1);
	uint16_t head = add(1);
	a = queue_rig_pop(&rig);
	b = queue_rig_pop(&rig);
	virtqueue_push(rig.q, b.head, 1);
	fake_ring_offer(&rig.ring, head);
	fake_ring_publish(&rig.ring);
	cr_assert_eq(virtqueue_pop(rig.q, &c), VQ_BROKEN);
	cr_assert_eq(virtqueue_fault(rig.q), VQ_FAULT_HEAD_IN_FLIGHT);
	virtqueue_push(rig.q, a.head, 1);
	virtqueue_flush(rig.q);
	cr_assert_not(fake_ring_has_used(&rig.ring), "a broken queue publishes nothing");
}

/* Drivers have to lay descriptors out in order then; one that does not is served all the same. */
/* covers: RING-INORDER-05 */
Test(in_order, a_shuffled_descriptor_table_does_no_harm)
{
	make_queue(FAKE_SPLIT, false);
	/* 5 -> 2 -> 7, then 0. */
	fake_ring_desc(&rig.ring, rig.ring.desc, 5, DATA, 1, DESC_NEXT, 2);
	fake_ring_desc(&rig.ring, rig.ring.desc, 2, DATA + 64, 2, DESC_NEXT | DESC_WRITE, 7);
	fake_ring_desc(&rig.ring, rig.ring.desc, 7, DATA + 128, 4, DESC_WRITE, 0);
	fake_ring_desc(&rig.ring, rig.ring.desc, 0, DATA, 8, DESC_WRITE, 0);
	fake_ring_offer(&rig.ring, 5);
	fake_ring_offer(&rig.ring, 0);
	fake_ring_publish(&rig.ring);
	struct chain a = queue_rig_pop(&rig), b = queue_rig_pop(&rig);
	cr_assert(a.head == 5 && a.out_len == 1 && a.in_len == 6);
	virtqueue_push(rig.q, b.head, 8);
	virtqueue_push(rig.q, a.head, 6);
	virtqueue_flush(rig.q);
	queue_rig_expect_used(&rig, 5, 6);
	queue_rig_expect_used(&rig, 0, 8);
}
