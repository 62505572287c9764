#include "devices/net_header.h"

#include <string.h>

#include "vmm/base/le.h"

/* virtio-v1.4 5.1.6 "Device Operation": struct virtio_net_hdr */
enum {
	AT_FLAGS = 0,
	AT_GSO_TYPE = 1,
	AT_HDR_LEN = 2,
	AT_GSO_SIZE = 4,
	AT_CSUM_START = 6,
	AT_CSUM_OFFSET = 8,
	AT_NUM_BUFFERS = 10,
	AT_HASH_VALUE = 12,
	AT_HASH_REPORT = 16,
};

unsigned net_header_len(struct features accepted)
{
	if (features_has(&accepted, VIRTIO_NET_F_HASH_REPORT))
		return NET_HEADER_HASH_LEN;
	if (features_has(&accepted, VIRTIO_F_VERSION_1) ||
	    features_has(&accepted, VIRTIO_NET_F_MRG_RXBUF))
		return NET_HEADER_LEN;
	return NET_HEADER_LEGACY_LEN;
}

void net_header_load(struct net_header *h, const uint8_t *bytes, unsigned len)
{
	*h = (struct net_header){
		.flags = bytes[AT_FLAGS],
		.gso_type = bytes[AT_GSO_TYPE],
		.hdr_len = load_le16(bytes + AT_HDR_LEN),
		.gso_size = load_le16(bytes + AT_GSO_SIZE),
		.csum_start = load_le16(bytes + AT_CSUM_START),
		.csum_offset = load_le16(bytes + AT_CSUM_OFFSET),
	};
	if (len >= NET_HEADER_LEN)
		h->num_buffers = load_le16(bytes + AT_NUM_BUFFERS);
	if (len >= NET_HEADER_HASH_LEN) {
		h->hash_value = load_le32(bytes + AT_HASH_VALUE);
		h->hash_report = load_le16(bytes + AT_HASH_REPORT);
	}
}

void net_header_store(const struct net_header *h, uint8_t *bytes, unsigned len)
{
	memset(bytes, 0, len);
	bytes[AT_FLAGS] = h->flags;
	bytes[AT_GSO_TYPE] = h->gso_type;
	store_le16(bytes + AT_HDR_LEN, h->hdr_len);
	store_le16(bytes + AT_GSO_SIZE, h->gso_size);
	store_le16(bytes + AT_CSUM_START, h->csum_start);
	store_le16(bytes + AT_CSUM_OFFSET, h->csum_offset);
	if (len >= NET_HEADER_LEN)
		store_le16(bytes + AT_NUM_BUFFERS, h->num_buffers);
	if (len >= NET_HEADER_HASH_LEN) {
		store_le32(bytes + AT_HASH_VALUE, h->hash_value);
		store_le16(bytes + AT_HASH_REPORT, h->hash_report);
	}
}

/* May 'type' (without ECN) be used by who has these bits?  The bits of each direction. */
struct gso_bits {
	uint8_t tcpv4, tcpv6, udp, udp_l4_a, udp_l4_b, ecn;
};

static const struct gso_bits sent_bits = {
	.tcpv4 = VIRTIO_NET_F_HOST_TSO4,
	.tcpv6 = VIRTIO_NET_F_HOST_TSO6,
	.udp = VIRTIO_NET_F_HOST_UFO,
	.udp_l4_a = VIRTIO_NET_F_HOST_USO,
	.udp_l4_b = VIRTIO_NET_F_HOST_USO,
	.ecn = VIRTIO_NET_F_HOST_ECN,
};

static const struct gso_bits received_bits = {
	.tcpv4 = VIRTIO_NET_F_GUEST_TSO4,
	.tcpv6 = VIRTIO_NET_F_GUEST_TSO6,
	.udp = VIRTIO_NET_F_GUEST_UFO,
	.udp_l4_a = VIRTIO_NET_F_GUEST_USO4,
	.udp_l4_b = VIRTIO_NET_F_GUEST_USO6,
	.ecn = VIRTIO_NET_F_GUEST_ECN,
};

static bool may_segment(uint8_t gso_type, struct features f, const struct gso_bits *bits)
{
	bool has_ecn = gso_type & NET_GSO_ECN;

	if (has_ecn && !features_has(&f, bits->ecn))
		return false;
	switch (gso_type & ~NET_GSO_ECN) {
	case NET_GSO_TCPV4:
		return features_has(&f, bits->tcpv4);
	case NET_GSO_TCPV6:
		return features_has(&f, bits->tcpv6);
	case NET_GSO_UDP:
		return !has_ecn && features_has(&f, bits->udp);
	case NET_GSO_UDP_L4:
		return !has_ecn && (features_has(&f, bits->udp_l4_a) ||
				    features_has(&f, bits->udp_l4_b));
	default:
		return false;
	}
}

/* The checksum field lies in the frame; 32-bit sums of 16-bit fields cannot wrap. */
static bool csum_is_inside(const struct net_header *h, size_t frame_len)
{
	return (size_t)h->csum_start + h->csum_offset + sizeof(uint16_t) <= frame_len;
}

static void clear_csum(struct net_header *h)
{
	h->csum_start = 0;
	h->csum_offset = 0;
}

bool net_header_judge_sent(struct net_header *h, struct features accepted, size_t frame_len)
{
	bool is_segmented = (h->gso_type & ~NET_GSO_ECN) != NET_GSO_NONE;

	if (frame_len < NET_ETHERNET_MIN || frame_len > NET_FRAME_MAX)
		return false;
	/* Unknown flags are disregarded; what is valid is not for the driver to say. */
	h->flags &= NET_HEADER_NEEDS_CSUM;
	h->num_buffers = 0;
	h->hash_value = 0;
	h->hash_report = 0;
	if (h->flags == 0)
		clear_csum(h);
	else if (!features_has(&accepted, VIRTIO_NET_F_CSUM) || !csum_is_inside(h, frame_len))
		return false;
	if (!is_segmented) {
		h->gso_type = NET_GSO_NONE;
		h->gso_size = 0;
		h->hdr_len = 0;
		return true;
	}
	/* Of no importance beyond being a hint: how much to have at hand in one piece. */
	if (h->hdr_len > frame_len)
		h->hdr_len = (uint16_t)frame_len;
	return h->flags && h->gso_size > 0 && may_segment(h->gso_type, accepted, &sent_bits);
}

bool net_header_judge_received(struct net_header *h, struct features guest, size_t frame_len)
{
	bool is_segmented = (h->gso_type & ~NET_GSO_ECN) != NET_GSO_NONE;

	if (frame_len < NET_ETHERNET_MIN || frame_len > NET_FRAME_MAX)
		return false;
	h->flags &= NET_HEADER_NEEDS_CSUM | NET_HEADER_DATA_VALID;
	h->num_buffers = 1;
	h->hash_value = 0;
	h->hash_report = 0;
	if (!features_has(&guest, VIRTIO_NET_F_GUEST_CSUM)) {
		/* A frame that is not finished is of no use to this driver. */
		if (h->flags & NET_HEADER_NEEDS_CSUM)
			return false;
		h->flags = 0;
	}
	if (!(h->flags & NET_HEADER_NEEDS_CSUM))
		clear_csum(h);
	else if (!csum_is_inside(h, frame_len))
		return false;
	if (!is_segmented) {
		h->gso_type = NET_GSO_NONE;
		h->gso_size = 0;
		h->hdr_len = 0;
		return true;
	}
	return h->flags & NET_HEADER_NEEDS_CSUM && h->gso_size > 0 &&
	       may_segment(h->gso_type, guest, &received_bits);
}
