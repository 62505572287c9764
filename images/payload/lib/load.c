#include "images/payload/lib/load.h"

#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/random.h"

uint64_t load_seed = 0x9e3779b97f4a7c15ull;

bool load_is_canary(const void *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (((const uint8_t *)at)[i] != LOAD_CANARY)
			return false;
	}
	return true;
}

unsigned load_cut(struct piece *p, void *at, uint32_t len, unsigned max, uint32_t unit)
{
	unsigned n = (unsigned)random_below(&load_seed, max) + 1, i;

	for (i = 0; i + 1 < n && len > unit; i++) {
		uint32_t part = (uint32_t)(random_below(&load_seed, (len - 1) / unit) + 1) * unit;

		p[i] = (struct piece){ at, part };
		at = (char *)at + part;
		len -= part;
	}
	p[i] = (struct piece){ at, len };
	return i + 1;
}

bool load_fits(const struct driver *d, unsigned index, unsigned n)
{
	return d->ring[index].n_free >= n;
}

int load_add(struct driver *d, unsigned index, const struct piece *p, unsigned n_out,
	     unsigned n_in)
{
	struct ring *r = &d->ring[index];

	if (r->n_in_flight == 0)
		driver_arm(d, index);
	/* Chains and tables in turn: they may be mixed in one ring. */
	if (r->indirect && random_below(&load_seed, 3) != 0)
		return ring_add_indirect(r, p, n_out, n_in, 0);
	return ring_add(r, p, n_out, n_in);
}

void load_maybe_publish(struct driver *d, unsigned index)
{
	if (random_below(&load_seed, 3) == 0)
		ring_publish(&d->ring[index]);
}

void load_check_ring_untouched(struct driver *d, unsigned index, const void *at, size_t len)
{
	struct ring *r = &d->ring[index];
	void *ring = r->packed ? (void *)r->slot : (void *)r->used;
	size_t ring_len = r->size * (r->packed ? sizeof(*r->slot) : sizeof(r->used->ring[0]));

	memset(ring, LOAD_CANARY, ring_len);
	WAIT_UNTIL(false, 300 * 1000);
	check(load_is_canary(ring, ring_len), "the ring was written after the queue's reset");
	check(load_is_canary(at, len), "a buffer was written after the queue's reset");
}
