/*
 * The vhost-user datapath before a fake back end: what it says, in which order, what it makes of
 * answers that are wrong, late or missing.  How it outlives one is vhost_user_return_test.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "tests/support/vhost_user_rig.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

TestSuite(vhost_user, .init = vu_setup, .fini = vu_teardown, .timeout = 60);

static const char agreement[] = "GET_FEATURES\n"
				"GET_PROTOCOL_FEATURES\n"
				"SET_PROTOCOL_FEATURES 229\n"
				"GET_QUEUE_NUM\n"
				"SET_OWNER\n"
				"SET_BACKEND_REQ_FD\n";

enum { SILENCE_MS = 100 };

#define RING(i, base) "SET_VRING_NUM " i ": 16\nSET_VRING_BASE " i ": " base "\n"		   \
		      "SET_VRING_ADDR " i "\nSET_VRING_ERR " i ": fd\nSET_VRING_CALL " i ": fd\n"  \
		      "SET_VRING_KICK " i ": fd\n"
#define ENABLE(i) "SET_VRING_ENABLE " i ": 1\n"
#define STOP(i) "SET_VRING_ENABLE " i ": 0\nGET_VRING_BASE " i "\n"

/* --- the usual way --------------------------------------------------------------------------- */

Test(vhost_user, says_everything_in_order)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	vu.back.line[vu.back.n_lines - 1][0] = 0;
	vu.back.n_lines--;
	fake_back_end_expect(&vu.back, agreement);
}

Test(vhost_user, climbs_the_ladder_and_comes_down)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	fake_back_end_clear(&vu.back);
	vhost_rig_start(&vu.rig);
	/* N17: bit 30 is between the two; the driver took bit 32. */
	fake_back_end_expect(&vu.back, "SET_FEATURES 140000000\n"
				    "SET_MEM_TABLE 2, fds 2\n"
				    RING("0", "0") RING("1", "0") ENABLE("0") ENABLE("1"));
	cr_assert(fd_drain(vu.rig.kick[0]), "what came before is looked at");
	vhost_rig_stop(&vu.rig);
	fake_back_end_expect(&vu.back, STOP("0") STOP("1"));
	cr_assert_eq(vu.rig.n_fails, 0);
}

Test(vhost_user, goes_without_what_a_back_end_lacks)
{
	struct vhost_user_config config = vu_config();

	vu.back.protocol = 0;
	config.config_len = 0;
	vu_use(&config);
	fake_back_end_expect(&vu.back, "GET_FEATURES\n"
				    "GET_PROTOCOL_FEATURES\n"
				    "SET_PROTOCOL_FEATURES 0\n"
				    "SET_OWNER\n");
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
}

Test(vhost_user, tells_the_status_where_it_may)
{
	const struct vhost_user_config config = vu_config();

	vu.back.protocol |= 1u << VHOST_USER_PROTOCOL_F_STATUS;
	vu_use(&config);
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	fake_back_end_clear(&vu.back);
	vhost_rig_start(&vu.rig);
	fake_back_end_expect(&vu.back, "SET_STATUS 3\n"
				    "SET_FEATURES 140000000\n"
				    "SET_STATUS b\n"
				    "GET_STATUS\n"
				    "SET_MEM_TABLE 2, fds 2\n"
				    RING("0", "0") RING("1", "0")
				    "SET_STATUS f\n"
				    ENABLE("0") ENABLE("1"));
	vhost_rig_stop(&vu.rig);
	fake_back_end_expect(&vu.back, STOP("0") STOP("1") "SET_STATUS 0\n");
}

Test(vhost_user, resets_the_device_where_it_may)
{
	const struct vhost_user_config config = vu_config();

	vu.back.protocol |= 1u << VHOST_USER_PROTOCOL_F_RESET_DEVICE;
	vu_use(&config);
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	fake_back_end_clear(&vu.back);
	vhost_rig_stop(&vu.rig);
	fake_back_end_expect(&vu.back, STOP("0") STOP("1") "RESET_DEVICE\n");
}

/* N13, N17, N18: known bits only, no host-internal ones. */
Test(vhost_user, offers_what_both_know)
{
	const struct vhost_user_config config = vu_config();

	vu.back.features = UINT64_MAX;
	vu_use(&config);
	const struct features f = vhost_user_offered(vu.rig.dp);

	cr_assert(features_has(&f, VIRTIO_BLK_F_FLUSH));
	cr_assert(features_has(&f, VIRTIO_F_VERSION_1));
	cr_assert_not(features_has(&f, VHOST_USER_F_PROTOCOL_FEATURES));
	cr_assert_not(features_has(&f, VHOST_F_LOG_ALL));
	cr_assert_not(features_has(&f, VIRTIO_F_ACCESS_PLATFORM));
	cr_assert_not(features_has(&f, VIRTIO_F_RING_PACKED));
	cr_assert_not(features_has(&f, VIRTIO_BLK_F_ZONED));
	cr_assert_not(features_has(&f, 63));
}

Test(vhost_user, rings_go_one_by_one)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vu.rig.queue[1].enabled = false;
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 0: 1"));
	fake_back_end_clear(&vu.back);
	vu.rig.queue[1].enabled = true;
	cr_assert_eq(vu.rig.dp->ops->start_queue(vu.rig.dp, &vu.rig.start, 1), 0, "%s",
		     error_text());
	/* What runs is stopped first, and goes on where it was. */
	fake_back_end_expect(&vu.back, STOP("0") RING("1", "0")
			     "SET_VRING_BASE 0: 0\nSET_VRING_ERR 0: fd\nSET_VRING_CALL 0: fd\n"
			     "SET_VRING_KICK 0: fd\n" ENABLE("0") ENABLE("1"));
	vu.rig.dp->ops->prepare_stop(vu.rig.dp, 0);
	while (!vu.rig.dp->ops->can_stop(vu.rig.dp, 0))
		usleep(1000);
	vu.rig.dp->ops->stop_queue(vu.rig.dp, 0);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	cr_assert_eq(vu.back.ring[0].enabled, 0);
	cr_assert_eq(vu.back.ring[1].enabled, 1);
}

/* A disk takes as long as it takes; the driver's register write does not. */
Test(vhost_user, a_stop_is_waited_for_without_a_wait)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	vu.back.base_waits = true;
	uint64_t before = clock_now_ms();

	vu.rig.dp->ops->prepare_stop(vu.rig.dp, 0);
	vu.rig.dp->ops->prepare_stop(vu.rig.dp, 1);
	cr_assert_not(vu.rig.dp->ops->can_stop(vu.rig.dp, 0));
	cr_assert_lt(clock_now_ms() - before, 50);
	usleep(150000);
	cr_assert_not(vu.rig.dp->ops->can_stop(vu.rig.dp, 0));
	atomic_store(&vu.back.base_may, true);
	for (unsigned i = 0; i < 1000 && !vu.rig.dp->ops->can_stop(vu.rig.dp, 0); i++)
		usleep(1000);
	cr_assert(vu.rig.dp->ops->can_stop(vu.rig.dp, 0));
	vhost_rig_stop(&vu.rig);
	cr_assert_eq(vu.rig.n_fails, 0);
}

/* What it has taken and not answered keeps the rings busy, whatever it says of its stop. */
Test(vhost_user, a_back_end_that_answers_late_is_not_stopped_yet)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	vu.back.ring[0].base = 1;
	vu.rig.dp->ops->suspend(vu.rig.dp);
	for (unsigned i = 0; i < 50; i++, usleep(1000))
		cr_assert_not(vu.rig.dp->ops->is_quiet(vu.rig.dp));
	uint8_t *used = fake_machine_driver_at(vu.rig.machine, vu.rig.queue[0].device, 4);

	store_le16(used + 2, 1);
	cr_assert(vu.rig.dp->ops->is_quiet(vu.rig.dp));
	vu.rig.dp->ops->resume(vu.rig.dp);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_BASE 0: 1"));
}

/* --- configuration space --------------------------------------------------------------------- */

static bool has_changed(void)
{
	return vu.n_changes > 0;
}

Test(vhost_user, a_change_of_the_configuration_is_heard_of)
{
	const struct vhost_user_config config = vu_config();
	uint8_t bytes[8] = { 0 };

	vu_use(&config);
	vhost_user_read_config(vu.rig.dp, bytes, sizeof(bytes));
	cr_assert_eq(load_le64(bytes), 2048);
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	store_le64(vu.back.config, 4096);
	fake_back_end_announce(&vu.back, NULL, 0);
	cr_assert(vu_pump_until(has_changed));
	cr_assert_eq(load_le64(vu.changed_to), 4096);
	/* Nothing new is no news. */
	fake_back_end_announce(&vu.back, NULL, 0);
	loop_pump_for(vu.rig.machine->m.main_loop, 50);
	cr_assert_eq(vu.n_changes, 1);
}

/* Each time it is asked the main loop has the machine lock, and waits. */
Test(vhost_user, news_without_end_leaves_time_for_others)
{
	const struct vhost_user_config config = vu_config();
	uint64_t begin, waited = 0;

	vu_use(&config);
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	vu.back.config_ms = 40;
	begin = clock_now_ms();
	while (clock_now_ms() - begin < 600) {
		uint64_t turn = clock_now_ms();
		fake_back_end_announce(&vu.back, NULL, 0);
		loop_pump(vu.rig.machine->m.main_loop);
		waited += clock_now_ms() - turn;
		usleep(5000);
	}
	cr_assert_lt(waited, 300);
	/* What it said last is not lost. */
	store_le64(vu.back.config, 4096);
	fake_back_end_announce(&vu.back, NULL, 0);
	cr_assert(vu_pump_until(has_changed));
	cr_assert_eq(load_le64(vu.changed_to), 4096);
}

Test(vhost_user, news_that_comes_while_it_stops_is_looked_at_later)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vhost_rig_start(&vu.rig);
	cr_assert(fake_back_end_saw(&vu.back, "SET_VRING_ENABLE 1: 1"));
	vu.back.base_waits = true;
	vu.rig.dp->ops->suspend(vu.rig.dp);
	store_le64(vu.back.config, 4096);
	fake_back_end_announce(&vu.back, NULL, 0);
	loop_pump_for(vu.rig.machine->m.main_loop, 30);
	cr_assert_eq(vu.n_changes, 0);
	atomic_store(&vu.back.base_may, true);
	while (!vu.rig.dp->ops->is_quiet(vu.rig.dp))
		usleep(1000);
	cr_assert(vu_pump_until(has_changed));
	cr_assert_eq(load_le64(vu.changed_to), 4096);
	vu.rig.dp->ops->resume(vu.rig.dp);
}

Test(vhost_user, garbage_on_the_channel_ends_it)
{
	const struct vhost_user_config config = vu_config();
	uint8_t garbage[40];

	memset(garbage, 0xff, sizeof(garbage));
	vu_use(&config);
	cr_assert(fake_back_end_saw(&vu.back, "GET_CONFIG"));
	fake_back_end_announce(&vu.back, garbage, sizeof(garbage));
	loop_pump_for(vu.rig.machine->m.main_loop, 50);
	cr_assert(vu_is_connected(), "the rest works");
	vhost_rig_start(&vu.rig);
}

Test(vhost_user, what_the_driver_writes_is_told)
{
	const struct vhost_user_config config = vu_config();
	const uint8_t one = 1;

	vu_use(&config);
	cr_assert_eq(vhost_user_write_config(vu.rig.dp, 32, &one, 1), 0);
	cr_assert(fake_back_end_saw(&vu.back, "SET_CONFIG 32: 1 bytes, 1"));
	cr_assert_eq(vhost_user_write_config(vu.rig.dp, VU_CONFIG_LEN, &one, 1), -EINVAL);
	error_clear();
	/* And to the next one, too. */
	fake_back_end_hang_up(&vu.back, false);
	fake_back_end_clear(&vu.back);
	cr_assert(vu_pump_until(vu_is_gone) && vu_pump_until(vu_is_connected));
	cr_assert(fake_back_end_saw(&vu.back, "SET_CONFIG 32: 1 bytes, 1"));
}

/* --- what cannot be -------------------------------------------------------------------------- */

static void expect_refusal(const struct vhost_user_config *config, int r, const char *text)
{
	struct datapath *dp;
	bool found = false;
	struct error_chain chain;

	cr_assert_eq(vhost_user_create(&dp, config), r, "%s", error_text());
	error_save(&chain);
	for (unsigned i = 0; i < chain.n; i++)
		found |= strstr(chain.line[i], text) != NULL;
	cr_assert(found, "'%s' in: %s", text, error_text());
	error_clear();
}

Test(vhost_user, says_why_there_is_none)
{
	struct vhost_user_config config = vu_config();

	config.n_rings = FAKE_BACK_END_RINGS + 1;
	expect_refusal(&config, -EINVAL, "has 4 queues, not 5");
	config.n_rings = 2;
	vu.back.features &= ~(UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES);
	expect_refusal(&config, -EOPNOTSUPP, "no protocol features");
	vu.back.features |= UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES;
	vu.back.protocol = 0;
	expect_refusal(&config, -EOPNOTSUPP, "no configuration space");
	vu.back.protocol = 1u << VHOST_USER_PROTOCOL_F_CONFIG;
	vu.back.config_len = 8;
	expect_refusal(&config, -EREMOTEIO, "refuses VHOST_USER_GET_CONFIG");
	config.path = "/nonexistent/vireo";
	expect_refusal(&config, -ENOENT, "connect to '/nonexistent/vireo'");
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	config.path = path;
	expect_refusal(&config, -ENAMETOOLONG, "connect to");
}

Test(vhost_user, one_that_serves_another_is_not_waited_for_long)
{
	const struct vhost_user_config config = vu_config();
	uint64_t before = clock_now_ms();

	atomic_store(&vu.back.deaf, true);
	usleep(30000);
	expect_refusal(&config, -ETIMEDOUT, "did not answer VHOST_USER_GET_FEATURES in time");
	cr_assert_lt(clock_now_ms() - before, VU_QUICK_MS + 500);
}

Test(vhost_user, memory_that_cannot_be_given_is_not_used)
{
	const struct vhost_user_config config = vu_config();

	vu_use(&config);
	vu.rig.machine->m.memory.is_private = true;
	cr_assert_eq(vu.rig.dp->ops->start(vu.rig.dp, &vu.rig.start), -EOPNOTSUPP);
	error_clear();
	cr_assert_not(vu.rig.dp->is_started);
}

/* --- a back end that does wrong -------------------------------------------------------------- */

/*
 * Everything that is ever said, with message 'n' answered wrong.  Returns whether it was reached.
 */
static bool live_with_fault(enum fake_back_end_fault fault, unsigned n)
{
	struct vhost_user_config config = vu_config();
	const uint8_t one = 1;
	struct datapath *dp;
	uint64_t before;

	/* Each message that nobody answers is waited for; how long does not matter here. */
	if (fault == BACK_END_IS_SILENT)
		config.first_ms = config.patience_ms = SILENCE_MS;

	vu.back.fault = fault;
	vu.back.n_messages = 0;
	atomic_store(&vu.back.fail_at, n);
	before = clock_now_ms();
	if (vhost_user_create(&dp, &config) < 0) {
		cr_assert(error_errno() != 0);
		error_clear();
		cr_assert_lt(clock_now_ms() - before, VU_QUICK_MS + 1000);
		return true;
	}
	vhost_rig_use(&vu.rig, dp);
	before = clock_now_ms();
	if (dp->ops->start(dp, &vu.rig.start) < 0) {
		cr_assert(error_errno() != 0);
		error_clear();
	} else {
		(void)!vhost_user_write_config(dp, 32, &one, 1);
	}
	cr_assert_lt(clock_now_ms() - before, VHOST_USER_PATIENCE_MS + 1000);
	dp->ops->suspend(dp);
	before = clock_now_ms();
	while (!dp->ops->is_quiet(dp) && clock_now_ms() - before < 50)
		usleep(1000);
	if (dp->ops->is_quiet(dp))
		dp->ops->resume(dp);
	loop_pump(vu.rig.machine->m.main_loop);
	before = clock_now_ms();
	dp->ops->stop(dp);
	cr_assert_lt(clock_now_ms() - before, 4000);
	loop_pump(vu.rig.machine->m.main_loop);
	dp->ops->destroy(dp);
	vu.rig.dp = NULL;
	return vu.back.n_messages >= n;
}

/* Wherever it happens: an end in time, a reason, and nothing left behind. */
static void sweep(enum fake_back_end_fault fault, unsigned protocol)
{
	unsigned n_fds, n = 1;

	vu.back.protocol |= protocol;
	live_with_fault(BACK_END_FINE, 0);
	fake_back_end_hang_up(&vu.back, false);
	n_fds = vu_count_fds();
	while (live_with_fault(fault, n)) {
		fake_back_end_hang_up(&vu.back, false);
		cr_assert_eq(vu_count_fds(), n_fds, "fault %d at message %u", fault, n);
		fake_back_end_clear(&vu.back);
		n++;
	}
	cr_assert_gt(n, 20, "fault %d", fault);
}

#define SWEEP(name, fault)								\
	Test(vhost_user, name)								\
	{										\
		sweep(fault, 1u << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD |		\
			     1u << VHOST_USER_PROTOCOL_F_STATUS);			\
	}
SWEEP(may_hang_up_anywhere, BACK_END_HANGS_UP)
SWEEP(may_hang_up_halfway_anywhere, BACK_END_HANGS_UP_HALFWAY)
SWEEP(may_fall_silent_anywhere, BACK_END_IS_SILENT)
SWEEP(may_say_garbage_anywhere, BACK_END_SAYS_GARBAGE)
SWEEP(may_say_too_much_anywhere, BACK_END_SAYS_TOO_MUCH)
SWEEP(may_say_too_little_anywhere, BACK_END_SAYS_TOO_LITTLE)
SWEEP(may_answer_another_question_anywhere, BACK_END_ANSWERS_ANOTHER)
SWEEP(may_ask_back_anywhere, BACK_END_ASKS_BACK)
SWEEP(may_send_descriptors_anywhere, BACK_END_SENDS_FDS)
SWEEP(may_send_too_many_descriptors_anywhere, BACK_END_SENDS_MANY_FDS)
SWEEP(may_dribble_anywhere, BACK_END_DRIBBLES)
SWEEP(may_refuse_anywhere, BACK_END_REFUSES)
