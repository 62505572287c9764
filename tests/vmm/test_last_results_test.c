#include "vmm/test/last_results.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_tree.h"
#include "vmm/base/error.h"
#include "vmm/test/result_store.h"

#if HAVE_JANSSON

static char dir[TEMP_TREE_SIZE];
static char results[TEMP_TREE_SIZE + 8];

static void make_dir(void)
{
	temp_tree_make(dir);
	snprintf(results, sizeof(results), "%s/out", dir);
}

static void remove_dir(void)
{
	temp_tree_remove(dir);
}

TestSuite(test_last_results, .init = make_dir, .fini = remove_dir);

/* One test was planned, and passed; 'finish': the run ended as it should. */
static void leave(bool finish)
{
	struct test_results plan = { 0 };
	struct result_store *store;
	struct test_result *test;

	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(test_result_create(&test), 0);
		cr_assert_eq(result_set_text(&test->file, "a.yaml"), 0);
		cr_assert_eq(result_set_text(&test->name, "boots"), 0);
		if (i == 0)
			cr_assert_eq(test_results_add(&plan, test), 0);
	}
	cr_assert_eq(result_store_create(&store, results, &plan), 0, "%s", error_text());
	test->verdict = VERDICT_PASSED;
	cr_assert_eq(result_store_add(store, test), 0);
	if (finish)
		cr_assert_eq(result_store_finish(store, true), 0);
	result_store_destroy(store);
}

static void is_read(bool complete)
{
	struct test_results last;

	cr_assert_eq(last_results_read(&last, results), 0, "%s", error_text());
	cr_assert_eq(last.n_tests, 1);
	cr_assert_eq(last.test[0]->verdict, VERDICT_PASSED);
	cr_assert_eq(last.complete, complete);
	test_results_fini(&last);
}

Test(test_last_results, are_read_also_of_a_run_that_was_killed)
{
	struct test_results last;

	cr_assert_eq(last_results_read(&last, results), -ENOENT);
	test_results_fini(&last);
	error_clear();
	leave(true);
	is_read(true);
	leave(false);
	is_read(false);
}

Test(test_last_results, are_kept_under_another_name)
{
	char moved[LAST_RESULTS_PATH_SIZE], wanted[80];

	cr_assert_eq(last_results_keep(results, moved), 0);
	cr_assert_str_eq(moved, "", "there are none");
	for (unsigned i = 1; i <= 3; i++) {
		leave(true);
		cr_assert_eq(last_results_keep(results, moved), 0);
		snprintf(wanted, sizeof(wanted), "%s.%u", results, i);
		cr_assert_str_eq(moved, wanted);
		cr_assert_eq(access(wanted, F_OK), 0);
		cr_assert_neq(access(results, F_OK), 0);
	}
	cr_assert_eq(mkdir(results, 0700), 0);
	cr_assert_eq(last_results_keep(results, moved), 0);
	cr_assert_str_eq(moved, "", "somebody else's directory stays where it is");
	cr_assert_eq(access(results, F_OK), 0);
}

Test(test_last_results, stay_where_they_are_while_a_run_writes_them)
{
	char moved[LAST_RESULTS_PATH_SIZE];
	struct test_results plan = { 0 };
	struct result_store *store;

	cr_assert_eq(result_store_create(&store, results, &plan), 0, "%s", error_text());
	cr_expect_eq(last_results_keep(results, moved), -EBUSY);
	error_clear();
	cr_expect_str_eq(moved, "");
	cr_expect_eq(access(results, F_OK), 0);
	result_store_destroy(store);
	cr_expect_eq(last_results_keep(results, moved), 0, "%s", error_text());
}

#endif
