/*
 * vhost-net: a node per queue pair moves frames between rings and a tap.  Ring 0 of a node
 * receives, ring 1 sends.
 *
 * The header before each frame is the tap's work: it is set to the length that follows from what
 * the driver accepted (by whom owns the tap, in 'prepare'), and vhost hands it through.  That is
 * why bit 27, VHOST_NET_F_VIRTIO_NET_HDR there, is never told: vhost would make up a header of
 * its own and expect none from the tap.
 */
#ifndef VHOST_VHOST_NET_H
#define VHOST_VHOST_NET_H

#include "vhost/vhost_datapath.h"

struct vhost_net_config {
	const char *path;		/* "/dev/vhost-net" */
	unsigned n_pairs;
	/* The tap's descriptor for pair i, borrowed while started. */
	int (*tap_fd)(void *arg, unsigned pair);
	/*
	 * Set up the tap for what the driver accepted (header length, offloads, queues) / undo it.
	 * Around each start and stop; machine lock held.  Returns 0 or -errno with an error chain.
	 */
	int (*prepare)(void *arg, const struct datapath_start *start);	/* may be NULL */
	void (*release)(void *arg);					/* may be NULL */
	void *arg;			/* of these; keeps */
	unsigned poll_us;		/* see vhost_config */
	bool only_look;
	struct event_loop *const *loop;	/* n_loops I/O loops; pair i goes to loop[i % n_loops] */
	unsigned n_loops;
	/* How a node is opened; NULL: vhost_kernel_open. */
	int (*open)(struct vhost_node **out, const char *path);
};

/*
 * Open the nodes.  Returns 0 and an owned datapath of 2 * n_pairs queues; -ENOENT, -EACCES,
 * -ENODEV, -EBUSY and others with an error chain, and a hint for what helps.
 */
MUST_USE int vhost_net_create(struct datapath **out, const struct vhost_net_config *config);

#endif
