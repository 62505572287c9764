/*
 * The verbs of a queue: bookkeeping that every ring layout needs, around the ring (split.c) and
 * the descriptors (chain.c).
 */
#include "virtio/virtqueue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "virtio/virtqueue_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static size_t long_iov_bytes(const struct virtqueue *q)
{
	return (size_t)q->size * q->size * sizeof(struct iovec);
}

/*
 * Room for the longest chain under every head, so that iovecs stay valid until the push and
 * nothing is allocated later.  The large area is address space only: a page is used when a chain
 * needs it.
 */
static int allocate(struct virtqueue *q)
{
	q->head = calloc(q->size, sizeof(*q->head));
	q->short_iov = calloc((size_t)q->size * CHAIN_SHORT, sizeof(*q->short_iov));
	if (!q->head || !q->short_iov)
		return error_set(ENOMEM, "allocate a queue of %u", q->size);
	if (q->size > CHAIN_SHORT) {
		void *p = mmap(NULL, long_iov_bytes(q), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return error_set(ENOMEM, "reserve %zu bytes for a queue of %u",
					 long_iov_bytes(q), q->size);
		q->long_iov = p;
	}
	return 0;
}

int virtqueue_create(struct virtqueue **out, const struct virtqueue_config *config)
{
	struct virtqueue *q = calloc(1, sizeof(*q));
	int r;

	*out = NULL;
	if (!q)
		return error_set(ENOMEM, "allocate a queue");
	q->size = config->size;
	q->mask = (uint16_t)(config->size - 1);
	q->event_idx = features_has(&config->features, VIRTIO_F_EVENT_IDX);
	q->indirect = features_has(&config->features, VIRTIO_F_INDIRECT_DESC);
	q->avail_next = q->avail_seen = config->avail_base;
	q->used_next = q->used_published = config->used_base;
	q->dma = config->dma;
	q->call = config->call;
	q->broken = config->broken;
	q->broken_arg = config->broken_arg;

	r = split_init(q, config);
	if (r == 0)
		r = allocate(q);
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
	if (q->long_iov)
		munmap(q->long_iov, long_iov_bytes(q));
	free(q->short_iov);
	free(q->head);
	free(q);
}

static enum vq_pop break_queue(struct virtqueue *q, enum vq_fault fault)
{
	q->fault = fault;
	if (q->broken)
		q->broken(q->broken_arg, fault);
	return VQ_BROKEN;
}

enum vq_pop virtqueue_pop(struct virtqueue *q, struct chain *c)
{
	enum vq_fault fault;
	enum vq_pop pop;
	uint16_t head;

	if (q->fault != VQ_FAULT_NONE)
		return VQ_BROKEN;
	if (q->paused)
		return VQ_EMPTY;
	pop = split_peek(q, &head);
	if (pop == VQ_EMPTY)
		return VQ_EMPTY;
	if (pop == VQ_BROKEN)
		return break_queue(q, q->fault);
	if (q->head[head].in_flight)
		return break_queue(q, VQ_FAULT_HEAD_IN_FLIGHT);
	fault = chain_load(q, head, c);
	if (fault != VQ_FAULT_NONE)
		return break_queue(q, fault);

	q->head[head] = (struct virtqueue_head){
		.writable = (uint32_t)c->in_len,
		.in_flight = true,
	};
	q->avail_next++;
	q->in_flight++;
	q->stats.chains++;
	return VQ_CHAIN;
}

void virtqueue_unpop(struct virtqueue *q, const struct chain *c)
{
	assert(q->head[c->head].in_flight);
	q->head[c->head].in_flight = false;
	q->avail_next--;
	q->in_flight--;
	q->stats.chains--;
}

void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	struct virtqueue_head *h = &q->head[head];

	assert(head < q->size && h->in_flight);
	h->in_flight = false;
	q->in_flight--;
	if (q->fault != VQ_FAULT_NONE)
		return;
	/* Never claim more than there was: a driver would take stale memory for data. */
	split_push(q, head, written < h->writable ? written : h->writable);
}

void virtqueue_flush(struct virtqueue *q)
{
	if (q->fault != VQ_FAULT_NONE || !split_publish(q))
		return;
	q->stats.calls++;
	if (q->call.isr)
		atomic_fetch_or(q->call.isr, q->call.isr_bits);
	fd_signal(q->call.fd);
}

void virtqueue_suppress(struct virtqueue *q)
{
	if (q->fault == VQ_FAULT_NONE && !q->paused)
		split_suppress(q);
}

bool virtqueue_rearm(struct virtqueue *q)
{
	return q->fault == VQ_FAULT_NONE && !q->paused && split_rearm(q);
}

void virtqueue_pause(struct virtqueue *q, bool paused)
{
	q->paused = paused;
}

bool virtqueue_has_work(const struct virtqueue *q)
{
	return q->fault == VQ_FAULT_NONE && !q->paused && split_has_work(q);
}

unsigned virtqueue_in_flight(const struct virtqueue *q)
{
	return q->in_flight;
}

unsigned virtqueue_size(const struct virtqueue *q)
{
	return q->size;
}

uint16_t virtqueue_avail_index(const struct virtqueue *q)
{
	return q->avail_next;
}

enum vq_fault virtqueue_fault(const struct virtqueue *q)
{
	return q->fault;
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
	case VQ_FAULT_ADDRESS: return "a buffer or table is not in memory";
	case VQ_FAULT_ORDER: return "a readable buffer follows a writable one";
	case VQ_FAULT_INDIRECT: return "an indirect descriptor breaks the rules";
	case VQ_FAULT_LENGTH: return "a chain is longer than 4 GiB";
	}
	return "unknown fault";
}

struct virtqueue_stats *virtqueue_stats(struct virtqueue *q)
{
	return &q->stats;
}
