/*
 * A whole network device (control queue, two pairs on one loop, a scripted peer) that gets commands
 * in any framing.  A model of what the driver set up tells each answer; frames that arrive then
 * must go where the model says, with the hash that a second implementation computes bit by bit; and
 * nothing is written but the answer.  The device lives on over inputs and is reset for each.
 */
#include <string.h>

#include "devices/net_impl.h"
#include "devices/virtio_models.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/device_rig.h"
#include "tests/support/fake_peer.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"

enum {
	PAIRS = 2, QUEUES = 2 * PAIRS, SIZE = 32, RINGS = 0x10000, BUFFERS = 0x40000,
	BUFFER = 256, N_BUFFERS = 8, OUT = 0x60000, OUT_SIZE = 4096, IN = 0x62000, IN_SIZE = 64,
	MAX_PIECES = 12, MAX_STEPS = 60, FRAME = 64, MACS = 80,
};

/* What the driver set up, in the plainest form. */
struct model {
	struct features accepted;
	bool mode[6];
	uint8_t own[6];
	uint8_t mac[2 * MACS][6];
	unsigned n_macs;
	unsigned n_uni, n_multi;	/* of those, by group bit */
	bool all_uni, all_multi;
	bool vlan[4096];
	unsigned n_pairs;
	uint64_t offloads;
	uint32_t hash_types;
	uint8_t key[40];
	bool steers;
	uint16_t table[128], mask, unclassified;
	uint32_t coalesce[QUEUES][2], fallback[2][2];	/* by direction: rx, tx */
};

struct world {
	struct device_rig rig;
	struct fake_peer *peer;
	unsigned n_pairs, header_len;	/* of the session */
	uint8_t out[OUT_SIZE];
	size_t len;
	struct model m;
};

static struct world world;
static const uint8_t own[6] = { 0x52, 0x54, 0, 1, 2, 3 };

static bool has(const struct world *w, unsigned bit)
{
	return features_has(&w->m.accepted, bit);
}

/* --- the device ------------------------------------------------------------------------------ */

static void create(struct world *w)
{
	struct virtio_device *dev;
	struct virtio_net_config config = {
		.name = "net0", .n_pairs = PAIRS, .queue_size = SIZE, .link_up = true,
		.speed_mbit = UINT32_MAX, .duplex = 0xff, .vhost = VIRTIO_OFFLOAD_OFF,
		.loop = &w->rig.io, .n_loops = 1,
	};

	w->rig.machine = fake_machine_create();
	/* Nobody runs it: it is pumped here. */
	CHECK(event_loop_create(&w->rig.io, "io") == 0);
	w->peer = fake_peer_create((struct features){ { ~UINT64_C(0), ~UINT64_C(0) } }, PAIRS);
	memcpy(config.mac, own, 6);
	config.peer = &w->peer->base;
	CHECK(virtio_net_create(&dev, &config) == 0);
	device_rig_plug(&w->rig, dev, FAKE_MMIO);
}

/* The queue's loop takes the command, the main loop carries it out, the first gives it back. */
static void pump(struct world *w)
{
	loop_pump(w->rig.io);
	fake_machine_pump(w->rig.machine);
	loop_pump(w->rig.io);
}

static void add_buffer(struct world *w, unsigned pair, unsigned n)
{
	struct fake_ring *ring = &w->rig.ring[2 * pair];
	uint64_t at = BUFFERS + (pair * N_BUFFERS + n) * BUFFER;
	struct fake_buf buf = { at, BUFFER, true };

	/* Buffer n is always descriptor n. */
	fake_ring_chain(ring, ring->desc, SIZE, n, &buf, 1);
	fake_ring_offer(ring, (uint16_t)n);
	fake_ring_publish(ring);
	fake_driver_kick(&w->rig.driver, 2 * pair);
}

static const uint8_t optional[] = {
	VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_VLAN,
	VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_MQ, VIRTIO_NET_F_RSS,
	VIRTIO_NET_F_HASH_REPORT, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_NOTF_COAL,
	VIRTIO_NET_F_VQ_NOTF_COAL, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_USO4,
	VIRTIO_NET_F_MAC,
};

static const uint64_t guest_bits = UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM |
				   UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4 |
				   UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO6 |
				   UINT64_C(1) << VIRTIO_NET_F_GUEST_ECN |
				   UINT64_C(1) << VIRTIO_NET_F_GUEST_UFO |
				   UINT64_C(1) << VIRTIO_NET_F_GUEST_USO4 |
				   UINT64_C(1) << VIRTIO_NET_F_GUEST_USO6;

static void start(struct world *w, uint16_t refused)
{
	struct fake_driver *d = &w->rig.driver;
	struct features f;
	unsigned n;

	fake_driver_reset(d);
	f = fake_driver_offered(d);
	features_remove(&f, VIRTIO_F_RING_PACKED);
	features_remove(&f, VIRTIO_F_IN_ORDER);
	for (unsigned i = 0; i < ARRAY_SIZE(optional); i++)
		if (refused >> i & 1)
			features_remove(&f, optional[i]);
	CHECK(fake_driver_negotiate(d, f));
	memset(&w->m, 0, sizeof(w->m));
	w->m.accepted = f;
	memcpy(w->m.own, own, 6);
	w->m.n_pairs = 1;
	w->m.offloads = f.word[0] & guest_bits;
	w->n_pairs = has(w, VIRTIO_NET_F_MQ) || has(w, VIRTIO_NET_F_RSS) ? PAIRS : 1;
	w->header_len = has(w, VIRTIO_NET_F_HASH_REPORT) ? 20 : 12;
	n = 2 * w->n_pairs + 1;
	for (unsigned i = 0; i < n; i++) {
		fake_ring_init(&w->rig.ring[i], w->rig.machine, SIZE, RINGS + i * 0x4000u);
		fake_driver_set_queue(d, i, &w->rig.ring[i]);
		fake_driver_enable_queue(d, i);
	}
	fake_driver_set_status(d, 0xf);
	CHECK(fake_driver_status(d) == 0xf);
	for (unsigned i = 0; i < w->n_pairs * N_BUFFERS; i++)
		add_buffer(w, i / N_BUFFERS, i % N_BUFFERS);
	pump(w);
}

/* --- the model ------------------------------------------------------------------------------- */

static bool model_tables(struct world *w, const uint8_t *b, size_t len)
{
	struct model *m = &w->m;
	size_t at = 0;
	uint32_t n[2];
	const uint8_t *list[2];

	for (unsigned i = 0; i < 2; i++) {
		if (len - at < 4)
			return false;
		n[i] = load_le32(b + at);
		at += 4;
		if (n[i] > (len - at) / 6)
			return false;
		list[i] = b + at;
		at += n[i] * 6u;
	}
	if (at != len)
		return false;
	m->all_uni = n[0] > 64;
	m->all_multi = n[1] > 64;
	m->n_macs = 0;
	m->n_uni = m->n_multi = 0;
	for (unsigned i = 0; i < 2; i++)
		for (uint32_t k = 0; k < n[i] && n[i] <= 64; k++) {
			const uint8_t *mac = list[i] + k * 6u;
			unsigned *count = mac[0] & 1 ? &m->n_multi : &m->n_uni;

			if (++*count > 64)
				*(mac[0] & 1 ? &m->all_multi : &m->all_uni) = true;
			memcpy(m->mac[m->n_macs++], mac, 6);
		}
	return true;
}

static bool model_key(struct model *m, const uint8_t *b, size_t at, size_t len)
{
	if (at >= len || b[at] > 40 || at + 1 + b[at] != len)
		return false;
	memset(m->key, 0, 40);
	memcpy(m->key, b + at + 1, b[at]);
	return true;
}

static bool model_rss(struct world *w, const uint8_t *b, size_t len)
{
	struct model m = w->m;
	unsigned n = PAIRS;

	if (len < 8 || load_le32(b) > 0x1ff || load_le16(b + 4) > 127)
		return false;
	m.hash_types = load_le32(b);
	m.mask = load_le16(b + 4);
	m.unclassified = load_le16(b + 6);
	n = m.mask + 1u;
	if (n & (n - 1) || len < 8 + 2 * n + 3 || m.unclassified >= PAIRS)
		return false;
	m.n_pairs = load_le16(b + 8 + 2 * n);
	if (m.n_pairs < 1 || m.n_pairs > PAIRS)
		return false;
	for (unsigned i = 0; i < n; i++) {
		m.table[i] = load_le16(b + 8 + 2 * i);
		if (m.table[i] >= PAIRS)
			return false;
		if (m.table[i] >= m.n_pairs)
			m.n_pairs = m.table[i] + 1u;
	}
	if (m.unclassified >= m.n_pairs)
		m.n_pairs = m.unclassified + 1u;
	m.steers = true;
	if (!model_key(&m, b, 8 + 2 * n + 2, len))
		return false;
	w->m = m;
	return true;
}

static bool model_hash(struct world *w, const uint8_t *b, size_t len)
{
	struct model m = w->m;

	if (len < 13 || load_le32(b) > 0x1ff || !model_key(&m, b, 12, len))
		return false;
	m.hash_types = load_le32(b);
	m.steers = false;
	w->m = m;
	return true;
}

static bool model_offloads(struct world *w, uint64_t mask)
{
	const uint64_t tso = UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO6;
	const uint64_t light = UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM |
			       UINT64_C(1) << VIRTIO_NET_F_GUEST_ECN;

	if (mask & ~(w->m.accepted.word[0] & guest_bits))
		return false;
	if (!(mask & UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM) && mask & ~light)
		return false;
	if (!(mask & tso))
		mask &= ~(UINT64_C(1) << VIRTIO_NET_F_GUEST_ECN);
	w->m.offloads = mask;
	return true;
}

static bool model_coalesce(struct world *w, uint8_t command, const uint8_t *b, size_t len,
			   size_t in_len)
{
	struct model *m = &w->m;

	if (command < 2) {
		unsigned direction = command == 0;	/* TX_SET, RX_SET */

		if (!has(w, VIRTIO_NET_F_NOTF_COAL) || len != 8)
			return false;
		for (unsigned q = direction; q < 2 * w->n_pairs; q += 2)
			for (unsigned i = 0; i < 2; i++)
				m->coalesce[q][i] = load_le32(b + 4 * i);
		return true;
	}
	if (!has(w, VIRTIO_NET_F_VQ_NOTF_COAL) || command > 3 || len != (command == 2 ? 12 : 4) ||
	    load_le16(b) >= 2 * w->n_pairs || (command == 3 && in_len < 9))
		return false;
	for (unsigned i = 0; i < 2 && command == 2; i++)
		m->coalesce[load_le16(b)][i] = load_le32(b + 4 + 4 * i);
	return true;
}

static bool model_filter(struct world *w, uint8_t class, uint8_t command, const uint8_t *b,
			 size_t len)
{
	struct model *m = &w->m;

	switch (class << 8 | command) {
	case 0x000: case 0x001: case 0x002: case 0x003: case 0x004: case 0x005:
		if (!has(w, command < 2 ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA) ||
		    len != 1 || b[0] > 1)
			return false;
		m->mode[command] = b[0];
		return true;
	case 0x100:
		return has(w, VIRTIO_NET_F_CTRL_RX) && model_tables(w, b, len);
	case 0x101:
		if (!has(w, VIRTIO_NET_F_CTRL_MAC_ADDR) || len != 6 || b[0] & 1)
			return false;
		memcpy(m->own, b, 6);
		/* Known from now on. */
		features_add(&m->accepted, 127);
		return true;
	case 0x200: case 0x201:
		if (!has(w, VIRTIO_NET_F_CTRL_VLAN) || len != 2 || load_le16(b) > 4095)
			return false;
		m->vlan[load_le16(b)] = command == 0;
		return true;
	}
	return false;
}

/* What the answer must be; the model does what the command says. */
static bool model_run(struct world *w, const uint8_t *b, size_t len, size_t in_len)
{
	if (len < 2)
		return false;
	uint8_t class = b[0], command = b[1];

	b += 2;
	len -= 2;
	switch (class << 8 | command) {
	case 0x300:
		return has(w, VIRTIO_NET_F_GUEST_ANNOUNCE) && len == 0;
	case 0x400:
		if (!has(w, VIRTIO_NET_F_MQ) || len != 2 || load_le16(b) < 1 ||
		    load_le16(b) > w->n_pairs)
			return false;
		w->m.n_pairs = load_le16(b);
		w->m.steers = false;
		return true;
	case 0x401:
		return has(w, VIRTIO_NET_F_RSS) && model_rss(w, b, len);
	case 0x402:
		return has(w, VIRTIO_NET_F_HASH_REPORT) && model_hash(w, b, len);
	case 0x500:
		return has(w, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) && len == 8 &&
		       model_offloads(w, load_le64(b));
	default:
		if (class == 6)
			return model_coalesce(w, command, b, len, in_len);
		return model_filter(w, class, command, b, len);
	}
}

static bool model_passes(const struct world *w, const uint8_t *frame)
{
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
	const struct model *m = &w->m;
	bool listed = false;

	if (m->mode[0])
		return true;
	if (has(w, VIRTIO_NET_F_CTRL_VLAN) && frame[12] == 0x81 && frame[13] == 0 &&
	    !m->vlan[(frame[14] & 15) << 8 | frame[15]])
		return false;
	if (!has(w, VIRTIO_NET_F_CTRL_RX))
		return true;
	for (unsigned i = 0; i < m->n_macs; i++)
		listed |= memcmp(m->mac[i], frame, 6) == 0;
	if (memcmp(frame, broadcast, 6) == 0)
		return !m->mode[5];
	if (frame[0] & 1)
		return !m->mode[3] && (m->mode[1] || m->all_multi || listed);
	return !m->mode[4] && (m->mode[2] || m->all_uni || listed ||
			       memcmp(frame, m->own, 6) == 0 ||
			       (!has(w, VIRTIO_NET_F_MAC) && !has(w, 127)));
}

/* By the definition: for each bit that is set the 32 bits of the key that begin there. */
static uint32_t toeplitz(const uint8_t key[40], const uint8_t *data, unsigned len)
{
	uint32_t hash = 0;

	for (unsigned bit = 0; bit < len * 8; bit++) {
		if (!(data[bit / 8] & 0x80 >> bit % 8))
			continue;
		for (unsigned i = 0; i < 32; i++)
			hash ^= (uint32_t)(key[(bit + i) / 8] >> (7 - (bit + i) % 8) & 1)
				<< (31 - i);
	}
	return hash;
}

/* For frames as 'fill_frame' makes them: IPv4, perhaps behind a tag, TCP, UDP or something else. */
static struct net_hash model_hash_of(const struct model *m, const uint8_t *frame)
{
	struct net_hash hash = { 0, NET_HASH_NONE };
	const uint8_t *ip = frame + (frame[12] == 0x81 ? 18 : 14);

	if (ip[-2] != 8 || ip[-1] != 0)
		return hash;
	if (ip[9] == 6 && m->hash_types & 2)
		hash.report = NET_HASH_TCPV4;
	else if (ip[9] == 17 && m->hash_types & 4)
		hash.report = NET_HASH_UDPV4;
	else if (m->hash_types & 1)
		hash.report = NET_HASH_IPV4;
	else
		return hash;
	hash.value = toeplitz(m->key, ip + 12, hash.report == NET_HASH_IPV4 ? 8 : 12);
	return hash;
}

/* --- commands -------------------------------------------------------------------------------- */

static void check_state(struct world *w)
{
	struct fake_driver *d = &w->rig.driver;

	CHECK(w->peer->n_active == w->m.n_pairs);
	CHECK((w->peer->offloads.word[0] & guest_bits) == w->m.offloads);
	CHECK(fake_driver_status(d) == 0xf);
	for (unsigned i = 0; i < 6 && has(w, VIRTIO_NET_F_MAC); i++)
		CHECK(fake_driver_config(d, i, 1) == w->m.own[i]);
}

/* Cut 'len' bytes at 'at' into pieces as the input says. */
static unsigned cut(struct fake_buf *buf, struct fuzz_input *in, uint64_t at, size_t len,
		    bool write)
{
	unsigned n = 0;

	while (len > 0) {
		size_t piece = n + 1 < MAX_PIECES ? fuzz_u8(in) : len;

		if (piece == 0 || piece > len)
			piece = len;
		buf[n++] = (struct fake_buf){ at, (uint32_t)piece, write };
		at += piece;
		len -= piece;
	}
	return n;
}

/* Send w->out, and look at what comes back. */
static void send(struct world *w, struct fuzz_input *in)
{
	static const uint8_t in_lens[] = { 1, 1, 1, 9, 0, 2, 8, 10, 64 };
	struct fake_ring *ring = &w->rig.ring[2 * w->n_pairs];
	struct fake_buf buf[2 * MAX_PIECES];
	uint32_t in_len = in_lens[fuzz_u8(in) % ARRAY_SIZE(in_lens)], head, used, expected;
	uint8_t *out = device_rig_at(&w->rig, OUT, OUT_SIZE);
	uint8_t *answer = device_rig_at(&w->rig, IN, IN_SIZE);
	bool ok = false, is_get = w->len >= 2 && w->out[0] == 6 && w->out[1] == 3;
	unsigned n;

	memcpy(out, w->out, w->len);
	memset(answer, 0xee, IN_SIZE);
	n = cut(buf, in, OUT, w->len, false);
	n += cut(buf + n, in, IN, in_len, true);
	if (n == 0)
		return;
	if (in_len > 0)
		ok = model_run(w, w->out, w->len, in_len);
	fake_ring_chain(ring, ring->desc, SIZE, 0, buf, n);
	fake_ring_offer(ring, 0);
	fake_ring_publish(ring);
	fake_driver_kick(&w->rig.driver, 2 * w->n_pairs);
	pump(w);
	CHECK(fake_ring_reap(ring, &head, &used));
	expected = in_len == 0 ? 0 : ok && is_get ? 9 : 1;
	CHECK(used == expected);
	if (expected > 0)
		CHECK(answer[0] == !ok);
	for (unsigned i = 0; expected == 9 && i < 2; i++)
		CHECK(load_le32(answer + 1 + 4 * i) == w->m.coalesce[load_le16(w->out + 2)][i]);
	for (unsigned i = expected; i < IN_SIZE; i++)
		CHECK(answer[i] == 0xee);
	CHECK(memcmp(out, w->out, w->len) == 0);
	check_state(w);
}

static uint8_t *put(struct world *w, size_t len)
{
	uint8_t *p = w->out + w->len;

	memset(p, 0, len);
	w->len += len;
	return p;
}

static void any_mac(struct fuzz_input *in, uint8_t mac[6])
{
	uint8_t how = fuzz_u8(in);

	memset(mac, 0xff, 6);
	if (how >= 0xe0)
		return;
	memcpy(mac, own, 6);
	mac[0] ^= how >> 2 & 1;
	mac[5] ^= (uint8_t)(how & 0x43);
}

static void fill_tables(struct world *w, struct fuzz_input *in)
{
	for (unsigned i = 0; i < 2; i++) {
		uint8_t how = fuzz_u8(in);
		unsigned n = how & 0x80 ? 60 + how % 8 : how % 4;

		store_le32(put(w, 4), how == 0x7f ? fuzz_u32(in) : n);
		for (unsigned k = 0; k < n; k++) {
			uint8_t *mac = put(w, 6);

			any_mac(in, mac);
			if (how & 0x80)
				mac[4] = (uint8_t)k;
		}
	}
}

static void fill_key(struct world *w, struct fuzz_input *in)
{
	uint8_t n = fuzz_u8(in);
	uint8_t *p;

	n = n < 42 ? n : 40;
	p = put(w, 1u + n);
	p[0] = n;
	for (unsigned i = 0; i < n; i++)
		p[1 + i] = (uint8_t)(i * 29u + n);
	if (n > 1)
		p[1] = fuzz_u8(in);
}

static void fill_rss(struct world *w, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned n = how & 0x80 ? how & 0x7f : 1u << how % 8;
	uint8_t *p = put(w, 8);

	store_le32(p, fuzz_u16(in) & 0x3ff);
	store_le16(p + 4, (uint16_t)(how == 0xff ? fuzz_u16(in) : n - 1));
	store_le16(p + 6, fuzz_u8(in) % 5 / 2);
	for (unsigned i = 0; i < n; i++)
		store_le16(put(w, 2), i < 4 ? fuzz_u8(in) % 33 / 16 : i % 2);
	store_le16(put(w, 2), fuzz_u8(in) % 9 / 3);
	fill_key(w, in);
}

/* Mostly what makes sense; then perhaps too long, too short, or with another class. */
static void command(struct world *w, struct fuzz_input *in, uint8_t kind)
{
	uint8_t how = fuzz_u8(in), *head = w->out;

	w->len = 0;
	put(w, 2);
	head[0] = kind;
	head[1] = how & 7;
	switch (kind) {
	case 0:
		*put(w, 1) = how >> 3 & 1;
		break;
	case 1:
		head[1] = how & 1;
		if (head[1])
			any_mac(in, put(w, 6));
		else
			fill_tables(w, in);
		break;
	case 2:
		head[1] = how & 1;
		store_le16(put(w, 2), how & 0x80 ? fuzz_u16(in) : fuzz_u8(in) % 8);
		break;
	case 3:
		head[1] = 0;
		break;
	case 4:
		head[1] = how % 3;
		if (head[1] == 0)
			store_le16(put(w, 2), how & 0x80 ? fuzz_u16(in) : how >> 3 & 3);
		if (head[1] == 1)
			fill_rss(w, in);
		if (head[1] == 2) {
			store_le32(put(w, 12), fuzz_u16(in) & 0x3ff);
			fill_key(w, in);
		}
		break;
	case 5:
		head[1] = 0;
		store_le64(put(w, 8), how & 0x80 ? fuzz_u64(in) : fuzz_u64(in) & guest_bits);
		break;
	case 6:
		head[1] = how & 3;
		if (head[1] >= 2)
			store_le16(put(w, 4), fuzz_u8(in) % 6);
		if (head[1] < 3) {
			store_le32(put(w, 4), fuzz_u8(in));
			store_le32(put(w, 4), how & 0x80 ? fuzz_u32(in) : fuzz_u8(in));
		}
		break;
	}
	uint8_t wrong = fuzz_u8(in);
	if (wrong == 0xff)
		put(w, 1 + fuzz_u8(in));
	if (wrong == 0xfe)
		w->len -= min_u64(w->len, 1u + fuzz_u8(in) % 16);
	if (wrong == 0xfd)
		head[0] = fuzz_u8(in);
	send(w, in);
}

static void raw_command(struct world *w, struct fuzz_input *in)
{
	size_t len = fuzz_u8(in) % 64;

	w->len = 0;
	for (size_t i = 0; i < len; i++)
		*put(w, 1) = fuzz_u8(in);
	send(w, in);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void fill_frame(uint8_t frame[FRAME], struct fuzz_input *in)
{
	static const uint8_t protos[] = { 6, 17, 1 };
	uint8_t how = fuzz_u8(in), *ip = frame + 14;

	memset(frame, 0, FRAME);
	any_mac(in, frame);
	if (how & 1) {
		frame[12] = 0x81;
		frame[14] = how & 0xe0;
		frame[15] = fuzz_u8(in) % 8;
		ip += 4;
	}
	ip[-2] = how & 2 ? 0x09 : 0x08;
	ip[0] = 0x45;
	ip[9] = protos[(how >> 2) % 3];
	for (unsigned i = 12; i < 24; i += 3)
		ip[i] = fuzz_u8(in);
}

/* Returns the pair that got a frame, or -1. */
static int reap(struct world *w, const uint8_t *frame, struct net_hash *hash)
{
	int got = -1;
	uint32_t head, len;

	for (unsigned pair = 0; pair < w->n_pairs; pair++)
		while (fake_ring_reap(&w->rig.ring[2 * pair], &head, &len)) {
			const uint8_t *p;

			CHECK(got < 0 && head < N_BUFFERS && len == w->header_len + FRAME);
			p = device_rig_at(&w->rig, BUFFERS + (pair * N_BUFFERS + head) * BUFFER,
					  BUFFER);
			CHECK(memcmp(p + w->header_len, frame, FRAME) == 0);
			if (w->header_len == 20) {
				hash->value = load_le32(p + 12);
				hash->report = load_le16(p + 16);
			}
			got = (int)pair;
			add_buffer(w, pair, head);
		}
	return got;
}

static void frame_arrives(struct world *w, struct fuzz_input *in)
{
	unsigned at = fuzz_u8(in) % w->n_pairs;
	struct net_hash hash, seen;
	uint8_t frame[FRAME];
	int expected = (int)at;

	fill_frame(frame, in);
	hash = model_hash_of(&w->m, frame);
	if (at >= w->m.n_pairs || !model_passes(w, frame))
		expected = -1;
	else if (w->m.steers)
		expected = hash.report == NET_HASH_NONE ? w->m.unclassified
							: w->m.table[hash.value & w->m.mask];
	seen = hash;
	/* The pair's loop has looked at it then; another pair's has not. */
	fake_peer_inject(w->peer, at, frame, FRAME);
	if (w->m.steers)
		loop_pump(w->rig.io);
	CHECK(reap(w, frame, &seen) == expected);
	CHECK(seen.value == hash.value && seen.report == hash.report);
}

static void step(struct world *w, struct fuzz_input *in)
{
	uint8_t op = fuzz_u8(in) % 16;

	switch (op) {
	case 0: case 1: case 2: case 3: case 4: case 5: case 6:
		command(w, in, op);
		break;
	case 7:
		raw_command(w, in);
		break;
	case 8: case 9: case 10: case 11: case 12:
		frame_arrives(w, in);
		break;
	case 13:
		start(w, fuzz_u16(in));
		break;
	default:
		command(w, in, op == 14 ? 0 : 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };

	log_set_level(LOG_ERROR);
	if (!world.rig.machine)
		create(&world);
	start(&world, fuzz_u16(&in));
	for (unsigned i = 0; i < MAX_STEPS && in.len > 0; i++)
		step(&world, &in);
	error_clear();
	return 0;
}
