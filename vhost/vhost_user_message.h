/*
 * Messages of the vhost-user protocol on their socket: numbers, bytes, descriptors.  What they are
 * for is vhost_user_node.h.
 *
 * Nothing here trusts the peer: a message is at most VHOST_USER_PAYLOAD_MAX bytes long, and
 * whatever descriptors come with it that nobody asked for are closed.  The protocol has the byte
 * order of the machine, which is little-endian wherever Vireo runs.
 *
 * "Vhost-user Protocol", docs/interop/vhost-user.rst of QEMU.
 */
#ifndef VHOST_VHOST_USER_MESSAGE_H
#define VHOST_VHOST_USER_MESSAGE_H

#include "vmm/base/util.h"

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
};

/* What a back end asks on its own channel. */
enum vhost_user_back_request { VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2 };

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
};

/* Of a message's flags: the version, and bits. */
enum {
	VHOST_USER_VERSION = 1,
	VHOST_USER_VERSION_MASK = 3,
	VHOST_USER_IS_REPLY = 4,
	VHOST_USER_NEEDS_REPLY = 8,
};

enum {
	VHOST_USER_HEADER_LEN = 12,
	VHOST_USER_PAYLOAD_MAX = 272,	/* eight regions of memory; 256 bytes of configuration */
	VHOST_USER_MAX_FDS = 8,
	VHOST_USER_NO_FD = 0x100,	/* of a ring's number: no descriptor comes with it */
};

struct vhost_user_message {
	uint32_t request, flags;
	uint32_t len;			/* of the payload */
	uint8_t payload[VHOST_USER_PAYLOAD_MAX];
	int fd[VHOST_USER_MAX_FDS];	/* sent: borrowed; received: owned */
	unsigned n_fds;
};

/* "VHOST_USER_SET_MEM_TABLE"; a constant. */
const char *vhost_user_request_name(uint32_t request);

/*
 * Write a whole message, waiting for the peer to read until 'deadline_ms' (clock_now_ms).
 * Returns 0; -ETIMEDOUT; -EPIPE: nobody is there; -errno.  After a failure the socket is of no use.
 */
MUST_USE int vhost_user_send(int sock, const struct vhost_user_message *m, uint64_t deadline_ms);

/* A message that is on its way in; may come in any pieces. */
struct vhost_user_reader {
	uint8_t buf[VHOST_USER_HEADER_LEN + VHOST_USER_PAYLOAD_MAX];
	unsigned have;
	int fd[VHOST_USER_MAX_FDS];
	unsigned n_fds;
};

/*
 * Read what there is of the next message, without a wait.
 *
 * Returns 0 and the message with its descriptors; -EAGAIN: not all of it is there; -EPIPE: the peer
 * is gone; -EPROTO: what it sent is none, or has too many descriptors; -errno.  After a failure but
 * -EAGAIN the socket is of no use.
 */
MUST_USE int vhost_user_read(struct vhost_user_reader *r, int sock, struct vhost_user_message *m);
/* The same, waiting until 'deadline_ms'; -ETIMEDOUT then. */
MUST_USE int vhost_user_read_until(struct vhost_user_reader *r, int sock,
				   struct vhost_user_message *m, uint64_t deadline_ms);

/* Forget what is there of one.  Zeroed ones are fine. */
void vhost_user_reader_clear(struct vhost_user_reader *r);
/* Close descriptors that nobody takes. */
void vhost_user_close_fds(struct vhost_user_message *m);

#endif
