/*
 * Tests run, many of them: as many at a time as the schedule allows, each in turn from its start to
 * its line in the results, until all are done, one has failed (if that is to end it), or somebody
 * interrupts.  One thread, one event loop.
 */
#ifndef TEST_TEST_BATCH_H
#define TEST_TEST_BATCH_H

#include "vmm/base/util.h"
#include "vmm/test/durations.h"
#include "vmm/test/progress.h"
#include "vmm/test/result_store.h"
#include "vmm/test/run_cache.h"
#include "vmm/test/schedule.h"
#include "vmm/test/test_plan.h"

/* All of it is borrowed for the call. */
struct test_batch_config {
	struct test_case *const *test;
	const char *const *key;		/* "FILE: TITLE" of each */
	unsigned n;
	unsigned repeat;		/* of each test; 0: as it says itself */
	unsigned retries;		/* likewise, of one that goes wrong; not if repeated */
	struct schedule_limits limits;
	bool fail_fast;
	struct run_cache *cache;	/* NULL: run all */
	struct durations *durations;
	unsigned shard, n_shards;
	const char *host;
	struct result_store *store;	/* with all attempts planned: test_batch_plan() */
	struct progress *progress;
	bool live;			/* have it redrawn as time passes */
};

/* How many attempts that is. */
unsigned test_batch_attempts(const struct test_batch_config *config);

/* Add all attempts to 'plan', as not run.  Returns 0, or -errno with an error chain. */
MUST_USE int test_batch_plan(const struct test_batch_config *config, struct test_results *plan);

struct test_batch_end {
	bool complete;		/* all of them were run */
	int signal;		/* which ended it; 0: none */
};

/*
 * Run them.  SIGINT, SIGTERM, SIGHUP and SIGQUIT end the VMs, a second one kills them; the signals
 * are blocked from then on.  Returns 0: each attempt that was started has its result in the store;
 * or -errno with an error chain: it did not begin.
 */
MUST_USE int test_batch_run(const struct test_batch_config *config, struct test_batch_end *end);

#endif
