/*
 * Chains of a device behind an IOMMU: what keeps the pieces of memory that they consist of.  From
 * the pop of a chain to its push each mapping that it uses has a pin, so that the guest's request
 * to unmap it is not answered before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "virtio/virtqueue_impl.h"
#include "vmm/base/error.h"

/* Each chain has room for so many pins beyond the dense ones. */
enum { LONG_PINS = PIECES_MAX - CHAIN_SHORT };

struct virtqueue_pieces {
	struct dma_cache cache;
	struct iommu_mapping **short_pin;	/* CHAIN_SHORT for each head */
	struct iommu_mapping **long_pin;	/* LONG_PINS for each, untouched until needed */
	uint8_t *table;				/* a copy of an indirect table */
};

static size_t long_bytes(const struct virtqueue *q)
{
	return (size_t)q->size * LONG_PINS * sizeof(struct iommu_mapping *);
}

int pieces_create(struct virtqueue *q)
{
	struct virtqueue_pieces *p = calloc(1, sizeof(*p));

	q->pieces = p;
	if (!p)
		return error_set(ENOMEM, "allocate a queue behind an IOMMU");
	p->short_pin = calloc((size_t)q->size * CHAIN_SHORT, sizeof(*p->short_pin));
	p->table = calloc(q->size, DESC_SIZE);
	void *pins = mmap(NULL, long_bytes(q), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (pins != MAP_FAILED)
		p->long_pin = pins;
	if (!p->short_pin || !p->table || !p->long_pin)
		return error_set(ENOMEM, "allocate a queue of %u behind an IOMMU", q->size);
	return 0;
}

void pieces_destroy(struct virtqueue *q)
{
	struct virtqueue_pieces *p = q->pieces;

	if (!p)
		return;
	for (unsigned head = 0; q->head && head < q->size; head++)
		if (q->head[head].state == HEAD_OUT)
			pieces_end(q, (uint16_t)head);
	if (p->long_pin)
		munmap(p->long_pin, long_bytes(q));
	free(p->table);
	free(p->short_pin);
	free(p);
	q->pieces = NULL;
}

static struct iommu_mapping **pin_at(const struct virtqueue *q, uint16_t head, unsigned n)
{
	const struct virtqueue_pieces *p = q->pieces;

	if (n < CHAIN_SHORT)
		return &p->short_pin[(size_t)head * CHAIN_SHORT + n];
	return &p->long_pin[(size_t)head * LONG_PINS + n - CHAIN_SHORT];
}

void pieces_begin(struct virtqueue *q, uint16_t head)
{
	q->head[head].era = (uint8_t)dma_enter(q->dma);
	q->head[head].n_pins = 0;
}

void pieces_end(struct virtqueue *q, uint16_t head)
{
	struct virtqueue_head *h = &q->head[head];

	for (unsigned i = 0; i < h->n_pins; i++)
		dma_unpin(*pin_at(q, head, i));
	h->n_pins = 0;
	dma_leave(q->dma, h->era);
}

/* Returns false if the chain has too many. */
static bool keep(struct virtqueue *q, uint16_t head, struct iommu_mapping *pin)
{
	struct virtqueue_head *h = &q->head[head];

	/* Identity needs none; and what is next to each other is often in the same mapping. */
	if (pin && h->n_pins > 0 && *pin_at(q, head, h->n_pins - 1u) == pin) {
		dma_unpin(pin);
		return true;
	}
	if (pin && h->n_pins == PIECES_MAX) {
		dma_unpin(pin);
		return false;
	}
	if (pin)
		*pin_at(q, head, h->n_pins++) = pin;
	return true;
}

enum vq_fault pieces_next(struct virtqueue *q, uint16_t head, uint64_t addr, struct iovec *iov,
			  bool write)
{
	uint64_t len = iov->iov_len;
	struct iommu_mapping *pin;

	iov->iov_base = dma_pin(q->dma, &q->pieces->cache, addr, &len,
				write ? DMA_FROM_DEVICE : DMA_TO_DEVICE, &pin);
	iov->iov_len = len;
	if (!iov->iov_base)
		return VQ_FAULT_ADDRESS;
	return keep(q, head, pin) ? VQ_FAULT_NONE : VQ_FAULT_PIECES;
}

const uint8_t *pieces_copy_table(struct virtqueue *q, uint64_t addr, uint32_t len)
{
	uint8_t *table = q->pieces->table;

	if (len - 1 > UINT64_MAX - addr)
		return NULL;
	for (uint64_t done = 0, n; done < len; done += n) {
		struct iommu_mapping *pin;

		n = len - done;
		const void *from = dma_pin(q->dma, &q->pieces->cache, addr + done, &n,
					   DMA_TO_DEVICE, &pin);
		if (!from)
			return NULL;
		memcpy(table + done, from, n);
		if (pin)
			dma_unpin(pin);
	}
	return table;
}
