#include "devices/scsi_events.h"

#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum { MAX_CHAINS_PER_TURN = 16, NO_EVENT = 0 };

#define EVENTS_MISSED (UINT32_C(1) << 31)

/*
 * Put 'event' into a buffer of the driver; false if there is none.  One that is too short to say
 * what was lost is used too, and the next one has to do.
 */
static bool deliver(struct scsi_events *events, const uint8_t event[SCSI_EVENT_SIZE])
{
	struct chain c;

	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN; n++) {
		if (virtqueue_pop(events->q, &c) != VQ_CHAIN)
			return false;
		size_t written = iov_write(c.in, c.n_in, 0, event, SCSI_EVENT_SIZE);
		virtqueue_push(events->q, c.head, (uint32_t)written);
		if (written == SCSI_EVENT_SIZE)
			return true;
	}
	return false;
}

void scsi_events_report(struct scsi_events *events, const uint8_t event[SCSI_EVENT_SIZE])
{
	uint8_t copy[SCSI_EVENT_SIZE];

	if (!events->q) {
		events->lost = true;
		return;
	}
	memcpy(copy, event, sizeof(copy));
	if (events->lost)
		store_le32(copy, load_le32(copy) | EVENTS_MISSED);
	events->lost = !deliver(events, copy);
	virtqueue_flush(events->q);
	/* Buffers that were left alone keep the driver from kicking for more: now it shall. */
	if (events->lost)
		local_queue_resume(events->datapath, 0);
}

static int events_start(void *model, const struct datapath_start *start)
{
	struct scsi_events *events = model;

	(void)start;
	events->lost = false;
	return events->may_start ? events->may_start(events->may_start_arg) : 0;
}

static void events_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct scsi_events *events = model;

	(void)index;
	events->q = q;
}

static void events_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct scsi_events *events = model;

	(void)index;
	(void)q;
	events->q = NULL;
}

/* Buffers stay in the ring until there is something to say: at once, where something was lost. */
static void events_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct scsi_events *events = model;
	uint8_t event[SCSI_EVENT_SIZE] = { 0 };

	(void)index;
	(void)q;
	if (!events->lost)
		return;
	store_le32(event, NO_EVENT | EVENTS_MISSED);
	events->lost = !deliver(events, event);
}

static const struct local_ops events_ops = {
	.start = events_start,
	.queue_start = events_queue_start,
	.handle = events_handle,
	.queue_stop = events_queue_stop,
};

int scsi_events_init(struct scsi_events *events, struct event_loop *loop)
{
	*events = (struct scsi_events){ 0 };
	return local_create(&events->datapath, &events_ops, events, &loop, 1);
}
