#include "vmm/machine/gate.h"

#include <time.h>

#include "vmm/base/clock.h"

void gate_init(struct gate *gate, void (*look)(void *arg), void *arg)
{
	pthread_condattr_t attr;

	*gate = (struct gate) { .look = look, .arg = arg };
	pthread_mutex_init(&gate->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&gate->changed, &attr);
	pthread_condattr_destroy(&attr);
}

void gate_fini(struct gate *gate)
{
	pthread_cond_destroy(&gate->changed);
	pthread_mutex_destroy(&gate->lock);
}

/*
 * Sequentially consistent: a vCPU thread clears immediate_exit and then looks at the gate, a kicker
 * closes the gate and then sets immediate_exit (vcpu.c).  One of the two must see the other.
 */
void gate_close(struct gate *gate, enum gate_reason reason)
{
	atomic_fetch_or(&gate->closed, (unsigned)reason);
}

void gate_open(struct gate *gate, unsigned reasons)
{
	pthread_mutex_lock(&gate->lock);
	atomic_fetch_and(&gate->closed, ~reasons);
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

void gate_dismiss(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	atomic_fetch_or(&gate->closed, (unsigned)GATE_QUIT);
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

unsigned gate_reasons(const struct gate *gate)
{
	return atomic_load(&gate->closed);
}

void gate_add_thread(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->n_threads++;
	pthread_mutex_unlock(&gate->lock);
}

void gate_remove_thread(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->n_threads--;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

bool gate_pass(struct gate *gate)
{
	unsigned closed;

	pthread_mutex_lock(&gate->lock);
	gate->n_waiting++;
	pthread_cond_broadcast(&gate->changed);
	while ((closed = gate_reasons(gate)) != 0 && !(closed & GATE_QUIT)) {
		/*
		 * Asked at each wake-up, not only by the last to arrive: all may have been here
		 * before.
		 */
		if ((closed & GATE_LOOK) && gate->n_waiting == gate->n_threads) {
			gate->look(gate->arg);
			atomic_fetch_and(&gate->closed, ~(unsigned)GATE_LOOK);
			pthread_cond_broadcast(&gate->changed);
			continue;
		}
		pthread_cond_wait(&gate->changed, &gate->lock);
	}
	gate->n_waiting--;
	pthread_mutex_unlock(&gate->lock);
	return !(closed & GATE_QUIT);
}

bool gate_wait_assembled(struct gate *gate, unsigned ms)
{
	struct timespec until = clock_in_ms(ms);
	int r = 0;

	pthread_mutex_lock(&gate->lock);
	while (gate->n_waiting < gate->n_threads && r == 0)
		r = pthread_cond_timedwait(&gate->changed, &gate->lock, &until);
	bool assembled = gate->n_waiting == gate->n_threads;
	pthread_mutex_unlock(&gate->lock);
	return assembled;
}
