/*
 * Signals from outside as events of the main loop, so that nothing but the crash handlers
 * (terminal.c, sandbox.c) ever runs in signal context.
 */
#ifndef VMM_SIGNALS_H
#define VMM_SIGNALS_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

struct signals {
	struct event_source source;
	void (*received)(void *arg, int sig);
	void *arg;
};
#define SIGNALS_INIT { .source.fd = -1 }

/*
 * Block SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH, SIGUSR1, SIGUSR2 and SIGPWR
 * (call it before any thread is made: they inherit that) and have 'received' called on 'loop'
 * instead.  SIGPIPE is ignored: a write says EPIPE.
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
