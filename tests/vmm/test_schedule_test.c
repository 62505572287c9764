#include "vmm/test/schedule.h"

#include <criterion/criterion.h>

enum { MAX = 64 };

static struct schedule *make(const struct schedule_item *items, unsigned n, unsigned jobs,
			     uint64_t memory, unsigned cpus)
{
	struct schedule_limits limits = { jobs, memory, cpus };
	struct schedule *s;

	cr_assert_eq(schedule_create(&s, items, n, &limits), 0);
	return s;
}

static unsigned next(struct schedule *s)
{
	unsigned item, slot;

	cr_assert(schedule_next(s, &item, &slot));
	cr_assert_lt(slot, schedule_slots(s));
	return item;
}

static bool must_wait(struct schedule *s)
{
	unsigned item, slot;

	return !schedule_next(s, &item, &slot);
}

Test(test_schedule, longest_go_first_and_unknown_before_them)
{
	static const struct schedule_item items[] = {
		{ 1, 1, 10 }, { 1, 1, 30 }, { 1, 1, 0 }, { 1, 1, 20 }, { 1, 1, 30 },
	};
	struct schedule *s = make(items, 5, 9, 0, 0);

	cr_assert_eq(next(s), 2);
	cr_assert_eq(next(s), 1);
	cr_assert_eq(next(s), 4);
	cr_assert_eq(next(s), 3);
	cr_assert_eq(schedule_waiting(s), 1);
	cr_assert_eq(next(s), 0);
	cr_assert(must_wait(s));
	cr_assert_eq(schedule_waiting(s), 0);
	cr_assert_eq(schedule_running(s), 5);
	schedule_destroy(s);
}

Test(test_schedule, memory_and_cpus_are_not_given_twice)
{
	static const struct schedule_item items[] = {
		{ MIB(600), 1, 50 }, { MIB(600), 1, 40 }, { MIB(300), 3, 30 }, { MIB(300), 1, 20 },
	};
	struct schedule *s = make(items, 4, 0, GIB(1), 3);

	cr_assert_eq(next(s), 0);
	cr_assert_eq(next(s), 3, "1 lacks memory, 2 lacks CPUs");
	cr_assert(must_wait(s));
	schedule_ended(s, 3);
	cr_assert(must_wait(s));
	schedule_ended(s, 0);
	cr_assert_eq(next(s), 1);
	cr_assert(must_wait(s));
	schedule_ended(s, 1);
	cr_assert_eq(next(s), 2);
	schedule_destroy(s);
}

Test(test_schedule, what_needs_more_than_there_is_runs_alone)
{
	static const struct schedule_item items[] = {
		{ MIB(100), 1, 30 }, { GIB(9), 1, 20 }, { MIB(100), 8, 10 }, { MIB(100), 1, 5 },
	};
	struct schedule *s = make(items, 4, 0, GIB(1), 2);

	cr_assert(!schedule_runs_alone(s, 0));
	cr_assert(schedule_runs_alone(s, 1));
	cr_assert(schedule_runs_alone(s, 2));
	cr_assert_eq(next(s), 0);
	cr_assert_eq(next(s), 3);
	cr_assert(must_wait(s));
	schedule_ended(s, 0);
	cr_assert(must_wait(s));
	schedule_ended(s, 3);
	cr_assert_eq(next(s), 1);
	cr_assert(must_wait(s));
	schedule_ended(s, 1);
	cr_assert_eq(next(s), 2);
	schedule_destroy(s);
}

Test(test_schedule, a_number_of_jobs_is_the_users_word)
{
	static const struct schedule_item items[] = {
		{ GIB(9), 9, 3 }, { GIB(9), 9, 2 }, { GIB(9), 9, 1 },
	};
	struct schedule *s = make(items, 3, 2, 0, 0);

	cr_assert(!schedule_runs_alone(s, 0));
	cr_assert_eq(schedule_slots(s), 2);
	cr_assert_eq(next(s), 0);
	cr_assert_eq(next(s), 1);
	cr_assert(must_wait(s));
	schedule_ended(s, 0);
	cr_assert_eq(next(s), 2);
	schedule_destroy(s);
}

Test(test_schedule, nothing_to_do_is_done)
{
	struct schedule *s = make(NULL, 0, 0, 0, 0);

	cr_assert(must_wait(s));
	cr_assert_eq(schedule_slots(s), 1);
	schedule_destroy(s);
	schedule_destroy(NULL);
}

/* Any order of ends: limits are kept, slots are not shared, each item runs once. */
Test(test_schedule, holds_its_promises_whatever_ends_first)
{
	struct schedule_item items[MAX];
	unsigned seed = 1;

	for (unsigned round = 0; round < 200; round++) {
		bool runs[MAX] = { false }, taken[MAX] = { false };
		unsigned slot_of[MAX], started = 0, ended = 0, item, slot;

		for (unsigned i = 0; i < MAX; i++) {
			seed = seed * 1103515245 + 12345;
			items[i] = (struct schedule_item){ (seed >> 8) % 500, 1 + (seed >> 16) % 6,
							   (seed >> 20) % 9 };
		}
		struct schedule *s = make(items, MAX, 0, 400, 5);
		while (ended < MAX) {
			while (schedule_next(s, &item, &slot)) {
				cr_assert(!runs[item] && !taken[slot]);
				runs[item] = taken[slot] = true;
				slot_of[item] = slot;
				started++;
			}
			uint64_t memory = 0, cpus = 0;
			unsigned n = 0, last = 0;
			for (unsigned i = 0; i < MAX; i++) {
				if (!runs[i])
					continue;
				memory += items[i].memory;
				cpus += items[i].cpus;
				n++;
				seed = seed * 1103515245 + 12345;
				if (n == 1 || (seed >> 16) % 2)
					last = i;
			}
			cr_assert_gt(n, 0, "it stands still");
			cr_assert(n == 1 || (memory <= 400 && cpus <= 5));
			runs[last] = taken[slot_of[last]] = false;
			items[last].memory = 0;
			schedule_ended(s, last);
			ended++;
		}
		cr_assert_eq(started, MAX);
		schedule_destroy(s);
	}
}
