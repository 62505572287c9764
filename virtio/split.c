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

static int map_area(void **out, const char *name, const struct virtqueue_config *config,
		    uint64_t addr, uint64_t len, uint64_t align, enum dma_dir dir)
{
	if (addr % align != 0)
		return error_set(EINVAL, "%s at 0x%llx is not aligned to %llu", name,
				 (unsigned long long)addr, (unsigned long long)align);
	*out = dma_map(config->dma, addr, len, dir);
	if (!*out)
		return error_set(EINVAL, "%s at 0x%llx, %llu bytes, is not in memory", name,
				 (unsigned long long)addr, (unsigned long long)len);
	return 0;
}

int split_init(struct virtqueue *q, const struct virtqueue_config *config)
{
	struct split_ring *s = &q->split;
	uint64_t size = config->size;
	void *desc, *avail, *used;
	int r;

	if (!is_power_of_two(size) || size > (uint64_t)VIRTIO_QUEUE_SIZE_LIMIT)
		return error_set(EINVAL, "queue size %u is not a power of two up to %d",
				 config->size, VIRTIO_QUEUE_SIZE_LIMIT);
	/* Both rings end with the other side's event index, whether it is used or not. */
	r = map_area(&desc, "descriptor table", config, config->desc, 16 * size, 16, DMA_TO_DEVICE);
	if (r == 0)
		r = map_area(&avail, "available ring", config, config->driver, 6 + 2 * size, 2,
			     DMA_TO_DEVICE);
	if (r == 0)
		r = map_area(&used, "used ring", config, config->device, 6 + 8 * size, 4,
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
	return 0;
}

enum vq_pop split_peek(struct virtqueue *q, uint16_t *head)
{
	if (q->avail_next == q->avail_seen) {
		/*
		 * The driver writes descriptors and ring entries, then idx.  Acquire pairs with
		 * its barrier in between: everything below idx is complete.
		 */
		uint16_t idx = le16toh(atomic_load_explicit(q->split.avail_idx,
							    memory_order_acquire));
		/*
		 * No driver can have more chains out than the queue has descriptors, counted from
		 * the used index that it can see.  This also bounds the work between two flushes.
		 */
		if ((uint16_t)(idx - q->used_published) > q->size ||
		    (uint16_t)(idx - q->used_published) <
			    (uint16_t)(q->avail_next - q->used_published)) {
			q->fault = VQ_FAULT_AVAIL_INDEX;
			return VQ_BROKEN;
		}
		q->avail_seen = idx;
		if (q->avail_next == idx)
			return VQ_EMPTY;
	}
	*head = load_le16(q->split.avail_entry + 2 * (q->avail_next & q->mask));
	/* As in chain.c: one load, then only the copy. */
	atomic_signal_fence(memory_order_seq_cst);
	if (*head >= q->size) {
		q->fault = VQ_FAULT_HEAD;
		return VQ_BROKEN;
	}
	return VQ_CHAIN;
}

void split_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	uint8_t *entry = q->split.used_entry + 8 * (q->used_next & q->mask);

	store_le32(entry, head);
	store_le32(entry + 4, written);
	q->used_next++;
}

/* virtio-v1.4 2.7.7.2 "Device Requirements: Used Buffer Notification Suppression" */
static bool driver_wants_call(struct virtqueue *q, uint16_t old)
{
	if (!q->event_idx) {
		uint16_t flags = le16toh(atomic_load(q->split.avail_flags));
		return !(flags & AVAIL_F_NO_INTERRUPT);
	}
	/* Did [old, new) pass the entry that the driver named?  All modulo 2^16. */
	uint16_t event = le16toh(atomic_load(q->split.used_event));
	return (uint16_t)(q->used_next - event - 1) < (uint16_t)(q->used_next - old);
}

bool split_publish(struct virtqueue *q)
{
	uint16_t old = q->used_published;

	if (q->used_next == old)
		return false;
	/*
	 * Sequentially consistent, twice over: as a release for the entries (and the data) that
	 * were written before; and as a full barrier between this store and the load of flags or
	 * used_event.  Without it the driver could ask for a call, see no entry, and sleep, while
	 * we see no wish.
	 */
	atomic_store(q->split.used_idx, htole16(q->used_next));
	q->used_published = q->used_next;
	return driver_wants_call(q, old);
}

void split_suppress(struct virtqueue *q)
{
	/*
	 * With the event index nothing has to be written: once the driver has passed avail_event
	 * it does not kick again until that moves.  virtio-v1.4 2.7.10 "Available Buffer
	 * Notification Suppression"
	 */
	if (q->event_idx || q->suppressed)
		return;
	atomic_store_explicit(q->split.used_flags, htole16(USED_F_NO_NOTIFY),
			      memory_order_relaxed);
	q->suppressed = true;
}

bool split_rearm(struct virtqueue *q)
{
	/*
	 * The stores and the load below are sequentially consistent: between asking for kicks and
	 * looking at idx once more there must be a full barrier, or a chain that comes now is
	 * neither seen nor kicked for.  What is already armed need not be stored again.
	 */
	if (q->event_idx) {
		if (!q->armed || q->armed_at != q->avail_next) {
			atomic_store(q->split.avail_event, htole16(q->avail_next));
			q->armed = true;
			q->armed_at = q->avail_next;
		}
	} else if (q->suppressed) {
		atomic_store(q->split.used_flags, 0);
		q->suppressed = false;
	}
	return le16toh(atomic_load(q->split.avail_idx)) != q->avail_next;
}

bool split_has_work(const struct virtqueue *q)
{
	uint16_t idx = atomic_load_explicit(q->split.avail_idx, memory_order_relaxed);

	return le16toh(idx) != q->avail_next;
}
