/*
 * The way of a frame as tests/bench/path counts it: 1514 bytes, one at a time, through the whole of a
 * network device behind virtio-pci in a machine without KVM, all on one thread.  Sent: from kick to
 * call; received: from the peer's word that there is one to the call.  The peer is a scripted one: what
 * a tap does is the kernel's.  The driver wants each interrupt, and takes what Linux takes.
 *
 *   net_path CASE FRAMES     CASE: send-split, send-packed, receive-split, receive-packed
 *
 * The counting begins at measured().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net_header.h"
#include "devices/net_peer.h"
#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/cycles.h"
#include "vmm/base/error.h"

enum {
	SIZE = 64, AHEAD = 16,
	FRAME = 1514, HEADER = 12, ROOM = 2048,
	RX = 0, TX = 1,
	RING = 0x10000, RING_STEP = 0x8000, DATA = 0x40000,
};

struct path {
	const char *name;
	bool packed, receives;
};

static const struct path paths[] = {
	{ "send-split", false, false },
	{ "send-packed", true, false },
	{ "receive-split", false, true },
	{ "receive-packed", true, true },
};

static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
static struct device_rig rig;

/* --- the peer: has one frame to give at a time, and keeps the last that it was sent ------------ */

static struct net_peer_start started;
static struct event_post arrival;
static uint8_t wire[HEADER + FRAME], sent[HEADER + FRAME];
static bool has_frame;
static size_t n_sent;

static void arrive(struct event_post *post)
{
	(void)post;
	started.readable(started.arg, 0);
}

static int peer_start(struct net_peer *peer, const struct net_peer_start *start)
{
	(void)peer;
	started = *start;
	return 0;
}

static void peer_stop(struct net_peer *peer)
{
	(void)peer;
}

static int peer_set_offloads(struct net_peer *peer, struct features features)
{
	(void)peer;
	(void)features;
	return 0;
}

static int peer_set_pairs(struct net_peer *peer, unsigned n)
{
	(void)peer;
	(void)n;
	return 0;
}

static int peer_send(struct net_peer *peer, unsigned pair, const struct iovec *iov, unsigned n)
{
	(void)peer;
	(void)pair;
	n_sent = 0;
	for (unsigned i = 0; i < n && n_sent + iov[i].iov_len <= sizeof(sent); i++) {
		memcpy(sent + n_sent, iov[i].iov_base, iov[i].iov_len);
		n_sent += iov[i].iov_len;
	}
	return 0;
}

static ssize_t peer_receive(struct net_peer *peer, unsigned pair, const struct iovec *iov,
			    unsigned n)
{
	size_t at = 0;

	(void)peer;
	(void)pair;
	if (!has_frame)
		return 0;
	has_frame = false;
	for (unsigned i = 0; i < n && at < sizeof(wire); i++) {
		size_t left = sizeof(wire) - at, part = iov[i].iov_len < left ? iov[i].iov_len : left;

		memcpy(iov[i].iov_base, wire + at, part);
		at += part;
	}
	return (ssize_t)at;
}

static void peer_destroy(struct net_peer *peer)
{
	(void)peer;
}

static const struct net_peer_ops peer_ops = {
	.start = peer_start,
	.stop = peer_stop,
	.set_offloads = peer_set_offloads,
	.set_pairs = peer_set_pairs,
	.send = peer_send,
	.receive = peer_receive,
	.destroy = peer_destroy,
};
static struct net_peer peer = { .ops = &peer_ops, .n_pairs_max = 1, .describe = "a script" };

/* --- the driver ------------------------------------------------------------------------------ */

static void plug(const struct path *path)
{
	static const uint8_t offloads[] = {
		VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
		VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
	};
	struct features on = FEATURES_EMPTY;
	struct virtio_device *dev;
	struct virtio_net_config config = {
		.name = "net0",
		.peer = &peer,
		.n_pairs = 1,
		.queue_size = SIZE,
		.link_up = true,
		.loop = &rig.io,
		.n_loops = 1,
	};

	memcpy(config.mac, mac, sizeof(mac));
	for (unsigned i = 0; i < ARRAY_SIZE(offloads); i++)
		features_add(&peer.offloads, offloads[i]);
	if (path->packed)
		features_add(&on, VIRTIO_F_RING_PACKED);
	if (virtio_net_create(&dev, &config) < 0) {
		fprintf(stderr, "net_path: %s\n", error_text());
		exit(1);
	}
	virtio_device_want_features(dev, on, FEATURES_EMPTY);
	device_rig_plug(&rig, dev, FAKE_PCI);
}

/* Received frames find some room, as drivers see to. */
static void offer(const struct path *path)
{
	unsigned queue = path->receives ? RX : TX;
	const struct fake_buf buf = { DATA, path->receives ? ROOM : HEADER + FRAME,
				      path->receives };

	fake_ring_add(&rig.ring[queue], &buf, 1);
	if (fake_ring_must_kick(&rig.ring[queue]))
		fake_driver_kick(&rig.driver, queue);
}

static void start(const struct path *path)
{
	static const uint8_t unknown[] = {
		VIRTIO_F_IN_ORDER, VIRTIO_NET_F_HASH_REPORT, VIRTIO_NET_F_RSS,
		VIRTIO_NET_F_NOTF_COAL, VIRTIO_NET_F_VQ_NOTF_COAL,
	};
	struct fake_driver *d = &rig.driver;
	struct features f = fake_driver_offered(d);

	for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
		features_remove(&f, unknown[i]);
	if (!fake_driver_negotiate(d, f) || net_header_len(f) != HEADER) {
		fprintf(stderr, "net_path: the device refuses what it offers\n");
		exit(1);
	}
	for (unsigned i = RX; i <= TX; i++) {
		fake_ring_init_as(&rig.ring[i], path->packed ? FAKE_PACKED : FAKE_SPLIT,
				  rig.machine, SIZE, RING + i * RING_STEP);
		rig.ring[i].event_idx = true;
		fake_driver_set_queue(d, i, &rig.ring[i]);
		fake_driver_enable_queue(d, i);
	}
	fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_DRIVER_OK);
	/* The look at what was there before. */
	loop_pump(rig.io);
	for (unsigned i = 0; i < AHEAD && path->receives; i++)
		offer(path);
	loop_pump(rig.io);
}

/* A frame and its answer, which must be there once the event was handled. */
static bool move_frame(const struct path *path, unsigned seed)
{
	struct fake_ring *ring = &rig.ring[path->receives ? RX : TX];
	uint8_t *data = device_rig_at(&rig, DATA, ROOM), *frame = path->receives ? wire : data;
	uint32_t id, len, want = path->receives ? HEADER + FRAME : 0;

	memset(data, 0, ROOM);
	memset(frame, 0, HEADER);
	memset(frame + HEADER, (int)(seed & 0xff), FRAME);
	memcpy(frame + HEADER, mac, sizeof(mac));
	fake_ring_want_call(ring, 0);
	offer(path);
	if (path->receives) {
		has_frame = true;
		event_loop_post(rig.io, &arrival);
	}
	loop_pump(rig.io);
	fake_machine_pump(rig.machine);
	return fake_ring_reap(ring, &id, &len) && len == want &&
	       memcmp((path->receives ? data : sent) + HEADER, frame + HEADER, FRAME) == 0 &&
	       (path->receives || n_sent == HEADER + FRAME) &&
	       fake_driver_take_isr(&rig.driver) == 1;
}

/* Known to callgrind by its name. */
__attribute__((noinline)) bool measured(const struct path *path, unsigned n);
bool measured(const struct path *path, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!move_frame(path, i))
			return false;
	return true;
}

/* What a program knows some milliseconds after its start is not found out on the path. */
static void settle_clock(void)
{
	cycles_begin();
	while (cycles_rate() == 0)
		;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	const struct path *path = NULL;
	int status = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(paths) && argc == 3; i++)
		if (strcmp(argv[1], paths[i].name) == 0)
			path = &paths[i];
	if (!path || n == 0) {
		fprintf(stderr, "usage: net_path CASE FRAMES\n");
		return 2;
	}
	arrival.fn = arrive;
	settle_clock();
	rig.machine = fake_machine_create();
	/* Nobody runs it: it is pumped here. */
	if (event_loop_create(&rig.io, "io") < 0)
		return 1;
	plug(path);
	start(path);
	/* The first round takes what is taken once. */
	if (!move_frame(path, 1) || !measured(path, n)) {
		fprintf(stderr, "net_path: a frame went wrong\n");
		status = 1;
	}
	device_rig_destroy(&rig);
	return status;
}
