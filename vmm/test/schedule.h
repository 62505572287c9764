/*
 * Which tests run at a time: the longest first, as many as the host has memory and CPUs for.  Pure
 * bookkeeping: who runs them asks for the next one whenever one has ended.
 */
#ifndef TEST_SCHEDULE_H
#define TEST_SCHEDULE_H

#include "vmm/base/util.h"

/* What one run of a test needs. */
struct schedule_item {
	uint64_t memory;	/* bytes */
	unsigned cpus;
	uint64_t expected_ns;	/* 0: nobody knows; such ones go first, as they may be long */
};

struct schedule_limits {
	unsigned jobs;		/* at a time; 0: as many as there is room for */
	uint64_t memory;	/* with 'jobs' 0: all of them together */
	unsigned cpus;
};

struct schedule;

/*
 * 'items' are copied.  With 'jobs' the user has said how many: memory and CPUs do not count then.
 * Returns 0 and an owned schedule, or -ENOMEM with an error chain.
 */
MUST_USE int schedule_create(struct schedule **out, const struct schedule_item *items, unsigned n,
			     const struct schedule_limits *limits);
/* NULL is fine. */
void schedule_destroy(struct schedule *s);

/* Does the item need more than there is?  It runs while nothing else does. */
bool schedule_runs_alone(const struct schedule *s, unsigned item);

/*
 * Take the next one to start now: its number in '*item', and a slot below schedule_slots() in
 * '*slot', which no other one has until it ended.  Returns false when there is none: those that run
 * must end first, or all have been started.
 */
bool schedule_next(struct schedule *s, unsigned *item, unsigned *slot);

/* One that was started has ended. */
void schedule_ended(struct schedule *s, unsigned item);

/* How many can run at a time at most. */
unsigned schedule_slots(const struct schedule *s);
/* How many run now / have not been started. */
unsigned schedule_running(const struct schedule *s);
unsigned schedule_waiting(const struct schedule *s);

#endif
