/* The vhost-user datapath when its back end goes away, and another one comes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "tests/support/vhost_user_rig.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

TestSuite(vhost_user_return, .init = vu_setup, .fini = vu_teardown, .timeout = 60);

static void lost(void *arg)
{
	(void)arg;
	vu.n_lost++;
}

static void offer(unsigned ring, uint16_t head)
{
	uint8_t *avail = fake_machine_driver_at(vu.rig.machine, vu.rig.queue[ring].driver, 64);
	uint16_t idx = load_le16(avail + 2);

	store_le16(avail + 4 + 2 * (idx % VHOST_RIG_QUEUE_SIZE), head);
	store_le16(avail + 2, (uint16_t)(idx + 1));
}

static void answer(unsigned ring, uint16_t head)
{
	uint8_t *used = fake_machine_driver_at(vu.rig.machine, vu.rig.queue[ring].device, 64);
	uint16_t idx = load_le16(used + 2);

	store_le32(used + 4 + 8 * (idx % VHOST_RIG_QUEUE_SIZE), head);
	store_le16(used + 2, (uint16_t)(idx + 1));
}

Test(vhost_user_return, another_back_end_goes_on_where_the_first_stopped)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	offer(0, 1);
	offer(0, 2);
	offer(0, 3);
	answer(0, 1);
	fake_back_end_hang_up(&vu.back, true);
	cr_assert(vu_pump_until(vu_is_gone));
	fd_drain(vu.rig.kick[0]);
	fake_back_end_return(&vu.back);
	cr_assert(vu_pump_until(vu_is_connected));
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_BASE 0: 1"));
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_BASE 1: 0"));
	cr_assert(fd_drain(vu.rig.kick[0]), "it looks at what waits");
	cr_assert_eq(vu.rig.n_fails, 0);
}

Test(vhost_user_return, a_reset_while_there_is_none_is_a_reset)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	fake_back_end_hang_up(&vu.back, true);
	cr_assert(vu_pump_until(vu_is_gone));
	vu.rig.dp->ops->prepare_stop(vu.rig.dp, 0);
	cr_assert(vu.rig.dp->ops->can_stop(vu.rig.dp, 0));
	vhost_rig_stop(&vu.rig);
	/* A driver that comes meanwhile waits. */
	vhost_rig_start(&vu.rig);
	fake_back_end_return(&vu.back);
	cr_assert(vu_pump_until(vu_is_connected));
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	cr_assert_eq(vu.rig.n_fails, 0);
}

Test(vhost_user_return, a_suspended_device_is_quiet_before_another_back_end)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	vu.rig.dp->ops->suspend(vu.rig.dp);
	while (!vu.rig.dp->ops->is_quiet(vu.rig.dp))
		usleep(1000);
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(vu_is_gone));
	fake_back_end_clear(&vu.back);
	cr_assert(vu_pump_until(vu_is_connected));
	loop_pump_for(vu.rig.machine->m.main_loop, 50);
	cr_assert_eq(vu.back.ring[0].enabled, 0);
	vu.rig.dp->ops->resume(vu.rig.dp);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
}

Test(vhost_user_return, the_account_of_what_is_in_flight_is_handed_on)
{
	const struct vhost_user_config config = vu_config();

	vu.back.protocol |= 1u << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD;
	vu_use(&config);
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "GET_INFLIGHT_FD\nSET_INFLIGHT_FD fd\n"
						"SET_VRING_NUM"));
	/* 2 was answered before 1: the rings alone would not tell. */
	offer(0, 1);
	offer(0, 2);
	answer(0, 2);
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(vu_is_gone));
	fake_back_end_clear(&vu.back);
	cr_assert(vu_pump_until(vu_is_connected));
	cr_assert(fake_back_end_saw(&vu.back, "SET_MEM_TABLE 2, fds 2\nSET_INFLIGHT_FD fd\n"));
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_BASE 0: 1"));
	cr_assert_eq(vu.rig.n_fails, 0);
	/* The next session has one of its own. */
	vhost_rig_stop(&vu.rig);
	fake_back_end_clear(&vu.back);
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "GET_INFLIGHT_FD"));
}

Test(vhost_user_return, without_an_account_nobody_guesses)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	offer(0, 1);
	offer(0, 2);
	answer(0, 2);
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(vu_has_failed));
	cr_assert_str_eq(vu.rig.fail_reason,
			 "its back end is gone, and nobody knows what it had answered");
	/* After the reset it works again. */
	vhost_rig_stop(&vu.rig);
	cr_assert(vu_pump_until(vu_is_connected));
	vhost_rig_lay_out(&vu.rig, FAKE_SPLIT);
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
}

Test(vhost_user_return, an_account_without_a_back_end_that_reads_it_is_none)
{
	const struct vhost_user_config config = vu_config();

	vu.back.protocol |= 1u << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD;
	vu_use(&config);
	vhost_rig_start(&vu.rig);
	offer(0, 1);
	offer(0, 2);
	answer(0, 2);
	vu.back.protocol &= ~(1u << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(vu_has_failed));
	cr_assert_str_eq(vu.rig.fail_reason,
			 "another back end came, which cannot tell what is in flight");
}

Test(vhost_user_return, another_back_end_must_serve_what_the_driver_took)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	features_add(&vu.rig.start.features, VIRTIO_BLK_F_FLUSH);
	vhost_rig_start(&vu.rig);
	vu.back.features &= ~(UINT64_C(1) << VIRTIO_BLK_F_FLUSH);
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(vu_has_failed));
	cr_assert_str_eq(vu.rig.fail_reason, "another back end came, which does not serve all that "
					  "the driver took");
	/* N14: nor is a new start with it quietly one without. */
	vhost_rig_stop(&vu.rig);
	cr_assert_eq(vu.rig.dp->ops->start(vu.rig.dp, &vu.rig.start), -EOPNOTSUPP);
	error_clear();
}

Test(vhost_user_return, one_that_forgets_needs_a_reset)
{
	struct vhost_user_config config = vu_config();

	config.forgets = true;
	vu_use(&config);
	vhost_rig_start(&vu.rig);
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(vu_has_failed));
	cr_assert_str_eq(vu.rig.fail_reason, "its back end is gone, and what it knew is lost");
	vhost_rig_stop(&vu.rig);
	cr_assert(vu_pump_until(vu_is_connected));
	vu.rig.n_fails = 0;
	vhost_rig_start(&vu.rig);
	cr_assert_eq(vu.rig.n_fails, 0);
}

static bool is_lost(void)
{
	return vu.n_lost > 0;
}

Test(vhost_user_return, who_started_it_brings_another)
{
	struct vhost_user_config config = vu_config();

	config.path = NULL;
	config.fd = fake_back_end_connect(&vu.back);
	config.lost = lost;
	vu_use(&config);
	vhost_rig_start(&vu.rig);
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(is_lost));
	cr_assert_eq(vu.rig.n_fails, 0);
	fake_back_end_clear(&vu.back);
	cr_assert_eq(vhost_user_renew(vu.rig.dp, fake_back_end_connect(&vu.back)), 0);
	cr_assert(vu_pump_until(vu_is_connected));
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	cr_assert_eq(vhost_user_renew(vu.rig.dp, fake_back_end_connect(&vu.back)), -EBUSY);
	error_clear();
}

/* Somebody accepts, and says nothing: the main loop does not wait, and the next one is tried. */
Test(vhost_user_return, a_silent_one_does_not_hold_up_the_main_loop)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	atomic_store(&vu.back.deaf, true);
	fake_back_end_hang_up(&vu.back, false);
	uint64_t before = clock_now_ms();

	while (clock_now_ms() - before < 400) {
		uint64_t turn = clock_now_ms();
		loop_pump(vu.rig.machine->m.main_loop);
		cr_assert_lt(clock_now_ms() - turn, 50);
		usleep(1000);
	}
	cr_assert(vu_is_gone());
	atomic_store(&vu.back.deaf, false);
	cr_assert(vu_pump_until(vu_is_connected));
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
}

/* N10: a device that is told so stops. */
Test(vhost_user_return, a_ring_that_it_finds_broken_is_reported)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	fd_signal(vu.back.ring[1].err);
	loop_pump(vu.rig.loop);
	cr_assert_eq(vu.rig.n_fails, 1);
	cr_assert_eq(vu.rig.fail_queue, 1);
}

/* A ring that no back end can do anything with: it is not tried for ever. */
Test(vhost_user_return, one_that_leaves_again_and_again_is_no_help)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	offer(0, 1);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(vu.rig.n_fails, 0, "after %u", i);
		cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
		fake_back_end_clear(&vu.back);
		fake_back_end_hang_up(&vu.back, false);
		cr_assert(vu_pump_until(vu_is_gone));
		cr_assert(vu_pump_until(vu_is_connected));
	}
	cr_assert_eq(vu.rig.n_fails, 1);
	cr_assert_str_eq(vu.rig.fail_reason,
			 "its back end leaves again and again, and answers nothing");
}

/* But somebody may restart one that has nothing to do as often as he likes. */
Test(vhost_user_return, an_idle_one_may_be_restarted_at_will)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	for (unsigned i = 0; i < 5; i++) {
		fake_back_end_hang_up(&vu.back, false);
		cr_assert(vu_pump_until(vu_is_gone));
		cr_assert(vu_pump_until(vu_is_connected));
	}
	cr_assert_eq(vu.rig.n_fails, 0);
}

/* A back end that loses what it has in progress when it is told to stop is told when it is idle. */
Test(vhost_user_return, a_stop_lets_what_is_offered_be_answered_first)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	fake_back_end_clear(&vu.back);
	offer(0, 1);
	vu.rig.dp->ops->prepare_stop(vu.rig.dp, 0);
	cr_assert_not(vu.rig.dp->ops->can_stop(vu.rig.dp, 0));
	usleep(20000);
	fake_back_end_expect(&vu.back, "");
	answer(0, 1);
	vu.back.ring[0].base = 1;
	for (unsigned i = 0; i < 1000 && !vu.rig.dp->ops->can_stop(vu.rig.dp, 0); i++)
		usleep(1000);
	cr_assert(fake_back_end_saw(&vu.back, "GET_VRING_BASE 1"));
	/* Not for ever: the driver may have offered what nobody answers. */
	vhost_rig_stop(&vu.rig);
	vhost_rig_lay_out(&vu.rig, FAKE_SPLIT);
	vhost_rig_start(&vu.rig);
	offer(0, 1);
	vhost_rig_stop(&vu.rig);
	cr_assert_eq(vu.rig.n_fails, 0);
}
