/* Calls that wait for packets or time. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "devices/net_coalesce.h"
#include "tests/support/loop_pump.h"
#include "tests/support/queue_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { SIZE = 64, RING = 0x100000, DATA = 0x30000, LONG_US = 100 * 1000 * 1000, SHORT_US = 2000 };

static struct queue_rig rig;
static struct event_loop *loop;
static struct net_coalesce c;

static void setup(void)
{
	queue_rig_init(&rig);
	queue_rig_make(&rig, FAKE_SPLIT, SIZE, FEATURES_EMPTY, RING);
	cr_assert_eq(event_loop_create(&loop, "io"), 0);
	net_coalesce_init(&c);
	net_coalesce_start(&c, rig.q, loop, (struct net_coalesce_params){ 0 });
}

static void teardown(void)
{
	net_coalesce_stop(&c);
	event_loop_destroy(loop);
	queue_rig_fini(&rig);
}

TestSuite(net_coalesce, .init = setup, .fini = teardown);

static void set(uint32_t max_packets, uint32_t max_usecs)
{
	struct net_coalesce_params params = { max_packets, max_usecs };

	cr_assert_eq(net_coalesce_set(&c, loop, params), 0);
	cr_assert_eq(c.params.max_packets, max_packets);
	cr_assert_eq(c.params.max_usecs, max_usecs);
}

static void use_one(void)
{
	struct fake_buf buf = { DATA, 16, true };
	uint16_t name = fake_ring_add(&rig.ring, &buf, 1);
	struct chain chain = queue_rig_pop(&rig);

	queue_rig_use(&rig, &chain, 0);
	queue_rig_expect_used(&rig, name, 0);
}

static bool is_called(void)
{
	return fd_drain(rig.call_fd);
}

/* Run the loop until the driver is called; false: it is not, in a second. */
static bool called_later(void)
{
	for (unsigned i = 0; i < 1000; i++) {
		struct pollfd pfd = { rig.call_fd, POLLIN, 0 };

		loop_pump(loop);
		if (poll(&pfd, 1, 1) == 1)
			return is_called();
	}
	return false;
}

Test(net_coalesce, off_there_is_no_timer_and_no_wait)
{
	set(0, LONG_US);
	use_one();
	cr_assert(is_called());
	set(100, 0);
	use_one();
	cr_assert(is_called());
	cr_assert_eq(c.timer.fd, FD_NONE);
}

Test(net_coalesce, call_comes_with_the_last_packet)
{
	set(4, LONG_US);
	for (unsigned lap = 0; lap < 3; lap++)
		for (unsigned i = 1; i <= 4; i++) {
			use_one();
			cr_assert_eq(is_called(), i == 4);
		}
}

Test(net_coalesce, call_comes_when_time_is_up)
{
	set(100, SHORT_US);
	for (unsigned lap = 0; lap < 3; lap++) {
		use_one();
		cr_assert_not(is_called());
		cr_assert(called_later());
	}
}

/* covers: NET-CTRL-53 */
Test(net_coalesce, timer_does_not_call_a_driver_that_does_not_want_it)
{
	set(100, SHORT_US);
	use_one();
	fake_ring_refuse_calls(&rig.ring);
	while (c.timer_runs)
		loop_pump(loop);
	cr_assert_not(is_called());
}

Test(net_coalesce, change_sends_what_was_put_off)
{
	set(10, LONG_US);
	use_one();
	cr_assert_not(is_called());
	set(5, LONG_US);
	cr_assert(is_called());
	use_one();
	cr_assert_not(is_called());
	set(0, 0);
	cr_assert(is_called());
	cr_assert_eq(c.timer.fd, FD_NONE);
}

/* A timer that was started for a long time does not hold back a short one. */
Test(net_coalesce, change_of_time_counts_from_now)
{
	set(10, LONG_US);
	use_one();
	set(10, SHORT_US);
	cr_assert(is_called());
	use_one();
	cr_assert(called_later());
}

Test(net_coalesce, stop_sends_what_was_put_off_and_forgets_the_parameters)
{
	set(10, LONG_US);
	use_one();
	net_coalesce_stop(&c);
	cr_assert(is_called());
	cr_assert_eq(c.timer.fd, FD_NONE);
	cr_assert_eq(c.params.max_packets, 0);
	net_coalesce_stop(&c);
}

Test(net_coalesce, start_applies_what_is_the_default_then)
{
	net_coalesce_stop(&c);
	net_coalesce_start(&c, rig.q, loop, (struct net_coalesce_params){ 3, LONG_US });
	use_one();
	cr_assert_not(is_called());
	cr_assert_eq(c.params.max_packets, 3);
}
