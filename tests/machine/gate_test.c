#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "vmm/machine/gate.h"

enum { N_THREADS = 4 };

struct crowd {
	struct gate gate;
	pthread_t thread[N_THREADS];
	atomic_uint passed, looks;
	atomic_bool waiting_was_complete;
	bool report;
};

static void look(void *arg)
{
	struct crowd *c = arg;

	c->looks++;
	c->waiting_was_complete = c->gate.n_waiting == N_THREADS;
	if (c->report)
		gate_close(&c->gate, GATE_OUTCOME);
}

static void *walker(void *arg)
{
	struct crowd *c = arg;

	for (;;) {
		if (gate_reasons(&c->gate) && !gate_pass(&c->gate))
			return NULL;
		c->passed++;
		usleep(10);
	}
}

static void crowd_start(struct crowd *c)
{
	gate_init(&c->gate, look, c);
	for (unsigned i = 0; i < N_THREADS; i++) {
		gate_add_thread(&c->gate);
		cr_assert_eq(pthread_create(&c->thread[i], NULL, walker, c), 0);
	}
}

static void crowd_stop(struct crowd *c)
{
	gate_dismiss(&c->gate);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(c->thread[i], NULL);
	gate_fini(&c->gate);
}

Test(gate, a_thread_that_did_not_start_is_not_waited_for)
{
	struct gate gate;

	gate_init(&gate, NULL, NULL);
	gate_close(&gate, GATE_PAUSED);
	gate_add_thread(&gate);
	cr_assert_not(gate_wait_assembled(&gate, 1));
	gate_remove_thread(&gate);
	cr_assert(gate_wait_assembled(&gate, 1));
	gate_fini(&gate);
}

Test(gate, nobody_passes_between_assembled_and_open, .timeout = 20)
{
	struct crowd c = { 0 };

	crowd_start(&c);
	for (unsigned i = 0; i < 200; i++) {
		gate_close(&c.gate, GATE_PAUSED);
		cr_assert(gate_wait_assembled(&c.gate, 5000));
		unsigned before = c.passed;
		usleep(50);
		cr_assert_eq(c.passed, before);
		gate_open(&c.gate, GATE_PAUSED);
	}
	crowd_stop(&c);
}

Test(gate, stays_closed_until_the_last_reason_is_gone, .timeout = 20)
{
	struct crowd c = { 0 };

	crowd_start(&c);
	gate_close(&c.gate, GATE_PAUSED);
	gate_close(&c.gate, GATE_OUTCOME);
	cr_assert(gate_wait_assembled(&c.gate, 5000));
	unsigned before = c.passed;
	gate_open(&c.gate, GATE_PAUSED);
	usleep(20000);
	cr_assert_eq(c.passed, before);
	gate_open(&c.gate, GATE_OUTCOME);
	while (c.passed == before)
		usleep(100);
	crowd_stop(&c);
}

Test(gate, look_runs_once_with_all_assembled, .timeout = 20)
{
	struct crowd c = { 0 };

	crowd_start(&c);
	gate_close(&c.gate, GATE_LOOK);
	while (gate_reasons(&c.gate))
		usleep(100);
	cr_assert_eq(c.looks, 1);
	cr_assert(c.waiting_was_complete);
	crowd_stop(&c);
}

Test(gate, look_that_came_after_all_had_assembled_is_not_lost, .timeout = 20)
{
	struct crowd c = { 0 };

	crowd_start(&c);
	gate_close(&c.gate, GATE_PAUSED);
	cr_assert(gate_wait_assembled(&c.gate, 5000));
	gate_close(&c.gate, GATE_LOOK);
	gate_open(&c.gate, GATE_PAUSED);
	while (gate_reasons(&c.gate))
		usleep(100);
	cr_assert_eq(c.looks, 1);
	crowd_stop(&c);
}

Test(gate, look_may_close_the_gate, .timeout = 20)
{
	struct crowd c = { .report = true };

	crowd_start(&c);
	gate_close(&c.gate, GATE_LOOK);
	while (gate_reasons(&c.gate) != GATE_OUTCOME)
		usleep(100);
	cr_assert(gate_wait_assembled(&c.gate, 5000));
	crowd_stop(&c);
}

Test(gate, waiting_for_a_thread_that_does_not_come_ends, .timeout = 20)
{
	struct gate gate;

	gate_init(&gate, look, NULL);
	gate_add_thread(&gate);
	gate_close(&gate, GATE_PAUSED);
	cr_assert_not(gate_wait_assembled(&gate, 10));
	gate_fini(&gate);
}
