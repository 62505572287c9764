/*
 * The inside of receiving, shared by net_rx.c (a frame, turns, sessions) and net_rx_batch.c (frames
 * that are read together).  Everything is the owner loop's.
 */
#ifndef DEVICES_NET_RX_IMPL_H
#define DEVICES_NET_RX_IMPL_H

#include "devices/net_impl.h"

enum {
	NET_SPILL_SIZE = NET_FRAME_MAX + 1,	/* what fills it was too long */
	NET_SLOT_IOV = 8,			/* header, pieces of one chain, spill */
};

/* Where a frame is read to. */
struct net_landing {
	uint8_t header[NET_HEADER_MAX];
	struct iovec *iov;		/* header, room in chains, spill */
	unsigned n;
	size_t room;			/* that chains have for the frame */
	uint8_t *spill;			/* then comes this */
};

/* One that is read together with others, into one chain. */
struct net_rx_slot {
	struct net_landing landing;
	struct iovec iov[NET_SLOT_IOV];
	bool has_frame;
	size_t len;			/* of it */
};

/* What a look at the peer came to. */
enum net_rx_step { NET_RX_FRAME, NET_RX_NOTHING, NET_RX_LOST };

/* 'iov' and 'spill' are set: chains 'first' to 'first + n - 1' of the stash, and the spill. */
void net_landing_prepare(struct net_pair *pair, struct net_landing *l, unsigned first, unsigned n);

/* What 'receive' said; 'len' is set for a frame. */
enum net_rx_step net_rx_judge(struct net_pair *pair, ssize_t r, size_t *len);

/* Judge a frame of 'len' bytes that was read, hand it to the driver or drop it, and count it. */
void net_rx_take(struct net_pair *pair, const struct net_landing *l, size_t len);

/* Receive one frame into all that the stash holds; 'len' is its length. */
enum net_rx_step net_rx_one(struct net_pair *pair, size_t *len);

/* Up to '*n' frames; 'len' is the sum of their lengths, and '*n' how many there were. */
enum net_rx_step net_rx_several(struct net_pair *pair, unsigned *n, size_t *len);

#endif
