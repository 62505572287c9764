/*
 * Finding out that a guest has halted for good.  With local APICs in the kernel a halted vCPU stays
 * in KVM_RUN, so Vireo is not told.  But a halted guest uses no CPU time: a timer on the main loop
 * compares the vCPU threads' clocks, and only when they stand still somebody has to look.
 */
#ifndef MACHINE_HALT_WATCH_H
#define MACHINE_HALT_WATCH_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

/*
 * When to look.  An idle guest's clocks stand still, too, and each look wakes it: the time to the
 * next look doubles up to a limit, until the guest has worked again.
 */
struct halt_policy {
	uint64_t cpu_ns;	/* at the last tick */
	unsigned wait;		/* ticks between the last look and the next */
	unsigned left;		/* of them */
};

/* One tick: the vCPUs have used 'cpu_ns' in all.  Returns true when it is time to look. */
bool halt_policy_tick(struct halt_policy *policy, uint64_t cpu_ns);

struct halt_watch {
	struct event_source timer;
	struct halt_policy policy;
	uint64_t (*cpu_ns)(void *arg);	/* of all vCPUs together */
	void (*look)(void *arg);
	void *arg;
};
#define HALT_WATCH_INIT { .timer = { .fd = -1 } }

/* Call both functions on 'loop' from now on.  Returns 0 or -errno with an error chain. */
MUST_USE int halt_watch_start(struct halt_watch *watch, struct event_loop *loop);
void halt_watch_stop(struct halt_watch *watch);

#endif
