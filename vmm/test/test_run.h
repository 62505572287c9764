/*
 * One test, run once: its VM as a child process, its steps one after the other, its verdict.  Any
 * number of them share one event loop; nothing blocks, and no guest can keep the others waiting.
 *
 * In the result's folder it leaves vm.json, console.log (as the guest wrote it), stderr.log,
 * state.txt (if there was a reason to look) and files/ (what was copied out).
 */
#ifndef TEST_TEST_RUN_H
#define TEST_TEST_RUN_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/test/result.h"
#include "vmm/test/test_plan.h"

struct test_run;

struct test_run_ops {
	/*
	 * It is over; called once, on the loop, never from inside test_run_start().  The result is
	 * owned by the callee; of it 'dir', 'host', 'shard' and 'attempt' are for the callee to
	 * say.  The run may be destroyed here.
	 */
	void (*done)(void *arg, struct test_result *result);
	/* Optional: step 'index' (from 0) of 'n' begins, 'text' is borrowed. */
	void (*step)(void *arg, const char *text, unsigned index, unsigned n);
};

/*
 * Start it.  'test', 'ops' and 'arg' are kept; 'dir' is an empty folder, borrowed.  'program' is
 * the Vireo that runs the VM; NULL: this one.
 *
 * Returns 0 and an owned run, 'done' follows: also when something is missing (skipped) or the VM
 * could not be started (broken).  -ENOMEM, or what the first timer and file came to, with an error
 * chain: then there is no run.
 */
MUST_USE int test_run_start(struct test_run **out, const struct test_case *test, const char *dir,
			    const char *program, struct event_loop *loop,
			    const struct test_run_ops *ops, void *arg);

/*
 * End it early ('why': "interrupted"): 'done' follows with VERDICT_NOT_RUN, or with the verdict
 * that was there already.
 */
void test_run_cancel(struct test_run *run, const char *why);

/* Kill what is left of it; 'done' is not called any more.  NULL is fine. */
void test_run_destroy(struct test_run *run);

/* A console.log has so many bytes at its begin, and as many at its end. */
enum { TEST_CONSOLE_PART = 16 << 20 };

#endif
