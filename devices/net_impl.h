/*
 * The inside of a network device, shared by virtio_net.c (what it is), net_path.c (its queues and
 * who owns them), net_rx.c and net_tx.c (frames), net_ctrl_queue.c and net_ctrl.c (commands).
 * Nobody else includes it.
 */
#ifndef DEVICES_NET_IMPL_H
#define DEVICES_NET_IMPL_H

#include <stdatomic.h>

#include "devices/net_capture.h"
#include "devices/net_ctrl.h"
#include "devices/net_header.h"
#include "devices/net_peer.h"
#include "devices/net_stash.h"
#include "virtio/datapath_local.h"
#include "virtio/virtio_device.h"

enum {
	NET_MAX_PAIRS = 16,		/* what a configuration can ask for */
	NET_CTRL_QUEUE_SIZE = 64,
	NET_IOV_MAX = 1024,		/* what one readv(2) or writev(2) takes */
	NET_FRAMES_PER_TURN = 256,
	NET_DROPS_MAX = 4096,		/* more than waits in a host */
	NET_BYTES_PER_TURN = 1 << 22,
	NET_BYTES_PER_BATCH = 1 << 18,	/* the driver hears of a batch, and goes on beside us */
	/*
	 * The same of frames that it sends: TCP has few of them on their way, and goes on when it
	 * hears that they have gone.  One system call less is nothing beside copying so much.
	 */
	NET_TX_BYTES_PER_BATCH = 1 << 16,
};

/* virtio-v1.4 5.1.4 "Device configuration layout" */
enum {
	NET_CONFIG_MAC = 0,
	NET_CONFIG_STATUS = 6,
	NET_CONFIG_MAX_PAIRS = 8,
	NET_CONFIG_MTU = 10,
	NET_CONFIG_SPEED = 12,
	NET_CONFIG_DUPLEX = 16,
	NET_CONFIG_RSS_KEY_SIZE = 17,
	NET_CONFIG_RSS_TABLE_LEN = 18,
	NET_CONFIG_HASH_TYPES = 20,
	NET_CONFIG_LEN = 24,
	NET_MAC_SIZE = 6,
};
enum { NET_STATUS_LINK_UP = 1, NET_STATUS_ANNOUNCE = 2 };

/* What a queue is in this session: it follows from the accepted features (NET-VQ-02). */
enum net_role { NET_ROLE_NONE, NET_ROLE_RX, NET_ROLE_TX, NET_ROLE_CTRL };
enum net_role net_role_of(const struct virtio_net *net, unsigned index);

/* Counted on the owner loop; for reports. */
struct net_counters {
	uint64_t frames, bytes;
	uint64_t dropped;		/* could not be, or not delivered */
};

struct net_rx_slot;

struct net_rx {
	struct virtqueue *vq;		/* NULL while it does not run */
	bool starved;			/* the driver must add buffers first */
	/* While there is no ring: frames wait for it (it changes hands), or are dropped. */
	bool holds;
	size_t want;			/* room to offer: what the last large frame took */
	struct iovec *iov;		/* NET_IOV_MAX; of 'open' queues */
	uint8_t *spill;			/* the end of a frame for which there was too little room */
	uint8_t *spills;		/* the same for each slot; behind it */
	struct net_rx_slot *slot;	/* NET_PEER_BATCH: frames that are read together */
	unsigned streak;		/* frames since a look that found none */
	struct net_stash stash;
	struct event_poller poller;
	struct net_counters count;
};

struct net_tx_slot;

struct net_tx {
	struct virtqueue *vq;
	struct iovec *iov;		/* NET_IOV_MAX + 1 */
	struct net_tx_slot *slot;	/* NET_PEER_BATCH */
	uint8_t *bounce;		/* NET_FRAME_MAX; a frame in more pieces than that */
	struct net_counters count;
};

/* Everything here is its loop's, but what says otherwise. */
struct net_pair {
	struct virtio_net *net;
	unsigned number;
	struct event_loop *loop;	/* constant */
	struct features guest;		/* GUEST_CSUM, GUEST_TSO4, ... that are on now */
	struct net_rx rx;
	struct net_tx tx;
	struct net_ctrl_pair ctrl;
};

/* A command on its way to the main loop and back; one at a time. */
struct net_command {
	struct virtqueue *vq;		/* owner loop */
	unsigned index;			/* of the queue in this session */
	struct event_post go, back;
	struct chain chain;
	uint32_t written;
	/* 'chain' waits to be carried out.  Owner loop sets it; cleared under the machine lock. */
	atomic_bool is_out;
	bool is_busy;			/* owner loop */
};

struct virtio_net {
	struct virtio_device dev;
	struct net_peer *peer;		/* owned */
	struct net_capture *capture;	/* owned, or NULL */
	struct datapath *datapath;	/* in process: all queues, or those beside 'offload' */
	struct datapath *offload;	/* to the host's kernel (net_vhost.c), or NULL */
	unsigned n_pairs_max;
	uint16_t mtu;			/* 0: not offered */

	/* Constant while rings run. */
	struct features accepted;
	unsigned n_pairs;		/* that this session's layout has */
	unsigned header_len;
	size_t mtu_frame_max;		/* longest frame that is not segmented; SIZE_MAX: any */
	bool is_merging;		/* MRG_RXBUF */
	bool is_started;		/* the peer is, for this session */
	bool is_offloaded;		/* the host's kernel moves the frames */

	/* Set on the control path, read by the loops. */
	atomic_bool link_up;
	atomic_uint n_active;		/* pairs that the driver uses now */

	struct net_ctrl ctrl;
	struct net_command command;
	struct net_pair pair[NET_MAX_PAIRS];
};

extern const struct local_ops net_local_ops;	/* net_path.c; the model is struct virtio_net */

/* What follows from the features that the driver accepted.  Control path, before a start. */
void net_take_features(struct virtio_net *net, struct features accepted);

/* What net_path.c calls, each on the pair's loop unless it says otherwise. */
int net_rx_open(struct net_pair *pair);		/* control path; 0 or -ENOMEM with a chain */
void net_rx_close(struct net_pair *pair);	/* control path */
void net_rx_start(struct net_pair *pair, struct virtqueue *q);
void net_rx_stop(struct net_pair *pair);
void net_rx_cancel(struct net_pair *pair);
/* Move frames from the peer to the ring.  Returns whether there were any. */
bool net_rx_run(struct net_pair *pair);
/* Take what waits at the peer, for nobody. */
void net_rx_drop(struct net_pair *pair);

int net_tx_open(struct net_pair *pair);
void net_tx_close(struct net_pair *pair);
void net_tx_start(struct net_pair *pair, struct virtqueue *q);
void net_tx_stop(struct net_pair *pair);
void net_tx_run(struct net_pair *pair);

void net_ctrl_queue_init(struct virtio_net *net);	/* control path, once */
void net_ctrl_queue_start(struct virtio_net *net, unsigned index, struct virtqueue *q);
void net_ctrl_queue_run(struct virtio_net *net);
/* Machine lock held: the command that was popped goes back, unless it is being answered. */
void net_ctrl_queue_hold(struct virtio_net *net);
void net_ctrl_queue_stop(struct virtio_net *net);
/* Machine lock held, after the ring stopped. */
void net_ctrl_queue_close(struct virtio_net *net);

/*
 * The offloads that the driver has switched on change ('features': GUEST_CSUM, ...): the peer is
 * told, then the loops.  Control path, between net_ctrl_start and net_ctrl_stop.  Returns 0 or
 * -errno with an error chain; nothing has changed then.
 */
MUST_USE int net_set_guest_offloads(struct virtio_net *net, struct features features);

/* The driver uses 'n' pairs from now on (1 to net->n_pairs).  Likewise. */
MUST_USE int net_set_pairs(struct virtio_net *net, unsigned n);

/* Plug the cable in or out.  Control path. */
void net_set_link(struct virtio_net *net, bool up);

/*
 * Put a frame that did not come from the peer into the pair's receive ring, as if it had: for a
 * frame that another pair received.  Owner loop.  Returns false if there is no room.
 */
bool net_rx_deliver(struct net_pair *pair, const struct net_header *header,
		    const struct iovec *iov, unsigned n, size_t len);

/* The peer is gone: the device needs a reset.  Any thread. */
void net_peer_lost(struct net_pair *pair);

#endif
