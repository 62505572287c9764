#include "devices/vsock_fifo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/iov.h"

enum { FIRST_SIZE = 4096, SIZE_MAX_LOG2 = 30 };

unsigned vsock_fifo_peek(const struct vsock_fifo *f, uint32_t offset, uint32_t len,
			 struct iovec out[2])
{
	if (len == 0)
		return 0;
	uint32_t at = (f->head + offset) & (f->size - 1);
	uint32_t first = (uint32_t)min_u64(len, f->size - at);

	out[0] = (struct iovec){ f->data + at, first };
	out[1] = (struct iovec){ f->data, len - first };
	return len > first ? 2 : 1;
}

/* Make room for 'more' bytes; what is there moves to the front of a new ring. */
static int grow(struct vsock_fifo *f, uint64_t *budget, uint32_t more)
{
	struct iovec old[2];
	uint64_t size = f->size ? f->size : FIRST_SIZE;

	while (size - f->len < more && size < UINT64_C(1) << SIZE_MAX_LOG2)
		size *= 2;
	if (size - f->len < more || size - f->size > *budget)
		return -ENOMEM;
	uint8_t *data = malloc(size);
	if (!data)
		return -ENOMEM;
	iov_read(old, vsock_fifo_peek(f, 0, f->len, old), 0, data, f->len);
	free(f->data);
	*budget -= size - f->size;
	f->data = data;
	f->size = (uint32_t)size;
	f->head = 0;
	return 0;
}

int vsock_fifo_put(struct vsock_fifo *f, uint64_t *budget, const struct iovec *iov, unsigned n,
		   size_t offset, uint32_t len)
{
	struct iovec room[2];
	uint32_t at = f->len;

	if (len > f->size - f->len) {
		int r = grow(f, budget, len);
		if (r < 0)
			return r;
	}
	unsigned pieces = vsock_fifo_peek(f, at, len, room);
	for (unsigned i = 0; i < pieces; i++) {
		iov_read(iov, n, offset, room[i].iov_base, room[i].iov_len);
		offset += room[i].iov_len;
	}
	f->len += len;
	return 0;
}

void vsock_fifo_poke(struct vsock_fifo *f, uint32_t offset, const void *buf, uint32_t len)
{
	struct iovec part[2];

	iov_write(part, vsock_fifo_peek(f, offset, len, part), 0, buf, len);
}

void vsock_fifo_drop(struct vsock_fifo *f, uint64_t *budget, uint32_t len)
{
	f->len -= len;
	if (f->len > 0)
		f->head = (f->head + len) & (f->size - 1);
	else
		vsock_fifo_clear(f, budget);
}

void vsock_fifo_clear(struct vsock_fifo *f, uint64_t *budget)
{
	free(f->data);
	*budget += f->size;
	*f = (struct vsock_fifo){ 0 };
}
