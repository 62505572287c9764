/*
 * The gate between a vCPU thread and its guest.  The gate is open, or closed for one or more
 * reasons; threads pass it before each entry into the guest and wait there while it is closed.
 * Closing never waits and may be done by any thread; whoever needs the threads out kicks them
 * (vcpu_kick) and waits for them to assemble.
 */
#ifndef MACHINE_GATE_H
#define MACHINE_GATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/base/util.h"

enum gate_reason {
	GATE_PAUSED = 1 << 0,	/* machine_pause */
	GATE_OUTCOME = 1 << 1,	/* machine_report: the guest's run is over */
	GATE_LOOK = 1 << 2,	/* 'look' shall run once while nobody is in the guest */
	GATE_QUIT = 1 << 3,	/* gate_dismiss */
	GATE_HELD = 1 << 4,	/* machine_hold */
	GATE_REPORT = 1 << 5,	/* machine_catch */
};

struct gate {
	_Atomic unsigned closed;	/* set of gate_reason */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned n_threads;		/* that will come here */
	unsigned n_waiting;
	/*
	 * Called by one of the threads when all have assembled and GATE_LOOK is set, which is
	 * cleared afterwards.  The gate's lock is held: it may close the gate, not open it.
	 */
	void (*look)(void *arg);
	void *arg;
};

void gate_init(struct gate *gate, void (*look)(void *arg), void *arg);
void gate_fini(struct gate *gate);

/* Close for 'reason' / take a set of reasons back.  Any thread. */
void gate_close(struct gate *gate, enum gate_reason reason);
void gate_open(struct gate *gate, unsigned reasons);

/*
 * Send the threads home: from now on gate_pass returns false, also to those who wait.  Any
 * thread.
 */
void gate_dismiss(struct gate *gate);

/* The set of reasons for which it is closed, 0 when open.  Any thread. */
unsigned gate_reasons(const struct gate *gate);

/* One more thread will come here.  Before it is started. */
void gate_add_thread(struct gate *gate);

/* It could not be started after all. */
void gate_remove_thread(struct gate *gate);

/* Wait until the gate is open.  Returns false after gate_dismiss.  vCPU threads. */
bool gate_pass(struct gate *gate);

/*
 * Wait up to 'ms' milliseconds until all threads wait at the (closed) gate.  Returns false when
 * time is up before that.
 */
bool gate_wait_assembled(struct gate *gate, unsigned ms);

#endif
