/*
 * The packed ring: lists and laps, and used descriptors byte by byte.  Who notifies whom is in
 * packed_notify_test.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/queue_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum { SIZE = 8, RING = 0x100000, TABLE = 0x20000, DATA = 0x30000 };

static struct queue_rig rig;

static void make_queue(uint16_t size, bool event_idx)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	if (event_idx)
		features_add(&f, VIRTIO_F_EVENT_IDX);
	queue_rig_make(&rig, FAKE_PACKED, size, f, RING);
}

static void setup(void)
{
	queue_rig_init(&rig);
	make_queue(SIZE, false);
}

static void teardown(void)
{
	queue_rig_fini(&rig);
}

TestSuite(packed, .init = setup, .fini = teardown);

/* What virtqueue_create is told of the ring that is there. */
static struct virtqueue_config config_of(bool event_idx)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_VERSION_1);
	features_add(&f, VIRTIO_F_RING_PACKED);
	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	if (event_idx)
		features_add(&f, VIRTIO_F_EVENT_IDX);
	return fake_ring_config(&rig.ring, f, rig.call_fd);
}

/* A descriptor as it lies in memory, and its fields. */
static uint8_t *slot(unsigned i)
{
	return fake_machine_driver_at(rig.machine, rig.ring.desc + 16ull * i, 16);
}

/* Where the device finds a byte of the guest's. */
static void *memory_at(uint64_t addr)
{
	return guest_memory_at(&rig.machine->m.memory, addr, 1);
}

static uint16_t flags(unsigned i)
{
	return load_le16(slot(i) + 14);
}

static uint16_t add(unsigned n, bool write)
{
	struct fake_buf buf[SIZE];

	for (unsigned i = 0; i < n; i++)
		buf[i] = (struct fake_buf){ DATA + 64 * i, 16, write };
	return fake_ring_add(&rig.ring, buf, n);
}

/* Add, take, answer and reap a list of 'n'. */
static void round_trip(unsigned n)
{
	uint16_t name = add(n, true);
	struct chain c = queue_rig_pop(&rig);

	queue_rig_use(&rig, &c, n);
	queue_rig_expect_used(&rig, name, n);
}

/* covers: RING-PACKED-12 CORE-VQ-05 */
Test(packed, size_may_be_anything_up_to_32768)
{
	static const uint16_t sizes[] = { 1, 2, 3, 5, 7, 100, 255, 256 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_queue(sizes[i], i & 1);
		for (unsigned k = 0; k < 5u * sizes[i]; k++)
			round_trip(1);
		queue_rig_expect_empty(&rig);
	}
	for (unsigned size = 32767; size <= 32768; size++) {
		make_queue((uint16_t)size, true);
		for (unsigned k = 0; k < 2 * size + 5; k++)
			round_trip(1);
	}
}

Test(packed, size_0_and_more_than_32768_are_refused)
{
	struct virtqueue_config config = config_of(false);

	config.size = 0;
	cr_assert_eq(queue_rig_try(&config), -EINVAL);
	config.size = 32769;
	cr_assert_eq(queue_rig_try(&config), -EINVAL);
	cr_assert_str_eq(error_text(), "queue size 32769 is not within 1 and 32768");
}

/* covers: RING-PACKED-32 CORE-VQ-05 */
Test(packed, areas_have_their_alignment_and_end_within_memory)
{
	static const uint64_t bytes[] = { 16 * SIZE, 4, 4 }, align[] = { 16, 4, 4 };

	for (unsigned i = 0; i < 3; i++) {
		struct virtqueue_config config = config_of(true);
		uint64_t *area = i == 0 ? &config.desc : i == 1 ? &config.driver : &config.device;

		*area = FAKE_LOW_RAM_SIZE - bytes[i];
		cr_expect_eq(queue_rig_try(&config), 0, "area %u: %s", i, error_text());
		*area += align[i];
		cr_expect_eq(queue_rig_try(&config), -EINVAL, "area %u", i);
		*area = 0x200000 + align[i] / 2;
		cr_expect_eq(queue_rig_try(&config), -EINVAL, "area %u", i);
		*area = 0x200000 + align[i];
		cr_expect_eq(queue_rig_try(&config), 0, "area %u: %s", i, error_text());
		*area = 0xc0000000;
		cr_expect_eq(queue_rig_try(&config), -EINVAL, "area %u", i);
	}
}

/* covers: RING-PACKED-01 RING-PACKED-02 RING-PACKED-13 RING-PACKED-40 */
Test(packed, lists_start_in_ring_order_and_end_in_theirs)
{
	uint16_t name[4] = { add(3, true), add(1, true), add(2, true), add(2, true) };
	struct chain c[4];

	for (unsigned i = 0; i < 4; i++) {
		c[i] = queue_rig_pop(&rig);
		cr_assert_eq(c[i].n_in, i == 0 ? 3 : i == 1 ? 1 : 2);
	}
	/* Answered in the order 1, 3, 0, 2: used entries lie at 0, 0 + 1, 1 + 2, 3 + 3. */
	queue_rig_use(&rig, &c[1], 1);
	queue_rig_use(&rig, &c[3], 3);
	queue_rig_use(&rig, &c[0], 10);
	queue_rig_use(&rig, &c[2], 2);
	static const unsigned at[] = { 0, 1, 3, 6 }, who[] = { 1, 3, 0, 2 };
	for (unsigned i = 0; i < 4; i++) {
		cr_assert_eq(load_le16(slot(at[i]) + 12), name[who[i]]);
		cr_assert_eq(flags(at[i]), DESC_AVAIL | DESC_USED | DESC_WRITE);
	}
	queue_rig_expect_used(&rig, name[1], 1);
	queue_rig_expect_used(&rig, name[3], 3);
	queue_rig_expect_used(&rig, name[0], 10);
	queue_rig_expect_used(&rig, name[2], 2);
	cr_assert_eq(fake_ring_room(&rig.ring), SIZE);
}

/* covers: RING-PACKED-13 */
Test(packed, used_entries_skip_by_the_length_of_the_list)
{
	static const unsigned at[] = { 0, 3, 6, 1, 4, 7, 2, 5 };

	for (unsigned i = 0; i < 3 * ARRAY_SIZE(at); i++) {
		cr_assert_eq(rig.ring.used.at, at[i % ARRAY_SIZE(at)]);
		round_trip(3);
	}
}

/* covers: RING-PACKED-10 RING-PACKED-11 */
Test(packed, used_flags_follow_the_lap)
{
	static const uint16_t sizes[] = { 4, 5, 256 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_queue(sizes[i], false);
		for (unsigned k = 0; k < 3u * sizes[i]; k++) {
			bool odd = k / sizes[i] % 2;
			round_trip(1);
			cr_assert_eq(flags(k % sizes[i]),
				     DESC_WRITE | (odd ? 0 : DESC_AVAIL | DESC_USED));
		}
	}
}

/* covers: RING-PACKED-06 */
Test(packed, only_avail_without_used_means_available)
{
	queue_rig_expect_empty(&rig);
	cr_assert_not(virtqueue_has_work(rig.q));
	for (unsigned lap = 0; lap < 4; lap++) {
		/* Bits 7 and 15 by hand, for this lap and the next one. */
		static const uint16_t not_yet[2][3] = {
			{ 0, 0x8000, 0x8080 }, { 0, 0x80, 0x8080 },
		};

		for (unsigned k = 0; k < 3; k++) {
			store_le16(slot(0) + 14, not_yet[lap % 2][k]);
			cr_assert_not(virtqueue_has_work(rig.q));
			queue_rig_expect_empty(&rig);
		}
		for (unsigned k = 0; k < SIZE; k++)
			round_trip(1);
	}
}

/* covers: RING-PACKED-14 RING-PACKED-15 */
Test(packed, write_flag_and_length_tell_what_was_written)
{
	uint16_t tx = add(2, false), rx = add(2, true), none = add(1, true);
	struct chain c;

	c = queue_rig_pop(&rig);
	queue_rig_use(&rig, &c, 100);		/* there is nothing to write to */
	c = queue_rig_pop(&rig);
	queue_rig_use(&rig, &c, 1000);		/* no more than there was */
	c = queue_rig_pop(&rig);
	queue_rig_use(&rig, &c, 0);
	cr_assert_eq(flags(0), DESC_AVAIL | DESC_USED);
	cr_assert_eq(flags(2), DESC_AVAIL | DESC_USED | DESC_WRITE);
	cr_assert_eq(load_le32(slot(2) + 8), 32);
	cr_assert_eq(flags(4), DESC_AVAIL | DESC_USED);
	queue_rig_expect_used(&rig, tx, 0);
	queue_rig_expect_used(&rig, rx, 32);
	queue_rig_expect_used(&rig, none, 0);
}

/* covers: RING-PACKED-33 RING-PACKED-18 */
Test(packed, descriptors_are_sixteen_bytes_as_specified)
{
	static const uint8_t list[] = {
		0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x11, 0x11, 0x81, 0x00,
		0x00, 0x01, 0x03, 0, 0, 0, 0, 0, 0x02, 0x01, 0, 0, 0x34, 0x12, 0x82, 0x00,
	};
	static const uint8_t used[] = { 0x07, 0, 0, 0, 0x34, 0x12, 0x82, 0x80 };

	memcpy(slot(0), list, sizeof(list));
	struct chain c = queue_rig_pop(&rig);
	cr_assert(c.n_out == 1 && c.n_in == 1);
	cr_assert_eq(c.out[0].iov_base, memory_at(0x30000));
	cr_assert_eq(c.in[0].iov_base, memory_at(0x30100));
	cr_assert(c.out_len == 0x10 && c.in_len == 0x102);
	queue_rig_use(&rig, &c, 7);
	cr_assert_eq(memcmp(slot(0) + 8, used, 8), 0);
	cr_assert_eq(memcmp(slot(1), list + 16, 16), 0, "only the first slot is written");
}

/* covers: RING-PACKED-38 */
Test(packed, ids_are_echoed_whatever_they_are)
{
	static const uint16_t ids[] = { 0xffff, 0x8000, 0, 0xffff, SIZE, 1, 1, 0x7fff };

	for (unsigned i = 0; i < SIZE; i++)
		fake_ring_put(&rig.ring, i, DATA, 16, ids[i], DESC_WRITE);
	for (unsigned i = 0; i < SIZE; i++) {
		struct chain c = queue_rig_pop(&rig);
		cr_assert_lt(c.head, SIZE);
		queue_rig_use(&rig, &c, 1);
		cr_assert_eq(load_le16(slot(i) + 12), ids[i]);
	}
}

/* covers: RING-PACKED-17 RING-PACKED-08 */
Test(packed, a_list_may_be_as_long_as_the_queue)
{
	for (unsigned size = 1; size < 40; size++) {
		struct fake_buf buf[40];

		make_queue((uint16_t)size, false);
		for (unsigned i = 0; i < size; i++)
			buf[i] = (struct fake_buf){ DATA + 64 * i, 16, i >= size / 2 };
		for (unsigned lap = 0; lap < 4; lap++) {
			uint16_t name = fake_ring_add(&rig.ring, buf, size);
			struct chain c = queue_rig_pop(&rig);

			cr_assert_eq(c.n_out + c.n_in, size);
			for (unsigned i = 0; i < size; i++)
				cr_assert_eq(c.out[i].iov_base, memory_at(buf[i].addr));
			queue_rig_expect_empty(&rig);
			queue_rig_use(&rig, &c, 1);
			queue_rig_expect_used(&rig, name, 1);
			if (lap == 1 && size > 1) {
				/* From now on lists go over the end of the ring. */
				round_trip(1);
			}
		}
	}
}

/* covers: RING-PACKED-16 RING-PACKED-20 RING-PACKED-21 RING-PACKED-22 */
Test(packed, indirect_tables_are_consecutive_and_mix_with_lists)
{
	struct fake_buf buf[] = {
		{ DATA, 16, false }, { DATA + 64, 1, true }, { DATA + 128, 3, true },
	};

	for (unsigned n = 1; n <= 3; n++) {
		uint16_t direct = fake_ring_add(&rig.ring, buf, n);
		uint16_t indirect = fake_ring_add_indirect(&rig.ring, TABLE, buf, n);
		if (n == 2)	/* WRITE beside INDIRECT means nothing */
			store_le16(slot((rig.ring.avail.at + SIZE - 1u) % SIZE) + 14,
				   (uint16_t)(DESC_INDIRECT | DESC_WRITE | DESC_AVAIL));
		struct chain a = queue_rig_pop(&rig), b = queue_rig_pop(&rig);

		cr_assert(a.n_out == b.n_out && a.n_in == b.n_in && b.n_out == 1);
		cr_assert(a.out_len == b.out_len && a.in_len == b.in_len);
		for (unsigned i = 0; i < n; i++)
			cr_assert_eq(a.out[i].iov_base, b.out[i].iov_base);
		queue_rig_use(&rig, &a, n - 1);
		queue_rig_use(&rig, &b, n - 1);
		queue_rig_expect_used(&rig, direct, n - 1);
		queue_rig_expect_used(&rig, indirect, n - 1);
		if (n == 2)
			make_queue(SIZE, false);
	}
}

/* covers: RING-PACKED-26 */
Test(packed, the_first_of_a_batch_becomes_visible_last)
{
	uint16_t name[3] = { add(2, true), add(1, true), add(1, true) };
	struct chain c[3] = { queue_rig_pop(&rig), queue_rig_pop(&rig), queue_rig_pop(&rig) };

	for (unsigned i = 0; i < 3; i++) {
		virtqueue_push(rig.q, c[i].head, 16);
		cr_assert_not(fake_ring_has_used(&rig.ring), "after push %u", i);
	}
	/* The rest is there already when the first one appears. */
	cr_assert_eq(flags(2), DESC_AVAIL | DESC_USED | DESC_WRITE);
	cr_assert_eq(flags(3), DESC_AVAIL | DESC_USED | DESC_WRITE);
	virtqueue_flush(rig.q);
	for (unsigned i = 0; i < 3; i++)
		queue_rig_expect_used(&rig, name[i], 16);
	cr_assert_not(fake_ring_has_used(&rig.ring));
}

/* covers: RING-PACKED-07 */
Test(packed, a_used_slot_is_left_alone)
{
	for (unsigned i = 0; i < SIZE; i++)
		add(1, true);
	for (unsigned i = 0; i < SIZE; i++) {
		uint32_t id, len;
		uint8_t before[16];
		struct chain c = queue_rig_pop(&rig);

		queue_rig_use(&rig, &c, 1);
		cr_assert(fake_ring_reap(&rig.ring, &id, &len));
		add(1, true);
		memcpy(before, slot(i), 16);
		virtqueue_suppress(rig.q);
		virtqueue_rearm(rig.q);
		virtqueue_flush(rig.q);
		cr_assert_eq(memcmp(before, slot(i), 16), 0);
	}
	for (unsigned i = 0; i < SIZE; i++)
		queue_rig_pop(&rig);
}

/* covers: RING-PACKED-04 RING-PACKED-29 */
Test(packed, the_device_writes_used_descriptors_and_its_own_event_only)
{
	size_t len = 64 * SIZE;
	uint8_t before[512];
	struct chain c;

	cr_assert_leq(len, sizeof(before));
	memset(fake_machine_driver_at(rig.machine, DATA, len), 0x5a, len);
	memcpy(before, fake_machine_driver_at(rig.machine, DATA, len), len);
	make_queue(SIZE, true);
	fake_ring_set_driver_event(&rig.ring, 0x8003, EVENT_AT);
	add(SIZE, false);
	virtqueue_suppress(rig.q);
	c = queue_rig_pop(&rig);
	queue_rig_use(&rig, &c, 100);
	virtqueue_rearm(rig.q);
	cr_assert_eq(memcmp(before, fake_machine_driver_at(rig.machine, DATA, len), len), 0);
	cr_assert_eq(fake_ring_driver_event(&rig.ring), EVENT_AT << 16 | 0x8003);
	for (unsigned i = 1; i < SIZE; i++)
		cr_assert_eq(flags(i), DESC_AVAIL | (i + 1 < SIZE ? DESC_NEXT : 0));
}

/*
 * What lies between two flushes is bounded: what the driver makes available before it sees the
 * slot used is a fault.
 */
Test(packed, a_slot_that_is_out_cannot_be_available)
{
	struct chain c[SIZE], another;

	for (unsigned i = 0; i < SIZE; i++) {
		add(1, true);
		c[i] = queue_rig_pop(&rig);
	}
	for (unsigned i = 0; i < SIZE / 2; i++)
		virtqueue_push(rig.q, c[i].head, 0);
	queue_rig_expect_empty(&rig);
	fake_ring_put(&rig.ring, 0, DATA, 16, 1, 0);
	cr_assert(virtqueue_has_work(rig.q));
	cr_assert_eq(virtqueue_pop(rig.q, &another), VQ_BROKEN);
	cr_assert_eq(virtqueue_fault(rig.q), VQ_FAULT_AVAIL_INDEX);
}

/* Slot 0 is out; the driver makes it available once more, as the end of a list. */
Test(packed, a_list_cannot_run_into_slots_that_are_out)
{
	struct chain first, c;

	add(1, true);
	first = queue_rig_pop(&rig);
	for (unsigned i = 0; i < SIZE; i++)
		fake_ring_put(&rig.ring, i, DATA, 16, 1, i + 1 < SIZE ? DESC_NEXT : 0);
	cr_assert_eq(virtqueue_pop(rig.q, &c), VQ_BROKEN);
	cr_assert_eq(virtqueue_fault(rig.q), VQ_FAULT_NOT_AVAILABLE);
	virtqueue_push(rig.q, first.head, 0);
}

Test(packed, unpop_gives_the_list_again)
{
	for (unsigned i = 0; i < 5 * SIZE; i++) {
		uint16_t name[2] = { add(3, true), add(2, true) };
		struct virtqueue_position before = virtqueue_position(rig.q);
		struct chain a = queue_rig_pop(&rig), b;

		virtqueue_unpop(rig.q, &a);
		cr_assert_eq(virtqueue_in_flight(rig.q), 0);
		cr_assert_eq(virtqueue_position(rig.q).avail, before.avail);
		a = queue_rig_pop(&rig);
		b = queue_rig_pop(&rig);
		cr_assert_eq(a.n_in, 3);
		virtqueue_unpop(rig.q, &b);
		queue_rig_use(&rig, &a, 3);
		b = queue_rig_pop(&rig);
		cr_assert_eq(b.n_in, 2);
		queue_rig_use(&rig, &b, 2);
		queue_rig_expect_used(&rig, name[0], 3);
		queue_rig_expect_used(&rig, name[1], 2);
	}
}

/* Positions are the vhost interface's: slot, and wrap counter in bit 15. */
Test(packed, can_go_on_where_another_one_stopped)
{
	for (unsigned n = 0; n < 4 * SIZE; n++) {
		struct virtqueue_config config = config_of(false);

		make_queue(SIZE, false);
		for (unsigned i = 0; i < n; i++)
			round_trip(1 + i % 3);
		struct virtqueue_position at = virtqueue_position(rig.q);
		cr_assert_eq(at.avail, rig.ring.avail.at | (rig.ring.avail.wrap ? 0x8000 : 0));
		cr_assert_eq(at.used, at.avail);
		virtqueue_destroy(rig.q);
		config.resume = true;
		config.avail_base = at.avail;
		config.used_base = at.used;
		cr_assert_eq(virtqueue_create(&rig.q, &config), 0);
		for (unsigned i = 0; i < 3 * SIZE; i++)
			round_trip(1 + i % 3);
	}
}

Test(packed, positions_that_cannot_be_are_refused)
{
	static const struct {
		uint16_t avail, used;
		int r;
	} cases[] = {
		{ 0x8003, 0x8003, 0 }, { 0x0003, 0x8003, 0 }, { 0x8003, 0x8000, 0 },
		{ 0x0000, 0x8007, 0 }, { 0x8000, 0x0001, 0 },
		{ 0x8008, 0x8000, -EINVAL }, { 0x8000, 0x8008, -EINVAL }, { 0xffff, 0, -EINVAL },
		{ 0x8003, 0x8004, -EINVAL }, { 0x0004, 0x8003, -EINVAL },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct virtqueue_config config = config_of(false);

		config.resume = true;
		config.avail_base = cases[i].avail;
		config.used_base = cases[i].used;
		cr_expect_eq(queue_rig_try(&config), cases[i].r, "case %u", i);
	}
}
