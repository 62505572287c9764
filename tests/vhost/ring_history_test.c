#include <criterion/criterion.h>
#include <string.h>

#include "vhost/ring_history.h"
#include "vmm/base/le.h"

enum { SIZE = 8 };

static uint8_t avail[4 + 2 * SIZE], used[4 + 8 * SIZE];
static uint16_t n_offered, n_answered;

static void offer(uint16_t head)
{
	store_le16(avail + 4 + 2 * (n_offered++ % SIZE), head);
	store_le16(avail + 2, n_offered);
}

static void answer(uint16_t head)
{
	store_le32(used + 4 + 8 * (n_answered++ % SIZE), head);
	store_le16(used + 2, n_answered);
}

static void setup_at(uint16_t index)
{
	memset(avail, 0xee, sizeof(avail));
	memset(used, 0xee, sizeof(used));
	n_offered = n_answered = index;
	store_le16(avail + 2, index);
	store_le16(used + 2, index);
}

static bool goes_on(uint16_t base)
{
	uint16_t at;
	bool yes = ring_history_goes_on(avail, used, SIZE, base, &at);

	cr_assert_eq(at, n_answered);
	return yes;
}

static void setup(void)
{
	setup_at(0);
}

TestSuite(ring_history, .init = setup);

Test(ring_history, a_fresh_ring_goes_on)
{
	cr_assert(goes_on(0));
	offer(3);
	offer(4);
	cr_assert(goes_on(0));
}

Test(ring_history, what_was_answered_in_order_goes_on)
{
	for (uint16_t i = 0; i < 40; i++) {
		offer(i % 3);
		if (i >= 2)
			answer((uint16_t)(i - 2) % 3);
		cr_assert(goes_on(0), "after %u", i);
	}
}

/* Of 1, 2, 3 the second is answered first: what waits is 1 and 3, and there is no such place. */
Test(ring_history, a_request_that_was_overtaken_does_not)
{
	offer(1);
	offer(2);
	offer(3);
	answer(2);
	cr_assert_not(goes_on(0));
	/* When it is answered, too, it is over. */
	answer(1);
	cr_assert(goes_on(0));
}

Test(ring_history, the_same_head_again_does_not_hide_it)
{
	offer(1);
	for (unsigned i = 0; i < 6; i++) {
		offer(2);
		answer(2);
	}
	offer(2);
	cr_assert_not(goes_on(0), "1 still waits");
}

/* What the ring remembers is enough, where it is in step half a ring ago. */
Test(ring_history, the_beginning_may_be_forgotten)
{
	setup_at(65530);
	for (unsigned i = 0; i < 200; i++) {
		offer(5);
		answer(5);
	}
	offer(6);
	cr_assert(goes_on(65530));
}

Test(ring_history, a_ring_that_is_mostly_waiting_says_too_little)
{
	for (unsigned i = 0; i < 20; i++) {
		offer(5);
		answer(5);
	}
	for (uint16_t i = 0; i < 6; i++)
		offer(i);
	cr_assert_not(goes_on(0));
}

/* It is all the guest's to write, and the back end's. */
Test(ring_history, garbage_is_refused)
{
	store_le16(avail + 2, 100);
	cr_assert_not(goes_on(0), "more waiting than there is room");
	setup();
	offer(3);
	offer(0xffff);
	answer(3);
	answer(0x7000);
	offer(1);
	cr_assert_not(goes_on(0));
	uint16_t at;

	cr_assert_not(ring_history_goes_on(avail, used, 0, 0, &at));
	cr_assert_not(ring_history_goes_on(avail, used, 6, 0, &at));
	cr_assert_not(ring_history_goes_on(avail, used, 32768, 0, &at));
}
