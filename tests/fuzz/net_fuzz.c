/*
 * A whole network device with a scripted peer, both of which do anything: chains and headers of all
 * kinds, commands, frames that arrive with headers of all kinds, resets in between.  What the
 * driver sends in a plain way arrives at the peer, whole and in order; what arrives at the driver is
 * what the peer gave, whole and in order; whatever happens, each chain comes back once or the device
 * needs reset, and no byte of guest memory changes that was not given to be written.
 */
#include <string.h>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/loop_pump.h"
#include "tests/support/net_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"

enum {
	RX, TX, CTRL, QUEUES,
	SIZE = 32, RING = 0x10000, RING_BYTES = 0x1000, MAX_STEPS = 60, MAX_DESCS = 6,
	AREA = 0x20000, AREA_SIZE = 0x4000,		/* wild chains and commands */
	SEND = 0x28000, SEND_SIZE = 0x4000,		/* plain frames, one after the other */
	BUFFERS = 0x40000, BUFFER_SIZE = 2048,		/* of the receive queue, by descriptor */
	GUARD = 0x60000, GUARD_SIZE = 0x1000,
	MAX_GIVEN = 256, MAX_FRAME = 9000,
};

/* A frame that is on its way: its bytes follow from these. */
struct told {
	uint16_t len;
	uint8_t seed;
};

struct net_world {
	struct device_rig rig;
	struct virtio_device *dev;
	struct fake_peer *peer;
	struct features accepted;
	bool link_up;
	unsigned n_out[QUEUES];
	bool is_out[QUEUES][SIZE];
	uint32_t in_len[QUEUES][SIZE];
	uint16_t next_desc[QUEUES];
	struct told given[MAX_GIVEN], sent[MAX_GIVEN];
	unsigned n_given, n_received, n_sent, n_arrived;
	bool may_drop;			/* something happened for which frames may be lost */
	uint8_t frame[70000];		/* that is put together of buffers */
	size_t have;
	unsigned n_missing;		/* buffers of it */
	uint8_t before[AREA_SIZE], may_change[AREA_SIZE];
};

static struct net_world world;

static void *at(struct net_world *w, uint64_t gpa, uint64_t len)
{
	return device_rig_at(&w->rig, gpa, len);
}

static void create(struct net_world *w)
{
	struct features offloads = { { 0xffffff, 0 } };
	struct virtio_net_config config = {
		.name = "net0",
		.n_pairs = 1,
		.queue_size = SIZE,
		.link_up = true,
		.speed_mbit = 1000,
		.duplex = 1,
		.n_loops = 1,
	};

	w->rig.machine = fake_machine_create();
	/* Nobody runs it: it is pumped here. */
	CHECK(event_loop_create(&w->rig.io, "io") == 0);
	w->peer = fake_peer_create(offloads, 1);
	w->peer->has_holes = true;
	config.peer = &w->peer->base;
	config.loop = &w->rig.io;
	memcpy(config.mac, net_rig_mac, sizeof(config.mac));
	CHECK(virtio_net_create(&w->dev, &config) == 0);
	device_rig_plug(&w->rig, w->dev, FAKE_MMIO);
	w->link_up = true;
}

static bool needs_reset(struct net_world *w)
{
	return fake_driver_status(&w->rig.driver) & VIRTIO_STATUS_NEEDS_RESET;
}

static void forget_frames(struct net_world *w)
{
	struct net_header h;

	struct fake_frames *arriving = &w->peer->arriving[0];

	while (fake_peer_n_sent(w->peer, 0) > 0)
		fake_peer_take(w->peer, 0, &h, w->frame, sizeof(w->frame));
	while (arriving->tail != arriving->head)
		free(arriving->frame[arriving->tail++ % FAKE_PEER_FRAMES].bytes);
	w->n_given = w->n_received = w->n_sent = w->n_arrived = 0;
	w->have = 0;
	w->n_missing = 0;
	w->may_drop = false;
}

/* A session: without what 'refused' names, on split rings, which is what the model reads. */
static void start(struct net_world *w, uint64_t refused)
{
	struct fake_driver *d = &w->rig.driver;
	struct features f = fake_driver_offered(d), less;
	uint8_t bit, needs;

	features_remove(&f, VIRTIO_F_RING_PACKED);
	less = f;
	less.word[0] &= ~(refused & 0xffffff);
	less.word[0] &= ~(refused >> 24 << 52);
	features_add(&less, VIRTIO_NET_F_CTRL_VQ);
	if (!features_find_unmet(&less, VIRTIO_ID_NET, &bit, &needs))
		f = less;
	forget_frames(w);
	CHECK(fake_driver_negotiate(d, f));
	w->accepted = f;
	for (unsigned i = 0; i < QUEUES; i++) {
		fake_ring_init(&w->rig.ring[i], w->rig.machine, SIZE, RING + i * RING_BYTES);
		fake_driver_set_queue(d, i, &w->rig.ring[i]);
		fake_driver_enable_queue(d, i);
		w->n_out[i] = 0;
		w->next_desc[i] = 0;
		memset(w->is_out[i], 0, sizeof(w->is_out[i]));
	}
	fake_driver_set_status(d, 0xf);
	CHECK(fake_driver_status(d) == 0xf);
	memset(w->may_change, 0, sizeof(w->may_change));
	memset(at(w, GUARD, GUARD_SIZE), 0x77, GUARD_SIZE);
	memcpy(w->before, at(w, AREA, AREA_SIZE), AREA_SIZE);
}

static void fill(uint8_t *p, struct told t)
{
	net_rig_fill(p, t.len, t.seed);
}

/* --- what came of it ------------------------------------------------------------------------- */

/* Is this the next of 'n' that were told, or, where some may be lost, one of the later ones? */
static void expect_frame(const struct net_world *w, const struct told *told, unsigned n,
			 unsigned *next, const uint8_t *bytes, size_t len)
{
	static uint8_t want[MAX_FRAME];

	for (; *next < n; ++*next) {
		if (told[*next].len == len) {
			fill(want, told[*next]);
			if (memcmp(want, bytes, len) == 0) {
				++*next;
				return;
			}
		}
		CHECK(w->may_drop);
	}
	CHECK(!"a frame that nobody sent");
}

static void take_received(struct net_world *w, uint32_t head, uint32_t len)
{
	unsigned header_len = net_header_len(w->accepted);
	uint64_t gpa = BUFFERS + (uint64_t)head * BUFFER_SIZE;

	if (len == 0) {
		CHECK(w->n_missing == 0);	/* one that was of no use */
		return;
	}
	if (w->n_missing == 0) {
		struct net_header h;

		CHECK(len > header_len);
		net_header_load(&h, at(w, gpa, header_len), header_len);
		CHECK(h.num_buffers > 0);
		w->n_missing = features_has(&w->accepted, VIRTIO_NET_F_MRG_RXBUF) ?
			h.num_buffers : 1;
		w->have = 0;
	}
	CHECK(w->n_missing == 1 || len == w->in_len[RX][head]);
	CHECK(w->have + len <= sizeof(w->frame));
	memcpy(w->frame + w->have, at(w, gpa, len), len);
	w->have += len;
	if (--w->n_missing == 0)
		expect_frame(w, w->given, w->n_given, &w->n_received, w->frame + header_len,
			     w->have - header_len);
}

static void reap(struct net_world *w)
{
	uint32_t head, len;

	for (unsigned q = 0; q < QUEUES; q++) {
		while (fake_ring_reap(&w->rig.ring[q], &head, &len)) {
			CHECK(head < SIZE && w->is_out[q][head]);
			CHECK(len <= w->in_len[q][head]);
			CHECK(q != TX || len == 0);
			w->is_out[q][head] = false;
			w->n_out[q]--;
			if (q == RX)
				take_received(w, head, len);
		}
	}
	/* All buffers of a frame are there when the first is. */
	CHECK(w->n_missing == 0);
}

/* What the peer got: plain frames are those that are addressed as we do it. */
static void take_sent(struct net_world *w)
{
	static uint8_t bytes[70000];
	struct net_header h;

	while (fake_peer_n_sent(w->peer, 0) > 0) {
		size_t len = fake_peer_take(w->peer, 0, &h, bytes, sizeof(bytes));

		CHECK(len >= 14);
		CHECK(h.gso_type == 0 || (h.flags & 1 && h.gso_size > 0));
		CHECK(!(h.flags & 1) || (size_t)h.csum_start + h.csum_offset + 2 <= len);
		if (memcmp(bytes, net_rig_mac, sizeof(net_rig_mac)) == 0)
			expect_frame(w, w->sent, w->n_sent, &w->n_arrived, bytes, len);
	}
}

static void check_memory(struct net_world *w)
{
	const uint8_t *p = at(w, AREA, AREA_SIZE), *guard = at(w, GUARD, GUARD_SIZE);

	for (unsigned i = 0; i < AREA_SIZE; i++)
		CHECK(w->may_change[i] || p[i] == w->before[i]);
	for (unsigned i = 0; i < GUARD_SIZE; i++)
		CHECK(guard[i] == 0x77);
}

static void pump(struct net_world *w)
{
	for (unsigned i = 0; i < 4; i++) {
		loop_pump(w->rig.io);
		fake_machine_pump(w->rig.machine);
	}
	reap(w);
	take_sent(w);
}

/* --- what they do ---------------------------------------------------------------------------- */

/* Publish the chain of 'n' at the next place. */
static void offer(struct net_world *w, unsigned q, const struct fake_buf *buf, unsigned n)
{
	struct fake_ring *ring = &w->rig.ring[q];
	uint16_t head = w->next_desc[q];
	uint64_t in_len = 0;

	for (unsigned i = 0; i < n; i++)
		in_len += buf[i].write ? buf[i].len : 0;
	fake_ring_chain(ring, ring->desc, SIZE, head, buf, n);
	fake_ring_offer(ring, head);
	fake_ring_publish(ring);
	w->in_len[q][head] = (uint32_t)in_len;
	w->is_out[q][head] = true;
	w->n_out[q]++;
	/* Each chain has a place of its own. */
	w->next_desc[q] = (uint16_t)((head + (q == RX ? 1 : MAX_DESCS)) %
				     (q == RX ? SIZE : SIZE - SIZE % MAX_DESCS));
}

static bool has_place(const struct net_world *w, unsigned q)
{
	return !w->is_out[q][w->next_desc[q]];
}

static void add_buffers(struct net_world *w, struct fuzz_input *in)
{
	uint8_t n = fuzz_u8(in) % SIZE + 1, how = fuzz_u8(in);

	for (; n > 0 && has_place(w, RX); n--) {
		uint64_t gpa = BUFFERS + (uint64_t)w->next_desc[RX] * BUFFER_SIZE;
		uint32_t len = how & 1 ? BUFFER_SIZE : how * 8u + 1;

		offer(w, RX, &(struct fake_buf){ gpa, len, how != 0xfe }, 1);
	}
	fake_driver_kick(&w->rig.driver, RX);
}

static void give_frame(struct net_world *w, struct fuzz_input *in)
{
	uint8_t n = fuzz_u8(in) % 40, how = fuzz_u8(in);
	struct net_header h = { 0 };
	static uint8_t bytes[MAX_FRAME];

	/* What does not fit into what the driver offers, or the driver did not ask for, is lost. */
	if (how & 0x80) {
		h = (struct net_header){ .flags = fuzz_u8(in), .gso_type = fuzz_u8(in),
					 .gso_size = fuzz_u16(in), .csum_start = fuzz_u16(in),
					 .csum_offset = fuzz_u8(in), .hdr_len = fuzz_u16(in) };
	}
	w->may_drop = true;
	for (; n > 0 && w->n_given < MAX_GIVEN; n--) {
		struct told t = { (uint16_t)((how & 0x7f) * 70 + n), (uint8_t)w->n_given };

		if (t.len >= 64)
			w->given[w->n_given++] = t;
		fill(bytes, t);
		fake_peer_give(w->peer, 0, &h, bytes, t.len < 64 ? t.len % 14 : t.len);
	}
}

static void send_plain(struct net_world *w, struct fuzz_input *in)
{
	unsigned header_len = net_header_len(w->accepted);
	uint16_t len = 64 + fuzz_u16(in) % 1450;
	uint32_t cut = fuzz_u8(in), slot = w->next_desc[TX] / MAX_DESCS;
	uint64_t gpa = SEND + (uint64_t)slot * 2048;
	struct told t = { len, (uint8_t)w->n_sent };

	if (!has_place(w, TX) || w->n_sent == MAX_GIVEN)
		return;
	memset(at(w, gpa, header_len), 0, header_len);
	fill(at(w, gpa + header_len, len), t);
	offer(w, TX, (struct fake_buf[]){
		{ gpa, cut, false }, { gpa + cut, header_len + len - (uint32_t)cut, false },
	}, 2);
	if (w->link_up)
		w->sent[w->n_sent++] = t;
	fake_driver_kick(&w->rig.driver, TX);
}

/* A chain of anything on any queue but the one to receive, which the model reads. */
static void wild_chain(struct net_world *w, struct fuzz_input *in, unsigned q)
{
	struct fake_buf buf[MAX_DESCS];
	unsigned n = fuzz_u8(in) % MAX_DESCS + 1;
	uint32_t place = (fuzz_u8(in) & 0x3f) * 64;
	uint8_t *p = at(w, AREA + place, 64);

	if (!has_place(w, q))
		return;
	for (unsigned i = 0; i < 32; i++) {
		p[i] = fuzz_u8(in);
		w->before[place + i] = p[i];
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t kind = fuzz_u8(in);
		uint64_t gpa = AREA + (i == 0 ? place : fuzz_u16(in) % (AREA_SIZE - 0x1000));
		uint32_t len = kind & 0x20 ? (kind & 7) * 512u : kind & 31;
		bool write = kind & 0x80;

		if (kind == 0x7f)
			gpa = fuzz_u64(in) | 1ull << 50;
		buf[i] = (struct fake_buf){ gpa, len, write };
		if (write && gpa < AREA + AREA_SIZE)
			memset(w->may_change + (gpa - AREA), 1,
			       min_u64(len, AREA + AREA_SIZE - gpa));
	}
	/* It may be a command after which frames are not wanted any more. */
	w->may_drop = true;
	offer(w, q, buf, n);
	fake_driver_kick(&w->rig.driver, q);
}

/* One that is well-formed, so that it gets further. */
static void command(struct net_world *w, struct fuzz_input *in)
{
	uint8_t class = fuzz_u8(in) % 7, cmd = fuzz_u8(in) % 6, len = fuzz_u8(in);
	uint8_t *p = at(w, AREA, 0x200);

	if (!has_place(w, CTRL))
		return;
	p[0] = class;
	p[1] = cmd;
	for (unsigned i = 0; i < len; i++)
		p[2 + i] = i < 16 ? fuzz_u8(in) : (uint8_t)i;
	memcpy(w->before, p, 0x200);
	w->may_change[0x1ff] = 1;
	w->may_drop = true;
	offer(w, CTRL, (struct fake_buf[]){ { AREA, 2u + len, false }, { AREA + 0x1ff, 1, true } },
	      2);
	fake_driver_kick(&w->rig.driver, CTRL);
	pump(w);
}

static void set_link(struct net_world *w, bool up)
{
	pump(w);
	virtio_net_set_link(w->dev, up);
	w->link_up = up;
	w->may_drop = true;
	pump(w);
}

static void restart(struct net_world *w, uint64_t refused)
{
	fake_driver_reset(&w->rig.driver);
	check_memory(w);
	start(w, refused);
}

static void step(struct net_world *w, struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 12) {
	case 0: case 1:
		add_buffers(w, in);
		break;
	case 2: case 3:
		give_frame(w, in);
		break;
	case 4: case 5:
		send_plain(w, in);
		break;
	case 6:
		wild_chain(w, in, TX);
		break;
	case 7:
		wild_chain(w, in, CTRL);
		break;
	case 8:
		command(w, in);
		break;
	case 9:
		pump(w);
		break;
	case 10:
		if (fuzz_u8(in) & 1)
			restart(w, fuzz_u64(in));
		else
			fake_driver_set_config(&w->rig.driver, fuzz_u8(in) % 32,
					       fuzz_width(fuzz_u8(in)), fuzz_u64(in));
		break;
	case 11:
		set_link(w, fuzz_u8(in) & 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	struct net_world *w = &world;

	log_set_level(LOG_ERROR);
	if (!w->rig.machine)
		create(w);
	start(w, fuzz_u64(&in));
	for (unsigned i = 0; i < MAX_STEPS && in.len > 0; i++) {
		if (needs_reset(w))
			restart(w, 0);
		step(w, &in);
	}
	pump(w);
	/* Nothing that was sent in a plain way is lost unless there was a reason. */
	if (!needs_reset(w)) {
		CHECK(w->n_out[TX] == 0 && w->n_out[CTRL] == 0);
		CHECK(w->may_drop || w->n_arrived == w->n_sent);
	}
	check_memory(w);
	set_link(w, true);
	fake_driver_reset(&w->rig.driver);
	error_clear();
	return 0;
}
