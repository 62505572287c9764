/*
 * The balloon as its driver sees it: configuration, inflating, deflating.  Reporting is in
 * balloon_report_test.c, statistics and hinting in balloon_session_test.c, the choice of queues in
 * balloon_roles_test.c and balloon_numbering_test.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/balloon_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { INFLATE_Q = 0, DEFLATE_Q = 1 };

static struct balloon_rig r;

static void plug(struct virtio_balloon_config config)
{
	balloon_rig_create(&r, config, FAKE_MMIO);
}

static const struct virtio_balloon_config everything = {
	.target = MIB(8), .stats_period_ms = 0, .must_tell_host = true, .stats = true,
	.deflate_on_oom = true, .hinting = true, .poison = true, .reporting = true,
};

static void teardown(void)
{
	balloon_rig_destroy(&r);
}

TestSuite(virtio_balloon, .fini = teardown);

static uint32_t config_field(unsigned offset)
{
	return (uint32_t)fake_driver_config(&r.rig.driver, offset, 4);
}

/* --- Features and queues --------------------------------------------------------------------- */

/* covers: BALLOON-FEAT-02 */
Test(virtio_balloon, offers_exactly_what_is_configured)
{
	for (unsigned bits = 0; bits < 64; bits++) {
		plug((struct virtio_balloon_config){
			.must_tell_host = bits & F_TELL, .stats = bits & F_STATS,
			.deflate_on_oom = bits & F_OOM, .hinting = bits & F_HINT,
			.poison = bits & F_POISON, .reporting = bits & F_REPORT,
		});
		cr_expect_eq(fake_driver_offered(&r.rig.driver).word[0] & 0xffffff, bits);
		/* A driver may take any of them, or none.  covers: BALLOON-FEAT-01 */
		for (unsigned taken = 0; taken < 64; taken++)
			if ((taken & ~bits) == 0) {
				struct features f = FEATURES_EMPTY;
				features_add(&f, VIRTIO_F_VERSION_1);
				f.word[0] |= taken;
				cr_expect(fake_driver_negotiate(&r.rig.driver, f));
			}
		balloon_rig_destroy(&r);
	}
}

/* covers: BALLOON-VQ-01 */
Test(virtio_balloon, inflate_and_deflate_queues_are_always_there)
{
	plug((struct virtio_balloon_config){ 0 });
	cr_expect_gt(fake_driver_queue_max(&r.rig.driver, 0), 0);
	cr_expect_gt(fake_driver_queue_max(&r.rig.driver, 1), 0);
	cr_expect_eq(fake_driver_queue_max(&r.rig.driver, 5), 0);
	balloon_rig_start(&r, 0, 3);
	uint64_t gpa = balloon_rig_pages(&r, 1);
	balloon_rig_range(&r, INFLATE_Q, gpa, 1);
	cr_expect(balloon_rig_is(&r, gpa, 1, 0));
	balloon_rig_range(&r, DEFLATE_Q, gpa, 1);
}

/* Reports are believed on no queue of a driver that did not accept them.
 * covers: BALLOON-VQ-02, BALLOON-VQ-03, BALLOON-VQ-04, BALLOON-VQ-08 */
Test(virtio_balloon, a_queue_without_its_feature_is_inert)
{
	static const unsigned accepted[] = { 0, F_STATS, F_HINT, F_STATS | F_HINT,
					     F_TELL | F_OOM | F_POISON };

	plug(everything);
	for (unsigned i = 0; i < ARRAY_SIZE(accepted); i++) {
		balloon_rig_start(&r, accepted[i], 0x1f);
		uint64_t gpa = balloon_rig_pages(&r, 1);
		uint32_t frame = (uint32_t)(gpa / PAGE);
		for (unsigned q = 2; q < 5; q++) {
			device_rig_add(&r.rig, q, &(struct fake_buf){ gpa, PAGE, true }, 1);
			/* The statistics queue keeps its buffers; all others come back. */
			if (!(q == 2 && accepted[i] & F_STATS)) {
				cr_expect_eq(device_rig_wait(&r.rig, q, NULL), 0);
				balloon_rig_frames(&r, q, &frame, 1);
			}
		}
		cr_expect(device_rig_is_quiet(&r.rig, 2));
		cr_expect(balloon_rig_is(&r, gpa, 1, 0xcc));
		struct balloon_stats stats;
		virtio_balloon_stats(r.dev, &stats);
		cr_expect_eq(stats.present, 0);
	}
}

/* --- Configuration --------------------------------------------------------------------------- */

/* covers: BALLOON-CFG-01, BALLOON-LEGACY-03 */
Test(virtio_balloon, the_target_is_le32_in_pages_of_4k)
{
	plug((struct virtio_balloon_config){ .target = (gpa_t)0x030201 * PAGE });
	cr_expect_eq(config_field(BALLOON_NUM_PAGES), 0x030201);
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(fake_driver_config(&r.rig.driver, i, 1), (i + 1) % 4);
	cr_expect_eq(config_field(BALLOON_ACTUAL), 0);
	cr_expect_eq(config_field(BALLOON_HINT_ID), 0, "beyond what is there");
}

/* covers: BALLOON-CFG-01, BALLOON-CFG-06 */
Test(virtio_balloon, a_new_target_interrupts_the_driver)
{
	plug(everything);
	balloon_rig_start(&r, 0, 3);
	fake_driver_take_isr(&r.rig.driver);
	uint32_t generation = fake_driver_generation(&r.rig.driver);
	cr_assert_eq(virtio_balloon_set_target(r.dev, MIB(3)), 0);
	cr_expect_eq(fake_driver_take_isr(&r.rig.driver) & 2, 2);
	cr_expect_eq(config_field(BALLOON_NUM_PAGES), MIB(3) / PAGE);
	cr_expect_neq(fake_driver_generation(&r.rig.driver), generation);
	/* The same again is no change. */
	cr_assert_eq(virtio_balloon_set_target(r.dev, MIB(3)), 0);
	cr_expect_eq(fake_driver_take_isr(&r.rig.driver) & 2, 0);
	/* A reset does not change what the host wants. */
	fake_driver_reset(&r.rig.driver);
	cr_expect_eq(config_field(BALLOON_NUM_PAGES), MIB(3) / PAGE);
}

Test(virtio_balloon, targets_that_cannot_be_are_refused)
{
	static const uint64_t bad[] = { 1, PAGE + 1, FAKE_LOW_RAM_SIZE + FAKE_HIGH_RAM_SIZE,
					UINT64_MAX - 4095 };

	plug(everything);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_eq(virtio_balloon_set_target(r.dev, bad[i]), -EINVAL);
		cr_expect_not_null(strstr(error_text(), "ask the guest for"));
	}
	cr_expect_eq(config_field(BALLOON_NUM_PAGES), MIB(8) / PAGE);
	cr_expect_eq(virtio_balloon_set_target(r.dev, 0), 0);
	cr_expect_eq(config_field(BALLOON_NUM_PAGES), 0);
}

/* covers: BALLOON-CFG-02, BALLOON-CFG-05 */
Test(virtio_balloon, the_driver_cannot_write_what_is_the_devices)
{
	plug(everything);
	balloon_rig_start(&r, F_HINT | F_POISON, 3);
	for (unsigned size = 1; size <= 4; size *= 2)
		for (unsigned at = 0; at < 4; at += size) {
			fake_driver_set_config(&r.rig.driver, BALLOON_NUM_PAGES + at, size, ~0u);
			fake_driver_set_config(&r.rig.driver, BALLOON_HINT_ID + at, size, ~0u);
		}
	cr_expect_eq(config_field(BALLOON_NUM_PAGES), MIB(8) / PAGE);
	cr_expect_eq(config_field(BALLOON_HINT_ID), 0);
}

/* covers: BALLOON-CFG-03 */
Test(virtio_balloon, the_poison_value_is_the_drivers)
{
	plug(everything);
	fake_driver_negotiate(&r.rig.driver, fake_driver_offered(&r.rig.driver));
	fake_driver_set_config(&r.rig.driver, BALLOON_POISON_VAL, 4, 0x04030201);
	cr_expect_eq(config_field(BALLOON_POISON_VAL), 0x04030201);
	cr_expect_eq(fake_driver_config(&r.rig.driver, BALLOON_POISON_VAL, 1), 1);
	fake_driver_reset(&r.rig.driver);
	cr_expect_eq(config_field(BALLOON_POISON_VAL), 0);
}

static uint64_t actual(void)
{
	struct virtio_balloon_info info;

	virtio_balloon_info(r.dev, &info);
	return info.actual;
}

/* covers: BALLOON-CFG-04 */
Test(virtio_balloon, what_the_driver_says_it_gave_is_at_most_all_memory)
{
	plug(everything);
	balloon_rig_start(&r, 0, 3);
	fake_driver_set_config(&r.rig.driver, BALLOON_ACTUAL, 4, 100);
	cr_expect_eq(actual(), 100 * PAGE);
	fake_driver_set_config(&r.rig.driver, BALLOON_ACTUAL, 4, 0xffffffff);
	cr_expect_eq(config_field(BALLOON_ACTUAL), 0xffffffff, "it reads what it wrote");
	cr_expect_eq(actual(), FAKE_LOW_RAM_SIZE + FAKE_HIGH_RAM_SIZE);
	fake_driver_reset(&r.rig.driver);
	cr_expect_eq(actual(), 0);
	cr_expect_eq(config_field(BALLOON_ACTUAL), 0);
}

/* covers: BALLOON-LEGACY-04 */
Test(virtio_balloon, a_bytewise_actual_counts_with_its_last_byte)
{
	plug(everything);
	balloon_rig_start(&r, 0, 3);
	for (unsigned i = 0; i < 4; i++) {
		cr_expect_eq(actual(), 0);
		fake_driver_set_config(&r.rig.driver, BALLOON_ACTUAL + i, 1, i == 1 ? 2 : i == 0);
	}
	cr_expect_eq(actual(), 0x201 * PAGE);
}

/* --- Inflating and deflating ----------------------------------------------------------------- */

static void inflates(enum fake_transport how)
{
	balloon_rig_create(&r, everything, how);
	balloon_rig_start(&r, 0, 3);
	uint64_t gpa = balloon_rig_pages(&r, 258), before = balloon_rig_resident(&r);
	balloon_rig_range(&r, INFLATE_Q, gpa + PAGE, 256);
	/* The list of frames is new. */
	cr_expect_eq(before + PAGE - balloon_rig_resident(&r), 256 * PAGE);
	cr_expect(balloon_rig_is(&r, gpa, 1, 0xcc));
	cr_expect(balloon_rig_is(&r, gpa + 257 * PAGE, 1, 0xcc));
	cr_expect(balloon_rig_is(&r, gpa + PAGE, 256, 0));
	struct virtio_balloon_info info;
	virtio_balloon_info(r.dev, &info);
	cr_expect_eq(info.discarded, 256 * PAGE);
	balloon_rig_range(&r, DEFLATE_Q, gpa + PAGE, 256);
	memset(device_rig_at(&r.rig, gpa + PAGE, 256 * PAGE), 0x5a, 256 * PAGE);
	cr_expect(balloon_rig_is(&r, gpa + PAGE, 256, 0x5a));
}

/* covers: BALLOON-OP-01, BALLOON-OP-03, BALLOON-OP-08 */
Test(virtio_balloon, inflated_pages_go_back_to_the_host_mmio)
{
	inflates(FAKE_MMIO);
}
Test(virtio_balloon, inflated_pages_go_back_to_the_host_pci)
{
	inflates(FAKE_PCI);
}

/* covers: BALLOON-OP-04, BALLOON-LEGACY-01, BALLOON-LEGACY-02 */
Test(virtio_balloon, an_answered_page_is_not_touched_again)
{
	plug(everything);
	/* Offered, not accepted: the guest may use a page before it tells. */
	balloon_rig_start(&r, 0, 3);
	uint64_t gpa = balloon_rig_pages(&r, 8), other = balloon_rig_pages(&r, 8);
	balloon_rig_range(&r, INFLATE_Q, gpa, 8);
	memset(device_rig_at(&r.rig, gpa, 8 * PAGE), 0x77, 8 * PAGE);
	balloon_rig_range(&r, INFLATE_Q, other, 8);
	balloon_rig_range(&r, DEFLATE_Q, gpa, 8);
	cr_expect(balloon_rig_is(&r, gpa, 8, 0x77));
}

/* covers: BALLOON-OP-02 */
Test(virtio_balloon, a_driver_that_tells_first_gets_stable_pages)
{
	plug(everything);
	balloon_rig_start(&r, F_TELL, 3);
	uint64_t gpa = balloon_rig_pages(&r, 4);
	balloon_rig_range(&r, INFLATE_Q, gpa, 4);
	balloon_rig_range(&r, DEFLATE_Q, gpa, 4);
	memset(device_rig_at(&r.rig, gpa, 4 * PAGE), 0x66, 4 * PAGE);
	usleep(2000);
	cr_expect(balloon_rig_is(&r, gpa, 4, 0x66));
}

/* covers: BALLOON-OP-05 */
Test(virtio_balloon, frames_that_are_no_ram_are_skipped)
{
	plug(everything);
	balloon_rig_start(&r, 0, 3);
	uint64_t gpa = balloon_rig_pages(&r, 2);
	uint32_t mine = (uint32_t)(gpa / PAGE);
	uint32_t frame[] = { 0xffffffff, 0xfee00, mine, FAKE_LOW_RAM_SIZE / PAGE,
			     mine, 0xfffff, mine };
	balloon_rig_frames(&r, INFLATE_Q, frame, ARRAY_SIZE(frame));
	balloon_rig_frames(&r, INFLATE_Q, frame, ARRAY_SIZE(frame));
	balloon_rig_frames(&r, DEFLATE_Q, frame, ARRAY_SIZE(frame));
	cr_expect(balloon_rig_is(&r, gpa, 1, 0));
	cr_expect(balloon_rig_is(&r, gpa + PAGE, 1, 0xcc));
}

/* covers: BALLOON-OP-07 */
Test(virtio_balloon, framing_of_frames_is_arbitrary)
{
	plug(everything);
	balloon_rig_start(&r, 0, 3);
	uint64_t gpa = balloon_rig_pages(&r, 4), list = balloon_rig_pages(&r, 1);
	uint8_t *bytes = device_rig_at(&r.rig, list, 16);
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t frame = (uint32_t)(gpa / PAGE) + i;
		memcpy(bytes + 4 * i, &frame, 4);
	}
	/* Split in the middle of entries, with three bytes of a fourth, and a writable part. */
	struct fake_buf split[] = {
		{ list, 2, false }, { list + 2, 5, false }, { list + 7, 8, false },
		{ gpa + 3 * PAGE, PAGE, true },
	};
	device_rig_add(&r.rig, INFLATE_Q, split, ARRAY_SIZE(split));
	cr_expect_eq(device_rig_wait(&r.rig, INFLATE_Q, NULL), 0);
	cr_expect(balloon_rig_is(&r, gpa, 3, 0));
	cr_expect(balloon_rig_is(&r, gpa + 3 * PAGE, 1, 0xcc));
	/* Too short, empty, only writable: answered, on both queues. */
	for (unsigned q = 0; q < 2; q++) {
		struct fake_buf odd[] = { { list, 3, false }, { list, 0, false },
					  { gpa + 3 * PAGE, 64, true } };
		for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
			device_rig_add(&r.rig, q, &odd[i], 1);
			cr_expect_eq(device_rig_wait(&r.rig, q, NULL), 0);
		}
	}
	cr_expect(balloon_rig_is(&r, gpa + 3 * PAGE, 1, 0xcc));
}

Test(virtio_balloon, a_request_longer_than_a_turn_is_done_whole)
{
	plug(everything);
	balloon_rig_start(&r, 0, 3);
	uint64_t gpa = balloon_rig_pages(&r, 1000);
	balloon_rig_range(&r, INFLATE_Q, gpa, 1000);
	cr_expect(balloon_rig_is(&r, gpa, 1000, 0));
}

/* Sixteen million frames in one request: the other queue is served, and a reset does not wait. */
Test(virtio_balloon, an_endless_request_holds_up_nobody)
{
	plug(everything);
	balloon_rig_start(&r, 0, 3);
	uint64_t list = balloon_rig_pages(&r, 256);
	struct fake_buf buf[RIG_QUEUE_SIZE];
	for (unsigned i = 0; i < ARRAY_SIZE(buf); i++)
		buf[i] = (struct fake_buf){ list, 256 * PAGE, false };
	device_rig_add(&r.rig, INFLATE_Q, buf, ARRAY_SIZE(buf));
	for (unsigned i = 0; i < 20; i++)
		balloon_rig_range(&r, DEFLATE_Q, list, 1);
	cr_expect_eq(fake_ring_used_idx(&r.rig.ring[INFLATE_Q]), 0);
	fake_driver_reset(&r.rig.driver);
	balloon_rig_start(&r, 0, 3);
	uint64_t gpa = balloon_rig_pages(&r, 1);
	balloon_rig_range(&r, INFLATE_Q, gpa, 1);
	cr_expect(balloon_rig_is(&r, gpa, 1, 0));
}

/* covers: BALLOON-OP-09 */
Test(virtio_balloon, after_a_reset_ballooned_pages_are_plain_memory)
{
	plug(everything);
	balloon_rig_start(&r, F_TELL, 3);
	uint64_t gpa = balloon_rig_pages(&r, 16);
	balloon_rig_range(&r, INFLATE_Q, gpa, 16);
	fake_driver_set_config(&r.rig.driver, BALLOON_ACTUAL, 4, 16);
	fake_driver_reset(&r.rig.driver);
	cr_expect_eq(actual(), 0);
	memset(device_rig_at(&r.rig, gpa, 16 * PAGE), 0x44, 16 * PAGE);
	balloon_rig_start(&r, F_TELL, 3);
	uint64_t other = balloon_rig_pages(&r, 1);
	balloon_rig_range(&r, INFLATE_Q, other, 1);
	cr_expect(balloon_rig_is(&r, gpa, 16, 0x44));
	cr_expect(balloon_rig_is(&r, other, 1, 0));
}

/* covers: BALLOON-OP-10, BALLOON-REPORT-05 */
Test(virtio_balloon, while_memory_is_held_requests_are_answered_and_nothing_is_discarded)
{
	plug(everything);
	balloon_rig_start(&r, F_STATS | F_HINT | F_REPORT, 0x1f);
	uint64_t gpa = balloon_rig_pages(&r, 2);
	guest_memory_hold(&r.rig.machine->m.memory);
	balloon_rig_range(&r, INFLATE_Q, gpa, 2);
	balloon_rig_report(&r, 4, gpa, 2 * PAGE);
	cr_expect(balloon_rig_is(&r, gpa, 2, 0xcc));
	guest_memory_release(&r.rig.machine->m.memory);
	balloon_rig_report(&r, 4, gpa, 2 * PAGE);
	cr_expect(balloon_rig_is(&r, gpa, 2, 0));
}

/* covers: BALLOON-REPORT-05 */
Test(virtio_balloon, a_host_that_refuses_does_not_concern_the_driver)
{
	int fd;

	plug(everything);
	balloon_rig_start(&r, F_STATS | F_HINT | F_REPORT, 0x1f);
	uint64_t gpa = balloon_rig_pages(&r, 2);
	cr_assert_eq(fd_create_event(&fd), 0);
	r.rig.machine->m.memory.fd = fd;
	balloon_rig_range(&r, INFLATE_Q, gpa, 1);
	balloon_rig_report(&r, 4, gpa, PAGE);
	balloon_rig_range(&r, DEFLATE_Q, gpa, 1);
	cr_expect(balloon_rig_is(&r, gpa, 2, 0xcc));
	cr_expect_not(fake_driver_status(&r.rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
	fd_close(&fd);
}
