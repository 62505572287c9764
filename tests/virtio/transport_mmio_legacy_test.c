/* virtio-mmio version 1.  virtio-v1.4 4.2.4 "Legacy interface". */
#include <criterion/criterion.h>

#include "tests/support/echo_rig.h"
#include "vmm/machine/layout.h"

enum {
	MAGIC = 0x00, VERSION = 0x04, DEVICE_ID = 0x08, VENDOR_ID = 0x0c, HOST_FEATURES = 0x10,
	HOST_FEATURES_SEL = 0x14, GUEST_FEATURES = 0x20, GUEST_FEATURES_SEL = 0x24,
	GUEST_PAGE_SIZE = 0x28, QUEUE_SEL = 0x30, QUEUE_SIZE_MAX = 0x34, QUEUE_SIZE = 0x38,
	QUEUE_ALIGN = 0x3c, QUEUE_PFN = 0x40, QUEUE_NOTIFY = 0x50, INTERRUPT_STATUS = 0x60,
	INTERRUPT_ACK = 0x64, STATUS = 0x70,
	SIZE = 8,
	RUNNING = 7, NEEDS_RESET = VIRTIO_STATUS_NEEDS_RESET,
};

static struct echo_rig *rig;
static struct fake_driver *d;

static void setup(void)
{
	rig = echo_rig_create(FAKE_MMIO_LEGACY);
	d = &rig->driver;
}

static void teardown(void)
{
	echo_rig_destroy(rig);
}

TestSuite(transport_mmio_legacy, .init = setup, .fini = teardown);

static uint32_t get(unsigned offset)
{
	return (uint32_t)fake_driver_read(d, offset, 4);
}

static void set(unsigned offset, uint32_t value)
{
	fake_driver_write(d, offset, 4, value);
}

static unsigned count(enum driver_mistake kind)
{
	return rig->dev->negotiation.mistakes.n[kind];
}

/* Queue 0 at page 'pfn' of 'page' bytes, its used ring aligned to 'align'. */
static void set_queue(uint32_t page, uint32_t align, uint32_t pfn)
{
	set(GUEST_PAGE_SIZE, page);
	set(QUEUE_SEL, 0);
	set(QUEUE_SIZE, SIZE);
	set(QUEUE_ALIGN, align);
	set(QUEUE_PFN, pfn);
}

/* covers: MMIO-LEGACY-01 CORE-FEAT-LEGACY-02 */
Test(transport_mmio_legacy, identity)
{
	cr_expect_eq(get(MAGIC), 0x74726976);
	cr_expect_eq(get(VERSION), 1);
	cr_expect_eq(get(DEVICE_ID), VIRTIO_ID_NET);
	cr_expect_neq(get(VENDOR_ID), 0);
}

/* covers: MMIO-LEGACY-02 MMIO-LEGACY-03 RING-SPLIT-LEGACY-01 */
Test(transport_mmio_legacy, page_size_and_alignment_place_the_rings)
{
	static const uint32_t page[] = { 256, 4096, 65536 };
	static const uint32_t align[] = { 4, 64, 4096, 65536 };
	struct fake_ring *r = &rig->ring[0];

	for (unsigned i = 0; i < ARRAY_SIZE(page); i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(align); k++) {
			uint64_t at = 0x200000;

			cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
			fake_ring_init(r, rig->machine, SIZE, at);
			r->device = align_up(at + 18 * SIZE + 6, align[k]);
			fake_ring_set_used_event(r, 0);
			*(uint16_t *)fake_machine_driver_at(rig->machine, r->device + 2, 2) = 0;
			set_queue(page[i], align[k], (uint32_t)(at / page[i]));
			cr_assert_eq(get(QUEUE_PFN), at / page[i]);
			cr_assert_eq(rig->dev->queue[0].desc, at);
			cr_assert_eq(rig->dev->queue[0].device, r->device);
			fake_driver_set_status(d, RUNNING);
			echo_rig_pump(rig);
			for (int n = 0; n < 20; n++)
				echo_rig_round_trip(rig, 0);
		}
	}
	cr_assert_eq(driver_mistakes_total(&rig->dev->negotiation.mistakes), 0);
}

/* covers: MMIO-LEGACY-04 MMIO-LEGACY-05 MMIO-LEGACY-06 */
Test(transport_mmio_legacy, queue_pfn_is_set_read_and_cleared)
{
	set(QUEUE_SEL, 1);
	cr_assert_eq(get(QUEUE_SIZE_MAX), ECHO_QUEUE_SIZE);
	cr_assert_eq(get(QUEUE_PFN), 0);
	echo_rig_start(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		set(QUEUE_SEL, i);
		cr_assert_eq(get(QUEUE_PFN), rig->ring[i].desc / 4096);
	}
	set(QUEUE_SEL, 1);
	set(QUEUE_PFN, 0);
	cr_assert_eq(get(QUEUE_PFN), 0);
	cr_assert_null(rig->echo->queue[1].vq);
	set(QUEUE_SEL, ECHO_QUEUES);
	cr_assert_eq(get(QUEUE_SIZE_MAX), 0);
	cr_assert_eq(get(QUEUE_PFN), 0);
	fake_driver_reset(d);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		set(QUEUE_SEL, i);
		cr_assert_eq(get(QUEUE_PFN), 0);
	}
}

/* covers: MMIO-LEGACY-07 */
Test(transport_mmio_legacy, notifications_are_those_of_version_2)
{
	uint32_t gsi = layout_virtio_mmio_gsi(2);
	uint8_t byte = 0x55;

	echo_rig_start(rig);
	cr_assert_eq(rig->machine->n_bells, ECHO_QUEUES);
	cr_assert_not_null(fake_machine_bell(rig->machine, DOORBELL_MMIO, d->base + QUEUE_NOTIFY));
	echo_rig_ask(rig, 1);
	set(QUEUE_NOTIFY, 1);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 1);
	fake_irq_chip_run(&rig->machine->irq);
	cr_assert_eq(rig->machine->irq.n_rises[gsi], 1);
	cr_assert_eq(get(INTERRUPT_STATUS), 1);
	virtio_device_update_config(rig->dev, 0, &byte, 1);
	cr_assert_eq(get(INTERRUPT_STATUS), 3);
	set(INTERRUPT_ACK, 1);
	cr_assert_eq(get(INTERRUPT_STATUS), 2);
	set(INTERRUPT_ACK, 2);
	cr_assert_eq(get(INTERRUPT_STATUS), 0);
	set(QUEUE_NOTIFY, ECHO_QUEUES);
	set(QUEUE_NOTIFY, UINT32_MAX);
	cr_assert_eq(count(MISTAKE_KICK_NO_QUEUE), 2);
}

/* covers: MMIO-LEGACY-08 */
Test(transport_mmio_legacy, what_version_2_added_is_not_there)
{
	static const unsigned added[] = { 0x44, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xac,
					  0xb0, 0xb4, 0xb8, 0xbc, 0xc0, 0xfc };

	echo_rig_start(rig);
	for (unsigned i = 0; i < ARRAY_SIZE(added); i++) {
		cr_assert_eq(get(added[i]), 0, "register 0x%x", added[i]);
		set(added[i], 0);
		set(added[i], 1);
	}
	cr_assert_eq(count(MISTAKE_REGISTER_UNKNOWN), 2 * ARRAY_SIZE(added));
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
	/* The selectors choose words of 32 bits; there is one. */
	set(HOST_FEATURES_SEL, 0);
	cr_assert_neq(get(HOST_FEATURES), 0);
	set(HOST_FEATURES_SEL, 1);
	cr_assert_eq(get(HOST_FEATURES), 0);
	fake_driver_reset(d);
	set(GUEST_FEATURES_SEL, 1);
	set(GUEST_FEATURES, 1);
	cr_assert_eq(count(MISTAKE_FEATURES_NOT_OFFERED), 1);
	set(GUEST_FEATURES, 0);
	set(STATUS, RUNNING);
	cr_assert_eq(get(STATUS), RUNNING, "it counts as not accepted");
}

/* covers: MMIO-LEGACY-09 MMIO-LEGACY-10 */
Test(transport_mmio_legacy, page_sizes_and_alignments_that_cannot_be)
{
	static const struct {
		uint32_t page, align, pfn;
	} bad[] = {
		{ 0, 4096, 1 }, { 3, 4096, 1 }, { 4095, 4096, 1 }, { UINT32_MAX, 4096, 1 },
		{ 4096, 0, 1 }, { 4096, 3, 1 }, { 4096, UINT32_MAX, 1 }, { 0, 0, UINT32_MAX },
		{ 0, 4096, UINT32_MAX }, { 4097, 4097, UINT32_MAX },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
		set_queue(bad[i].page, bad[i].align, bad[i].pfn);
		cr_assert_eq(get(QUEUE_PFN), 0, "case %u", i);
		cr_assert_eq(count(MISTAKE_RING_CONFIG), i + 1);
		set(QUEUE_NOTIFY, 0);
		/* The driver may still do better. */
		fake_driver_init_ring(d, &rig->ring[0], SIZE, RIG_RINGS);
		fake_driver_set_queue(d, 0, &rig->ring[0]);
		fake_driver_set_status(d, RUNNING);
		echo_rig_pump(rig);
		echo_rig_round_trip(rig, 0);
	}
}

/*
 * These can be, but they are aligned as no ring may be (6 + 18 * 8 is no multiple of 4), or
 * nothing of the kind is in memory.
 * covers: MMIO-LEGACY-09
 */
Test(transport_mmio_legacy, rings_that_end_somewhere_else)
{
	static const struct {
		uint32_t page, align, pfn;
	} bad[] = {
		{ 1u << 31, 4096, UINT32_MAX }, { 1u << 31, 1u << 31, UINT32_MAX },
		{ 4096, 1u << 31, 0x200 }, { 1, 1, 0x200001 }, { 4096, 1, 0x200 },
		{ 4096, 2, 0x200 }, { 1u << 31, 4096, 1 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
		set_queue(bad[i].page, bad[i].align, bad[i].pfn);
		cr_assert_eq(get(QUEUE_PFN), bad[i].pfn);
		fake_driver_set_status(d, RUNNING);
		cr_assert_eq(fake_driver_status(d), RUNNING | NEEDS_RESET, "case %u", i);
		echo_rig_pump(rig);
	}
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: MMIO-LEGACY-10 */
Test(transport_mmio_legacy, a_reset_forgets_the_alignment)
{
	echo_rig_start(rig);
	fake_driver_reset(d);
	set(QUEUE_SEL, 0);
	set(QUEUE_PFN, 0x200);
	cr_assert_eq(get(QUEUE_PFN), 0, "no page size yet");
	set(GUEST_PAGE_SIZE, 4096);
	set(QUEUE_PFN, 0x200);
	cr_assert_eq(get(QUEUE_PFN), 0, "no alignment yet");
	cr_assert_eq(count(MISTAKE_RING_CONFIG), 2);
	/* Alignment is each queue's own. */
	set(QUEUE_ALIGN, 4096);
	set(QUEUE_SEL, 1);
	set(QUEUE_PFN, 0x300);
	cr_assert_eq(get(QUEUE_PFN), 0);
	set(QUEUE_SEL, 0);
	set(QUEUE_PFN, 0x200);
	cr_assert_eq(get(QUEUE_PFN), 0x200);
}

Test(transport_mmio_legacy, a_size_that_cannot_be_keeps_the_queue_from_being_used)
{
	cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
	set(GUEST_PAGE_SIZE, 4096);
	set(QUEUE_SEL, 0);
	set(QUEUE_ALIGN, 4096);
	set(QUEUE_SIZE, 3);
	cr_assert_eq(count(MISTAKE_QUEUE_SIZE), 1);
	set(QUEUE_PFN, 0x200);
	cr_assert_eq(get(QUEUE_PFN), 0);
	set(QUEUE_SIZE, 4);
	set(QUEUE_PFN, 0x200);
	cr_assert_eq(get(QUEUE_PFN), 0x200);
	set(QUEUE_SIZE, 8);
	cr_assert_eq(rig->dev->queue[0].size, 4, "frozen");
}
