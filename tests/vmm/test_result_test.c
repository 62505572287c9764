/* Results of tests: ownership, titles, what is flaky, what the exit status is. */
#include "vmm/test/result.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct test_result *result(const char *name, enum verdict verdict, unsigned attempt)
{
	struct test_result *r;

	cr_assert_eq(test_result_create(&r), 0);
	cr_assert_eq(result_set_text(&r->file, "%s", "boot.yaml"), 0);
	cr_assert_eq(result_set_text(&r->name, "%s", name), 0);
	r->verdict = verdict;
	r->attempt = attempt;
	return r;
}

Test(test_result, title_has_the_axes)
{
	struct test_result *r = result("boots", VERDICT_PASSED, 1);
	char *title = test_result_title(r);

	cr_expect_str_eq(title, "boots");
	free(title);
	cr_assert_eq(test_result_add_axis(r, "vm.transport", "pci"), 0);
	cr_assert_eq(test_result_add_axis(r, "vm.cpus", "1"), 0);
	title = test_result_title(r);
	cr_expect_str_eq(title, "boots [vm.transport=pci vm.cpus=1]");
	free(title);
	test_result_destroy(r);
}

Test(test_result, verdicts_have_names_that_are_read_again)
{
	for (unsigned i = 0; i < N_VERDICTS; i++) {
		enum verdict v = N_VERDICTS;
		cr_expect_eq(verdict_from_name(&v, verdict_name((enum verdict)i)), 0);
		cr_expect_eq(v, i);
		cr_expect_gt(strlen(verdict_words((enum verdict)i)), 0u);
	}
	enum verdict v = VERDICT_SKIPPED;
	cr_expect_eq(verdict_from_name(&v, "PASSED"), -EINVAL);
	cr_expect_eq(v, VERDICT_SKIPPED);
}

Test(test_result, bytes_become_a_text_without_zeros)
{
	char *text = NULL, *long_text = calloc(1, RESULT_MAX_TEXT + 100);

	cr_assert_eq(result_set_bytes(&text, "a\0b", 3), 0);
	cr_expect_str_eq(text, "a?b");
	cr_assert_eq(result_set_bytes(&text, long_text, RESULT_MAX_TEXT + 100), 0);
	cr_expect_eq(strlen(text), (size_t)RESULT_MAX_TEXT);
	memset(long_text, 'x', RESULT_MAX_TEXT + 99);
	cr_assert_eq(result_set_text(&text, "%s", long_text), 0);
	cr_expect_eq(strlen(text), (size_t)RESULT_MAX_TEXT);
	free(text);
	free(long_text);
}

Test(test_result, axes_and_steps_are_bounded)
{
	struct test_result *r = result("boots", VERDICT_PASSED, 1);
	struct test_step *step;
	int last = 0;

	for (unsigned i = 0; i <= RESULT_MAX_AXES; i++)
		last = test_result_add_axis(r, "a", "b");
	cr_expect_eq(last, -E2BIG);
	for (unsigned i = 0; i <= RESULT_MAX_STEPS; i++)
		last = test_result_add_step(r, "expect", i, &step);
	cr_expect_eq(last, -E2BIG);
	cr_expect_eq(r->n_steps, (unsigned)RESULT_MAX_STEPS);
	cr_expect_eq(r->step[7].line, 7u);
	cr_expect_eq(r->step[7].console_from, CONSOLE_NOWHERE);
	test_result_destroy(r);
}

Test(test_result, different_attempts_are_flaky)
{
	struct test_results set = { 0 };
	struct result_counts counts;

	cr_assert_eq(test_results_add(&set, result("a", VERDICT_PASSED, 1)), 0);
	cr_assert_eq(test_results_add(&set, result("b", VERDICT_PASSED, 1)), 0);
	cr_assert_eq(test_results_add(&set, result("c", VERDICT_FAILED, 1)), 0);
	cr_assert_eq(test_results_add(&set, result("a", VERDICT_TIMED_OUT, 2)), 0);
	cr_assert_eq(test_results_add(&set, result("b", VERDICT_NOT_RUN, 2)), 0);
	cr_assert_eq(test_results_add(&set, result("c", VERDICT_TIMED_OUT, 2)), 0);
	cr_assert_eq(test_results_mark_flaky(&set), 0);
	cr_expect(set.test[0]->flaky && set.test[3]->flaky);
	cr_expect(!set.test[1]->flaky && !set.test[4]->flaky, "one that was not run says nothing");
	cr_expect(!set.test[2]->flaky && !set.test[5]->flaky, "always bad is not flaky");
	cr_assert_eq(test_results_count(&set, &counts), 0);
	cr_expect_eq(counts.attempts, 6u);
	cr_expect_eq(counts.tests, 3u);
	cr_expect_eq(counts.flaky, 1u);
	cr_expect_eq(counts.verdict[VERDICT_PASSED], 2u);
	cr_expect_eq(counts.verdict[VERDICT_TIMED_OUT], 2u);
	test_results_fini(&set);
}

Test(test_result, axes_make_another_test)
{
	struct test_result *a = result("a", VERDICT_PASSED, 1), *b = result("a", VERDICT_FAILED, 2);

	cr_expect(test_result_is_same_test(a, b));
	cr_assert_eq(test_result_add_axis(a, "vm.cpus", "1"), 0);
	cr_expect(!test_result_is_same_test(a, b));
	cr_assert_eq(test_result_add_axis(b, "vm.cpus", "2"), 0);
	cr_expect(!test_result_is_same_test(a, b));
	test_result_destroy(a);
	test_result_destroy(b);
}

Test(test_result, status_is_of_the_worst)
{
	static const struct {
		enum verdict verdict;
		int status;
	} next[] = {
		{ VERDICT_PASSED, 0 }, { VERDICT_SKIPPED, 0 }, { VERDICT_NOT_RUN, 125 },
		{ VERDICT_TIMED_OUT, 124 }, { VERDICT_FAILED, 123 }, { VERDICT_BROKEN, 125 },
		{ VERDICT_FAILED, 125 },
	};
	struct test_results set = { 0 };

	cr_expect_eq(test_results_status(&set), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(next); i++) {
		cr_assert_eq(test_results_add(&set, result("a", next[i].verdict, i + 1)), 0);
		cr_expect_eq(test_results_status(&set), next[i].status, "after %u", i);
	}
	test_results_fini(&set);
}
