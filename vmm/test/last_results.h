/* The results that an earlier run left in its directory. */
#ifndef TEST_LAST_RESULTS_H
#define TEST_LAST_RESULTS_H

#include "vmm/test/result.h"

/*
 * Read those in 'dir': results.json, or the journal of a run that was killed.  Returns 0; -ENOENT:
 * there are none; -errno; with an error chain.  test_results_fini() in any case.
 */
MUST_USE int last_results_read(struct test_results *out, const char *dir);

/*
 * Give the directory another name, "DIR.1" or the first number that is free, if it has results of
 * Vireo's.  'moved' has room for it, "" if there was nothing to keep.  Returns 0; -EBUSY: another
 * run writes there; or -errno; with an error chain.
 */
enum { LAST_RESULTS_PATH_SIZE = 4096 };
MUST_USE int last_results_keep(const char *dir, char moved[LAST_RESULTS_PATH_SIZE]);

#endif
