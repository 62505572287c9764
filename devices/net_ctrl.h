/*
 * What the control queue of a network device governs: commands, receive filters, steering, hash
 * report, coalescing.  The device (virtio_net.c) asks here what it may offer; the data path
 * (net_rx.c, net_tx.c) asks about each frame.
 *
 * A command is carried out on the main loop with the machine lock held (net_ctrl_queue.c brings it
 * there and back): it may change config bytes and call the peer, and reaches what a pair's loop
 * owns by event_loop_call.
 *
 * virtio-v1.4 5.1.6.5 "Control Virtqueue"
 */
#ifndef DEVICES_NET_CTRL_H
#define DEVICES_NET_CTRL_H

#include "devices/net_header.h"
#include "virtio/virtqueue.h"
#include "vmm/base/util.h"

struct virtio_net;
struct net_pair;

/* Of the whole device; control path. */
struct net_ctrl {
	bool started;
};

/* Of one pair; its owner loop. */
struct net_ctrl_pair {
	bool started;
};

/* A frame that was received, before the driver can see it. */
struct net_frame {
	const uint8_t *head;		/* a copy of its first bytes, Ethernet header first */
	unsigned head_len;		/* NET_FRAME_HEAD or all of it */
	size_t len;
	struct net_header *header;	/* judged; may be changed (hash) */
	const struct iovec *iov;	/* all of it, without the header */
	unsigned n_iov;
};
enum { NET_FRAME_HEAD = 128 };

enum net_verdict {
	NET_FRAME_TAKE,			/* for this pair's driver */
	NET_FRAME_DROP,
	NET_FRAME_MOVED,		/* another pair has a copy */
};

/* Bits of the CTRL_VQ family (and MQ, RSS, ...) that a device of 'n_pairs' offers. */
struct features net_ctrl_features(unsigned n_pairs);

/* A session begins: state as after reset.  No ring runs.  Returns 0 or -errno with a chain. */
MUST_USE int net_ctrl_start(struct virtio_net *net, struct features accepted);
/* It ends; no ring runs any more. */
void net_ctrl_stop(struct virtio_net *net);

/* One command.  Returns how many bytes of 'c->in' were written.  Main loop, machine lock held. */
uint32_t net_ctrl_handle(struct virtio_net *net, const struct chain *c);

/* The device's address in config space changed (a legacy driver wrote it).  Machine lock held. */
void net_ctrl_mac_changed(struct virtio_net *net);

/* Owner loop: what shall become of 'frame', which came from the peer's pair of the same number? */
enum net_verdict net_ctrl_judge(struct net_pair *pair, struct net_frame *frame);

/* Owner loop: publish what was pushed and call the driver, or later if it wants that. */
static inline void net_ctrl_flush(struct net_pair *pair, struct virtqueue *q)
{
	(void)pair;
	virtqueue_flush(q);
}

#endif
