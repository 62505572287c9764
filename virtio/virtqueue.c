/*
 * What is the same for every layout of a ring: making a queue, and what is asked of it seldom.
 * What a request takes is in the layouts (split.c, packed.c), with the bookkeeping from
 * virtqueue_impl.h, the descriptors (chain.c) and the order of answers (in_order.c).
 */
#include "virtio/virtqueue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "virtio/virtqueue_impl.h"
#include "vmm/base/error.h"

static size_t long_iov_bytes(const struct virtqueue *q)
{
	return (size_t)q->size * q->iov_max * sizeof(struct iovec);
}

/*
 * Room for the longest chain under every head, so that iovecs stay valid until the push and
 * nothing is allocated later.  The large area is address space only: a page is used when a chain
 * needs it.
 */
static int allocate(struct virtqueue *q, bool in_order)
{
	uint16_t *free_head = NULL;

	q->head = calloc(q->size, sizeof(*q->head));
	q->short_iov = calloc((size_t)q->size * CHAIN_SHORT, sizeof(*q->short_iov));
	if (in_order)
		q->order.head = calloc(q->size, sizeof(*q->order.head));
	if (q->packed_layout)
		q->packed.free_head = free_head = calloc(q->size, sizeof(*free_head));
	if (!q->head || !q->short_iov || (in_order && !q->order.head) ||
	    (q->packed_layout && !free_head))
		return error_set(ENOMEM, "allocate a queue of %u", q->size);
	for (unsigned i = 0; free_head && i < q->size; i++)
		free_head[q->packed.n_free++] = (uint16_t)(q->size - 1u - i);
	if (q->iov_max > CHAIN_SHORT) {
		void *p = mmap(NULL, long_iov_bytes(q), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return error_set(ENOMEM, "reserve %zu bytes for a queue of %u",
					 long_iov_bytes(q), q->size);
		q->long_iov = p;
	}
	return dma_is_translated(q->dma) ? pieces_create(q) : 0;
}

int virtqueue_map_area(struct virtqueue *q, void **out, const char *name, uint64_t addr,
		       uint64_t len, uint64_t align, enum dma_dir dir)
{
	if (addr % align != 0)
		return error_set(EINVAL, "%s at 0x%llx is not aligned to %llu", name,
				 (unsigned long long)addr, (unsigned long long)align);
	*out = dma_hold(q->dma, addr, len, dir, &q->area[q->n_areas]);
	if (!*out && dma_is_translated(q->dma))
		return error_set(EINVAL, "%s at 0x%llx, %llu bytes, is not mapped by its IOMMU, or "
				 "not to one piece of memory", name, (unsigned long long)addr,
				 (unsigned long long)len);
	if (!*out)
		return error_set(EINVAL, "%s at 0x%llx, %llu bytes, is not in memory", name,
				 (unsigned long long)addr, (unsigned long long)len);
	q->n_areas++;
	return 0;
}

int virtqueue_create(struct virtqueue **out, const struct virtqueue_config *config)
{
	struct virtqueue *q = calloc(1, sizeof(*q));
	int r;

	*out = NULL;
	if (!q)
		return error_set(ENOMEM, "allocate a queue");
	q->packed_layout = features_has(&config->features, VIRTIO_F_RING_PACKED);
	q->ring = q->packed_layout ? &packed_ring_ops : &split_ring_ops;
	q->face.ops = &q->ring->verbs;
	q->size = config->size;
	q->face.until_timed = 1;
	q->event_idx = features_has(&config->features, VIRTIO_F_EVENT_IDX);
	q->indirect = features_has(&config->features, VIRTIO_F_INDIRECT_DESC);
	q->dma = config->dma;
	q->iov_max = q->size;
	if (dma_is_translated(q->dma) && q->iov_max < PIECES_MAX)
		q->iov_max = PIECES_MAX;
	q->call = config->call;
	q->broken = config->broken;
	q->broken_arg = config->broken_arg;

	r = q->ring->init(q, config);
	if (r == 0)
		r = allocate(q, features_has(&config->features, VIRTIO_F_IN_ORDER));
	if (r < 0) {
		virtqueue_destroy(q);
		return r;
	}
	*out = q;
	return 0;
}

void virtqueue_destroy(struct virtqueue *q)
{
	if (!q)
		return;
	pieces_destroy(q);
	for (unsigned i = 0; i < q->n_areas; i++)
		dma_release(&q->area[i]);
	if (q->long_iov)
		munmap(q->long_iov, long_iov_bytes(q));
	if (q->packed_layout)
		free(q->packed.free_head);
	free(q->order.head);
	free(q->short_iov);
	free(q->head);
	free(q);
}

enum vq_pop virtqueue_break(struct virtqueue *q, enum vq_fault fault)
{
	q->face.fault = fault;
	queue_stats_add(&q->face.stats.broken, 1);
	if (q->broken)
		q->broken(q->broken_arg, fault);
	return VQ_BROKEN;
}

void virtqueue_unpop(struct virtqueue *q, const struct chain *c)
{
	assert(q->head[c->head].state == HEAD_OUT);
	q->head[c->head].state = HEAD_FREE;
	if (q->pieces)
		pieces_end(q, c->head);
	if (q->order.head)
		head_order_take_back(q, c->head);
	q->ring->untake(q, c->head);
	q->head[c->head].since = 0;
	queue_stats_add(&q->face.stats.chains, (uint64_t)-1);
}

void virtqueue_pause(struct virtqueue *q, bool paused)
{
	q->face.paused = paused;
	if (paused)
		virtqueue_release_call(q);
}

void virtqueue_hold_call(struct virtqueue *q, unsigned n)
{
	if (q->held == 0 && !q->ring->wants_call(q, n)) {
		queue_stats_add(&q->face.stats.calls_saved, 1);
		return;
	}
	/* A driver cannot wait for one that was used longer ago than the queue is long. */
	q->held = (unsigned)min_u64(q->held + n, q->size);
	if (q->face.paused || q->held == q->size || !q->hold->may_wait(q->hold, q->held))
		virtqueue_release_call(q);
	else
		queue_stats_add(&q->face.stats.calls_saved, 1);
}

void virtqueue_release_call(struct virtqueue *q)
{
	unsigned n = q->held;

	q->held = 0;
	if (n > 0 && q->face.fault == VQ_FAULT_NONE && q->ring->wants_call(q, n))
		virtqueue_signal(q);
}

void virtqueue_set_hold(struct virtqueue *q, struct virtqueue_hold *hold)
{
	virtqueue_release_call(q);
	q->hold = hold;
}

void virtqueue_take_look(const struct virtqueue *q, struct virtqueue_look *out)
{
	*out = (struct virtqueue_look){
		.packed = q->packed_layout,
		.event_idx = q->event_idx,
		.paused = q->face.paused,
		.armed = q->armed,
		.in_flight = (uint16_t)queue_stats_in_flight(&q->face.stats),
		.fault = q->face.fault,
		.kicks = queue_stats_get(&q->face.stats.kicks),
		.calls = queue_stats_get(&q->face.stats.calls),
	};
	if (q->packed_layout) {
		out->avail_next = out->avail_seen = q->packed.avail_slot;
		out->used_next = out->used_published = q->packed.used_slot;
	} else {
		out->avail_next = q->split.avail_next;
		out->avail_seen = q->split.avail_seen;
		out->used_next = q->split.used_next;
		out->used_published = q->split.used_published;
	}
}

unsigned virtqueue_in_flight(const struct virtqueue *q)
{
	return queue_stats_in_flight(&q->face.stats);
}

unsigned virtqueue_size(const struct virtqueue *q)
{
	return q->size;
}

struct virtqueue_position virtqueue_position(const struct virtqueue *q)
{
	return q->ring->position(q);
}

enum vq_fault virtqueue_fault(const struct virtqueue *q)
{
	return q->face.fault;
}

const char *vq_fault_text(enum vq_fault fault)
{
	switch (fault) {
	case VQ_FAULT_NONE: return "nothing is wrong";
	case VQ_FAULT_AVAIL_INDEX: return "the available index is out of range";
	case VQ_FAULT_HEAD: return "a head index is beyond the queue";
	case VQ_FAULT_HEAD_IN_FLIGHT: return "a head was made available twice";
	case VQ_FAULT_NEXT: return "a next index is beyond its table";
	case VQ_FAULT_LOOP: return "a chain is longer than the queue";
	case VQ_FAULT_ADDRESS: return "a buffer or table is in no memory that it reaches";
	case VQ_FAULT_ORDER: return "a readable buffer follows a writable one";
	case VQ_FAULT_INDIRECT: return "an indirect descriptor breaks the rules";
	case VQ_FAULT_NOT_AVAILABLE: return "a list goes on where nothing is available";
	case VQ_FAULT_LENGTH: return "a chain is longer than 4 GiB";
	case VQ_FAULT_PIECES: return "a chain lies in too many pieces of memory";
	}
	return "unknown fault";
}
