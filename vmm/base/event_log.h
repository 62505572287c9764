/*
 * What happened in this process's VM, in order: a ring of the last EVENT_LOG_KEPT events, for the
 * control socket, the state report, the boot timeline.  The control plane writes (any thread, also
 * with the machine lock held); never the data path.  A guest can cause events, so writing costs a
 * bounded time, allocates nothing and overwrites the oldest: a reader that is slow loses events and
 * is told how many.
 */
#ifndef BASE_EVENT_LOG_H
#define BASE_EVENT_LOG_H

#include "vmm/base/util.h"

enum event_kind {
	EVENT_PHASE,		/* of the start: text is the phase that begins */
	EVENT_DEVICE_CREATED,
	EVENT_FEATURES,		/* text: the bits' names */
	EVENT_QUEUE_ENABLED,	/* number: the queue */
	EVENT_DRIVER_OK,
	EVENT_NEEDS_RESET,	/* text: why */
	EVENT_DEVICE_RESET,
	EVENT_DATAPATH,		/* text: who moves the buffers now */
	EVENT_FIRST_EXIT,	/* of any vCPU */
	EVENT_CONSOLE,		/* the first byte came out of it */
	EVENT_STATE,		/* text: "running", "paused" */
	EVENT_RESET,		/* of the system */
	EVENT_PANIC,		/* text: what the guest said of it */
	EVENT_GUEST,		/* the guest said so itself: "ready" */
	EVENT_EXIT,		/* number: the status; text: why */
	EVENT_KINDS,
};

enum { EVENT_LOG_KEPT = 1024, EVENT_SUBJECT_SIZE = 32, EVENT_TEXT_SIZE = 200 };

struct event {
	uint64_t number;	/* from 0 on, without gaps */
	uint64_t ns;		/* CLOCK_MONOTONIC */
	enum event_kind kind;
	int64_t value;		/* what 'number' of the kind says, else 0 */
	char subject[EVENT_SUBJECT_SIZE];	/* a device's name, or "" */
	char text[EVENT_TEXT_SIZE];	/* may be cut off; what a guest said is as it came */
};

/* "driver-ok": the kind as JSON has it. */
const char *event_kind_name(enum event_kind kind);

/* Note an event.  'subject' may be NULL; 'fmt' may be "". Any thread. */
void event_note(enum event_kind kind, const char *subject, int64_t value, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/*
 * Copy up to 'max' events from number '*next' on, and move '*next' behind the last; '*lost' grows
 * by how many had been overwritten already.  Returns how many were copied.  Any thread.
 */
unsigned event_log_read(uint64_t *next, struct event *out, unsigned max, uint64_t *lost);

/*
 * Make 'fd' (an eventfd, or FD_NONE to end it) readable with every event from now on.  There is one
 * such fd in a process.
 */
void event_log_tell(int fd);

#endif
