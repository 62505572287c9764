/*
 * Just enough of a network driver for programs that want some traffic, and the protocol that they
 * speak with the host's side of the cable (tests/payload/tap_peer.c).  virtio-v1.4 5.1 "Network
 * Device".
 */
#ifndef PAYLOAD_NET_H
#define PAYLOAD_NET_H

#include "images/payload/lib/ring.h"

enum {
	NET_MAX_PAIRS = 4,
	NET_HEADER_MAX = 20,
	NET_ADDRESS = 6,		/* bytes of a MAC address */
	NET_ETHERNET = 14,
	NET_MAX_FRAME = 65550,

	/* Header: flags, kinds of segments. */
	NET_NEEDS_CSUM = 1,
	NET_DATA_VALID = 2,
	NET_GSO_NONE = 0,
	NET_GSO_TCPV4 = 1,
	NET_GSO_UDP = 3,
	NET_GSO_TCPV6 = 4,
	NET_GSO_UDP_L4 = 5,

	/* Control commands, class << 8 | command, and their answers. */
	NET_CTRL_PROMISC = 0x000,
	NET_CTRL_ALLMULTI = 0x001,
	NET_CTRL_MAC_TABLE = 0x100,
	NET_CTRL_MAC_ADDR = 0x101,
	NET_CTRL_VLAN_ADD = 0x200,
	NET_CTRL_VLAN_DEL = 0x201,
	NET_CTRL_PAIRS = 0x400,
	NET_CTRL_OFFLOADS = 0x500,
	NET_CTRL_OK = 0,
	NET_CTRL_ERROR = 1,
	NET_CTRL_PENDING = 0xee,	/* our own: no answer was written */

	/* Configuration. */
	NET_CONFIG_MAC = 0,
	NET_CONFIG_STATUS = 6,
	NET_CONFIG_MAX_PAIRS = 8,
	NET_CONFIG_MTU = 10,

	/* Frame types: requests to the peer, its numbered frames. */
	NET_TYPE_REQUEST = 0x88b5,
	NET_TYPE_DATA = 0x88b6,
	NET_TYPE_IPV4 = 0x0800,
};

/* What the peer can be asked for; see tap_peer.c. */
enum net_request {
	PEER_HELLO = 1, PEER_COUNT, PEER_ECHO, PEER_SEND,
	PEER_ANSWER = 0x80,
	PEER_SEND_SEGMENTS = 1, PEER_SEND_TO_OTHER = 2, PEER_SEND_VLAN = 4,
};

struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t n_buffers;		/* where the header is 12 bytes long or more */
	uint32_t hash;			/* 20 bytes */
	uint16_t hash_report, padding;
} __attribute__((packed));

/* Buffers of a receive queue, by the ring's id. */
struct net_buffers {
	uint8_t *at[RING_MAX_SIZE];
	uint32_t size;			/* of each */
};

struct net {
	struct virtio v;
	uint64_t features;		/* accepted */
	unsigned header_len;
	unsigned n_pairs, n_pairs_max;
	uint8_t mac[NET_ADDRESS];
	struct ring rx[NET_MAX_PAIRS], tx[NET_MAX_PAIRS], control;
	struct net_buffers buffers[NET_MAX_PAIRS];
	uintptr_t heap;			/* where what net_open takes begins */
	uint32_t buffer_size;		/* that net_open gives to receive; 0: what fits any frame */
	uint16_t size;			/* of rings; 0: what is offered */
	/* Of the frame that net_receive took last. */
	struct net_header header;
	unsigned n_buffers;
};

/* Find the first network device; ends the program as skipped when there is none. */
void net_find(struct net *n);

/*
 * Reset, negotiate 'wanted' (what is offered of it), make the queues of 'n_pairs' pairs and, if
 * there is one, the control queue, fill the receive queues, DRIVER_OK, and tell the number of pairs
 * if it is above 1.  May be called again; memory of before is given back.  Ends the program when
 * the device will not.
 */
void net_open(struct net *n, uint64_t wanted, unsigned n_pairs);
/* Make one buffer / all free buffers of 'pair' available to the device. */
void net_refill(struct net *n, unsigned pair);

static inline bool net_has(const struct net *n, unsigned bit)
{
	return n->features >> bit & 1;
}

/* Send one frame behind 'header' (NULL: all zero), and wait until it was taken. */
void net_send(struct net *n, unsigned pair, const struct net_header *header, const void *frame,
	      uint32_t len);
/*
 * Take the next frame of 'pair' into 'frame', which has room for any, and give its buffers back;
 * n->header has its header.  Returns its length, or 0 when none comes within 'wait' cycles.  Checks
 * what holds for every frame: enough bytes, whole buffers but for the last one.
 */
uint32_t net_receive(struct net *n, unsigned pair, void *frame, uint64_t wait);

/* Do one control command; returns its answer. */
uint8_t net_control(struct net *n, unsigned command, const void *data, uint32_t len);

/*
 * Ask the peer and wait for its answer, throwing away what else arrives; 'number' has the three
 * numbers of the request and then those of the answer.  False when none comes.
 */
bool net_ask(struct net *n, enum net_request op, uint32_t number[3]);
/* The same without waiting. */
void net_tell(struct net *n, enum net_request op, const uint32_t number[3]);
bool net_is_answer(const uint8_t *frame, uint32_t len);

/* Fill in an Ethernet header: to the peer, from us, of 'type'. */
void net_address(const struct net *n, uint8_t *frame, uint16_t type);

#endif
