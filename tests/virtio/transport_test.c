/*
 * What must be the same over all transports: every test runs over each, or over each that is
 * modern.
 */
#include "virtio/transport.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/fd.h"

enum { QUEUE_CAUSE = 1, CONFIG_CAUSE = 2 };

static struct features with(unsigned bit)
{
	struct features f = echo_rig_ring_features();

	features_add(&f, bit);
	return f;
}

/* covers: FEAT-01 FEAT-10 FEAT-16 FEAT-20 FEAT-LEGACY-05 CORE-FEAT-04 CORE-FEAT-15 CORE-FEAT-16 */
/* covers: MMIO-REG-15 MMIO-REG-31 MMIO-REG-43 PCI-COMMON-03 */
OVER_MODERN(transport, offers_its_bits_and_no_others)
{
	struct features want = with(VIRTIO_NET_F_CSUM);

	features_add(&want, VIRTIO_NET_F_HOST_TSO4);
	features_add(&want, VIRTIO_NET_F_MTU);
	features_add(&want, VIRTIO_F_RING_RESET);
	for (int i = 0; i < 3; i++) {
		cr_assert(features_equal(fake_driver_offered(&rig->driver), want));
		echo_rig_start(rig);
	}
	for (unsigned half = 2; half < 6; half++)
		cr_assert_eq(fake_driver_offered_half(&rig->driver, half), 0);
	cr_assert_eq(fake_driver_offered_half(&rig->driver, 0x07ffffff), 0);
	cr_assert_eq(fake_driver_offered_half(&rig->driver, UINT32_MAX), 0);
}

/* N1.  covers: CORE-STATUS-05 CORE-STATUS-06 CORE-FEAT-18 MMIO-REG-16 MMIO-REG-22 */
OVER_MODERN(transport, n1_starts_with_what_was_accepted)
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
OVER_MODERN(transport, n2_n9_the_last_draft_counts_until_it_is_sealed)
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
OVER_ALL(transport, n3_configuration_is_readable_at_any_time_and_width)
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
OVER_ALL(transport, n11_past_the_end_reads_0)
{
	/* A legacy BAR ends soon after; nobody is there beyond it. */
	unsigned end = fake_transport_is_legacy(rig->driver.transport) ? 20 : 512;

	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned i = ECHO_CONFIG_LEN - 7; i < ECHO_CONFIG_LEN + end - size; i++) {
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
OVER_ALL(transport, n11_only_writable_bytes_change_and_reset_restores_them)
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
OVER_MODERN(transport, generation_moves_when_a_change_is_read)
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
OVER_ALL(transport, a_change_is_told_after_driver_ok)
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
OVER_MODERN(transport, n5_refused_features_leave_the_bit_clear)
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
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-VQ-01 PCI-COMMON-14 PCI-COMMON-21 MMIO-REG-18 MMIO-REG-40 PCI-COMMON-23 */
OVER_ALL(transport, a_queue_that_does_not_exist_has_size_0_and_takes_nothing)
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
OVER_MODERN(transport, a_wrong_queue_size_cannot_be_enabled)
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
OVER_MODERN(transport, a_smaller_queue_works)
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
OVER_MODERN(transport, n9_an_enabled_queue_is_frozen)
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
OVER_MODERN(transport, n10_a_ring_outside_of_memory_needs_reset)
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
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

OVER_ALL(transport, n10_a_model_that_cannot_start_needs_reset)
{
	rig->echo->refuse_start = true;
	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_driver_set_status(&rig->driver, echo_rig_running(rig));
	cr_assert_eq(fake_driver_status(&rig->driver),
		     echo_rig_running(rig) | VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_eq(rig->echo->n_queue_starts, 0);
	rig->echo->refuse_start = false;
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-STATUS-01 CORE-STATUS-02 CORE-VQ-10 MMIO-REG-08 */
OVER_MODERN(transport, buffers_wait_for_driver_ok_and_need_no_kick_then)
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
OVER_MODERN(transport, driver_ok_without_features_ok_is_dead)
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
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-NOTIF-05 CORE-KICK-01 CORE-KICK-04 CORE-VQ-07 RING-SPLIT-AVAILNOTIF-05 */
OVER_ALL(transport, kicks_for_nothing_do_nothing)
{
	echo_rig_start(rig);
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
OVER_MODERN(transport, a_queue_that_was_not_enabled_is_not_touched)
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
OVER_MODERN(transport, a_queue_enabled_late_is_ignored)
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

/*
 * covers: CORE-FEAT-17 RING-SPLIT-USEDNOTIF-05 PCI-USEDNOTIF-02 PCI-ISR-03
 * covers: MMIO-REG-29 MMIO-REG-30
 */
OVER_ALL(transport, each_queue_answers_and_interrupts)
{
	echo_rig_start(rig);
	fake_driver_set_status(&rig->driver, echo_rig_running(rig));
	cr_assert_eq(rig->echo->n_starts, 1);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		echo_rig_round_trip(rig, i);
		cr_assert_eq(echo_rig_take_interrupts(rig), 1);
		cr_assert_eq(fake_driver_take_isr(&rig->driver), QUEUE_CAUSE);
	}
}

/* covers: CORE-RESET-05 */
OVER_MODERN(transport, many_sessions)
{
	for (int i = 0; i < 200; i++) {
		echo_rig_start(rig);
		for (int k = 0; k <= i % 20; k++)
			echo_rig_round_trip(rig, (unsigned)k % ECHO_QUEUES);
	}
	cr_assert_eq(rig->echo->n_starts, 200);
}

/* Registers written at random: nothing but the guest's own device suffers, and a reset helps. */
OVER_ALL(transport, random_register_writes_do_no_harm)
{
	struct fake_driver *d = &rig->driver;
	bool legacy_pci = d->transport == FAKE_TRANSITIONAL_LEGACY ||
			  d->transport == FAKE_PCI_LEGACY;
	unsigned range = fake_transport_is_mmio(d->transport) ? 0x1000 : legacy_pci ? 64 : 0x8000;
	uint32_t seed = 12345;

	for (int i = 0; i < 20000; i++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned size = 1u << (seed >> 8 & 3);
		/* Half of them where there are registers. */
		unsigned at = (seed & 0x80000000u ? seed >> 12 & 0xff : seed >> 12) % (range - 8);
		uint64_t value = seed >> 5 & 0x10 ? seed >> 24 : seed * 0x9e3779b97f4a7c15u;

		if (legacy_pci && size == 8)
			size = 4;
		/* The common configuration begins the BAR. */
		fake_driver_write(d, at, size, value);
		fake_driver_read(d, at ^ 4, size);
		if (i % 16 == 0)
			echo_rig_pump(rig);
	}
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* The word of its failure is under way to the main loop, and must not find a device that is gone. */
OVER_ALL(transport, unplug_forgets_a_failure_that_nobody_was_told_of)
{
	struct machine *m = &rig->machine->m;

	echo_rig_start(rig);
	virtio_device_fail(rig->dev, 0, "a test");
	machine_lock(m);
	virtio_transport_destroy(rig->transport);
	machine_unlock(m);
	rig->transport = NULL;
	echo_rig_pump(rig);
	cr_assert_eq(rig->machine->irq.n_attached, 0u);
}
