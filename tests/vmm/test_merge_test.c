/* Results of several shards become one set. */
#include "vmm/test/merge.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vmm/test_results_rig.h"
#include "vmm/base/error.h"
#include "vmm/outcome.h"
#include "vmm/test/result_json.h"
#include "vmm/test/result_read.h"

#if HAVE_JANSSON

static const char *base;
static char out[128];

static void setup(void)
{
	base = results_rig_dir();
	snprintf(out, sizeof(out), "%s/out", base);
	cr_redirect_stdout();
	cr_redirect_stderr();
}

TestSuite(test_merge, .init = setup, .fini = results_rig_remove_dir);

/* Results in directory 'name': a letter of 'tests' for each, capitals passed, others failed. */
static void write_shard(const char *name, const char *tests, unsigned shard, unsigned n_shards)
{
	struct test_results set = { .complete = true, .shard = shard, .n_shards = n_shards };
	char path[128], *text = NULL;
	size_t len;

	set.started_ns = INT64_C(1795638022000000000) + shard * INT64_C(1000000000);
	set.duration_ns = UINT64_C(5000000000);
	for (; *tests; tests++) {
		char letter[2] = { (char)(*tests | 0x20), 0 };
		struct test_result *r = results_rig_test(*tests == '-' ? "idle" : letter,
							 *tests == '-' ? VERDICT_NOT_RUN :
							 *tests & 0x20 ? VERDICT_FAILED :
							 VERDICT_PASSED);
		set.complete &= r->verdict != VERDICT_NOT_RUN;
		r->shard = shard;
		r->n_shards = n_shards;
		cr_assert_eq(result_set_text(&r->dir, "runs/1-%s", letter), 0);
		cr_assert_eq(test_results_add(&set, r), 0);
		snprintf(path, sizeof(path), "%s/runs/1-%s/console.log", name, letter);
		results_rig_write(path, name);
	}
	FILE *file = open_memstream(&text, &len);
	cr_assert_eq(results_write_json(file, &set), 0);
	fclose(file);
	snprintf(path, sizeof(path), "%s/results.json", name);
	results_rig_write(path, text);
	free(text);
	test_results_fini(&set);
}

/*
 * Merge directories (separated by a space), and read what came of it.  Returns the exit status of
 * that.
 */
static int merge(const char *names, struct test_results *set)
{
	const char *dirs[8];
	char path[8][128], list[128], *text, *rest = list;
	unsigned n = 0;
	int r;

	snprintf(list, sizeof(list), "%s", names);
	for (char *name; (name = strtok_r(rest, " ", &rest)); n++) {
		snprintf(path[n], sizeof(path[n]), "%s/%s", base, name);
		dirs[n] = path[n];
	}
	r = test_merge(dirs, n, out);
	error_clear();
	*set = (struct test_results){ 0 };
	text = results_rig_read("out/results.json");
	if (text)
		cr_assert_eq(results_read_json(set, text, strlen(text)), 0, "%s", error_text());
	free(text);
	return r < 0 || !set->complete ? STATUS_FAILED : test_results_status(set);
}

static bool has_note(const struct test_results *set, const char *part)
{
	for (unsigned i = 0; i < set->n_notes; i++)
		if (strstr(set->note[i], part))
			return true;
	return false;
}

Test(test_merge, shards_become_one_complete_set_with_their_files)
{
	struct test_results set;
	char path[128], *text;

	write_shard("s1", "AB", 1, 2);
	write_shard("s2", "CD", 2, 2);
	cr_expect_eq(merge("s1 s2", &set), 0);
	cr_expect(set.complete);
	cr_expect_eq(set.n_notes, 0u);
	cr_assert_eq(set.n_tests, 4u);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "out/%s/console.log", set.test[i]->dir);
		text = results_rig_read(path);
		cr_assert(text, "%s", path);
		cr_expect_str_eq(text, i < 2 ? "s1" : "s2");
		cr_expect_eq(set.test[i]->shard, i < 2 ? 1u : 2u);
		free(text);
	}
	cr_expect_eq(set.duration_ns, UINT64_C(6000000000), "from the first to the last");
	cr_expect(strstr(set.command, "vireo test --merge "));
	text = results_rig_read("out/report.html");
	cr_expect(text && strstr(text, "All passed"));
	free(text);
	test_results_fini(&set);
}

Test(test_merge, missing_shards_are_named)
{
	struct test_results set;

	write_shard("s2", "A", 2, 7);
	write_shard("s6", "B", 6, 7);
	cr_expect_eq(merge("s2 s6", &set), 125);
	cr_expect(!set.complete);
	cr_expect(has_note(&set, "of 7 shards these are missing: 1, 3-5, 7"), "%s", set.note[0]);
	test_results_fini(&set);
}

/* Merging what was merged does not forget. */
Test(test_merge, merged_sets_can_be_completed)
{
	struct test_results set;
	char path[128];

	write_shard("s1", "A", 1, 2);
	write_shard("s2", "B", 2, 2);
	cr_expect_eq(merge("s1", &set), 125);
	test_results_fini(&set);
	snprintf(path, sizeof(path), "%s/first", base);
	cr_assert_eq(rename(out, path), 0);
	cr_expect_eq(merge("first", &set), 125);
	cr_expect(!set.complete);
	test_results_fini(&set);
}

Test(test_merge, tests_of_two_shards_are_named_and_repeated_ones_are_attempts)
{
	struct test_results set;

	write_shard("s1", "Ab", 1, 2);
	write_shard("s2", "B", 2, 2);
	cr_expect_eq(merge("s1 s2", &set), 123);
	cr_expect(has_note(&set, "'b' of boot.yaml is in "));
	cr_expect_eq(set.n_notes, 1u);
	cr_assert_eq(set.n_tests, 3u);
	cr_expect_eq(set.test[1]->attempt, 1u);
	cr_expect_eq(set.test[2]->attempt, 2u);
	cr_expect(set.test[1]->flaky && set.test[2]->flaky);
	test_results_fini(&set);

	write_shard("n1", "A", 0, 0);
	write_shard("n2", "a", 0, 0);
	cr_expect_eq(merge("n1 n2", &set), 123);
	cr_expect_eq(set.n_notes, 0u);
	cr_expect(set.complete);
	cr_expect_eq(set.n_tests, 2u);
	cr_expect(set.test[0]->flaky);
	test_results_fini(&set);
}

Test(test_merge, second_run_of_a_shard_replaces_what_was_not_run)
{
	struct test_results set;

	write_shard("first", "A-", 1, 1);
	cr_expect_eq(merge("first", &set), 125);
	cr_expect(has_note(&set, "was not complete"));
	test_results_fini(&set);

	struct test_results again = { .complete = true, .shard = 1, .n_shards = 1 };
	struct test_result *r = results_rig_test("idle", VERDICT_PASSED);
	char *text = NULL;
	size_t len;
	r->shard = r->n_shards = 1;
	cr_assert_eq(test_results_add(&again, r), 0);
	FILE *file = open_memstream(&text, &len);
	cr_assert_eq(results_write_json(file, &again), 0);
	fclose(file);
	results_rig_write("second/results.json", text);
	cr_expect_eq(merge("first second", &set), 0);
	cr_expect(set.complete);
	cr_expect_eq(set.n_tests, 2u);
	cr_expect_eq(set.n_notes, 0u);
	free(text);
	test_results_fini(&again);
	test_results_fini(&set);
}

Test(test_merge, journals_of_killed_runs_are_read)
{
	struct test_results head = { 0 }, set;
	struct test_result *a = results_rig_test("a", VERDICT_PASSED);
	struct test_result *b = results_rig_test("b", VERDICT_NOT_RUN);
	char *lines[3] = { journal_head(&head), journal_planned(b), journal_result(a) };
	char text[4096];

	snprintf(text, sizeof(text), "%s%s%s{\"test\":{\"na", lines[0], lines[1], lines[2]);
	results_rig_write("killed/results.jsonl", text);
	cr_expect_eq(merge("killed", &set), 125);
	cr_expect(!set.complete);
	cr_expect_eq(set.n_tests, 2u);
	cr_expect(has_note(&set, "was not complete"));
	for (unsigned i = 0; i < 3; i++)
		free(lines[i]);
	test_result_destroy(a);
	test_result_destroy(b);
	test_results_fini(&set);
}

/* Of 4 attempts none was run before a kill: another run of one does not stand for all. */
Test(test_merge, attempts_that_nobody_ran_are_not_forgotten)
{
	struct test_results head = { 0 }, set;
	struct test_result *a = results_rig_test("a", VERDICT_NOT_RUN);
	char text[8192] = "", *line = journal_head(&head);

	strcat(text, line);
	free(line);
	for (a->attempt = 1; a->attempt <= 4; a->attempt++) {
		strcat(text, line = journal_planned(a));
		free(line);
	}
	results_rig_write("killed/results.jsonl", text);
	write_shard("other", "A", 0, 0);
	cr_expect_eq(merge("killed other", &set), 125);
	cr_expect_eq(set.n_tests, 4u);
	cr_expect(!set.complete);
	test_result_destroy(a);
	test_results_fini(&set);
}

Test(test_merge, what_cannot_be_read_is_named)
{
	struct test_results set;

	write_shard("s1", "A", 0, 0);
	results_rig_write("bad/results.json", "{\"version\":1,\"tests\":[{\"name\":\"x\","
			  "\"verdict\":\"passed\",\"dir\":\"../../etc\"}]}");
	cr_expect_eq(merge("s1 bad none", &set), 125);
	cr_expect(has_note(&set, "/bad' could not be read") && has_note(&set, "/none' could not"));
	cr_expect_eq(set.n_tests, 1u);
	cr_expect(!set.complete);
	test_results_fini(&set);
}

/* Files that whoever made the directory put there for us. */
Test(test_merge, links_are_not_followed)
{
	struct test_results set;
	char path[128], name[128], *text;

	write_shard("s1", "AB", 0, 0);
	results_rig_write("secret/console.log", "the secret");
	snprintf(path, sizeof(path), "%s/s1/runs/1-a/link", base);
	cr_assert_eq(symlink("../../../secret/console.log", path), 0);
	snprintf(path, sizeof(path), "%s/s1/runs/1-b", base);
	snprintf(name, sizeof(name), "%s/s1/runs/was-b", base);
	cr_assert_eq(rename(path, name), 0);
	cr_assert_eq(symlink("../../secret", path), 0);
	cr_expect_eq(merge("s1", &set), 0);
	cr_expect(has_note(&set, "1 files of runs/1-a were not copied"));
	cr_expect_null(set.test[1]->dir);
	text = results_rig_read("out/runs/1-a/link");
	cr_expect_null(text);
	test_results_fini(&set);
}

Test(test_merge, source_is_not_overwritten)
{
	struct test_results set;
	char *text;

	write_shard("out", "A", 0, 0);
	cr_expect_eq(merge("out", &set), 125);
	test_results_fini(&set);
	text = results_rig_read("out/runs/1-a/console.log");
	cr_expect(text);
	free(text);
}

Test(test_merge, of_nothing_leaves_what_is_there)
{
	struct test_results set;

	write_shard("s1", "AB", 0, 0);
	cr_expect_eq(merge("s1", &set), 0);
	test_results_fini(&set);
	results_rig_write("empty/notes.txt", "mine");
	/* The name of another directory was meant. */
	cr_expect_eq(merge("empty nowhere", &set), 125);
	cr_expect_eq(set.n_tests, 2, "what was there is there");
	test_results_fini(&set);
}

#endif
