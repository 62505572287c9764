/* Several frames that wait at the peer, read in one call: each into a chain of its own. */
#include <string.h>

#include "devices/net_rx_impl.h"
#include "vmm/base/iov.h"

/* A chain for each, if there are so many that suit.  Returns how many there are. */
static unsigned prepare_slots(struct net_pair *pair, unsigned n)
{
	struct net_rx *rx = &pair->rx;
	struct net_stash *stash = &rx->stash;

	for (unsigned i = 0; i < n; i++) {
		struct net_rx_slot *slot = &rx->slot[i];
		const struct chain *c = &stash->chain[i];

		if (i == stash->n && !net_stash_fill(stash, stash->room + 1))
			return i;
		if (i == stash->n || c->in_len < rx->want || c->n_in > NET_SLOT_IOV - 2)
			return i;
		slot->landing.iov = slot->iov;
		slot->landing.spill = rx->spills + (size_t)i * NET_SPILL_SIZE;
		net_landing_prepare(pair, &slot->landing, i, 1);
	}
	return n;
}

/* Out of the chains, which are needed for the frames before: all into the spill. */
static void lift_frames(struct net_rx_slot *slot, unsigned n)
{
	for (; n > 0; slot++, n--) {
		struct net_landing *l = &slot->landing;
		size_t here = min_u64(slot->len, l->room);

		if (slot->len == 0 || slot->len > NET_FRAME_MAX)
			continue;
		memmove(l->spill + here, l->spill, slot->len - here);
		iov_read(l->iov + 1, l->n - 1, 0, l->spill, here);
		l->iov[1] = (struct iovec){ l->spill, slot->len };
		l->n = 2;
		l->room = 0;
	}
}

/*
 * Each frame lies in the chain that is its turn, as long as none before it was dropped or took more
 * than one.  From there on all are copied.
 */
static void take_slots(struct net_pair *pair, unsigned n)
{
	struct net_rx *rx = &pair->rx;
	bool lifted = false;

	for (unsigned i = 0; i < n; i++) {
		struct net_rx_slot *slot = &rx->slot[i];
		unsigned n_stash = rx->stash.n;

		if (!lifted && pair->net->header_len + slot->len > rx->stash.chain[0].in_len) {
			lift_frames(slot + 1, n - i - 1);
			lifted = true;
		}
		if (slot->has_frame)
			net_rx_take(pair, &slot->landing, slot->len);
		if (!lifted && rx->stash.n != n_stash - 1) {
			lift_frames(slot + 1, n - i - 1);
			lifted = true;
		}
	}
}

enum net_rx_step net_rx_several(struct net_pair *pair, unsigned *n, size_t *len)
{
	struct net_peer *peer = pair->net->peer;
	struct net_peer_frame frame[NET_PEER_BATCH];
	ssize_t result[NET_PEER_BATCH];
	struct net_rx *rx = &pair->rx;
	unsigned n_slots = prepare_slots(pair, *n), n_came = 0;
	bool is_lost = false;

	if (n_slots < 2) {
		*n = 1;
		return net_rx_one(pair, len);
	}
	for (unsigned i = 0; i < n_slots; i++)
		frame[i] = (struct net_peer_frame){ rx->slot[i].iov, rx->slot[i].landing.n };
	peer->ops->receive_many(peer, pair->number, frame, result, n_slots);
	*len = 0;
	for (unsigned i = 0; i < n_slots; i++) {
		enum net_rx_step step = net_rx_judge(pair, result[i], &rx->slot[i].len);

		is_lost |= step == NET_RX_LOST;
		rx->slot[i].has_frame = step == NET_RX_FRAME;
		n_came += rx->slot[i].has_frame;
		*len += rx->slot[i].len;
	}
	take_slots(pair, n_slots);
	rx->streak = n_came == n_slots ? rx->streak + n_came : 0;
	*n = n_came;
	if (is_lost)
		return NET_RX_LOST;
	return n_came > 0 ? NET_RX_FRAME : NET_RX_NOTHING;
}
