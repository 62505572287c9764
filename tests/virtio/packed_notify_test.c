/* The packed ring: who notifies whom, and when. */
#include <criterion/criterion.h>

#include "tests/support/queue_rig.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum { SIZE = 8, RING = 0x100000, DATA = 0x30000 };

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

TestSuite(packed_notify, .init = setup, .fini = teardown);

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

/* covers: RING-PACKED-27 RING-PACKED-30 */
Test(packed_notify, event_flags_mean_all_none_or_one_slot)
{
	static const struct {
		uint16_t at, flags;
		bool event_idx, call;
	} cases[] = {
		{ 0, EVENT_ALL, false, true }, { 0, EVENT_ALL, true, true },
		{ 0x8000, EVENT_NONE, false, false }, { 0x8000, EVENT_NONE, true, false },
		{ 0x8000, EVENT_AT, true, true }, { 0x8001, EVENT_AT, true, false },
		/* What has no meaning is a wish for all. */
		{ 0x8001, EVENT_AT, false, true }, { 0x8001, EVENT_RESERVED, true, true },
		{ 0x8000 + SIZE, EVENT_AT, true, true }, { 0xffff, EVENT_AT, true, true },
		{ SIZE, EVENT_AT, true, true }, { 0x7fff, EVENT_AT, true, true },
		/* Bits above the two are nobody's. */
		{ 0x8000, 0xfffc | EVENT_NONE, true, false }, { 3, 0xfffc, true, true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		make_queue(SIZE, cases[i].event_idx);
		fake_ring_set_driver_event(&rig.ring, cases[i].at, cases[i].flags);
		round_trip(1);
		cr_expect_eq(fd_drain(rig.call_fd), cases[i].call, "case %u", i);
		virtqueue_flush(rig.q);
		cr_expect_not(fd_drain(rig.call_fd), "nothing new, no interrupt");
	}
}

enum { LAP = 5 };

/*
 * Positions count from 0 over two laps, of which the first has wrap 1.  A batch of 'n' slots that
 * begins at position 'start' (a list and single ones) while the driver waits for 'named': a call if
 * and only if the batch holds it.
 */
static void expect_call_if_passed(unsigned start, unsigned n, unsigned named)
{
	unsigned list = 1 + (n - 1) / 2;
	bool holds = false;

	make_queue(LAP, true);
	for (unsigned i = 0; i < start; i++)
		round_trip(1);
	fd_drain(rig.call_fd);
	fake_ring_set_driver_event(&rig.ring, (uint16_t)(named % LAP | (named < LAP ? 0x8000 : 0)),
				   EVENT_AT);
	add(list, true);
	for (unsigned i = list; i < n; i++)
		add(1, true);
	for (unsigned i = list; i <= n; i++)
		virtqueue_push(rig.q, queue_rig_pop(&rig).head, 1);
	virtqueue_flush(rig.q);
	for (unsigned i = start; i < start + n; i++)
		holds = holds || i % (2 * LAP) == named;
	cr_assert_eq(fd_drain(rig.call_fd), holds, "%u slots from %u on, %u", n, start, named);
}

/* Every slot that can be named, every length and place of a batch.  covers: RING-PACKED-28 */
Test(packed_notify, one_slot_in_one_lap_triggers_the_call)
{
	for (unsigned start = 0; start < 2 * LAP; start++)
		for (unsigned n = 1; n <= LAP; n++)
			for (unsigned named = 0; named < 2 * LAP; named++)
				expect_call_if_passed(start, n, named);
}

/* covers: RING-PACKED-34 */
Test(packed_notify, kicks_are_suppressed_in_the_device_area)
{
	virtqueue_suppress(rig.q);
	cr_assert_eq(fake_ring_device_event(&rig.ring), EVENT_NONE << 16);
	cr_assert_not(virtqueue_rearm(rig.q));
	cr_assert_eq(fake_ring_device_event(&rig.ring), EVENT_ALL << 16);

	make_queue(SIZE, true);
	for (unsigned i = 0; i < 3 * SIZE; i++) {
		bool odd = i / SIZE % 2;

		cr_assert_not(virtqueue_rearm(rig.q));
		cr_assert_eq(fake_ring_device_event(&rig.ring),
			     EVENT_AT << 16 | (odd ? 0u : 0x8000u) | i % SIZE);
		virtqueue_suppress(rig.q);
		cr_assert_eq(fake_ring_device_event(&rig.ring), EVENT_NONE << 16);
		add(1, true);
		cr_assert_not(fake_ring_must_kick(&rig.ring));
		cr_assert(virtqueue_rearm(rig.q), "something came meanwhile");
		cr_assert(virtqueue_rearm(rig.q), "as long as it is there");
		struct chain c = queue_rig_pop(&rig);
		queue_rig_use(&rig, &c, 0);
		uint32_t id, len;
		cr_assert(fake_ring_reap(&rig.ring, &id, &len));
	}
}

/* The area may hold anything from before: the first rearm writes it. */
Test(packed_notify, the_first_rearm_overwrites_what_was_there)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		make_queue(SIZE, event_idx);
		store_le32(fake_machine_driver_at(rig.machine, rig.ring.device, 4),
			   EVENT_NONE << 16);
		cr_assert_not(virtqueue_rearm(rig.q));
		add(1, true);
		cr_assert(fake_ring_must_kick(&rig.ring));
	}
}
