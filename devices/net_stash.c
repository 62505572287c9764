#include "devices/net_stash.h"

#include <string.h>

#include "vmm/base/iov.h"

void net_stash_init(struct net_stash *stash, struct virtqueue *q, unsigned header_len,
		    bool merges)
{
	stash->vq = q;
	stash->header_len = header_len;
	stash->max = merges ? NET_STASH_MAX : 1;
	stash->pushed = false;
	stash->n = 0;
	stash->room = 0;
}

/*
 * Readable buffers do not belong here, and what has no room for a header is of no use: both come
 * back unused.
 */
static bool is_usable(const struct net_stash *stash, const struct chain *c)
{
	return c->out_len == 0 && c->in_len > stash->header_len;
}

bool net_stash_fill(struct net_stash *stash, size_t want)
{
	while (stash->room < want && stash->n < stash->max) {
		struct chain *c = &stash->chain[stash->n];

		if (virtqueue_pop(stash->vq, c) != VQ_CHAIN)
			break;
		if (!is_usable(stash, c)) {
			/* Those before it may have to go back first, and then so must this one. */
			if (stash->n > 0) {
				virtqueue_unpop(stash->vq, c);
				break;
			}
			virtqueue_push(stash->vq, c->head, 0);
			stash->pushed = true;
			continue;
		}
		stash->n++;
		stash->room += c->in_len;
	}
	return stash->n > 0;
}

void net_stash_give_back(struct net_stash *stash)
{
	while (stash->n > 0)
		virtqueue_unpop(stash->vq, &stash->chain[--stash->n]);
	stash->room = 0;
}

void net_stash_write(struct net_stash *stash, size_t offset, const uint8_t *bytes, size_t len)
{
	for (unsigned i = 0; i < stash->n && len > 0; i++) {
		const struct chain *c = &stash->chain[i];
		size_t n = offset < c->in_len ? min_u64(c->in_len - offset, len) : 0;

		if (n > 0)
			iov_write(c->in, c->n_in, offset, bytes, n);
		offset = n > 0 ? 0 : offset - c->in_len;
		bytes += n;
		len -= n;
	}
}

unsigned net_stash_count(const struct net_stash *stash, size_t total)
{
	unsigned n = 0;

	for (size_t held = 0; held < total; n++)
		held += stash->chain[n].in_len;
	return n;
}

void net_stash_push(struct net_stash *stash, size_t total)
{
	unsigned n = 0;

	while (total > 0) {
		const struct chain *c = &stash->chain[n++];
		size_t used = min_u64(c->in_len, total);

		virtqueue_push(stash->vq, c->head, (uint32_t)used);
		stash->room -= c->in_len;
		total -= used;
	}
	stash->pushed = true;
	stash->n -= n;
	memmove(stash->chain, stash->chain + n, stash->n * sizeof(stash->chain[0]));
}
