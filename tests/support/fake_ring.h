/*
 * The driver's side of a ring, split or packed, laid out in the memory of a fake machine and
 * written through the driver's own mapping.  It does what it is told, right or wrong: the tests
 * decide which rule to break.  What has no layout in its comment works with both.
 * virtio-v1.4 2.7 "Split Virtqueues", 2.8 "Packed Virtqueues".
 */
#ifndef TESTS_FAKE_RING_H
#define TESTS_FAKE_RING_H

#include "tests/support/fake_machine.h"
#include "virtio/virtqueue.h"

enum {
	DESC_NEXT = 1,
	DESC_WRITE = 2,
	DESC_INDIRECT = 4,
	DESC_AVAIL = 0x80,		/* packed, as the next one */
	DESC_USED = 0x8000,
};

/* Packed event structures. */
enum { EVENT_ALL = 0, EVENT_NONE = 1, EVENT_AT = 2, EVENT_RESERVED = 3 };

enum fake_layout { FAKE_SPLIT, FAKE_PACKED, FAKE_LAYOUTS };

/* Packed: a slot, and the wrap counter that belongs to it. */
struct fake_slot {
	uint16_t at;
	bool wrap;
};

struct fake_ring {
	struct fake_machine *machine;
	enum fake_layout layout;
	bool event_idx;			/* the driver follows it; set by the test */
	uint16_t size;
	uint64_t desc, driver, device;	/* guest addresses of the areas */
	uint16_t avail_idx;		/* split: what the driver published last */
	uint16_t used_seen;		/* split: how far it has reaped */
	uint16_t next_head;		/* split: where fake_ring_add puts the next chain */
	uint16_t kicked_at;		/* split: avail_idx at the last fake_ring_must_kick */
	struct fake_slot avail, used;	/* packed: of the next list to add, to reap */
	uint64_t book;			/* packed: how many slots an id has, 0: not out */
	uint16_t next_id;		/* packed: where to look for a free one */
	uint16_t slots_out;		/* packed */
	uint16_t slots_added;		/* packed: since the last fake_ring_must_kick */
};

struct fake_buf {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/* The bytes that fake_ring_init uses from 'addr' on. */
uint64_t fake_ring_bytes(uint16_t size);

/* Lay the three areas out from 'addr' (a multiple of 16) on, zeroed.  The plain one is split. */
void fake_ring_init(struct fake_ring *ring, struct fake_machine *machine, uint16_t size,
		    uint64_t addr);
void fake_ring_init_as(struct fake_ring *ring, enum fake_layout layout,
		       struct fake_machine *machine, uint16_t size, uint64_t addr);

/* What a device would be told of this ring; 'call_fd' is its call. */
struct virtqueue_config fake_ring_config(const struct fake_ring *ring, struct features features,
					 int call_fd);

/* Split: write descriptor 'index' of the table at 'table'. */
void fake_ring_desc(const struct fake_ring *ring, uint64_t table, unsigned index, uint64_t addr,
		    uint32_t len, uint16_t flags, uint16_t next);

/*
 * Split: write a chain into a table, one descriptor after the other from 'first' on, modulo
 * 'table_size'.
 */
void fake_ring_chain(const struct fake_ring *ring, uint64_t table, unsigned table_size,
		     unsigned first, const struct fake_buf *buf, unsigned n);

/* Split: put 'head' into the available ring at the next place / show what was put there. */
void fake_ring_offer(struct fake_ring *ring, uint16_t head);
void fake_ring_publish(struct fake_ring *ring);
/* Split: write the available index itself. */
void fake_ring_set_avail_idx(struct fake_ring *ring, uint16_t idx);

/*
 * Packed: write the descriptor 'k' slots behind the next list's first.  AVAIL and USED are as they
 * have to be to make it available; where 'flags' has them they are flipped.
 */
void fake_ring_put(const struct fake_ring *ring, unsigned k, uint64_t addr, uint32_t len,
		   uint16_t id, unsigned flags);
/* Packed: go on behind a list of 'n' slots that was put there. */
void fake_ring_advance(struct fake_ring *ring, unsigned n);

/*
 * The whole of it: a chain of direct descriptors in the next free place, offered and published.
 * Returns what the used entry will name: the head, or an id that is larger than any ring.  The
 * test sees to it that no more are out than fit.
 */
uint16_t fake_ring_add(struct fake_ring *ring, const struct fake_buf *buf, unsigned n);
/* The same through an indirect table at 'table'; of a packed one all ignored fields are junk. */
uint16_t fake_ring_add_indirect(struct fake_ring *ring, uint64_t table,
				const struct fake_buf *buf, unsigned n);

/* Take the next used entry.  False if there is none. */
bool fake_ring_reap(struct fake_ring *ring, uint32_t *id, uint32_t *len);

bool fake_ring_has_used(const struct fake_ring *ring);

/* How many descriptors are free if every chain has one (split) / are free (packed). */
unsigned fake_ring_room(const struct fake_ring *ring);

/*
 * Want to be called for the used entry (split) or slot (packed) that comes 'ahead' places after the
 * next one / want no call at all.
 */
void fake_ring_want_call(const struct fake_ring *ring, unsigned ahead);
void fake_ring_refuse_calls(const struct fake_ring *ring);

/* Does the device want a kick for what was added since this was asked last? */
bool fake_ring_must_kick(struct fake_ring *ring);

/* Packed: the two event structures, position below and flags above. */
uint32_t fake_ring_driver_event(const struct fake_ring *ring);
void fake_ring_set_driver_event(const struct fake_ring *ring, uint16_t at, uint16_t flags);
uint32_t fake_ring_device_event(const struct fake_ring *ring);

/* Split: fields of the rings. */
uint16_t fake_ring_used_idx(const struct fake_ring *ring);
uint16_t fake_ring_used_flags(const struct fake_ring *ring);
uint16_t fake_ring_avail_event(const struct fake_ring *ring);
void fake_ring_set_avail_flags(const struct fake_ring *ring, uint16_t flags);
void fake_ring_set_used_event(const struct fake_ring *ring, uint16_t event);

#endif
