/*
 * The inside of a virtqueue, shared by virtqueue.c (the verbs), split.c and packed.c (the rings),
 * in_order.c, chain.c (the descriptors) and pieces.c (those of devices behind an IOMMU).  Nobody
 * else includes it.
 */
#ifndef VIRTIO_VIRTQUEUE_IMPL_H
#define VIRTIO_VIRTQUEUE_IMPL_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#include "virtio/virtqueue.h"
#include "vmm/base/cycles.h"
#include "vmm/base/fd.h"

/* Chains of up to CHAIN_SHORT segments use the dense storage; most chains are shorter. */
enum { CHAIN_SHORT = 8 };

/* Behind an IOMMU: of so many pieces of memory a chain may consist, which suits preadv(2). */
enum { PIECES_MAX = 1024 };

/* virtio-v1.4 2.8.13 "The Virtqueue Descriptor Format" (packed); split has the first three */
enum {
	DESC_SIZE = 16,
	DESC_F_NEXT = 1,
	DESC_F_WRITE = 2,
	DESC_F_INDIRECT = 4,
	DESC_F_AVAIL = 1 << 7,
	DESC_F_USED = 1 << 15,
	DESC_F_LAP = DESC_F_AVAIL | DESC_F_USED,	/* what a wrap counter flips */
};

enum head_state {
	HEAD_FREE,
	HEAD_OUT,			/* popped */
	HEAD_DONE,			/* pushed, but an older one is not: in order only */
};

/* One per chain that may be out; chain.head is the index. */
struct virtqueue_head {
	uint32_t writable;		/* bytes that may be reported as written */
	uint32_t readable;		/* bytes that the driver had written */
	uint32_t written;		/* what the push said, while HEAD_DONE */
	uint16_t id;			/* packed: the driver's name of the buffer */
	uint16_t slots;			/* packed: how many descriptors of the ring it took */
	uint16_t n_pins;		/* behind an IOMMU, as the next one */
	uint8_t era;
	uint8_t state;
	uint64_t since;			/* when it was popped (cycles.h), if it is timed; else 0 */
};

/*
 * virtio-v1.4 2.7 "Split Virtqueues": the fields of the two rings, in guest memory, and our
 * free-running indexes; none is ever read back from what the driver could have changed.
 */
struct split_ring {
	const uint8_t *desc;
	_Atomic uint16_t *avail_flags, *avail_idx, *used_event;
	_Atomic uint16_t *used_flags, *used_idx, *avail_event;
	const uint8_t *avail_entry;
	uint8_t *used_entry;
	uint16_t mask;
	uint16_t avail_next;		/* the next entry to pop */
	uint16_t avail_seen;		/* the driver's index as last loaded and judged */
	uint16_t used_next;		/* the next entry to push */
	uint16_t used_published;	/* the index that the driver can see */
	uint16_t armed_at;		/* avail_event as last written, while 'armed' */
};

/*
 * virtio-v1.4 2.8 "Packed Virtqueues": one ring of slots, which both sides go round.  What a flag
 * means depends on the lap, so the flags to compare with and to write are kept instead of the
 * wrap counters.
 */
struct packed_ring {
	uint8_t *desc;
	_Atomic uint32_t *driver_event, *device_event;
	uint16_t avail_slot;		/* of the next list to pop */
	uint16_t avail_flags;		/* AVAIL and USED of an available slot there */
	uint16_t used_slot;		/* of the next used descriptor */
	uint16_t used_flags;		/* AVAIL and USED of a used slot there */
	uint16_t slots_out;		/* popped, and not given back in the driver's eyes */
	uint16_t slots_unpublished;	/* of these: pushed since the last publish */
	_Atomic uint64_t *first;	/* of the unpublished ones: where its second half belongs */
	uint64_t first_half;		/* and what will be there */
	uint32_t armed_with;		/* device_event as last written, while 'armed' */
	uint16_t *free_head;		/* a stack of the heads that are HEAD_FREE */
	uint16_t n_free;
};

/* VIRTIO_F_IN_ORDER: the heads that are out, oldest first. */
struct head_order {
	uint16_t *head;			/* 'size' entries, used as a ring; NULL: any order goes */
	uint16_t first, n;
};

/*
 * What a layout of the ring does, apart from the verbs.
 *
 *   init      judge and map the areas and the position to begin at: 0 or -EINVAL with a chain.
 *   untake    the opposite of the last pop, but for what all layouts have in common.
 *   use       write the used entry of 'head', not yet visible; the head is free now.
 *   wants_call  does the driver want to be called for one of the last 'n' that were published?
 *   position  where it stands, as the vhost interface encodes it.
 */
struct ring_ops {
	struct virtqueue_ops verbs;
	int (*init)(struct virtqueue *q, const struct virtqueue_config *config);
	void (*untake)(struct virtqueue *q, uint16_t head);
	void (*use)(struct virtqueue *q, uint16_t head, uint32_t written);
	bool (*wants_call)(const struct virtqueue *q, unsigned n);
	struct virtqueue_position (*position)(const struct virtqueue *q);
};

extern const struct ring_ops split_ring_ops, packed_ring_ops;

struct virtqueue {
	struct virtqueue_face face;
	const struct ring_ops *ring;
	uint16_t size;
	bool packed_layout, event_idx, indirect;
	bool armed, suppressed;
	union {
		struct split_ring split;
		struct packed_ring packed;
	};

	struct virtqueue_head *head;	/* 'size' entries */
	struct iovec *short_iov;	/* CHAIN_SHORT entries for each head */
	struct iovec *long_iov;		/* 'iov_max' for each head, untouched until needed */
	unsigned iov_max;
	struct head_order order;
	const struct dma *dma;
	struct dma_hold area[3];	/* the ring's areas */
	unsigned n_areas;
	struct virtqueue_pieces *pieces;	/* NULL: the device is behind no IOMMU */

	struct virtqueue_call call;
	struct virtqueue_hold *hold;	/* NULL: calls are not put off */
	unsigned held;			/* published since the call that is put off; 0: none is */
	void (*broken)(void *arg, enum vq_fault fault);
	void *broken_arg;
};

static_assert(offsetof(struct virtqueue, face) == 0, "what virtqueue_face() goes by");

/*
 * Map one area of the ring of 'q'; 'name' is for the error chain.  Returns 0 or -EINVAL with an
 * error chain.
 */
MUST_USE int virtqueue_map_area(struct virtqueue *q, void **out, const char *name, uint64_t addr,
				uint64_t len, uint64_t align, enum dma_dir dir);

/*
 * For queues of devices behind an IOMMU (pieces.c).  pieces_next() maps the beginning of a range of
 * 'iov->iov_len' bytes and has it kept until pieces_end(), which belongs to each pieces_begin().
 * pieces_copy_table() returns a copy of an indirect table (at most 'size' entries), good until the
 * next one, or NULL.
 */
MUST_USE int pieces_create(struct virtqueue *q);
void pieces_destroy(struct virtqueue *q);
void pieces_begin(struct virtqueue *q, uint16_t head);
void pieces_end(struct virtqueue *q, uint16_t head);
enum vq_fault pieces_next(struct virtqueue *q, uint16_t head, uint64_t addr, struct iovec *iov,
			  bool write);
const uint8_t *pieces_copy_table(struct virtqueue *q, uint64_t addr, uint32_t len);

/* Remember that 'head' was popped / that the last one popped was not, after all. */
void head_order_add(struct virtqueue *q, uint16_t head);
void head_order_take_back(struct virtqueue *q, uint16_t head);

/* 'head' is done: use it and what waited for it, or have it wait for an older one. */
void head_order_complete(struct virtqueue *q, uint16_t head, uint32_t written);

/* The driver broke a rule: the queue is broken from now on, and whoever made it hears of that. */
enum vq_pop virtqueue_break(struct virtqueue *q, enum vq_fault fault);

/* What every layout does once it has filled in 'c' ... */
static inline enum vq_pop head_pop(struct virtqueue *q, const struct chain *c)
{
	struct virtqueue_head *h = &q->head[c->head];

	h->writable = (uint32_t)c->in_len;
	h->readable = (uint32_t)c->out_len;
	h->state = HEAD_OUT;
	if (--q->face.until_timed == 0) {
		q->face.until_timed = QUEUE_STATS_SAMPLE;
		h->since = cycles_now();
	}
	if (q->order.head)
		head_order_add(q, c->head);
	queue_stats_add(&q->face.stats.chains, 1);
	return VQ_CHAIN;
}

/* ... and when a head is pushed.  Returns whether it is to be used now, with '*written'. */
static inline bool head_push(struct virtqueue *q, uint16_t head, uint32_t *written)
{
	struct virtqueue_head *h = &q->head[head];
	struct queue_stats *s = &q->face.stats;

	assert(head < q->size && h->state == HEAD_OUT);
	h->state = HEAD_FREE;
	if (h->since) {
		queue_stats_time_since(s, h->since);
		h->since = 0;
	}
	if (q->pieces)
		pieces_end(q, head);
	queue_stats_add(&s->requests, 1);
	if (q->face.fault != VQ_FAULT_NONE)
		return false;
	/* Never claim more than there was: a driver would take stale memory for data. */
	if (*written > h->writable)
		*written = h->writable;
	queue_stats_add(&s->bytes_out, h->readable);
	queue_stats_add(&s->bytes_in, *written);
	if (!q->order.head)
		return true;
	head_order_complete(q, head, *written);
	return false;
}

/* Notify the driver. */
static inline void virtqueue_signal(struct virtqueue *q)
{
	queue_stats_add(&q->face.stats.calls, 1);
	if (q->call.isr)
		atomic_fetch_or(q->call.isr, q->call.isr_bits);
	fd_signal(q->call.fd);
}

/* With a 'hold': 'n' (buffers or descriptors) were published. */
void virtqueue_hold_call(struct virtqueue *q, unsigned n);

/*
 * Walk the chain that begins at descriptor 'head' of a split ring and fill in 'c'.  Returns
 * VQ_FAULT_NONE, or what is wrong with the chain; 'c' is not to be used then.
 */
enum vq_fault chain_load_split(struct virtqueue *q, uint16_t head, struct chain *c);

/*
 * The same for the list at the next available slot of a packed ring, stored under 'head', whose
 * 'id' and 'slots' are filled in.  'half' is the second half of its first descriptor as it was
 * when found to be available (little-endian).
 */
enum vq_fault chain_load_packed(struct virtqueue *q, uint16_t head, uint64_t half,
				struct chain *c);

#endif
