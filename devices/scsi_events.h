/*
 * The event queue of a SCSI host (virtio_scsi.c), in process, while the kernel's target serves the
 * other queues.  What the target reports is handed to the driver as it has buffers; what finds none
 * is lost, and the next event says so.
 *
 * virtio-v1.4 5.6.6.3 "SCSI Host Device", Device Operation: eventq
 */
#ifndef DEVICES_SCSI_EVENTS_H
#define DEVICES_SCSI_EVENTS_H

#include "virtio/datapath_local.h"

enum { SCSI_EVENT_SIZE = 16 };

struct scsi_events {
	struct datapath *datapath;	/* until somebody takes it over */
	/* Machine lock held: may the device start?  Returns 0 or -errno with an error chain. */
	int (*may_start)(void *arg);
	void *may_start_arg;
	struct virtqueue *q;		/* NULL: does not run */
	bool lost;			/* what the next event says */
};

/*
 * Make the queue's datapath (events->datapath, owned by the caller).  'loop' is kept.  Returns 0 or
 * -errno with an error chain.
 */
MUST_USE int scsi_events_init(struct scsi_events *events, struct event_loop *loop);

/* Report 'event', in the device's byte order.  Loop of the queue. */
void scsi_events_report(struct scsi_events *events, const uint8_t event[SCSI_EVENT_SIZE]);

#endif
