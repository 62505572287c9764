/* The results directory: what is in it when, and what is removed from it. */
#include "vmm/test/result_store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vmm/test_results_rig.h"
#include "vmm/base/error.h"
#include "vmm/test/result_read.h"

#if HAVE_JANSSON

static char results_path[128];

static struct result_store *open_store(void)
{
	struct test_results plan = { 0 };
	struct result_store *store;

	for (const char *name = "abc"; *name; name++)
		cr_assert_eq(test_results_add(&plan, results_rig_test((char[]){ *name, 0 },
								      VERDICT_NOT_RUN)), 0);
	cr_assert_eq(result_store_create(&store, results_path, &plan), 0, "%s", error_text());
	cr_expect_eq(plan.n_tests, 0u);
	return store;
}

static void setup(void)
{
	snprintf(results_path, sizeof(results_path), "%s/a/b/results", results_rig_dir());
}

TestSuite(test_store, .init = setup, .fini = results_rig_remove_dir);

static bool exists(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", results_path, name);
	return access(path, F_OK) == 0;
}

Test(test_store, journal_has_the_plan_and_each_end_at_once)
{
	struct result_store *store = open_store();
	struct test_results set;
	char *text;

	cr_assert_eq(result_store_add(store, results_rig_test("b", VERDICT_FAILED)), 0);
	/* As if killed now. */
	text = results_rig_read("a/b/results/results.jsonl");
	cr_assert_eq(results_read_journal(&set, text, strlen(text)), 0, "%s", error_text());
	cr_expect_eq(set.n_tests, 3u);
	cr_expect_eq(set.test[0]->verdict, VERDICT_NOT_RUN);
	cr_expect_eq(set.test[1]->verdict, VERDICT_FAILED);
	cr_expect_gt(set.started_ns, 0);
	cr_expect(!exists("results.json"), "the truth is there at the end only");
	test_results_fini(&set);
	free(text);
	result_store_destroy(store);
}

Test(test_store, a_line_that_there_is_no_room_for_spoils_no_other)
{
	struct result_store *store = open_store();
	struct test_result *test = results_rig_test("a", VERDICT_FAILED);
	char path[160], *text;
	struct rlimit before, limit;
	struct test_results set;
	struct stat st;

	snprintf(path, sizeof(path), "%s/results.jsonl", results_path);
	cr_assert_eq(stat(path, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)st.st_size + 20;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(result_store_add(store, test), -EFBIG);
	error_clear();
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	/* There is room again; then it is killed. */
	cr_expect_eq(result_store_add(store, results_rig_test("b", VERDICT_PASSED)), 0);
	text = results_rig_read("a/b/results/results.jsonl");
	cr_assert_eq(results_read_journal(&set, text, strlen(text)), 0, "%s", error_text());
	cr_expect_eq(set.n_tests, 3u);
	cr_expect_eq(set.test[1]->verdict, VERDICT_PASSED);
	test_results_fini(&set);
	free(text);
	result_store_destroy(store);
}

Test(test_store, finish_writes_all_reports_and_says_what_was_not_run)
{
	struct result_store *store = open_store();
	struct test_results set;
	char *text;

	cr_assert_eq(result_store_add(store, results_rig_test("a", VERDICT_PASSED)), 0);
	cr_assert_eq(result_store_note(store, "ended by SIGTERM"), 0);
	cr_assert_eq(result_store_finish(store, true), 0, "%s", error_text());
	text = results_rig_read("a/b/results/results.json");
	cr_assert_eq(results_read_json(&set, text, strlen(text)), 0, "%s", error_text());
	cr_expect_eq(set.n_tests, 3u);
	cr_expect_eq(set.test[0]->verdict, VERDICT_PASSED);
	cr_expect_eq(set.test[2]->verdict, VERDICT_NOT_RUN);
	cr_expect(!set.complete, "two were not run");
	cr_expect_str_eq(set.note[0], "ended by SIGTERM");
	cr_expect(exists("results.tap") && exists("junit.xml") && exists("report.html"));
	test_results_fini(&set);
	free(text);
	result_store_destroy(store);
}

Test(test_store, directories_of_runs_have_plain_names)
{
	struct result_store *store = open_store();
	struct test_result *r = results_rig_test("../../etc/\033[31m b\xc3\xbcg", VERDICT_PASSED);
	char *path, *first;

	cr_assert_eq(test_result_add_axis(r, "vm.cpus", "4"), 0);
	cr_assert_eq(result_store_make_dir(store, r, &path), 0, "%s", error_text());
	cr_expect_str_eq(r->dir, "runs/1-..-..-etc-31m-b-g-vm.cpus-4");
	cr_expect(result_dir_is_inside(r->dir));
	cr_expect(!strncmp(path, results_path, strlen(results_path)));
	cr_expect(exists(r->dir));
	first = strdup(r->dir);
	r->attempt = 2;
	free(path);
	cr_assert_eq(result_store_make_dir(store, r, &path), 0);
	cr_expect_str_neq(r->dir, first);
	free(first);
	free(path);
	test_result_destroy(r);
	result_store_destroy(store);
}

Test(test_store, next_run_removes_what_is_vireos_and_no_more)
{
	struct result_store *store = open_store();
	struct test_result *r = results_rig_test("a", VERDICT_PASSED);
	char *path, link[300];

	cr_assert_eq(result_store_make_dir(store, r, &path), 0);
	results_rig_write("a/outside/kept", "x");
	results_rig_write("a/b/results/mine.txt", "x");
	results_rig_write("a/b/results/runs/1-a/files/deep/er", "x");
	snprintf(link, sizeof(link), "%s/link", path);
	cr_assert_eq(symlink("../../../../outside", link), 0);
	cr_assert_eq(result_store_add(store, r), 0);
	cr_assert_eq(result_store_finish(store, true), 0);
	result_store_destroy(store);

	store = open_store();
	cr_expect(exists("mine.txt"));
	cr_expect(exists("runs"));
	cr_expect(!exists("runs/1-a"));
	cr_expect(!exists("results.json") && !exists("report.html"));
	cr_expect(exists("../../outside/kept"), "the link was followed");
	result_store_destroy(store);
	free(path);
}

Test(test_store, files_of_others_are_not_overwritten)
{
	static const char *const names[] = { "report.html", "runs/a" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct test_results plan = { 0 };
		struct result_store *store;
		char name[256];
		snprintf(name, sizeof(name), "a/b/results/%s", names[i]);
		results_rig_write(name, "mine");
		cr_expect_eq(result_store_create(&store, results_path, &plan), -EEXIST);
		cr_expect_null(store);
		cr_expect(exists(names[i]));
		error_clear();
		snprintf(name, sizeof(name), "%s/%s", results_path, names[i]);
		cr_assert_eq(unlink(name), 0);
	}
}

Test(test_store, two_runs_do_not_share_a_directory)
{
	struct result_store *store = open_store(), *second;
	struct test_results plan = { 0 };

	cr_expect_eq(result_store_create(&second, results_path, &plan), -EBUSY);
	cr_expect(exists("results.jsonl"));
	error_clear();
	result_store_destroy(store);
}

Test(test_store, result_replaces_its_attempt_only)
{
	struct result_store *store = open_store();
	struct test_result *second = results_rig_test("a", VERDICT_FAILED);
	const struct test_results *all = result_store_results(store);

	second->attempt = 2;
	cr_assert_eq(result_store_add(store, second), 0);
	cr_expect_eq(all->n_tests, 4u);
	cr_expect_eq(all->test[0]->verdict, VERDICT_NOT_RUN);
	cr_assert_eq(result_store_add(store, results_rig_test("a", VERDICT_PASSED)), 0);
	cr_expect_eq(all->n_tests, 4u);
	cr_expect_eq(all->test[0]->verdict, VERDICT_PASSED);
	result_store_destroy(store);
}

#endif
