/*
 * A tap of the host, shared by tap.c (queues and sessions), tap_frames.c (what goes through them)
 * and tap_open.c (it is opened and judged).
 */
#ifndef DEVICES_TAP_IMPL_H
#define DEVICES_TAP_IMPL_H

#include "devices/io_batch.h"
#include "devices/net_filter_bpf.h"
#include "devices/net_peer.h"

enum { TAP_MAX_QUEUES = 16 };

/* A queue of the tap.  What is not constant belongs to the pair's loop while it runs. */
struct tap_queue {
	struct tap *tap;
	unsigned number;
	int fd;				/* owned */
	bool is_attached;		/* the host's kernel may give it frames */
	bool wants_readable, wants_writable;
	bool is_lost;
	struct io_batch *batch;		/* owned; NULL: one by one */
	struct event_loop *loop;
	struct event_source source;
};

struct tap {
	struct net_peer base;
	const char *name;		/* of the device, in messages; owned */
	char ifname[NET_TAP_NAME_SIZE];
	bool is_multi_queue;
	bool is_ours;			/* it was made here, and goes with its descriptors */
	bool is_running;
	unsigned n_queues, n_running;
	struct tap_queue queue[TAP_MAX_QUEUES];
	struct net_peer_start start;	/* what the model said; 'loop' is not kept */
	/* The kernel reads it again whenever a queue is attached. */
	struct sock_filter filter[NET_BPF_MAX];
};

static inline struct tap *tap_of(struct net_peer *peer)
{
	return container_of(peer, struct tap, base);
}

/*
 * Open all queues, judge them, learn 'base.offloads'.  Returns 0 or -errno with an error chain;
 * what was opened until then is in 'tap'.
 */
MUST_USE int tap_open(struct tap *tap, const struct net_tap_config *config);

/* The TUN_F_... that stand for what the driver takes. */
unsigned tap_offload_flags(struct features features);

/* What the queue's loop shall hear of: EPOLL... */
uint32_t tap_wanted_events(const struct tap_queue *q);
/* The interface was deleted: an end that comes once, however often one looks.  Owner loop. */
int tap_lose(struct tap_queue *q);

/* Of net_peer_ops. */
int tap_send(struct net_peer *peer, unsigned pair, const struct iovec *iov, unsigned n);
int tap_send_many(struct net_peer *peer, unsigned pair, const struct net_peer_frame *frame,
		  unsigned n);
ssize_t tap_receive(struct net_peer *peer, unsigned pair, const struct iovec *iov, unsigned n);
void tap_receive_many(struct net_peer *peer, unsigned pair, const struct net_peer_frame *frame,
		      ssize_t *result, unsigned n);
void tap_want_readable(struct net_peer *peer, unsigned pair, bool want);

#endif
