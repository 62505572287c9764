#include <criterion/criterion.h>

#include "devices/balloon_hints.h"

enum { PAGE = 4096 };

static struct balloon_hints hints;

static void fresh(void)
{
	hints = (struct balloon_hints){ 0 };
	balloon_hints_reset(&hints);
}

TestSuite(balloon_hints, .init = fresh);

/* covers: BALLOON-HINT-07, BALLOON-HINT-02 */
Test(balloon_hints, ids_begin_at_2_and_are_not_used_twice)
{
	cr_expect_eq(balloon_hints_begin(&hints), 2);
	cr_expect_eq(balloon_hints_begin(&hints), 3);
	balloon_hints_reset(&hints);
	cr_expect_eq(balloon_hints_begin(&hints), 4, "not even by the next driver");
}

/* covers: BALLOON-HINT-02 */
Test(balloon_hints, after_the_last_id_only_a_driver_that_has_stopped_gets_the_first)
{
	hints.last_id = UINT32_MAX - 1;
	cr_expect_eq(balloon_hints_begin(&hints), UINT32_MAX);
	balloon_hints_command(&hints, UINT32_MAX);
	cr_expect_eq(balloon_hints_begin(&hints), 0);
	balloon_hints_command(&hints, HINT_STOP);
	cr_expect_eq(balloon_hints_begin(&hints), 2);
}

/* covers: BALLOON-HINT-03 */
Test(balloon_hints, only_pages_of_the_session_that_counts_do)
{
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, 0, "no session");
	uint32_t id = balloon_hints_begin(&hints);
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, 0, "the driver is not in it");
	balloon_hints_command(&hints, id + 1);
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, 0, "it is in another one");
	balloon_hints_command(&hints, id);
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, PAGE);
	cr_assert_neq(balloon_hints_begin(&hints), 0);
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, PAGE, "a newer one began");
	balloon_hints_command(&hints, HINT_DONE);
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, PAGE, "1 is no session");
}

/* covers: BALLOON-HINT-09 */
Test(balloon_hints, only_whole_pages_count)
{
	balloon_hints_command(&hints, balloon_hints_begin(&hints));
	balloon_hints_page(&hints, 1, PAGE);
	balloon_hints_page(&hints, 0, PAGE - 1);
	balloon_hints_page(&hints, PAGE / 2, 0);
	cr_expect_eq(hints.bytes, 0);
	balloon_hints_page(&hints, 1, 3 * PAGE);
	cr_expect_eq(hints.bytes, 2 * PAGE);
}

/* covers: BALLOON-HINT-06 */
Test(balloon_hints, a_driver_that_stops_ends_its_session)
{
	uint32_t id = balloon_hints_begin(&hints);

	cr_expect_not(balloon_hints_command(&hints, HINT_STOP), "it is in none");
	cr_expect_not(balloon_hints_command(&hints, id));
	balloon_hints_page(&hints, 0, 3 * PAGE);
	cr_expect(balloon_hints_command(&hints, HINT_STOP));
	cr_expect(balloon_hints_settle(&hints));
	cr_expect_eq(hints.bytes, 3 * PAGE, "still there to be read");
	cr_expect_not(balloon_hints_command(&hints, HINT_STOP), "once");
	balloon_hints_command(&hints, id);
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, 0, "after DONE none counts");
}

Test(balloon_hints, the_end_of_an_older_session_is_not_the_end_of_the_newer)
{
	uint32_t id = balloon_hints_begin(&hints);

	balloon_hints_command(&hints, id);
	cr_expect_eq(balloon_hints_begin(&hints), id + 1);
	cr_expect(balloon_hints_command(&hints, HINT_STOP));
	cr_expect_not(balloon_hints_settle(&hints));
	balloon_hints_command(&hints, id + 1);
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, PAGE);
}

/* covers: BALLOON-HINT-01 */
Test(balloon_hints, the_host_stops_first_and_is_done_when_the_driver_has_stopped)
{
	uint32_t id = balloon_hints_begin(&hints);

	balloon_hints_command(&hints, id);
	cr_expect_eq(balloon_hints_end(&hints), HINT_STOP);
	balloon_hints_page(&hints, 0, PAGE);
	cr_expect_eq(hints.bytes, 0);
	cr_expect(balloon_hints_command(&hints, HINT_STOP));
	cr_expect(balloon_hints_settle(&hints));
}

Test(balloon_hints, a_session_that_no_driver_has_begun_is_done_at_once)
{
	balloon_hints_begin(&hints);
	cr_expect_eq(balloon_hints_end(&hints), HINT_DONE);
}

Test(balloon_hints, a_reset_forgets_the_session)
{
	balloon_hints_command(&hints, balloon_hints_begin(&hints));
	balloon_hints_command(&hints, HINT_STOP);
	balloon_hints_reset(&hints);
	cr_expect_not(balloon_hints_settle(&hints));
}
