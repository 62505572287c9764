/*
 * A virtqueue as the device side works with it: pop chains, push them back, flush.  The verbs
 * hide the ring's layout (split or packed) and whether the driver wants its buffers back in order.
 * Everything here belongs to the loop that owns the ring between start and stop; no lock is taken.
 *
 * virtio-v1.4 2.6 "Virtqueues", 2.7 "Split Virtqueues", 2.8 "Packed Virtqueues".
 */
#ifndef VIRTIO_VIRTQUEUE_H
#define VIRTIO_VIRTQUEUE_H

#include <stdatomic.h>

#include "virtio/chain.h"
#include "virtio/features.h"
#include "virtio/queue_stats.h"
#include "vmm/base/util.h"
#include "vmm/machine/dma.h"

struct virtqueue;

/*
 * Where the used-buffer notification goes: an eventfd, and for transports without per-queue
 * vectors an interrupt status register whose 'isr_bits' are set before the signal.
 */
struct virtqueue_call {
	int fd;				/* borrowed */
	_Atomic uint32_t *isr;		/* or NULL */
	uint32_t isr_bits;
};

enum vq_pop { VQ_EMPTY, VQ_CHAIN, VQ_BROKEN };

/* What a driver did wrong with the ring; the first one is kept. */
enum vq_fault {
	VQ_FAULT_NONE,
	VQ_FAULT_AVAIL_INDEX,		/* more is available than the queue is long, or less
					 * than before */
	VQ_FAULT_HEAD,			/* head index >= queue size */
	VQ_FAULT_HEAD_IN_FLIGHT,	/* the same head made available twice */
	VQ_FAULT_NEXT,			/* next index >= table size */
	VQ_FAULT_LOOP,			/* longer than the queue */
	VQ_FAULT_ADDRESS,		/* buffer not in RAM, or not mapped by the IOMMU */
	VQ_FAULT_ORDER,			/* device-readable after device-writable */
	VQ_FAULT_INDIRECT,		/* nested, bad length, not negotiated, NEXT beside it */
	VQ_FAULT_LENGTH,		/* more than 2^32 - 1 bytes in all */
	VQ_FAULT_PIECES,		/* behind an IOMMU: too many pieces of memory */
	VQ_FAULT_NOT_AVAILABLE,		/* packed: a list goes on into a slot that is not */
};

/* What the driver configured.  Judged by virtqueue_create. */
struct virtqueue_config {
	uint16_t size;
	uint64_t desc, driver, device;	/* guest addresses of the three areas */
	struct features features;	/* accepted: RING_PACKED, IN_ORDER, ... decide here */
	const struct dma *dma;		/* keeps */
	struct virtqueue_call call;
	/*
	 * Where to begin if 'resume' is set, as the vhost interface encodes it: split, the two
	 * free-running indexes; packed, slots with the wrap counter in bit 15.  A fresh ring
	 * begins where its layout says.
	 */
	bool resume;
	uint16_t avail_base, used_base;
	/* Optional: called once, by the virtqueue_pop that finds the queue broken. */
	void (*broken)(void *arg, enum vq_fault fault);
	void *broken_arg;
};

/* Where a ring stands: what 'resume' wants to go on there. */
struct virtqueue_position {
	uint16_t avail;			/* of the next chain to pop */
	uint16_t used;			/* of the next used entry that the driver will see */
};

/*
 * What a ring's layout does (split.c, packed.c); the verbs below, which go there directly, say what
 * each means.  None but 'push' is called when the queue is broken, and none of the others but
 * 'flush' when it is paused.
 */
struct virtqueue_ops {
	enum vq_pop (*pop)(struct virtqueue *q, struct chain *c);
	void (*push)(struct virtqueue *q, uint16_t head, uint32_t written);
	void (*flush)(struct virtqueue *q);
	bool (*suppress)(struct virtqueue *q);
	bool (*rearm)(struct virtqueue *q);
	bool (*has_work)(const struct virtqueue *q);
};

/*
 * What every virtqueue begins with, so that the verbs that each request takes are calls of the
 * layout and nothing in between.  For them alone: the inside is virtqueue_impl.h.
 */
struct virtqueue_face {
	const struct virtqueue_ops *ops;
	enum vq_fault fault;
	bool paused;
	unsigned until_timed;		/* chains to pop until one is timed */
	struct queue_stats stats;
};

/*
 * Whoever may put calls off, so that one does for several used buffers.  Owner loop.
 *
 *   may_wait  the driver wants to be called, or wanted to be and that was put off: 'n' buffers (of
 *             a packed ring: descriptors) were used since.  Returns true if the call may wait for
 *             virtqueue_release_call() or more buffers.
 */
struct virtqueue_hold {
	bool (*may_wait)(struct virtqueue_hold *hold, unsigned n);
};

static inline struct virtqueue_face *virtqueue_face(const struct virtqueue *q)
{
	return (struct virtqueue_face *)q;
}

/* Neither broken nor paused. */
static inline bool virtqueue_is_live(const struct virtqueue *q)
{
	return virtqueue_face(q)->fault == VQ_FAULT_NONE && !virtqueue_face(q)->paused;
}

/*
 * Judge the configuration, map the three areas, allocate all scratch memory.
 *
 * Returns 0 and an owned queue; -EINVAL with an error chain when the driver's configuration
 * cannot be (the device then needs reset); -ENOMEM.  Control path.
 */
MUST_USE int virtqueue_create(struct virtqueue **out, const struct virtqueue_config *config);

/* Chains that are still out are dropped: their iovecs are gone.  NULL is fine. */
void virtqueue_destroy(struct virtqueue *q);

/*
 * Take the next available chain, judged and mapped.
 *
 * Returns VQ_CHAIN and fills 'c' (its iovecs are valid until the head is pushed back), VQ_EMPTY,
 * or VQ_BROKEN if the driver broke a rule; the queue then stays broken until reset and
 * virtqueue_fault() tells why.  Every VQ_CHAIN must be returned by exactly one virtqueue_push().
 * virtio-v1.4 2.7.13 "Supplying Buffers to The Device"
 */
static inline enum vq_pop virtqueue_pop(struct virtqueue *q, struct chain *c)
{
	if (virtqueue_is_live(q))
		return virtqueue_face(q)->ops->pop(q, c);
	return virtqueue_face(q)->fault != VQ_FAULT_NONE ? VQ_BROKEN : VQ_EMPTY;
}

/* Take the last popped chain back, unprocessed: the next pop gives it again. */
void virtqueue_unpop(struct virtqueue *q, const struct chain *c);

/*
 * Give a chain back with 'written' bytes written from the start of its writable part.  Not
 * visible to the driver before virtqueue_flush(); with VIRTIO_F_IN_ORDER not before all chains
 * popped earlier were pushed, either.  virtio-v1.4 2.7.8 "The Virtqueue Used Ring"
 */
static inline void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	virtqueue_face(q)->ops->push(q, head, written);
}

/*
 * Publish what was pushed, all of it at once in the driver's eyes, and notify the driver if it
 * asked for that.  Between two flushes at most 'size' chains can be popped, whatever the driver
 * does.  A broken queue publishes nothing any more.
 */
static inline void virtqueue_flush(struct virtqueue *q)
{
	if (virtqueue_face(q)->fault == VQ_FAULT_NONE)
		virtqueue_face(q)->ops->flush(q);
}

/*
 * Tell the driver not to kick / to kick again.  virtqueue_suppress returns what virtqueue_has_work
 * says.  virtqueue_rearm returns true if chains arrived in between: the caller must pop again, for
 * which there may be no kick.
 */
static inline bool virtqueue_suppress(struct virtqueue *q)
{
	return virtqueue_is_live(q) && virtqueue_face(q)->ops->suppress(q);
}

static inline bool virtqueue_rearm(struct virtqueue *q)
{
	return virtqueue_is_live(q) && virtqueue_face(q)->ops->rearm(q);
}

/*
 * While paused a pop finds nothing; what is out can be pushed and flushed.  For a device that is
 * suspended.
 */
void virtqueue_pause(struct virtqueue *q, bool paused);

/*
 * From now on 'hold' (keeps) is asked before a call is sent; NULL: nobody is.  A call that was put
 * off is sent first.  While the queue is paused, and when as many buffers as it is long were used,
 * calls are not put off.
 */
void virtqueue_set_hold(struct virtqueue *q, struct virtqueue_hold *hold);
/* Send the call that was put off, if there is one and the driver still wants it. */
void virtqueue_release_call(struct virtqueue *q);

/* A cheap look without barriers: may there be something to pop? For pollers. */
static inline bool virtqueue_has_work(const struct virtqueue *q)
{
	return virtqueue_is_live(q) && virtqueue_face(q)->ops->has_work(q);
}

/* Where a ring is, for reports: what the device side knows of it. */
struct virtqueue_look {
	bool packed, event_idx, paused;
	bool armed;			/* the driver was told to kick */
	uint16_t in_flight;		/* chains popped and not yet pushed */
	/*
	 * Split: free-running indexes.  Packed: slots; 'seen' and 'published' are the same as the
	 * ones before them.
	 */
	uint16_t avail_next;		/* to pop */
	uint16_t avail_seen;		/* the driver's, as last looked at */
	uint16_t used_next;		/* to push */
	uint16_t used_published;	/* as the driver sees it */
	enum vq_fault fault;
	uint64_t kicks, calls;		/* queue_stats.h */
};
void virtqueue_take_look(const struct virtqueue *q, struct virtqueue_look *out);

/* How many chains are popped and not yet pushed. */
unsigned virtqueue_in_flight(const struct virtqueue *q);

unsigned virtqueue_size(const struct virtqueue *q);

/* What was counted since it was created. */
static inline struct queue_stats *virtqueue_stats(struct virtqueue *q)
{
	return &virtqueue_face(q)->stats;
}

/* Chains popped, modulo 2^16. */
static inline uint16_t virtqueue_avail_index(const struct virtqueue *q)
{
	return (uint16_t)queue_stats_get(&virtqueue_face(q)->stats.chains);
}

/* When no chain is out and all is flushed: where another datapath may go on. */
struct virtqueue_position virtqueue_position(const struct virtqueue *q);

enum vq_fault virtqueue_fault(const struct virtqueue *q);
const char *vq_fault_text(enum vq_fault fault);

#endif
