/* Work for a device, with every byte compared. */
#ifndef PAYLOAD_LOAD_H
#define PAYLOAD_LOAD_H

#include <stddef.h>

#include "images/payload/lib/driver.h"

struct load {
	const char *name;
	uint32_t id;
	unsigned n_queues;
	void (*init)(void);		/* once */
	/* Some of everything, in pieces of all kinds, several at once.  Waits for all. */
	void (*run)(struct driver *d);
	/* Give queue 'index' buffers and do not wait for them. */
	void (*leave_in_flight)(struct driver *d, unsigned index);
	/* The queue was reset: does the device leave these buffers and the ring alone? */
	void (*check_untouched)(struct driver *d, unsigned index);
};

extern const struct load load_blk, load_rng, load_balloon;

enum { LOAD_CANARY = 0xa5, LOAD_MAX_PIECES = 7 };

/* What the three share. */
extern uint64_t load_seed;
bool load_is_canary(const void *at, size_t len);
/*
 * Cut 'len' bytes into at most 'max' pieces (more than 0), anywhere; returns how many.  'unit': at
 * multiples of it only.
 */
unsigned load_cut(struct piece *p, void *at, uint32_t len, unsigned max, uint32_t unit);
/* Add with or without a table, as features and chance have it. */
int load_add(struct driver *d, unsigned index, const struct piece *p, unsigned n_out,
	     unsigned n_in);
/* Is there room for a chain of 'n' pieces? */
bool load_fits(const struct driver *d, unsigned index, unsigned n);
/* Publish what was added; chance decides whether at once or with what comes next. */
void load_maybe_publish(struct driver *d, unsigned index);
/* The ring as far as the device writes to it is filled, and looked at again a moment later. */
void load_check_ring_untouched(struct driver *d, unsigned index, const void *at, size_t len);

#endif
