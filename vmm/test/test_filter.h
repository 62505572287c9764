/*
 * 'vireo test --filter': which tests are meant.  A pattern is
 *
 *     boots*          a glob for the name, with or without the values of its matrix
 *     /regex/         PCRE2, found anywhere in "FILE: NAME [AXES]"
 *     tag:GLOB        one of the test's tags
 *     !PATTERN        not those
 *
 * A test is meant if it matches one of those without '!', or there are none, and none of those
 * with.
 */
#ifndef TEST_TEST_FILTER_H
#define TEST_TEST_FILTER_H

#include "vmm/base/util.h"
#include "vmm/mistakes.h"
#include "vmm/test/test_arguments.h"
#include "vmm/test/test_plan.h"

struct test_filter;

/*
 * Read 'words' (borrowed until it is destroyed); what is wrong with them is noted.  Returns 0 and
 * an owned filter, or -ENOMEM with an error chain.
 */
MUST_USE int test_filter_create(struct test_filter **out, const struct word_list *words,
				struct mistakes *mistakes);
/* NULL is fine. */
void test_filter_destroy(struct test_filter *filter);

/* Is the test meant?  'key' is "FILE: NAME [AXES]". */
bool test_filter_takes(const struct test_filter *filter, const struct test_case *test,
		       const char *key);

#endif
