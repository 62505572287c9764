/*
 * The inside of the user-mode network, shared by user_net.c (it runs) and user_net_create.c (it is
 * made).  Nobody else includes it; net_peer.h has the constructor.
 */
#ifndef DEVICES_USER_NET_H
#define DEVICES_USER_NET_H

#include "devices/slirp_library.h"

#if HAVE_SLIRP

#include "devices/frame_queue.h"
#include "devices/net_peer.h"
#include "devices/user_gate.h"
#include "devices/user_sockets.h"
#include "vmm/base/log.h"

enum {
	USER_NET_TIMERS = 4,		/* libslirp has one */
	USER_NET_FORWARDS = 64,
	USER_NET_FDS = 8192,		/* a descriptor is the lowest number that is free */
	USER_NET_QUEUE_SIZE = 1 << 20,
	USER_NET_FRAME_MAX = 14 + 65535,
};

/* A timer of libslirp. */
struct user_net_timer {
	SlirpTimerCb fn;		/* NULL: free */
	void *arg;
	bool is_set;
	uint64_t expire_ns;
};

/* Everything belongs to 'loop' while it runs, else to the control path. */
struct user_net {
	struct net_peer peer;
	char *name;			/* of the device, for messages */
	const struct slirp_library *library;
	Slirp *slirp;
	struct log_limit log;
	struct net_peer_start start;	/* valid while it runs */
	struct event_loop *loop;
	bool is_running;

	struct event_post turn;		/* libslirp shall look again */
	struct event_source clock;	/* a timerfd */
	uint64_t timer_at;		/* when it rings; 0: it does not */
	struct user_net_timer timer[USER_NET_TIMERS];

	struct user_sockets sockets;
	unsigned sockets_max;
	unsigned opened;		/* at most, since the last turn */
	unsigned n_open;		/* that libslirp told of; not all of them are watched */
	uint64_t is_open[USER_NET_FDS / 64];
	int listener[USER_NET_FORWARDS];	/* TCP: each peer of it takes a socket more */
	unsigned n_listeners;
	bool is_listening;		/* a forward is being made */

	struct frame_queue queue;	/* for the guest */
	bool was_congested;		/* in the last turn */
	bool wants_readable;
	struct user_gate gate;
	uint8_t frame[USER_NET_FRAME_MAX];	/* of the guest, in one piece */
};

extern const struct net_peer_ops user_net_ops;

void user_net_destroy(struct net_peer *peer);

/* Callbacks; of libslirp the first. */
ssize_t user_net_on_frame(const void *frame, size_t len, void *opaque);
void user_net_turn(struct event_post *post);
void user_net_clock(struct event_source *source, uint32_t events);

#endif
#endif
