/*
 * The driver's side of a split ring, laid out in the memory of a fake machine and written through
 * the driver's own mapping.  It does what it is told, right or wrong: the tests decide which rule
 * to break. virtio-v1.4 2.7 "Split Virtqueues".
 */
#ifndef TESTS_FAKE_RING_H
#define TESTS_FAKE_RING_H

#include "tests/support/fake_machine.h"
#include "virtio/virtqueue.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };

struct fake_ring {
	struct fake_machine *machine;
	uint16_t size;
	uint64_t desc, driver, device;	/* guest addresses of the areas */
	uint16_t avail_idx;		/* what the driver published last */
	uint16_t used_seen;		/* how far it has reaped */
	uint16_t next_head;		/* where fake_ring_add puts the next chain */
};

struct fake_buf {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/* The bytes that fake_ring_init uses from 'addr' on. */
uint64_t fake_ring_bytes(uint16_t size);

/* Lay the three areas out from 'addr' (a multiple of 16) on, zeroed. */
void fake_ring_init(struct fake_ring *ring, struct fake_machine *machine, uint16_t size,
		    uint64_t addr);

/* What a device would be told of this ring; 'call_fd' is its call. */
struct virtqueue_config fake_ring_config(const struct fake_ring *ring, struct features features,
					 int call_fd);

/* Write descriptor 'index' of the table at 'table'. */
void fake_ring_desc(const struct fake_ring *ring, uint64_t table, unsigned index, uint64_t addr,
		    uint32_t len, uint16_t flags, uint16_t next);

/*
 * Write a chain into a table, one descriptor after the other from 'first' on, modulo
 * 'table_size'.
 */
void fake_ring_chain(const struct fake_ring *ring, uint64_t table, unsigned table_size,
		     unsigned first, const struct fake_buf *buf, unsigned n);

/* Put 'head' into the available ring at the next place / show the device what was put there. */
void fake_ring_offer(struct fake_ring *ring, uint16_t head);
void fake_ring_publish(struct fake_ring *ring);
/* Write the available index itself. */
void fake_ring_set_avail_idx(struct fake_ring *ring, uint16_t idx);

/*
 * The whole of it: a chain of direct descriptors in the next free place, offered and published.
 * Returns its head.  The test sees to it that no more are out than fit.
 */
uint16_t fake_ring_add(struct fake_ring *ring, const struct fake_buf *buf, unsigned n);

/* Take the next used entry.  False if there is none. */
bool fake_ring_reap(struct fake_ring *ring, uint32_t *id, uint32_t *len);

uint16_t fake_ring_used_idx(const struct fake_ring *ring);
uint16_t fake_ring_used_flags(const struct fake_ring *ring);
uint16_t fake_ring_avail_event(const struct fake_ring *ring);
void fake_ring_set_avail_flags(const struct fake_ring *ring, uint16_t flags);
void fake_ring_set_used_event(const struct fake_ring *ring, uint16_t event);

#endif
