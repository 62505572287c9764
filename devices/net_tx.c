/*
 * Frames from the driver to the peer, without a copy but for the header: what the peer gets is
 * written by us from what was judged.
 *
 * virtio-v1.4 5.1.6.2 "Packet Transmission"
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/net_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/iov.h"

enum sent { SENT, SENT_DROPPED, SENT_NO_ROOM };

/* The frame behind the header, in 'tx->iov' from 1 on.  Returns how many entries. */
static unsigned slice_frame(struct net_pair *pair, const struct chain *c, size_t len)
{
	struct net_tx *tx = &pair->tx;
	unsigned skip = pair->net->header_len;

	/* The header in a piece of its own, or before the frame in the first: what drivers do. */
	if (c->n_out < NET_IOV_MAX)
		return iov_slice(tx->iov + 1, c->out, c->n_out, skip, len);
	iov_read(c->out, c->n_out, skip, tx->bounce, len);
	tx->iov[1] = (struct iovec){ tx->bounce, len };
	return 1;
}

static bool may_send(const struct net_pair *pair)
{
	const struct virtio_net *net = pair->net;

	return atomic_load_explicit(&net->link_up, memory_order_relaxed) &&
	       pair->number < atomic_load_explicit(&net->n_active, memory_order_relaxed);
}

static enum sent send_frame(struct net_pair *pair, const struct chain *c)
{
	struct virtio_net *net = pair->net;
	struct net_tx *tx = &pair->tx;
	uint8_t bytes[NET_HEADER_MAX];
	struct net_header header;

	if (iov_read(c->out, c->n_out, 0, bytes, net->header_len) < net->header_len)
		return SENT_DROPPED;
	size_t len = c->out_len - net->header_len;
	net_header_load(&header, bytes, net->header_len);
	if (!net_header_judge_sent(&header, net->accepted, len) || !may_send(pair))
		return SENT_DROPPED;
	net_header_store(&header, bytes, net->header_len);
	tx->iov[0] = (struct iovec){ bytes, net->header_len };

	unsigned n = slice_frame(pair, c, len);
	int r = net->peer->ops->send(net->peer, pair->number, tx->iov, n + 1);
	if (r == -EAGAIN)
		return SENT_NO_ROOM;
	if (r < 0) {
		net_peer_lost(pair);
		return SENT_DROPPED;
	}
	if (net->capture)
		net_capture_frame(net->capture, tx->iov + 1, n, 0, len);
	return SENT;
}

/* A driver that never stops sending gets turns like everybody. */
void net_tx_run(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;
	size_t bytes = 0;
	struct chain c;

	for (unsigned n = 0; n < NET_FRAMES_PER_TURN && bytes < NET_BYTES_PER_TURN; n++) {
		if (virtqueue_pop(tx->vq, &c) != VQ_CHAIN)
			return;
		enum sent sent = send_frame(pair, &c);
		if (sent == SENT_NO_ROOM) {
			/* The peer says when; until then nothing is taken. */
			virtqueue_unpop(tx->vq, &c);
			return;
		}
		if (sent == SENT_DROPPED)
			tx->count.dropped++;
		else
			tx->count.frames++;
		tx->count.bytes += c.out_len;
		bytes += c.out_len;
		virtqueue_push(tx->vq, c.head, 0);
	}
}

int net_tx_open(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;

	tx->iov = calloc(NET_IOV_MAX + 1, sizeof(*tx->iov));
	tx->bounce = malloc(NET_FRAME_MAX);
	if (tx->iov && tx->bounce)
		return 0;
	net_tx_close(pair);
	return error_set(ENOMEM, "allocate room for sent packets");
}

void net_tx_close(struct net_pair *pair)
{
	free(pair->tx.iov);
	free(pair->tx.bounce);
	pair->tx.iov = NULL;
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
