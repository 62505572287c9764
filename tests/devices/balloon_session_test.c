/* The balloon's statistics and hinting, as its driver and the host see them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/balloon_device.h"
#include "tests/support/balloon_rig.h"
#include "vmm/base/error.h"

enum {
	STATS_Q = 2, HINT_Q = 3, REPORT_Q = 4, ALL_Q = 0x1f,
	LONG_MS = 3600 * 1000,
};

static struct balloon_rig r;

static void plug(uint64_t period_ms, bool hint_at_start)
{
	balloon_rig_create(&r, (struct virtio_balloon_config){
		.stats = true, .stats_period_ms = period_ms,
		.hinting = true, .hint_at_start = hint_at_start, .reporting = true,
	}, FAKE_MMIO);
}

static void start(void)
{
	balloon_rig_start(&r, F_STATS | F_HINT | F_REPORT, ALL_Q);
}

static void teardown(void)
{
	balloon_rig_destroy(&r);
}

TestSuite(balloon_session, .fini = teardown);

/* --- Statistics ------------------------------------------------------------------------------ */

/* A buffer with one entry. */
static void put_stat(uint16_t tag, uint64_t value)
{
	uint8_t entry[BALLOON_STAT_SIZE];

	memcpy(entry, &tag, 2);
	memcpy(entry + 2, &value, 8);
	balloon_rig_put(&r, STATS_Q, entry, sizeof(entry));
}

static struct balloon_stats stats(void)
{
	struct balloon_stats s;

	virtio_balloon_stats(r.dev, &s);
	return s;
}

static void await_sequence(uint64_t sequence)
{
	for (unsigned i = 0; i < 20000 && stats().sequence < sequence; i++)
		usleep(100);
	cr_assert_eq(stats().sequence, sequence);
}

/* covers: BALLOON-STATS-04, BALLOON-STATS-08, BALLOON-OP-08 */
Test(balloon_session, a_buffer_is_held_until_the_host_asks)
{
	plug(LONG_MS, false);
	start();
	virtio_balloon_poll(r.dev);
	cr_expect(device_rig_is_quiet(&r.rig, STATS_Q), "there is none yet");
	for (unsigned i = 1; i <= 3; i++) {
		put_stat(BALLOON_STAT_MEMFREE, 1000 + i);
		await_sequence(i);
		cr_expect_eq(stats().present, 1u << BALLOON_STAT_MEMFREE);
		cr_expect_eq(stats().value[BALLOON_STAT_MEMFREE], 1000 + i);
		if (i == 1)
			cr_expect(device_rig_is_quiet(&r.rig, STATS_Q));
		virtio_balloon_poll(r.dev);
		cr_expect_eq(device_rig_wait(&r.rig, STATS_Q, NULL), 0);
		virtio_balloon_poll(r.dev);
	}
	cr_expect(device_rig_is_quiet(&r.rig, STATS_Q), "one answer for each");
}

Test(balloon_session, the_timer_asks_by_itself)
{
	plug(5, false);
	start();
	for (unsigned i = 1; i <= 5; i++) {
		put_stat(BALLOON_STAT_MEMTOT, i);
		cr_expect_eq(device_rig_wait(&r.rig, STATS_Q, NULL), 0);
		cr_expect_eq(stats().value[BALLOON_STAT_MEMTOT], i);
	}
}

Test(balloon_session, without_a_period_only_the_host_asks)
{
	plug(0, false);
	start();
	put_stat(BALLOON_STAT_MEMTOT, 1);
	await_sequence(1);
	cr_expect(device_rig_is_quiet(&r.rig, STATS_Q));
	virtio_balloon_poll(r.dev);
	cr_expect_eq(device_rig_wait(&r.rig, STATS_Q, NULL), 0);
}

/* covers: BALLOON-STATS-07 */
Test(balloon_session, odd_statistics_buffers_are_tolerated)
{
	uint8_t junk[4096];

	memset(junk, 0xff, sizeof(junk));
	plug(LONG_MS, false);
	start();
	/* A second one waits its turn behind the one that is held. */
	put_stat(BALLOON_STAT_MAJFLT, 1);
	put_stat(BALLOON_STAT_MAJFLT, 2);
	await_sequence(1);
	cr_expect_eq(stats().value[BALLOON_STAT_MAJFLT], 1);
	virtio_balloon_poll(r.dev);
	cr_expect_eq(device_rig_wait(&r.rig, STATS_Q, NULL), 0);
	await_sequence(2);
	cr_expect_eq(stats().value[BALLOON_STAT_MAJFLT], 2);
	cr_expect(device_rig_is_quiet(&r.rig, STATS_Q));
	/* Large, with a rest, empty, writable. */
	balloon_rig_put(&r, STATS_Q, junk, sizeof(junk));
	balloon_rig_put(&r, STATS_Q, junk, 19);
	device_rig_add(&r.rig, STATS_Q, &(struct fake_buf){ MIB(1), 0, false }, 1);
	device_rig_add(&r.rig, STATS_Q, &(struct fake_buf){ MIB(1), 64, true }, 1);
	for (unsigned i = 3; i <= 6; i++) {
		virtio_balloon_poll(r.dev);
		cr_expect_eq(device_rig_wait(&r.rig, STATS_Q, NULL), 0);
		await_sequence(i);
		cr_expect_eq(stats().present, 0);
	}
}

/* covers: BALLOON-STATS-08 */
Test(balloon_session, a_reset_forgets_the_held_buffer)
{
	plug(LONG_MS, false);
	start();
	put_stat(BALLOON_STAT_MAJFLT, 1);
	await_sequence(1);
	fake_driver_reset(&r.rig.driver);
	virtio_balloon_poll(r.dev);
	start();
	cr_expect_eq(stats().present, 0, "the last driver's values");
	virtio_balloon_poll(r.dev);
	cr_expect(device_rig_is_quiet(&r.rig, STATS_Q));
	put_stat(BALLOON_STAT_MAJFLT, 3);
	await_sequence(2);
	cr_expect_eq(stats().value[BALLOON_STAT_MAJFLT], 3);
	virtio_balloon_poll(r.dev);
	cr_expect_eq(device_rig_wait(&r.rig, STATS_Q, NULL), 0);
}

/* While one is held the loop may poll for others: nothing is in flight. */
Test(balloon_session, a_held_buffer_does_not_count_as_in_flight)
{
	plug(LONG_MS, false);
	start();
	const struct virtio_balloon *b = container_of(r.dev, struct virtio_balloon, dev);
	put_stat(BALLOON_STAT_MAJFLT, 1);
	await_sequence(1);
	cr_expect(device_rig_is_quiet(&r.rig, STATS_Q));
	cr_expect_eq(virtqueue_in_flight(b->poll.q), 0);
}

/* The driver without VERSION_1 that no modern transport lets in yet.  covers: BALLOON-LEGACY-06 */
Test(balloon_session, the_first_statistics_of_a_legacy_driver_are_ignored)
{
	struct features f;

	plug(LONG_MS, false);
	r.dev->negotiation.required = FEATURES_EMPTY;
	f = fake_driver_offered(&r.rig.driver);
	features_remove(&f, VIRTIO_F_VERSION_1);
	device_rig_start(&r.rig, f, 5);
	put_stat(BALLOON_STAT_MAJFLT, 1);
	usleep(5000);
	virtio_balloon_poll(r.dev);
	cr_expect_eq(device_rig_wait(&r.rig, STATS_Q, NULL), 0);
	cr_expect_eq(stats().sequence, 0);
	put_stat(BALLOON_STAT_MAJFLT, 2);
	await_sequence(1);
	cr_expect_eq(stats().value[BALLOON_STAT_MAJFLT], 2);
}

static void set_up(unsigned queue)
{
	struct fake_driver *d = &r.rig.driver;

	fake_driver_init_ring(d, &r.rig.ring[queue], RIG_QUEUE_SIZE,
			      device_rig_alloc(&r.rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE)));
	fake_driver_set_queue(d, queue, &r.rig.ring[queue]);
}

/* A legacy driver that uses a queue before it has set up the next.  N21 */
Test(balloon_session, n21_a_queue_that_comes_late_has_its_role)
{
	struct features f = FEATURES_EMPTY;
	uint32_t frame = 0;

	balloon_rig_create(&r, (struct virtio_balloon_config){ .stats = true }, FAKE_MMIO_LEGACY);
	features_add(&f, VIRTIO_BALLOON_F_STATS_VQ);
	cr_assert(fake_driver_negotiate(&r.rig.driver, f));
	set_up(0);
	balloon_rig_frames(&r, 0, &frame, 1);
	set_up(1);
	set_up(STATS_Q);
	put_stat(BALLOON_STAT_MEMFREE, 1);
	fake_driver_set_status(&r.rig.driver, 7);
	cr_assert(device_rig_is_quiet(&r.rig, STATS_Q), "it is kept until the host asks");
	balloon_rig_frames(&r, 1, &frame, 1);
	virtio_balloon_poll(r.dev);
	device_rig_wait(&r.rig, STATS_Q, NULL);
	put_stat(BALLOON_STAT_MEMFREE, 4711);
	await_sequence(1);
	cr_assert_eq(stats().value[BALLOON_STAT_MEMFREE], 4711);
}

/* --- Hinting --------------------------------------------------------------------------------- */

static void command(uint32_t id)
{
	balloon_rig_send(&r, HINT_Q, &id, sizeof(id));
}

static uint32_t published(void)
{
	return (uint32_t)fake_driver_config(&r.rig.driver, BALLOON_HINT_ID, 4);
}

static uint64_t hinted(void)
{
	struct virtio_balloon_info info;

	virtio_balloon_info(r.dev, &info);
	return info.hinted;
}

/* covers: BALLOON-HINT-01, BALLOON-HINT-06, BALLOON-HINT-07, BALLOON-LEGACY-07 */
Test(balloon_session, a_hinting_session_from_start_to_done)
{
	plug(0, false);
	cr_expect_eq(published(), HINT_STOP);
	start();
	cr_expect_eq(published(), HINT_STOP, "nobody asked");
	fake_driver_take_isr(&r.rig.driver);
	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	cr_expect_eq(fake_driver_take_isr(&r.rig.driver) & 2, 2);
	uint32_t id = published();
	cr_expect_geq(id, HINT_FIRST_ID);
	uint64_t gpa = balloon_rig_pages(&r, 512);
	command(id);
	balloon_rig_report(&r, HINT_Q, gpa, 512 * PAGE);
	cr_expect_eq(hinted(), 512 * PAGE);
	cr_expect_eq(published(), id);
	command(HINT_STOP);
	balloon_rig_await(&r, BALLOON_HINT_ID, HINT_DONE);
	cr_expect_eq(hinted(), 512 * PAGE);
	/* The next driver finds no session. */
	fake_driver_reset(&r.rig.driver);
	cr_expect_eq(published(), HINT_STOP);
}

/* covers: BALLOON-HINT-04, BALLOON-HINT-05, BALLOON-HINT-08 */
Test(balloon_session, hinted_pages_keep_their_contents)
{
	plug(0, false);
	start();
	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	command(published());
	uint64_t gpa = balloon_rig_pages(&r, 64);
	balloon_rig_report(&r, HINT_Q, gpa, 64 * PAGE);
	memset(device_rig_at(&r.rig, gpa, 32 * PAGE), 0x55, 32 * PAGE);
	usleep(2000);
	cr_expect(balloon_rig_is(&r, gpa, 32, 0x55));
	command(HINT_STOP);
	balloon_rig_await(&r, BALLOON_HINT_ID, HINT_DONE);
	usleep(2000);
	cr_expect(balloon_rig_is(&r, gpa, 32, 0x55));
	cr_expect(balloon_rig_is(&r, gpa + 32 * PAGE, 32, 0xcc));
}

/* covers: BALLOON-HINT-02, BALLOON-HINT-03 */
Test(balloon_session, a_new_session_has_a_new_id_and_old_hints_do_not_count)
{
	plug(0, false);
	start();
	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	uint32_t first = published();
	command(first);
	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	uint32_t second = published();
	cr_expect_neq(first, second);
	uint64_t gpa = balloon_rig_pages(&r, 4);
	balloon_rig_report(&r, HINT_Q, gpa, 4 * PAGE);
	cr_expect_eq(hinted(), 0);
	command(HINT_STOP);
	fake_machine_pump(r.rig.machine);
	cr_expect_eq(published(), second, "the end of the first is not the end of the second");
	command(second);
	balloon_rig_report(&r, HINT_Q, gpa, 4 * PAGE);
	cr_expect_eq(hinted(), 4 * PAGE);
	cr_expect(balloon_rig_is(&r, gpa, 4, 0xcc));
}

/* covers: BALLOON-HINT-01 */
Test(balloon_session, the_host_can_stop_a_session)
{
	plug(0, false);
	start();
	virtio_balloon_end_hinting(r.dev);
	cr_expect_eq(published(), HINT_STOP, "there is none");
	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	virtio_balloon_end_hinting(r.dev);
	cr_expect_eq(published(), HINT_DONE, "the driver was not in it");
	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	command(published());
	virtio_balloon_end_hinting(r.dev);
	cr_expect_eq(published(), HINT_STOP);
	command(HINT_STOP);
	balloon_rig_await(&r, BALLOON_HINT_ID, HINT_DONE);
}

/* What the queue's thread told the main loop about is not told to a device that went. */
Test(balloon_session, it_goes_before_the_main_loop_hears_of_the_end)
{
	plug(0, false);
	start();
	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	command(published());
	command(HINT_STOP);
	device_rig_unplug(&r.rig);
	/* A sanitizer sees what the device's memory is used for, if it is. */
	fake_machine_pump(r.rig.machine);
}

/* covers: BALLOON-HINT-09 */
Test(balloon_session, malformed_hints_are_ignored)
{
	static const uint8_t bytes[8] = { 0 };

	plug(0, false);
	start();
	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	uint32_t id = published();
	command(id);
	/* None of these is the STOP that its zeros look like. */
	for (uint32_t len = 0; len <= sizeof(bytes); len++)
		if (len != 4)
			balloon_rig_send(&r, HINT_Q, bytes, len);
	fake_machine_pump(r.rig.machine);
	cr_expect_eq(published(), id);
	uint64_t gpa = balloon_rig_pages(&r, 4);
	balloon_rig_report(&r, HINT_Q, gpa + 1, PAGE);
	balloon_rig_report(&r, HINT_Q, gpa, 7);
	cr_expect_eq(hinted(), 0);
	balloon_rig_report(&r, HINT_Q, gpa + 1, 3 * PAGE);
	cr_expect_eq(hinted(), 2 * PAGE);
	/* An id in two pieces, with a page behind it. */
	uint64_t at = balloon_rig_pages(&r, 1);
	memcpy(device_rig_at(&r.rig, at, 4), &id, 4);
	struct fake_buf both[] = { { at, 1, false }, { at + 1, 3, false }, { gpa, PAGE, true } };
	device_rig_add(&r.rig, HINT_Q, both, 3);
	cr_expect_eq(device_rig_wait(&r.rig, HINT_Q, NULL), 0);
	cr_expect_eq(hinted(), 3 * PAGE);
	cr_expect(balloon_rig_is(&r, gpa, 4, 0xcc));
	command(HINT_DONE);
	command(0xffffffff);
	cr_expect_not(fake_driver_status(&r.rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
}

Test(balloon_session, a_session_needs_a_driver_that_hints)
{
	plug(0, false);
	cr_expect_eq(virtio_balloon_begin_hinting(r.dev), -EOPNOTSUPP);
	cr_expect_not_null(strstr(error_text(), "no driver"));
	balloon_rig_start(&r, F_STATS, 0x07);
	cr_expect_eq(virtio_balloon_begin_hinting(r.dev), -EOPNOTSUPP);
	start();
	cr_expect_eq(virtio_balloon_begin_hinting(r.dev), 0);
	fake_driver_reset(&r.rig.driver);
	cr_expect_eq(virtio_balloon_begin_hinting(r.dev), -EOPNOTSUPP);
}

Test(balloon_session, a_session_can_begin_with_the_driver)
{
	plug(0, true);
	cr_expect_eq(published(), HINT_STOP);
	balloon_rig_start(&r, F_STATS, 0x07);
	cr_expect_eq(published(), HINT_STOP, "this one does not hint");
	start();
	cr_expect_eq(published(), HINT_FIRST_ID);
	start();
	cr_expect_eq(published(), HINT_FIRST_ID + 1);
}
