/*
 * The driver's side of a virtqueue, split or packed as the features say: buffers in, completions
 * out.  The pieces are public, for programs that put into a ring what no driver should.
 * virtio-v1.4 2.7 "Split Virtqueues", 2.8 "Packed Virtqueues", 2.9 "Driver Notifications"; the
 * ring of legacy devices is the split one in one piece, page by page.
 */
#ifndef PAYLOAD_RING_H
#define PAYLOAD_RING_H

#include "images/payload/lib/virtio.h"

enum {
	DESC_NEXT = 1,
	DESC_WRITE = 2,
	DESC_INDIRECT = 4,
	DESC_AVAIL = 1 << 7,		/* packed */
	DESC_USED = 1 << 15,		/* packed */
	AVAIL_NO_INTERRUPT = 1,
	USED_NO_NOTIFY = 1,
	RING_MAX_SIZE = 256,		/* that ring_init chooses by itself */
	RING_MAX_INDIRECT = 16,
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

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

/* Event suppression; 'at' is an offset and, in bit 15, a wrap counter. */
struct packed_event {
	uint16_t at, flags;
};

enum packed_event_flags { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_AT = 2 };

/* One piece of a buffer. */
struct piece {
	void *at;
	uint32_t len;
};

/* What is remembered of a buffer that the device has, by its id (split: head). */
struct ring_buffer {
	uint16_t n_desc;
	uint16_t next;		/* packed: the next free id */
	uint32_t in_len;	/* bytes that the device may write */
};

struct ring {
	struct virtio *v;
	uint16_t index, size;
	bool packed, event_idx, in_order;
	/* split */
	volatile struct ring_desc *desc;
	volatile struct ring_avail *avail;
	volatile struct ring_used *used;
	uint16_t free_head;		/* packed: of ids */
	uint16_t avail_idx;		/* what is filled in; published by ring_publish */
	uint16_t kicked_idx;		/* avail->idx at the last kick */
	uint16_t used_idx;		/* what was taken; packed: the slot that comes next */
	/* packed */
	volatile struct packed_desc *slot;
	volatile struct packed_event *driver_event, *device_event;
	uint16_t next_slot;		/* to fill in */
	bool avail_wrap, used_wrap;
	bool is_qemu;			/* 7.2: takes the first id of a chain, WRITE is never set */
	uint16_t n_added;		/* descriptors since the last kick or publication without */
	uint16_t first_slot, first_flags;	/* shows all that was added; 0: nothing was */
	/* both */
	struct ring_desc *indirect;	/* RING_MAX_INDIRECT entries per head */
	struct doorbell doorbell;
	uint16_t n_free;		/* descriptors */
	struct ring_buffer *buffer;	/* by id */
	uint16_t *order;		/* ids in the order in which they became available */
	uint16_t order_first, n_in_flight;
	uint16_t batch;			/* in order: completions that one used entry told of */
	uint32_t batch_len;		/* used length of the last one of them */
	uint32_t taken_len;		/* of the completion taken last */
	bool taken_in_batch;		/* its used length is not the device's word */
	uint64_t n_kicks;
	unsigned n_misordered;		/* used entries that IN_ORDER does not allow */
	unsigned n_out_of_order;	/* completions not of the oldest buffer */
};

/*
 * Make the ring and give it to queue 'index'; 'size' 0 is what the device offers (at most
 * RING_MAX_SIZE); where the device alone decides it is ignored.  The queue gets the vector
 * v->vector.  Between FEATURES_OK and DRIVER_OK, or after ring_stop.  False when there is no such
 * queue.
 */
bool ring_init(struct ring *r, struct virtio *v, uint16_t index, uint16_t size, uint64_t features);

/* As above without touching the device: addresses are in the struct. */
void ring_alloc(struct ring *r, struct virtio *v, uint16_t index, uint16_t size, uint64_t features);

/* Give the selected queue the areas of the struct and enable it: the second half of ring_init. */
bool ring_enable(struct ring *r, uint64_t features);

/* Reset the queue and wait until the memory is ours.  False when that does not come. */
bool ring_stop(struct ring *r);

/*
 * Add a buffer: 'n_out' pieces that the device reads, then 'n_in' that it writes.  Returns the
 * head (packed: id). ring_add_indirect puts all but the first 'n_direct' pieces into an indirect
 * table; packed: all of them, whatever 'n_direct', if it is less than all.
 */
uint16_t ring_add(struct ring *r, const struct piece *piece, unsigned n_out, unsigned n_in);
uint16_t ring_add_indirect(struct ring *r, const struct piece *piece, unsigned n_out,
			   unsigned n_in, unsigned n_direct);

/* Show what was added to the device, and kick it if it wants that. */
void ring_publish(struct ring *r);
void ring_publish_quietly(struct ring *r);	/* without the kick */
/* Kick whether it is wanted or not. */
void ring_kick(struct ring *r);

/* Ask for an interrupt at the next completion / for none. */
void ring_want_interrupt(struct ring *r, bool wanted);

/*
 * Take one completion: its head, or -1; taken_len is the used length.  Its descriptors are free.
 * In order: what does not come in order is counted in n_misordered.
 */
int ring_take(struct ring *r);
/* The same, waiting for it. */
int ring_wait(struct ring *r);

#endif
