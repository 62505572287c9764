/* Runs an event loop on the test's own thread until what was ready at the call has been handled. */
#ifndef TESTS_LOOP_PUMP_H
#define TESTS_LOOP_PUMP_H

#include "vmm/base/event_loop.h"

/*
 * Handle every source that is ready and every post that is queued, then return.  What those
 * make ready (a source that signals another one) is handled too, three levels deep.  No other
 * thread may run 'loop'.
 */
void loop_pump(struct event_loop *loop);

/* The same again and again, for 'ms' milliseconds. */
void loop_pump_for(struct event_loop *loop, unsigned ms);

#endif
