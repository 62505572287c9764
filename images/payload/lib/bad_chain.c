#include "images/payload/lib/bad_chain.h"

#include "images/payload/lib/blk.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/heap.h"
#include "vmm/machine/layout.h"

enum { TABLE_ENTRIES = 600 };

static struct bad_desc *desc, *table;
static uint8_t *buf;

void bad_chain_init(void)
{
	desc = heap_alloc(BAD_CHAIN_MAX * sizeof(*desc), 16);
	table = heap_alloc(TABLE_ENTRIES * sizeof(*table), 16);
	buf = heap_alloc(4096, 4096);
}

static unsigned one(struct bad_desc *e, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	e[0] = (struct bad_desc){ addr, len, flags, next };
	return 1;
}

/* Class B: ranges. */

static unsigned no_memory(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, 1ull << 40, 512, DESC_WRITE, 0);
}

/* The last 256 bytes of memory below 4 GiB, and as many behind them. */
static unsigned across_the_end(struct driver *d, struct bad_desc *e)
{
	uint64_t end = 0;

	(void)d;
	for (unsigned i = 0; i < boot_info.n_ranges; i++) {
		const struct memory_range *r = &boot_info.range[i];

		if (r->base + r->size > end && r->base + r->size <= LAYOUT_RAM_HOLE)
			end = r->base + r->size;
	}
	return one(e, end - 256, 512, DESC_WRITE, 0);
}

static unsigned wraps(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, ~0ull - 15, 32, DESC_WRITE, 0);
}

static unsigned whole_memory(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, (uintptr_t)buf, 0xffffffff, DESC_WRITE, 0);
}

static unsigned bad_second(struct driver *d, struct bad_desc *e)
{
	(void)d;
	one(e, (uintptr_t)buf, 16, DESC_NEXT, 1);
	return 1 + one(e + 1, 1ull << 63, 16, DESC_WRITE, 1);
}

static unsigned empty(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, 0, 0, DESC_WRITE, 0);
}

/* Class G: registers are not memory, one's own least of all. */

static unsigned lapic(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, LAYOUT_LAPIC, 512, DESC_WRITE, 0);
}

static unsigned own_registers(struct driver *d, struct bad_desc *e)
{
	uint64_t at = d->v.base != 0 ? d->v.base : d->v.notify != 0 ? d->v.notify : LAYOUT_ECAM;

	one(e, (uintptr_t)buf, 16, DESC_NEXT, 1);
	return 1 + one(e + 1, at, 64, DESC_WRITE, 1);
}

static unsigned table_in_registers(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, LAYOUT_IOAPIC, 32, DESC_INDIRECT, 0);
}

/* Class E: walks without an end. */

static unsigned next_is_itself(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, (uintptr_t)buf, 16, DESC_NEXT, 0);
}

static unsigned circle(struct driver *d, struct bad_desc *e)
{
	(void)d;
	for (uint16_t i = 0; i < 3; i++)
		one(e + i, (uintptr_t)buf, 16, DESC_NEXT, (uint16_t)((i + 1) % 3));
	return 3;
}

static unsigned next_past_the_ring(struct driver *d, struct bad_desc *e)
{
	return one(e, (uintptr_t)buf, 16, DESC_NEXT, d->ring[0].size);
}

static unsigned next_far_past_the_ring(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, (uintptr_t)buf, 16, DESC_NEXT, 0xffff);
}

/* All of the ring is one chain that goes on. */
static unsigned never_ends(struct driver *d, struct bad_desc *e)
{
	for (uint16_t i = 0; i < d->ring[0].size; i++)
		one(e + i, (uintptr_t)buf, 1, DESC_NEXT, 0);
	return d->ring[0].size;
}

/* The second one is not available, although the first one says that it follows. */
static unsigned runs_into_nothing(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, (uintptr_t)buf, 16, DESC_NEXT, 0);
}

static unsigned with_table(struct bad_desc *e, uint32_t len, uint16_t flags)
{
	return one(e, (uintptr_t)table, len, (uint16_t)(DESC_INDIRECT | flags), 0);
}

static unsigned table_loop(struct driver *d, struct bad_desc *e)
{
	(void)d;
	one(table, (uintptr_t)buf, 16, DESC_NEXT, 0);
	return with_table(e, 16, 0);
}

static unsigned table_next_past_its_end(struct driver *d, struct bad_desc *e)
{
	(void)d;
	one(table, (uintptr_t)buf, 16, DESC_NEXT, 2);
	return with_table(e, 32, 0);
}

static unsigned table_in_table(struct driver *d, struct bad_desc *e)
{
	(void)d;
	one(table, (uintptr_t)table, 16, DESC_INDIRECT, 0);
	return with_table(e, 16, 0);
}

static unsigned table_too_long(struct driver *d, struct bad_desc *e)
{
	unsigned n = d->ring[0].size + 1u;

	for (unsigned i = 0; i < n && i < TABLE_ENTRIES; i++) {
		bool more = i + 1 < n && !d->ring[0].packed;

		one(table + i, (uintptr_t)buf, 1, more ? DESC_NEXT : 0, (uint16_t)(i + 1));
	}
	return with_table(e, n * 16, 0);
}

static unsigned table_of_nothing(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return with_table(e, 0, 0);
}

static unsigned table_of_a_half(struct driver *d, struct bad_desc *e)
{
	(void)d;
	one(table, (uintptr_t)buf, 16, 0, 0);
	return with_table(e, 24, 0);
}

static unsigned table_and_more(struct driver *d, struct bad_desc *e)
{
	(void)d;
	one(table, (uintptr_t)buf, 16, 0, 0);
	with_table(e, 16, DESC_NEXT);
	e[0].next = 1;
	return 1 + one(e + 1, (uintptr_t)buf, 16, DESC_WRITE, 1);
}

static unsigned table_nowhere(struct driver *d, struct bad_desc *e)
{
	(void)d;
	return one(e, 1ull << 50, 64, DESC_INDIRECT, 0);
}

static unsigned table_not_negotiated(struct driver *d, struct bad_desc *e)
{
	(void)d;
	one(table, (uintptr_t)buf, 16, 0, 0);
	return with_table(e, 16, 0);
}

static unsigned readable_last(struct driver *d, struct bad_desc *e)
{
	(void)d;
	one(e, (uintptr_t)buf, 16, DESC_WRITE | DESC_NEXT, 1);
	return 1 + one(e + 1, (uintptr_t)buf, 16, 0, 1);
}

const struct bad_chain bad_chains[] = {
	{ 'B', "not in memory", no_memory, true, false, IN_BOTH },
	{ 'B', "across the end of memory", across_the_end, true, false, IN_BOTH },
	{ 'B', "address and length wrap", wraps, true, false, IN_BOTH },
	{ 'B', "4 GiB", whole_memory, true, false, IN_BOTH },
	{ 'B', "the second one not in memory", bad_second, true, false, IN_BOTH },
	{ 'B', "empty at 0", empty, false, false, IN_BOTH },
	{ 'B', "readable behind writable", readable_last, true, false, IN_BOTH },
	{ 'B', "table not in memory", table_nowhere, true, false, IN_BOTH },
	{ 'B', "table of 24 bytes", table_of_a_half, true, false, IN_BOTH },
	{ 'E', "next is itself", next_is_itself, true, false, IN_SPLIT },
	{ 'E', "circle of three", circle, true, false, IN_SPLIT },
	{ 'E', "next past the ring", next_past_the_ring, true, false, IN_SPLIT },
	{ 'E', "next far past the ring", next_far_past_the_ring, true, false, IN_SPLIT },
	{ 'E', "a packed ring of one chain", never_ends, true, false, IN_PACKED },
	{ 'E', "chain into nothing", runs_into_nothing, true, false, IN_PACKED },
	{ 'E', "loop in a table", table_loop, true, false, IN_SPLIT },
	{ 'E', "next past the table", table_next_past_its_end, true, false, IN_SPLIT },
	{ 'E', "table in a table", table_in_table, true, false, IN_SPLIT },
	/* A packed ring's tables have no flag but WRITE: what the others say does not matter. */
	{ 'E', "table in a table, packed", table_in_table, false, false, IN_PACKED },
	{ 'E', "table longer than the ring", table_too_long, true, false, IN_BOTH },
	{ 'E', "table of 0 bytes", table_of_nothing, true, false, IN_BOTH },
	{ 'E', "table and next", table_and_more, true, false, IN_BOTH },
	{ 'F', "table without the feature", table_not_negotiated, true, true, IN_BOTH },
	{ 'G', "the local APIC as buffer", lapic, true, false, IN_BOTH },
	{ 'G', "the device's registers as buffer", own_registers, true, false, IN_BOTH },
	{ 'G', "the I/O APIC as table", table_in_registers, true, false, IN_BOTH },
};

const unsigned n_bad_chains = sizeof(bad_chains) / sizeof(bad_chains[0]);

void bad_chain_submit(struct driver *d, const struct bad_chain *c)
{
	struct ring *r = &d->ring[0];
	unsigned n = c->make(d, desc);

	for (unsigned i = n; i-- > 0 && i < r->size;) {
		if (r->packed) {
			r->slot[i].addr = desc[i].addr;
			r->slot[i].len = desc[i].len;
			r->slot[i].id = desc[i].next;
			r->slot[i].flags = desc[i].flags | DESC_AVAIL;
		} else {
			r->desc[i].addr = desc[i].addr;
			r->desc[i].len = desc[i].len;
			r->desc[i].flags = desc[i].flags;
			r->desc[i].next = desc[i].next;
		}
	}
	r->next_slot = (uint16_t)(n % r->size);
	r->avail_wrap = n < r->size;
	if (!r->packed) {
		r->avail->ring[0] = 0;
		r->avail_idx = 1;
		ring_publish_quietly(r);
	}
	ring_kick(r);
}
