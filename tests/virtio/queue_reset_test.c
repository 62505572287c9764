/*
 * VIRTIO_F_RING_RESET over every modern transport.  virtio-v1.4 2.6.1 "Virtqueue Reset".
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"

enum { RUNNING = 0x0f, ELSEWHERE = 0x200000 };

static struct features accepted(void)
{
	return echo_rig_features_with(VIRTIO_F_RING_RESET);
}

static void start(struct echo_rig *rig)
{
	echo_rig_prepare(rig, accepted());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
}

/* A ring of 'size' at 'at' for queue 'index', which is reset: configured and enabled again. */
static void enable_again(struct echo_rig *rig, unsigned index, uint16_t size, uint64_t at)
{
	fake_driver_init_ring(&rig->driver, &rig->ring[index], size, at);
	fake_driver_set_queue(&rig->driver, index, &rig->ring[index]);
	fake_driver_enable_queue(&rig->driver, index);
	cr_assert(fake_driver_queue_enabled(&rig->driver, index));
	cr_assert_not(fake_driver_queue_in_reset(&rig->driver, index));
	echo_rig_pump(rig);
}

/*
 * The echo stops at once, so a reset is complete when the write of the register is: the driver
 * never reads 1, and 0 is true.  One that takes its time is in slow_stop_test.c.
 */
static void reset_queue(struct echo_rig *rig, unsigned index)
{
	fake_driver_reset_queue(&rig->driver, index);
	cr_assert_null(rig->echo->queue[index].vq, "it says that it is reset, and is not");
	cr_assert_not(fake_driver_queue_in_reset(&rig->driver, index));
	cr_assert_not(fake_driver_queue_enabled(&rig->driver, index));
	cr_assert_eq(fake_driver_queue_max(&rig->driver, index), ECHO_QUEUE_SIZE);
}

/* Take three chains of queue 'index' and hold them; a fourth is available and was not seen. */
static void hold_some(struct echo_rig *rig, unsigned index)
{
	rig->echo->hold = true;
	for (int i = 0; i < 3; i++)
		echo_rig_ask(rig, index);
	fake_driver_kick(&rig->driver, index);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->queue[index].n_held, 3);
	rig->echo->hold = false;
	echo_rig_ask(rig, index);
	fake_driver_kick(&rig->driver, index);
}

/*
 * covers: CORE-QRESET-01 CORE-QRESET-06 PCI-COMMON-09 PCI-COMMON-11 PCI-COMMON-12 PCI-COMMON-13
 * covers: MMIO-REG-09 MMIO-REG-11 MMIO-REG-12 MMIO-REG-13
 */
OVER_MODERN(queue_reset, what_is_in_flight_is_never_heard_of_again)
{
	uint8_t *ring, *data;
	uint64_t len = fake_ring_bytes(ECHO_QUEUE_SIZE);

	start(rig);
	hold_some(rig, 1);
	echo_rig_take_interrupts(rig);
	reset_queue(rig, 1);

	ring = fake_machine_driver_at(rig->machine, RIG_RINGS + 0x10000, len);
	data = fake_machine_driver_at(rig->machine, RIG_DATA, 0x1000);
	memset(ring, 0x5a, len);
	memset(data, 0x5a, 0x1000);
	for (int i = 0; i < 3; i++) {
		fake_driver_kick(&rig->driver, 1);
		echo_rig_pump(rig);
	}
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	for (unsigned i = 0; i < len; i++)
		cr_assert_eq(ring[i], 0x5a);
	for (unsigned i = 0; i < 0x1000; i++)
		cr_assert_eq(data[i], 0x5a);
	cr_assert_eq(fake_driver_status(&rig->driver), RUNNING);

	enable_again(rig, 1, ECHO_QUEUE_SIZE, RIG_RINGS + 0x10000);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 0);
	for (int i = 0; i < 40; i++)
		echo_rig_round_trip(rig, 1);
}

/* covers: CORE-QRESET-02 CORE-QRESET-03 PCI-COMMON-10 MMIO-REG-10 */
OVER_MODERN(queue_reset, it_comes_back_as_the_driver_configures_it)
{
	uint64_t at = ELSEWHERE;

	start(rig);
	for (uint16_t size = ECHO_QUEUE_SIZE; size >= 2; size /= 2) {
		/* Somewhere in the middle of the old ring. */
		for (unsigned i = 0; i < 5; i++)
			echo_rig_round_trip(rig, 1);
		reset_queue(rig, 1);
		enable_again(rig, 1, size, at);
		for (int i = 0; i < 3 * ECHO_QUEUE_SIZE; i++)
			echo_rig_round_trip(rig, 1);
		at += 0x10000;
	}
	cr_assert_eq(rig->echo->n_starts, 1);
	cr_assert_eq(driver_mistakes_total(&rig->dev->negotiation.mistakes), 0);
}

/* What waits in the new ring needs no kick, and the doorbell is the queue's again. */
OVER_MODERN(queue_reset, it_comes_back_with_its_doorbell)
{
	start(rig);
	cr_assert_eq(rig->machine->n_bells, ECHO_QUEUES);
	reset_queue(rig, 2);
	cr_assert_eq(rig->machine->n_bells, ECHO_QUEUES - 1);
	fake_driver_init_ring(&rig->driver, &rig->ring[2], ECHO_QUEUE_SIZE, ELSEWHERE);
	echo_rig_ask(rig, 2);
	fake_driver_set_queue(&rig->driver, 2, &rig->ring[2]);
	fake_driver_enable_queue(&rig->driver, 2);
	cr_assert_eq(rig->machine->n_bells, ECHO_QUEUES);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 2);
}

/* covers: CORE-QRESET-05 */
OVER_MODERN(queue_reset, the_others_go_on)
{
	start(rig);
	rig->echo->hold = true;
	echo_rig_ask(rig, 2);
	fake_driver_kick(&rig->driver, 2);
	echo_rig_pump(rig);
	rig->echo->hold = false;
	for (int i = 0; i < 10; i++) {
		echo_rig_ask(rig, 0);
		fake_driver_kick(&rig->driver, 0);
		reset_queue(rig, 1);
		echo_rig_pump(rig);
		echo_rig_expect_answer(rig, 0);
		cr_assert_eq(fake_driver_status(&rig->driver), RUNNING);
		cr_assert(features_equal(rig->dev->negotiation.accepted, accepted()));
		cr_assert_eq(fake_driver_config(&rig->driver, 0, 4), 0x13121110);
		cr_assert(fake_driver_queue_enabled(&rig->driver, 2));
		enable_again(rig, 1, ECHO_QUEUE_SIZE, RIG_RINGS + 0x10000);
		echo_rig_round_trip(rig, 1);
	}
	cr_assert_eq(rig->echo->queue[2].n_held, 1, "in flight all the time");
	echo_device_release(rig->echo, 2);
	echo_rig_expect_answer(rig, 2);
}

/* covers: CORE-QRESET-07 CORE-QRESET-08 */
OVER_MODERN(queue_reset, queues_that_cannot_be_reset)
{
	bool mmio = rig->driver.transport == FAKE_MMIO;

	start(rig);
	fake_driver_reset_queue(&rig->driver, ECHO_QUEUES);
	fake_driver_reset_queue(&rig->driver, 0xffff);
	cr_assert_not(fake_driver_queue_in_reset(&rig->driver, 0xffff));
	/* 0 asks for nothing, and 2 is nothing that one could ask for. */
	fake_driver_queue_max(&rig->driver, 0);
	fake_driver_write(&rig->driver, mmio ? 0xc0 : 58, mmio ? 4 : 2, 0);
	fake_driver_write(&rig->driver, mmio ? 0xc0 : 58, mmio ? 4 : 2, 2);
	cr_assert(fake_driver_queue_enabled(&rig->driver, 0));
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
	/* Twice: the second has nothing to do. */
	reset_queue(rig, 0);
	reset_queue(rig, 0);
	enable_again(rig, 0, 4, ELSEWHERE);
	echo_rig_round_trip(rig, 0);
	cr_assert_eq(rig->echo->n_queue_stops, 1);
}

/* covers: CORE-QRESET-04 */
OVER_MODERN(queue_reset, without_the_feature_it_is_inert)
{
	echo_rig_start(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		fake_driver_reset_queue(&rig->driver, i);
		cr_assert_not(fake_driver_queue_in_reset(&rig->driver, i));
		cr_assert(fake_driver_queue_enabled(&rig->driver, i));
		echo_rig_round_trip(rig, i);
	}
	cr_assert_eq(rig->dev->negotiation.mistakes.n[MISTAKE_QUEUE_RESET], ECHO_QUEUES);
	/* Before FEATURES_OK nothing is negotiated. */
	fake_driver_reset(&rig->driver);
	fake_driver_accept(&rig->driver, accepted());
	fake_driver_reset_queue(&rig->driver, 0);
	cr_assert_not(fake_driver_queue_in_reset(&rig->driver, 0));
}

/* covers: CORE-QRESET-09 */
OVER_MODERN(queue_reset, before_driver_ok_and_with_resets_of_the_device)
{
	echo_rig_prepare(rig, accepted());
	reset_queue(rig, 0);
	enable_again(rig, 0, 4, ELSEWHERE);
	cr_assert_eq(rig->echo->n_queue_starts, 0);
	/* One that was reset before DRIVER_OK may be enabled after it. */
	reset_queue(rig, 1);
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	for (int i = 0; i < 20; i++)
		echo_rig_round_trip(rig, 0);
	enable_again(rig, 1, 8, ELSEWHERE + 0x10000);
	echo_rig_round_trip(rig, 1);

	hold_some(rig, 1);
	reset_queue(rig, 1);
	fake_driver_reset(&rig->driver);
	cr_assert_not(fake_driver_queue_in_reset(&rig->driver, 1));
	/* That a queue was reset is forgotten with the session. */
	cr_assert(fake_driver_negotiate(&rig->driver, accepted()));
	fake_driver_set_status(&rig->driver, RUNNING);
	fake_driver_init_ring(&rig->driver, &rig->ring[1], 8, ELSEWHERE);
	fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
	fake_driver_enable_queue(&rig->driver, 1);
	cr_assert_not(fake_driver_queue_enabled(&rig->driver, 1));
	start(rig);
	echo_rig_round_trip(rig, 1);
}

/* N10. */
OVER_MODERN(queue_reset, n10_a_device_that_needs_reset_is_not_woken_by_it)
{
	start(rig);
	echo_rig_break_ring(rig, 1);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	reset_queue(rig, 1);
	enable_again(rig, 1, ECHO_QUEUE_SIZE, ELSEWHERE);
	echo_rig_ask(rig, 1);
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	start(rig);
	echo_rig_round_trip(rig, 1);
}

/* N10: it is judged when it is enabled. */
OVER_MODERN(queue_reset, n10_a_ring_outside_of_memory_needs_reset)
{
	start(rig);
	reset_queue(rig, 1);
	fake_driver_init_ring(&rig->driver, &rig->ring[1], ECHO_QUEUE_SIZE, ELSEWHERE);
	rig->ring[1].desc = FAKE_LOW_RAM_SIZE - 16;
	fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
	echo_rig_take_interrupts(rig);
	fake_driver_enable_queue(&rig->driver, 1);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	cr_assert_null(rig->echo->queue[0].vq);
	start(rig);
	echo_rig_round_trip(rig, 1);
}

/* Bus Master Enable off: the queue is started again with the others. */
OVER_MODERN(queue_reset, beside_a_start_that_was_put_off)
{
	if (rig->driver.transport == FAKE_MMIO)
		return;
	fake_driver_pci_write(&rig->driver, 4, 2, 3);
	echo_rig_prepare(rig, accepted());
	echo_rig_driver_ok(rig);
	reset_queue(rig, 1);
	enable_again(rig, 1, 4, ELSEWHERE);
	cr_assert_eq(rig->echo->n_queue_starts, 0);
	fake_driver_pci_write(&rig->driver, 4, 2, 7);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_queue_starts, ECHO_QUEUES);
	for (int i = 0; i < 20; i++)
		echo_rig_round_trip(rig, 1);
}

/* The vector is one of the queue's registers.  covers: CORE-QRESET-02 CORE-QRESET-03 */
Test(queue_reset, the_vector_is_reset_too)
{
	enum { QUEUE_VECTOR = 26 };
	struct echo_rig *rig = echo_rig_create(FAKE_PCI);
	struct fake_driver *d = &rig->driver;

	start(rig);
	fake_driver_queue_max(d, 1);
	fake_driver_write(d, QUEUE_VECTOR, 2, 2);
	cr_assert_eq(fake_driver_read(d, QUEUE_VECTOR, 2), 2);
	reset_queue(rig, 1);
	cr_assert_eq(fake_driver_read(d, QUEUE_VECTOR, 2), 0xffff);
	cr_assert_eq(fake_driver_read(d, 32, 8), 0, "addresses");
	cr_assert_eq(fake_driver_read(d, 40, 8), 0);
	cr_assert_eq(fake_driver_read(d, 48, 8), 0);
	fake_driver_write(d, QUEUE_VECTOR, 2, 3);
	enable_again(rig, 1, ECHO_QUEUE_SIZE, ELSEWHERE);
	cr_assert_eq(fake_driver_read(d, QUEUE_VECTOR, 2), 3);
	echo_rig_destroy(rig);
}

/* Without Bus Master Enable the new ring is left alone, too.  covers: PCI-BUS-02 */
OVER(queue_reset, it_waits_for_bus_mastering, FAKE_PCI, FAKE_PCI)
{
	enum { COMMAND = 4, MASTER_OFF = 3, MASTER_ON = 7 };
	struct fake_driver *d = &rig->driver;

	start(rig);
	reset_queue(rig, 1);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	fake_driver_init_ring(d, &rig->ring[1], ECHO_QUEUE_SIZE, ELSEWHERE);
	echo_rig_ask(rig, 1);
	fake_driver_set_queue(d, 1, &rig->ring[1]);
	fake_driver_enable_queue(d, 1);
	cr_assert(fake_driver_queue_enabled(d, 1));
	fake_driver_kick(d, 1);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 0);
	cr_assert_null(rig->echo->queue[1].vq);
	/* It can be reset in this state as in any other. */
	fake_driver_reset_queue(d, 1);
	cr_assert_not(fake_driver_queue_enabled(d, 1));
	fake_driver_set_queue(d, 1, &rig->ring[1]);
	fake_driver_enable_queue(d, 1);

	fake_driver_pci_write(d, COMMAND, 2, MASTER_ON);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 1);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
}
