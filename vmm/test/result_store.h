/*
 * The results directory of a run of 'vireo test':
 *
 *     results.jsonl    the journal: what was planned, then a line for each test that ended
 *     results.json     at the end: the one truth, of which the other files are made
 *     results.tap, junit.xml, report.html
 *     runs/NAME/       the files of each attempt (its own, 'test_result.dir')
 *     .vireo-results   says that all of these are Vireo's, which may be removed by the next run
 *
 * The journal is written as tests end, each line at once: whoever kills Vireo with SIGKILL loses
 * the tests that were running ('vireo test --merge DIR' makes reports of a journal).  One thread.
 */
#ifndef TEST_RESULT_STORE_H
#define TEST_RESULT_STORE_H

#include "vmm/test/result.h"

struct result_store;

/*
 * Make the directory 'dir' (and those above it) ready, removing what an earlier run left there,
 * and only that.  'plan' (consumed, also on failure, and left zeroed) has command, host, shard, and
 * every test and attempt that shall be run, in order, as not run.
 *
 * Returns 0 and an owned store; -EEXIST: files there are not Vireo's; -EBUSY: another run writes
 * there; or -errno; with an error chain.
 */
MUST_USE int result_store_create(struct result_store **out, const char *dir,
				 struct test_results *plan);
/* NULL is fine.  Does not finish. */
void result_store_destroy(struct result_store *store);

/*
 * Make the directory for an attempt at a test: sets 'result->dir', and '*path' (returned owned) to
 * a path that includes the results directory.  Returns 0, or -errno with an error chain.
 */
MUST_USE int result_store_make_dir(struct result_store *store, struct test_result *result,
				   char **path);

/*
 * A test ended: 'result' (consumed, also on failure) takes the place of the planned one of the same
 * test and attempt, or is added.  It is in the journal when this returns.
 *
 * Returns 0, or -errno with an error chain (a full disk); the store goes on, and what it could not
 * write to the journal will be in results.json.
 */
MUST_USE int result_store_add(struct result_store *store, struct test_result *result);

/* Something that people must know about the run; also in the journal. */
MUST_USE int result_store_note(struct result_store *store, const char *text);

/* What is known by now, borrowed until the store is destroyed. */
const struct test_results *result_store_results(const struct result_store *store);

/*
 * Write results.json and the reports.  'complete': everything was run; if not, those that were not
 * say "not run".  May be called on SIGTERM: it waits for nothing but the disk.
 *
 * Returns 0, or -errno with an error chain.
 */
MUST_USE int result_store_finish(struct result_store *store, bool complete);

#endif
