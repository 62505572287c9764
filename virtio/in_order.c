/*
 * VIRTIO_F_IN_ORDER: whatever order a model answers in, the driver gets its buffers back in the
 * order in which it made them available.  An answer that comes too early waits here until all older
 * ones are there.  Every buffer gets its own used entry with its exact length; the batching that
 * the specification allows is left out, because it would claim that buffers were written in full.
 *
 * virtio-v1.4 2.7.9 "In-order use of descriptors", 2.8.8 "In-order use of descriptors".
 */
#include <assert.h>

#include "virtio/virtqueue_impl.h"

/* The place of the i-th oldest. */
static unsigned place(const struct virtqueue *q, unsigned i)
{
	unsigned at = q->order.first + i;

	return at < q->size ? at : at - q->size;
}

void head_order_add(struct virtqueue *q, uint16_t head)
{
	/* Each of the 'size' heads is in here once at most. */
	assert(q->order.n < q->size);
	q->order.head[place(q, q->order.n)] = head;
	q->order.n++;
}

void head_order_take_back(struct virtqueue *q, uint16_t head)
{
	assert(q->order.n > 0 && q->order.head[place(q, q->order.n - 1u)] == head);
	(void)head;
	q->order.n--;
}

static void remove_oldest(struct virtqueue *q)
{
	q->order.first = (uint16_t)place(q, 1);
	q->order.n--;
}

void head_order_complete(struct virtqueue *q, uint16_t head, uint32_t written)
{
	if (q->order.head[q->order.first] != head) {
		q->head[head].written = written;
		q->head[head].state = HEAD_DONE;
		return;
	}
	remove_oldest(q);
	q->ring->use(q, head, written);
	while (q->order.n > 0) {
		uint16_t oldest = q->order.head[q->order.first];
		struct virtqueue_head *h = &q->head[oldest];

		if (h->state != HEAD_DONE)
			return;
		h->state = HEAD_FREE;
		remove_oldest(q);
		q->ring->use(q, oldest, h->written);
	}
}
