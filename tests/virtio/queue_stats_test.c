/* What is counted at a queue, and that nothing of it is lost or counted twice. */
#include "virtio/queue_stats.h"

#include <criterion/criterion.h>
#include <unistd.h>

#include "tests/support/echo_rig.h"
#include "tests/support/queue_rig.h"
#include "vmm/base/cycles.h"

enum { AREAS = 0x1000, DATA = 0x40000, SIZE = 8 };

static void settle_clock(void)
{
	cycles_begin();
	while (cycles_rate() == 0)
		;
}

Test(queue_stats, a_time_goes_into_the_bucket_of_its_power_of_two)
{
	static const struct {
		uint64_t ns;
		unsigned bucket;
	} rows[] = {
		{ 1, 1 }, { 2, 2 }, { 3, 2 }, { 4, 3 }, { 1023, 10 }, { 1024, 11 },
		{ (UINT64_C(1) << 38) - 1, 38 }, { UINT64_C(1) << 38, 39 }, { UINT64_MAX / 4, 39 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct queue_stats s = { 0 };

		queue_stats_time(&s, rows[i].ns);
		cr_expect_eq(s.bucket[rows[i].bucket], 1, "%llu ns", (unsigned long long)rows[i].ns);
		cr_expect_eq(s.min_ns, rows[i].ns);
		cr_expect_eq(s.max_ns, rows[i].ns);
	}
}

Test(queue_stats, sums_keep_extremes_and_add_the_rest)
{
	struct queue_stats a = { 0 }, b = { 0 }, none = { 0 }, sum = { 0 };

	queue_stats_time(&a, 500);
	queue_stats_time(&b, 20);
	queue_stats_time(&b, 90000);
	a.requests = 3;
	b.requests = 4;
	queue_stats_sum(&sum, &a);
	queue_stats_sum(&sum, &none);
	queue_stats_sum(&sum, &b);
	cr_expect_eq(sum.n_timed, 3);
	cr_expect_eq(sum.sum_ns, 90520);
	cr_expect_eq(sum.min_ns, 20, "a queue that timed nothing has no minimum");
	cr_expect_eq(sum.max_ns, 90000);
	cr_expect_eq(sum.requests, 7);
}

static void count_on(enum fake_layout layout, struct features features)
{
	const struct fake_buf buf[] = { { DATA, 16, false }, { DATA + 64, 100, true } };
	struct queue_rig rig;
	struct queue_stats *s;
	uint32_t id, len;

	settle_clock();
	queue_rig_init(&rig);
	queue_rig_make(&rig, layout, SIZE, features, AREAS);
	s = virtqueue_stats(rig.q);
	for (unsigned i = 0; i < 2 * QUEUE_STATS_SAMPLE; i++) {
		fake_ring_add(&rig.ring, buf, 2);
		struct chain c = queue_rig_pop(&rig);

		cr_assert_eq(queue_stats_in_flight(s), 1);
		virtqueue_unpop(rig.q, &c);
		cr_assert_eq(queue_stats_in_flight(s), 0);
		c = queue_rig_pop(&rig);
		/* More than the driver has room for is never told, and never counted. */
		virtqueue_push(rig.q, c.head, i == 0 ? 1000 : 7);
		virtqueue_flush(rig.q);
		cr_assert(fake_ring_reap(&rig.ring, &id, &len));
	}
	cr_expect_eq(s->requests, 2 * QUEUE_STATS_SAMPLE);
	cr_expect_eq(s->chains, 2 * QUEUE_STATS_SAMPLE);
	cr_expect_eq(s->bytes_out, 16 * 2 * QUEUE_STATS_SAMPLE);
	cr_expect_eq(s->bytes_in, 100 + 7 * (2 * QUEUE_STATS_SAMPLE - 1));
	cr_expect_eq(s->calls + s->calls_saved, 2 * QUEUE_STATS_SAMPLE);
	cr_expect_gt(s->n_timed, 0u);
	cr_expect_leq(s->min_ns, s->max_ns);
	cr_expect_geq(s->sum_ns, s->max_ns);
	uint64_t in_buckets = 0;

	for (unsigned i = 0; i < QUEUE_STATS_BUCKETS; i++)
		in_buckets += s->bucket[i];
	cr_expect_eq(in_buckets, s->n_timed);
	queue_rig_fini(&rig);
}

Test(queue_stats, of_each_layout_are_right)
{
	struct features in_order = FEATURES_EMPTY;

	features_add(&in_order, VIRTIO_F_IN_ORDER);
	count_on(FAKE_SPLIT, FEATURES_EMPTY);
	count_on(FAKE_PACKED, FEATURES_EMPTY);
	count_on(FAKE_SPLIT, in_order);
	count_on(FAKE_PACKED, in_order);
}

/* What is measured is the time from pop to push, in nanoseconds. */
Test(queue_stats, a_slow_request_is_seen_to_be_slow)
{
	const struct fake_buf buf = { DATA, 16, true };
	struct queue_rig rig;

	settle_clock();
	queue_rig_init(&rig);
	queue_rig_make(&rig, FAKE_SPLIT, SIZE, FEATURES_EMPTY, AREAS);
	fake_ring_add(&rig.ring, &buf, 1);
	struct chain c = queue_rig_pop(&rig);

	usleep(20000);
	queue_rig_use(&rig, &c, 16);
	cr_expect_eq(virtqueue_stats(rig.q)->n_timed, 1);
	cr_expect_geq(virtqueue_stats(rig.q)->min_ns, 19000000u);
	cr_expect_lt(virtqueue_stats(rig.q)->max_ns, 10000000000u);
	queue_rig_fini(&rig);
}

static struct queue_stats stats_of(struct echo_rig *rig, unsigned queue)
{
	struct datapath *dp = rig->dev->part[0].datapath;
	struct queue_stats sum = { 0 };

	dp->ops->stats(dp, queue, &sum);
	return sum;
}

OVER_ALL(queue_stats, outlive_a_reset_of_the_device)
{
	echo_rig_start(rig);
	for (unsigned i = 0; i < 5; i++)
		echo_rig_round_trip(rig, 1);
	struct queue_stats now = stats_of(rig, 0);

	cr_expect_eq(now.requests, 0);
	now = stats_of(rig, 1);
	cr_expect_eq(now.requests, 5);
	cr_expect_geq(now.kicks, 5u);
	/* One is out when the driver resets. */
	rig->echo->hold = true;
	echo_rig_ask(rig, 1);
	fake_driver_kick(&rig->driver, 1);
	echo_rig_pump(rig);
	now = stats_of(rig, 1);
	cr_expect_eq(queue_stats_in_flight(&now), 1);
	rig->echo->hold = false;
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 1);
	now = stats_of(rig, 1);
	cr_expect_eq(now.requests, 6);
	cr_expect_eq(queue_stats_in_flight(&now), 0);
	echo_rig_break_ring(rig, 1);
	now = stats_of(rig, 1);
	cr_expect_eq(now.broken, 1);
	now = stats_of(rig, ECHO_QUEUES + 9);
	cr_expect_eq(now.kicks, 0, "no such queue");
}
