#include "devices/scsi_events.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum { MAX_CHAINS_PER_TURN = 16, NO_EVENT = 0 };

#define EVENTS_MISSED (UINT32_C(1) << 31)

/*
 * Use a buffer for what is to be said.  One that is too short to say it is used too, and the next
 * one has to do.  virtio-v1.4 5.6.6.3.1 "Driver Requirements: Device Operation: eventq"
 */
static void tell(struct scsi_events *events)
{
	uint8_t event[SCSI_EVENT_SIZE] = { 0 };
	struct chain c;

	store_le32(event, NO_EVENT | EVENTS_MISSED);
	for (unsigned n = 0; events->lost && n < MAX_CHAINS_PER_TURN; n++) {
		if (virtqueue_pop(events->q, &c) != VQ_CHAIN)
			return;
		size_t written = iov_write(c.in, c.n_in, 0, event, sizeof(event));
		virtqueue_push(events->q, c.head, (uint32_t)written);
		events->lost = written < sizeof(uint32_t);
	}
}

static void due(struct event_source *source, uint32_t epoll_events)
{
	struct scsi_events *events = container_of(source, struct scsi_events, timer);

	(void)epoll_events;
	if (!fd_drain(source->fd) || !events->q || !events->changed)
		return;
	if (events->changed(events->changed_arg))
		events->lost = true;
	tell(events);
	virtqueue_flush(events->q);
}

static void set_timer(struct scsi_events *events, unsigned period_ms)
{
	const struct timespec period = {
		.tv_sec = period_ms / 1000,
		.tv_nsec = (long)(period_ms % 1000) * 1000000,
	};
	const struct itimerspec when = { .it_value = period, .it_interval = period };

	/* Fails for values that are none, only. */
	(void)!timerfd_settime(events->timer.fd, 0, &when, NULL);
}

static int events_start(void *model, const struct datapath_start *start)
{
	struct scsi_events *events = model;

	events->is_hotplug = features_has(&start->features, VIRTIO_SCSI_F_HOTPLUG);
	events->lost = false;
	return events->may_start ? events->may_start(events->may_start_arg) : 0;
}

static void events_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct scsi_events *events = model;

	(void)index;
	events->q = q;
	if (!events->is_hotplug || !events->changed)
		return;
	set_timer(events, SCSI_EVENT_PERIOD_MS);
	if (event_loop_add(events->loop, &events->timer, EPOLLIN) < 0) {
		log_guest(&events->log, LOG_WARNING, "SCSI hotplug is not noticed: %s",
			  error_text());
		error_clear();
	}
}

static void events_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct scsi_events *events = model;

	(void)index;
	(void)q;
	set_timer(events, 0);
	event_loop_remove(&events->timer);
	events->q = NULL;
}

/* Buffers stay in the ring until there is something to say. */
static void events_handle(void *model, unsigned index, struct virtqueue *q)
{
	(void)index;
	(void)q;
	tell(model);
}

static const struct local_ops events_ops = {
	.start = events_start,
	.queue_start = events_queue_start,
	.handle = events_handle,
	.queue_stop = events_queue_stop,
};

int scsi_events_init(struct scsi_events *events, const char *name, struct event_loop *loop)
{
	*events = (struct scsi_events){
		.loop = loop,
		.timer = { .fd = FD_NONE, .fn = due },
	};
	/* Made with the device: in the sandbox, and at start, is late for it to fail. */
	events->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (events->timer.fd < 0)
		return error_set(errno, "create the timer of '%s'", name);
	return local_create(&events->datapath, &events_ops, events, &events->loop, 1);
}

void scsi_events_fini(struct scsi_events *events)
{
	if (events->loop)
		fd_close(&events->timer.fd);
}
