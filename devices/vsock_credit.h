/*
 * How much each end of a vsock connection may still send: the other end tells the size of its
 * buffer (buf_alloc) and how much it has taken out of it so far (fwd_cnt).  All counters are of
 * payload bytes and run freely in 32 bits.  Pure.
 *
 * virtio-v1.4 5.10.6.3 "Buffer Space Management"
 */
#ifndef DEVICES_VSOCK_CREDIT_H
#define DEVICES_VSOCK_CREDIT_H

#include "vmm/base/util.h"

/* What each connection may have on its way from the guest to the host's socket. */
enum { VSOCK_BUF_ALLOC = 128 << 10 };

struct vsock_credit {
	/* To the guest. */
	uint32_t tx_cnt;		/* sent */
	uint32_t peer_fwd_cnt, peer_buf_alloc;
	/* From the guest. */
	uint32_t rx_cnt;		/* received */
	uint32_t fwd_cnt;		/* of that, gone to the host's socket */
	uint32_t told_fwd_cnt;		/* as the guest knows it */
};

/*
 * The guest tells its side.  Values older than those that are known change nothing: the guest's
 * CPUs may have passed each other.  Returns false for a lie: more taken than was ever sent.
 */
MUST_USE bool vsock_credit_hear(struct vsock_credit *c, uint32_t buf_alloc, uint32_t fwd_cnt);

/* How much may be sent to the guest now. */
uint32_t vsock_credit_free(const struct vsock_credit *c);

/* 'len' bytes came from the guest.  Returns false, and counts nothing, if it had no right to. */
MUST_USE bool vsock_credit_receive(struct vsock_credit *c, uint32_t len);

/* Would the guest have to wait soon for want of knowing what was taken? */
bool vsock_credit_update_is_due(const struct vsock_credit *c);

#endif
