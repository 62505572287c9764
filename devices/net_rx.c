/*
 * Frames from the peer into the driver's buffers, without a copy: a frame is read straight into the
 * chains that the driver offered, which for the time of the read are followed by 64 KiB of our own
 * (the spill), so that no frame is lost because too little was offered.  The header is read apart,
 * judged, and written by us.  Several frames at once: net_rx_batch.c.
 *
 * virtio-v1.4 5.1.6.3 "Setting Up Receive Buffers", 5.1.6.4 "Processing of Incoming Packets"
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/net_rx_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/iov.h"

enum {
	WANT_MIN = NET_HEADER_LEN + 1500 + NET_ETHERNET_TAGGED,
	WANT_MAX = NET_HEADER_MAX + NET_FRAME_MAX,
	/*
	 * So many frames must have come in a row for each that is read together with others: a
	 * read that finds nothing costs four times what it saves when it finds something.
	 */
	STREAK_PER_READ = 8,
};

static unsigned rx_index(const struct net_pair *pair)
{
	return 2 * pair->number;
}

/* --- one frame ------------------------------------------------------------------------------- */

/* Add a chain, without 'skip' bytes that are the header's.  Returns what is left of those. */
static size_t land_on(struct net_landing *l, const struct chain *c, size_t skip)
{
	for (unsigned k = 0; k < c->n_in && l->n < NET_IOV_MAX - 1; k++) {
		struct iovec v = c->in[k];
		size_t cut = min_u64(skip, v.iov_len);

		skip -= cut;
		if (v.iov_len == cut)
			continue;
		l->n = iov_add(l->iov, l->n, (char *)v.iov_base + cut, v.iov_len - cut);
		l->room += v.iov_len - cut;
	}
	return skip;
}

void net_landing_prepare(struct net_pair *pair, struct net_landing *l, unsigned first, unsigned n)
{
	size_t skip = pair->net->header_len;

	l->iov[0] = (struct iovec){ l->header, skip };
	l->n = 1;
	l->room = 0;
	for (unsigned i = first; i < first + n; i++)
		skip = land_on(l, &pair->rx.stash.chain[i], skip);
	l->iov[l->n++] = (struct iovec){ l->spill, NET_SPILL_SIZE };
}

/* What is offered to the next frame follows the size of those that come. */
static void learn_size(struct net_rx *rx, size_t total)
{
	if (total > rx->want)
		rx->want = min_u64(total, WANT_MAX);
	else
		rx->want -= (rx->want - max_u64(total, WANT_MIN)) / 8;
}

/* virtio-v1.4 5.1.4: a frame above the MTU is not for the driver, unless it is to be segmented. */
static bool is_too_long(const struct virtio_net *net, const struct net_header *h, size_t len)
{
	return len > net->mtu_frame_max && (h->gso_type & ~NET_GSO_ECN) == NET_GSO_NONE;
}

/*
 * The chains of the stash hold the frame, but for what is in the spill.  Returns false if there is
 * no room for all of it; nothing is used then.
 */
static bool hand_over(struct net_pair *pair, struct net_header *header, const uint8_t *spill,
		      size_t room, size_t len)
{
	struct virtio_net *net = pair->net;
	struct net_stash *stash = &pair->rx.stash;
	size_t total = net->header_len + len;
	uint8_t bytes[NET_HEADER_MAX];

	net_stash_fill(stash, total);
	if (stash->room < total)
		return false;
	if (len > room)
		net_stash_write(stash, net->header_len + room, spill, len - room);
	header->num_buffers = (uint16_t)net_stash_count(stash, total);
	net_header_store(header, bytes, net->header_len);
	net_stash_write(stash, 0, bytes, net->header_len);
	net_stash_push(stash, total);
	return true;
}

/* The verdict on a frame of 'len' bytes that was read. */
static bool take_frame(struct net_pair *pair, const struct net_landing *l, size_t len)
{
	struct virtio_net *net = pair->net;
	uint8_t head[NET_FRAME_HEAD];
	struct net_header header;

	net_header_load(&header, l->header, net->header_len);
	if (!net_header_judge_received(&header, pair->guest, len) ||
	    is_too_long(net, &header, len))
		return false;
	if (net->capture)
		net_capture_frame(net->capture, l->iov + 1, l->n - 1, 0, len);

	struct net_frame frame = {
		.head = head,
		.head_len = (unsigned)iov_read(l->iov + 1, l->n - 1, 0, head,
					       min_u64(sizeof(head), len)),
		.len = len,
		.header = &header,
		.iov = l->iov + 1,
		.n_iov = l->n - 1,
	};
	switch (net_ctrl_judge(pair, &frame)) {
	case NET_FRAME_TAKE:
		return hand_over(pair, &header, l->spill, l->room, len);
	case NET_FRAME_MOVED:
		return true;
	case NET_FRAME_DROP:
		break;
	}
	return false;
}

enum net_rx_step net_rx_judge(struct net_pair *pair, ssize_t r, size_t *len)
{
	unsigned header_len = pair->net->header_len;

	*len = 0;
	if (r == 0)
		return NET_RX_NOTHING;
	if (r < 0 && r != -EMSGSIZE)
		return NET_RX_LOST;
	if (r > (ssize_t)header_len)
		*len = (size_t)r - header_len;
	return NET_RX_FRAME;
}

void net_rx_take(struct net_pair *pair, const struct net_landing *l, size_t len)
{
	struct net_rx *rx = &pair->rx;

	learn_size(rx, pair->net->header_len + len);
	rx->count.frames++;
	rx->count.bytes += len;
	if (!take_frame(pair, l, len))
		rx->count.dropped++;
}

enum net_rx_step net_rx_one(struct net_pair *pair, size_t *len)
{
	struct net_peer *peer = pair->net->peer;
	struct net_rx *rx = &pair->rx;
	struct net_landing l = { .iov = rx->iov, .spill = rx->spill };

	net_landing_prepare(pair, &l, 0, rx->stash.n);
	ssize_t r = peer->ops->receive(peer, pair->number, l.iov, l.n);
	enum net_rx_step step = net_rx_judge(pair, r, len);

	if (step == NET_RX_FRAME)
		net_rx_take(pair, &l, *len);
	rx->streak = step == NET_RX_FRAME ? rx->streak + 1 : 0;
	return step;
}

/* Nobody is there to have it: the cable is out, or the ring is. */
static enum net_rx_step discard_frame(struct net_pair *pair, size_t *len)
{
	struct net_peer *peer = pair->net->peer;
	uint8_t header[NET_HEADER_MAX], frame[64];
	const struct iovec iov[] = {
		{ header, pair->net->header_len }, { frame, sizeof(frame) }
	};
	ssize_t r = peer->ops->receive(peer, pair->number, iov, ARRAY_SIZE(iov));
	enum net_rx_step step = net_rx_judge(pair, r, len);

	if (step == NET_RX_FRAME)
		pair->rx.count.dropped++;
	return step;
}

/* --- a turn ---------------------------------------------------------------------------------- */

static void look_at_peer(struct net_pair *pair, bool want)
{
	struct net_peer *peer = pair->net->peer;

	if (peer->ops->want_readable)
		peer->ops->want_readable(peer, pair->number, want);
}

/* The ring has no buffers: the peer is not looked at before the driver kicks. */
static void starve(struct net_pair *pair)
{
	if (pair->rx.starved)
		return;
	pair->rx.starved = true;
	look_at_peer(pair, false);
	/* The driver must kick again: that is asked for after a look that finds the ring empty. */
	local_queue_resume(pair->net->datapath, rx_index(pair));
}

static void feed(struct net_pair *pair)
{
	if (!pair->rx.starved)
		return;
	pair->rx.starved = false;
	look_at_peer(pair, true);
}

/*
 * How many frames to read together now.  More than one only where a frame may go on in further
 * buffers, so that one that is larger than those before it still fits, and only where the driver
 * does not want its buffers back in order, as those are not neighbours.
 */
static unsigned batch_size(const struct net_pair *pair)
{
	const struct virtio_net *net = pair->net;

	if (!net->peer->ops->receive_many || !net->is_merging ||
	    features_has(&net->accepted, VIRTIO_F_IN_ORDER))
		return 1;
	return (unsigned)min_u64(pair->rx.streak / STREAK_PER_READ, NET_PEER_BATCH);
}

static enum net_rx_step run_step(struct net_pair *pair, unsigned *n, size_t *len)
{
	struct net_rx *rx = &pair->rx;

	*n = 1;
	*len = 0;
	if (!rx->vq && rx->holds) {
		starve(pair);
		return NET_RX_NOTHING;
	}
	if (!rx->vq || !atomic_load_explicit(&pair->net->link_up, memory_order_relaxed)) {
		feed(pair);
		return discard_frame(pair, len);
	}
	if (!net_stash_fill(&rx->stash, rx->want)) {
		starve(pair);
		return NET_RX_NOTHING;
	}
	feed(pair);
	*n = batch_size(pair);
	return *n > 1 ? net_rx_several(pair, n, len) : net_rx_one(pair, len);
}

/* The driver ends the ring: what comes from now on is not for whoever comes next. */
void net_rx_cancel(struct net_pair *pair)
{
	pair->rx.holds = false;
}

bool net_rx_run(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;
	size_t bytes = 0, told = 0, len;
	unsigned n = 0, n_came, n_told = 0;

	while (n < NET_FRAMES_PER_TURN && bytes < NET_BYTES_PER_TURN) {
		enum net_rx_step step = run_step(pair, &n_came, &len);

		if (step == NET_RX_LOST)
			net_peer_lost(pair);
		if (step != NET_RX_FRAME)
			break;
		bytes += len;
		n += n_came;
		/* The driver takes those beside us, and has their buffers back by then. */
		if (rx->stash.pushed &&
		    (n - n_told >= NET_PEER_BATCH || bytes - told >= NET_BYTES_PER_BATCH)) {
			net_ctrl_flush(pair, rx->vq);
			rx->stash.pushed = false;
			n_told = n;
			told = bytes;
		}
	}
	if (!rx->vq)
		return n > 0;
	net_stash_give_back(&rx->stash);
	if (rx->stash.pushed)
		net_ctrl_flush(pair, rx->vq);
	rx->stash.pushed = false;
	/* There may be more, and nobody says so again. */
	if (n >= NET_FRAMES_PER_TURN || bytes >= NET_BYTES_PER_TURN)
		local_queue_resume(pair->net->datapath, rx_index(pair));
	return n > 0;
}

bool net_rx_deliver(struct net_pair *pair, const struct net_header *header,
		    const struct iovec *iov, unsigned n, size_t len)
{
	struct net_rx *rx = &pair->rx;
	struct net_header copy = *header;
	bool fits;

	if (!rx->vq || len > NET_FRAME_MAX || iov_read(iov, n, 0, rx->spill, len) < len)
		return false;
	fits = net_stash_fill(&rx->stash, pair->net->header_len + len) &&
	       hand_over(pair, &copy, rx->spill, 0, len);
	if (!fits)
		rx->count.dropped++;
	net_stash_give_back(&rx->stash);
	if (rx->stash.pushed)
		net_ctrl_flush(pair, rx->vq);
	rx->stash.pushed = false;
	return fits;
}

/* Bounded, should somebody send as fast as we look. */
void net_rx_drop(struct net_pair *pair)
{
	size_t len;

	for (unsigned n = 0; n < NET_DROPS_MAX; n++)
		if (discard_frame(pair, &len) != NET_RX_FRAME)
			return;
}

/* While the loop spins, the peer is looked at like the rings. */
static bool rx_poll(struct event_poller *poller)
{
	struct net_pair *pair = container_of(poller, struct net_pair, rx.poller);

	return !pair->rx.starved && net_rx_run(pair);
}

/* --- session --------------------------------------------------------------------------------- */

int net_rx_open(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;

	rx->iov = calloc(NET_IOV_MAX, sizeof(*rx->iov));
	/* The first is for frames that are read alone; touched when it is needed. */
	rx->spill = malloc((size_t)NET_SPILL_SIZE * (1 + NET_PEER_BATCH));
	rx->slot = calloc(NET_PEER_BATCH, sizeof(*rx->slot));
	if (rx->iov && rx->spill && rx->slot) {
		rx->spills = rx->spill + NET_SPILL_SIZE;
		return 0;
	}
	net_rx_close(pair);
	return error_set(ENOMEM, "allocate room for received packets");
}

void net_rx_close(struct net_pair *pair)
{
	free(pair->rx.iov);
	free(pair->rx.spill);
	free(pair->rx.slot);
	pair->rx.slot = NULL;
	pair->rx.iov = NULL;
	pair->rx.spill = NULL;
}

void net_rx_start(struct net_pair *pair, struct virtqueue *q)
{
	struct net_rx *rx = &pair->rx;

	rx->vq = q;
	rx->holds = true;
	net_stash_init(&rx->stash, q, pair->net->header_len, pair->net->is_merging);
	rx->want = WANT_MIN;
	rx->streak = 0;
	feed(pair);
	rx->poller = (struct event_poller){ .poll = rx_poll };
	event_loop_add_poller(pair->loop, &rx->poller);
}

void net_rx_stop(struct net_pair *pair)
{
	event_loop_remove_poller(&pair->rx.poller);
	pair->rx.vq = NULL;
	/*
	 * Frames that come now are for nobody, and shall not be those that the next driver sees;
	 * unless it is the same one, at another datapath.
	 */
	feed(pair);
}
