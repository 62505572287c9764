/*
 * A datapath whose rings are run by one or more vhost nodes, each with the same number of them:
 * node i has the rings from i * n_rings on (vhost-net: a node per queue pair).  What a type of
 * device adds is in vhost_net.h, vhost_vsock.h.
 */
#ifndef VHOST_VHOST_DATAPATH_H
#define VHOST_VHOST_DATAPATH_H

#include "vhost/vhost.h"

/* All optional.  Control path, machine lock held. */
struct vhost_datapath_hooks {
	/* Before the first node starts; 0 or -errno with an error chain. */
	int (*start)(void *arg, const struct datapath_start *start);
	/* After the last one stopped; also when the start of a node failed. */
	void (*stop)(void *arg);
	/* The end: after the nodes' own. */
	void (*destroy)(void *arg);
};

struct vhost_datapath_config {
	const char *name;		/* "/dev/vhost-net" */
	struct vhost **node;		/* n_nodes; the vhosts are consumed, also on failure */
	unsigned n_nodes;
	const struct vhost_datapath_hooks *hooks;
	void *arg;			/* of the hooks; on failure 'destroy' is not called */
};

/* Returns 0 and an owned datapath, or -ENOMEM with an error chain. */
MUST_USE int vhost_datapath_create(struct datapath **out,
				   const struct vhost_datapath_config *config);

/*
 * Have it move nothing for a while / go on; its rings stay where they are.  What is started while
 * it is paused waits.  Returns 0 or -errno with an error chain.
 */
MUST_USE int vhost_datapath_pause(struct datapath *dp, bool paused);

/* Its nodes: for the dirty bitmap, and for the IOTLB. */
unsigned vhost_datapath_nodes(const struct datapath *dp);
struct vhost *vhost_datapath_node(struct datapath *dp, unsigned index);

#endif
