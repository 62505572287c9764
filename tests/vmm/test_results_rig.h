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

/* A new directory, whose path is kept until the next call; and its end, with all that is in it. */
const char *results_rig_dir(void);
void results_rig_remove_dir(void);

/* Write / read (to be freed; NULL: there is none) a file below it. */
void results_rig_write(const char *name, const char *text);
char *results_rig_read(const char *name);

#endif
