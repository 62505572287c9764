/* The header of a frame: how long it is, and what of it is believed. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/net_header.h"

static struct features with(const int *bits)
{
	struct features f = FEATURES_EMPTY;

	for (; *bits >= 0; bits++)
		features_add(&f, (unsigned)*bits);
	return f;
}
#define WITH(...) with((const int[]){ __VA_ARGS__, -1 })

static struct features all_bits(void)
{
	return (struct features){ { UINT64_MAX, UINT64_MAX } };
}

/* covers: NET-TX-20 NET-LEGACY-03 */
Test(net_header, length_follows_from_three_bits)
{
	for (unsigned set = 0; set < 8; set++) {
		bool version_1 = set & 1, merging = set & 2, hash = set & 4;
		struct features f = FEATURES_EMPTY;

		if (version_1)
			features_add(&f, VIRTIO_F_VERSION_1);
		if (merging)
			features_add(&f, VIRTIO_NET_F_MRG_RXBUF);
		if (hash)
			features_add(&f, VIRTIO_NET_F_HASH_REPORT);
		unsigned want = hash ? 20 : version_1 || merging ? 12 : 10;
		cr_assert_eq(net_header_len(f), want, "set %u", set);
		/* No other bit that exists here changes it. */
		struct features others = all_bits();
		features_remove(&others, VIRTIO_F_VERSION_1);
		features_remove(&others, VIRTIO_NET_F_MRG_RXBUF);
		features_remove(&others, VIRTIO_NET_F_HASH_REPORT);
		cr_assert_eq(net_header_len(features_or(f, others)), want, "set %u", set);
	}
}

Test(net_header, fields_are_where_the_layout_says)
{
	static const uint8_t bytes[20] = {
		1, 4, 0x36, 0x00, 0xb4, 0x05, 0x22, 0x00, 0x10, 0x00,
		0x02, 0x00, 0x78, 0x56, 0x34, 0x12, 0x03, 0x00, 0, 0,
	};
	uint8_t out[20];
	struct net_header h;

	net_header_load(&h, bytes, 20);
	cr_assert_eq(h.flags, NET_HEADER_NEEDS_CSUM);
	cr_assert_eq(h.gso_type, NET_GSO_TCPV6);
	cr_assert_eq(h.hdr_len, 0x36);
	cr_assert_eq(h.gso_size, 1460);
	cr_assert_eq(h.csum_start, 34);
	cr_assert_eq(h.csum_offset, 16);
	cr_assert_eq(h.num_buffers, 2);
	cr_assert_eq(h.hash_value, 0x12345678);
	cr_assert_eq(h.hash_report, 3);
	net_header_store(&h, out, 20);
	cr_assert_arr_eq(out, bytes, 20);
	/* What a shorter one does not have is 0, and is not written. */
	net_header_load(&h, bytes, 10);
	cr_assert_eq(h.num_buffers, 0);
	cr_assert_eq(h.hash_value, 0);
	memset(out, 0xcc, sizeof(out));
	net_header_store(&h, out, 10);
	cr_assert_eq(out[9], 0);
	cr_assert_eq(out[10], 0xcc);
	net_header_load(&h, bytes, 12);
	cr_assert_eq(h.num_buffers, 2);
	cr_assert_eq(h.hash_report, 0);
}

/* covers: NET-TX-01 NET-TX-02 NET-TX-12 */
Test(net_header, what_a_driver_sets_without_meaning_is_gone)
{
	struct net_header h = {
		.flags = 0xfe, .hdr_len = 0xffff, .gso_size = 7, .csum_start = 0xffff,
		.csum_offset = 0xffff, .num_buffers = 9, .hash_value = 9, .hash_report = 9,
	};
	const struct net_header none = { 0 };

	cr_assert(net_header_judge_sent(&h, all_bits(), 64));
	cr_assert_eq(memcmp(&h, &none, sizeof(h)), 0);
}

/* covers: NET-TX-05 NET-TX-06 NET-TX-07 */
Test(net_header, header_length_is_a_hint_within_the_frame)
{
	for (unsigned hint = 0; hint <= 0xffff; hint += 0x1111) {
		struct net_header h = {
			.flags = NET_HEADER_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4,
			.gso_size = 1000, .hdr_len = (uint16_t)hint, .csum_start = 34,
			.csum_offset = 16,
		};
		cr_assert(net_header_judge_sent(&h, all_bits(), 5000));
		cr_assert_leq(h.hdr_len, 5000);
		cr_assert_eq(h.gso_size, 1000);
	}
}

struct sent_case {
	uint8_t flags, gso_type;
	uint16_t gso_size, csum_start, csum_offset;
	size_t len;
	bool passes;
};

/* covers: NET-TX-16 NET-TX-17 NET-TX-18 NET-TX-08 NET-TX-10 NET-TX-11 */
Test(net_header, frames_that_cannot_be_are_not_sent)
{
	static const struct sent_case cases[] = {
		{ 0, 0, 0, 0, 0, 13, false },
		{ 0, 0, 0, 0, 0, 14, true },
		{ 0, 0, 0, 0, 0, NET_FRAME_MAX, true },
		{ 0, 0, 0, 0, 0, NET_FRAME_MAX + 1, false },
		{ 0, 0, 0, 0, 0, SIZE_MAX, false },
		/* the checksum's place */
		{ 1, 0, 0, 34, 16, 64, true },
		{ 1, 0, 0, 46, 16, 64, true },
		{ 1, 0, 0, 47, 16, 64, false },
		{ 1, 0, 0, 0xffff, 0, 64, false },
		{ 1, 0, 0, 0xffff, 0xffff, 64, false },
		{ 1, 0, 0, 0, 0xffff, 64, false },
		/* segmentation */
		{ 1, NET_GSO_TCPV4, 1460, 34, 16, 3000, true },
		{ 1, NET_GSO_TCPV4 | NET_GSO_ECN, 1460, 34, 16, 3000, true },
		{ 1, NET_GSO_TCPV6, 1460, 54, 16, 3000, true },
		{ 1, NET_GSO_UDP, 1460, 34, 6, 3000, true },
		{ 1, NET_GSO_UDP_L4, 1460, 34, 6, 3000, true },
		{ 1, NET_GSO_TCPV4, 0, 34, 16, 3000, false },
		{ 0, NET_GSO_TCPV4, 1460, 34, 16, 3000, false },
		{ 2, NET_GSO_TCPV4, 1460, 34, 16, 3000, false },
		{ 1, NET_GSO_UDP | NET_GSO_ECN, 1460, 34, 6, 3000, false },
		{ 1, NET_GSO_UDP_L4 | NET_GSO_ECN, 1460, 34, 6, 3000, false },
		{ 1, 2, 1460, 34, 16, 3000, false },
		{ 1, 6, 1460, 34, 16, 3000, false },
		{ 1, 0x7f, 1460, 34, 16, 3000, false },
		/* tunnels are not offered: whatever says so is unknown */
		{ 1, 0x61, 1460, 34, 16, 3000, false },
		{ 0, 0x21, 1460, 34, 16, 3000, false },
		{ 1, 0x41, 1460, 34, 16, 3000, false },
		{ 1, 0x20, 1460, 34, 16, 3000, false },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct sent_case *c = &cases[i];
		struct net_header h = {
			.flags = c->flags, .gso_type = c->gso_type, .gso_size = c->gso_size,
			.csum_start = c->csum_start, .csum_offset = c->csum_offset,
		};
		cr_assert_eq(net_header_judge_sent(&h, all_bits(), c->len), c->passes, "case %u",
			     i);
	}
}

struct gso_case {
	uint8_t type;
	int sent_bit, received_bit;
};
static const struct gso_case gso_cases[] = {
	{ NET_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4 },
	{ NET_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO6 },
	{ NET_GSO_UDP, VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_GUEST_UFO },
	{ NET_GSO_UDP_L4, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_GUEST_USO4 },
	{ NET_GSO_UDP_L4, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_GUEST_USO6 },
	{ NET_GSO_TCPV4 | NET_GSO_ECN, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_GUEST_ECN },
};

/* covers: NET-TX-17 NET-RX-09 NET-RX-10 NET-RX-11 NET-RX-12 NET-RX-15 NET-RX-16 */
Test(net_header, a_kind_of_segmentation_needs_its_bit)
{
	for (unsigned i = 0; i < ARRAY_SIZE(gso_cases); i++) {
		const struct gso_case *c = &gso_cases[i];
		const struct net_header frame = {
			.flags = NET_HEADER_NEEDS_CSUM, .gso_type = c->type, .gso_size = 1000,
			.csum_start = 34, .csum_offset = 16,
		};
		struct features sent = WITH(VIRTIO_NET_F_CSUM, c->sent_bit, VIRTIO_NET_F_HOST_TSO4);
		struct features received = WITH(VIRTIO_NET_F_GUEST_CSUM, c->received_bit,
						VIRTIO_NET_F_GUEST_TSO4);
		struct net_header h = frame;

		cr_assert(net_header_judge_sent(&h, sent, 3000));
		cr_assert_eq(h.gso_type, c->type);
		cr_assert(net_header_judge_received(&h, received, 3000));
		cr_assert_eq(h.gso_type, c->type);
		/* the last two of the table share a bit with others that stay */
		struct features lacks = all_bits();
		features_remove(&lacks, (unsigned)c->sent_bit);
		h = frame;
		cr_assert_not(net_header_judge_sent(&h, lacks, 3000), "case %u", i);
		lacks = all_bits();
		features_remove(&lacks, (unsigned)c->received_bit);
		if (c->type == NET_GSO_UDP_L4) {
			features_remove(&lacks, VIRTIO_NET_F_GUEST_USO4);
			features_remove(&lacks, VIRTIO_NET_F_GUEST_USO6);
		}
		h = frame;
		cr_assert_not(net_header_judge_received(&h, lacks, 3000), "case %u", i);
	}
}

Test(net_header, checksums_to_complete_need_csum)
{
	const struct net_header partial = {
		.flags = NET_HEADER_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
	};
	struct net_header h = partial;

	cr_assert_not(net_header_judge_sent(&h, FEATURES_EMPTY, 64));
	h = partial;
	cr_assert(net_header_judge_sent(&h, WITH(VIRTIO_NET_F_CSUM), 64));
	cr_assert_eq(h.csum_start, 34);
	cr_assert_eq(h.csum_offset, 16);
}

/* covers: NET-RX-07 NET-RX-28 */
Test(net_header, a_driver_without_guest_csum_is_shown_finished_frames_only)
{
	struct net_header h = { .flags = NET_HEADER_DATA_VALID };

	cr_assert(net_header_judge_received(&h, FEATURES_EMPTY, 64));
	cr_assert_eq(h.flags, 0);
	cr_assert_eq(h.gso_type, NET_GSO_NONE);
	h = (struct net_header){ .flags = NET_HEADER_NEEDS_CSUM, .csum_start = 34,
				 .csum_offset = 16 };
	cr_assert_not(net_header_judge_received(&h, FEATURES_EMPTY, 64));
	h = (struct net_header){ .flags = NET_HEADER_DATA_VALID };
	cr_assert(net_header_judge_received(&h, WITH(VIRTIO_NET_F_GUEST_CSUM), 64));
	cr_assert_eq(h.flags, NET_HEADER_DATA_VALID);
}

/*
 * covers: NET-RX-13 NET-RX-14 NET-RX-29 NET-RX-30 NET-RX-32 NET-RX-36
 * covers: NET-RX-41 NET-RX-44
 */
Test(net_header, what_a_peer_says_is_judged_too)
{
	struct net_header h = {
		.flags = 0xff & ~NET_HEADER_DATA_VALID, .csum_start = 34, .csum_offset = 16,
		.gso_type = NET_GSO_TCPV4, .gso_size = 1448, .hdr_len = 66, .num_buffers = 77,
	};

	/* Flags that are not of this device are not shown; what has a meaning is passed on. */
	cr_assert(net_header_judge_received(&h, all_bits(), 3000));
	cr_assert_eq(h.flags, NET_HEADER_NEEDS_CSUM);
	cr_assert_eq(h.csum_start, 34);
	cr_assert_eq(h.csum_offset, 16);
	cr_assert_eq(h.gso_size, 1448);
	cr_assert_eq(h.hdr_len, 66);
	cr_assert_eq(h.num_buffers, 1);
	/* Segments without a checksum to complete, or without a size, cannot be. */
	h.flags = 0;
	cr_assert_not(net_header_judge_received(&h, all_bits(), 3000));
	h.flags = NET_HEADER_NEEDS_CSUM;
	h.csum_start = 34;
	h.csum_offset = 16;
	h.gso_size = 0;
	cr_assert_not(net_header_judge_received(&h, all_bits(), 3000));
	/* Nor tunnels, which no driver was offered. */
	for (unsigned tunnel = 0x20; tunnel <= 0x60; tunnel += 0x20) {
		h = (struct net_header){ .flags = NET_HEADER_NEEDS_CSUM, .csum_start = 34,
					 .csum_offset = 16, .gso_size = 1448,
					 .gso_type = (uint8_t)(NET_GSO_TCPV4 | tunnel) };
		cr_assert_not(net_header_judge_received(&h, all_bits(), 3000));
	}
	/* Nor a checksum beyond the frame. */
	h = (struct net_header){ .flags = NET_HEADER_NEEDS_CSUM, .csum_start = 60,
				 .csum_offset = 4 };
	cr_assert_not(net_header_judge_received(&h, all_bits(), 64));
	h = (struct net_header){ 0 };
	cr_assert_not(net_header_judge_received(&h, all_bits(), 13));
	cr_assert_not(net_header_judge_received(&h, all_bits(), NET_FRAME_MAX + 1));
}
