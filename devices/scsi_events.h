/*
 * The event queue of a SCSI host (virtio_scsi.c): in process, while the kernel's target serves the
 * other queues.  The target only says *that* something about its disks has changed; so the one
 * event there is tells the driver that events were lost, after which it looks for itself.
 *
 * virtio-v1.4 5.6.6.3 "SCSI Host Device", Device Operation: eventq
 */
#ifndef DEVICES_SCSI_EVENTS_H
#define DEVICES_SCSI_EVENTS_H

#include <stdatomic.h>

#include "virtio/datapath_local.h"
#include "vmm/base/log.h"

enum { SCSI_EVENT_SIZE = 16, SCSI_EVENT_PERIOD_MS = 500 };

struct scsi_events {
	struct datapath *datapath;	/* until somebody takes it over */
	struct event_loop *loop;
	struct event_source timer;
	/*
	 * Owner loop: did the target's disks change since the last call?  NULL: nobody can tell.
	 * Set before the device starts.
	 */
	bool (*changed)(void *arg);
	void *changed_arg;
	/* Machine lock held: may the device start?  Returns 0 or -errno with an error chain. */
	int (*may_start)(void *arg);
	void *may_start_arg;
	struct virtqueue *q;		/* NULL: does not run */
	bool is_hotplug;		/* the driver takes such events */
	bool lost;			/* what the next event says */
	struct log_limit log;
};

/*
 * Make the queue's datapath (events->datapath, owned by the caller) and the timer that asks
 * 'changed'.  'loop' is kept.  Returns 0 or -errno with an error chain; scsi_events_fini is then
 * still to be called.
 */
MUST_USE int scsi_events_init(struct scsi_events *events, const char *name,
			      struct event_loop *loop);
/* The datapath was destroyed before.  Fine for a zeroed object. */
void scsi_events_fini(struct scsi_events *events);

#endif
