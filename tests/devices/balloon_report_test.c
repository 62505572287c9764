/* Free page reporting, with and without page poison. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/balloon_rig.h"

static struct balloon_rig r;

static void plug(void)
{
	balloon_rig_create(&r, (struct virtio_balloon_config){
		.stats = true, .hinting = true, .poison = true, .reporting = true,
	}, FAKE_MMIO);
}

static void teardown(void)
{
	balloon_rig_destroy(&r);
}

TestSuite(balloon_report, .fini = teardown);

/* covers: BALLOON-REPORT-01, BALLOON-REPORT-03 */
Test(balloon_report, reported_pages_go_back_until_the_answer)
{
	plug();
	balloon_rig_start(&r, F_STATS | F_HINT | F_REPORT, 0x1f);
	uint64_t gpa = balloon_rig_pages(&r, 600), before = balloon_rig_resident(&r);
	struct fake_buf buf[] = { { gpa, 512 * PAGE, true },
				  { gpa + 520 * PAGE, 64 * PAGE, true } };
	device_rig_add(&r.rig, 4, buf, 2);
	cr_expect_eq(device_rig_wait(&r.rig, 4, NULL), 0);
	cr_expect_eq(before - balloon_rig_resident(&r), 576 * PAGE);
	cr_expect(balloon_rig_is(&r, gpa, 512, 0));
	cr_expect(balloon_rig_is(&r, gpa + 512 * PAGE, 8, 0xcc));
	cr_expect(balloon_rig_is(&r, gpa + 584 * PAGE, 16, 0xcc));
	memset(device_rig_at(&r.rig, gpa, PAGE), 0x33, PAGE);
	balloon_rig_report(&r, 4, gpa + PAGE, PAGE);
	usleep(2000);
	cr_expect(balloon_rig_is(&r, gpa, 1, 0x33));
}

/* covers: BALLOON-REPORT-02, BALLOON-POISON-01 */
Test(balloon_report, poisoned_pages_stay_unless_the_poison_is_zero)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned accepted = i & 1 ? F_POISON : 0;
		uint32_t poison = i & 2 ? 0xcccccccc : 0;
		plug();
		fake_driver_set_config(&r.rig.driver, BALLOON_POISON_VAL, 4, 0);
		balloon_rig_start(&r, F_STATS | F_HINT | F_REPORT | accepted, 0x1f);
		fake_driver_set_config(&r.rig.driver, BALLOON_POISON_VAL, 4, poison);
		uint64_t gpa = balloon_rig_pages(&r, 4);
		balloon_rig_report(&r, 4, gpa, 4 * PAGE);
		cr_expect(balloon_rig_is(&r, gpa, 4, accepted && poison ? 0xcc : 0), "%u", i);
		/* Pages of the balloon are another matter. */
		balloon_rig_range(&r, 0, gpa, 1);
		cr_expect(balloon_rig_is(&r, gpa, 1, 0));
		balloon_rig_destroy(&r);
	}
}

/* covers: BALLOON-REPORT-02 */
Test(balloon_report, a_poison_of_which_one_byte_is_not_zero_is_one)
{
	plug();
	balloon_rig_start(&r, F_STATS | F_HINT | F_REPORT | F_POISON, 0x1f);
	fake_driver_set_config(&r.rig.driver, BALLOON_POISON_VAL + 3, 1, 0xaa);
	uint64_t gpa = balloon_rig_pages(&r, 1);
	balloon_rig_report(&r, 4, gpa, PAGE);
	cr_expect(balloon_rig_is(&r, gpa, 1, 0xcc));
}

/* covers: BALLOON-REPORT-04 */
Test(balloon_report, only_whole_writable_pages_are_reported)
{
	plug();
	balloon_rig_start(&r, F_STATS | F_HINT | F_REPORT, 0x1f);
	uint64_t gpa = balloon_rig_pages(&r, 8);
	balloon_rig_report(&r, 4, gpa + 1, PAGE);
	balloon_rig_report(&r, 4, gpa, PAGE - 1);
	balloon_rig_report(&r, 4, gpa, 0);
	device_rig_add(&r.rig, 4, &(struct fake_buf){ gpa, 8 * PAGE, false }, 1);
	cr_expect_eq(device_rig_wait(&r.rig, 4, NULL), 0);
	cr_expect(balloon_rig_is(&r, gpa, 8, 0xcc));
	balloon_rig_report(&r, 4, gpa + 5, 3 * PAGE);
	cr_expect(balloon_rig_is(&r, gpa, 1, 0xcc));
	cr_expect(balloon_rig_is(&r, gpa + PAGE, 2, 0));
	cr_expect(balloon_rig_is(&r, gpa + 3 * PAGE, 5, 0xcc));
	/* What is no RAM breaks the ring, as on every device; after a reset all is well. */
	uint64_t last = FAKE_LOW_RAM_SIZE - PAGE;
	device_rig_add(&r.rig, 4, &(struct fake_buf){ last, 2 * PAGE, true }, 1);
	for (unsigned i = 0; i < 2000 &&
	     !(fake_driver_status(&r.rig.driver) & VIRTIO_STATUS_NEEDS_RESET); i++) {
		usleep(1000);
		fake_machine_pump(r.rig.machine);
	}
	cr_expect(fake_driver_status(&r.rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
	balloon_rig_start(&r, F_STATS | F_HINT | F_REPORT, 0x1f);
	balloon_rig_report(&r, 4, gpa + 4 * PAGE, PAGE);
	cr_expect(balloon_rig_is(&r, gpa + 4 * PAGE, 1, 0));
}
