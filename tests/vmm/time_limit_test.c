#include <criterion/criterion.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "vmm/time_limit.h"

static struct event_loop *loop;
static struct time_limit limit;
static unsigned n_passed;

static void passed(void *arg)
{
	(void)arg;
	n_passed++;
}

static void set_up(void)
{
	limit = (struct time_limit)TIME_LIMIT_INIT;
	cr_assert_eq(event_loop_create(&loop, "test"), 0);
}

static void tear_down(void)
{
	time_limit_stop(&limit);
	event_loop_destroy(loop);
}

TestSuite(time_limit, .init = set_up, .fini = tear_down, .timeout = 20);

Test(time_limit, passes_once)
{
	cr_assert_eq(time_limit_start(&limit, loop, 20, passed, NULL), 0);
	loop_pump_for(loop, 200);
	cr_assert_eq(n_passed, 1);
}

Test(time_limit, none_never_passes_nor_minds_being_held)
{
	cr_assert_eq(time_limit_start(&limit, loop, 0, passed, NULL), 0);
	time_limit_hold(&limit, true);
	time_limit_hold(&limit, false);
	loop_pump_for(loop, 50);
	cr_assert_eq(n_passed, 0);
}

Test(time_limit, stands_still_while_it_is_held)
{
	cr_assert_eq(time_limit_start(&limit, loop, 150, passed, NULL), 0);
	time_limit_hold(&limit, true);
	time_limit_hold(&limit, true);
	loop_pump_for(loop, 300);
	cr_assert_eq(n_passed, 0);
	time_limit_hold(&limit, false);
	/* It has nearly all of its time left, whatever passed in between. */
	cr_assert_gt(limit.left_ns, 1000000);
	loop_pump_for(loop, 400);
	cr_assert_eq(n_passed, 1);
}

Test(time_limit, passes_after_it_went_on_if_it_had_passed_before_it_was_held)
{
	cr_assert_eq(time_limit_start(&limit, loop, 10, passed, NULL), 0);
	usleep(50000);
	time_limit_hold(&limit, true);
	loop_pump_for(loop, 50);
	cr_assert_eq(n_passed, 0);
	time_limit_hold(&limit, false);
	loop_pump_for(loop, 100);
	cr_assert_eq(n_passed, 1);
}
