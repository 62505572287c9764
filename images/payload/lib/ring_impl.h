/* What ring.c wants of the two layouts; everybody else includes ring.h. */
#ifndef PAYLOAD_RING_IMPL_H
#define PAYLOAD_RING_IMPL_H

#include "images/payload/lib/ring.h"

/* A descriptor's worth of one piece. */
struct element {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
};

struct ring_layout_ops {
	void (*alloc)(struct ring *r);		/* 'size' and the features are set */
	/* Add a chain and return its id. */
	uint16_t (*add)(struct ring *r, const struct element *e, unsigned n);
	/* The id that the next 'add' will return. */
	uint16_t (*next_id)(const struct ring *r);
	void (*publish)(struct ring *r);
	/* Has the device asked to be kicked for what was published since the last call? */
	bool (*wants_kick)(struct ring *r);
	/* Where the driver goes on, in the format of NOTIFICATION_DATA. */
	uint16_t (*next)(const struct ring *r);
	void (*want_interrupt)(struct ring *r, bool wanted);
	/* The used entry that comes next. */
	bool (*peek)(const struct ring *r, uint32_t *id, uint32_t *len);
	/* Past it: buffer 'id' is the driver's again. */
	void (*release)(struct ring *r, uint16_t id);
};

extern const struct ring_layout_ops ring_split_ops, ring_packed_ops;

#endif
