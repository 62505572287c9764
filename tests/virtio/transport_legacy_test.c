/*
 * What legacy drivers rely on, over the three interfaces that they know: the ports of a
 * transitional and of a legacy-only function, and virtio-mmio version 1.  virtio-v1.4 2.2.3, 2.7.2,
 * 3.1.2 and their like: "Legacy Interface".
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"

enum { PAGE = 4096, NEEDS_RESET = VIRTIO_STATUS_NEEDS_RESET, NET_CSUM = 1 << VIRTIO_NET_F_CSUM };

static struct features legacy_features(void)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_EVENT_IDX);
	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	return f;
}

/* Give queue 'index' a fresh ring. */
static void set_queue(struct echo_rig *rig, unsigned index)
{
	fake_driver_init_ring(&rig->driver, &rig->ring[index], ECHO_QUEUE_SIZE,
			      RIG_RINGS + 0x10000ull * index);
	fake_driver_set_queue(&rig->driver, index, &rig->ring[index]);
}

static void set_pfn(struct echo_rig *rig, unsigned index, uint32_t pfn)
{
	fake_driver_queue_max(&rig->driver, index);	/* selects it */
	fake_driver_write(&rig->driver, rig->driver.transport == FAKE_MMIO_LEGACY ? 0x40 : 8, 4,
			  pfn);
}

/* covers: FEAT-LEGACY-03 FEAT-LEGACY-04 FEAT-LEGACY-05 CORE-FEAT-LEGACY-02 */
OVER_LEGACY(transport_legacy, offers_what_legacy_drivers_know)
{
	uint32_t low = fake_driver_offered_half(&rig->driver, 0);

	cr_assert(low & 1u << VIRTIO_F_ANY_LAYOUT);
	cr_assert(low & 1u << VIRTIO_F_INDIRECT_DESC && low & 1u << VIRTIO_F_EVENT_IDX);
	cr_assert(low & NET_CSUM);
	/* 30 once meant something; 31 would be an extension that never was; 24 is not served. */
	cr_assert_eq(low >> 30, 0);
	cr_assert_not(low & 1u << VIRTIO_F_NOTIFY_ON_EMPTY);
	if (rig->driver.transport == FAKE_MMIO_LEGACY)
		for (uint32_t half = 1; half < 6; half++)
			cr_assert_eq(fake_driver_offered_half(&rig->driver, half), 0);
}

/*
 * N4: no FEATURES_OK, and no VERSION_1.
 * covers: CORE-FEAT-LEGACY-01 CORE-FEAT-LEGACY-02 CORE-CONFIG-LEGACY-05 CORE-VQ-04
 */
OVER_LEGACY(transport_legacy, n4_features_count_from_driver_ok)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_NET_F_CSUM);
	cr_assert(fake_driver_negotiate(&rig->driver, f));
	cr_assert_eq(rig->echo->n_sealed, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 3);
	fake_driver_set_status(&rig->driver, 7);
	cr_assert_eq(rig->echo->n_sealed, 1);
	cr_assert(rig->dev->negotiation.legacy);
	cr_assert(features_equal(rig->echo->started_with, f));
	/* Written later they are nobody's. */
	fake_driver_accept_half(&rig->driver, 0, 0);
	cr_assert(features_equal(rig->dev->negotiation.accepted, f));
	cr_assert_eq(fake_driver_status(&rig->driver), 7);
}

/* N2, N4.  covers: CORE-CONFIG-LEGACY-05 */
OVER_LEGACY(transport_legacy, n4_features_count_from_the_first_queue)
{
	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	fake_driver_accept(&rig->driver, legacy_features());
	set_queue(rig, 0);
	cr_assert_eq(rig->echo->n_sealed, 1);
	fake_driver_accept_half(&rig->driver, 0, NET_CSUM);
	echo_rig_driver_ok(rig);
	cr_assert(features_equal(rig->echo->started_with, legacy_features()));
	cr_assert_eq(rig->echo->n_sealed, 1);
	echo_rig_pump(rig);
	echo_rig_round_trip(rig, 0);
}

/* N4: FEATURES_OK is not a legacy driver's, and does not read back. */
OVER_LEGACY(transport_legacy, n4_features_ok_means_nothing)
{
	fake_driver_set_status(&rig->driver, 0xb);
	cr_assert_eq(fake_driver_status(&rig->driver), 3);
	cr_assert_not(rig->dev->negotiation.sealed);
	echo_rig_start(rig);
	fake_driver_set_status(&rig->driver, 0xf);
	cr_assert_eq(fake_driver_status(&rig->driver), 7);
	echo_rig_round_trip(rig, 0);
}

/* N5: a legacy driver does not ask whether its features were taken.  covers: CORE-FEAT-03 */
OVER_LEGACY(transport_legacy, n5_features_that_were_not_offered_need_reset)
{
	static const uint32_t wrong[] = { 1u << 30, 1u << 26, 1u << VIRTIO_NET_F_MAC, UINT32_MAX,
					  1u << VIRTIO_NET_F_HOST_TSO4 };

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (int by_queue = 0; by_queue < 2; by_queue++) {
			fake_driver_reset(&rig->driver);
			fake_driver_set_status(&rig->driver, 3);
			fake_driver_accept_half(&rig->driver, 0, wrong[i]);
			if (by_queue) {
				set_queue(rig, 0);
				cr_assert_eq(fake_driver_status(&rig->driver), 3 | NEEDS_RESET);
				cr_assert_not(fake_driver_queue_enabled(&rig->driver, 0));
				fake_driver_kick(&rig->driver, 0);
			}
			fake_driver_set_status(&rig->driver, 7);
			cr_assert_eq(fake_driver_status(&rig->driver), 7 | NEEDS_RESET);
			echo_rig_pump(rig);
		}
	}
	cr_assert_eq(rig->echo->n_sealed, 0);
	cr_assert_eq(rig->echo->n_starts, 0);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-CONFIG-LEGACY-03 */
OVER_LEGACY(transport_legacy, the_configuration_is_written_before_features)
{
	fake_driver_reset(&rig->driver);
	fake_driver_set_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4, 0x44332211);
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4), 0x44332211);
	cr_assert_eq(rig->echo->n_config_written, 1);
	cr_assert_eq(driver_mistakes_total(&rig->dev->negotiation.mistakes), 0);
	echo_rig_start(rig);	/* with a reset, which takes it back */
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4), 0x1b1a1918);
}

/* There is no generation: two reads in a row are equal.  covers: CORE-CONFIG-LEGACY-02 */
OVER_LEGACY(transport_legacy, configuration_reads_converge)
{
	uint8_t byte[8];

	echo_rig_start(rig);
	for (unsigned round = 0; round < 20; round++) {
		memset(byte, (int)(0x30 + round), sizeof(byte));
		virtio_device_update_config(rig->dev, 0, byte, sizeof(byte));
		uint64_t first = fake_driver_config(&rig->driver, 0, 4) |
				 fake_driver_config(&rig->driver, 4, 4) << 32;
		uint64_t second = fake_driver_config(&rig->driver, 0, 4) |
				  fake_driver_config(&rig->driver, 4, 4) << 32;
		cr_assert_eq(first, second);
		cr_assert_eq(first, 0x0101010101010101u * (0x30 + round));
	}
}

/* Little-endian, as this guest is.  covers: CORE-CONFIG-LEGACY-01 PCI-LEGACY-07 */
OVER_LEGACY(transport_legacy, configuration_is_in_the_guests_byte_order)
{
	cr_assert_eq(fake_driver_config(&rig->driver, 0, 2), 0x1110);
	cr_assert_eq(fake_driver_config(&rig->driver, 0, 4), 0x13121110);
	cr_assert_eq(fake_driver_queue_max(&rig->driver, 0), ECHO_QUEUE_SIZE);
}

/* covers: CORE-CONFIG-LEGACY-04 */
OVER_LEGACY(transport_legacy, queues_are_used_before_driver_ok)
{
	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	set_queue(rig, 0);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_starts, 0, "nobody asked yet");
	echo_rig_round_trip(rig, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 3);
	/* A second queue while the first is in use, and it needs no kick for what is there. */
	fake_driver_init_ring(&rig->driver, &rig->ring[1], ECHO_QUEUE_SIZE, RIG_RINGS + 0x10000);
	echo_rig_ask(rig, 1);
	fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 1);
	echo_rig_driver_ok(rig);
	cr_assert_eq(rig->echo->n_starts, 1, "and DRIVER_OK starts nothing twice");
	echo_rig_round_trip(rig, 0);
	echo_rig_round_trip(rig, 1);
	/* The third one after it. */
	set_queue(rig, 2);
	echo_rig_round_trip(rig, 2);
	cr_assert_eq(driver_mistakes_total(&rig->dev->negotiation.mistakes), 0);
}

/* A failure before DRIVER_OK is seen, and sends nothing.  N10. */
OVER_LEGACY(transport_legacy, n10_a_ring_that_breaks_before_driver_ok)
{
	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	set_queue(rig, 0);
	echo_rig_round_trip(rig, 0);
	echo_rig_take_interrupts(rig);
	echo_rig_break_ring(rig, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 3 | NEEDS_RESET);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	fake_driver_kick(&rig->driver, 0);
	fake_driver_set_status(&rig->driver, 7);
	cr_assert_eq(fake_driver_status(&rig->driver), 7 | NEEDS_RESET);
	cr_assert_eq(rig->echo->n_starts, 1);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: PCI-LEGACY-09 MMIO-LEGACY-04 */
OVER_LEGACY(transport_legacy, page_0_takes_a_queue_back)
{
	echo_rig_start(rig);
	rig->echo->hold = true;
	echo_rig_ask(rig, 1);
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->queue[1].n_held, 1);
	rig->echo->hold = false;
	set_pfn(rig, 1, 0);
	cr_assert_not(fake_driver_queue_enabled(&rig->driver, 1));
	cr_assert_null(rig->echo->queue[1].vq, "stopped when the write returns");
	echo_rig_ask(rig, 1);
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 0);
	set_pfn(rig, 1, 0);
	echo_rig_round_trip(rig, 0);
	/* It comes back, elsewhere, from its beginning. */
	fake_driver_init_ring(&rig->driver, &rig->ring[1], ECHO_QUEUE_SIZE, 0x200000);
	fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
	for (int i = 0; i < 40; i++)
		echo_rig_round_trip(rig, i % 2);
}

/* covers: PCI-LEGACY-10 MMIO-LEGACY-09 */
OVER_LEGACY(transport_legacy, a_page_outside_of_memory_needs_reset)
{
	static const uint32_t pfn[] = { 0xffffffff, 0x80000000, FAKE_LOW_RAM_SIZE / PAGE,
					FAKE_LOW_RAM_SIZE / PAGE - 1, 0xfffff };

	for (unsigned i = 0; i < ARRAY_SIZE(pfn); i++) {
		cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
		set_queue(rig, 0);
		set_pfn(rig, 0, 0);
		set_pfn(rig, 0, pfn[i]);
		fake_driver_set_status(&rig->driver, 7);
		cr_assert_eq(fake_driver_status(&rig->driver), 7 | NEEDS_RESET, "page 0x%x",
			     pfn[i]);
		echo_rig_pump(rig);
	}
	cr_assert_eq(rig->echo->n_queue_starts, 0);
	/* The same for one that is given while the device runs. */
	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	set_queue(rig, 0);
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	set_queue(rig, 1);
	echo_rig_round_trip(rig, 1);
	set_pfn(rig, 1, 0);
	set_pfn(rig, 1, 0xffffffff);
	cr_assert_eq(fake_driver_status(&rig->driver), 7 | NEEDS_RESET);
	cr_assert_null(rig->echo->queue[0].vq);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 1);
}

/* N9.  A live queue does not move. */
OVER_LEGACY(transport_legacy, n9_a_live_queue_is_frozen)
{
	echo_rig_start(rig);
	set_pfn(rig, 0, 0x200);
	fake_driver_queue_max(&rig->driver, 0);
	cr_assert_eq(rig->dev->queue[0].pfn, RIG_RINGS / PAGE);
	cr_assert_eq(rig->dev->negotiation.mistakes.n[MISTAKE_QUEUE_ENABLED], 1);
	echo_rig_round_trip(rig, 0);
}

OVER_LEGACY(transport_legacy, queues_that_do_not_exist)
{
	static const unsigned absent[] = { ECHO_QUEUES, 255, 256, 0xffff };

	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
		cr_assert_eq(fake_driver_queue_max(&rig->driver, absent[i]), 0);
		set_pfn(rig, absent[i], 5);
		cr_assert_not(fake_driver_queue_enabled(&rig->driver, absent[i]));
		fake_driver_kick(&rig->driver, absent[i]);
	}
	cr_assert_not(rig->dev->negotiation.sealed);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/*
 * Every bit of the layout: used ring on the next page, or aligned as the driver said; fields in the
 * byte order of x86, and used lengths as true as a modern driver's.
 * covers: RING-SPLIT-LEGACY-01 RING-SPLIT-LEGACY-02 RING-SPLIT-LEGACY-04
 */
OVER_LEGACY(transport_legacy, the_ring_is_contiguous_and_its_used_part_aligned)
{
	const struct virtio_queue *q = &rig->dev->queue[0];

	echo_rig_start(rig);
	cr_assert_eq(q->desc, RIG_RINGS);
	cr_assert_eq(q->driver, RIG_RINGS + 16 * ECHO_QUEUE_SIZE);
	cr_assert_eq(q->device, RIG_RINGS + PAGE);
	for (int i = 0; i < 100; i++)
		echo_rig_round_trip(rig, (unsigned)i % ECHO_QUEUES);
}

/* N6, in the middle of early use.  covers: CORE-RESET-05 MMIO-LEGACY-06 */
OVER_LEGACY(transport_legacy, n6_a_reset_ends_early_use)
{
	for (int i = 0; i < 5; i++) {
		rig->echo->hold = true;
		cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
		set_queue(rig, 0);
		echo_rig_ask(rig, 0);
		fake_driver_kick(&rig->driver, 0);
		echo_rig_pump(rig);
		cr_assert_eq(rig->echo->queue[0].n_held, 1);
		fake_driver_reset(&rig->driver);
		cr_assert_null(rig->echo->queue[0].vq);
		for (unsigned k = 0; k < ECHO_QUEUES; k++)
			cr_assert_not(fake_driver_queue_enabled(&rig->driver, k));
		cr_assert_eq(rig->machine->n_bells, 0);
	}
	rig->echo->hold = false;
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}
