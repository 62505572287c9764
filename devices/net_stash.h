/*
 * Receive buffers that were popped and are not used yet, in the order of the ring, seen as one
 * stream of bytes: header first, then the frame.
 *
 * virtio-v1.4 5.1.6.3 "Setting Up Receive Buffers", 5.1.6.4 "Processing of Incoming Packets"
 */
#ifndef DEVICES_NET_STASH_H
#define DEVICES_NET_STASH_H

#include "virtio/virtqueue.h"
#include "vmm/base/util.h"

enum { NET_STASH_MAX = 256 };		/* chains that one frame can fill */

/* Owner loop. */
struct net_stash {
	struct virtqueue *vq;		/* kept */
	unsigned header_len;
	unsigned max;			/* chains at a time: 1 or NET_STASH_MAX */
	bool pushed;			/* something was, and the caller has not flushed it */
	struct chain chain[NET_STASH_MAX];
	unsigned n;
	size_t room;			/* in all of them */
};

/* An empty one for a ring that starts.  'merges': a frame may go on in further buffers. */
void net_stash_init(struct net_stash *stash, struct virtqueue *q, unsigned header_len,
		    bool merges);

/*
 * Pop until there is room for 'want' bytes, as far as there are buffers.  Returns whether there are
 * any now.
 */
bool net_stash_fill(struct net_stash *stash, size_t want);

/* The driver keeps what was not used: the next fill pops it again. */
void net_stash_give_back(struct net_stash *stash);

/* Copy to 'offset' of the stream; what is beyond its end is left out. */
void net_stash_write(struct net_stash *stash, size_t offset, const uint8_t *bytes, size_t len);

/* How many chains the first 'total' bytes take; there is room for so many. */
unsigned net_stash_count(const struct net_stash *stash, size_t total);

/*
 * Answer the chains that hold the first 'total' bytes, all but the last of them full.  The driver
 * sees them together: they are published by one flush.
 */
void net_stash_push(struct net_stash *stash, size_t total);

#endif
