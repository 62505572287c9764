/*
 * Bus Master Enable off: a device whose rings run touches no memory, whoever has something for it,
 * and goes on where it stood.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "tests/support/echo_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { COMMAND = 4, MASTER_OFF = 3, MASTER_ON = 7, RINGS_SIZE = 0x10000 * ECHO_QUEUES };

static void set_master(struct echo_rig *rig, bool on)
{
	fake_driver_pci_write(&rig->driver, COMMAND, 2, on ? MASTER_ON : MASTER_OFF);
}

/* virtio-mmio has no such thing. */
static bool has_master(const struct echo_rig *rig)
{
	return rig->driver.transport != FAKE_MMIO;
}

/*
 * A kick that was on its way, or a poll: what is in the ring stays there, and so do all flags.
 * covers: PCI-BUS-02
 */
OVER(bus_master, off_leaves_the_rings_alone, FAKE_PCI, FAKE_PCI_LEGACY)
{
	static uint8_t before[RINGS_SIZE];
	const uint8_t *rings = fake_machine_driver_at(rig->machine, RIG_RINGS, RINGS_SIZE);

	if (!has_master(rig))
		return;
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
	set_master(rig, false);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_ask(rig, i);
	memcpy(before, rings, RINGS_SIZE);
	for (unsigned n = 0; n < 3; n++) {
		for (unsigned i = 0; i < ECHO_QUEUES; i++)
			fd_signal(rig->dev->queue[i].kick_fd);
		echo_rig_pump(rig);
	}
	cr_assert_eq(memcmp(before, rings, RINGS_SIZE), 0);
	set_master(rig, true);
	echo_rig_pump(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_expect_answer(rig, i);
	for (unsigned i = 0; i < 40; i++)
		echo_rig_round_trip(rig, i % ECHO_QUEUES);
}

/* Back and forth between two requests: nothing is lost, nothing comes twice. */
OVER(bus_master, off_and_on_is_not_noticed, FAKE_PCI, FAKE_PCI_LEGACY)
{
	if (!has_master(rig))
		return;
	echo_rig_start(rig);
	for (unsigned i = 0; i < 50; i++) {
		echo_rig_ask(rig, i % ECHO_QUEUES);
		if (i % 2)
			fake_driver_kick(&rig->driver, i % ECHO_QUEUES);
		set_master(rig, false);
		set_master(rig, false);
		echo_rig_pump(rig);
		set_master(rig, true);
		echo_rig_pump(rig);
		echo_rig_expect_answer(rig, i % ECHO_QUEUES);
		cr_assert_not(fake_ring_has_used(&rig->ring[i % ECHO_QUEUES]));
	}
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig));
	cr_assert_eq(rig->echo->n_starts, 1);
}

/*
 * What the host does not finish: nobody waits for it longer than a moment, it is asked to give up,
 * and a driver that is still there hears of it.
 */
OVER(bus_master, off_with_requests_in_progress_needs_a_reset, FAKE_PCI, FAKE_PCI_LEGACY)
{
	struct timespec from, to;

	if (!has_master(rig))
		return;
	echo_rig_start(rig);
	rig->echo->hold = true;
	rig->echo->slow = true;
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->queue[0].n_held, 1);
	clock_gettime(CLOCK_MONOTONIC, &from);
	set_master(rig, false);
	clock_gettime(CLOCK_MONOTONIC, &to);
	cr_assert_lt((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000, 2000);
	cr_assert_eq(rig->echo->n_stops, 0, "somebody waited");
	cr_assert_eq(rig->echo->n_cancels, ECHO_QUEUES, "the host was asked to give up");
	cr_assert(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET);
	set_master(rig, true);
	echo_rig_ask(rig, 1);
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 0, "it takes nothing any more");
	rig->echo->hold = rig->echo->slow = false;
	echo_device_release(rig->echo, 0);
	fake_driver_set_status(&rig->driver, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* What kexec does: the next driver finds the device as the last one left it, and resets it. */
OVER(bus_master, the_next_driver_resets_it_while_it_is_off, FAKE_PCI, FAKE_PCI_LEGACY)
{
	if (!has_master(rig))
		return;
	echo_rig_start(rig);
	echo_rig_ask(rig, 0);
	set_master(rig, false);
	fake_driver_set_status(&rig->driver, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	cr_assert_eq(rig->echo->n_stops, 1);
	set_master(rig, true);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 0);
	echo_rig_start(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
}

/* A reset that waits for the host is not waited for a second time. */
OVER(bus_master, off_while_a_reset_is_under_way, FAKE_PCI, FAKE_PCI)
{
	echo_rig_start(rig);
	rig->echo->hold = true;
	rig->echo->slow = true;
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	fake_driver_set_status(&rig->driver, 0);
	cr_assert_neq(fake_driver_status(&rig->driver), 0);
	set_master(rig, false);
	set_master(rig, true);
	cr_assert_not(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET);
	rig->echo->hold = rig->echo->slow = false;
	echo_device_release(rig->echo, 0);
	cr_assert_eq(fake_driver_status(&rig->driver), 0);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* Two reasons to stand still: each alone is enough. */
static void suspended_and_off(struct echo_rig *rig)
{
	struct fake_driver *d = &rig->driver;

	if (!has_master(rig))
		return;
	echo_rig_prepare(rig, echo_rig_features_with(VIRTIO_F_SUSPEND));
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	for (unsigned i = 0; i < 4; i++) {
		bool suspend_first = i & 1, resume_first = i & 2;

		if (!suspend_first)
			set_master(rig, false);
		fake_driver_set_status(d, 0xf | VIRTIO_STATUS_SUSPEND);
		cr_assert_eq(fake_driver_status(d), 0xb | VIRTIO_STATUS_SUSPEND);
		if (suspend_first)
			set_master(rig, false);
		echo_rig_ask(rig, 0);
		if (resume_first)
			fake_driver_set_status(d, 0xf);
		else
			set_master(rig, true);
		fd_signal(rig->dev->queue[0].kick_fd);
		echo_rig_pump(rig);
		cr_assert_not(fake_ring_has_used(&rig->ring[0]), "round %u", i);
		if (resume_first)
			set_master(rig, true);
		else
			fake_driver_set_status(d, 0xf);
		echo_rig_pump(rig);
		echo_rig_expect_answer(rig, 0);
	}
}

Test(bus_master, a_suspended_device_stands_still_for_two_reasons)
{
	struct features on = FEATURES_EMPTY;

	features_add(&on, VIRTIO_F_SUSPEND);
	echo_rig_over_with(FAKE_PCI, FAKE_TRANSITIONAL, on, suspended_and_off);
}
