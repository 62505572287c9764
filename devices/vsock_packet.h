/*
 * The packets of a vsock device as the wire has them: a header of 44 bytes, then the payload.
 *
 * virtio-v1.4 5.10.6 "Device Operation"
 */
#ifndef DEVICES_VSOCK_PACKET_H
#define DEVICES_VSOCK_PACKET_H

#include "vmm/base/util.h"

enum { VSOCK_HEADER_LEN = 44, VSOCK_CID_HOST = 2 };

enum vsock_type { VSOCK_STREAM = 1, VSOCK_SEQPACKET = 2 };

enum vsock_op {
	VSOCK_OP_INVALID,
	VSOCK_OP_REQUEST,
	VSOCK_OP_RESPONSE,
	VSOCK_OP_RST,
	VSOCK_OP_SHUTDOWN,
	VSOCK_OP_RW,
	VSOCK_OP_CREDIT_UPDATE,
	VSOCK_OP_CREDIT_REQUEST,
};

/* 'flags' of SHUTDOWN: what its sender will not do any more; of RW in a SEQPACKET connection. */
enum {
	VSOCK_SHUT_RECEIVE = 1,
	VSOCK_SHUT_SEND = 2,
	VSOCK_SHUT_BOTH = 3,
	VSOCK_SEQ_EOM = 1,		/* the end of a message */
	VSOCK_SEQ_EOR = 2,		/* and of a record */
};

struct vsock_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;			/* of the payload */
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt;	/* credit, see vsock_credit.h */
};

void vsock_packet_load(struct vsock_packet *p, const uint8_t wire[VSOCK_HEADER_LEN]);
void vsock_packet_store(const struct vsock_packet *p, uint8_t wire[VSOCK_HEADER_LEN]);

#endif
