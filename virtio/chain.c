/*
 * From descriptors to iovecs: the gate at which everything that a driver says about a buffer is
 * judged.  A descriptor is copied out of guest memory once, and only the copy is looked at.
 *
 * virtio-v1.4 2.7.5 "The Virtqueue Descriptor Table", 2.7.5.3 "Indirect Descriptors",
 * 2.8.6 "Next Flag: Descriptor Chaining", 2.8.7 "Indirect Flag: Scatter-Gather Support".
 */
#include "virtio/chain.h"

#include <stdatomic.h>
#include <string.h>

#include "virtio/virtqueue_impl.h"
#include "vmm/base/le.h"

/*
 * A copy.  The second half holds len (32 bits from below), then split: flags and next, packed: id
 * and flags (16 bits each).  It stays in one piece, because that is what fits into registers.
 */
struct descriptor {
	uint64_t addr, half;
};

static uint32_t desc_len(struct descriptor d)
{
	return (uint32_t)d.half;
}

/* Bits without a name are ignored. */
static unsigned split_flags(struct descriptor d)
{
	return (uint16_t)(d.half >> 32);
}

static unsigned split_next(struct descriptor d)
{
	return (unsigned)(d.half >> 48);
}

static unsigned packed_id(struct descriptor d)
{
	return (uint16_t)(d.half >> 32);
}

static unsigned packed_flags(struct descriptor d)
{
	return (unsigned)(d.half >> 48);
}

static struct descriptor read_descriptor(const uint8_t *table, uint32_t index)
{
	const uint8_t *at = table + (size_t)index * DESC_SIZE;
	uint64_t half, addr;

	/*
	 * The driver can write there at any time: keep the compiler from loading a field again.
	 * And from loading both halves as a vector, which it would take apart through memory.
	 */
	half = load_le64(at + 8);
	atomic_signal_fence(memory_order_seq_cst);
	addr = load_le64(at);
	atomic_signal_fence(memory_order_seq_cst);
	return (struct descriptor){ .addr = addr, .half = half };
}

/* The chain as far as it was walked. */
struct builder {
	struct virtqueue *q;
	struct iovec *iov;
	unsigned n, n_in;		/* segments in all, and the writable ones among them */
	uint64_t len, in_len;
	unsigned slots;			/* packed: descriptors of the ring */
	uint16_t id;			/* packed */
	uint16_t head;
};

static struct builder begin(struct virtqueue *q, uint16_t head)
{
	if (q->pieces)
		pieces_begin(q, head);
	return (struct builder){
		.q = q,
		.head = head,
		.iov = q->short_iov + (size_t)head * CHAIN_SHORT,
	};
}

static enum vq_fault finish(const struct builder *b, enum vq_fault fault, struct chain *c)
{
	unsigned n_out = b->n - b->n_in;

	if (fault != VQ_FAULT_NONE) {
		if (b->q->pieces)
			pieces_end(b->q, b->head);
		return fault;
	}

	*c = (struct chain){
		.head = b->head,
		.n_out = (uint16_t)n_out,
		.n_in = (uint16_t)b->n_in,
		.out = b->iov,
		.in = b->iov + n_out,
		.out_len = b->len - b->in_len,
		.in_len = b->in_len,
	};
	return VQ_FAULT_NONE;
}

/*
 * The chain outgrew the dense storage of its head.  No queue whose 'iov_max' is CHAIN_SHORT or less
 * gets here: no chain has more segments than its queue has descriptors, unless they are in pieces.
 */
static struct iovec *move_to_long(const struct virtqueue *q, uint16_t head)
{
	struct iovec *iov = q->long_iov + (size_t)head * q->iov_max;

	return memcpy(iov, q->short_iov + (size_t)head * CHAIN_SHORT, CHAIN_SHORT * sizeof(*iov));
}

static inline void add_iovec(struct builder *b, void *host, uint64_t len, bool write)
{
	if (b->n == CHAIN_SHORT)
		b->iov = move_to_long(b->q, b->head);
	b->iov[b->n++] = (struct iovec){ .iov_base = host, .iov_len = len };
	b->len += len;
	if (write) {
		b->n_in++;
		b->in_len += len;
	}
}

/* Behind an IOMMU a segment may be several pieces; those that follow each other are one iovec. */
static __attribute__((noinline, cold)) enum vq_fault add_pieces(struct builder *b, uint64_t addr,
								uint64_t len, bool write)
{
	struct iovec next, *last = NULL;

	if (len - 1 > UINT64_MAX - addr)
		return VQ_FAULT_ADDRESS;
	for (; len > 0; len -= next.iov_len, addr += next.iov_len) {
		next.iov_len = len;
		enum vq_fault fault = pieces_next(b->q, b->head, addr, &next, write);

		if (fault != VQ_FAULT_NONE)
			return fault;
		if (last && (uint8_t *)last->iov_base + last->iov_len == next.iov_base) {
			last->iov_len += next.iov_len;
			b->len += next.iov_len;
			b->in_len += write ? next.iov_len : 0;
			continue;
		}
		if (b->n == b->q->iov_max)
			return VQ_FAULT_PIECES;
		add_iovec(b, next.iov_base, next.iov_len, write);
		last = &b->iov[b->n - 1];
	}
	return VQ_FAULT_NONE;
}

static inline enum vq_fault add_segment(struct builder *b, struct descriptor d, bool write)
{
	uint32_t len = desc_len(d);

	/* virtio-v1.4 2.7.4.2 "Driver Requirements: Message Framing": readable ones come first */
	if (!write && b->n_in > 0)
		return VQ_FAULT_ORDER;
	if (len == 0)
		return VQ_FAULT_NONE;
	if (b->len + len > UINT32_MAX)
		return VQ_FAULT_LENGTH;
	void *host = dma_map(b->q->dma, d.addr, len, write ? DMA_FROM_DEVICE : DMA_TO_DEVICE);
	if (!host)
		return b->q->pieces ? add_pieces(b, d.addr, len, write) : VQ_FAULT_ADDRESS;
	add_iovec(b, host, len, write);
	return VQ_FAULT_NONE;
}

/*
 * Judge the descriptor of an indirect table, but for the address; DESC_F_WRITE means nothing there.
 * A table has no more entries than the queue has descriptors.
 */
static bool may_be_table(const struct virtqueue *q, struct descriptor d, unsigned flags)
{
	uint32_t len = desc_len(d);

	return q->indirect && !(flags & DESC_F_NEXT) && len > 0 && len % DESC_SIZE == 0 &&
	       len / DESC_SIZE <= q->size;
}

/* What it holds; NULL: it is not in memory. */
static inline const uint8_t *open_table(struct virtqueue *q, struct descriptor d)
{
	const uint8_t *table = dma_map(q->dma, d.addr, desc_len(d), DMA_TO_DEVICE);

	return table || !q->pieces ? table : pieces_copy_table(q, d.addr, desc_len(d));
}

static enum vq_fault walk_split(struct builder *b)
{
	struct virtqueue *q = b->q;
	const uint8_t *table = q->split.desc;
	uint32_t size = q->size, index = b->head;
	bool inside = false;
	enum vq_fault fault;

	/*
	 * A chain has at most as many buffers as the queue has descriptors, also through an
	 * indirect table; one that goes on has a loop.
	 */
	for (unsigned n = 0; n < q->size;) {
		struct descriptor d = read_descriptor(table, index);
		unsigned flags = split_flags(d);

		if (flags & DESC_F_INDIRECT) {
			/* It ends the chain; direct descriptors may have come before. */
			if (inside || !may_be_table(q, d, flags))
				return VQ_FAULT_INDIRECT;
			size = desc_len(d) / DESC_SIZE;
			table = open_table(q, d);
			if (!table)
				return VQ_FAULT_ADDRESS;
			inside = true;
			index = 0;
			continue;
		}
		fault = add_segment(b, d, flags & DESC_F_WRITE);
		if (fault != VQ_FAULT_NONE)
			return fault;
		if (!(flags & DESC_F_NEXT))
			return VQ_FAULT_NONE;
		index = split_next(d);
		if (index >= size)
			return VQ_FAULT_NEXT;
		n++;
	}
	return VQ_FAULT_LOOP;
}

enum vq_fault chain_load_split(struct virtqueue *q, uint16_t head, struct chain *c)
{
	struct builder b = begin(q, head);

	return finish(&b, walk_split(&b), c);
}

/*
 * 'd' is the first descriptor and available.  Those behind it have to be available, too: the
 * driver flips the first one last.  Entries of an indirect table come one after the other, and of
 * all their flags only WRITE means something, so that nothing can be nested.
 */
static enum vq_fault walk_packed(struct builder *b, struct descriptor d)
{
	struct virtqueue *q = b->q;
	const struct packed_ring *p = &q->packed;
	const uint8_t *table = p->desc;
	uint32_t room = (uint32_t)q->size - p->slots_out, size = q->size, at = p->avail_slot;
	unsigned lap = p->avail_flags;
	bool inside = packed_flags(d) & DESC_F_INDIRECT;
	enum vq_fault fault;

	/* What is available there now, this side has not even given back. */
	if (room == 0)
		return VQ_FAULT_AVAIL_INDEX;
	b->slots = 1;
	b->id = (uint16_t)packed_id(d);
	if (inside) {
		if (!may_be_table(q, d, packed_flags(d)))
			return VQ_FAULT_INDIRECT;
		size = desc_len(d) / DESC_SIZE;
		table = open_table(q, d);
		if (!table)
			return VQ_FAULT_ADDRESS;
		at = 0;
		d = read_descriptor(table, at);
	}
	for (;;) {
		unsigned flags = packed_flags(d);

		fault = add_segment(b, d, flags & DESC_F_WRITE);
		if (fault != VQ_FAULT_NONE)
			return fault;
		if (inside) {
			if (++at == size)
				return VQ_FAULT_NONE;
			d = read_descriptor(table, at);
			continue;
		}
		if (!(flags & DESC_F_NEXT))
			break;
		if (b->slots == size)
			return VQ_FAULT_LOOP;
		if (b->slots == room)
			return VQ_FAULT_NOT_AVAILABLE;
		b->slots++;
		if (++at == size) {
			at = 0;
			lap ^= DESC_F_LAP;
		}
		d = read_descriptor(table, at);
		if ((packed_flags(d) & DESC_F_LAP) != lap)
			return VQ_FAULT_NOT_AVAILABLE;
		/*
		 * Alone, never within a list.  virtio-v1.4 2.8.19 "Driver Requirements: Indirect
		 * Descriptors"
		 */
		if (packed_flags(d) & DESC_F_INDIRECT)
			return VQ_FAULT_INDIRECT;
	}
	/* The buffer's name is in the last descriptor of the list. */
	b->id = (uint16_t)packed_id(d);
	return VQ_FAULT_NONE;
}

enum vq_fault chain_load_packed(struct virtqueue *q, uint16_t head, uint64_t half,
				struct chain *c)
{
	const struct packed_ring *p = &q->packed;
	struct descriptor d = {
		.addr = load_le64(p->desc + (size_t)p->avail_slot * DESC_SIZE),
		.half = le64toh(half),
	};
	struct builder b = begin(q, head);

	atomic_signal_fence(memory_order_seq_cst);
	enum vq_fault fault = walk_packed(&b, d);

	q->head[head].id = b.id;
	q->head[head].slots = (uint16_t)b.slots;
	return finish(&b, fault, c);
}
