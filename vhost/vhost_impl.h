/*
 * The inside of a vhost node, shared by vhost.c (the ladder), vhost_node.c (its life), vhost_ring.c
 * and vhost_log.c.
 */
#ifndef VHOST_VHOST_IMPL_H
#define VHOST_VHOST_IMPL_H

#include "vhost/vhost.h"

/*
 * Make the ring's two eventfds / close them.  Returns 0 or -errno with an error chain;
 * vhost_ring_fini is then still to be called.
 */
MUST_USE int vhost_ring_init(struct vhost *v, unsigned index);
void vhost_ring_fini(struct vhost_ring *ring);

/*
 * NUM, BASE, ADDR, ERR, CALL, KICK.  Returns 0, or -errno with an error chain and nothing left.
 * -EINVAL: the driver's areas cannot be.
 */
MUST_USE int vhost_ring_up(struct vhost_ring *ring, const struct datapath_queue *dq);

/* GET_VRING_BASE, and KICK, CALL and ERR away.  It must have been quiesced.  Fine when not up. */
void vhost_ring_down(struct vhost_ring *ring);

/*
 * Tell the node what it shall do.  It is asserted that it agrees with the terms (N15).  Returns 0
 * or -errno with an error chain.
 */
MUST_USE int vhost_set_features(struct vhost *v, struct features f);

/* Tell the node where the ring is, again: with or without notes in the dirty bitmap. */
MUST_USE int vhost_ring_set_addr(struct vhost_ring *ring, bool log);

/* The node failed in a way that leaves no other way to keep it out of memory: close it for good. */
void vhost_abandon(struct vhost *v);

/* Does an IOMMU stand between the device and memory, and are the node's questions answered? */
bool vhost_translates(const struct vhost *v, const struct dma *dma);

#endif
