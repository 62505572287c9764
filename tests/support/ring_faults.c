#include "tests/support/ring_faults.h"

#include <criterion/criterion.h>

enum { SPLIT = 1 << FAKE_SPLIT, PACKED = 1 << FAKE_PACKED, BOTH = SPLIT | PACKED, BIG = 512 };

/* Guest addresses within the scratch memory: tables below, data above. */
static uint64_t data(uint64_t scratch)
{
	return scratch + KIB(32);
}

static void offer(struct fake_ring *ring, uint16_t head)
{
	fake_ring_offer(ring, head);
	fake_ring_publish(ring);
}

static void one(struct fake_ring *ring, uint64_t addr, uint32_t len, bool write)
{
	struct fake_buf buf = { addr, len, write };

	fake_ring_add(ring, &buf, 1);
}

/* One descriptor of whatever flags in the ring; if it says NEXT there is a good one behind it. */
static void raw(struct fake_ring *ring, uint64_t addr, uint32_t len, unsigned flags, uint64_t next)
{
	if (ring->layout == FAKE_PACKED) {
		if (flags & DESC_NEXT)
			fake_ring_put(ring, 1, next, 1, 1, 0);
		fake_ring_put(ring, 0, addr, len, 7, flags);
		return;
	}
	fake_ring_desc(ring, ring->desc, 0, addr, len, (uint16_t)flags, 1);
	fake_ring_desc(ring, ring->desc, 1, next, 1, 0, 0);
	offer(ring, 0);
}

/* --- split: indexes and links --- */

static void head_is_size(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	offer(ring, ring->size);
}

static void head_far(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	offer(ring, 0xffff);
}

static void head_twice(struct fake_ring *ring, uint64_t scratch)
{
	one(ring, data(scratch), 16, true);
	offer(ring, 0);
}

static void index_too_far(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	fake_ring_set_avail_idx(ring, (uint16_t)(ring->size + 1));
}

static void index_half_way_round(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	fake_ring_set_avail_idx(ring, 0x8000);
}

static void index_backwards(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	fake_ring_set_avail_idx(ring, 0xffff);
}

static void linked_to(struct fake_ring *ring, uint64_t scratch, uint32_t len, uint16_t next)
{
	fake_ring_desc(ring, ring->desc, 0, data(scratch), len, DESC_NEXT, next);
	offer(ring, 0);
}

static void next_is_size(struct fake_ring *ring, uint64_t scratch)
{
	linked_to(ring, scratch, 1, ring->size);
}

static void next_far(struct fake_ring *ring, uint64_t scratch)
{
	linked_to(ring, scratch, 1, 0xffff);
}

static void loop_of_one(struct fake_ring *ring, uint64_t scratch)
{
	linked_to(ring, scratch, 1, 0);
}

static void loop_of_empty(struct fake_ring *ring, uint64_t scratch)
{
	linked_to(ring, scratch, 0, 0);
}

static void loop_of_two(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_desc(ring, ring->desc, 1, data(scratch), 1, DESC_NEXT, 0);
	linked_to(ring, scratch, 1, 1);
}

/* --- both: what a buffer may be --- */

static void order(struct fake_ring *ring, uint64_t scratch)
{
	struct fake_buf buf[] = { { data(scratch), 1, true }, { data(scratch), 1, false } };

	fake_ring_add(ring, buf, 2);
}

/* One byte too many at the end of a region: the next region is elsewhere. */
static void beyond_ram(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, FAKE_LOW_RAM_SIZE - 1, 2, false);
}

static void in_the_hole(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, 0xc0000000, 4, true);
}

static void into_a_region(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, FAKE_HIGH_RAM_BASE - 1, 2, true);
}

static void across_regions(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, FAKE_LOW_RAM_SIZE - 4096, 0xffffffff, true);
}

static void address_wraps(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, 0xffffffffffffff00, 0x200, false);
}

static void address_is_last(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, UINT64_MAX, 1, true);
}

/* The last of many is wrong, when the chain has outgrown what is kept for short ones. */
static void last_of_many(struct fake_ring *ring, uint64_t scratch)
{
	struct fake_buf buf[40];

	for (unsigned i = 0; i < ARRAY_SIZE(buf); i++)
		buf[i] = (struct fake_buf){ data(scratch), 1, false };
	buf[ARRAY_SIZE(buf) - 1].addr = 0xc0000000;
	fake_ring_add(ring, buf, ARRAY_SIZE(buf));
}

/* Each fits, all together do not.  RAM is smaller than that, so the same bytes are named again. */
static void more_than_4_gib(struct fake_ring *ring, uint64_t scratch)
{
	struct fake_buf buf[300];

	(void)scratch;
	for (unsigned i = 0; i < ARRAY_SIZE(buf); i++)
		buf[i] = (struct fake_buf){ 0, FAKE_LOW_RAM_SIZE, false };
	fake_ring_add(ring, buf, ARRAY_SIZE(buf));
}

/* --- both: indirect tables --- */

/* A table of one good entry would be at 'scratch'. */
static void table_of(struct fake_ring *ring, uint64_t scratch, uint32_t len, unsigned flags)
{
	fake_ring_desc(ring, scratch, 0, data(scratch), 1, 0, 0);
	raw(ring, scratch, len, DESC_INDIRECT | flags, data(scratch));
}

static void table_with_next(struct fake_ring *ring, uint64_t scratch)
{
	table_of(ring, scratch, 16, DESC_NEXT);
}

static void table_empty(struct fake_ring *ring, uint64_t scratch)
{
	table_of(ring, scratch, 0, 0);
}

static void table_half(struct fake_ring *ring, uint64_t scratch)
{
	table_of(ring, scratch, 8, 0);
}

static void table_odd(struct fake_ring *ring, uint64_t scratch)
{
	table_of(ring, scratch, 17, 0);
}

static void table_too_long(struct fake_ring *ring, uint64_t scratch)
{
	table_of(ring, scratch, 16 * (ring->size + 1u), 0);
}

static void table_huge(struct fake_ring *ring, uint64_t scratch)
{
	table_of(ring, scratch, 0xfffffff0, 0);
}

static void table_nowhere(struct fake_ring *ring, uint64_t scratch)
{
	raw(ring, 0xfffffffffffffff0, 16, DESC_INDIRECT, data(scratch));
}

static void table_in_the_hole(struct fake_ring *ring, uint64_t scratch)
{
	raw(ring, 0xc0000000, 16, DESC_INDIRECT, data(scratch));
}

static void table_beyond_ram(struct fake_ring *ring, uint64_t scratch)
{
	raw(ring, FAKE_LOW_RAM_SIZE - 16, 32, DESC_INDIRECT, data(scratch));
}

static void table_to_nowhere(struct fake_ring *ring, uint64_t scratch)
{
	struct fake_buf buf[] = { { data(scratch), 1, false }, { 0xc0000000, 1, true } };

	fake_ring_add_indirect(ring, scratch, buf, 2);
}

static void table_order(struct fake_ring *ring, uint64_t scratch)
{
	struct fake_buf buf[] = { { data(scratch), 1, true }, { data(scratch), 1, false } };

	fake_ring_add_indirect(ring, scratch, buf, 2);
}

/* In a packed table the flag means nothing: the inner one is a buffer like any. */
static void table_nested(struct fake_ring *ring, uint64_t scratch)
{
	if (ring->layout == FAKE_PACKED)
		fake_ring_desc(ring, scratch, 0, scratch, 16, 0, DESC_INDIRECT);
	else
		fake_ring_desc(ring, scratch, 0, scratch, 16, DESC_INDIRECT, 0);
	raw(ring, scratch, 16, DESC_INDIRECT, data(scratch));
}

static void table_next_beyond(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_desc(ring, scratch, 0, data(scratch), 1, DESC_NEXT, 2);
	raw(ring, scratch, 32, DESC_INDIRECT, data(scratch));
}

static void table_loop(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_desc(ring, scratch, 0, data(scratch), 1, DESC_NEXT, 1);
	fake_ring_desc(ring, scratch, 1, data(scratch), 1, DESC_NEXT, 0);
	raw(ring, scratch, 32, DESC_INDIRECT, data(scratch));
}

/* A direct one before a table as long as the queue. */
static void direct_and_table_too_long(struct fake_ring *ring, uint64_t scratch)
{
	struct fake_buf buf[BIG];

	cr_assert_leq(ring->size, BIG);
	for (unsigned i = 0; i < ring->size; i++)
		buf[i] = (struct fake_buf){ data(scratch), 1, false };
	fake_ring_chain(ring, scratch, ring->size, 0, buf, ring->size);
	fake_ring_desc(ring, ring->desc, 0, data(scratch), 1, DESC_NEXT, 1);
	fake_ring_desc(ring, ring->desc, 1, scratch, 16u * ring->size, DESC_INDIRECT, 0);
	offer(ring, 0);
}

/* --- packed: lists --- */

/* The second slot's AVAIL and USED are wrong in one of three ways. */
static void list_into(struct fake_ring *ring, uint64_t scratch, unsigned flip)
{
	fake_ring_put(ring, 1, data(scratch), 1, 1, flip);
	fake_ring_put(ring, 0, data(scratch), 1, 1, DESC_NEXT);
}

static void list_into_used(struct fake_ring *ring, uint64_t scratch)
{
	list_into(ring, scratch, DESC_USED);
}

static void list_into_unused(struct fake_ring *ring, uint64_t scratch)
{
	list_into(ring, scratch, DESC_AVAIL);
}

static void list_into_other_lap(struct fake_ring *ring, uint64_t scratch)
{
	list_into(ring, scratch, DESC_AVAIL | DESC_USED);
}

/* Every slot from 'first' on says that there is more. */
static void endless(struct fake_ring *ring, uint64_t scratch, unsigned first)
{
	for (unsigned i = ring->size; i-- > first;)
		fake_ring_put(ring, i - first, data(scratch), 1, 1, DESC_NEXT);
}

static void list_endless(struct fake_ring *ring, uint64_t scratch)
{
	endless(ring, scratch, 0);
}

static void list_into_own(struct fake_ring *ring, uint64_t scratch)
{
	one(ring, data(scratch), 1, true);
	endless(ring, scratch, 1);
}

static void list_with_table(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_desc(ring, scratch, 0, data(scratch), 1, 0, 0);
	fake_ring_put(ring, 1, scratch, 16, 1, DESC_INDIRECT);
	fake_ring_put(ring, 0, data(scratch), 1, 1, DESC_NEXT);
}

/* --- what has to be tolerated --- */

static void nothing_but_empty(struct fake_ring *ring, uint64_t scratch)
{
	struct fake_buf buf[] = { { UINT64_MAX, 0, false }, { 0xc0000000, 0, true } };

	(void)scratch;
	fake_ring_add(ring, buf, 2);
}

static void flags_without_a_meaning(struct fake_ring *ring, uint64_t scratch)
{
	unsigned junk = 0xfff8;

	if (ring->layout == FAKE_PACKED)
		junk &= ~(unsigned)(DESC_AVAIL | DESC_USED);
	raw(ring, data(scratch), 1, junk, data(scratch));
}

static void tail_without_head(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_put(ring, 1, data(scratch), 1, 1, 0);
}

static void head_looks_used(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_put(ring, 0, data(scratch), 1, 1, DESC_USED);
}

static void head_of_other_lap(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_put(ring, 0, data(scratch), 1, 1, DESC_AVAIL | DESC_USED);
}

static void same_id_twice(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_put(ring, 1, data(scratch), 1, 0xffff, DESC_WRITE);
	fake_ring_put(ring, 0, data(scratch), 1, 0xffff, DESC_WRITE);
}

#define ROW(what, where, fn, result) \
	.name = (what), .layouts = (where), .apply = (fn), .fault = (result)

const struct ring_fault ring_faults[] = {
	{ ROW("head is the queue size", SPLIT, head_is_size, VQ_FAULT_HEAD) },
	{ ROW("head is 0xffff", SPLIT, head_far, VQ_FAULT_HEAD) },
	{ ROW("head twice", SPLIT, head_twice, VQ_FAULT_HEAD_IN_FLIGHT),
	  .held = true, .n_good = 1 },
	{ ROW("index too far ahead", SPLIT, index_too_far, VQ_FAULT_AVAIL_INDEX) },
	{ ROW("index half way round", SPLIT, index_half_way_round, VQ_FAULT_AVAIL_INDEX) },
	{ ROW("index backwards", SPLIT, index_backwards, VQ_FAULT_AVAIL_INDEX) },
	{ ROW("next is the queue size", SPLIT, next_is_size, VQ_FAULT_NEXT) },
	{ ROW("next is 0xffff", SPLIT, next_far, VQ_FAULT_NEXT) },
	{ ROW("loop of one", SPLIT, loop_of_one, VQ_FAULT_LOOP) },
	{ ROW("loop of two", SPLIT, loop_of_two, VQ_FAULT_LOOP) },
	{ ROW("loop of empty descriptors", SPLIT, loop_of_empty, VQ_FAULT_LOOP) },

	{ ROW("readable after writable", BOTH, order, VQ_FAULT_ORDER) },
	{ ROW("one byte beyond memory", BOTH, beyond_ram, VQ_FAULT_ADDRESS) },
	{ ROW("in the hole", BOTH, in_the_hole, VQ_FAULT_ADDRESS) },
	{ ROW("from the hole into memory", BOTH, into_a_region, VQ_FAULT_ADDRESS) },
	{ ROW("across regions", BOTH, across_regions, VQ_FAULT_ADDRESS) },
	{ ROW("address wraps", BOTH, address_wraps, VQ_FAULT_ADDRESS) },
	{ ROW("last address", BOTH, address_is_last, VQ_FAULT_ADDRESS) },
	{ ROW("last of many is nowhere", BOTH, last_of_many, VQ_FAULT_ADDRESS), .min_size = 64 },
	{ ROW("more than 4 GiB", BOTH, more_than_4_gib, VQ_FAULT_LENGTH), .min_size = BIG },

	{ ROW("table with next", BOTH, table_with_next, VQ_FAULT_INDIRECT), .indirect = true },
	{ ROW("empty table", BOTH, table_empty, VQ_FAULT_INDIRECT), .indirect = true },
	{ ROW("half a descriptor", BOTH, table_half, VQ_FAULT_INDIRECT), .indirect = true },
	{ ROW("one byte too many", BOTH, table_odd, VQ_FAULT_INDIRECT), .indirect = true },
	{ ROW("table longer than the queue", BOTH, table_too_long, VQ_FAULT_INDIRECT),
	  .indirect = true },
	{ ROW("huge table", BOTH, table_huge, VQ_FAULT_INDIRECT), .indirect = true },
	{ ROW("table nowhere", BOTH, table_nowhere, VQ_FAULT_ADDRESS), .indirect = true },
	{ ROW("table in the hole", BOTH, table_in_the_hole, VQ_FAULT_ADDRESS), .indirect = true },
	{ ROW("table beyond memory", BOTH, table_beyond_ram, VQ_FAULT_ADDRESS),
	  .indirect = true },
	{ ROW("entry of a table nowhere", BOTH, table_to_nowhere, VQ_FAULT_ADDRESS),
	  .indirect = true },
	{ ROW("table with readable after writable", BOTH, table_order, VQ_FAULT_ORDER),
	  .indirect = true },
	{ ROW("nested table", SPLIT, table_nested, VQ_FAULT_INDIRECT), .indirect = true },
	{ ROW("nested table", PACKED, table_nested, VQ_FAULT_NONE),
	  .indirect = true, .n_good = 1 },
	{ ROW("next beyond the table", SPLIT, table_next_beyond, VQ_FAULT_NEXT),
	  .indirect = true },
	{ ROW("loop in the table", SPLIT, table_loop, VQ_FAULT_LOOP), .indirect = true },
	{ ROW("direct and table too long", SPLIT, direct_and_table_too_long, VQ_FAULT_LOOP),
	  .indirect = true },

	{ ROW("list into a used slot", PACKED, list_into_used, VQ_FAULT_NOT_AVAILABLE) },
	{ ROW("list into an unused slot", PACKED, list_into_unused, VQ_FAULT_NOT_AVAILABLE) },
	{ ROW("list into another lap", PACKED, list_into_other_lap, VQ_FAULT_NOT_AVAILABLE) },
	{ ROW("list longer than the queue", PACKED, list_endless, VQ_FAULT_LOOP) },
	{ ROW("list into slots that are out", PACKED, list_into_own, VQ_FAULT_NOT_AVAILABLE),
	  .n_good = 1 },
	{ ROW("table within a list", PACKED, list_with_table, VQ_FAULT_INDIRECT) },

	{ ROW("nothing but empty descriptors", BOTH, nothing_but_empty, VQ_FAULT_NONE),
	  .n_good = 1 },
	{ ROW("flags without a meaning", BOTH, flags_without_a_meaning, VQ_FAULT_NONE),
	  .n_good = 1 },
	{ ROW("tail without its head", PACKED, tail_without_head, VQ_FAULT_NONE) },
	{ ROW("head looks used", PACKED, head_looks_used, VQ_FAULT_NONE) },
	{ ROW("head of another lap", PACKED, head_of_other_lap, VQ_FAULT_NONE) },
	{ ROW("same id twice", PACKED, same_id_twice, VQ_FAULT_NONE), .n_good = 2 },
};

#undef ROW

const unsigned n_ring_faults = ARRAY_SIZE(ring_faults);

enum vq_fault ring_fault_expected(const struct ring_fault *fault, bool indirect)
{
	return fault->indirect && !indirect ? VQ_FAULT_INDIRECT : fault->fault;
}
