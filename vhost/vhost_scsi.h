/*
 * vhost-scsi: a target of the kernel (LIO) serves the control queue (0) and the request queues
 * (from 2 on) of a SCSI host.  The event queue (1) is somebody else's: the kernel reports what
 * happens to the target's disks on a ring of ours (vhost_scsi_events.h), and he hears of each
 * event.
 *
 * Targets are made by an administrator in configfs and named by their WWPN.
 */
#ifndef VHOST_VHOST_SCSI_H
#define VHOST_VHOST_SCSI_H

#include "vhost/vhost_datapath.h"
#include "vhost/vhost_scsi_events.h"

enum {
	VHOST_SCSI_CONTROL_QUEUE,
	VHOST_SCSI_EVENT_QUEUE,
	VHOST_SCSI_FIRST_REQUEST_QUEUE,
	VHOST_SCSI_MAX_REQUEST_QUEUES = VHOST_MAX_RINGS - VHOST_SCSI_FIRST_REQUEST_QUEUE,
};

struct vhost_scsi_config {
	const char *path;		/* "/dev/vhost-scsi" */
	const char *wwpn;		/* "naa." and 16 hexadecimal digits */
	unsigned n_request_queues;
	struct datapath *event;		/* of one queue; consumed, also on failure */
	/* I/O loop, while the device runs and its driver takes such events (HOTPLUG). */
	void (*on_event)(void *arg, const uint8_t event[VHOST_SCSI_EVENT_SIZE]);
	void *on_event_arg;
	bool only_look;			/* the target need not be there */
	struct event_loop *loop;	/* I/O loop; keeps */
	/* Instead of vhost_kernel_open / the mount point of configfs, for tests; or NULL. */
	int (*open)(struct vhost_node **out, const char *path);
	const char *configfs;
};

/*
 * Returns 0 and an owned datapath for all queues of the device; -ENODEV: there is no such target,
 * or nothing of it that could be used; -errno; with an error chain.
 */
MUST_USE int vhost_scsi_create(struct datapath **out, const struct vhost_scsi_config *config);

#endif
