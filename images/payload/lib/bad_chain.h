/*
 * Chains that no driver should make available: ranges outside of memory, loops, tables of the wrong
 * kind, in either layout.
 */
#ifndef PAYLOAD_BAD_CHAIN_H
#define PAYLOAD_BAD_CHAIN_H

#include "images/payload/lib/driver.h"

enum { BAD_CHAIN_MAX = 300, IN_SPLIT = 1, IN_PACKED = 2, IN_BOTH = 3 };

/* In a packed ring 'next' is the buffer's id. */
struct bad_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct bad_chain {
	char class;
	const char *name;
	/* Fill in the descriptors of the ring from the first one on; returns how many. */
	unsigned (*make)(struct driver *d, struct bad_desc *e);
	bool breaks;			/* a rule of the ring: the device must ask for a reset */
	bool without_indirect;		/* which is not negotiated */
	uint8_t layouts;
};

extern const struct bad_chain bad_chains[];
extern const unsigned n_bad_chains;

/* Once, before the first of them. */
void bad_chain_init(void);

/* Make it available in queue 0, which must be fresh, and kick. */
void bad_chain_submit(struct driver *d, const struct bad_chain *c);

#endif
