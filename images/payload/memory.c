/*
 * The memory map: RAM is there, all of it, and only once.  Option expect=BYTES: what all RAM
 * below and above 4 GiB must add up to, at most 1 MiB less.
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/print.h"
#include "vmm/machine/layout.h"

enum { PAGE = 4096, TABLE_ENTRIES = 512 };

extern uint64_t page_pdpt[TABLE_ENTRIES];

/* start.S mapped 4 GiB; map up to 'end' as it did. */
static void map_up_to(uint64_t end)
{
	enum { TABLE = 0x67, PAGE_2M = 0xe7 };

	for (uint64_t gib = 4; gib << 30 < end && gib < TABLE_ENTRIES; gib++) {
		uint64_t *directory = heap_alloc(PAGE, PAGE);

		for (uint64_t i = 0; i < TABLE_ENTRIES; i++)
			directory[i] = (gib << 30) + (i << 21) + PAGE_2M;
		page_pdpt[gib] = (uintptr_t)directory | TABLE;
	}
}

/* Is this page neither ours nor the loader's? */
static bool is_free(uint64_t page)
{
	return page >= 16 << 20;
}

/* 'step' further, but not past 'last' without having been there. */
static uint64_t next_page(uint64_t at, uint64_t step, uint64_t last)
{
	return at < last && at + step > last ? last : at + step;
}

static void check_range(const struct memory_range *r)
{
	uint64_t first = (r->base + PAGE - 1) / PAGE * PAGE;
	uint64_t last = (r->base + r->size) / PAGE * PAGE - PAGE, step;

	/* The ends and some places between them hold what is written there, and did read zero. */
	step = (last - first) / 64 / PAGE * PAGE;
	if (step == 0)
		step = PAGE;
	for (uint64_t at = first; at <= last; at = next_page(at, step, last)) {
		if (!is_free(at))
			continue;
		check_equal(read64(at), 0, "fresh memory");
		write64(at, ~at);
		write64(at + PAGE - 8, at);
	}
	for (uint64_t at = first; at <= last; at = next_page(at, step, last)) {
		if (!is_free(at))
			continue;
		if (!check(read64(at) == ~at && read64(at + PAGE - 8) == at, "memory at %lx", at))
			break;
	}
}

int main(void)
{
	uint64_t sum = 0, expect = option_number("expect", 0), end = 0;

	check(boot_info.n_ranges > 0, "no memory map");
	for (unsigned i = 0; i < boot_info.n_ranges; i++) {
		const struct memory_range *r = &boot_info.range[i];

		print("%lx-%lx type %u\n", r->base, r->base + r->size, r->type);
		if (r->type != MEMORY_RAM)
			continue;
		sum += r->size;
		end = r->base + r->size > end ? r->base + r->size : end;
		check(r->base + r->size <= LAYOUT_RAM_HOLE || r->base >= LAYOUT_RAM_ABOVE,
		      "RAM in the hole below 4 GiB");
		for (unsigned j = 0; j < i; j++)
			check(boot_info.range[j].base + boot_info.range[j].size <= r->base ||
				      r->base + r->size <= boot_info.range[j].base,
			      "ranges %u and %u overlap", i, j);
	}
	map_up_to(end);
	for (unsigned i = 0; i < boot_info.n_ranges; i++) {
		if (boot_info.range[i].type == MEMORY_RAM)
			check_range(&boot_info.range[i]);
	}
	if (expect != 0)
		check(sum <= expect && sum + (1 << 20) >= expect, "%lu bytes of RAM, not %lu", sum,
		      expect);
	return check_result("memory");
}
