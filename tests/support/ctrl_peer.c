#include "tests/support/ctrl_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/iov.h"

static struct ctrl_peer *to_fake(struct net_peer *peer)
{
	return container_of(peer, struct ctrl_peer, base);
}

static int answer(const struct ctrl_peer *fake)
{
	return fake->error == 0 ? 0 : error_set(fake->error, "the fake peer was told to fail");
}

static int fake_start(struct net_peer *peer, const struct net_peer_start *start)
{
	struct ctrl_peer *fake = to_fake(peer);

	fake->start = *start;
	for (unsigned i = 0; i < start->n_pairs; i++) {
		fake->pair[i].loop = start->loop[i];
		fake->pair[i].n = 0;
		fake->pair[i].n_sent = 0;
	}
	fake->start.loop = NULL;
	fake->started = true;
	return 0;
}

static void fake_stop(struct net_peer *peer)
{
	to_fake(peer)->started = false;
}

static int fake_set_offloads(struct net_peer *peer, struct features features)
{
	struct ctrl_peer *fake = to_fake(peer);
	int r = answer(fake);

	if (r == 0)
		fake->offloads = features;
	return r;
}

static int fake_set_pairs(struct net_peer *peer, unsigned n)
{
	struct ctrl_peer *fake = to_fake(peer);
	int r = answer(fake);

	if (r == 0)
		fake->n_pairs = n;
	return r;
}

static int fake_set_filter(struct net_peer *peer, const struct sock_filter *prog, unsigned n)
{
	struct ctrl_peer *fake = to_fake(peer);
	int r = answer(fake);

	if (r < 0)
		return r;
	if (n > 0)
		memcpy(fake->prog, prog, n * sizeof(*prog));
	fake->n_prog = n;
	fake->n_filters++;
	return 0;
}

static int fake_send(struct net_peer *peer, unsigned pair, const struct iovec *iov, unsigned n)
{
	struct ctrl_peer_pair *p = &to_fake(peer)->pair[pair];

	p->sent.len = iov_read(iov, n, 0, p->sent.bytes, sizeof(p->sent.bytes));
	p->n_sent++;
	return 0;
}

static ssize_t fake_receive(struct net_peer *peer, unsigned pair, const struct iovec *iov,
			    unsigned n)
{
	struct ctrl_peer_pair *p = &to_fake(peer)->pair[pair];
	const struct ctrl_peer_frame *frame = &p->frame[p->first];

	if (p->n == 0)
		return 0;
	p->n--;
	p->first = (p->first + 1) % CTRL_PEER_FRAMES;
	return iov_write(iov, n, 0, frame->bytes, frame->len) == frame->len ? (ssize_t)frame->len
									     : -EMSGSIZE;
}

static void fake_destroy(struct net_peer *peer)
{
	struct ctrl_peer *fake = to_fake(peer);

	if (fake->gone)
		*fake->gone = true;
	free(fake);
}

static const struct net_peer_ops fake_ops = {
	.start = fake_start,
	.stop = fake_stop,
	.set_offloads = fake_set_offloads,
	.set_pairs = fake_set_pairs,
	.set_filter = fake_set_filter,
	.send = fake_send,
	.receive = fake_receive,
	.destroy = fake_destroy,
};

struct ctrl_peer *ctrl_peer_create(unsigned n_pairs)
{
	struct ctrl_peer *fake = calloc(1, sizeof(*fake));

	if (!fake)
		abort();
	fake->base = (struct net_peer){
		.ops = &fake_ops,
		.offloads = { { ~UINT64_C(0), ~UINT64_C(0) } },
		.n_pairs_max = n_pairs,
		.describe = "a fake peer",
	};
	return fake;
}

struct injection {
	struct ctrl_peer *fake;
	unsigned pair;
	const void *frame;
	size_t len;
};

static void inject(void *arg)
{
	struct injection *i = arg;
	struct ctrl_peer *fake = i->fake;
	struct ctrl_peer_pair *p = &fake->pair[i->pair];
	struct ctrl_peer_frame *f = &p->frame[(p->first + p->n) % CTRL_PEER_FRAMES];

	if (!fake->started || p->n == CTRL_PEER_FRAMES ||
	    fake->start.header_len + i->len > sizeof(f->bytes))
		abort();
	memset(f->bytes, 0, fake->start.header_len);
	memcpy(f->bytes + fake->start.header_len, i->frame, i->len);
	f->len = fake->start.header_len + i->len;
	p->n++;
	fake->start.readable(fake->start.arg, i->pair);
}

void ctrl_peer_inject(struct ctrl_peer *peer, unsigned pair, const void *frame, size_t len)
{
	struct injection i = { peer, pair, frame, len };

	event_loop_call(peer->pair[pair].loop, inject, &i);
}
