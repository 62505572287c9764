/*
 * VIRTIO_F_SUSPEND over every modern transport.  virtio-v1.4 3.4 "Device Suspend".
 *
 * The echo device holds chains on demand: a request that is in progress.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"

enum { SUSPEND = VIRTIO_STATUS_SUSPEND, RUNNING = 0x0f, SUSPENDED = 0x1b, CONFIG_CAUSE = 2 };

static void over(void (*test)(struct echo_rig *rig))
{
	struct features on = FEATURES_EMPTY;

	features_add(&on, VIRTIO_F_SUSPEND);
	echo_rig_over_with(FAKE_PCI, FAKE_TRANSITIONAL, on, test);
}

#define OVER_SUSPEND(suite, name)                                                                  \
	static void suite##_##name(struct echo_rig *rig);                                          \
	Test(suite, name)                                                                          \
	{                                                                                          \
		over(suite##_##name);                                                              \
	}                                                                                          \
	static void suite##_##name(struct echo_rig *rig)

static struct features accepted(void)
{
	struct features f = echo_rig_features_with(VIRTIO_F_SUSPEND);

	features_add(&f, VIRTIO_F_RING_RESET);
	return f;
}

static void start(struct echo_rig *rig)
{
	echo_rig_prepare(rig, accepted());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
}

static uint8_t status(struct echo_rig *rig)
{
	return fake_driver_status(&rig->driver);
}

static void ask_to_suspend(struct echo_rig *rig)
{
	fake_driver_set_status(&rig->driver, RUNNING | SUSPEND);
}

static void suspend(struct echo_rig *rig)
{
	ask_to_suspend(rig);
	cr_assert_eq(status(rig), SUSPENDED);
	echo_rig_take_interrupts(rig);
}

static void resume(struct echo_rig *rig)
{
	fake_driver_set_status(&rig->driver, RUNNING | SUSPEND);
	cr_assert_eq(status(rig), RUNNING);
}

static void expect_no_io(struct echo_rig *rig, unsigned index)
{
	uint16_t used = fake_ring_used_idx(&rig->ring[index]);

	fake_driver_kick(&rig->driver, index);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[index]), used);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
}

/* covers: CORE-SUSPEND-01 */
OVER_SUSPEND(suspend, until_driver_ok_the_bit_is_ignored)
{
	struct fake_driver *d = &rig->driver;

	fake_driver_set_status(d, 3 | SUSPEND);
	cr_assert_eq(status(rig), 3);
	echo_rig_prepare(rig, accepted());
	fake_driver_set_status(d, 0xb | SUSPEND);
	cr_assert_eq(status(rig), 0xb);
	/* Together with DRIVER_OK, too: the device was not running when it was asked. */
	fake_driver_set_status(d, RUNNING | SUSPEND);
	cr_assert_eq(status(rig), RUNNING);
	echo_rig_pump(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-SUSPEND-13 */
OVER_SUSPEND(suspend, without_the_feature_the_bit_is_noise)
{
	echo_rig_start(rig);
	ask_to_suspend(rig);
	cr_assert_eq(status(rig), RUNNING);
	cr_assert_eq(rig->dev->negotiation.mistakes.n[MISTAKE_STATUS_UNKNOWN_BITS], 1);
	echo_rig_round_trip(rig, 0);
}

/* covers: CORE-SUSPEND-03 CORE-SUSPEND-06 CORE-SUSPEND-07 CORE-SUSPEND-11 */
OVER_SUSPEND(suspend, a_suspended_device_does_nothing_until_it_is_resumed)
{
	uint8_t *ring, copy[2][4096];

	start(rig);
	for (int i = 0; i < 5; i++) {
		echo_rig_round_trip(rig, 0);
		suspend(rig);
		ring = fake_machine_driver_at(rig->machine, RIG_RINGS, 4096);
		echo_rig_ask(rig, 0);
		echo_rig_ask(rig, 2);
		memcpy(copy[0], ring, 4096);
		for (int k = 0; k < 3; k++) {
			expect_no_io(rig, 0);
			expect_no_io(rig, 2);
		}
		memcpy(copy[1], ring, 4096);
		cr_assert_arr_eq(copy[0], copy[1], 4096, "the ring was touched");
		cr_assert_eq(status(rig), SUSPENDED);
		/* What came meanwhile needs no further kick. */
		resume(rig);
		echo_rig_pump(rig);
		echo_rig_expect_answer(rig, 0);
		echo_rig_expect_answer(rig, 2);
		echo_rig_take_interrupts(rig);
	}
	cr_assert_eq(rig->echo->n_starts, 1, "rings went on where they were");
}

/* covers: CORE-SUSPEND-06 CORE-SUSPEND-08 CORE-SUSPEND-09 CORE-SUSPEND-10 CORE-SUSPEND-11 */
OVER_SUSPEND(suspend, what_is_in_progress_is_used_before_the_device_says_suspended)
{
	start(rig);
	rig->echo->hold = true;
	for (int i = 0; i < 3; i++)
		echo_rig_ask(rig, i == 2);
	fake_driver_kick(&rig->driver, 0);
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	echo_rig_take_interrupts(rig);

	ask_to_suspend(rig);
	cr_assert_eq(status(rig), RUNNING);
	rig->echo->hold = false;
	echo_rig_ask(rig, 1);
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 0, "nothing new is taken");
	/* Asking twice, or for what is already so, changes nothing. */
	ask_to_suspend(rig);
	fake_driver_set_status(&rig->driver, RUNNING);
	cr_assert_eq(status(rig), RUNNING);

	echo_device_release(rig->echo, 0);
	echo_rig_pump(rig);
	cr_assert_eq(status(rig), RUNNING, "queue 1 is not ready");
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	fake_driver_take_isr(&rig->driver);
	echo_device_release(rig->echo, 1);
	echo_rig_pump(rig);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	cr_assert_eq(status(rig), SUSPENDED);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 2);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 1);
	expect_no_io(rig, 1);
	resume(rig);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), 2);
}

/* covers: CORE-SUSPEND-03 CORE-SUSPEND-04 CORE-SUSPEND-05 */
OVER_SUSPEND(suspend, a_change_of_the_configuration_waits_for_the_resume)
{
	uint8_t a = 0x71, b = 0x72;

	start(rig);
	fake_driver_config(&rig->driver, 0, 4);
	suspend(rig);
	uint32_t generation = fake_driver_generation(&rig->driver);
	virtio_device_update_config(rig->dev, 1, &a, 1);
	virtio_device_update_config(rig->dev, 2, &b, 1);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	cr_assert_eq(fake_driver_config(&rig->driver, 0, 4), 0x13121110);
	cr_assert_eq(fake_driver_generation(&rig->driver), generation);
	cr_assert_not(fake_driver_take_isr(&rig->driver) & CONFIG_CAUSE);
	resume(rig);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1, "one for both");
	cr_assert_eq(fake_driver_config(&rig->driver, 0, 4), 0x13727110);
	cr_assert_neq(fake_driver_generation(&rig->driver), generation);

	/* What was taken back meanwhile was never there. */
	uint8_t c = 0x73;
	suspend(rig);
	virtio_device_update_config(rig->dev, 1, &c, 1);
	virtio_device_update_config(rig->dev, 1, &a, 1);
	resume(rig);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
}

/* covers: CORE-SUSPEND-02 */
OVER_SUSPEND(suspend, writes_to_a_suspended_device_are_ignored)
{
	struct fake_ring other;

	start(rig);
	suspend(rig);
	fake_driver_set_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4, 0x99999999);
	cr_assert_eq(rig->echo->n_config_written, 0);
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4), 0x1b1a1918);
	fake_ring_init(&other, rig->machine, 4, 0x80000);
	fake_driver_set_queue(&rig->driver, 0, &other);
	fake_driver_reset_queue(&rig->driver, 0);
	cr_assert(fake_driver_queue_enabled(&rig->driver, 0));
	if (rig->driver.transport == FAKE_MMIO)
		fake_driver_write(&rig->driver, 0x44, 4, 0);
	cr_assert(fake_driver_queue_enabled(&rig->driver, 0));
	fake_driver_accept_half(&rig->driver, 0, 0);
	/* A status without DRIVER_OK says nothing new. */
	fake_driver_set_status(&rig->driver, 0xb);
	fake_driver_set_status(&rig->driver, SUSPENDED);
	cr_assert_eq(status(rig), SUSPENDED);
	resume(rig);
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4), 0x1b1a1918);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
	fake_driver_set_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4, 0x99999999);
	cr_assert_eq(fake_driver_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4), 0x99999999);
}

/* covers: CORE-SUSPEND-12 */
OVER_SUSPEND(suspend, a_reset_helps_at_any_point)
{
	uint8_t byte = 0x42;

	start(rig);
	rig->echo->hold = true;
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	ask_to_suspend(rig);
	cr_assert_eq(status(rig), RUNNING);
	fake_driver_reset(&rig->driver);
	rig->echo->hold = false;
	start(rig);
	echo_rig_round_trip(rig, 0);
	cr_assert_eq(status(rig), RUNNING, "the wish to suspend was of the last session");

	suspend(rig);
	virtio_device_update_config(rig->dev, 3, &byte, 1);
	fake_driver_reset(&rig->driver);
	cr_assert_eq(fake_driver_config(&rig->driver, 3, 1), 0x42, "the change is not lost");
	start(rig);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	echo_rig_round_trip(rig, 0);
}

/* N10: one of two outcomes, never both.  covers: CORE-SUSPEND-06 */
OVER_SUSPEND(suspend, a_device_that_breaks_while_it_suspends_needs_reset)
{
	start(rig);
	rig->echo->hold = true;
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	ask_to_suspend(rig);
	virtio_device_fail(rig->dev, 0, "the back end died");
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(status(rig), RUNNING | VIRTIO_STATUS_NEEDS_RESET);
	ask_to_suspend(rig);
	cr_assert_eq(status(rig), RUNNING | VIRTIO_STATUS_NEEDS_RESET);
	rig->echo->hold = false;
	start(rig);
	echo_rig_round_trip(rig, 0);
}

/* N10.  covers: CORE-SUSPEND-04 CORE-SUSPEND-07 */
OVER_SUSPEND(suspend, a_device_that_breaks_while_suspended_is_not_resumed)
{
	start(rig);
	suspend(rig);
	virtio_device_fail(rig->dev, 0, "the back end died");
	cr_assert_eq(echo_rig_take_interrupts(rig), 0, "none while suspended");
	cr_assert_eq(status(rig), SUSPENDED | VIRTIO_STATUS_NEEDS_RESET);
	fake_driver_set_status(&rig->driver, RUNNING | SUSPEND);
	cr_assert_eq(status(rig), SUSPENDED | VIRTIO_STATUS_NEEDS_RESET);
	expect_no_io(rig, 0);
	start(rig);
	echo_rig_round_trip(rig, 0);
}

OVER_SUSPEND(suspend, a_driver_may_give_up_a_device_that_it_suspends)
{
	start(rig);
	suspend(rig);
	fake_driver_set_status(&rig->driver, SUSPENDED | VIRTIO_STATUS_FAILED);
	cr_assert_eq(status(rig), SUSPENDED | VIRTIO_STATUS_FAILED);
	fake_driver_set_status(&rig->driver, RUNNING);
	cr_assert_eq(status(rig), SUSPENDED | VIRTIO_STATUS_FAILED, "only a reset helps");

	start(rig);
	rig->echo->hold = true;
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	ask_to_suspend(rig);
	fake_driver_set_status(&rig->driver, RUNNING | VIRTIO_STATUS_FAILED);
	cr_assert_eq(status(rig), RUNNING | VIRTIO_STATUS_FAILED);
	rig->echo->hold = false;
	start(rig);
	echo_rig_round_trip(rig, 0);
}

/* A start that Bus Master Enable put off is not made up for while the device is suspended. */
OVER_SUSPEND(suspend, a_start_that_was_put_off_waits_for_both)
{
	struct fake_driver *d = &rig->driver;

	if (d->transport == FAKE_MMIO)
		return;
	fake_driver_pci_write(d, 4, 2, 3);
	echo_rig_prepare(rig, accepted());
	echo_rig_driver_ok(rig);
	echo_rig_ask(rig, 0);
	suspend(rig);
	fake_driver_pci_write(d, 4, 2, 7);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_starts, 0);
	resume(rig);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_starts, 1);
	echo_rig_expect_answer(rig, 0);

	/* The other way round, and with a kick that waits. */
	suspend(rig);
	fake_driver_pci_write(d, 4, 2, 3);
	echo_rig_ask(rig, 0);
	fake_driver_kick(d, 0);
	fake_driver_pci_write(d, 4, 2, 7);
	expect_no_io(rig, 0);
	resume(rig);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 0);
}

/* The legacy window knows nothing of it, and cannot get around it either. */
Test(suspend, the_legacy_window_of_a_suspended_device)
{
	struct echo_rig_options options = { .transport = FAKE_TRANSITIONAL };
	struct fake_driver legacy;

	features_add(&options.on, VIRTIO_F_SUSPEND);
	struct echo_rig *rig = echo_rig_create_with(&options);
	echo_rig_find_legacy(rig, &legacy);
	start(rig);
	suspend(rig);
	fake_driver_set_config(&legacy, ECHO_CONFIG_WRITABLE, 4, 0x99999999);
	cr_assert_eq(fake_driver_config(&legacy, ECHO_CONFIG_WRITABLE, 4), 0x1b1a1918);
	fake_driver_set_queue(&legacy, 0, &rig->ring[1]);
	echo_rig_ask(rig, 0);
	fake_driver_kick(&legacy, 0);
	expect_no_io(rig, 0);
	/* Without DRIVER_OK nothing changes; with it the device goes on, whole. */
	fake_driver_set_status(&legacy, 3 | SUSPEND);
	cr_assert_eq(fake_driver_status(&legacy), SUSPENDED);
	fake_driver_set_status(&legacy, 7);
	cr_assert_eq(status(rig), RUNNING);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 0);
	/* It cannot suspend: the bit is none of a legacy driver's. */
	fake_driver_set_status(&legacy, RUNNING | SUSPEND);
	cr_assert_eq(status(rig), RUNNING);
	echo_rig_destroy(rig);
}
