#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/base/fd.h"
#include "vmm/machine/x86/page_walk.h"

enum { MEMORY = 1 << 21, ROOT = 0x1000, P3 = 0x2000, P2 = 0x3000, P1 = 0x4000, PRESENT = 3,
       LARGE = 0x83 };

static struct guest_memory mem;
static const struct paging long_mode = { 0x80000001, ROOT, 1 << 5, 1 << 10 };

static void set(gpa_t at, uint64_t value)
{
	memcpy(guest_memory_at(&mem, at, 8), &value, 8);
}

static void make_memory(void)
{
	const struct memory_extent extent = { 0, MEMORY };

	mem = (struct guest_memory)GUEST_MEMORY_INIT;
	cr_assert_eq(guest_memory_create(&mem, &extent, 1), 0);
}

static void drop_memory(void)
{
	guest_memory_destroy(&mem);
}

TestSuite(page_walk, .init = make_memory, .fini = drop_memory);

static void map_kernel(void)
{
	set(ROOT + 511 * 8, P3 | PRESENT);
	set(P3 + 510 * 8, P2 | PRESENT);
	set(P2 + 8 * 8, LARGE);				/* ffffffff81000000: 2 MiB at 0 */
	set(P2 + 9 * 8, P1 | PRESENT);			/* ffffffff81200000 */
	set(P1 + 1 * 8, 0x6000 | PRESENT | UINT64_C(1) << 63);
}

Test(page_walk, without_paging_addresses_are_those_of_memory)
{
	const struct paging off = { 0 };
	gpa_t gpa;

	cr_assert(page_walk(&mem, &off, 0x1234, &gpa, NULL));
	cr_expect_eq(gpa, 0x1234);
}

Test(page_walk, pages_of_both_sizes_are_found)
{
	uint64_t room;
	gpa_t gpa;

	map_kernel();
	cr_assert(page_walk(&mem, &long_mode, 0xffffffff81012345, &gpa, &room));
	cr_expect_eq(gpa, 0x12345);
	cr_expect_eq(room, 0x200000 - 0x12345);
	cr_assert(page_walk(&mem, &long_mode, 0xffffffff81201008, &gpa, &room));
	cr_expect_eq(gpa, 0x6008);
	cr_expect_eq(room, 0xff8);
	cr_expect_not(page_walk(&mem, &long_mode, 0xffffffff81202000, &gpa, NULL));
	cr_expect_not(page_walk(&mem, &long_mode, 0x81012345, &gpa, NULL));
	cr_expect_not(page_walk(&mem, &long_mode, 0x0000ffff81012345, &gpa, NULL), "no address");
}

Test(page_walk, of_32_bits)
{
	const struct paging legacy = { 0x80000001, ROOT, 1 << 4, 0 };
	uint32_t entry = P1 | PRESENT, page = 0x7000 | PRESENT, large = 0x00400083 | 1 << 13;
	gpa_t gpa;

	memcpy(guest_memory_at(&mem, ROOT + 768 * 4, 4), &entry, 4);
	memcpy(guest_memory_at(&mem, ROOT + 769 * 4, 4), &large, 4);
	memcpy(guest_memory_at(&mem, P1 + 2 * 4, 4), &page, 4);
	cr_assert(page_walk(&mem, &legacy, 0xc0002010, &gpa, NULL));
	cr_expect_eq(gpa, 0x7010);
	cr_assert(page_walk(&mem, &legacy, 0xc0400001, &gpa, NULL));
	cr_expect_eq(gpa, 0x100400001);
}

Test(page_walk, tables_outside_of_memory_lead_nowhere)
{
	struct paging p = long_mode;
	gpa_t gpa;

	set(ROOT, 0x000ffffffffff000 | PRESENT);
	cr_expect_not(page_walk(&mem, &p, 0x1000, &gpa, NULL));
	p.cr3 = UINT64_MAX;
	cr_expect_not(page_walk(&mem, &p, 0x1000, &gpa, NULL));
}

Test(page_walk, reading_ends_where_memory_does)
{
	uint8_t buf[64];

	map_kernel();
	set(P1 + 2 * 8, (MEMORY) | PRESENT);		/* behind the end */
	cr_expect_eq(page_read(&mem, &long_mode, 0xffffffff81201ff0, buf, sizeof(buf)), 16);
	cr_expect_eq(page_read(&mem, &long_mode, 0xfffffffffffffff0, buf, sizeof(buf)), 0);
}

Test(page_walk, pieces_are_joined_and_begin_with_the_kernel)
{
	struct page_piece piece[8];

	map_kernel();
	set(P1 + 2 * 8, 0x7000 | PRESENT);		/* goes on behind the one before */
	set(ROOT, P3 | PRESENT);			/* the same once more, in the lower half */
	cr_assert_eq(page_pieces(&mem, &long_mode, piece, 8, 100000), 4);
	cr_expect_eq(piece[0].address, 0xffffffff81000000);
	cr_expect_eq(piece[0].size, 0x200000);
	cr_expect_eq(piece[1].address, 0xffffffff81201000);
	cr_expect_eq(piece[1].size, 0x2000);
	cr_expect_eq(piece[1].gpa, 0x6000);
	cr_expect_eq(piece[2].address, 510ull << 30 | 8ull << 21);
}

/* Each level points to itself: 512^4 pages, were there no bound. */
Test(page_walk, tables_in_a_circle_cost_a_bounded_time, .timeout = 10)
{
	static struct page_piece piece[16];

	for (unsigned i = 0; i < 512; i++)
		set(ROOT + i * 8, ROOT | PRESENT);
	cr_expect_leq(page_pieces(&mem, &long_mode, piece, 16, 100000), 16u);
	for (unsigned i = 0; i < 512; i++)
		set(ROOT + i * 8, UINT64_C(0xfffffffff000) | PRESENT);
	cr_expect_eq(page_pieces(&mem, &long_mode, piece, 16, 100000), 0);
}
