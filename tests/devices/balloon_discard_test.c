#include <criterion/criterion.h>
#include <string.h>

#include "devices/balloon_discard.h"
#include "vmm/base/fd.h"

enum { LOW_PAGES = 64, HIGH_PAGES = 8, HIGH_FRAME = 0x100000 };

static struct guest_memory mem;
static struct balloon_discard discard;

/* Page i of low memory is filled with i + 1. */
static void setup(void)
{
	const struct memory_extent extent[] = {
		{ 0, LOW_PAGES * BALLOON_PAGE },
		{ (gpa_t)HIGH_FRAME << BALLOON_PAGE_SHIFT, HIGH_PAGES * BALLOON_PAGE },
	};

	cr_assert_eq(guest_memory_create(&mem, extent, 2), 0);
	for (unsigned i = 0; i < LOW_PAGES; i++)
		memset(mem.region[0].host + i * BALLOON_PAGE, (int)i + 1, BALLOON_PAGE);
	memset(mem.region[1].host, 0xee, HIGH_PAGES * BALLOON_PAGE);
	discard = (struct balloon_discard){ .name = "balloon", .memory = &mem };
}

static void teardown(void)
{
	guest_memory_destroy(&mem);
}

TestSuite(balloon_discard, .init = setup, .fini = teardown);

/* Is all of page i zero / as it was?  In between it is neither. */
static bool is_all(const uint8_t *page, uint8_t byte)
{
	for (unsigned i = 0; i < BALLOON_PAGE; i++)
		if (page[i] != byte)
			return false;
	return true;
}

/* Exactly the pages of bit mask 'gone' are zero. */
static void expect_gone(uint64_t gone)
{
	for (unsigned i = 0; i < LOW_PAGES; i++)
		cr_expect(is_all(mem.region[0].host + i * BALLOON_PAGE,
				 gone >> i & 1 ? 0 : (uint8_t)(i + 1)), "page %u", i);
}

#define FRAMES(...) \
	frames((uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))
static void frames(uint32_t *frame, size_t n)
{
	balloon_discard_frames(&discard, frame, (unsigned)n);
}

Test(balloon_discard, pages_go_whatever_their_order)
{
	FRAMES(9, 3, 8, 5, 4, 40);
	expect_gone(1ull << 3 | 1ull << 4 | 1ull << 5 | 1ull << 8 | 1ull << 9 | 1ull << 40);
	cr_expect_eq(discard.bytes, 6 * BALLOON_PAGE);
}

/* covers: BALLOON-OP-05 */
Test(balloon_discard, what_is_no_ram_or_there_twice_is_skipped)
{
	FRAMES(0xffffffff, LOW_PAGES, 7, 7, 7, 0xfee00, 0xfffff, HIGH_FRAME + HIGH_PAGES,
	       0xfffffffe);
	expect_gone(1ull << 7);
	cr_expect_eq(discard.bytes, BALLOON_PAGE);
	/* Again: it is in the balloon already. */
	FRAMES(7);
	expect_gone(1ull << 7);
	cr_expect_not(discard.told);
}

Test(balloon_discard, a_run_ends_with_the_ram)
{
	FRAMES(LOW_PAGES + 1, LOW_PAGES, LOW_PAGES - 1, HIGH_FRAME - 1, HIGH_FRAME, HIGH_FRAME + 1);
	expect_gone(1ull << (LOW_PAGES - 1));
	cr_expect(is_all(mem.region[1].host, 0));
	cr_expect(is_all(mem.region[1].host + BALLOON_PAGE, 0));
	cr_expect(is_all(mem.region[1].host + 2 * BALLOON_PAGE, 0xee));
}

Test(balloon_discard, no_frames_are_fine)
{
	balloon_discard_frames(&discard, NULL, 0);
	expect_gone(0);
}

/* A run is one piece: only so do four quarters, in any order, make a page of the host.
 * covers: BALLOON-OP-06 */
Test(balloon_discard, neighbours_go_back_in_one_piece)
{
	mem.granule = 4 * BALLOON_PAGE;
	FRAMES(6, 4, 7, 5, 12, 13, 14, 21, 22, 23);
	expect_gone(0xf0);
	/* The missing quarter comes with the next request: the others may be in use again. */
	FRAMES(15, 20);
	expect_gone(0xf0);
}

Test(balloon_discard, a_buffer_is_discarded_by_its_host_address)
{
	uint8_t *host = mem.region[0].host;
	int other = 1;

	balloon_discard_buffer(&discard, host + 2 * BALLOON_PAGE, 3 * BALLOON_PAGE);
	balloon_discard_buffer(&discard, host + 10 * BALLOON_PAGE + 1, BALLOON_PAGE);
	balloon_discard_buffer(&discard, &other, sizeof(other));
	expect_gone(0x1c);
	cr_expect_eq(other, 1);
}

Test(balloon_discard, held_memory_stays_and_that_is_no_news)
{
	guest_memory_hold(&mem);
	FRAMES(1, 2);
	expect_gone(0);
	guest_memory_release(&mem);
	FRAMES(1);
	expect_gone(2);
	cr_expect_not(discard.told);
}

Test(balloon_discard, a_host_that_refuses_is_not_asked_again)
{
	int fd = mem.fd;

	cr_assert_eq(fd_create_event(&mem.fd), 0);
	FRAMES(1, 5, 9);
	cr_expect(discard.told);
	fd_close(&mem.fd);
	mem.fd = fd;
	FRAMES(1);
	expect_gone(0);
	cr_expect_eq(discard.bytes, 0);
}
