#include "tests/support/fake_peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/iov.h"

enum { WAIT_S = 20 };

static struct fake_peer *to_fake(struct net_peer *peer)
{
	return container_of(peer, struct fake_peer, base);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void put(struct fake_frames *f, uint8_t *bytes, size_t len)
{
	cr_assert_lt(f->head - f->tail, FAKE_PEER_FRAMES);
	f->frame[f->head++ % FAKE_PEER_FRAMES] = (struct fake_frame){ bytes, len };
}

static bool get(struct fake_frames *f, struct fake_frame *frame)
{
	if (f->head == f->tail)
		return false;
	*frame = f->frame[f->tail++ % FAKE_PEER_FRAMES];
	return true;
}

static void drop_all(struct fake_frames *f)
{
	struct fake_frame frame;

	while (get(f, &frame))
		free(frame.bytes);
}

/* --- what the device calls ------------------------------------------------------------------- */

static void on_readable(struct event_post *post)
{
	struct fake_peer_post *p = container_of(post, struct fake_peer_post, readable);
	struct fake_peer *peer = p->peer;

	pthread_mutex_lock(&peer->lock);
	bool tell = peer->is_started && peer->wants_readable[p->pair];
	pthread_mutex_unlock(&peer->lock);
	if (tell)
		peer->start.readable(peer->start.arg, p->pair);
}

static void on_writable(struct event_post *post)
{
	struct fake_peer_post *p = container_of(post, struct fake_peer_post, writable);

	p->peer->start.writable(p->peer->start.arg, p->pair);
}

static void tell(struct fake_peer *peer, unsigned pair)
{
	if (peer->is_started && pair < peer->n_pairs && peer->wants_readable[pair])
		event_loop_post(peer->loop[pair], &peer->post[pair].readable);
}

static int peer_start(struct net_peer *base, const struct net_peer_start *start)
{
	struct fake_peer *peer = to_fake(base);

	pthread_mutex_lock(&peer->lock);
	cr_assert_not(peer->is_started);
	cr_assert_leq(start->n_pairs, peer->base.n_pairs_max);
	int r = peer->start_fails;
	if (r == 0) {
		peer->is_started = true;
		peer->n_starts++;
		peer->header_len = start->header_len;
		peer->n_pairs = start->n_pairs;
		peer->start = *start;
		for (unsigned i = 0; i < start->n_pairs; i++) {
			peer->loop[i] = start->loop[i];
			peer->wants_readable[i] = start->readable != NULL;
			if (start->readable)
				tell(peer, i);
		}
	}
	pthread_mutex_unlock(&peer->lock);
	return r ? error_set(r, "start the fake peer") : 0;
}

static void unpost(void *arg)
{
	struct fake_peer_post *post = arg;
	struct event_loop *loop = post->peer->loop[post->pair];

	event_loop_unpost(loop, &post->readable);
	event_loop_unpost(loop, &post->writable);
}

static void peer_stop(struct net_peer *base)
{
	struct fake_peer *peer = to_fake(base);

	pthread_mutex_lock(&peer->lock);
	bool was = peer->is_started;
	peer->is_started = false;
	peer->n_stops += was;
	peer->offloads = FEATURES_EMPTY;
	pthread_mutex_unlock(&peer->lock);
	for (unsigned i = 0; was && i < peer->n_pairs; i++)
		event_loop_call(peer->loop[i], unpost, &peer->post[i]);
}

/* Under the lock. */
static int answer(const struct fake_peer *peer)
{
	return peer->set_fails == 0 ? 0
				    : error_set(peer->set_fails, "the fake peer was told to fail");
}

static int peer_set_offloads(struct net_peer *base, struct features features)
{
	struct fake_peer *peer = to_fake(base);

	pthread_mutex_lock(&peer->lock);
	int r = answer(peer);
	if (r == 0)
		peer->offloads = features;
	pthread_mutex_unlock(&peer->lock);
	return r;
}

static int peer_set_pairs(struct net_peer *base, unsigned n)
{
	struct fake_peer *peer = to_fake(base);

	pthread_mutex_lock(&peer->lock);
	int r = answer(peer);
	if (r == 0)
		peer->n_active = n;
	pthread_mutex_unlock(&peer->lock);
	return r;
}

static int peer_send(struct net_peer *base, unsigned pair, const struct iovec *iov, unsigned n)
{
	struct fake_peer *peer = to_fake(base);
	int r = 0;

	pthread_mutex_lock(&peer->lock);
	if (peer->send_fails) {
		r = peer->send_fails;
	} else if (peer->has_no_room) {
		peer->n_full++;
		r = -EAGAIN;
	} else {
		size_t len = iov_len(iov, n);
		uint8_t *bytes = malloc(len);

		iov_read(iov, n, 0, bytes, len);
		peer->n_iov_sent = n;
		put(&peer->sent[pair], bytes, len);
	}
	pthread_mutex_unlock(&peer->lock);
	return r;
}

static ssize_t peer_receive(struct net_peer *base, unsigned pair, const struct iovec *iov,
			    unsigned n)
{
	struct fake_peer *peer = to_fake(base);
	struct fake_frame frame;
	ssize_t r = 0;

	pthread_mutex_lock(&peer->lock);
	if (peer->receive_fails) {
		r = peer->receive_fails;
	} else if (get(&peer->arriving[pair], &frame)) {
		size_t fits = iov_write(iov, n, 0, frame.bytes, frame.len);

		r = fits < frame.len ? -EMSGSIZE : (ssize_t)frame.len;
		peer->n_iov_received = n;
		free(frame.bytes);
	} else {
		peer->n_looks++;
	}
	pthread_mutex_unlock(&peer->lock);
	return r;
}

static int peer_send_many(struct net_peer *base, unsigned pair, const struct net_peer_frame *frame,
			  unsigned n)
{
	struct fake_peer *peer = to_fake(base);
	size_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += iov_len(frame[i].iov, frame[i].n);
	peer->n_batches++;
	peer->largest_batch = max_u64(peer->largest_batch, bytes);
	for (unsigned i = 0; i < n; i++) {
		int r = peer_send(base, pair, frame[i].iov, frame[i].n);

		if (r < 0)
			return r == -EAGAIN ? (int)i : r;
	}
	return (int)n;
}

static void peer_receive_many(struct net_peer *base, unsigned pair,
			      const struct net_peer_frame *frame, ssize_t *result, unsigned n)
{
	struct fake_peer *peer = to_fake(base);

	peer->n_batches++;
	for (unsigned i = 0; i < n; i++) {
		bool is_hole = peer->has_holes && i % 7 == peer->n_batches % 7;

		result[i] = is_hole ? 0 : peer_receive(base, pair, frame[i].iov, frame[i].n);
	}
}

static void peer_want_readable(struct net_peer *base, unsigned pair, bool want)
{
	struct fake_peer *peer = to_fake(base);

	pthread_mutex_lock(&peer->lock);
	peer->wants_readable[pair] = want;
	pthread_mutex_unlock(&peer->lock);
}

static void peer_set_link(struct net_peer *base, bool up)
{
	struct fake_peer *peer = to_fake(base);

	pthread_mutex_lock(&peer->lock);
	peer->link_up = up;
	pthread_mutex_unlock(&peer->lock);
}

/* Whatever it is: nobody reads it. */
static int peer_vhost_fd(struct net_peer *base, unsigned pair)
{
	(void)base;
	return 1000 + (int)pair;
}

static int peer_set_filter(struct net_peer *base, const struct sock_filter *prog, unsigned n)
{
	struct fake_peer *peer = to_fake(base);

	pthread_mutex_lock(&peer->lock);
	cr_assert_leq(n, FAKE_PEER_PROG);
	int r = answer(peer);
	if (r == 0) {
		peer->n_filters++;
		peer->n_prog = n;
		if (n > 0)
			memcpy(peer->prog, prog, n * sizeof(*prog));
	}
	pthread_mutex_unlock(&peer->lock);
	return r;
}

static void peer_destroy(struct net_peer *base)
{
	struct fake_peer *peer = to_fake(base);

	cr_assert_not(peer->is_started);
	for (unsigned i = 0; i < FAKE_PEER_PAIRS; i++) {
		drop_all(&peer->arriving[i]);
		drop_all(&peer->sent[i]);
	}
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

static const struct net_peer_ops fake_ops = {
	.start = peer_start,
	.stop = peer_stop,
	.set_offloads = peer_set_offloads,
	.set_pairs = peer_set_pairs,
	.send = peer_send,
	.send_many = peer_send_many,
	.receive = peer_receive,
	.receive_many = peer_receive_many,
	.want_readable = peer_want_readable,
	.set_link = peer_set_link,
	.set_filter = peer_set_filter,
	.vhost_fd = peer_vhost_fd,
	.destroy = peer_destroy,
};

/* --- what the test calls --------------------------------------------------------------------- */

struct fake_peer *fake_peer_create(struct features offloads, unsigned n_pairs)
{
	struct fake_peer *peer = calloc(1, sizeof(*peer));

	cr_assert_not_null(peer);
	cr_assert_leq(n_pairs, FAKE_PEER_PAIRS);
	pthread_mutex_init(&peer->lock, NULL);
	peer->base.ops = &fake_ops;
	peer->base.offloads = offloads;
	peer->base.n_pairs_max = n_pairs;
	strcpy(peer->base.describe, "fake peer");
	for (unsigned i = 0; i < FAKE_PEER_PAIRS; i++)
		peer->post[i] = (struct fake_peer_post){
			.peer = peer,
			.pair = i,
			.readable = { .fn = on_readable },
			.writable = { .fn = on_writable },
		};
	return peer;
}

void fake_peer_give(struct fake_peer *peer, unsigned pair, const struct net_header *header,
		    const void *bytes, size_t len)
{
	pthread_mutex_lock(&peer->lock);
	unsigned header_len = peer->is_started ? peer->header_len : NET_HEADER_LEN;
	uint8_t *frame = malloc(header_len + len);

	net_header_store(header, frame, header_len);
	memcpy(frame + header_len, bytes, len);
	put(&peer->arriving[pair], frame, header_len + len);
	tell(peer, pair);
	pthread_mutex_unlock(&peer->lock);
}

struct injection {
	struct fake_peer *peer;
	unsigned pair;
	const void *bytes;
	size_t len;
};

static void inject(void *arg)
{
	const struct injection *i = arg;
	struct fake_peer *peer = i->peer;
	uint8_t *frame = calloc(1, peer->header_len + i->len);

	cr_assert(peer->is_started);
	memcpy(frame + peer->header_len, i->bytes, i->len);
	pthread_mutex_lock(&peer->lock);
	put(&peer->arriving[i->pair], frame, peer->header_len + i->len);
	pthread_mutex_unlock(&peer->lock);
	peer->start.readable(peer->start.arg, i->pair);
}

void fake_peer_inject(struct fake_peer *peer, unsigned pair, const void *bytes, size_t len)
{
	struct injection i = { peer, pair, bytes, len };

	event_loop_call(peer->loop[pair], inject, &i);
}

size_t fake_peer_take(struct fake_peer *peer, unsigned pair, struct net_header *header,
		      void *bytes, size_t size)
{
	time_t deadline = time(NULL) + WAIT_S;
	struct fake_frame frame;

	for (;;) {
		pthread_mutex_lock(&peer->lock);
		bool found = get(&peer->sent[pair], &frame);
		unsigned header_len = peer->header_len;
		pthread_mutex_unlock(&peer->lock);
		if (found) {
			size_t len = frame.len - header_len;

			net_header_load(header, frame.bytes, header_len);
			memcpy(bytes, frame.bytes + header_len, min_u64(len, size));
			free(frame.bytes);
			return len;
		}
		cr_assert_lt(time(NULL), deadline, "no frame was sent");
		usleep(50);
	}
}

unsigned fake_peer_n_sent(struct fake_peer *peer, unsigned pair)
{
	pthread_mutex_lock(&peer->lock);
	unsigned n = peer->sent[pair].head - peer->sent[pair].tail;
	pthread_mutex_unlock(&peer->lock);
	return n;
}

unsigned fake_peer_n_arriving(struct fake_peer *peer, unsigned pair)
{
	pthread_mutex_lock(&peer->lock);
	unsigned n = peer->arriving[pair].head - peer->arriving[pair].tail;
	pthread_mutex_unlock(&peer->lock);
	return n;
}

void fake_peer_set_room(struct fake_peer *peer, bool has_room)
{
	pthread_mutex_lock(&peer->lock);
	peer->has_no_room = !has_room;
	for (unsigned i = 0; has_room && peer->is_started && i < peer->n_pairs; i++)
		event_loop_post(peer->loop[i], &peer->post[i].writable);
	pthread_mutex_unlock(&peer->lock);
}

void fake_peer_lose(struct fake_peer *peer, int err)
{
	pthread_mutex_lock(&peer->lock);
	peer->send_fails = peer->receive_fails = err;
	for (unsigned i = 0; i < peer->n_pairs; i++)
		tell(peer, i);
	pthread_mutex_unlock(&peer->lock);
}
