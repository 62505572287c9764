/*
 * Bytes that wait in a vsock connection: a ring that grows with what is in it and gives its memory
 * back when it is empty.  All of a device's draw on one budget.  Owner loop.
 */
#ifndef DEVICES_VSOCK_FIFO_H
#define DEVICES_VSOCK_FIFO_H

#include <sys/uio.h>

#include "vmm/base/util.h"

struct vsock_fifo {
	uint8_t *data;
	uint32_t size;			/* power of two, or 0 */
	uint32_t head;			/* of the first byte */
	uint32_t len;
};

/*
 * Append 'len' bytes at 'offset' of the stream 'iov' (there are as many).  '*budget' is what may
 * still be allocated.  Returns 0, or -ENOMEM with nothing appended.  No error chain.
 */
MUST_USE int vsock_fifo_put(struct vsock_fifo *f, uint64_t *budget, const struct iovec *iov,
			    unsigned n, size_t offset, uint32_t len);
/* Overwrite 'len' bytes at 'offset', which are there. */
void vsock_fifo_poke(struct vsock_fifo *f, uint32_t offset, const void *buf, uint32_t len);

/* The 'len' bytes (there are as many) at 'offset', in one or two pieces.  Returns how many. */
unsigned vsock_fifo_peek(const struct vsock_fifo *f, uint32_t offset, uint32_t len,
			 struct iovec out[2]);

/* Take 'len' bytes (there are as many) away from the front. */
void vsock_fifo_drop(struct vsock_fifo *f, uint64_t *budget, uint32_t len);
/* All of them. */
void vsock_fifo_clear(struct vsock_fifo *f, uint64_t *budget);

#endif
