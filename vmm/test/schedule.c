#include "vmm/test/schedule.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"

/* Lines on a terminal, descriptors, processes: more at a time serve nobody. */
enum { MAX_SLOTS = 256 };

struct task {
	struct schedule_item item;
	unsigned number;	/* as the caller counts */
	bool started;
	unsigned slot;		/* while it runs */
};

struct schedule {
	struct schedule_limits limits;
	unsigned n, n_slots;
	struct task *task;	/* in the order in which they should run */
	unsigned *place;	/* where in 'task' the caller's number is */
	unsigned first;		/* all before it have been started */
	unsigned waiting, running;
	uint64_t memory;	/* of those that run */
	uint64_t cpus;
	bool taken[MAX_SLOTS];
};

static int by_length(const void *a, const void *b)
{
	const struct task *x = a, *y = b;
	/* 0 - 1 is the longest of all. */
	uint64_t tx = x->item.expected_ns - 1, ty = y->item.expected_ns - 1;

	if (tx != ty)
		return tx > ty ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

int schedule_create(struct schedule **out, const struct schedule_item *items, unsigned n,
		    const struct schedule_limits *limits)
{
	struct schedule *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (s) {
		s->task = calloc(n ? n : 1, sizeof(*s->task));
		s->place = calloc(n ? n : 1, sizeof(*s->place));
	}
	if (!s || !s->task || !s->place) {
		schedule_destroy(s);
		return error_set(ENOMEM, "plan %u tests", n);
	}
	s->limits = *limits;
	s->n = n;
	s->waiting = n;
	/* Every guest has a CPU at least. */
	s->n_slots = (unsigned)min_u64(limits->jobs ? limits->jobs : max_u64(limits->cpus, 1),
				       MAX_SLOTS);
	for (unsigned i = 0; i < n; i++)
		s->task[i] = (struct task){ .item = items[i], .number = i };
	qsort(s->task, n, sizeof(*s->task), by_length);
	for (unsigned i = 0; i < n; i++)
		s->place[s->task[i].number] = i;
	*out = s;
	return 0;
}

void schedule_destroy(struct schedule *s)
{
	if (!s)
		return;
	free(s->task);
	free(s->place);
	free(s);
}

static bool is_too_big(const struct schedule *s, const struct task *task)
{
	return s->limits.jobs == 0 &&
	       (task->item.memory > s->limits.memory || task->item.cpus > s->limits.cpus);
}

bool schedule_runs_alone(const struct schedule *s, unsigned item)
{
	return is_too_big(s, &s->task[s->place[item]]);
}

static bool fits(const struct schedule *s, const struct task *task)
{
	if (s->running == 0)
		return true;
	if (s->limits.jobs)
		return s->running < s->n_slots;
	return s->running < s->n_slots && !is_too_big(s, task) &&
	       s->memory <= s->limits.memory &&
	       task->item.memory <= s->limits.memory - s->memory &&
	       s->cpus <= s->limits.cpus && task->item.cpus <= s->limits.cpus - s->cpus;
}

static unsigned take_slot(struct schedule *s)
{
	unsigned slot = 0;

	while (s->taken[slot])
		slot++;
	assert(slot < s->n_slots);
	s->taken[slot] = true;
	return slot;
}

bool schedule_next(struct schedule *s, unsigned *item, unsigned *slot)
{
	while (s->first < s->n && s->task[s->first].started)
		s->first++;
	/* A shorter one may go before a long one for which there is no room now. */
	for (unsigned i = s->first; i < s->n && s->running < s->n_slots; i++) {
		struct task *task = &s->task[i];

		if (task->started || !fits(s, task))
			continue;
		task->started = true;
		task->slot = take_slot(s);
		s->running++;
		s->waiting--;
		s->memory += task->item.memory;
		s->cpus += task->item.cpus;
		*item = task->number;
		*slot = task->slot;
		return true;
	}
	return false;
}

void schedule_ended(struct schedule *s, unsigned item)
{
	struct task *task = &s->task[s->place[item]];

	assert(task->started && s->taken[task->slot]);
	s->taken[task->slot] = false;
	s->running--;
	s->memory -= task->item.memory;
	s->cpus -= task->item.cpus;
}

unsigned schedule_slots(const struct schedule *s)
{
	return s->n_slots;
}

unsigned schedule_running(const struct schedule *s)
{
	return s->running;
}

unsigned schedule_waiting(const struct schedule *s)
{
	return s->waiting;
}
