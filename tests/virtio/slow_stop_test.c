/*
 * A host that does not finish what it has in progress: resets of the device and of a queue are not
 * complete before it does, and say so; nobody waits for it longer than a moment.
 */
#include <criterion/criterion.h>
#include <time.h>

#include "tests/support/echo_rig.h"
#include "virtio/virtqueue.h"

static struct echo_rig *rig;

/* A device that works, with one chain of queue 0 in the host's hands. */
static void work_on_one(struct features f)
{
	echo_rig_prepare(rig, f);
	echo_rig_driver_ok(rig);
	rig->echo->hold = true;
	rig->echo->slow = true;
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->queue[0].n_held, 1);
}

static void begin(enum fake_transport transport)
{
	struct features f = echo_rig_ring_features();

	rig = echo_rig_create(transport);
	features_add(&f, VIRTIO_F_RING_RESET);
	work_on_one(f);
}

static void host_answers(void)
{
	rig->echo->hold = false;
	echo_device_release(rig->echo, 0);
}

static void expect_it_works(void)
{
	struct features f = echo_rig_ring_features();

	rig->echo->hold = false;
	rig->echo->slow = false;
	echo_rig_prepare(rig, f);
	echo_rig_driver_ok(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
	echo_rig_destroy(rig);
}

static void reset_reads_0_when_it_is_complete(enum fake_transport transport)
{
	begin(transport);
	fake_driver_set_status(&rig->driver, 0);
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_cancels, ECHO_QUEUES, "the host was asked to give up");
	/* Meanwhile nothing can be started, and nothing new is taken. */
	fake_driver_set_status(&rig->driver, 0xf);
	echo_rig_ask(rig, 1);
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 0);
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_stops, 0);

	host_answers();
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_stops, 1);
	expect_it_works();
}

/* N6.  covers: CORE-RESET-03 */
Test(slow_stop, n6_reset_reads_0_when_it_is_complete_pci)
{
	reset_reads_0_when_it_is_complete(FAKE_PCI);
}

/* N6.  covers: CORE-RESET-03 */
Test(slow_stop, n6_reset_reads_0_when_it_is_complete_mmio)
{
	reset_reads_0_when_it_is_complete(FAKE_MMIO);
}

static void queue_reset_reads_1_until_it_is_complete(enum fake_transport transport)
{
	struct fake_driver *d;

	begin(transport);
	d = &rig->driver;
	fake_driver_reset_queue(d, 0);
	cr_assert(fake_driver_queue_in_reset(d, 0));
	cr_assert(fake_driver_queue_enabled(d, 0));
	fake_driver_enable_queue(d, 0);
	cr_assert_eq(rig->echo->n_queue_stops, 0);
	/* The others go on. */
	rig->echo->hold = false;
	echo_rig_round_trip(rig, 1);
	cr_assert(fake_driver_queue_in_reset(d, 0));

	host_answers();
	cr_assert_not(fake_driver_queue_in_reset(d, 0));
	cr_assert_not(fake_driver_queue_enabled(d, 0));
	cr_assert_eq(rig->echo->n_queue_stops, 1);
	/* Enabled again it begins anew. */
	fake_driver_init_ring(d, &rig->ring[0], ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	fake_driver_enable_queue(d, 0);
	cr_assert(fake_driver_queue_enabled(d, 0));
	echo_rig_round_trip(rig, 0);
	expect_it_works();
}

/* covers: PCI-COMMON-12 PCI-COMMON-13 CORE-QRESET-06 */
Test(slow_stop, queue_reset_reads_1_until_it_is_complete_pci)
{
	queue_reset_reads_1_until_it_is_complete(FAKE_PCI);
}

/* covers: MMIO-REG-12 MMIO-REG-13 CORE-QRESET-06 */
Test(slow_stop, queue_reset_reads_1_until_it_is_complete_mmio)
{
	queue_reset_reads_1_until_it_is_complete(FAKE_MMIO);
}

/* QueueReady reads 0 when the queue has stopped, and its doorbell is gone by then. */
Test(slow_stop, a_queue_that_stops_late_leaves_no_doorbell)
{
	begin(FAKE_MMIO);
	struct fake_machine *fake = rig->machine;

	cr_assert_eq(fake->n_bells, ECHO_QUEUES);
	fake_driver_queue_max(&rig->driver, 0);
	fake_driver_write(&rig->driver, 0x44, 4, 0);
	cr_assert(fake_driver_queue_enabled(&rig->driver, 0));
	host_answers();
	cr_assert(!fake_driver_queue_enabled(&rig->driver, 0));
	cr_assert_eq(fake->n_bells, ECHO_QUEUES - 1);
	expect_it_works();
}

/* A queue that is on its way out is not waited for by a reset of the device, either. */
Test(slow_stop, a_device_reset_ends_a_queue_reset)
{
	begin(FAKE_PCI);
	fake_driver_reset_queue(&rig->driver, 0);
	fake_driver_set_status(&rig->driver, 0);
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	host_answers();
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	cr_assert_not(fake_driver_queue_in_reset(&rig->driver, 0));
	expect_it_works();
}

/*
 * A ring breaks while the host is slow: nobody waits for the host, the driver hears of it, and its
 * reset is complete when the host is done.
 */
static void nobody_waits_for_a_broken_device(enum fake_transport transport)
{
	begin(transport);
	echo_rig_take_interrupts(rig);
	echo_rig_break_ring(rig, 1);
	cr_assert_eq(rig->echo->n_stops, 0, "somebody waited");
	cr_assert_eq(rig->echo->n_cancels, ECHO_QUEUES, "the host was asked to give up");
	cr_assert_eq(fake_driver_status(&rig->driver), 0xf | VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);

	/* It takes nothing any more, and comes back to no life. */
	echo_rig_ask(rig, 2);
	fake_driver_kick(&rig->driver, 2);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[2]), 0);
	fake_driver_reset_queue(&rig->driver, 2);
	fake_driver_set_queue(&rig->driver, 2, &rig->ring[2]);
	fake_driver_enable_queue(&rig->driver, 2);
	cr_assert_null(rig->echo->queue[2].vq);
	cr_assert_eq(rig->echo->n_stops, 0);

	fake_driver_set_status(&rig->driver, 0);
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	host_answers();
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_stops, 1);
	expect_it_works();
}

/* covers: CORE-STATUS-03 CORE-STATUS-13 CORE-RESET-03 CORE-RESET-06 */
Test(slow_stop, nobody_waits_for_a_broken_device_pci)
{
	nobody_waits_for_a_broken_device(FAKE_PCI);
}

/* covers: CORE-STATUS-03 CORE-STATUS-13 CORE-RESET-03 CORE-RESET-06 */
Test(slow_stop, nobody_waits_for_a_broken_device_mmio)
{
	nobody_waits_for_a_broken_device(FAKE_MMIO);
}

/* Nor where the driver gives up; one that does so twice changes nothing.  covers: CORE-STATUS-10 */
Test(slow_stop, nobody_waits_when_the_driver_gives_up)
{
	begin(FAKE_PCI);
	fake_driver_set_status(&rig->driver, 0xf | VIRTIO_STATUS_FAILED);
	cr_assert_eq(rig->echo->n_stops, 0, "somebody waited");
	fake_driver_set_status(&rig->driver, 0xf | VIRTIO_STATUS_FAILED);
	virtio_device_fail(rig->dev, 0, "a test");
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_stops, 0);
	fake_driver_set_status(&rig->driver, 0);
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	host_answers();
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	expect_it_works();
}

/* A device may go while its host is slow: that waits. */
Test(slow_stop, a_broken_device_can_be_taken_away)
{
	begin(FAKE_PCI);
	echo_rig_break_ring(rig, 1);
	cr_assert_eq(rig->echo->n_stops, 0);
	echo_rig_destroy(rig);
}

/* The moment is one by the clock, however long the queue's loop takes to answer.  N6. */
Test(slow_stop, n6_a_busy_loop_does_not_make_the_moment_longer)
{
	struct timespec from, to;

	begin(FAKE_PCI);
	rig->echo->look_us = 20000;
	clock_gettime(CLOCK_MONOTONIC, &from);
	fake_driver_set_status(&rig->driver, 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	cr_assert_lt((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000, 1000);
	rig->echo->look_us = 0;
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	host_answers();
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	expect_it_works();
}

/*
 * A legacy driver does not look whether its reset is complete, also where a modern one had the
 * device before it and asked for a reset of its own.  N6.
 */
Test(slow_stop, n6_a_reset_at_the_legacy_window_is_complete_at_once)
{
	struct fake_driver legacy;

	begin(FAKE_TRANSITIONAL);
	echo_rig_find_legacy(rig, &legacy);
	fake_driver_set_status(&rig->driver, 0);
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	fake_driver_set_status(&legacy, 0);
	cr_assert_eq(rig->echo->n_stops, 1);
	fake_driver_set_status(&legacy, 1);
	cr_assert_eq(fake_driver_status(&legacy), 1);
	expect_it_works();
}

static struct fake_driver *begin_queue_reset_of_one_that_suspends(void)
{
	struct features on = FEATURES_EMPTY, f = echo_rig_ring_features();

	features_add(&on, VIRTIO_F_SUSPEND);
	rig = echo_rig_create_with(&(struct echo_rig_options){ .transport = FAKE_PCI, .on = on });
	features_add(&f, VIRTIO_F_RING_RESET);
	features_add(&f, VIRTIO_F_SUSPEND);
	work_on_one(f);
	fake_driver_reset_queue(&rig->driver, 0);
	cr_assert(fake_driver_queue_in_reset(&rig->driver, 0));
	return &rig->driver;
}

/* The host gives up what a queue reset cancelled: a suspend does not wait for its buffers. */
Test(slow_stop, a_suspend_ends_a_queue_reset)
{
	struct fake_driver *d = begin_queue_reset_of_one_that_suspends();

	fake_driver_set_status(d, 0xf | VIRTIO_STATUS_SUSPEND);
	cr_assert_eq(fake_driver_status(d), 0xf);
	rig->echo->queue[0].n_held = 0;
	cr_assert_eq(fake_driver_status(d), 0xb | VIRTIO_STATUS_SUSPEND);
	expect_it_works();
}

/* But for the queue, also if all is answered: it would go on with the others. */
Test(slow_stop, a_suspend_is_not_complete_before_a_queue_reset)
{
	struct fake_driver *d = begin_queue_reset_of_one_that_suspends();

	host_answers();
	rig->echo->queue[0].n_held = 1;
	fake_driver_set_status(d, 0xf | VIRTIO_STATUS_SUSPEND);
	cr_assert_eq(fake_driver_status(d), 0xf);
	rig->echo->queue[0].n_held = 0;
	cr_assert_eq(fake_driver_status(d), 0xb | VIRTIO_STATUS_SUSPEND);
	cr_assert_null(rig->echo->queue[0].vq);
	expect_it_works();
}

/* A reset that cannot but wait has told all queues to give up before. */
Test(slow_stop, a_system_reset_cancels_everything_first)
{
	begin(FAKE_PCI);
	machine_lock(&rig->machine->m);
	virtio_transport_reset(rig->transport);
	machine_unlock(&rig->machine->m);
	cr_assert_eq(rig->echo->n_cancels, ECHO_QUEUES);
	cr_assert_eq(rig->echo->n_stops, 1);
	echo_rig_destroy(rig);
}

/* A modern driver resets what a legacy one had: meanwhile no queue is set up at the legacy window. */
Test(slow_stop, n6_a_legacy_queue_does_not_join_a_session_that_ends)
{
	enum { QUEUE_ADDRESS = 8, QUEUE_SELECT = 14 };
	struct fake_driver modern;

	rig = echo_rig_create(FAKE_TRANSITIONAL_LEGACY);
	work_on_one(echo_rig_ring_features());
	fake_driver_write(&rig->driver, QUEUE_SELECT, 2, 2);
	fake_driver_write(&rig->driver, QUEUE_ADDRESS, 4, 0);
	cr_assert_null(rig->echo->queue[2].vq);
	fake_driver_find_pci(&modern, rig->machine, FAKE_TRANSITIONAL, 1);
	fake_driver_set_status(&modern, 0);
	cr_assert_neq(fake_driver_status(&modern), 0);
	fake_driver_set_queue(&rig->driver, 2, &rig->ring[2]);
	cr_assert_null(rig->echo->queue[2].vq);
	fake_driver_set_status(&modern, 0);
	cr_assert_neq(fake_driver_status(&modern), 0);
	host_answers();
	cr_assert_eq(fake_driver_status(&modern), 0);
	expect_it_works();
}
