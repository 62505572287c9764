/* Calls that are put off, so that one does for several used buffers. */
#include <criterion/criterion.h>

#include "tests/support/queue_rig.h"
#include "vmm/base/fd.h"

enum { SIZE = 8, RING = 0x100000, DATA = 0x30000 };

/* Lets the call wait for 'limit' buffers. */
struct counting_hold {
	struct virtqueue_hold base;
	unsigned limit, asked, last;
};

static struct queue_rig rig;
static struct counting_hold hold;

static bool may_wait(struct virtqueue_hold *base, unsigned n)
{
	struct counting_hold *h = container_of(base, struct counting_hold, base);

	h->asked++;
	h->last = n;
	return n < h->limit;
}

static void make_queue(enum fake_layout layout, bool event_idx)
{
	struct features f = FEATURES_EMPTY;

	if (event_idx)
		features_add(&f, VIRTIO_F_EVENT_IDX);
	queue_rig_make(&rig, layout, SIZE, f, RING);
	hold = (struct counting_hold){ .base = { may_wait }, .limit = 4 };
	virtqueue_set_hold(rig.q, &hold.base);
}

static void setup(void)
{
	queue_rig_init(&rig);
}

static void teardown(void)
{
	queue_rig_fini(&rig);
}

TestSuite(call_hold, .init = setup, .fini = teardown);

/* One buffer is used, visibly, and reaped. */
static void use_one(void)
{
	struct fake_buf buf = { DATA, 16, true };
	uint16_t name = fake_ring_add(&rig.ring, &buf, 1);
	struct chain c = queue_rig_pop(&rig);

	queue_rig_use(&rig, &c, 0);
	queue_rig_expect_used(&rig, name, 0);
}

static void each(void (*test)(bool event_idx))
{
	for (unsigned layout = 0; layout < FAKE_LAYOUTS; layout++)
		for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
			make_queue(layout, event_idx);
			test(event_idx);
		}
}

static void waits(bool event_idx)
{
	(void)event_idx;
	for (unsigned lap = 0; lap < 5; lap++) {
		fake_ring_want_call(&rig.ring, 0);
		for (unsigned i = 1; i < 4; i++) {
			use_one();
			cr_assert_not(fd_drain(rig.call_fd));
			cr_assert_eq(hold.last, i);
		}
		use_one();
		cr_assert_eq(hold.last, 4);
		/* A driver that follows the event index and has seen all by itself needs none. */
		cr_assert_eq(fd_drain(rig.call_fd), true);
		virtqueue_release_call(rig.q);
		cr_assert_not(fd_drain(rig.call_fd));
	}
}

Test(call_hold, call_waits_as_long_as_it_may)
{
	each(waits);
}

static void released(bool event_idx)
{
	(void)event_idx;
	fake_ring_want_call(&rig.ring, 0);
	use_one();
	cr_assert_not(fd_drain(rig.call_fd));
	virtqueue_release_call(rig.q);
	cr_assert(fd_drain(rig.call_fd));
	virtqueue_release_call(rig.q);
	cr_assert_not(fd_drain(rig.call_fd), "once");
}

Test(call_hold, release_sends_what_was_put_off)
{
	each(released);
}

static void not_asked(bool event_idx)
{
	(void)event_idx;
	fake_ring_refuse_calls(&rig.ring);
	for (unsigned i = 0; i < 3; i++)
		use_one();
	cr_assert_eq(hold.asked, 0);
	virtqueue_release_call(rig.q);
	cr_assert_not(fd_drain(rig.call_fd));
}

/* covers: NET-CTRL-53 */
Test(call_hold, nothing_is_put_off_that_the_driver_does_not_want)
{
	each(not_asked);
}

static void refused_later(bool event_idx)
{
	fake_ring_want_call(&rig.ring, 0);
	use_one();
	cr_assert_eq(hold.asked, 1);
	if (event_idx)
		fake_ring_want_call(&rig.ring, 0);	/* it polled, and waits for the next */
	else
		fake_ring_refuse_calls(&rig.ring);
	virtqueue_release_call(rig.q);
	cr_assert_not(fd_drain(rig.call_fd));
}

/* covers: NET-CTRL-53 */
Test(call_hold, driver_that_changed_its_mind_is_not_called)
{
	each(refused_later);
}

static void bounded(bool event_idx)
{
	hold.limit = 1000;
	fake_ring_want_call(&rig.ring, 0);
	for (unsigned i = 1; i < SIZE; i++)
		use_one();
	cr_assert_not(fd_drain(rig.call_fd));
	use_one();
	cr_assert(fd_drain(rig.call_fd));
	(void)event_idx;
}

Test(call_hold, call_waits_for_no_more_than_the_queue_is_long)
{
	each(bounded);
}

static void paused(bool event_idx)
{
	struct fake_buf buf = { DATA, 16, true };
	struct chain c;

	(void)event_idx;
	fake_ring_want_call(&rig.ring, 1);
	fake_ring_add(&rig.ring, &buf, 1);
	fake_ring_add(&rig.ring, &buf, 1);
	c = queue_rig_pop(&rig);
	queue_rig_use(&rig, &c, 0);
	c = queue_rig_pop(&rig);
	queue_rig_use(&rig, &c, 0);
	cr_assert_not(fd_drain(rig.call_fd));
	virtqueue_pause(rig.q, true);
	cr_assert(fd_drain(rig.call_fd));
}

Test(call_hold, pause_sends_what_was_put_off)
{
	each(paused);
}

static void taken_off(bool event_idx)
{
	(void)event_idx;
	fake_ring_want_call(&rig.ring, 0);
	use_one();
	virtqueue_set_hold(rig.q, NULL);
	cr_assert(fd_drain(rig.call_fd));
	fake_ring_want_call(&rig.ring, 0);
	use_one();
	cr_assert(fd_drain(rig.call_fd), "at once again");
}

Test(call_hold, without_hold_calls_do_not_wait)
{
	each(taken_off);
}
