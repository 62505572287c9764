/*
 * vhost-vsock: the kernel moves the packets of queues 0 and 1 (receive, transmit) of a socket
 * device to and from AF_VSOCK sockets of the host.  The event queue is the model's own part.
 *
 * The CID is taken when the datapath is made and held for its life by the open node, so that nobody
 * else can have it in between.
 */
#ifndef VHOST_VHOST_VSOCK_H
#define VHOST_VHOST_VSOCK_H

#include "vhost/vhost_datapath.h"

enum { VHOST_VSOCK_QUEUES = 2 };

struct vhost_vsock_config {
	const char *path;		/* "/dev/vhost-vsock" */
	int fd;				/* open already (consumed), or FD_NONE: the path is */
	uint64_t cid;			/* 3 to 0xfffffffe; 0: the first that is free */
	bool only_look;			/* the CID is not taken */
	struct event_loop *loop;	/* I/O loop; keeps */
	/* How a node is opened; NULL: vhost_kernel_open. */
	int (*open)(struct vhost_node **out, const char *path);
};

/*
 * Open the node and take the CID, which is written to 'cid'.
 *
 * Returns 0 and an owned datapath; -EADDRINUSE: another VM has the CID; -ENOENT, -EACCES, -ENODEV,
 * -EBUSY and others of the node; with an error chain and a hint for what helps.
 */
MUST_USE int vhost_vsock_create(struct datapath **out, uint64_t *cid,
				const struct vhost_vsock_config *config);

#endif
