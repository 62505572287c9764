/*
 * An event queue between the kernel's SCSI target and us: a ring of our own, with buffers of our
 * own, on which the target reports LUNs that come and go.  Whoever gets the events decides how the
 * driver hears of them.
 *
 * The buffers need a guest physical address, as everything in a ring does; they have one above all
 * that a guest can have.  A driver that names it reaches the reports about its own disks, and
 * nothing else.
 */
#ifndef VHOST_VHOST_SCSI_EVENTS_H
#define VHOST_VHOST_SCSI_EVENTS_H

#include "vhost/vhost.h"

/* virtio-v1.4 5.6.6.3 "Device Operation: eventq" */
enum { VHOST_SCSI_EVENT_SIZE = 16 };

struct vhost_scsi_events {
	struct event_loop *loop;
	/* Loop: an event arrived, as the driver is to read it; its LOST bit may be set. */
	void (*event)(void *arg, const uint8_t event[VHOST_SCSI_EVENT_SIZE]);
	void *arg;
	void *page;			/* rings and buffers; NULL: not made */
	int kick_fd, call_fd;
	struct event_source call;
	uint16_t avail_idx, used_idx;
};
#define VHOST_SCSI_EVENTS_INIT { .kick_fd = FD_NONE, .call_fd = FD_NONE }

/*
 * Make ring and buffers; 'loop' is kept.  Returns 0 or -errno with an error chain;
 * vhost_scsi_events_fini is then still to be called.
 */
MUST_USE int vhost_scsi_events_init(struct vhost_scsi_events *e, struct event_loop *loop);
void vhost_scsi_events_fini(struct vhost_scsi_events *e);

/*
 * Give the ring to 'v', as its ring 'ring', before it runs / take it back, when it does not run any
 * more.  Control path, machine lock held.  Returns 0 or -errno with an error chain: nothing is left
 * of it then.
 */
MUST_USE int vhost_scsi_events_up(struct vhost_scsi_events *e, struct vhost *v, unsigned ring);
void vhost_scsi_events_down(struct vhost_scsi_events *e, struct vhost *v, unsigned ring);

#endif
