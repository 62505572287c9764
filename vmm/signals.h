/*
 * Signals from outside as events of the main loop, so that nothing but the crash handlers
 * (terminal.c, sandbox.c) ever runs in signal context.
 */
#ifndef VMM_SIGNALS_H
#define VMM_SIGNALS_H

#include <signal.h>
#include <sys/types.h>

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

/*
 * What the process that started a VM ('vireo test') orders by sigqueue() of VM_ORDER_SIGNAL: these
 * values.  They are carried out in the order in which they were given.
 */
#define VM_ORDER_SIGNAL (SIGRTMIN + 1)	/* SIGRTMIN kicks vCPUs */
enum vm_order { VM_ORDER_PAUSE = 1, VM_ORDER_RESUME, VM_ORDER_RESET, VM_ORDER_NMI };

struct signals {
	struct event_source source;
	void (*received)(void *arg, int sig);
	/* Optional, set before signals_init(): VM_ORDER_SIGNAL of our parent, and its value. */
	void (*ordered)(void *arg, int order);
	void *arg;
	pid_t parent;
};
#define SIGNALS_INIT { .source.fd = -1 }

/*
 * Block SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH, SIGUSR1, SIGUSR2 and SIGPWR
 * (call it before any thread is made: they inherit that) and have 'received' called on 'loop'
 * instead; VM_ORDER_SIGNAL, too, if there is 'ordered'.  SIGPIPE is ignored: a write says EPIPE.
 *
 * Returns 0 or -errno with an error chain.
 */
MUST_USE int signals_init(struct signals *signals, struct event_loop *loop,
			  void (*received)(void *arg, int sig), void *arg);
/* They stay blocked; signals_die_by() is the way out.  SIGNALS_INIT and half-built are fine. */
void signals_fini(struct signals *signals);

/* End the process the way 'sig' would have, so that whoever waits for it can see that. */
void signals_die_by(int sig);

#endif
