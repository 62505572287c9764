#include "devices/vsock_packet.h"

#include "vmm/base/le.h"

/* virtio-v1.4 5.10.6 "Device Operation": where the fields of the header are. */
enum {
	AT_SRC_CID = 0,
	AT_DST_CID = 8,
	AT_SRC_PORT = 16,
	AT_DST_PORT = 20,
	AT_LEN = 24,
	AT_TYPE = 28,
	AT_OP = 30,
	AT_FLAGS = 32,
	AT_BUF_ALLOC = 36,
	AT_FWD_CNT = 40,
};

void vsock_packet_load(struct vsock_packet *p, const uint8_t wire[VSOCK_HEADER_LEN])
{
	*p = (struct vsock_packet){
		.src_cid = load_le64(wire + AT_SRC_CID),
		.dst_cid = load_le64(wire + AT_DST_CID),
		.src_port = load_le32(wire + AT_SRC_PORT),
		.dst_port = load_le32(wire + AT_DST_PORT),
		.len = load_le32(wire + AT_LEN),
		.type = load_le16(wire + AT_TYPE),
		.op = load_le16(wire + AT_OP),
		.flags = load_le32(wire + AT_FLAGS),
		.buf_alloc = load_le32(wire + AT_BUF_ALLOC),
		.fwd_cnt = load_le32(wire + AT_FWD_CNT),
	};
}

void vsock_packet_store(const struct vsock_packet *p, uint8_t wire[VSOCK_HEADER_LEN])
{
	store_le64(wire + AT_SRC_CID, p->src_cid);
	store_le64(wire + AT_DST_CID, p->dst_cid);
	store_le32(wire + AT_SRC_PORT, p->src_port);
	store_le32(wire + AT_DST_PORT, p->dst_port);
	store_le32(wire + AT_LEN, p->len);
	store_le16(wire + AT_TYPE, p->type);
	store_le16(wire + AT_OP, p->op);
	store_le32(wire + AT_FLAGS, p->flags);
	store_le32(wire + AT_BUF_ALLOC, p->buf_alloc);
	store_le32(wire + AT_FWD_CNT, p->fwd_cnt);
}
