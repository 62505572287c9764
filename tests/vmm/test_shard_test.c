#include "vmm/test/shard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/error.h"

/* The environment of a test: "NAME=VALUE", to NULL. */
static const char *const *environment;

static const char *get(const char *name)
{
	size_t len = strlen(name);

	for (const char *const *e = environment; *e; e++)
		if (!strncmp(*e, name, len) && (*e)[len] == '=')
			return *e + len + 1;
	return NULL;
}

#define ENV(...) (const char *const[8]){ __VA_ARGS__ }

static void is(const char *text, const char *const *env, unsigned index, unsigned of)
{
	struct shard shard;

	environment = env;
	int r = shard_read(&shard, text, get);
	cr_assert_eq(r, 0, "%s: %s", text, error_text());
	cr_assert(shard.index == index && shard.of == of, "%s: %u/%u", text, shard.index, shard.of);
}

static void is_refused(const char *text, const char *const *env, const char *why)
{
	struct shard shard;

	environment = env;
	cr_assert_eq(shard_read(&shard, text, get), -EINVAL, "%s", text);
	cr_assert(strstr(error_text(), why), "%s: %s", text, error_text());
	cr_assert(shard.of == 0 || text[0] != 'a');
	error_clear();
}

Test(test_shard, is_said_on_the_command_line)
{
	is("2/4", ENV(), 2, 4);
	is("1/1", ENV(), 1, 1);
	is("off", ENV("CI_NODE_INDEX=2", "CI_NODE_TOTAL=3"), 0, 0);
	is("3/4", ENV("CI_NODE_INDEX=2", "CI_NODE_TOTAL=3"), 3, 4);
	is_refused("0/4", ENV(), "shard 0 of 4");
	is_refused("5/4", ENV(), "shard 5 of 4");
	is_refused("1/0", ENV(), "does not divide");
	is_refused("1/99999", ENV(), "does not divide");
	is_refused("4", ENV(), "is no shard");
	is_refused("", ENV(), "is no shard");
	is_refused("/", ENV(), "does not divide");
	is_refused("x/3", ENV(), "is no shard");
	is_refused("-1/3", ENV(), "is no shard");
	is_refused("18446744073709551617/3", ENV(), "is no shard");
	is_refused("autonomous", ENV(), "is no shard");
}

Test(test_shard, comes_from_an_array_job_of_slurm)
{
	is("auto", ENV(), 0, 0);
	is("auto", ENV("SLURM_ARRAY_TASK_ID=3", "SLURM_ARRAY_TASK_MIN=1",
		       "SLURM_ARRAY_TASK_COUNT=4", "SLURM_ARRAY_TASK_STEP=1"), 3, 4);
	is("auto", ENV("SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_TASK_MIN=0",
		       "SLURM_ARRAY_TASK_COUNT=4"), 1, 4);
	is("auto", ENV("SLURM_ARRAY_TASK_ID=14", "SLURM_ARRAY_TASK_MIN=10",
		       "SLURM_ARRAY_TASK_COUNT=3", "SLURM_ARRAY_TASK_STEP=2"), 3, 3);
	/* --array=1,7,9: which of three is 7? */
	is_refused("auto", ENV("SLURM_ARRAY_TASK_ID=7", "SLURM_ARRAY_TASK_MIN=1",
			       "SLURM_ARRAY_TASK_COUNT=3", "SLURM_ARRAY_TASK_STEP=1"), "gaps");
	is_refused("auto", ENV("SLURM_ARRAY_TASK_ID=2", "SLURM_ARRAY_TASK_MIN=1",
			       "SLURM_ARRAY_TASK_COUNT=3", "SLURM_ARRAY_TASK_STEP=0"), "gaps");
	is_refused("auto", ENV("SLURM_ARRAY_TASK_ID=7"), "SLURM_ARRAY_TASK_COUNT");
	is_refused("auto", ENV("SLURM_ARRAY_TASK_ID=x"), "not a number");
	/* A task that is done again alone, of an array of 4. */
	is("auto/4", ENV("SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_MIN=1",
			 "SLURM_ARRAY_TASK_COUNT=1"), 1, 4);
}

Test(test_shard, comes_from_an_indexed_job_of_kubernetes)
{
	is("auto", ENV("JOB_COMPLETION_INDEX=0", "JOB_COMPLETIONS=3"), 1, 3);
	is("auto/5", ENV("JOB_COMPLETION_INDEX=4"), 5, 5);
	is_refused("auto", ENV("JOB_COMPLETION_INDEX=0"), "of how many");
	is_refused("auto", ENV("JOB_COMPLETION_INDEX=3", "JOB_COMPLETIONS=3"), "shard 4 of 3");
	is_refused("auto/5", ENV(), "nobody says which");
}

Test(test_shard, comes_from_a_parallel_job_of_gitlab)
{
	is("auto", ENV("CI_NODE_INDEX=3", "CI_NODE_TOTAL=3"), 3, 3);
	is("auto", ENV("CI_NODE_TOTAL=1"), 0, 0);
	is_refused("auto", ENV("CI_NODE_INDEX=4", "CI_NODE_TOTAL=3"), "shard 4 of 3");
	is_refused("auto", ENV("CI_NODE_INDEX=1"), "CI_NODE_TOTAL");
}

Test(test_shard, two_who_say_it_are_refused)
{
	is_refused("auto", ENV("CI_NODE_INDEX=1", "CI_NODE_TOTAL=3", "JOB_COMPLETION_INDEX=0",
			       "JOB_COMPLETIONS=3"), "both");
}

enum { N = 97 };

static void make(struct shard_item items[N], char keys[N][16])
{
	for (unsigned i = 0; i < N; i++) {
		snprintf(keys[i], 16, "test-%u", i);
		items[i] = (struct shard_item){ .key = keys[i] };
	}
}

Test(test_shard, without_durations_all_have_as_many)
{
	struct shard_item items[N];
	char keys[N][16];
	unsigned count[5] = { 0 };

	make(items, keys);
	cr_assert_eq(shard_divide(items, N, 4), 0);
	for (unsigned i = 0; i < N; i++) {
		cr_assert(items[i].shard >= 1 && items[i].shard <= 4);
		count[items[i].shard]++;
	}
	for (unsigned s = 1; s <= 4; s++)
		cr_assert(count[s] >= N / 4 && count[s] <= N / 4 + 1, "%u: %u", s, count[s]);
}

Test(test_shard, the_division_does_not_depend_on_the_order)
{
	struct shard_item items[N], turned[N];
	char keys[N][16];

	for (unsigned with = 0; with < 2; with++) {
		make(items, keys);
		for (unsigned i = 0; i < N && with; i++)
			items[i].expected_ns = i % 7 * UINT64_C(1000000000);
		for (unsigned i = 0; i < N; i++)
			turned[i] = items[N - 1 - i];
		cr_assert_eq(shard_divide(items, N, 3), 0);
		cr_assert_eq(shard_divide(turned, N, 3), 0);
		for (unsigned i = 0; i < N; i++)
			cr_assert_eq(items[i].shard, turned[N - 1 - i].shard, "%s", keys[i]);
	}
}

Test(test_shard, durations_balance)
{
	struct shard_item items[N];
	char keys[N][16];
	uint64_t load[4] = { 0 }, longest = 0, all = 0;

	make(items, keys);
	for (unsigned i = 0; i < N; i++) {
		items[i].expected_ns = (1 + i * i % 61) * UINT64_C(1000000000);
		longest = max_u64(longest, items[i].expected_ns);
		all += items[i].expected_ns;
	}
	cr_assert_eq(shard_divide(items, N, 3), 0);
	for (unsigned i = 0; i < N; i++)
		load[items[i].shard] += items[i].expected_ns;
	for (unsigned s = 1; s <= 3; s++)
		cr_assert(load[s] <= all / 3 + longest / 10, "shard %u: %llu of %llu", s,
			  (unsigned long long)load[s], (unsigned long long)all);
}

/* One that is not known yet is no reason to give a shard all of them. */
Test(test_shard, an_unknown_duration_counts_as_the_mean)
{
	struct shard_item items[] = {
		{ .key = "a", .expected_ns = 4000000000 },
		{ .key = "b", .expected_ns = 4000000000 },
		{ .key = "c" },
		{ .key = "d" },
	};
	unsigned count[3] = { 0 };

	cr_assert_eq(shard_divide(items, 4, 2), 0);
	for (unsigned i = 0; i < 4; i++)
		count[items[i].shard]++;
	cr_assert_eq(count[1], 2);
}

Test(test_shard, more_shards_than_tests_leave_some_without)
{
	struct shard_item items[] = { { .key = "a" }, { .key = "b" } };

	cr_assert_eq(shard_divide(items, 2, 9), 0);
	cr_assert_neq(items[0].shard, items[1].shard);
	cr_assert_eq(shard_divide(NULL, 0, 3), 0);
}
