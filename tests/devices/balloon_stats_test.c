#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "devices/balloon_stats.h"

/* Written out by hand: tag 6 with a value of eight different bytes, and tag 0. */
static uint8_t reference[] = {
	6, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x08,
	0, 0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x18,
};

static void parse(struct balloon_stats *stats, uint8_t *bytes, size_t len)
{
	struct iovec iov = { bytes, len };

	balloon_stats_parse(stats, &iov, 1, len);
}

/* covers: BALLOON-STATS-03, BALLOON-LEGACY-05 */
Test(balloon_stats, an_entry_is_a_packed_le16_and_le64)
{
	struct balloon_stats stats;

	parse(&stats, reference, sizeof(reference));
	cr_expect_eq(stats.present, 1u << BALLOON_STAT_AVAIL | 1u << BALLOON_STAT_SWAP_IN);
	cr_expect_eq(stats.value[BALLOON_STAT_AVAIL], 0x0877665544332211);
	cr_expect_eq(stats.value[BALLOON_STAT_SWAP_IN], 0x1807060504030201);
}

/* covers: BALLOON-STATS-05, BALLOON-STATS-06 */
Test(balloon_stats, tags_have_their_numbers)
{
	cr_expect_eq(BALLOON_STAT_SWAP_IN, 0);
	cr_expect_eq(BALLOON_STAT_SWAP_OUT, 1);
	cr_expect_eq(BALLOON_STAT_MAJFLT, 2);
	cr_expect_eq(BALLOON_STAT_MINFLT, 3);
	cr_expect_eq(BALLOON_STAT_MEMFREE, 4);
	cr_expect_eq(BALLOON_STAT_MEMTOT, 5);
	cr_expect_eq(BALLOON_STAT_AVAIL, 6);
	cr_expect_eq(BALLOON_STAT_CACHES, 7);
	cr_expect_eq(BALLOON_STAT_HTLB_PGALLOC, 8);
	cr_expect_eq(BALLOON_STAT_HTLB_PGFAIL, 9);
}

static size_t put_entry(uint8_t *at, uint16_t tag, uint64_t value)
{
	memcpy(at, &tag, 2);
	memcpy(at + 2, &value, 8);
	return BALLOON_STAT_SIZE;
}

/* covers: BALLOON-STATS-01, BALLOON-STATS-02 */
Test(balloon_stats, any_order_and_unknown_tags)
{
	static const uint16_t tag[] = { 9, 0xabcd, 0, 8, 1, 10, 7, 2, 6, 0xffff, 3, 5, 4 };
	uint8_t bytes[BALLOON_STAT_SIZE * ARRAY_SIZE(tag)];
	struct balloon_stats stats;
	size_t len = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(tag); i++)
		len += put_entry(bytes + len, tag[i], 1000u + tag[i]);
	parse(&stats, bytes, len);
	cr_expect_eq(stats.present, (1u << BALLOON_N_STATS) - 1);
	for (unsigned i = 0; i < BALLOON_N_STATS; i++)
		cr_expect_eq(stats.value[i], 1000 + i);
}

/* covers: BALLOON-STATS-07 */
Test(balloon_stats, a_rest_and_nothing_at_all_are_fine)
{
	struct balloon_stats stats;

	for (size_t len = 0; len <= sizeof(reference); len++) {
		parse(&stats, reference, len);
		cr_expect_eq(__builtin_popcount(stats.present), len / BALLOON_STAT_SIZE, "%zu",
			     len);
	}
}

Test(balloon_stats, an_entry_may_lie_across_buffers)
{
	struct balloon_stats stats;

	for (size_t cut = 1; cut < sizeof(reference); cut++) {
		struct iovec iov[] = {
			{ reference, cut }, { reference + cut, sizeof(reference) - cut },
		};

		balloon_stats_parse(&stats, iov, 2, sizeof(reference));
		cr_expect_eq(stats.value[BALLOON_STAT_AVAIL], 0x0877665544332211);
		cr_expect_eq(stats.value[BALLOON_STAT_SWAP_IN], 0x1807060504030201);
	}
}

/* covers: BALLOON-STATS-07 */
Test(balloon_stats, work_for_a_large_buffer_is_bounded)
{
	size_t len = 2 * BALLOON_STAT_SIZE * BALLOON_STATS_MAX_ENTRIES;
	uint8_t *bytes = malloc(len);
	struct balloon_stats stats;

	for (size_t i = 0; i < 2 * BALLOON_STATS_MAX_ENTRIES; i++)
		put_entry(bytes + i * BALLOON_STAT_SIZE, i < BALLOON_STATS_MAX_ENTRIES ? 1 : 2, i);
	parse(&stats, bytes, len);
	cr_expect_eq(stats.present, 1u << 1);
	free(bytes);
}

Test(balloon_stats, values_are_told_in_words)
{
	char text[BALLOON_STATS_TEXT];
	struct balloon_stats stats = { .present = 0x30, .value = { [4] = 5, [5] = 7 } };

	cr_expect_str_eq(balloon_stats_text(&stats, text), "free 5, total 7");
	stats.present = ~0u;
	for (unsigned i = 0; i < BALLOON_N_STATS; i++)
		stats.value[i] = UINT64_MAX;
	cr_expect_lt(strlen(balloon_stats_text(&stats, text)), BALLOON_STATS_TEXT - 1);
}

Test(balloon_stats, each_new_set_has_its_number)
{
	static struct balloon_stats_box box;
	struct balloon_stats stats;

	balloon_stats_get(&box, &stats);
	cr_expect_eq(stats.sequence, 0);
	balloon_stats_put(&box, &(struct balloon_stats){ .present = 1, .value = { 5 } });
	balloon_stats_put(&box, &(struct balloon_stats){ .present = 2, .value = { 0, 6 } });
	balloon_stats_get(&box, &stats);
	cr_expect_eq(stats.sequence, 2);
	cr_expect_eq(stats.present, 2);
	cr_expect_eq(stats.value[0], 0);
	cr_expect_eq(stats.value[1], 6);
	balloon_stats_forget(&box);
	balloon_stats_get(&box, &stats);
	cr_expect_eq(stats.present, 0);
	cr_expect_eq(stats.sequence, 2);
}

static void *writer(void *arg)
{
	struct balloon_stats stats = { .present = 1 };

	for (uint64_t n = 1; n <= 20000; n++) {
		for (unsigned i = 0; i < BALLOON_N_STATS; i++)
			stats.value[i] = n;
		balloon_stats_put(arg, &stats);
	}
	return NULL;
}

Test(balloon_stats, a_reader_never_sees_half_a_set)
{
	static struct balloon_stats_box box;
	struct balloon_stats stats = { 0 };
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, writer, &box), 0);
	while (stats.sequence < 20000) {
		balloon_stats_get(&box, &stats);
		for (unsigned i = 0; i < BALLOON_N_STATS; i++)
			cr_assert_eq(stats.value[i], stats.sequence);
	}
	pthread_join(thread, NULL);
}
