/*
 * The header in front of every frame of a network device: its length, its fields, and what of a
 * guest's and of a peer's header may be believed.  Pure.
 *
 * virtio-v1.4 5.1.6 "Device Operation"
 */
#ifndef DEVICES_NET_HEADER_H
#define DEVICES_NET_HEADER_H

#include "virtio/features.h"
#include "vmm/base/util.h"

enum {
	NET_HEADER_LEGACY_LEN = 10,	/* without num_buffers */
	NET_HEADER_LEN = 12,
	NET_HEADER_HASH_LEN = 20,
	NET_HEADER_MAX = NET_HEADER_HASH_LEN,
	NET_ETHERNET_MIN = 14,		/* a shorter frame has no Ethernet header */
	NET_ETHERNET_TAGGED = 18,
	/* A frame: 64 KiB of IP (or GSO), and its Ethernet header with a VLAN tag. */
	NET_FRAME_MAX = 65535 + NET_ETHERNET_TAGGED,
};

/* flags */
enum {
	NET_HEADER_NEEDS_CSUM = 1,
	NET_HEADER_DATA_VALID = 2,
};

/* gso_type */
enum {
	NET_GSO_NONE = 0,
	NET_GSO_TCPV4 = 1,
	NET_GSO_UDP = 3,
	NET_GSO_TCPV6 = 4,
	NET_GSO_UDP_L4 = 5,
	NET_GSO_ECN = 0x80,		/* beside a TCP type */
};

struct net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;		/* from NET_HEADER_LEN on */
	uint32_t hash_value;		/* from NET_HEADER_HASH_LEN on */
	uint16_t hash_report;
};

/* The one place that knows how long the header is, both ways, by what the driver accepted. */
unsigned net_header_len(struct features accepted);

/* 'len' is one of the three lengths; fields beyond it load as 0. */
void net_header_load(struct net_header *h, const uint8_t *bytes, unsigned len);
void net_header_store(const struct net_header *h, uint8_t *bytes, unsigned len);

/*
 * A frame of 'frame_len' bytes (without header) that the driver sends.  Makes of 'h' what may go
 * to a peer: what the driver did not accept, or set without meaning, is gone.  Returns false if the
 * frame cannot be: it must be dropped.
 *
 * virtio-v1.4 5.1.6.2 "Packet Transmission"
 */
MUST_USE bool net_header_judge_sent(struct net_header *h, struct features accepted,
				    size_t frame_len);

/*
 * A frame that came from a peer: the same for what the driver may be shown.  'guest' are the
 * offloads that are on now (GUEST_CSUM, GUEST_TSO4, ...).
 *
 * virtio-v1.4 5.1.6.4 "Processing of Incoming Packets"
 */
MUST_USE bool net_header_judge_received(struct net_header *h, struct features guest,
					size_t frame_len);

#endif
