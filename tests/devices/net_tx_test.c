/* Frames from the driver: what reaches the peer, and what becomes of the buffers. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "devices/net_impl.h"
#include "tests/support/net_rig.h"

enum { TX = 1 };

static struct net_rig net;
static const struct net_header none;

static void setup(void)
{
	net_rig_create(&net, &(struct net_rig_options){ .transport = FAKE_MMIO, .mtu = 1500 });
}

static void teardown(void)
{
	net_rig_destroy(&net);
}

TestSuite(net_tx, .init = setup, .fini = teardown);

static uint8_t frame[70000], got[70000];

/* covers: NET-TX-01 NET-TX-02 NET-TX-12 NET-VQ-01 */
Test(net_tx, a_frame_arrives_as_it_was_with_a_header_of_ours)
{
	struct net_header h, odd = {
		.flags = 0x80, .csum_start = 0xffff, .csum_offset = 0xa5a5, .hdr_len = 0xffff,
		.num_buffers = 0xa5a5,
	};

	net_rig_start_without(&net, 2, -1);
	for (size_t len = 14; len < 3000; len += 371) {
		net_rig_fill(frame, len, (uint8_t)len);
		cr_assert_eq(net_rig_send(&net, TX, &odd, frame, len), 0);
		cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), len);
		cr_assert_arr_eq(frame, got, len);
		cr_assert_eq(memcmp(&h, &none, sizeof(h)), 0);
	}
}

/* covers: NET-TX-14 NET-TX-15 NET-TX-07 */
Test(net_tx, offloads_that_were_accepted_reach_the_peer)
{
	static const uint8_t types[] = { NET_GSO_NONE, NET_GSO_TCPV4, NET_GSO_TCPV6, NET_GSO_UDP,
					 NET_GSO_UDP_L4, NET_GSO_TCPV4 | NET_GSO_ECN };

	net_rig_start_without(&net, 2, -1);
	net_rig_fill(frame, sizeof(frame), 1);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		struct net_header h = {
			.flags = NET_HEADER_NEEDS_CSUM, .gso_type = types[i],
			.gso_size = types[i] ? 1460 : 0, .csum_start = 34, .csum_offset = 16,
		};
		struct net_header seen;

		cr_assert_eq(net_rig_send(&net, TX, &h, frame, 65549), 0);
		cr_assert_eq(fake_peer_take(net.peer, 0, &seen, got, sizeof(got)), 65549);
		cr_assert_eq(memcmp(&h, &seen, sizeof(h)), 0, "type %u", types[i]);
		cr_assert_arr_eq(frame, got, 65549);
	}
}

/* covers: NET-TX-16 NET-TX-17 */
Test(net_tx, frames_that_cannot_be_are_dropped_and_their_buffers_used)
{
	static const struct net_header bad[] = {
		{ .flags = 1, .csum_start = 0xffff },
		{ .flags = 1, .csum_start = 99, .csum_offset = 0 },
		{ .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .flags = 1, .gso_type = 2, .gso_size = 100, .csum_start = 34 },
		{ .flags = 1, .gso_type = NET_GSO_TCPV4, .gso_size = 0, .csum_start = 34 },
		{ .flags = 0, .gso_type = NET_GSO_TCPV4, .gso_size = 100 },
		{ .flags = 1, .gso_type = 0x61, .gso_size = 100, .csum_start = 34 },
		/* not accepted below */
		{ .flags = 1, .gso_type = NET_GSO_TCPV6, .gso_size = 100, .csum_start = 34 },
	};
	struct net_header h;

	net_rig_start_without(&net, 2, VIRTIO_NET_F_HOST_TSO6, -1);
	net_rig_fill(frame, 100, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(net_rig_send(&net, TX, &bad[i], frame, 100), 0, "case %u", i);
	cr_assert_eq(fake_peer_n_sent(net.peer, 0), 0);
	cr_assert_eq(net_rig_send(&net, TX, &none, frame, 100), 0);
	cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), 100);
}

/* covers: NET-TX-18 */
Test(net_tx, frames_too_short_or_too_long_are_dropped_and_their_buffers_used)
{
	uint64_t gpa = device_rig_alloc(&net.rig, KIB(4));
	struct fake_buf big[] = { { 0, 12, false }, { 0, KIB(64), false }, { 0, KIB(64), false } };

	net_rig_start_without(&net, 2, -1);
	gpa = device_rig_alloc(&net.rig, KIB(128));
	memset(device_rig_at(&net.rig, gpa, KIB(128)), 0, KIB(128));
	for (uint32_t len = 1; len < 12 + 14; len++) {
		device_rig_add(&net.rig, TX, &(struct fake_buf){ gpa, len, false }, 1);
		cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(big); i++)
		big[i].addr = gpa;
	device_rig_add(&net.rig, TX, big, 3);
	cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
	cr_assert_eq(fake_peer_n_sent(net.peer, 0), 0);
	device_rig_add(&net.rig, TX, &(struct fake_buf){ gpa, 12 + 14, false }, 1);
	cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
	cr_assert_eq(fake_peer_n_sent(net.peer, 0), 1);
}

/* covers: NET-TX-19 */
Test(net_tx, writable_buffers_are_not_written)
{
	struct net_header h;

	net_rig_start_without(&net, 2, -1);
	uint64_t gpa = device_rig_alloc(&net.rig, KIB(8));
	struct fake_buf buf[] = { { gpa, 112, false }, { gpa + KIB(4), 100, true } };
	memset(device_rig_at(&net.rig, gpa, 112), 0, 112);
	device_rig_add(&net.rig, TX, buf, 2);
	cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
	cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), 100);
	device_rig_add(&net.rig, TX, buf + 1, 1);
	cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
	const uint8_t *p = device_rig_at(&net.rig, gpa + KIB(4), 100);
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(p[i], 0xcc);
}

/* Header and frame, wherever their boundaries are.  covers: NET-LEGACY-09 */
Test(net_tx, any_framing_is_the_same_frame)
{
	struct net_header h = { .flags = 1, .csum_start = 34, .csum_offset = 16 }, seen;

	net_rig_start_without(&net, 2, -1);
	uint64_t gpa = device_rig_alloc(&net.rig, KIB(4));
	uint8_t *bytes = device_rig_at(&net.rig, gpa, 212);

	net_rig_fill(frame, 200, 9);
	net_header_store(&h, bytes, 12);
	memcpy(bytes + 12, frame, 200);
	for (uint32_t piece = 1; piece <= 212; piece += piece < 14 ? 1 : 31) {
		struct fake_buf buf[RIG_QUEUE_SIZE];
		unsigned n = 0;

		/* As many pieces as the ring has room for, the rest in the last. */
		for (uint32_t at = 0; at < 212; n++) {
			uint32_t len = n == RIG_QUEUE_SIZE - 1 ? 212 - at :
								 (uint32_t)min_u64(piece, 212 - at);
			buf[n] = (struct fake_buf){ gpa + at, len, false };
			at += len;
		}
		device_rig_add(&net.rig, TX, buf, n);
		cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
		cr_assert_eq(fake_peer_take(net.peer, 0, &seen, got, sizeof(got)), 200);
		cr_assert_arr_eq(frame, got, 200);
		cr_assert_eq(memcmp(&h, &seen, sizeof(h)), 0);
	}
}

/* Our header, and the frame. */
Test(net_tx, pieces_side_by_side_are_one_to_the_peer)
{
	struct net_header seen;
	struct fake_buf buf[5] = { { 0 } };

	net_rig_start_without(&net, 2, -1);
	uint64_t gpa = device_rig_alloc(&net.rig, KIB(4));
	uint8_t *bytes = device_rig_at(&net.rig, gpa, 1012);

	net_rig_fill(frame, 1000, 9);
	memset(bytes, 0, 12);
	memcpy(bytes + 12, frame, 1000);
	for (unsigned i = 0; i < 5; i++)
		buf[i] = (struct fake_buf){ gpa + i * 200, i < 4 ? 200 : 212, false };
	device_rig_add(&net.rig, TX, buf, 5);
	cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
	cr_assert_eq(fake_peer_take(net.peer, 0, &seen, got, sizeof(got)), 1000);
	cr_assert_arr_eq(frame, got, 1000);
	cr_assert_eq(net.peer->n_iov_sent, 2);
}

/* covers: NET-CFG-06 */
Test(net_tx, frames_up_to_the_mtu_go_out_whole)
{
	struct net_header h;

	net_rig_start_without(&net, 2, -1);
	net_rig_fill(frame, 1518, 4);
	for (size_t len = 1510; len <= 1518; len++) {
		cr_assert_eq(net_rig_send(&net, TX, &none, frame, len), 0);
		cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), len);
	}
}

/* The frame that did not fit goes first when there is room, and the loop has peace until then. */
Test(net_tx, a_full_peer_holds_the_queue_and_nothing_is_lost)
{
	struct net_header h;
	enum { N = 20 };

	net_rig_start_without(&net, 2, -1);
	uint64_t gpa = device_rig_alloc(&net.rig, N * 256);
	fake_peer_set_room(net.peer, false);
	for (unsigned i = 0; i < N; i++) {
		uint8_t *p = device_rig_at(&net.rig, gpa + i * 256, 112);

		net_header_store(&none, p, 12);
		net_rig_fill(p + 12, 100, (uint8_t)i);
		device_rig_add(&net.rig, TX, &(struct fake_buf){ gpa + i * 256, 112, false }, 1);
	}
	cr_assert(device_rig_is_quiet(&net.rig, TX));
	cr_assert_eq(fake_peer_n_sent(net.peer, 0), 0);
	cr_assert_leq(net.peer->n_full, 2 * N);
	unsigned tries = net.peer->n_full;
	usleep(50000);
	cr_assert_leq(net.peer->n_full, tries + 1);
	fake_peer_set_room(net.peer, true);
	for (unsigned i = 0; i < N; i++) {
		cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
		cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), 100);
		cr_assert_eq(got[20], (uint8_t)(i + 20 * 7));
	}
	/* A reset does not wait for the peer. */
	fake_peer_set_room(net.peer, false);
	device_rig_add(&net.rig, TX, &(struct fake_buf){ gpa, 112, false }, 1);
	fake_driver_reset(&net.rig.driver);
	cr_assert_eq(fake_driver_status(&net.rig.driver), 0);
	fake_peer_set_room(net.peer, true);
	net_rig_start_without(&net, 2, -1);
	cr_assert_eq(net_rig_send(&net, TX, &none, frame, 100), 0);
}

/* The driver goes on when it hears of those that have gone: long frames do not wait for others. */
Test(net_tx, few_long_frames_go_together)
{
	enum { N = 8, LEN = 30000, STRIDE = 32768 };
	struct net_header h;

	net_rig_start_without(&net, 2, -1);
	uint64_t gpa = device_rig_alloc(&net.rig, N * STRIDE);
	fake_peer_set_room(net.peer, false);
	for (unsigned i = 0; i < N; i++) {
		uint8_t *p = device_rig_at(&net.rig, gpa + i * STRIDE, 12 + LEN);

		net_header_store(&none, p, 12);
		net_rig_fill(p + 12, LEN, (uint8_t)i);
		device_rig_add(&net.rig, TX, &(struct fake_buf){ gpa + i * STRIDE, 12 + LEN, false },
			       1);
	}
	cr_assert(device_rig_is_quiet(&net.rig, TX));
	fake_peer_set_room(net.peer, true);
	for (unsigned i = 0; i < N; i++) {
		cr_assert_eq(device_rig_wait(&net.rig, TX, NULL), 0);
		cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), LEN);
		net_rig_fill(frame, LEN, (uint8_t)i);
		cr_assert_arr_eq(frame, got, LEN);
	}
	fake_driver_reset(&net.rig.driver);
	cr_assert_geq(net.peer->largest_batch, 2 * LEN);
	cr_assert_lt(net.peer->largest_batch, NET_TX_BYTES_PER_BATCH + LEN + NET_HEADER_MAX);
}

/* Each length of the header, over every register interface.  covers: NET-TX-20 NET-LEGACY-03 */
Test(net_tx, payload_is_where_the_header_ends)
{
	net_rig_fill(frame, 100, 6);
	for (unsigned t = 0; t < FAKE_TRANSPORTS; t++) {
		for (unsigned kind = 0; kind < 4; kind++) {
			bool merging = kind & 1, hash = kind & 2;
			struct net_header h;
			bool legacy = fake_transport_is_legacy((enum fake_transport)t);

			net_rig_destroy(&net);
			net_rig_create(&net, &(struct net_rig_options){
				.transport = (enum fake_transport)t });
			net.with_hash = hash;
			net_rig_start_without(&net, 2, merging ? -1 : VIRTIO_NET_F_MRG_RXBUF, -1);
			cr_assert_eq(net.header_len,
				     hash && !legacy ? 20 : legacy && !merging ? 10 : 12);
			cr_assert_eq(net.peer->header_len, net.header_len);
			cr_assert_eq(net_rig_send(&net, TX, &none, frame, 100), 0);
			cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), 100);
			cr_assert_arr_eq(frame, got, 100);
		}
	}
}
