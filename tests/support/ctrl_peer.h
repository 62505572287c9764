/*
 * The other end of a network device's cable, in the test's hand: it injects frames at the pair that
 * it likes, sees what is sent, and remembers what it was told.
 */
#ifndef TESTS_CTRL_PEER_H
#define TESTS_CTRL_PEER_H

#include <linux/filter.h>

#include "devices/net_peer.h"

enum {
	CTRL_PEER_PAIRS = 4,
	CTRL_PEER_FRAMES = 64,		/* waiting at a pair */
	CTRL_PEER_FRAME_MAX = 4096,
	CTRL_PEER_PROG = 4096,
};

struct ctrl_peer_frame {
	size_t len;
	uint8_t bytes[CTRL_PEER_FRAME_MAX];	/* header first */
};

struct ctrl_peer_pair {
	struct event_loop *loop;
	struct ctrl_peer_frame frame[CTRL_PEER_FRAMES];
	unsigned first, n;
	struct ctrl_peer_frame sent;	/* the last one */
	unsigned n_sent;
};

struct ctrl_peer {
	struct net_peer base;
	struct net_peer_start start;	/* as told; 'loop' is not kept */
	bool started;
	struct ctrl_peer_pair pair[CTRL_PEER_PAIRS];
	/* As told last. */
	struct features offloads;
	unsigned n_pairs;
	struct sock_filter prog[CTRL_PEER_PROG];
	unsigned n_prog, n_filters;
	int error;			/* what set_... return, 0: they work */
	bool *gone;			/* set when it is destroyed, if not NULL */
};

/* It can do every offload.  The device that is made of it owns it. */
struct ctrl_peer *ctrl_peer_create(unsigned n_pairs);

/*
 * A frame arrives at 'pair', with a header of zeros.  When this returns the pair's loop has looked
 * at it.
 */
void ctrl_peer_inject(struct ctrl_peer *peer, unsigned pair, const void *frame, size_t len);

#endif
