/*
 * What must be the same over both transports: every test runs over virtio-pci, then over
 * virtio-mmio.
 */
#include "virtio/transport.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/fd.h"

enum { QUEUE_CAUSE = 1, CONFIG_CAUSE = 2 };

static void over_both(void (*test)(struct echo_rig *rig))
{
	for (int t = FAKE_PCI; t <= FAKE_MMIO; t++) {
		struct echo_rig *rig = echo_rig_create((enum fake_transport)t);
		test(rig);
		echo_rig_destroy(rig);
	}
}

#define OVER_BOTH(suite, name)                                                                     \
	static void suite##_##name(struct echo_rig *rig);                                          \
	Test(suite, name)                                                                          \
	{                                                                                          \
		over_both(suite##_##name);                                                         \
	}                                                                                          \
	static void suite##_##name(struct echo_rig *rig)

static struct features with(unsigned bit)
{
	struct features f = echo_rig_ring_features();

	features_add(&f, bit);
	return f;
}

static void start(struct echo_rig *rig)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
}

/* Break queue 'index' by offering a head that does not exist. */
static void break_ring(struct echo_rig *rig, unsigned index)
{
	fake_ring_offer(&rig->ring[index], 0xffff);
	fake_ring_publish(&rig->ring[index]);
	fake_driver_kick(&rig->driver, index);
	echo_rig_pump(rig);
}

/* covers: FEAT-01 FEAT-10 FEAT-16 FEAT-20 FEAT-LEGACY-05 CORE-FEAT-04 CORE-FEAT-15 CORE-FEAT-16 */
/* covers: MMIO-REG-15 MMIO-REG-31 MMIO-REG-43 PCI-COMMON-03 */
OVER_BOTH(transport, offers_its_bits_and_no_others)
{
	struct features want = with(VIRTIO_NET_F_CSUM);

	features_add(&want, VIRTIO_NET_F_HOST_TSO4);
	features_add(&want, VIRTIO_NET_F_MTU);
	features_add(&want, VIRTIO_F_RING_RESET);
	for (int i = 0; i < 3; i++) {
		cr_assert(features_equal(fake_driver_offered(&rig->driver), want));
		start(rig);
	}
	for (unsigned half = 2; half < 6; half++)
		cr_assert_eq(fake_driver_offered_half(&rig->driver, half), 0);
	cr_assert_eq(fake_driver_offered_half(&rig->driver, 0x07ffffff), 0);
	cr_assert_eq(fake_driver_offered_half(&rig->driver, UINT32_MAX), 0);
}

/* N1.  covers: CORE-STATUS-05 CORE-STATUS-06 CORE-FEAT-18 MMIO-REG-16 MMIO-REG-22 */
OVER_BOTH(transport, n1_starts_with_what_was_accepted)
{
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	echo_rig_prepare(rig, with(VIRTIO_NET_F_CSUM));
	cr_assert_eq(rig->echo->n_sealed, 1);
	cr_assert_eq(rig->echo->n_starts, 0, "not before DRIVER_OK");
	echo_rig_driver_ok(rig);
	cr_assert_eq(rig->echo->n_starts, 1);
	cr_assert(features_equal(rig->echo->started_with, with(VIRTIO_NET_F_CSUM)));
	echo_rig_round_trip(rig, 0);
}

/* N2, N9.  covers: CORE-FEAT-07 CORE-FEAT-08 CORE-FEAT-14 PCI-COMMON-04 */
OVER_BOTH(transport, n2_n9_the_last_draft_counts_until_it_is_sealed)
{
	struct fake_driver *d = &rig->driver;

	fake_driver_reset(d);
	fake_driver_set_status(d, 3);
	fake_driver_accept_half(d, 0, 1u << VIRTIO_NET_F_CSUM | 1u << VIRTIO_NET_F_MTU);
	fake_driver_accept_half(d, 1, 1);
	fake_driver_accept_half(d, 0, 1u << VIRTIO_NET_F_MTU);
	fake_driver_set_status(d, 0xb);
	fake_driver_accept_half(d, 0, 1u << VIRTIO_NET_F_CSUM);
	fake_driver_set_status(d, 0xf);
	cr_assert_eq(rig->echo->n_starts, 1);
	cr_assert_eq(rig->echo->started_with.word[0], 1ull << 32 | 1u << VIRTIO_NET_F_MTU);
}

/*
 * N3.  covers: CORE-CONFIG-01 CORE-CONFIG-02 CORE-CONFIG-07 CORE-CONFIG-08
 * covers: MMIO-REG-26 MMIO-REG-42
 */
OVER_BOTH(transport, n3_configuration_is_readable_at_any_time_and_width)
{
	static const uint8_t states[] = { 0, 1, 3 };

	for (unsigned s = 0; s < ARRAY_SIZE(states); s++) {
		fake_driver_set_status(&rig->driver, states[s]);
		for (unsigned size = 1; size <= 8; size *= 2) {
			for (unsigned i = 0; i + size <= ECHO_CONFIG_LEN; i++) {
				uint64_t want = 0;
				for (unsigned k = 0; k < size; k++)
					want |= (uint64_t)(0x10 + i + k) << (8 * k);
				cr_assert_eq(fake_driver_config(&rig->driver, i, size), want);
			}
		}
	}
}

/* N11.  covers: CORE-CONFIG-04 CORE-CONFIG-05 MMIO-REG-34 */
OVER_BOTH(transport, n11_past_the_end_reads_0)
{
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned i = ECHO_CONFIG_LEN - 7; i < ECHO_CONFIG_LEN + 512; i++) {
			uint64_t want = 0;
			for (unsigned k = 0; k < size; k++)
				if (i + k < ECHO_CONFIG_LEN)
					want |= (uint64_t)(0x10 + i + k) << (8 * k);
			cr_assert_eq(fake_driver_config(&rig->driver, i, size), want);
			fake_driver_set_config(&rig->driver, i, size, UINT64_MAX);
		}
	}
}

/* N11.  covers: CORE-CONFIG-06 CORE-CONFIG-09 CORE-RESET-08 */
OVER_BOTH(transport, n11_only_writable_bytes_change_and_reset_restores_them)
{
	for (unsigned i = 0; i < ECHO_CONFIG_LEN; i++)
		fake_driver_set_config(&rig->driver, i, 1, 0xa0 + i);
	for (unsigned i = 0; i < ECHO_CONFIG_LEN; i++) {
		bool writable = i >= ECHO_CONFIG_WRITABLE && i < ECHO_CONFIG_WRITABLE + 4;
		cr_assert_eq(fake_driver_config(&rig->driver, i, 1),
			     (writable ? 0xa0u : 0x10u) + i);
	}
	cr_assert_eq(rig->echo->n_config_written, 4);
	/* A wide write reaches the writable part of it. */
	fake_driver_set_config(&rig->driver, ECHO_CONFIG_WRITABLE - 4, 8, UINT64_MAX);
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE - 4, 4), 0x17161514);
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4), UINT32_MAX);
	fake_driver_reset(&rig->driver);
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4), 0x1b1a1918);
}

/* covers: PCI-COMMON-06 PCI-COMMON-28 MMIO-REG-07 MMIO-REG-41 CORE-CONFIG-03 */
OVER_BOTH(transport, generation_moves_when_a_change_is_read)
{
	struct fake_driver *d = &rig->driver;
	uint32_t before = fake_driver_generation(d);

	for (int i = 0; i < 1000; i++) {
		fake_driver_config(d, 0, 4);
		cr_assert_eq(fake_driver_generation(d), before);
	}
	/* 256 changes between two reads are one; and a change to the same is none. */
	for (unsigned i = 0; i < 256; i++) {
		uint8_t byte = (uint8_t)(i + 1);
		virtio_device_update_config(rig->dev, 0, &byte, 1);
	}
	cr_assert_eq(fake_driver_config(d, 0, 1), 0);
	uint32_t after = fake_driver_generation(d);
	cr_assert_neq(after, before);
	uint8_t same = 0;
	virtio_device_update_config(rig->dev, 0, &same, 1);
	fake_driver_config(d, 0, 1);
	cr_assert_eq(fake_driver_generation(d), after);
}

/* covers: CORE-NOTIF-01 CORE-NOTIF-03 CORE-NOTIF-04 PCI-CFGNOTIF-02 PCI-ISR-02 MMIO-REG-03 */
OVER_BOTH(transport, a_change_is_told_after_driver_ok)
{
	uint8_t a = 0x77, b = 0x78;

	echo_rig_prepare(rig, echo_rig_ring_features());
	virtio_device_update_config(rig->dev, 1, &a, 1);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0, "not before DRIVER_OK");
	echo_rig_driver_ok(rig);
	cr_assert_eq(fake_driver_config(&rig->driver, 1, 1), 0x77, "but not lost");
	virtio_device_update_config(rig->dev, 1, &b, 1);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	cr_assert_eq(fake_driver_config(&rig->driver, 1, 1), 0x78);
	cr_assert_eq(fake_driver_take_isr(&rig->driver), CONFIG_CAUSE);
	cr_assert_eq(fake_driver_take_isr(&rig->driver), 0);
	/* What the device changed by itself stays. */
	fake_driver_reset(&rig->driver);
	cr_assert_eq(fake_driver_config(&rig->driver, 1, 1), 0x78);
}

/* N5.  covers: CORE-FEAT-03 CORE-FEAT-05 CORE-FEAT-12 CORE-FEAT-LEGACY-04 */
OVER_BOTH(transport, n5_refused_features_leave_the_bit_clear)
{
	struct features packed = with(VIRTIO_F_RING_PACKED), legacy = FEATURES_EMPTY;

	cr_assert_not(fake_driver_negotiate(&rig->driver, packed));
	cr_assert_eq(fake_driver_status(&rig->driver), 3);
	cr_assert_eq(rig->dev->negotiation.refusal.bit, VIRTIO_F_RING_PACKED);
	cr_assert_not(fake_driver_negotiate(&rig->driver, with(VIRTIO_NET_F_HOST_TSO4)));
	cr_assert_not(fake_driver_negotiate(&rig->driver, legacy));
	fake_driver_set_status(&rig->driver, 0xf);
	cr_assert_eq(fake_driver_status(&rig->driver), 3);
	cr_assert_eq(rig->echo->n_sealed, 0);
	cr_assert_eq(rig->echo->n_starts, 0);
	start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-VQ-01 PCI-COMMON-14 PCI-COMMON-21 MMIO-REG-18 MMIO-REG-40 PCI-COMMON-23 */
OVER_BOTH(transport, a_queue_that_does_not_exist_has_size_0_and_takes_nothing)
{
	static const unsigned absent[] = { ECHO_QUEUES, 255, 256, 0xfffe, 0xffff };

	echo_rig_prepare(rig, echo_rig_ring_features());
	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
		cr_assert_eq(fake_driver_queue_max(&rig->driver, absent[i]), 0);
		fake_driver_set_queue(&rig->driver, absent[i], &rig->ring[0]);
		fake_driver_enable_queue(&rig->driver, absent[i]);
		cr_assert_not(fake_driver_queue_enabled(&rig->driver, absent[i]));
	}
	echo_rig_driver_ok(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
}

/* covers: CORE-VQ-05 PCI-COMMON-15 PCI-COMMON-24 MMIO-REG-35 */
OVER_BOTH(transport, a_wrong_queue_size_cannot_be_enabled)
{
	static const uint16_t wrong[] = { 0, 3, 15, ECHO_QUEUE_SIZE * 2, 0x8000, 0xffff };

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct fake_ring ring;

		cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
		fake_ring_init(&ring, rig->machine, ECHO_QUEUE_SIZE, RIG_RINGS);
		ring.size = wrong[i];
		fake_driver_set_queue(&rig->driver, 0, &ring);
		fake_driver_enable_queue(&rig->driver, 0);
		cr_assert_not(fake_driver_queue_enabled(&rig->driver, 0), "size %u", wrong[i]);
		ring.size = ECHO_QUEUE_SIZE / 2;
		fake_driver_set_queue(&rig->driver, 0, &ring);
		fake_driver_enable_queue(&rig->driver, 0);
		cr_assert(fake_driver_queue_enabled(&rig->driver, 0), "a valid one after that");
	}
}

/* The ring wraps at the size that the driver chose.  covers: MMIO-REG-19 */
OVER_BOTH(transport, a_smaller_queue_works)
{
	for (uint16_t size = 2; size <= ECHO_QUEUE_SIZE; size *= 2) {
		echo_rig_prepare(rig, echo_rig_ring_features());
		fake_driver_reset(&rig->driver);
		cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
		fake_ring_init(&rig->ring[1], rig->machine, size, RIG_RINGS + 0x8000);
		fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
		fake_driver_enable_queue(&rig->driver, 1);
		echo_rig_driver_ok(rig);
		for (int i = 0; i < 50; i++)
			echo_rig_round_trip(rig, 1);
	}
}

/* N9.  covers: PCI-COMMON-25 MMIO-REG-36 */
OVER_BOTH(transport, n9_an_enabled_queue_is_frozen)
{
	struct fake_ring other;

	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_ring_init(&other, rig->machine, 4, 0x80000);
	fake_driver_set_queue(&rig->driver, 0, &other);
	echo_rig_driver_ok(rig);
	fake_driver_set_queue(&rig->driver, 0, &other);
	echo_rig_round_trip(rig, 0);
}

/* N10.  covers: CORE-VQ-05 CORE-STATUS-04 */
OVER_BOTH(transport, n10_a_ring_outside_of_memory_needs_reset)
{
	struct fake_ring bad;

	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	fake_ring_init(&bad, rig->machine, ECHO_QUEUE_SIZE, RIG_RINGS);
	bad.device = UINT64_MAX - 15;
	fake_driver_set_queue(&rig->driver, 0, &bad);
	fake_driver_enable_queue(&rig->driver, 0);
	fake_driver_set_status(&rig->driver, 0xf);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	cr_assert_eq(rig->echo->n_starts, rig->echo->n_stops);
	start(rig);
	echo_rig_round_trip(rig, 0);
}

OVER_BOTH(transport, n10_a_model_that_cannot_start_needs_reset)
{
	rig->echo->refuse_start = true;
	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_driver_set_status(&rig->driver, 0xf);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	cr_assert_eq(rig->echo->n_queue_starts, 0);
	rig->echo->refuse_start = false;
	start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-STATUS-01 CORE-STATUS-02 CORE-VQ-10 MMIO-REG-08 */
OVER_BOTH(transport, buffers_wait_for_driver_ok_and_need_no_kick_then)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_ask(rig, 0);
	echo_rig_ask(rig, 2);
	for (int i = 0; i < 10; i++) {
		fake_driver_kick(&rig->driver, 0);
		echo_rig_pump(rig);
	}
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 0);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	cr_assert_eq(fake_driver_take_isr(&rig->driver), 0);
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 0);
	echo_rig_expect_answer(rig, 2);
}

/* covers: CORE-STATUS-12 */
OVER_BOTH(transport, driver_ok_without_features_ok_is_dead)
{
	struct fake_driver *d = &rig->driver;

	fake_driver_reset(d);
	fake_driver_set_status(d, 3);
	fake_driver_accept(d, echo_rig_ring_features());
	fake_ring_init(&rig->ring[0], rig->machine, ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	fake_driver_enable_queue(d, 0);
	fake_driver_set_status(d, 7);
	echo_rig_ask(rig, 0);
	fake_driver_kick(d, 0);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 0);
	cr_assert_eq(rig->echo->n_starts, 0);
	start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-NOTIF-05 CORE-KICK-01 CORE-KICK-04 CORE-VQ-07 RING-SPLIT-AVAILNOTIF-05 */
OVER_BOTH(transport, kicks_for_nothing_do_nothing)
{
	start(rig);
	for (int i = 0; i < 1000; i++) {
		fake_driver_kick(&rig->driver, 0);
		echo_rig_pump(rig);
	}
	for (unsigned i = ECHO_QUEUES; i < 300; i++)
		fake_driver_kick(&rig->driver, i);
	fake_driver_kick(&rig->driver, 0xffff);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-VQ-06 CORE-VQ-07 */
OVER_BOTH(transport, a_queue_that_was_not_enabled_is_not_touched)
{
	struct fake_ring garbage = { .size = 8, .desc = 0x1001, .driver = 3, .device = UINT64_MAX };

	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	fake_ring_init(&rig->ring[1], rig->machine, ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
	fake_driver_enable_queue(&rig->driver, 1);
	fake_driver_set_queue(&rig->driver, 0, &garbage);
	echo_rig_driver_ok(rig);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_round_trip(rig, 1);
	cr_assert_eq(rig->echo->n_queue_starts, 1);
}

/* covers: PCI-COMMON-27 */
OVER_BOTH(transport, a_queue_enabled_late_is_ignored)
{
	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	fake_ring_init(&rig->ring[1], rig->machine, ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
	echo_rig_driver_ok(rig);
	fake_driver_enable_queue(&rig->driver, 1);
	cr_assert_not(fake_driver_queue_enabled(&rig->driver, 1));
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	cr_assert_eq(fake_driver_status(&rig->driver), 0xf);
}

/* N10.  covers: CORE-STATUS-03 CORE-STATUS-04 CORE-STATUS-13 CORE-NOTIF-02 CORE-RESET-06 */
OVER_BOTH(transport, n10_a_broken_ring_needs_reset_and_a_reset_cures_it)
{
	start(rig);
	echo_rig_round_trip(rig, 0);
	echo_rig_take_interrupts(rig);
	fake_driver_take_isr(&rig->driver);
	break_ring(rig, 1);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	cr_assert_eq(fake_driver_take_isr(&rig->driver), CONFIG_CAUSE);
	cr_assert_eq(rig->echo->n_stops, 1);
	cr_assert_null(rig->echo->queue[0].vq, "all queues have stopped");

	/* Nothing wakes it but a reset. */
	fake_driver_set_status(&rig->driver, 0xf);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 1);
	cr_assert_eq(rig->echo->n_starts, 1);

	start(rig);
	cr_assert_eq(fake_driver_status(&rig->driver), 0xf);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
}

/* A failure of one session that is under way when the next begins.  covers: CORE-RESET-07 */
OVER_BOTH(transport, a_late_failure_does_not_reach_the_next_session)
{
	start(rig);
	fake_ring_offer(&rig->ring[1], 0xffff);
	fake_ring_publish(&rig->ring[1]);
	fake_driver_kick(&rig->driver, 1);
	loop_pump(rig->loop);	/* the ring broke, the main loop has not heard yet */
	cr_assert_eq(fake_driver_status(&rig->driver), 0xf);
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	cr_assert_eq(fake_driver_status(&rig->driver), 0xf);
	echo_rig_round_trip(rig, 1);
	/* And the new session can break by itself. */
	break_ring(rig, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
}

/* covers: CORE-STATUS-10 */
OVER_BOTH(transport, failed_stops_the_device)
{
	start(rig);
	fake_driver_set_status(&rig->driver, 0x8f);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x8f);
	cr_assert_eq(rig->echo->n_stops, 1);
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 0);
	start(rig);
	echo_rig_round_trip(rig, 0);
}

/* N6.  covers: CORE-RESET-01 CORE-RESET-05 PCI-COMMON-07 */
OVER_BOTH(transport, n6_reset_works_from_every_status)
{
	static const uint8_t states[] = { 0, 1, 3, 8, 0xb, 0xf, 0x80, 0x8f };

	for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
		fake_driver_reset(&rig->driver);
		fake_driver_accept(&rig->driver, echo_rig_ring_features());
		fake_driver_set_status(&rig->driver, states[i]);
		fake_driver_reset(&rig->driver);
		fake_driver_reset(&rig->driver);
	}
	start(rig);
	break_ring(rig, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	fake_driver_reset(&rig->driver);
	start(rig);
	echo_rig_round_trip(rig, 0);
}

/* N6.  covers: CORE-RESET-02 CORE-RESET-03 CORE-RESET-07 */
OVER_BOTH(transport, n6_after_reset_nothing_is_touched)
{
	uint8_t *ring, *data;
	uint64_t ring_len = fake_ring_bytes(ECHO_QUEUE_SIZE);

	start(rig);
	rig->echo->hold = true;
	for (int i = 0; i < 4; i++)
		echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->queue[0].n_held, 4);
	/* A kick that was not seen when the reset came. */
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	fake_driver_reset(&rig->driver);
	cr_assert_eq(rig->echo->n_queue_stops, ECHO_QUEUES);
	cr_assert_eq(rig->echo->n_stops, 1);

	ring = fake_machine_driver_at(rig->machine, RIG_RINGS, ring_len);
	data = fake_machine_driver_at(rig->machine, RIG_DATA, 0x1000);
	memset(ring, 0x5a, ring_len);
	memset(data, 0x5a, 0x1000);
	echo_rig_pump(rig);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	for (unsigned i = 0; i < ring_len; i++)
		cr_assert_eq(ring[i], 0x5a);
	for (unsigned i = 0; i < 0x1000; i++)
		cr_assert_eq(data[i], 0x5a);

	rig->echo->hold = false;
	start(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 0, "nothing of the old session");
	echo_rig_round_trip(rig, 0);
}

/* A completion that was signalled and not delivered is of the past.  covers: CORE-RESET-04 */
OVER_BOTH(transport, reset_forgets_kicks_and_calls)
{
	start(rig);
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	loop_pump(rig->loop);
	fake_driver_kick(&rig->driver, 0);
	fake_driver_reset(&rig->driver);
	cr_assert_not(fd_drain(rig->dev->queue[0].kick_fd));
	echo_rig_pump(rig);
	fake_irq_chip_run(&rig->machine->irq);
	memset(rig->machine->irq.n_rises, 0, sizeof(rig->machine->irq.n_rises));
	cr_assert_eq(fake_driver_take_isr(&rig->driver), 0);
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_pump(rig);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
}

/* covers: PCI-COMMON-08 MMIO-REG-06 CORE-RESET-04 */
OVER_BOTH(transport, reset_gives_the_queues_back)
{
	start(rig);
	fake_driver_reset(&rig->driver);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		cr_assert_not(fake_driver_queue_enabled(&rig->driver, i));
		cr_assert_eq(fake_driver_queue_max(&rig->driver, i), ECHO_QUEUE_SIZE);
	}
	cr_assert_eq(rig->machine->n_bells, 0);
	cr_assert_eq(rig->echo->n_resets, 2);
}

OVER_BOTH(transport, system_reset_is_a_reset)
{
	start(rig);
	machine_lock(&rig->machine->m);
	virtio_transport_reset(rig->transport);
	machine_unlock(&rig->machine->m);
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_stops, 1);
	start(rig);
	echo_rig_round_trip(rig, 0);
}

/*
 * covers: CORE-FEAT-17 RING-SPLIT-USEDNOTIF-05 PCI-USEDNOTIF-02 PCI-ISR-03
 * covers: MMIO-REG-29 MMIO-REG-30
 */
OVER_BOTH(transport, each_queue_answers_and_interrupts)
{
	start(rig);
	fake_driver_set_status(&rig->driver, 0xf);
	cr_assert_eq(rig->echo->n_starts, 1);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		echo_rig_round_trip(rig, i);
		cr_assert_eq(echo_rig_take_interrupts(rig), 1);
		cr_assert_eq(fake_driver_take_isr(&rig->driver), QUEUE_CAUSE);
	}
}

/* covers: CORE-RESET-05 */
OVER_BOTH(transport, many_sessions)
{
	for (int i = 0; i < 200; i++) {
		start(rig);
		for (int k = 0; k <= i % 20; k++)
			echo_rig_round_trip(rig, (unsigned)k % ECHO_QUEUES);
	}
	cr_assert_eq(rig->echo->n_starts, 200);
}

/* Registers written at random: nothing but the guest's own device suffers, and a reset helps. */
OVER_BOTH(transport, random_register_writes_do_no_harm)
{
	uint64_t base = !fake_transport_is_mmio(rig->driver.transport) ?
				rig->driver.common.addr - rig->driver.common.offset :
				rig->driver.base;
	unsigned range = !fake_transport_is_mmio(rig->driver.transport) ? 0x8000 : 0x1000;
	uint32_t seed = 12345;

	for (int i = 0; i < 30000; i++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned size = 1u << (seed >> 8 & 3);
		/* Half of them where there are registers. */
		unsigned at = (seed & 0x80000000u ? seed >> 12 & 0xff : seed >> 12) % (range - 8);
		uint64_t value = seed >> 5 & 0x10 ? seed >> 24 : seed * 0x9e3779b97f4a7c15u;
		fake_machine_mmio_write(rig->machine, base + at, size, value);
		fake_machine_mmio_read(rig->machine, base + (at ^ 4), size);
		if (i % 16 == 0)
			echo_rig_pump(rig);
	}
	start(rig);
	echo_rig_round_trip(rig, 0);
}
