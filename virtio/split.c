/*
 * The split ring: where the driver's available entries are read and used entries are written, and
 * the rules of who notifies whom.  Descriptors are chain.c's.
 *
 * virtio-v1.4 2.7 "Split Virtqueues".  The device writes nothing but the used ring.
 */
#include <errno.h>

#include "virtio/virtio_ids.h"
#include "virtio/virtqueue_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"

enum {
	AVAIL_F_NO_INTERRUPT = 1,
	USED_F_NO_NOTIFY = 1,
};

static int split_init(struct virtqueue *q, const struct virtqueue_config *config)
{
	struct split_ring *s = &q->split;
	uint64_t size = config->size;
	void *desc, *avail, *used;
	int r;

	if (!is_power_of_two(size) || size > (uint64_t)VIRTIO_QUEUE_SIZE_LIMIT)
		return error_set(EINVAL, "queue size %u is not a power of two up to %d",
				 config->size, VIRTIO_QUEUE_SIZE_LIMIT);
	/* Both rings end with the other side's event index, whether it is used or not. */
	r = virtqueue_map_area(q, &desc, "descriptor table", config->desc, DESC_SIZE * size,
			       DESC_SIZE, DMA_TO_DEVICE);
	if (r == 0)
		r = virtqueue_map_area(q, &avail, "available ring", config->driver,
				       6 + 2 * size, 2, DMA_TO_DEVICE);
	if (r == 0)
		r = virtqueue_map_area(q, &used, "used ring", config->device, 6 + 8 * size, 4,
				       DMA_FROM_DEVICE);
	if (r < 0)
		return r;

	s->desc = desc;
	s->avail_flags = avail;
	s->avail_idx = s->avail_flags + 1;
	s->avail_entry = (const uint8_t *)avail + 4;
	s->used_event = (void *)((uint8_t *)avail + 4 + 2 * size);
	s->used_flags = used;
	s->used_idx = s->used_flags + 1;
	s->used_entry = (uint8_t *)used + 4;
	s->avail_event = (void *)((uint8_t *)used + 4 + 8 * size);
	s->mask = (uint16_t)(size - 1);
	s->avail_next = s->avail_seen = config->resume ? config->avail_base : 0;
	s->used_next = s->used_published = config->resume ? config->used_base : 0;
	return 0;
}

static enum vq_pop split_pop(struct virtqueue *q, struct chain *c)
{
	struct split_ring *s = &q->split;
	enum vq_fault fault;
	uint16_t head;

	if (s->avail_next == s->avail_seen) {
		/*
		 * The driver writes descriptors and ring entries, then idx.  Acquire pairs with
		 * its barrier in between: everything below idx is complete.
		 */
		uint16_t idx = le16toh(atomic_load_explicit(s->avail_idx, memory_order_acquire));
		/*
		 * No driver can have more chains out than the queue has descriptors, counted from
		 * the used index that it can see.  This also bounds the work between two flushes.
		 */
		uint16_t ahead = (uint16_t)(idx - s->used_published);
		if (ahead > q->size || ahead < (uint16_t)(s->avail_next - s->used_published))
			return virtqueue_break(q, VQ_FAULT_AVAIL_INDEX);
		s->avail_seen = idx;
		if (s->avail_next == idx)
			return VQ_EMPTY;
	}
	head = load_le16(s->avail_entry + 2 * (s->avail_next & s->mask));
	/* As in chain.c: one load, then only the copy. */
	atomic_signal_fence(memory_order_seq_cst);
	if (head >= q->size)
		return virtqueue_break(q, VQ_FAULT_HEAD);
	if (q->head[head].state != HEAD_FREE)
		return virtqueue_break(q, VQ_FAULT_HEAD_IN_FLIGHT);
	fault = chain_load_split(q, head, c);
	if (fault != VQ_FAULT_NONE)
		return virtqueue_break(q, fault);
	s->avail_next++;
	return head_pop(q, c);
}

static void split_untake(struct virtqueue *q, uint16_t head)
{
	(void)head;
	q->split.avail_next--;
}

static void split_use(struct virtqueue *q, uint16_t head, uint32_t written)
{
	struct split_ring *s = &q->split;

	/* One entry: le32 id, le32 len. */
	store_le64(s->used_entry + 8 * (s->used_next & s->mask), head | (uint64_t)written << 32);
	s->used_next++;
}

static void split_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	if (head_push(q, head, &written))
		split_use(q, head, written);
}

/* virtio-v1.4 2.7.7.2 "Device Requirements: Used Buffer Notification Suppression" */
static bool split_wants_call(const struct virtqueue *q, unsigned n)
{
	const struct split_ring *s = &q->split;

	if (!q->event_idx) {
		uint16_t flags = le16toh(atomic_load(s->avail_flags));
		return !(flags & AVAIL_F_NO_INTERRUPT);
	}
	/* Is the entry that the driver named one of the last n?  All modulo 2^16. */
	uint16_t event = le16toh(atomic_load(s->used_event));
	return (uint16_t)(s->used_published - event - 1) < (uint16_t)n;
}

static void split_flush(struct virtqueue *q)
{
	struct split_ring *s = &q->split;
	unsigned n = (uint16_t)(s->used_next - s->used_published);

	if (n == 0)
		return;
	/*
	 * Sequentially consistent, twice over: as a release for the entries (and the data) that
	 * were written before; and as a full barrier between this store and the load of flags or
	 * used_event.  Without it the driver could ask for a call, see no entry, and sleep, while
	 * we see no wish.
	 */
	atomic_store(s->used_idx, htole16(s->used_next));
	s->used_published = s->used_next;
	if (q->hold)
		virtqueue_hold_call(q, n);
	else if (split_wants_call(q, n))
		virtqueue_signal(q);
	else
		queue_stats_add(&q->face.stats.calls_saved, 1);
}

static bool split_has_work(const struct virtqueue *q)
{
	uint16_t idx = atomic_load_explicit(q->split.avail_idx, memory_order_relaxed);

	return le16toh(idx) != q->split.avail_next;
}

static bool split_suppress(struct virtqueue *q)
{
	/*
	 * With the event index nothing has to be written: once the driver has passed avail_event
	 * it does not kick again until that moves.  virtio-v1.4 2.7.10 "Available Buffer
	 * Notification Suppression"
	 */
	if (!q->event_idx && !q->suppressed) {
		atomic_store_explicit(q->split.used_flags, htole16(USED_F_NO_NOTIFY),
				      memory_order_relaxed);
		q->suppressed = true;
		q->armed = false;
	}
	return split_has_work(q);
}

static bool split_rearm(struct virtqueue *q)
{
	struct split_ring *s = &q->split;
	/*
	 * The stores and the load below are sequentially consistent: between asking for kicks and
	 * looking at idx once more there must be a full barrier, or a chain that comes now is
	 * neither seen nor kicked for.  What is already armed need not be stored again.
	 */
	if (q->event_idx) {
		if (!q->armed || s->armed_at != s->avail_next) {
			atomic_store(s->avail_event, htole16(s->avail_next));
			s->armed_at = s->avail_next;
		}
	} else if (!q->armed) {
		atomic_store(s->used_flags, 0);
		q->suppressed = false;
	}
	q->armed = true;
	return le16toh(atomic_load(s->avail_idx)) != s->avail_next;
}

static struct virtqueue_position split_position(const struct virtqueue *q)
{
	return (struct virtqueue_position){
		.avail = q->split.avail_next,
		.used = q->split.used_published,
	};
}

const struct ring_ops split_ring_ops = {
	.verbs = {
		.pop = split_pop,
		.push = split_push,
		.flush = split_flush,
		.suppress = split_suppress,
		.rearm = split_rearm,
		.has_work = split_has_work,
	},
	.init = split_init,
	.untake = split_untake,
	.use = split_use,
	.wants_call = split_wants_call,
	.position = split_position,
};
