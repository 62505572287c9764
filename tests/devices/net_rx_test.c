/* Frames to the driver: how they fill its buffers, and what it is told of them. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/net_rig.h"
#include "vmm/base/le.h"

enum { RX = 0, HEADER = 12 };

static struct net_rig net;
static const struct net_header none;
static uint8_t frame[70000], got[70000];

static void setup(void)
{
	net_rig_create(&net, &(struct net_rig_options){ .transport = FAKE_MMIO, .mtu = 1500 });
}

static void teardown(void)
{
	net_rig_destroy(&net);
}

TestSuite(net_rx, .init = setup, .fini = teardown);

static void give(const struct net_header *h, size_t len, uint8_t seed)
{
	net_rig_fill(frame, len, seed);
	fake_peer_give(net.peer, 0, h, frame, len);
}

static struct net_header header_at(uint64_t gpa)
{
	struct net_header h;

	net_header_load(&h, device_rig_at(&net.rig, gpa, net.header_len), net.header_len);
	return h;
}

static void check_frame(uint64_t gpa, size_t len)
{
	cr_assert_arr_eq(device_rig_at(&net.rig, gpa + net.header_len, len), frame, len);
}

/* covers: NET-RX-03 NET-RX-51 NET-VQ-01 */
Test(net_rx, a_frame_fills_one_buffer)
{
	for (unsigned merging = 0; merging < 2; merging++) {
		net_rig_start_without(&net, 2, merging ? -1 : VIRTIO_NET_F_MRG_RXBUF, -1);
		for (size_t len = 14; len <= 1514; len += 300) {
			uint64_t gpa = net_rig_offer(&net, RX, 2048);

			give(&none, len, (uint8_t)len);
			cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + len);
			check_frame(gpa, len);
			cr_assert_eq(header_at(gpa).num_buffers, 1);
			cr_assert_eq(header_at(gpa).flags, 0);
			const uint8_t *p = device_rig_at(&net.rig, gpa, 2048);
			for (size_t i = HEADER + len; i < 2048; i++)
				cr_assert_eq(p[i], 0xcc);
		}
	}
}

/* Frames come in any number of buffers, of any sizes, and the first says how many. */
static void check_merged(const uint32_t *size, unsigned n_sizes, size_t len)
{
	const struct net_header big = {
		.flags = NET_HEADER_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4, .gso_size = 1460,
		.csum_start = 34, .csum_offset = 16,
	};
	uint64_t gpa[RIG_QUEUE_SIZE];
	size_t at = 0, total = HEADER + len;
	unsigned n = 0;

	for (unsigned i = 0; i < n_sizes; i++)
		gpa[i] = net_rig_offer(&net, RX, size[i]);
	give(&big, len, (uint8_t)n_sizes);
	for (; at < total; n++) {
		uint32_t used, head;

		/* With the first there are all of them. */
		if (n == 0)
			used = device_rig_wait(&net.rig, RX, NULL);
		else
			cr_assert(fake_ring_reap(&net.rig.ring[RX], &head, &used), "%u", n);
		cr_assert_eq(used, min_u64(size[n], total - at));
		memcpy(got + at, device_rig_at(&net.rig, gpa[n], used), used);
		at += used;
	}
	cr_assert_arr_eq(got + HEADER, frame, len);
	cr_assert_eq(header_at(gpa[0]).num_buffers, n);
	cr_assert_eq(header_at(gpa[0]).gso_type, NET_GSO_TCPV4);
	/* Those that were not needed are there for the next frame. */
	for (; n < n_sizes && size[n] > HEADER + 60; n++) {
		give(&none, 60, 1);
		cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 60);
		check_frame(gpa[n], 60);
	}
}

/* covers: NET-RX-01 NET-RX-04 NET-RX-05 NET-RX-06 */
Test(net_rx, a_frame_fills_as_many_buffers_as_it_needs)
{
	static const uint32_t sizes[][6] = {
		{ 1536, 1536, 1536, 0 }, { 13, 1, 70000, 0 }, { 4096, 30000, 32000, 0 },
		{ 65536, 100, 0 }, { 2000, 14, 14, 14, 4000, 0 },
	};
	static const size_t lens[] = { 60, 1514, 4096, 5000 };
	uint32_t many[48];

	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
			uint64_t room = 0;
			unsigned n = 0;
			uint32_t fit[6];

			/* Each buffer has room for a header; the frame has room in all. */
			for (; n < 6 && sizes[k][n]; n++) {
				fit[n] = sizes[k][n] > HEADER ? sizes[k][n] : 14;
				room += fit[n];
			}
			if (room < HEADER + lens[i])
				continue;
			net_rig_start_without(&net, 2, -1);
			check_merged(fit, n, lens[i]);
		}
	}
	for (unsigned i = 0; i < 48; i++)
		many[i] = 1536;
	for (unsigned i = 0; i < 3; i++) {
		net_rig_start_without(&net, 2, -1);
		check_merged(many, 48, 65549);
	}
}

/* The header's, the buffers', and what would be too much. */
Test(net_rx, buffers_side_by_side_are_one_to_the_peer)
{
	const struct net_header big = {
		.flags = NET_HEADER_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4, .gso_size = 1460,
		.csum_start = 34, .csum_offset = 16,
	};
	enum { N = 8, SIZE = 2048, LEN = N * SIZE - HEADER };
	uint64_t gpa;

	net_rig_start_without(&net, 2, -1);
	for (unsigned round = 0; round < 2; round++) {
		gpa = device_rig_alloc(&net.rig, N * SIZE);
		for (unsigned i = 0; i < N; i++)
			device_rig_add(&net.rig, RX,
				       &(struct fake_buf){ gpa + i * SIZE, SIZE, true }, 1);
		/* The device learns how large frames are from the first. */
		give(&big, LEN, (uint8_t)round);
		for (unsigned i = 0; i < N; i++)
			cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), SIZE);
		cr_assert_arr_eq(device_rig_at(&net.rig, gpa + HEADER, LEN), frame, LEN);
	}
	cr_assert_eq(net.peer->n_iov_received, 3);
}

/* covers: NET-RX-02 */
Test(net_rx, without_merging_a_frame_that_does_not_fit_is_dropped)
{
	net_rig_start_without(&net, 2, VIRTIO_NET_F_MRG_RXBUF, -1);
	uint64_t first = net_rig_offer(&net, RX, 600), second = net_rig_offer(&net, RX, 2000);

	give(&none, 600, 1);
	cr_assert(device_rig_is_quiet(&net.rig, RX));
	give(&none, 588, 2);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), 600);
	check_frame(first, 588);
	give(&none, 600, 3);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), 612);
	check_frame(second, 600);
}

/* covers: NET-RX-49 */
Test(net_rx, with_too_few_buffers_nothing_is_used)
{
	struct net_header big = { .flags = 1, .gso_type = NET_GSO_TCPV4, .gso_size = 1000,
				  .csum_start = 34, .csum_offset = 16 };

	net_rig_start_without(&net, 2, -1);
	uint64_t gpa = net_rig_offer(&net, RX, 1000);
	net_rig_offer(&net, RX, 1000);
	give(&big, 9000, 1);
	cr_assert(device_rig_is_quiet(&net.rig, RX));
	give(&none, 64, 2);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 64);
	check_frame(gpa, 64);
}

/* covers: NET-RX-47 NET-RX-48 */
Test(net_rx, buffers_that_cannot_be_used_come_back_unused)
{
	net_rig_start_without(&net, 2, -1);
	uint64_t gpa = device_rig_alloc(&net.rig, KIB(8));
	const struct fake_buf bad[][2] = {
		{ { gpa, 4, true } }, { { gpa, 12, true } }, { { gpa, 1500, false } },
		{ { gpa, 20, false }, { gpa + KIB(4), 1500, true } },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		device_rig_add(&net.rig, RX, bad[i], bad[i][1].len ? 2 : 1);
	uint64_t good = net_rig_offer(&net, RX, 1500);
	give(&none, 100, 3);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), 0);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 100);
	check_frame(good, 100);
	const uint8_t *p = device_rig_at(&net.rig, gpa, KIB(8));
	for (unsigned i = 0; i < KIB(8); i++)
		cr_assert_eq(p[i], 0xcc);
}

/* covers: NET-RX-50 */
Test(net_rx, an_empty_ring_holds_frames_back_without_looking)
{
	net_rig_start_without(&net, 2, -1);
	usleep(20000);
	cr_assert_not(net.peer->wants_readable[0]);
	for (unsigned i = 0; i < 5; i++)
		give(&none, 100 + i, (uint8_t)i);
	unsigned looks = net.peer->n_looks;
	cr_assert(device_rig_is_quiet(&net.rig, RX));
	cr_assert_eq(net.peer->n_looks, looks);
	cr_assert_eq(fake_peer_n_arriving(net.peer, 0), 5);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t gpa = net_rig_offer(&net, RX, 1000);

		cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 100 + i);
		net_rig_fill(frame, 100 + i, (uint8_t)i);
		check_frame(gpa, 100 + i);
	}
}

/* covers: NET-CFG-05 */
Test(net_rx, above_the_mtu_only_what_is_segmented_comes)
{
	struct net_header big = { .flags = 1, .gso_type = NET_GSO_TCPV4, .gso_size = 1000,
				  .csum_start = 34, .csum_offset = 16 };

	net_rig_start_without(&net, 2, -1);
	net_rig_offer(&net, RX, KIB(64));
	give(&none, 1519, 1);
	cr_assert(device_rig_is_quiet(&net.rig, RX));
	give(&none, 1518, 1);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 1518);
	net_rig_offer(&net, RX, KIB(64));
	give(&big, 1519, 1);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 1519);
	/* A driver that did not take the MTU takes what comes. */
	net_rig_start_without(&net, 2, VIRTIO_NET_F_MTU, -1);
	net_rig_offer(&net, RX, KIB(64));
	give(&none, 9000, 1);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 9000);
}

/* covers: NET-RX-07 NET-RX-09 NET-RX-28 NET-RX-29 NET-RX-30 */
Test(net_rx, what_the_driver_did_not_accept_is_not_shown)
{
	struct net_header big = { .flags = 1, .gso_type = NET_GSO_TCPV4, .gso_size = 1000,
				  .csum_start = 34, .csum_offset = 16 };
	struct net_header valid = { .flags = NET_HEADER_DATA_VALID };

	net_rig_start_without(&net, 2, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
			      VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,
			      VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_USO4,
			      VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, -1);
	uint64_t gpa = net_rig_offer(&net, RX, KIB(64));
	give(&big, 3000, 1);
	cr_assert(device_rig_is_quiet(&net.rig, RX));
	give(&valid, 100, 1);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 100);
	cr_assert_eq(header_at(gpa).flags, 0);
	cr_assert_eq(header_at(gpa).gso_type, 0);
	net_rig_start_without(&net, 2, -1);
	gpa = net_rig_offer(&net, RX, KIB(64));
	give(&big, 3000, 1);
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 3000);
	cr_assert_eq(header_at(gpa).flags, NET_HEADER_NEEDS_CSUM);
	cr_assert_eq(header_at(gpa).gso_type, NET_GSO_TCPV4);
	cr_assert_eq(header_at(gpa).gso_size, 1000);
}

/* Each length of the header, over every register interface.  covers: NET-LEGACY-03 */
Test(net_rx, payload_is_where_the_header_ends)
{
	for (unsigned t = 0; t < FAKE_TRANSPORTS; t++) {
		for (unsigned kind = 0; kind < 4; kind++) {
			bool merging = kind & 1, hash = kind & 2;

			net_rig_destroy(&net);
			net_rig_create(&net, &(struct net_rig_options){
				.transport = (enum fake_transport)t });
			net.with_hash = hash;
			net_rig_start_without(&net, 2, merging ? -1 : VIRTIO_NET_F_MRG_RXBUF, -1);
			uint64_t gpa = net_rig_offer(&net, RX, 2000);
			give(&none, 100, (uint8_t)t);
			cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), net.header_len + 100);
			check_frame(gpa, 100);
		}
	}
}

/* Many at once, over both layouts of a ring and with the order kept. */
Test(net_rx, a_burst_arrives_in_order)
{
	static const int layout[] = { -1, VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER };

	for (unsigned k = 0; k < ARRAY_SIZE(layout); k++) {
		struct features f = { { UINT64_MAX, UINT64_MAX } };

		features_remove(&f, VIRTIO_F_EVENT_IDX);
		net_rig_start(&net, f, 2);
		for (unsigned i = 0; i < 300; i++)
			give(&none, 100, (uint8_t)i);
		for (unsigned i = 0; i < 300; i++) {
			net.rig.next = net.scratch + MIB(1);
			uint64_t gpa = net_rig_offer(&net, RX, 1000);
			cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 100);
			net_rig_fill(frame, 100, (uint8_t)i);
			check_frame(gpa, 100);
		}
	}
}

/* Held for the next driver are only frames that came when it was there. */
Test(net_rx, sessions_follow_each_other)
{
	for (unsigned i = 0; i < 20; i++) {
		net_rig_start_without(&net, 2, i % 2 ? VIRTIO_NET_F_MRG_RXBUF : -1, -1);
		uint64_t gpa = net_rig_offer(&net, RX, 1000);
		give(&none, 100, (uint8_t)i);
		cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), HEADER + 100);
		check_frame(gpa, 100);
		net_rig_offer(&net, RX, 1000);
		fake_driver_reset(&net.rig.driver);
	}
}

enum { BUFFERS = 60, BUFFER = 1600, FRAMES = 50 };

/* Most fit a buffer; some take two, some are no frames at all. */
static size_t mixed_size(unsigned i)
{
	if (i % 67 == 40)
		return 3000;
	return i % 41 == 30 ? 5 : 60 + i * 37 % 1400;
}

static uint64_t gpa_of[RIG_QUEUE_SIZE];

/* Many buffers and one kick. */
static void offer_buffers(void)
{
	for (unsigned i = 0; i < BUFFERS; i++) {
		uint64_t gpa = net.scratch + MIB(1) + (uint64_t)i * 2048;
		uint16_t head = fake_ring_add(&net.rig.ring[RX],
					      &(struct fake_buf){ gpa, BUFFER, true }, 1);

		gpa_of[head % RIG_QUEUE_SIZE] = gpa;
	}
	fake_driver_kick(&net.rig.driver, RX);
}

static size_t take_buffer(uint8_t *to)
{
	uint32_t head;
	size_t len = device_rig_wait(&net.rig, RX, &head);

	cr_assert_leq(len, BUFFER);
	memcpy(to, device_rig_at(&net.rig, gpa_of[head % RIG_QUEUE_SIZE], len), len);
	return len;
}

static void check_mixed_frame(unsigned i)
{
	size_t size = mixed_size(i), len, total = 0;
	unsigned n = (unsigned)(HEADER + size + BUFFER - 1) / BUFFER;
	struct net_header h;

	for (unsigned k = 0; k < n; k++) {
		len = take_buffer(got + total);
		cr_assert(k == n - 1 || len == BUFFER, "frame %u, buffer %u of %u: %zu", i, k, n,
			  len);
		total += len;
	}
	net_header_load(&h, got, HEADER);
	cr_assert_eq(h.num_buffers, n, "frame %u", i);
	cr_assert_eq(total, HEADER + size, "frame %u", i);
	net_rig_fill(frame, size, (uint8_t)i);
	cr_assert_arr_eq(got + HEADER, frame, size, "frame %u", i);
}

/* Frames that are read together are what they were, whatever is between them. */
Test(net_rx, a_flood_of_mixed_frames_arrives_whole_and_in_order)
{
	for (unsigned k = 0; k < 40; k++) {
		struct features f = { { UINT64_MAX, UINT64_MAX } };
		unsigned first = k * 13;

		features_remove(&f, VIRTIO_F_EVENT_IDX);
		features_remove(&f, VIRTIO_F_IN_ORDER);
		features_remove(&f, VIRTIO_NET_F_MTU);
		if (k & 1)
			features_remove(&f, VIRTIO_F_RING_PACKED);
		net_rig_start(&net, f, 2);
		net.peer->has_holes = k & 2;
		for (unsigned i = 0; i < FRAMES; i++)
			give(&none, mixed_size(first + i), (uint8_t)(first + i));
		offer_buffers();
		for (unsigned i = 0; i < FRAMES; i++)
			if (mixed_size(first + i) >= 14)
				check_mixed_frame(first + i);
		fake_driver_reset(&net.rig.driver);
	}
	cr_assert_gt(net.peer->n_batches, 80);
}
