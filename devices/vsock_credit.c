#include "devices/vsock_credit.h"

/* Of the buffer: told when this much was taken since the last time. */
enum { UPDATE_PARTS = 4 };

bool vsock_credit_hear(struct vsock_credit *c, uint32_t buf_alloc, uint32_t fwd_cnt)
{
	uint32_t known = c->tx_cnt - c->peer_fwd_cnt, claimed = c->tx_cnt - fwd_cnt;

	/* Half of the range is the past, the other half the future. */
	if (claimed > INT32_MAX)
		return false;
	if (claimed > known)
		return true;
	c->peer_fwd_cnt = fwd_cnt;
	c->peer_buf_alloc = buf_alloc;
	return true;
}

uint32_t vsock_credit_free(const struct vsock_credit *c)
{
	uint32_t in_flight = c->tx_cnt - c->peer_fwd_cnt;

	/* A buffer that shrank below what is in it has no room; it owes none either. */
	return c->peer_buf_alloc > in_flight ? c->peer_buf_alloc - in_flight : 0;
}

bool vsock_credit_receive(struct vsock_credit *c, uint32_t len)
{
	if (len > VSOCK_BUF_ALLOC - (c->rx_cnt - c->fwd_cnt))
		return false;
	c->rx_cnt += len;
	return true;
}

bool vsock_credit_update_is_due(const struct vsock_credit *c)
{
	return c->fwd_cnt - c->told_fwd_cnt >= VSOCK_BUF_ALLOC / UPDATE_PARTS;
}
