/*
 * N22, through the rings: a device for every set that it can offer, a driver for every subset of it
 * in each numbering, and each queue does what it is for and nothing else.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/balloon_rig.h"

enum { N_OPTIONAL = 3 };

static const unsigned feature[N_OPTIONAL] = { F_STATS, F_HINT, F_REPORT };

static struct balloon_rig r;

static void teardown(void)
{
	balloon_rig_destroy(&r);
}

TestSuite(balloon_numbering, .fini = teardown);

static void plug(unsigned offered)
{
	balloon_rig_create(&r, (struct virtio_balloon_config){
		.stats = offered & F_STATS,
		.hinting = offered & F_HINT,
		.reporting = offered & F_REPORT,
	}, FAKE_MMIO);
}

/* N21 N22, through the rings.  covers: BALLOON-VQ-05, BALLOON-VQ-06, BALLOON-VQ-07 */
Test(balloon_numbering, reporting_works_in_each_numbering)
{
	static const struct {
		unsigned offered, accepted, queue, queues;
	} table[] = {
		{ F_STATS | F_HINT | F_REPORT, F_STATS | F_HINT | F_REPORT, 4, 0x1f },
		{ F_REPORT, F_REPORT, 2, 0x07 },		/* Linux */
		{ F_REPORT, F_REPORT, 4, 0x13 },		/* by the letter */
		{ F_REPORT, F_REPORT, 4, 0x1f },
		{ F_STATS | F_REPORT, F_STATS | F_REPORT, 3, 0x0f },
		{ F_STATS | F_REPORT, F_STATS | F_REPORT, 4, 0x17 },
		{ F_STATS | F_REPORT, F_REPORT, 2, 0x07 },
		{ F_STATS | F_REPORT, F_REPORT, 3, 0x0b },	/* counted over what was offered */
		{ F_STATS | F_HINT | F_REPORT, F_REPORT, 2, 0x07 },
		{ F_STATS | F_HINT | F_REPORT, F_REPORT, 4, 0x13 },
		{ F_STATS | F_HINT | F_REPORT, F_HINT | F_REPORT, 3, 0x0f },
		{ F_STATS | F_HINT | F_REPORT, F_HINT | F_REPORT, 4, 0x1b },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		plug(table[i].offered);
		balloon_rig_start(&r, table[i].accepted, table[i].queues);
		uint64_t gpa = balloon_rig_pages(&r, 2);
		/* First the others, which must not believe it. */
		for (unsigned q = 2; q < 5; q++)
			if (table[i].queues >> q & 1 && q != table[i].queue)
				device_rig_add(&r.rig, q, &(struct fake_buf){ gpa, PAGE, true }, 1);
		usleep(2000);
		cr_expect(balloon_rig_is(&r, gpa, 2, 0xcc), "line %u", i);
		balloon_rig_report(&r, table[i].queue, gpa, PAGE);
		cr_expect(balloon_rig_is(&r, gpa, 1, 0), "line %u", i);
		cr_expect(balloon_rig_is(&r, gpa + PAGE, 1, 0xcc), "line %u", i);
		balloon_rig_destroy(&r);
	}
}

enum numbering { LITERAL, DENSE_ACCEPTED, DENSE_OFFERED, N_NUMBERINGS };

static unsigned queue_of(enum numbering numbering, unsigned offered, unsigned accepted, unsigned i)
{
	unsigned among = numbering == DENSE_ACCEPTED ? accepted : offered, queue = 2;

	if (numbering == LITERAL)
		return 2 + i;
	for (unsigned j = 0; j < i; j++)
		queue += (among & feature[j]) != 0;
	return queue;
}

static void expect_statistics(unsigned queue)
{
	static const uint8_t entry[BALLOON_STAT_SIZE] = { BALLOON_STAT_MEMFREE, 0, 42 };
	struct balloon_stats stats = { 0 };

	balloon_rig_put(&r, queue, entry, sizeof(entry));
	for (unsigned i = 0; i < 20000 && stats.sequence == 0; i++) {
		usleep(100);
		virtio_balloon_stats(r.dev, &stats);
	}
	cr_assert_eq(stats.value[BALLOON_STAT_MEMFREE], 42);
}

static void expect_hinting(unsigned queue)
{
	struct virtio_balloon_info info;
	uint64_t gpa = balloon_rig_pages(&r, 1);

	cr_assert_eq(virtio_balloon_begin_hinting(r.dev), 0);
	uint32_t id = (uint32_t)fake_driver_config(&r.rig.driver, BALLOON_HINT_ID, 4);
	balloon_rig_send(&r, queue, &id, sizeof(id));
	balloon_rig_report(&r, queue, gpa, PAGE);
	virtio_balloon_info(r.dev, &info);
	cr_assert_eq(info.hinted, PAGE);
	cr_assert(balloon_rig_is(&r, gpa, 1, 0xcc));
}

static void expect_reporting(unsigned queue)
{
	uint64_t gpa = balloon_rig_pages(&r, 1);

	balloon_rig_report(&r, queue, gpa, PAGE);
	cr_assert(balloon_rig_is(&r, gpa, 1, 0));
}

static void expect_all(enum numbering numbering, unsigned offered, unsigned accepted)
{
	static void (*const expect[N_OPTIONAL])(unsigned queue) = {
		expect_statistics, expect_hinting, expect_reporting,
	};
	unsigned queues = 3;

	for (unsigned i = 0; i < N_OPTIONAL; i++)
		if (accepted & feature[i])
			queues |= 1u << queue_of(numbering, offered, accepted, i);
	plug(offered);
	balloon_rig_start(&r, accepted, queues);
	for (unsigned i = 0; i < N_OPTIONAL; i++)
		if (accepted & feature[i])
			expect[i](queue_of(numbering, offered, accepted, i));
	balloon_rig_destroy(&r);
}

/* N21 N22  covers: BALLOON-VQ-05, BALLOON-VQ-06, BALLOON-VQ-07 */
Test(balloon_numbering, every_queue_works_for_every_driver_of_every_device)
{
	for (unsigned offered = 0; offered < 1 << N_OPTIONAL; offered++)
		for (unsigned accepted = 0; accepted < 1 << N_OPTIONAL; accepted++)
			for (int k = 0; k < N_NUMBERINGS && !(accepted & ~offered); k++) {
				unsigned o = 0, a = 0;

				for (unsigned i = 0; i < N_OPTIONAL; i++) {
					o |= offered >> i & 1 ? feature[i] : 0;
					a |= accepted >> i & 1 ? feature[i] : 0;
				}
				expect_all((enum numbering)k, o, a);
			}
}
