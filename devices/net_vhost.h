/*
 * The data path of a network device whose frames the host's kernel moves (vhost-net), while its
 * control queue stays here.  Which queue is the control queue follows from what the driver accepted
 * (net_path.c), so both are one datapath to the device.
 */
#ifndef DEVICES_NET_VHOST_H
#define DEVICES_NET_VHOST_H

#include "devices/virtio_models.h"
#include "virtio/datapath.h"

struct virtio_net;

/*
 * Open the nodes for the pairs of 'net', whose peer is a tap.  'loop' has an entry per queue.
 *
 * Returns 0 and an owned datapath; -ENOTSUP: the peer has no descriptor for the kernel, or what is
 * wanted must see each frame; -errno of the node; with an error chain.
 */
MUST_USE int net_vhost_create(struct datapath **out, struct virtio_net *net,
			      const struct virtio_net_config *config,
			      struct event_loop *const *loop);

/* The cable is plugged in or out: no frame moves while it is out.  Machine lock held. */
void net_vhost_set_link(struct datapath *dp, bool up);

#endif
