#include <criterion/criterion.h>
#include <errno.h>

#include "tests/support/echo_rig.h"
#include "tests/support/loop_pump.h"
#include "vmm/machine/layout.h"

enum {
	MAGIC = 0x00, VERSION = 0x04, DEVICE_ID = 0x08, VENDOR_ID = 0x0c, DEVICE_FEATURES = 0x10,
	QUEUE_SEL = 0x30, QUEUE_SIZE_MAX = 0x34, QUEUE_SIZE = 0x38, QUEUE_READY = 0x44,
	QUEUE_NOTIFY = 0x50, INTERRUPT_STATUS = 0x60, INTERRUPT_ACK = 0x64, STATUS = 0x70,
	QUEUE_DESC = 0x80, SHM_SEL = 0xac, SHM_LEN = 0xb0, SHM_BASE = 0xb8, QUEUE_RESET = 0xc0,
	GENERATION = 0xfc,
};

static struct echo_rig *rig;
static struct fake_driver *d;
static uint32_t gsi;

static void setup(void)
{
	rig = echo_rig_create(FAKE_MMIO);
	d = &rig->driver;
	gsi = layout_virtio_mmio_gsi(2);
}

static void teardown(void)
{
	echo_rig_destroy(rig);
}

TestSuite(transport_mmio, .init = setup, .fini = teardown);

static void start(void)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
}

static unsigned take_edges(void)
{
	fake_irq_chip_run(&rig->machine->irq);
	unsigned n = rig->machine->irq.n_rises[gsi];
	rig->machine->irq.n_rises[gsi] = 0;
	return n;
}

/* covers: MMIO-REG-01 MMIO-REG-02 MMIO-REG-14 MMIO-REG-27 CORE-FEAT-LEGACY-03 */
Test(transport_mmio, identity)
{
	cr_expect_eq(fake_driver_read(d, MAGIC, 4), 0x74726976);
	cr_expect_eq(fake_driver_read(d, VERSION, 4), 2);
	cr_expect_eq(fake_driver_read(d, DEVICE_ID, 4), VIRTIO_ID_NET);
	cr_expect_neq(fake_driver_read(d, VENDOR_ID, 4), 0);
}

/* covers: MMIO-REG-33 MMIO-REG-34 MMIO-REG-04 */
Test(transport_mmio, read_only_write_only_and_undefined_registers)
{
	static const unsigned readable[] = { MAGIC, VERSION, DEVICE_ID, VENDOR_ID, DEVICE_FEATURES,
					     QUEUE_SIZE_MAX, SHM_LEN, SHM_LEN + 4, SHM_BASE,
					     SHM_BASE + 4 };

	/* Reading shows 0 for all that is not readable. */
	for (unsigned at = 0; at < 0x100; at += 4) {
		bool is_readable = false;
		for (unsigned i = 0; i < ARRAY_SIZE(readable); i++)
			is_readable |= readable[i] == at;
		if (!is_readable)
			cr_expect_eq(fake_driver_read(d, at, 4), 0, "register 0x%x", at);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(readable); i++) {
		uint64_t before = fake_driver_read(d, readable[i], 4);
		fake_driver_write(d, readable[i], 4, ~before);
		cr_expect_eq(fake_driver_read(d, readable[i], 4), before);
	}
	fake_driver_write(d, INTERRUPT_STATUS, 4, 3);
	cr_expect_eq(fake_driver_read(d, INTERRUPT_STATUS, 4), 0);
}

/* covers: MMIO-REG-32 */
Test(transport_mmio, control_registers_are_32_bits_wide)
{
	fake_driver_set_status(d, 3);
	for (unsigned at = 0; at < 0x100; at++) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			if (size == 4 && at % 4 == 0)
				continue;
			if (at + size > 0x100)
				continue;
			cr_expect_eq(fake_driver_read(d, at, size), 0, "0x%x, %u bytes", at, size);
			fake_driver_write(d, at, size, 0);
		}
	}
	cr_assert_eq(fake_driver_status(d), 3);
}

/* covers: MMIO-REG-24 MMIO-REG-25 MMIO-REG-40 */
Test(transport_mmio, there_is_no_shared_memory)
{
	static const uint32_t id[] = { 0, 1, 99, UINT32_MAX };

	for (unsigned i = 0; i < ARRAY_SIZE(id); i++) {
		fake_driver_write(d, SHM_SEL, 4, id[i]);
		for (unsigned k = 0; k < 8; k += 4) {
			cr_assert_eq(fake_driver_read(d, SHM_LEN + k, 4), UINT32_MAX);
			cr_assert_eq(fake_driver_read(d, SHM_BASE + k, 4), UINT32_MAX);
		}
	}
}

/* covers: MMIO-REG-17 MMIO-REG-40 MMIO-REG-23 */
Test(transport_mmio, queue_sel_selects)
{
	cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
	fake_driver_write(d, QUEUE_SEL, 4, UINT32_MAX);
	cr_assert_eq(fake_driver_read(d, QUEUE_SIZE_MAX, 4), 0);
	for (unsigned at = 0x38; at < 0x50; at += 4)
		fake_driver_write(d, at, 4, 1);
	for (unsigned at = 0x80; at < 0xa8; at += 4)
		fake_driver_write(d, at, 4, UINT32_MAX);
	cr_assert_eq(fake_driver_read(d, QUEUE_READY, 4), 0);
	/* Two queues, written in turns; one ring above 4 GiB. */
	uint64_t at[2] = { RIG_RINGS, FAKE_HIGH_RAM_BASE };
	for (unsigned i = 0; i < 2; i++)
		fake_ring_init(&rig->ring[i], rig->machine, ECHO_QUEUE_SIZE, at[i]);
	for (unsigned half = 0; half < 2; half++) {
		for (unsigned i = 0; i < 2; i++) {
			const struct fake_ring *r = &rig->ring[i];
			fake_driver_write(d, QUEUE_SEL, 4, i);
			fake_driver_write(d, QUEUE_SIZE, 4, r->size);
			uint64_t area[] = { r->desc, r->driver, r->device };
			for (unsigned k = 0; k < 3; k++)
				fake_driver_write(d, QUEUE_DESC + 16 * k + 4 * half, 4,
						  area[k] >> (32 * half) & UINT32_MAX);
		}
	}
	fake_driver_enable_queue(d, 0);
	fake_driver_enable_queue(d, 1);
	echo_rig_driver_ok(rig);
	echo_rig_round_trip(rig, 0);
	echo_rig_round_trip(rig, 1);
}

/* covers: MMIO-REG-20 MMIO-REG-37 MMIO-REG-08 */
Test(transport_mmio, queue_ready_0_stops_that_queue_before_it_reads_0)
{
	start();
	rig->echo->hold = true;
	echo_rig_ask(rig, 1);
	fake_driver_kick(d, 1);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->queue[1].n_held, 1);

	fake_driver_write(d, QUEUE_SEL, 4, 1);
	cr_assert_eq(fake_driver_read(d, QUEUE_READY, 4), 1);
	fake_driver_write(d, QUEUE_READY, 4, 2);
	cr_assert_eq(fake_driver_read(d, QUEUE_READY, 4), 1);
	fake_driver_write(d, QUEUE_READY, 4, 0);
	cr_assert_eq(fake_driver_read(d, QUEUE_READY, 4), 0);
	cr_assert_eq(rig->echo->n_queue_stops, 1);
	cr_assert_null(rig->echo->queue[1].vq);
	cr_assert_null(fake_machine_bell(rig->machine, DOORBELL_MMIO, d->base + QUEUE_READY));
	echo_rig_ask(rig, 1);
	fake_driver_kick(d, 1);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 0);

	/* The others go on; this one comes back with the next session. */
	rig->echo->hold = false;
	echo_rig_round_trip(rig, 0);
	fake_driver_write(d, QUEUE_SEL, 4, 1);
	fake_driver_write(d, QUEUE_READY, 4, 1);
	cr_assert_eq(fake_driver_read(d, QUEUE_READY, 4), 0);
	start();
	echo_rig_round_trip(rig, 1);
}

/* Before DRIVER_OK a driver may change its mind.  covers: MMIO-REG-20 */
Test(transport_mmio, queue_ready_can_be_taken_back)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_driver_write(d, QUEUE_SEL, 4, 0);
	fake_driver_write(d, QUEUE_READY, 4, 0);
	cr_assert_not(fake_driver_queue_enabled(d, 0));
	fake_ring_init(&rig->ring[0], rig->machine, 4, 0x200000);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	fake_driver_enable_queue(d, 0);
	echo_rig_driver_ok(rig);
	for (int i = 0; i < 10; i++)
		echo_rig_round_trip(rig, 0);
}

/* covers: CORE-QRESET-04 */
Test(transport_mmio, queue_reset_is_inert)
{
	start();
	fake_driver_write(d, QUEUE_SEL, 4, 0);
	fake_driver_write(d, QUEUE_RESET, 4, 1);
	cr_assert_eq(fake_driver_read(d, QUEUE_RESET, 4), 0);
	cr_assert_eq(fake_driver_read(d, QUEUE_READY, 4), 1);
	echo_rig_round_trip(rig, 0);
}

/* covers: MMIO-REG-03 MMIO-REG-28 MMIO-REG-29 MMIO-REG-38 MMIO-REG-39 */
Test(transport_mmio, interrupt_bits_stay_until_acknowledged)
{
	uint8_t byte = 0x55;

	start();
	echo_rig_round_trip(rig, 0);
	cr_assert_eq(take_edges(), 1);
	cr_assert_eq(fake_driver_read(d, INTERRUPT_STATUS, 4), 1);
	cr_assert_eq(fake_driver_read(d, INTERRUPT_STATUS, 4), 1);
	virtio_device_update_config(rig->dev, 0, &byte, 1);
	cr_assert_eq(take_edges(), 1);
	cr_assert_eq(fake_driver_read(d, INTERRUPT_STATUS, 4), 3);
	fake_driver_write(d, INTERRUPT_ACK, 4, 0xfffffffc);
	cr_assert_eq(fake_driver_read(d, INTERRUPT_STATUS, 4), 3);
	take_edges();
	/*
	 * A driver that read 1 before the second bit came acknowledges 1: another edge for the
	 * rest.
	 */
	fake_driver_write(d, INTERRUPT_ACK, 4, 1);
	cr_assert_eq(fake_driver_read(d, INTERRUPT_STATUS, 4), 2);
	cr_assert_eq(take_edges(), 1);
	fake_driver_write(d, INTERRUPT_ACK, 4, UINT32_MAX);
	cr_assert_eq(fake_driver_read(d, INTERRUPT_STATUS, 4), 0);
	fake_driver_write(d, INTERRUPT_ACK, 4, 3);
	cr_assert_eq(take_edges(), 0);
}

/* covers: MMIO-REG-05 */
Test(transport_mmio, reset_clears_the_interrupt_status)
{
	start();
	echo_rig_round_trip(rig, 0);
	fake_driver_reset(d);
	cr_assert_eq(fake_driver_read(d, INTERRUPT_STATUS, 4), 0);
}

/* covers: MMIO-REG-21 MMIO-REG-30 */
Test(transport_mmio, each_enabled_queue_has_a_doorbell_that_matches_its_index)
{
	cr_assert_eq(rig->machine->n_bells, 0);
	start();
	cr_assert_eq(rig->machine->n_bells, ECHO_QUEUES);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		const struct doorbell *bell = &rig->machine->bell[i];
		cr_assert_eq(bell->addr, d->base + QUEUE_NOTIFY);
		cr_assert_eq(bell->len, 4);
		cr_assert(bell->match);
		cr_assert_eq(bell->fd, rig->dev->queue[bell->value].kick_fd);
	}
	/* One that exits does the same. */
	echo_rig_ask(rig, 1);
	fake_driver_write(d, QUEUE_NOTIFY, 4, 1);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 1);
	fake_driver_write(d, QUEUE_NOTIFY, 4, ECHO_QUEUES);
	fake_driver_write(d, QUEUE_NOTIFY, 4, UINT32_MAX);
}

Test(transport_mmio, a_failed_creation_leaves_nothing)
{
	bool destroyed = false;
	struct virtio_transport *t;
	unsigned attached = rig->machine->irq.n_attached;
	struct echo_device *echo = echo_device_create(rig->loop);

	echo->destroyed = &destroyed;
	cr_assert_eq(virtio_mmio_create(&t, &rig->machine->m, &echo->dev, VIRTIO_MMIO, 2), -EEXIST);
	cr_assert(destroyed);
	cr_assert_eq(rig->machine->irq.n_attached, attached);

	destroyed = false;
	echo = echo_device_create(rig->loop);
	echo->destroyed = &destroyed;
	cr_assert_eq(virtio_mmio_create(&t, &rig->machine->m, &echo->dev, VIRTIO_MMIO,
					LAYOUT_MAX_VIRTIO_MMIO), -ENOSPC);
	cr_assert(destroyed);

	destroyed = false;
	echo = echo_device_create(rig->loop);
	echo->destroyed = &destroyed;
	rig->machine->irq.refuse_attach = true;
	cr_assert_eq(virtio_mmio_create(&t, &rig->machine->m, &echo->dev, VIRTIO_MMIO, 3), -ENOSPC);
	cr_assert(destroyed);
	cr_assert_null(bus_find(&rig->machine->m.mmio, LAYOUT_VIRTIO_MMIO + 0x3000, 4));
}
