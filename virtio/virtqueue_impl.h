/*
 * The inside of a virtqueue, shared by virtqueue.c (the verbs), split.c (the ring) and chain.c
 * (the descriptors).  Nobody else includes it.
 */
#ifndef VIRTIO_VIRTQUEUE_IMPL_H
#define VIRTIO_VIRTQUEUE_IMPL_H

#include <stdatomic.h>

#include "virtio/virtqueue.h"

/* Chains of up to CHAIN_SHORT segments use the dense storage; most chains are shorter. */
enum { CHAIN_SHORT = 8 };

struct virtqueue_head {
	uint32_t writable;		/* bytes that may be reported as written */
	bool in_flight;
};

/* virtio-v1.4 2.7 "Split Virtqueues": the fields of the two rings, in guest memory. */
struct split_ring {
	const uint8_t *desc;
	_Atomic uint16_t *avail_flags, *avail_idx, *used_event;
	_Atomic uint16_t *used_flags, *used_idx, *avail_event;
	const uint8_t *avail_entry;
	uint8_t *used_entry;
};

struct virtqueue {
	uint16_t size;
	uint16_t mask;
	bool event_idx, indirect;
	bool paused;
	enum vq_fault fault;

	/* Free-running indexes; none is ever read back from what the driver could have changed. */
	uint16_t avail_next;		/* the next entry to pop */
	uint16_t avail_seen;		/* the driver's index as last loaded and judged */
	uint16_t used_next;		/* the next entry to push */
	uint16_t used_published;	/* the index that the driver can see */
	uint16_t armed_at;		/* avail_event as last written, while 'armed' */
	bool armed, suppressed;
	uint16_t in_flight;

	struct split_ring split;
	const struct dma *dma;
	struct virtqueue_call call;
	void (*broken)(void *arg, enum vq_fault fault);
	void *broken_arg;

	struct virtqueue_head *head;	/* 'size' entries */
	struct iovec *short_iov;	/* CHAIN_SHORT entries for each head */
	struct iovec *long_iov;		/* 'size' entries for each head, untouched until needed */
	struct virtqueue_stats stats;
};

/* Map and judge the three areas.  Returns 0 or -EINVAL with an error chain. */
MUST_USE int split_init(struct virtqueue *q, const struct virtqueue_config *config);

/* The head of the next available chain, without taking it. */
enum vq_pop split_peek(struct virtqueue *q, uint16_t *head);

void split_push(struct virtqueue *q, uint16_t head, uint32_t written);

/* Make pushed entries visible.  Returns true if the driver wants to be notified of them. */
bool split_publish(struct virtqueue *q);

void split_suppress(struct virtqueue *q);
bool split_rearm(struct virtqueue *q);
bool split_has_work(const struct virtqueue *q);

/*
 * Walk the chain that begins at 'head' and fill in 'c'.  Returns VQ_FAULT_NONE, or what is wrong
 * with the chain; 'c' is not to be used then.
 */
enum vq_fault chain_load(struct virtqueue *q, uint16_t head, struct chain *c);

#endif
