#include "images/payload/lib/net.h"

#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/run.h"
#include "virtio/features.h"

enum { HEAP_LIMIT = 12 << 20, REQUEST_LEN = 60, REQUEST_OP = 14, REQUEST_NUMBERS = 18 };

void net_find(struct net *n)
{
	*n = (struct net){ 0 };
	if (!virtio_find(&n->v, VIRTIO_ID_NET, 0))
		check_skip("no network interface");
	n->heap = heap_mark();
}

static void give_up(const char *why)
{
	check(false, "%s", why);
	payload_exit((uint32_t)check_result("net"));
}

void net_refill(struct net *n, unsigned pair)
{
	struct net_buffers *b = &n->buffers[pair];
	struct ring *r = &n->rx[pair];
	/* virtio-v1.4 5.1.6.7 "Legacy Interface: Framing Requirements" */
	unsigned n_desc = net_has(n, VIRTIO_F_VERSION_1) || net_has(n, VIRTIO_F_ANY_LAYOUT) ||
			  net_has(n, VIRTIO_NET_F_MRG_RXBUF) ? 1 : 2;

	while (r->n_free >= n_desc && heap_mark() + b->size < HEAP_LIMIT) {
		uint8_t *at = heap_alloc(b->size, 16);
		struct piece p[] = { { at, b->size },
				     { at + n->header_len, b->size - n->header_len } };

		if (n_desc == 2)
			p[0].len = n->header_len;
		b->at[ring_add(r, p, 0, n_desc)] = at;
	}
	ring_publish(r);
}

static void open_pair(struct net *n, unsigned pair, uint32_t buffer_size)
{
	struct net_buffers *b = &n->buffers[pair];

	if (!ring_init(&n->rx[pair], &n->v, (uint16_t)(2 * pair), n->size, n->features) ||
	    !ring_init(&n->tx[pair], &n->v, (uint16_t)(2 * pair + 1), n->size, n->features))
		give_up("no receive or transmit queue");
	b->size = buffer_size;
}

static uint32_t default_buffer(const struct net *n)
{
	const uint64_t segments = 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |
				  1ull << VIRTIO_NET_F_GUEST_UFO | 1ull << VIRTIO_NET_F_GUEST_USO4 |
				  1ull << VIRTIO_NET_F_GUEST_USO6;

	if (net_has(n, VIRTIO_NET_F_MRG_RXBUF))
		return 4096;
	return n->features & segments ? NET_MAX_FRAME + NET_HEADER_MAX : 2048;
}

static unsigned header_len(const struct net *n)
{
	if (net_has(n, VIRTIO_NET_F_HASH_REPORT))
		return 20;
	return net_has(n, VIRTIO_F_VERSION_1) || net_has(n, VIRTIO_NET_F_MRG_RXBUF) ? 12 : 10;
}

void net_open(struct net *n, uint64_t wanted, unsigned n_pairs)
{
	struct virtio *v = &n->v;

	virtio_reset(v);
	heap_release(n->heap);
	if (v->is_legacy)
		wanted |= 1ull << VIRTIO_F_ANY_LAYOUT;
	if (!virtio_negotiate(v, wanted, &n->features))
		give_up("FEATURES_OK does not stand");
	n->header_len = header_len(n);
	n->n_pairs = n_pairs;
	n->n_pairs_max = net_has(n, VIRTIO_NET_F_MQ) ?
		v->ops->read_config(v, NET_CONFIG_MAX_PAIRS, 2) : 1;
	for (unsigned i = 0; i < NET_ADDRESS; i++)
		n->mac[i] = (uint8_t)v->ops->read_config(v, NET_CONFIG_MAC + i, 1);
	for (unsigned i = 0; i < n_pairs; i++)
		open_pair(n, i, n->buffer_size ? n->buffer_size : default_buffer(n));
	if (net_has(n, VIRTIO_NET_F_CTRL_VQ) &&
	    !ring_init(&n->control, v, (uint16_t)(2 * n->n_pairs_max), 0, n->features))
		give_up("no control queue");
	virtio_driver_ok(v);
	for (unsigned i = 0; i < n_pairs; i++)
		net_refill(n, i);
	if (n_pairs > 1)
		check_equal(net_control(n, NET_CTRL_PAIRS, &(uint16_t){ (uint16_t)n_pairs }, 2),
			    NET_CTRL_OK, "number of pairs");
}

void net_send(struct net *n, unsigned pair, const struct net_header *header, const void *frame,
	      uint32_t len)
{
	static const struct net_header zero;
	struct piece p[] = {
		{ (void *)(header ? header : &zero), n->header_len },
		{ (void *)frame, len },
	};

	ring_add(&n->tx[pair], p, 2, 0);
	ring_publish(&n->tx[pair]);
	check(ring_wait(&n->tx[pair]) >= 0, "a frame of %u bytes was not taken", len);
}

/* One buffer of a frame, which is given back. */
static uint32_t take_buffer(struct net *n, unsigned pair, int id, uint8_t *frame, uint32_t skip)
{
	struct net_buffers *b = &n->buffers[pair];
	struct ring *r = &n->rx[pair];
	uint8_t *at = b->at[id];
	uint32_t len = r->taken_len;
	bool one = r->buffer[id].n_desc == 1;
	struct piece p[] = { { at, one ? b->size : n->header_len },
			     { at + n->header_len, b->size - n->header_len } };

	check(len <= b->size, "used length %u of a buffer of %u", len, b->size);
	if (len >= skip)
		memcpy(frame, at + skip, len - skip);
	b->at[ring_add(r, p, 0, one ? 1 : 2)] = at;
	return len;
}

uint32_t net_receive(struct net *n, unsigned pair, void *frame, uint64_t wait)
{
	struct net_buffers *b = &n->buffers[pair];
	struct ring *r = &n->rx[pair];
	uint32_t total, len;
	int id;

	if (!WAIT_UNTIL((id = ring_take(r)) >= 0, wait))
		return 0;
	n->header = (struct net_header){ 0 };
	memcpy(&n->header, b->at[id], n->header_len);
	len = take_buffer(n, pair, id, frame, n->header_len);
	if (!check(len >= n->header_len + NET_ETHERNET, "a frame of %u bytes with its header", len))
		return 0;
	total = len - n->header_len;
	n->n_buffers = net_has(n, VIRTIO_NET_F_MRG_RXBUF) ? n->header.n_buffers : 1;
	check(n->n_buffers > 0, "a frame in no buffer");
	for (unsigned i = 1; i < n->n_buffers; i++) {
		check(len == b->size, "buffer %u of %u is not full: %u", i, n->n_buffers, len);
		/* All of them are visible when the first one is. */
		id = ring_take(r);
		if (!check(id >= 0, "buffer %u of %u comes later", i + 1, n->n_buffers))
			return 0;
		if (total + b->size > NET_MAX_FRAME + 4096)
			give_up("a frame without end");
		len = take_buffer(n, pair, id, (uint8_t *)frame + total, 0);
		total += len;
	}
	ring_publish(r);
	return total;
}

uint8_t net_control(struct net *n, unsigned command, const void *data, uint32_t len)
{
	static uint8_t head[2];
	static volatile uint8_t answer;
	struct piece p[3] = { { head, 2 } };
	unsigned n_out = 1;

	head[0] = (uint8_t)(command >> 8);
	head[1] = (uint8_t)command;
	answer = NET_CTRL_PENDING;
	if (len > 0)
		p[n_out++] = (struct piece){ (void *)data, len };
	p[n_out] = (struct piece){ (void *)&answer, 1 };
	ring_add(&n->control, p, n_out, 1);
	ring_publish(&n->control);
	ring_wait(&n->control);
	return answer;
}

void net_address(const struct net *n, uint8_t *frame, uint16_t type)
{
	memcpy(frame, "\x02peer!", NET_ADDRESS);
	memcpy(frame + NET_ADDRESS, n->mac, NET_ADDRESS);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
}

bool net_is_answer(const uint8_t *frame, uint32_t len)
{
	return len >= REQUEST_NUMBERS + 12 && frame[12] == NET_TYPE_REQUEST >> 8 &&
	       frame[13] == (NET_TYPE_REQUEST & 0xff) && (frame[REQUEST_OP] & PEER_ANSWER);
}

void net_tell(struct net *n, enum net_request op, const uint32_t number[3])
{
	static uint8_t frame[REQUEST_LEN];

	memset(frame, 0, sizeof(frame));
	net_address(n, frame, NET_TYPE_REQUEST);
	frame[REQUEST_OP] = (uint8_t)op;
	memcpy(frame + REQUEST_NUMBERS, number, 12);
	net_send(n, 0, NULL, frame, sizeof(frame));
}

bool net_ask(struct net *n, enum net_request op, uint32_t number[3])
{
	static uint8_t frame[NET_MAX_FRAME + 8192];

	net_tell(n, op, number);
	for (;;) {
		uint32_t len = net_receive(n, 0, frame, WAIT_LONG);

		if (!check(len > 0, "the peer does not answer"))
			return false;
		if (net_is_answer(frame, len) && frame[REQUEST_OP] == (PEER_ANSWER | op)) {
			memcpy(number, frame + REQUEST_NUMBERS, 12);
			return true;
		}
	}
}
