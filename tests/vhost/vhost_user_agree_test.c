/*
 * N25: a vhost-user back end hears of the driver's features when the driver has FEATURES_OK
 * written, and FEATURES_OK stands only if it takes them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "tests/support/vhost_user_rig.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"

TestSuite(vhost_user_agree, .init = vu_setup, .fini = vu_teardown, .timeout = 60);

#define RING(i) "SET_VRING_NUM " i ": 16\nSET_VRING_BASE " i ": 0\nSET_VRING_ADDR " i "\n"	  \
		"SET_VRING_ERR " i ": fd\nSET_VRING_CALL " i ": fd\nSET_VRING_KICK " i ": fd\n"
#define LADDER "SET_MEM_TABLE 2, fds 2\n" RING("0") RING("1")
#define ENABLE "SET_VRING_ENABLE 0: 1\nSET_VRING_ENABLE 1: 1\n"
#define STOP "SET_VRING_ENABLE 0: 0\nGET_VRING_BASE 0\nSET_VRING_ENABLE 1: 0\nGET_VRING_BASE 1\n"

/* A back end that minds, and has said what it says before there is a driver. */
static void use_one_with(unsigned protocol)
{
	const struct vhost_user_config config = vu_config();

	vu.back.protocol |= protocol;
	vu_use(&config);
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	fake_back_end_clear(&vu.back);
}

static void use_one(void)
{
	use_one_with(1u << VHOST_USER_PROTOCOL_F_STATUS);
}

static int agree(void)
{
	return vu.rig.dp->ops->agree(vu.rig.dp, vu.rig.start.features, vu.rig.start.dma);
}

static void forget(void)
{
	vu.rig.dp->ops->forget(vu.rig.dp);
}

/* From now on, the message after that many more is answered so. */
static void fault_in(unsigned n, enum fake_back_end_fault fault)
{
	vu.back.fault = fault;
	atomic_store(&vu.back.fail_at, vu.back.n_messages + n);
}

Test(vhost_user_agree, n25_features_go_to_the_back_end_at_features_ok_once)
{
	use_one();
	cr_assert_eq(agree(), 0, "%s", error_text());
	fake_back_end_expect(&vu.back, "SET_STATUS 3\nSET_FEATURES 140000000\nSET_STATUS b\n"
				       "GET_STATUS\n");
	/* N7: the start has nothing to add. */
	vhost_rig_start(&vu.rig);
	fake_back_end_expect(&vu.back, LADDER "SET_STATUS f\n" ENABLE);
	vhost_rig_stop(&vu.rig);
	forget();
	fake_back_end_expect(&vu.back, STOP "SET_STATUS 0\n");
	/* And so it is for the next driver. */
	cr_assert_eq(agree(), 0, "%s", error_text());
	fake_back_end_expect(&vu.back, "SET_STATUS 3\nSET_FEATURES 140000000\nSET_STATUS b\n"
				       "GET_STATUS\n");
	cr_assert_eq(vu.rig.n_fails, 0);
}

Test(vhost_user_agree, n25_one_without_a_status_is_told_as_well)
{
	use_one_with(0);
	cr_assert_eq(agree(), 0, "%s", error_text());
	fake_back_end_expect(&vu.back, "SET_FEATURES 140000000\n");
	forget();
	cr_assert_eq(agree(), 0, "%s", error_text());
	fake_back_end_expect(&vu.back, "SET_FEATURES 140000000\n");
}

Test(vhost_user_agree, n25_a_session_that_never_started_is_forgotten)
{
	use_one();
	cr_assert_eq(agree(), 0, "%s", error_text());
	fake_back_end_clear(&vu.back);
	forget();
	fake_back_end_expect(&vu.back, "SET_STATUS 0\n");
	/* Once. */
	forget();
	usleep(20000);
	fake_back_end_expect(&vu.back, "");
}

/* By its answer to SET_FEATURES (2), or by a status that lacks the bit (4). */
static void expect_a_refusal_at(unsigned message)
{
	use_one();
	fault_in(message, BACK_END_REFUSES);
	cr_assert_eq(agree(), -EREMOTEIO);
	cr_assert_str_eq(error_text(), "the back end refuses VHOST_USER_SET_FEATURES");
	error_clear();
	fake_back_end_expect(&vu.back, "SET_STATUS 3\nSET_FEATURES 140000000\nSET_STATUS b\n"
				       "GET_STATUS\nSET_STATUS 0\n");
	cr_assert(vu_is_connected());
	/* Another set may be better. */
	features_add(&vu.rig.start.features, VIRTIO_BLK_F_FLUSH);
	cr_assert_eq(agree(), 0, "%s", error_text());
	fake_back_end_expect(&vu.back, "SET_STATUS 3\nSET_FEATURES 140000200\nSET_STATUS b\n"
				       "GET_STATUS\n");
	vhost_rig_start(&vu.rig);
	fake_back_end_expect(&vu.back, LADDER "SET_STATUS f\n" ENABLE);
}

Test(vhost_user_agree, n25_a_back_end_may_refuse_the_features)
{
	expect_a_refusal_at(2);
}

Test(vhost_user_agree, n25_a_back_end_may_refuse_by_its_status)
{
	expect_a_refusal_at(4);
}

/* It is slow, not wrong: the driver's write waits 100 ms, the start longer, and hears its no. */
Test(vhost_user_agree, n25_one_that_answers_late_refuses_the_start)
{
	use_one();
	vu.back.answers_wait = true;
	fault_in(2, BACK_END_REFUSES);
	uint64_t before = clock_now_ms();

	cr_assert_eq(agree(), 0, "%s", error_text());
	cr_assert_geq(clock_now_ms() - before, 90);
	cr_assert_lt(clock_now_ms() - before, 600);
	cr_assert(vu_is_connected());
	atomic_store(&vu.back.answers_may, true);
	cr_assert_eq(vu.rig.dp->ops->start(vu.rig.dp, &vu.rig.start), -EREMOTEIO);
	cr_assert_str_eq(error_text(), "root: VHOST_SET_FEATURES 0x100000000");
	error_clear();
	fake_back_end_expect(&vu.back, "SET_STATUS 3\nSET_FEATURES 140000000\nSET_STATUS b\n"
				       "GET_STATUS\nSET_STATUS 0\n");
}

/* What is asked in between comes after the answers that nobody waited for. */
Test(vhost_user_agree, n25_late_answers_are_not_taken_for_others)
{
	const uint8_t one = 1;

	use_one();
	vu.back.answers_wait = true;
	cr_assert_eq(agree(), 0, "%s", error_text());
	forget();
	cr_assert_eq(agree(), 0, "it waits again, and the first session's are still to come");
	atomic_store(&vu.back.answers_may, true);
	cr_assert_eq(vhost_user_write_config(vu.rig.dp, 32, &one, 1), 0, "%s", error_text());
	cr_assert(vu_is_connected());
	vhost_rig_start(&vu.rig);
	fake_back_end_expect(&vu.back, "SET_STATUS 3\nSET_FEATURES 140000000\nSET_STATUS b\n"
				       "GET_STATUS\nSET_STATUS 0\nSET_CONFIG 32: 1 bytes, 1\n"
				       "SET_STATUS 3\nSET_FEATURES 140000000\nSET_STATUS b\n"
				       "GET_STATUS\n" LADDER "SET_STATUS f\n" ENABLE);
	cr_assert_eq(vu.rig.n_fails, 0);
}

/* N14: what it offers may have changed since the driver looked. */
Test(vhost_user_agree, n25_what_another_back_end_lacks_is_refused)
{
	use_one();
	features_add(&vu.rig.start.features, VIRTIO_BLK_F_FLUSH);
	vu.back.features &= ~(UINT64_C(1) << VIRTIO_BLK_F_FLUSH);
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(vu_is_gone));
	cr_assert(vu_pump_until(vu_is_connected));
	cr_assert_eq(agree(), -EOPNOTSUPP);
	cr_assert_str_eq(error_text(), "root does not serve VIRTIO_BLK_F_FLUSH");
	error_clear();
}

/* --- one goes, another comes ----------------------------------------------------------------- */

static void another_comes(void)
{
	fake_back_end_hang_up(&vu.back, false);
	cr_assert(vu_pump_until(vu_is_gone));
	fake_back_end_clear(&vu.back);
	cr_assert(vu_pump_until(vu_is_connected));
}

Test(vhost_user_agree, n25_another_one_after_features_ok_is_told_at_the_start)
{
	use_one();
	cr_assert_eq(agree(), 0, "%s", error_text());
	another_comes();
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	fake_back_end_clear(&vu.back);
	vhost_rig_start(&vu.rig);
	fake_back_end_expect(&vu.back, "SET_STATUS 3\nSET_FEATURES 140000000\nSET_STATUS b\n"
				       "GET_STATUS\n" LADDER "SET_STATUS f\n" ENABLE);
}

/* It was told nothing, so that there is nothing to forget. */
Test(vhost_user_agree, n25_another_one_after_features_ok_has_nothing_to_forget)
{
	use_one_with(1u << VHOST_USER_PROTOCOL_F_RESET_DEVICE);
	cr_assert_eq(agree(), 0, "%s", error_text());
	another_comes();
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	fake_back_end_clear(&vu.back);
	forget();
	usleep(20000);
	fake_back_end_expect(&vu.back, "");
}

Test(vhost_user_agree, n25_while_there_is_none_features_stand_and_the_next_is_told)
{
	use_one();
	fake_back_end_hang_up(&vu.back, true);
	cr_assert(vu_pump_until(vu_is_gone));
	cr_assert_eq(agree(), 0, "%s", error_text());
	vhost_rig_start(&vu.rig);
	fake_back_end_return(&vu.back);
	cr_assert(vu_pump_until(vu_is_connected));
	cr_assert(fake_back_end_saw(&vu.back, "SET_STATUS b\nGET_STATUS\n" LADDER));
	cr_assert_eq(vu.rig.n_fails, 0);
}

Test(vhost_user_agree, n25_one_that_hangs_up_at_features_ok_is_waited_for)
{
	use_one();
	fault_in(2, BACK_END_HANGS_UP);
	cr_assert_eq(agree(), 0, "%s", error_text());
	atomic_store(&vu.back.fail_at, 0);
	vhost_rig_start(&vu.rig);
	cr_assert(vu_pump_until(vu_is_gone));
	cr_assert(vu_pump_until(vu_is_connected));
	cr_assert(fake_back_end_saw(&vu.back, "SET_STATUS b\nGET_STATUS\n" LADDER));
	cr_assert_eq(vu.rig.n_fails, 0);
}

Test(vhost_user_agree, n25_an_answer_that_makes_no_sense_is_no_yes)
{
	use_one();
	fault_in(4, BACK_END_SAYS_GARBAGE);
	cr_assert_eq(agree(), -EPROTO);
	cr_assert_str_eq(error_text(), "the back end's answer to VHOST_USER_GET_STATUS makes no "
				       "sense");
	error_clear();
	cr_assert(vu_pump_until(vu_is_gone));
}
