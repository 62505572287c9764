/*
 * The packed ring: one ring of descriptors that the driver makes available and the device marks
 * used, and two small structures that say who wants to be notified of what.  Descriptors are judged
 * in chain.c.
 *
 * virtio-v1.4 2.8 "Packed Virtqueues".  The device writes used descriptors and its own event
 * structure, and nothing else.
 */
#include <errno.h>

#include "virtio/virtio_ids.h"
#include "virtio/virtqueue_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"

/* virtio-v1.4 2.8.14 "Event Suppression Structure Format" */
enum event_flags {
	EVENT_ENABLE = 0,
	EVENT_DISABLE = 1,
	EVENT_DESC = 2,			/* with VIRTIO_F_EVENT_IDX only */
	EVENT_MASK = 3,
};

/* A position in two bytes: a slot, and above it the wrap counter. */
enum { POSITION_WRAP = 0x8000 };

static uint16_t position(unsigned slot, bool wrap)
{
	return (uint16_t)(slot | (wrap ? POSITION_WRAP : 0u));
}

/* The halves of an event structure are little-endian; it is loaded and stored in one piece. */
static uint32_t event(uint16_t at, enum event_flags flags)
{
	return htole32(at | (uint32_t)flags << 16);
}

/* The second half of a descriptor: len, id, flags. */
static _Atomic uint64_t *second_half(const struct packed_ring *p, unsigned slot)
{
	return (_Atomic uint64_t *)(void *)(p->desc + (size_t)slot * DESC_SIZE + 8);
}

/* virtio-v1.4 2.8.1 "Driver and Device Ring Wrap Counters" */
static bool is_available(const struct packed_ring *p, uint64_t half)
{
	return ((le64toh(half) >> 48) & DESC_F_LAP) == p->avail_flags;
}

static bool avail_wrap(const struct packed_ring *p)
{
	return p->avail_flags == DESC_F_AVAIL;
}

static bool used_wrap(const struct packed_ring *p)
{
	return p->used_flags == DESC_F_LAP;
}

/* Where to begin.  What lies between the two positions is still out, with a former owner. */
static int set_position(struct virtqueue *q, const struct virtqueue_config *config)
{
	struct packed_ring *p = &q->packed;
	unsigned avail = config->resume ? config->avail_base : position(0, true);
	unsigned used = config->resume ? config->used_base : position(0, true);
	unsigned ahead = avail ^ used;

	p->avail_slot = (uint16_t)(avail & ~(unsigned)POSITION_WRAP);
	p->used_slot = (uint16_t)(used & ~(unsigned)POSITION_WRAP);
	p->avail_flags = avail & POSITION_WRAP ? DESC_F_AVAIL : DESC_F_USED;
	p->used_flags = used & POSITION_WRAP ? DESC_F_LAP : 0;
	if (p->avail_slot >= q->size || p->used_slot >= q->size)
		return error_set(EINVAL, "a queue of %u cannot go on at 0x%x and 0x%x", q->size,
				 avail, used);
	int out = p->avail_slot - p->used_slot + (ahead & POSITION_WRAP ? q->size : 0);
	if (out < 0 || out > q->size)
		return error_set(EINVAL, "position 0x%x is not behind 0x%x", used, avail);
	p->slots_out = (uint16_t)out;
	return 0;
}

static int packed_init(struct virtqueue *q, const struct virtqueue_config *config)
{
	struct packed_ring *p = &q->packed;
	uint64_t size = config->size;
	void *desc, *driver, *device;
	int r;

	/* virtio-v1.4 2.8.10 "Structure Size and Alignment": no need for a power of two */
	if (size == 0 || size > (uint64_t)VIRTIO_QUEUE_SIZE_LIMIT)
		return error_set(EINVAL, "queue size %u is not within 1 and %d", config->size,
				 VIRTIO_QUEUE_SIZE_LIMIT);
	r = virtqueue_map_area(q, &desc, "descriptor ring", config->desc, DESC_SIZE * size,
			       DESC_SIZE, DMA_BOTH);
	if (r == 0)
		r = virtqueue_map_area(q, &driver, "driver event area", config->driver, 4, 4,
				       DMA_TO_DEVICE);
	if (r == 0)
		r = virtqueue_map_area(q, &device, "device event area", config->device, 4, 4,
				       DMA_FROM_DEVICE);
	if (r < 0)
		return r;
	p->desc = desc;
	p->driver_event = driver;
	p->device_event = device;
	return set_position(q, config);
}

static enum vq_pop packed_pop(struct virtqueue *q, struct chain *c)
{
	struct packed_ring *p = &q->packed;
	/*
	 * The driver writes the list, and the flags of its first descriptor last.  Acquire pairs
	 * with its barrier before that: all the rest of the list is complete.
	 */
	uint64_t half = atomic_load_explicit(second_half(p, p->avail_slot), memory_order_acquire);

	if (!is_available(p, half))
		return VQ_EMPTY;
	/* With all heads out there is no room either, and chain_load_packed says so. */
	uint16_t head = p->n_free > 0 ? p->free_head[p->n_free - 1] : 0;
	enum vq_fault fault = p->n_free > 0 ? chain_load_packed(q, head, half, c) :
					      VQ_FAULT_AVAIL_INDEX;

	if (fault != VQ_FAULT_NONE)
		return virtqueue_break(q, fault);
	unsigned slots = q->head[head].slots;
	unsigned next = p->avail_slot + slots;

	if (next >= q->size) {
		next -= q->size;
		p->avail_flags ^= DESC_F_LAP;
	}
	p->avail_slot = (uint16_t)next;
	p->slots_out = (uint16_t)(p->slots_out + slots);
	p->n_free--;
	return head_pop(q, c);
}

static void packed_untake(struct virtqueue *q, uint16_t head)
{
	struct packed_ring *p = &q->packed;
	unsigned slots = q->head[head].slots, slot = p->avail_slot;

	if (slot < slots) {
		slot += q->size;
		p->avail_flags ^= DESC_F_LAP;
	}
	p->avail_slot = (uint16_t)(slot - slots);
	p->slots_out = (uint16_t)(p->slots_out - slots);
	p->free_head[p->n_free++] = head;
}

/*
 * The used descriptor overwrites one that was popped: no more slots are used than were taken, so
 * it never gets to what is still available.
 */
static inline void packed_use(struct virtqueue *q, uint16_t head, uint32_t written)
{
	struct packed_ring *p = &q->packed;
	const struct virtqueue_head *h = &q->head[head];
	_Atomic uint64_t *at = second_half(p, p->used_slot);
	uint64_t flags = p->used_flags | (written > 0 ? (unsigned)DESC_F_WRITE : 0u);
	uint64_t half = htole64(written | (uint64_t)h->id << 32 | flags << 48);

	/*
	 * The first one of a batch is held back until all others are written: a driver goes from
	 * one to the next, so it sees all buffers of a request or none.  virtio-v1.4 2.8.9
	 * "Multi-buffer requests"
	 */
	if (!p->first) {
		p->first = at;
		p->first_half = half;
	} else {
		atomic_store_explicit(at, half, memory_order_release);
	}
	unsigned next = (unsigned)p->used_slot + h->slots;

	if (next >= q->size) {
		next -= q->size;
		p->used_flags ^= DESC_F_LAP;
	}
	p->used_slot = (uint16_t)next;
	p->slots_unpublished = (uint16_t)(p->slots_unpublished + h->slots);
	p->free_head[p->n_free++] = head;
}

static void packed_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	if (head_push(q, head, &written))
		packed_use(q, head, written);
}

/*
 * Did the 'n' slots that end before used_slot hold what the driver named?  Anything that has no
 * meaning counts as a wish for every notification.
 */
static inline bool wants_call(const struct virtqueue *q, unsigned n)
{
	const struct packed_ring *p = &q->packed;
	uint32_t wish = le32toh(atomic_load(p->driver_event));
	unsigned flags = wish >> 16 & EVENT_MASK, slot = wish & 0x7fff;
	bool wrap = wish & POSITION_WRAP;

	if (flags == EVENT_DISABLE)
		return false;
	if (flags != EVENT_DESC || !q->event_idx || slot >= q->size)
		return true;
	/* Counted from where the lap of used_slot begins. */
	int named = (int)slot - (wrap == used_wrap(p) ? 0 : (int)q->size);

	return named < (int)p->used_slot && named >= (int)p->used_slot - (int)n;
}

static bool packed_wants_call(const struct virtqueue *q, unsigned n)
{
	return wants_call(q, n);
}

static void packed_flush(struct virtqueue *q)
{
	struct packed_ring *p = &q->packed;
	unsigned n = p->slots_unpublished;

	if (!p->first)
		return;
	/*
	 * Sequentially consistent, twice over: as a release for the other used descriptors (and
	 * the data), and as a full barrier between this store and the load of the driver's event
	 * structure.  Without it the driver could ask for a call, see nothing used, and sleep,
	 * while we see no wish.
	 */
	atomic_store(p->first, p->first_half);
	p->first = NULL;
	p->slots_unpublished = 0;
	p->slots_out = (uint16_t)(p->slots_out - n);
	if (q->hold)
		virtqueue_hold_call(q, n);
	else if (wants_call(q, n))
		virtqueue_signal(q);
	else
		queue_stats_add(&q->face.stats.calls_saved, 1);
}

static bool packed_has_work(const struct virtqueue *q)
{
	const struct packed_ring *p = &q->packed;

	return is_available(p, atomic_load_explicit(second_half(p, p->avail_slot),
						    memory_order_relaxed));
}

static bool packed_suppress(struct virtqueue *q)
{
	if (!q->suppressed) {
		atomic_store_explicit(q->packed.device_event, event(0, EVENT_DISABLE),
				      memory_order_relaxed);
		q->suppressed = true;
		q->armed = false;
	}
	return packed_has_work(q);
}

static bool packed_rearm(struct virtqueue *q)
{
	struct packed_ring *p = &q->packed;
	uint32_t wish = q->event_idx ? event(position(p->avail_slot, avail_wrap(p)), EVENT_DESC) :
				       event(0, EVENT_ENABLE);

	/*
	 * Between asking for kicks and looking at the slot once more there must be a full barrier,
	 * or a list that comes now is neither seen nor kicked for.  What is already armed need not
	 * be stored again.
	 */
	if (!q->armed || p->armed_with != wish) {
		atomic_store(p->device_event, wish);
		q->armed = true;
		q->suppressed = false;
		p->armed_with = wish;
	}
	return is_available(p, atomic_load(second_half(p, p->avail_slot)));
}

static struct virtqueue_position packed_position(const struct virtqueue *q)
{
	const struct packed_ring *p = &q->packed;

	return (struct virtqueue_position){
		.avail = position(p->avail_slot, avail_wrap(p)),
		.used = position(p->used_slot, used_wrap(p)),
	};
}

const struct ring_ops packed_ring_ops = {
	.verbs = {
		.pop = packed_pop,
		.push = packed_push,
		.flush = packed_flush,
		.suppress = packed_suppress,
		.rearm = packed_rearm,
		.has_work = packed_has_work,
	},
	.init = packed_init,
	.untake = packed_untake,
	.use = packed_use,
	.wants_call = packed_wants_call,
	.position = packed_position,
};
