/*
 * An event loop: epoll, descriptors that belong to it, calls from other threads.  One for the main
 * thread, one per I/O thread.  What a loop owns is touched on the loop's thread only; other threads
 * reach it with event_loop_call (run there and wait) or event_loop_post (run there, do not wait).
 */
#ifndef BASE_EVENT_LOOP_H
#define BASE_EVENT_LOOP_H

#include <sched.h>

#include "vmm/base/util.h"

struct event_loop;
struct event_source;
struct event_post;
struct event_poller;

/* 'events' are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as epoll_wait(2) reported them. */
typedef void (*event_source_fn)(struct event_source *source, uint32_t events);
typedef void (*event_post_fn)(struct event_post *post);

/* Embedded in whoever waits for 'fd'.  The fd stays its owner's. */
struct event_source {
	int fd;
	event_source_fn fn;
	struct event_loop *loop;	/* NULL while not added */
};

/* Embedded in whoever posts.  Posting one that is already queued does nothing. */
struct event_post {
	event_post_fn fn;
	struct event_post *next;
	bool queued;
};

/*
 * Embedded in whoever can tell without a system call that there is work (a ring with new entries,
 * a completion queue).
 *
 *   poll    looks and, if there is work, does it and returns true
 *   arm     optional: called before the loop sleeps, from now on a descriptor must tell; returns
 *           true if there is work already, and the loop then does not sleep
 *   awaits  optional: is something on its way that only a descriptor tells?  Then the loop does
 *           not spin, as it would hear of it late
 */
struct event_poller {
	bool (*poll)(struct event_poller *poller);
	bool (*arm)(struct event_poller *poller);
	bool (*awaits)(const struct event_poller *poller);
	struct event_poller *next;
	struct event_loop *loop;	/* NULL while not added */
};

/*
 * Create a loop.  'name' (at most 15 characters are shown) names the thread.
 *
 * Returns 0 and an owned loop, or -errno with an error chain.
 */
MUST_USE int event_loop_create(struct event_loop **out, const char *name);

/* Free a loop that does not run any more; its sources must have been removed.  NULL is fine. */
void event_loop_destroy(struct event_loop *loop);

/* Run on the calling thread until event_loop_stop. */
void event_loop_run(struct event_loop *loop);

/* Make event_loop_run return after the current callback.  Any thread. */
void event_loop_stop(struct event_loop *loop);

/*
 * Start a thread that runs the loop / stop it and wait for it. Returns 0 or -errno with a chain.
 */
MUST_USE int event_loop_thread_start(struct event_loop *loop);

/* Let that thread run on these CPUs of the host only.  Returns 0 or -errno with a chain. */
MUST_USE int event_loop_thread_pin(struct event_loop *loop, const cpu_set_t *cpus);
void event_loop_thread_stop(struct event_loop *loop);

/*
 * Watch 'source->fd' for 'events' (level-triggered). Owner thread, or any thread while the loop
 * does not run. Returns 0 or -errno with an error chain.
 */
MUST_USE int event_loop_add(struct event_loop *loop, struct event_source *source, uint32_t events);

/* Change what an added source is watched for.  Same thread rule. */
void event_loop_modify(struct event_source *source, uint32_t events);

/*
 * Stop watching; fine when it is not added.  After return its callback is not called any more, not
 * even for an event that was already reported.  Same thread rule.
 */
void event_loop_remove(struct event_source *source);

/*
 * Run fn(arg) on the loop's thread and wait for it: everything before the call happens before fn,
 * everything in fn before the return. Runs directly on the loop's own thread, or when no thread
 * runs the loop. Must not be called from one loop's thread to another that may be calling back.
 */
void event_loop_call(struct event_loop *loop, void (*fn)(void *arg), void *arg);

/* Queue 'post' to run once on the loop's thread.  Never blocks on the loop.  Any thread. */
void event_loop_post(struct event_loop *loop, struct event_post *post);

/*
 * Take 'post' back before its owner goes; fine when it is not queued.  After return it is not run
 * any more, if the caller is on the loop's thread (elsewhere it may be running just now).
 */
void event_loop_unpost(struct event_loop *loop, struct event_post *post);

/* Is the caller on the loop's thread (or does nobody run it)? */
bool event_loop_is_mine(struct event_loop *loop);

/*
 * Spin before sleeping: with pollers added and a limit above zero the loop calls them for up to
 * 'limit_ns' (adapted downwards when that finds nothing) before it waits in epoll. Same thread
 * rule.
 */
void event_loop_add_poller(struct event_loop *loop, struct event_poller *poller);
void event_loop_remove_poller(struct event_poller *poller);
void event_loop_set_poll_limit(struct event_loop *loop, uint64_t limit_ns);
/* Has the caller more than one CPU?  On one, who spins keeps away who would give it work. */
bool event_loop_should_spin(void);

#endif
