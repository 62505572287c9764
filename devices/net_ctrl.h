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

#include "devices/net_coalesce.h"
#include "devices/net_filter.h"
#include "devices/net_header.h"
#include "devices/net_mailbox.h"
#include "devices/net_rss.h"
#include "virtio/virtqueue.h"
#include "vmm/base/util.h"

struct virtio_net;
struct net_pair;

/* What the driver set up that each received frame is judged by. */
struct net_rules {
	struct net_filter filter;
	struct net_rss rss;
	unsigned n_pairs;		/* in use; others receive nothing */
};

/* Of the whole device; control path. */
struct net_ctrl {
	bool in_session;		/* what follows is the driver's, until reset */
	bool started;
	struct net_rules rules;
	struct features guest_offloads;	/* on now */
	struct net_coalesce_params rx_params, tx_params;	/* of queues that start */
	bool filters_in_peer;		/* frames go past us: it must drop what is not wanted */
	bool told_inexact;
};

/* Of one pair; its owner loop. */
struct net_ctrl_pair {
	struct net_rules rules;
	struct net_coalesce rx, tx;
	struct net_coalesce_params rx_params, tx_params;
	struct net_mailbox mailbox;	/* open if the driver may steer frames to other pairs */
	struct event_post mail;		/* there is something in it */
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

/* The config bytes that tell what RSS and hash report can do. */
void net_ctrl_fill_config(uint8_t *bytes);

/*
 * The data path starts: state as after reset, or as it was if it only stopped in between.  No ring
 * runs.  Returns 0 or -errno with a chain.
 */
MUST_USE int net_ctrl_start(struct virtio_net *net, struct features accepted);
/* It stops; no ring runs any more. */
void net_ctrl_stop(struct virtio_net *net);
/* The session ends: the driver's settings are forgotten.  Machine lock held, stopped. */
void net_ctrl_reset(struct virtio_net *net);

/* A queue of the pair runs / is about to stop.  Owner loop. */
void net_ctrl_pair_start(struct net_pair *pair, bool is_tx, struct virtqueue *q);
void net_ctrl_pair_stop(struct net_pair *pair, bool is_tx);

/*
 * Somebody else moves the frames from now on / we do again: the peer is to drop what the driver
 * does not want.  Between net_ctrl_start and net_ctrl_stop, which ends it.  Returns 0; -ENOTSUP if
 * the peer cannot, or another -errno, with an error chain.  Machine lock held.
 */
MUST_USE int net_ctrl_filter_in_peer(struct virtio_net *net, bool on);

/* One command.  Returns how many bytes of 'c->in' were written.  Main loop, machine lock held. */
uint32_t net_ctrl_handle(struct virtio_net *net, const struct chain *c);

/* The device's address in config space changed (a legacy driver wrote it).  Machine lock held. */
void net_ctrl_mac_changed(struct virtio_net *net);

/* Owner loop: what shall become of 'frame', which came from the peer's pair of the same number? */
enum net_verdict net_ctrl_judge(struct net_pair *pair, struct net_frame *frame);

/* Owner loop: publish what was pushed; the call may wait, if the driver wants that. */
static inline void net_ctrl_flush(struct net_pair *pair, struct virtqueue *q)
{
	(void)pair;
	virtqueue_flush(q);
}

/* --- for net_ctrl.c: net_rules.c ------------------------------------------------------------- */

/*
 * Each pair's loop gets its copy of net->ctrl.rules.  Control path, no ring runs.  Returns 0 or
 * -ENOMEM with an error chain.
 */
MUST_USE int net_rules_start(struct virtio_net *net);
void net_rules_stop(struct virtio_net *net);

/*
 * 'next' rules: the peer knows, then every loop does before this returns.  Returns 0, or -errno
 * with an error chain: nothing has changed then.
 */
MUST_USE int net_rules_change(struct virtio_net *net, const struct net_rules *next);

#endif
