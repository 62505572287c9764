/*
 * The other end of a network interface as a script: the test says which frames arrive and whether
 * any can be sent, and sees what was sent and what the device told it.  Test thread, while the
 * device lives.
 */
#ifndef TESTS_FAKE_PEER_H
#define TESTS_FAKE_PEER_H

#include <linux/filter.h>
#include <pthread.h>

#include "devices/net_header.h"
#include "devices/net_peer.h"

enum { FAKE_PEER_PAIRS = 2, FAKE_PEER_FRAMES = 1024, FAKE_PEER_PROG = 4096 };

struct fake_frame {
	uint8_t *bytes;			/* header first */
	size_t len;
};

/* First in, first out. */
struct fake_frames {
	struct fake_frame frame[FAKE_PEER_FRAMES];
	unsigned head, tail;
};

struct fake_peer {
	struct net_peer base;
	pthread_mutex_t lock;		/* for all that follows */
	struct fake_frames arriving[FAKE_PEER_PAIRS], sent[FAKE_PEER_PAIRS];
	bool is_started, has_no_room;
	int start_fails, send_fails, receive_fails;	/* -errno, or 0 */
	int set_fails;			/* the same of set_offloads, _pairs and _filter */
	unsigned header_len, n_pairs, n_active;
	unsigned n_starts, n_stops, n_looks;	/* looks: receive found nothing */
	unsigned n_full;			/* send had no room */
	unsigned n_iov_sent, n_iov_received;	/* entries of the last frame */
	struct features offloads;	/* that the device asked for last; empty when stopped */
	bool wants_readable[FAKE_PEER_PAIRS];
	bool link_up;
	struct sock_filter prog[FAKE_PEER_PROG];	/* the filter that it was given last */
	unsigned n_prog, n_filters;
	/* I/O loop: how often frames were moved together; receive_many says 0 now and then. */
	unsigned n_batches;
	size_t largest_batch;		/* of those that were sent, in bytes */
	bool has_holes;
	struct event_loop *loop[FAKE_PEER_PAIRS];
	struct net_peer_start start;
	struct fake_peer_post {
		struct fake_peer *peer;
		unsigned pair;
		struct event_post readable, writable;
	} post[FAKE_PEER_PAIRS];
};

/* Owned by whoever owns '&peer->base': the device that is made of it. */
struct fake_peer *fake_peer_create(struct features offloads, unsigned n_pairs);

/* A frame arrives: 'len' bytes behind 'header'. */
void fake_peer_give(struct fake_peer *peer, unsigned pair, const struct net_header *header,
		    const void *bytes, size_t len);

/*
 * A frame arrives, with a header of zeros: when this returns the pair's loop has looked at it.  The
 * device is started.
 */
void fake_peer_inject(struct fake_peer *peer, unsigned pair, const void *bytes, size_t len);

/* Wait (some seconds) for the next frame that was sent; returns its length without the header. */
size_t fake_peer_take(struct fake_peer *peer, unsigned pair, struct net_header *header,
		      void *bytes, size_t size);
/* How many were sent and not taken yet. */
unsigned fake_peer_n_sent(struct fake_peer *peer, unsigned pair);
/* How many were given and not received yet. */
unsigned fake_peer_n_arriving(struct fake_peer *peer, unsigned pair);

/* From now on nothing can be sent / it can again, and the device is told. */
void fake_peer_set_room(struct fake_peer *peer, bool has_room);
/* The next receive (and send) says so; the device is told to look. */
void fake_peer_lose(struct fake_peer *peer, int err);

#endif
