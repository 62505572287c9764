/*
 * The driver's side of a split virtqueue: buffers in, completions out, by polling.  The pieces
 * are public, for programs that put into a ring what no driver should.  virtio-v1.4 2.7 "Split
 * Virtqueues".
 */
#ifndef PAYLOAD_RING_H
#define PAYLOAD_RING_H

#include "images/payload/lib/virtio.h"

enum {
	DESC_NEXT = 1,
	DESC_WRITE = 2,
	DESC_INDIRECT = 4,
	AVAIL_NO_INTERRUPT = 1,
	USED_NO_NOTIFY = 1,
	RING_MAX_SIZE = 256,
};

struct ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct ring_avail {
	uint16_t flags, idx, ring[];	/* and used_event */
};

struct ring_used_elem {
	uint32_t id, len;
};

struct ring_used {
	uint16_t flags, idx;
	struct ring_used_elem ring[];	/* and avail_event */
};

/* One piece of a buffer. */
struct piece {
	void *at;
	uint32_t len;
};

struct ring {
	struct virtio *v;
	uint16_t index, size;
	volatile struct ring_desc *desc;
	volatile struct ring_avail *avail;
	volatile struct ring_used *used;
	struct ring_desc *indirect;	/* RING_MAX_INDIRECT entries per head */
	bool event_idx;
	uintptr_t kick_address;
	uint16_t free_head, n_free;	/* descriptors */
	uint16_t avail_idx;		/* what is filled in; published by ring_publish */
	uint16_t kicked_idx;		/* avail->idx at the last kick */
	uint16_t used_idx;		/* what was taken */
	uint32_t taken_len;		/* of the completion taken last */
	uint64_t n_kicks;
};

enum { RING_MAX_INDIRECT = 16 };

/*
 * Make the ring and give it to queue 'index'; 'size' 0 is what the device offers (at most
 * RING_MAX_SIZE).  Between FEATURES_OK and DRIVER_OK.  False when there is no such queue.
 */
bool ring_init(struct ring *r, struct virtio *v, uint16_t index, uint16_t size, uint64_t features);

/* As above without touching the device: addresses are in the struct. */
void ring_alloc(struct ring *r, struct virtio *v, uint16_t index, uint16_t size, uint64_t features);

/*
 * Add a buffer: 'n_out' pieces that the device reads, then 'n_in' that it writes.  Returns the
 * head. ring_add_indirect puts all but the first 'n_direct' pieces into an indirect table.
 */
uint16_t ring_add(struct ring *r, const struct piece *piece, unsigned n_out, unsigned n_in);
uint16_t ring_add_indirect(struct ring *r, const struct piece *piece, unsigned n_out,
			   unsigned n_in, unsigned n_direct);

/* Show what was added to the device, and kick it if it wants that. */
void ring_publish(struct ring *r);
void ring_publish_quietly(struct ring *r);	/* without the kick */

/* Ask for an interrupt at the next completion / for none. */
void ring_want_interrupt(struct ring *r, bool wanted);

/* Take one completion: its head, or -1; taken_len is the used length.  Its descriptors are free. */
int ring_take(struct ring *r);
/* The same, waiting for it. */
int ring_wait(struct ring *r);

#endif
