/*
 * How sessions fail and end, over every transport.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/fd.h"

enum { CONFIG_CAUSE = 2, NEEDS_RESET = VIRTIO_STATUS_NEEDS_RESET, FAILED = VIRTIO_STATUS_FAILED };

/* N10.  covers: CORE-STATUS-03 CORE-STATUS-04 CORE-STATUS-13 CORE-NOTIF-02 CORE-RESET-06 */
OVER_ALL(virtio_device_session, n10_a_broken_ring_needs_reset_and_a_reset_cures_it)
{
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
	echo_rig_take_interrupts(rig);
	fake_driver_take_isr(&rig->driver);
	echo_rig_break_ring(rig, 1);
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig) | NEEDS_RESET);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	cr_assert_eq(fake_driver_take_isr(&rig->driver), CONFIG_CAUSE);
	cr_assert_eq(rig->echo->n_stops, 1);
	cr_assert_null(rig->echo->queue[0].vq, "all queues have stopped");

	/* Nothing wakes it but a reset. */
	fake_driver_set_status(&rig->driver, echo_rig_running(rig));
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig) | NEEDS_RESET);
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 1);
	cr_assert_eq(rig->echo->n_starts, 1);

	echo_rig_start(rig);
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig));
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
}

/* A failure of one session that is under way when the next begins.  covers: CORE-RESET-07 */
OVER_ALL(virtio_device_session, a_late_failure_does_not_reach_the_next_session)
{
	echo_rig_start(rig);
	fake_ring_offer(&rig->ring[1], 0xffff);
	fake_ring_publish(&rig->ring[1]);
	fake_driver_kick(&rig->driver, 1);
	loop_pump(rig->loop);	/* the ring broke, the main loop has not heard yet */
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig));
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig));
	echo_rig_round_trip(rig, 1);
	/* And the new session can break by itself. */
	echo_rig_break_ring(rig, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig) | NEEDS_RESET);
}

/* covers: CORE-STATUS-10 */
OVER_ALL(virtio_device_session, failed_stops_the_device)
{
	echo_rig_start(rig);
	fake_driver_set_status(&rig->driver, echo_rig_running(rig) | FAILED);
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig) | FAILED);
	cr_assert_eq(rig->echo->n_stops, 1);
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 0);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* N6.  covers: CORE-RESET-01 CORE-RESET-05 PCI-COMMON-07 */
OVER_ALL(virtio_device_session, n6_reset_works_from_every_status)
{
	static const uint8_t states[] = { 0, 1, 3, 8, 0xb, 0xf, 0x80, 0x8f };

	for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
		fake_driver_reset(&rig->driver);
		fake_driver_accept(&rig->driver, echo_rig_ring_features());
		fake_driver_set_status(&rig->driver, states[i]);
		fake_driver_reset(&rig->driver);
		fake_driver_reset(&rig->driver);
	}
	echo_rig_start(rig);
	echo_rig_break_ring(rig, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig) | NEEDS_RESET);
	fake_driver_reset(&rig->driver);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* N6.  covers: CORE-RESET-02 CORE-RESET-03 CORE-RESET-07 */
OVER_ALL(virtio_device_session, n6_after_reset_nothing_is_touched)
{
	uint8_t *ring, *data;
	uint64_t ring_len = fake_ring_bytes(ECHO_QUEUE_SIZE);

	echo_rig_start(rig);
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
	echo_rig_start(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 0, "nothing of the old session");
	echo_rig_round_trip(rig, 0);
}

/* A completion that was signalled and not delivered is of the past.  covers: CORE-RESET-04 */
OVER_ALL(virtio_device_session, reset_forgets_kicks_and_calls)
{
	echo_rig_start(rig);
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
OVER_ALL(virtio_device_session, reset_gives_the_queues_back)
{
	echo_rig_start(rig);
	fake_driver_reset(&rig->driver);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		cr_assert_not(fake_driver_queue_enabled(&rig->driver, i));
		cr_assert_eq(fake_driver_queue_max(&rig->driver, i), ECHO_QUEUE_SIZE);
	}
	cr_assert_eq(rig->machine->n_bells, 0);
	cr_assert_eq(rig->echo->n_resets, 2);
}

OVER_ALL(virtio_device_session, system_reset_is_a_reset)
{
	echo_rig_start(rig);
	machine_lock(&rig->machine->m);
	virtio_transport_reset(rig->transport);
	machine_unlock(&rig->machine->m);
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_stops, 1);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* Everything a driver may write, at the window that 'd' has. */
static void write_everywhere(struct echo_rig *rig, struct fake_driver *d)
{
	static const uint8_t status[] = { 0, 3, 0xb, 0x1f, 0xf, 0x80 };
	struct fake_ring other;

	/* 0 at the legacy window waits for the host, as nobody looks there: slow_stop_test.c. */
	for (unsigned i = fake_transport_is_legacy(d->transport); i < ARRAY_SIZE(status); i++)
		fake_driver_set_status(d, status[i]);
	fake_driver_accept(d, echo_rig_ring_features());
	fake_driver_init_ring(d, &other, ECHO_QUEUE_SIZE, 0x300000);
	for (unsigned i = 0; i <= ECHO_QUEUES; i++) {
		fake_driver_set_queue(d, i, &other);
		fake_driver_enable_queue(d, i);
		fake_driver_reset_queue(d, i);
		fake_driver_kick(d, i);
	}
	fake_driver_set_config(d, ECHO_CONFIG_WRITABLE, 4, 0);
	echo_rig_pump(rig);
}

/* N6: a reset that waits for the host is not hurried, undone or joined by anything. */
OVER_MODERN(virtio_device_session, n6_nothing_is_done_until_the_reset_is_complete)
{
	struct fake_driver legacy;
	uint8_t byte = 0x66;

	echo_rig_start(rig);
	rig->echo->hold = rig->echo->slow = true;
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->queue[0].n_held, 1);
	fake_driver_set_status(&rig->driver, 0);
	unsigned running = rig->echo->n_queue_starts;

	write_everywhere(rig, &rig->driver);
	if (rig->driver.transport == FAKE_TRANSITIONAL) {
		echo_rig_find_legacy(rig, &legacy);
		write_everywhere(rig, &legacy);
	}
	if (!fake_transport_is_mmio(rig->driver.transport)) {
		fake_driver_pci_write(&rig->driver, 4, 2, 3);
		fake_driver_pci_write(&rig->driver, 4, 2, 7);
	}
	virtio_device_update_config(rig->dev, 0, &byte, 1);
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_queue_starts, running);
	cr_assert_eq(rig->echo->n_starts, 1);
	cr_assert_eq(rig->echo->queue[0].n_held, 1);

	rig->echo->hold = false;
	echo_device_release(rig->echo, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_stops, 1);
	cr_assert_eq(fake_driver_config(&rig->driver, 0, 1), 0x66);
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4), 0x1b1a1918);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		cr_assert_not(fake_driver_queue_enabled(&rig->driver, i));
	rig->echo->slow = false;
	echo_rig_start(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
}
