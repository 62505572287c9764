/* The time limit of a run (vm.timeout), which stands still while the VM is paused.  Main thread. */
#ifndef VMM_TIME_LIMIT_H
#define VMM_TIME_LIMIT_H

#include "vmm/base/event_loop.h"
#include "vmm/base/fd.h"
#include "vmm/base/util.h"

struct time_limit {
	struct event_source timer;
	void (*passed)(void *arg);
	void *arg;
	uint64_t left_ns;		/* as of 'since_ns', or of when it was held */
	uint64_t since_ns;
	bool held;
};
#define TIME_LIMIT_INIT { .timer.fd = FD_NONE }

/*
 * Have 'passed' called on 'loop' in 'ms' milliseconds; 0: never.  Returns 0 or -errno with an error
 * chain.
 */
MUST_USE int time_limit_start(struct time_limit *limit, struct event_loop *loop, uint64_t ms,
			      void (*passed)(void *arg), void *arg);

/* TIME_LIMIT_INIT is fine. */
void time_limit_stop(struct time_limit *limit);

/* Stand still / go on.  Idempotent.  Works in the sandbox. */
void time_limit_hold(struct time_limit *limit, bool held);

#endif
