/* Results in the order of reports: by file, then as in the file; attempts of a test in a row. */
#ifndef TEST_RESULT_ORDER_H
#define TEST_RESULT_ORDER_H

#include "vmm/test/result.h"

struct result_order {
	unsigned n;
	const struct test_result **test;	/* borrowed from the results */
};

/* Returns 0, or -ENOMEM. */
MUST_USE int result_order_init(struct result_order *out, const struct test_results *results);
void result_order_fini(struct result_order *order);

/* How many, from 'i' on, are of the same file / of the same file and name. */
unsigned result_order_same_file(const struct result_order *order, unsigned i);
unsigned result_order_same_name(const struct result_order *order, unsigned i);

/*
 * What a report calls it, returned owned: the title, and the attempt if it is not the first; NULL
 * without memory.
 */
char *result_order_title(const struct test_result *result);

#endif
