/* A set of results with everything in it, for tests of what is made of results. */
#ifndef TESTS_VMM_TEST_RESULTS_RIG_H
#define TESTS_VMM_TEST_RESULTS_RIG_H

#include "vmm/test/result.h"

/* A test of file boot.yaml, without steps. */
struct test_result *results_rig_test(const char *name, enum verdict verdict);

/*
 * One of each verdict, with steps, axes, two attempts of a flaky one, a note; shard 1 of 2.  Its
 * directories are runs/1 ... in order, and are not made.
 */
void results_rig_make(struct test_results *out);

#endif
