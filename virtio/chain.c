/*
 * From descriptors to iovecs: the gate at which everything that a driver says about a buffer is
 * judged.  A descriptor is copied out of guest memory once, and only the copy is looked at.
 *
 * virtio-v1.4 2.7.5 "The Virtqueue Descriptor Table", 2.7.5.3 "Indirect Descriptors".
 */
#include "virtio/chain.h"

#include <stdatomic.h>
#include <string.h>

#include "virtio/virtqueue_impl.h"
#include "vmm/base/le.h"

enum {
	DESC_SIZE = 16,
	DESC_F_NEXT = 1,
	DESC_F_WRITE = 2,
	DESC_F_INDIRECT = 4,
};

struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;			/* bits without a name are ignored */
	uint16_t next;			/* means something with DESC_F_NEXT only */
};

/* A table that is being walked: the queue's own, or an indirect one. */
struct table {
	const uint8_t *base;
	uint32_t size;
	bool indirect;
};

/* The chain as far as it was walked. */
struct builder {
	struct virtqueue *q;
	uint16_t head;
	struct iovec *iov;
	unsigned capacity;
	unsigned n_out, n_in;
	uint64_t out_len, in_len;
};

static struct descriptor read_descriptor(const struct table *table, uint32_t index)
{
	uint8_t copy[DESC_SIZE];

	memcpy(copy, table->base + (size_t)index * DESC_SIZE, DESC_SIZE);
	/* The driver can write there at any time: keep the compiler from loading a field again. */
	atomic_signal_fence(memory_order_seq_cst);
	return (struct descriptor){
		.addr = load_le64(copy),
		.len = load_le32(copy + 8),
		.flags = load_le16(copy + 12),
		.next = load_le16(copy + 14),
	};
}

/* The chain outgrew the dense storage of its head. */
static void move_to_long(struct builder *b)
{
	struct iovec *iov = b->q->long_iov + (size_t)b->head * b->q->size;

	memcpy(iov, b->iov, b->capacity * sizeof(*iov));
	b->iov = iov;
	b->capacity = b->q->size;
}

static enum vq_fault add_segment(struct builder *b, const struct descriptor *d)
{
	bool write = d->flags & DESC_F_WRITE;

	/* virtio-v1.4 2.7.4.2 "Driver Requirements: Message Framing": readable ones come first */
	if (!write && b->n_in > 0)
		return VQ_FAULT_ORDER;
	if (d->len == 0)
		return VQ_FAULT_NONE;
	if (b->out_len + b->in_len + d->len > UINT32_MAX)
		return VQ_FAULT_LENGTH;
	void *host = dma_map(b->q->dma, d->addr, d->len, write ? DMA_FROM_DEVICE : DMA_TO_DEVICE);
	if (!host)
		return VQ_FAULT_ADDRESS;

	unsigned n = b->n_out + b->n_in;
	if (n == b->capacity)
		move_to_long(b);
	b->iov[n] = (struct iovec){ .iov_base = host, .iov_len = d->len };
	if (write) {
		b->n_in++;
		b->in_len += d->len;
	} else {
		b->n_out++;
		b->out_len += d->len;
	}
	return VQ_FAULT_NONE;
}

/*
 * 'd' names an indirect table, which ends the chain.  DESC_F_WRITE means nothing here; direct
 * descriptors may have come before.
 */
static enum vq_fault enter_indirect(const struct virtqueue *q, struct table *table,
				    const struct descriptor *d)
{
	uint32_t size = d->len / DESC_SIZE;

	if (!q->indirect || table->indirect || d->flags & DESC_F_NEXT)
		return VQ_FAULT_INDIRECT;
	if (size == 0 || size > q->size || d->len % DESC_SIZE != 0)
		return VQ_FAULT_INDIRECT;
	const void *base = dma_map(q->dma, d->addr, d->len, DMA_TO_DEVICE);
	if (!base)
		return VQ_FAULT_ADDRESS;
	*table = (struct table){ .base = base, .size = size, .indirect = true };
	return VQ_FAULT_NONE;
}

static enum vq_fault walk(struct builder *b)
{
	const struct virtqueue *q = b->q;
	struct table table = { .base = q->split.desc, .size = q->size };
	enum vq_fault fault;
	uint32_t index = b->head;

	/*
	 * A chain has at most as many buffers as the queue has descriptors, also through an
	 * indirect table; one that goes on has a loop.
	 */
	for (unsigned n = 0; n < q->size;) {
		struct descriptor d = read_descriptor(&table, index);

		if (d.flags & DESC_F_INDIRECT) {
			fault = enter_indirect(q, &table, &d);
			if (fault != VQ_FAULT_NONE)
				return fault;
			index = 0;
			continue;
		}
		fault = add_segment(b, &d);
		if (fault != VQ_FAULT_NONE)
			return fault;
		if (!(d.flags & DESC_F_NEXT))
			return VQ_FAULT_NONE;
		if (d.next >= table.size)
			return VQ_FAULT_NEXT;
		index = d.next;
		n++;
	}
	return VQ_FAULT_LOOP;
}

enum vq_fault chain_load(struct virtqueue *q, uint16_t head, struct chain *c)
{
	struct builder b = {
		.q = q,
		.head = head,
		.iov = q->short_iov + (size_t)head * CHAIN_SHORT,
		.capacity = CHAIN_SHORT,
	};
	enum vq_fault fault = walk(&b);

	if (fault != VQ_FAULT_NONE)
		return fault;
	*c = (struct chain){
		.head = head,
		.n_out = (uint16_t)b.n_out,
		.n_in = (uint16_t)b.n_in,
		.out = b.iov,
		.in = b.iov + b.n_out,
		.out_len = b.out_len,
		.in_len = b.in_len,
	};
	return VQ_FAULT_NONE;
}
