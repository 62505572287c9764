#include "vmm/base/event_log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "vmm/base/clock.h"
#include "vmm/base/fd.h"

static struct {
	pthread_mutex_t lock;
	uint64_t n;		/* events so far */
	int fd;			/* to tell, or FD_NONE */
	struct event ring[EVENT_LOG_KEPT];
} event_log = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = FD_NONE };

static const char *const kind_names[EVENT_KINDS] = {
	[EVENT_PHASE] = "phase",
	[EVENT_DEVICE_CREATED] = "device-created",
	[EVENT_FEATURES] = "features",
	[EVENT_QUEUE_ENABLED] = "queue-enabled",
	[EVENT_DRIVER_OK] = "driver-ok",
	[EVENT_NEEDS_RESET] = "needs-reset",
	[EVENT_DEVICE_RESET] = "device-reset",
	[EVENT_DATAPATH] = "datapath",
	[EVENT_FIRST_EXIT] = "first-exit",
	[EVENT_CONSOLE] = "console",
	[EVENT_STATE] = "state",
	[EVENT_RESET] = "reset",
	[EVENT_PANIC] = "panic",
	[EVENT_GUEST] = "guest",
	[EVENT_EXIT] = "exit",
};

const char *event_kind_name(enum event_kind kind)
{
	return kind_names[kind];
}

void event_note(enum event_kind kind, const char *subject, int64_t value, const char *fmt, ...)
{
	struct event *e;
	va_list ap;

	pthread_mutex_lock(&event_log.lock);
	e = &event_log.ring[event_log.n % EVENT_LOG_KEPT];
	e->number = event_log.n++;
	e->ns = clock_now_ns();	/* with the lock held: their order is that of their times */
	e->kind = kind;
	e->value = value;
	snprintf(e->subject, sizeof(e->subject), "%s", subject ? subject : "");
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (event_log.fd != FD_NONE)
		fd_signal(event_log.fd);
	pthread_mutex_unlock(&event_log.lock);
}

unsigned event_log_read(uint64_t *next, struct event *out, unsigned max, uint64_t *lost)
{
	unsigned n = 0;

	pthread_mutex_lock(&event_log.lock);
	uint64_t oldest = event_log.n > EVENT_LOG_KEPT ? event_log.n - EVENT_LOG_KEPT : 0;
	if (*next < oldest) {
		*lost += oldest - *next;
		*next = oldest;
	}
	for (; n < max && *next < event_log.n; n++)
		out[n] = event_log.ring[(*next)++ % EVENT_LOG_KEPT];
	pthread_mutex_unlock(&event_log.lock);
	return n;
}

void event_log_tell(int fd)
{
	pthread_mutex_lock(&event_log.lock);
	event_log.fd = fd;
	pthread_mutex_unlock(&event_log.lock);
}
