/*
 * Frames from the driver to the peer, without a copy but for the header and for what is so short
 * that a copy costs less than a second piece: what the peer gets is written by us from what was
 * judged.  Frames that are there together go together, as many as the peer takes at once.
 *
 * virtio-v1.4 5.1.6.2 "Packet Transmission"
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/net_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/iov.h"

enum { SHORT_FRAME = 256 };

/* A chain that was popped, and its frame. */
struct net_tx_slot {
	struct chain chain;
	bool is_frame;			/* else it is dropped */
	struct net_peer_frame frame;	/* header first */
	uint8_t bytes[NET_HEADER_MAX + SHORT_FRAME];	/* the header; all of a short frame */
};

static bool may_send(const struct net_pair *pair)
{
	const struct virtio_net *net = pair->net;

	return atomic_load_explicit(&net->link_up, memory_order_relaxed) &&
	       pair->number < atomic_load_explicit(&net->n_active, memory_order_relaxed);
}

/* The frame behind the header, in 'iov'.  Returns how many entries. */
static unsigned slice_frame(struct net_pair *pair, struct iovec *iov, const struct chain *c,
			    size_t len)
{
	unsigned skip = pair->net->header_len;

	if (c->n_out < NET_IOV_MAX)
		return iov_slice(iov, c->out, c->n_out, skip, len);
	iov_read(c->out, c->n_out, skip, pair->tx.bounce, len);
	*iov = (struct iovec){ pair->tx.bounce, len };
	return 1;
}

/* Judge what the driver wants to send; 'iov' has room for it.  Returns whether it may go. */
static bool prepare_frame(struct net_pair *pair, struct net_tx_slot *slot, struct iovec *iov)
{
	const struct virtio_net *net = pair->net;
	const struct chain *c = &slot->chain;
	unsigned header_len = net->header_len;
	struct net_header header;

	if (iov_read(c->out, c->n_out, 0, slot->bytes, header_len) < header_len)
		return false;
	size_t len = c->out_len - header_len;
	net_header_load(&header, slot->bytes, header_len);
	if (!net_header_judge_sent(&header, net->accepted, len) || !may_send(pair))
		return false;
	net_header_store(&header, slot->bytes, header_len);
	iov[0] = (struct iovec){ slot->bytes, header_len };
	slot->frame = (struct net_peer_frame){ iov, 1 };
	if (len <= SHORT_FRAME)
		iov[0].iov_len += iov_read(c->out, c->n_out, header_len,
					   slot->bytes + header_len, len);
	else
		slot->frame.n += slice_frame(pair, iov + 1, c, len);
	return true;
}

/*
 * Pop what goes together into the slots.  A frame in more pieces than a write takes goes through
 * the bounce buffer, which there is one of: alone.
 */
static unsigned pop_frames(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;
	unsigned n = 0, n_iov = 0;
	size_t bytes = 0;

	while (n < NET_PEER_BATCH && bytes < NET_TX_BYTES_PER_BATCH) {
		struct net_tx_slot *slot = &tx->slot[n];

		if (virtqueue_pop(tx->vq, &slot->chain) != VQ_CHAIN)
			break;
		if (n > 0 && n_iov + slot->chain.n_out >= NET_IOV_MAX) {
			virtqueue_unpop(tx->vq, &slot->chain);
			break;
		}
		slot->is_frame = prepare_frame(pair, slot, tx->iov + n_iov);
		if (slot->is_frame)
			n_iov += slot->frame.n;
		bytes += slot->chain.out_len;
		n++;
		if (slot->chain.n_out >= NET_IOV_MAX)
			break;
	}
	return n;
}

/* As net_peer_ops.send_many, for peers without it too. */
static int send_many(struct net_pair *pair, const struct net_peer_frame *frame, unsigned n)
{
	struct net_peer *peer = pair->net->peer;
	int r;

	if (n > 1 && peer->ops->send_many)
		return peer->ops->send_many(peer, pair->number, frame, n);
	for (unsigned i = 0; i < n; i++) {
		r = peer->ops->send(peer, pair->number, frame[i].iov, frame[i].n);
		if (r == -EAGAIN)
			return (int)i;
		if (r < 0)
			return r;
	}
	return (int)n;
}

/* Send what 'n' slots hold.  Returns how many of them are done with: the peer has no room now. */
static unsigned send_slots(struct net_pair *pair, unsigned n)
{
	struct net_tx *tx = &pair->tx;
	struct net_peer_frame frame[NET_PEER_BATCH];
	unsigned n_frames = 0, done = 0;

	for (unsigned i = 0; i < n; i++)
		if (tx->slot[i].is_frame)
			frame[n_frames++] = tx->slot[i].frame;
	int sent = send_many(pair, frame, n_frames);
	if (sent < 0) {
		net_peer_lost(pair);
		for (unsigned i = 0; i < n; i++)
			tx->slot[i].is_frame = false;
		return n;
	}
	for (; done < n; done++)
		if (tx->slot[done].is_frame && sent-- == 0)
			break;
	return done;
}

static void answer(struct net_pair *pair, const struct net_tx_slot *slot)
{
	struct net_capture *capture = pair->net->capture;
	unsigned header_len = pair->net->header_len;
	struct net_tx *tx = &pair->tx;

	if (slot->is_frame)
		tx->count.frames++;
	else
		tx->count.dropped++;
	tx->count.bytes += slot->chain.out_len;
	if (capture && slot->is_frame)
		net_capture_frame(capture, slot->frame.iov, slot->frame.n, header_len,
				  slot->chain.out_len - header_len);
	virtqueue_push(tx->vq, slot->chain.head, 0);
}

/*
 * A driver that never stops sending gets turns like everybody, and hears of each batch, so that it
 * can go on beside us.
 */
void net_tx_run(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;
	unsigned n_frames = 0;
	size_t bytes = 0;

	while (n_frames < NET_FRAMES_PER_TURN && bytes < NET_BYTES_PER_TURN) {
		unsigned n = pop_frames(pair);
		unsigned n_done = n > 0 ? send_slots(pair, n) : 0;

		for (unsigned i = 0; i < n_done; i++) {
			bytes += tx->slot[i].chain.out_len;
			answer(pair, &tx->slot[i]);
		}
		for (unsigned i = n; i > n_done; i--)
			virtqueue_unpop(tx->vq, &tx->slot[i - 1].chain);
		/* Where the peer has no room it says when; until then nothing is taken. */
		if (n == 0 || n_done < n)
			return;
		n_frames += n;
		net_ctrl_flush(pair, tx->vq);
	}
}

int net_tx_open(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;

	tx->iov = calloc(NET_IOV_MAX + 1, sizeof(*tx->iov));
	tx->slot = calloc(NET_PEER_BATCH, sizeof(*tx->slot));
	tx->bounce = malloc(NET_FRAME_MAX);
	if (tx->iov && tx->slot && tx->bounce)
		return 0;
	net_tx_close(pair);
	return error_set(ENOMEM, "allocate room for sent packets");
}

void net_tx_close(struct net_pair *pair)
{
	free(pair->tx.iov);
	free(pair->tx.slot);
	free(pair->tx.bounce);
	pair->tx.iov = NULL;
	pair->tx.slot = NULL;
	pair->tx.bounce = NULL;
}

void net_tx_start(struct net_pair *pair, struct virtqueue *q)
{
	pair->tx.vq = q;
}

void net_tx_stop(struct net_pair *pair)
{
	pair->tx.vq = NULL;
}
