#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/machine/dma.h"
#include "vmm/machine/guest_memory.h"
#include "vmm/machine/ram_layout.h"

static void create_two(struct guest_memory *mem)
{
	const struct memory_extent extent[] = {
		{ 0, MIB(1) }, { GIB(4), MIB(2) },
	};
	cr_assert_eq(guest_memory_create(mem, extent, 2), 0);
}

Test(guest_memory, range_must_lie_in_one_region)
{
	struct guest_memory mem;

	create_two(&mem);
	cr_assert_not_null(guest_memory_at(&mem, 0, MIB(1)));
	cr_assert_not_null(guest_memory_at(&mem, MIB(1) - 1, 1));
	cr_assert_null(guest_memory_at(&mem, MIB(1) - 1, 2));
	cr_assert_null(guest_memory_at(&mem, MIB(1), 1));
	cr_assert_null(guest_memory_at(&mem, GIB(4) - 1, 1));
	cr_assert_null(guest_memory_at(&mem, GIB(4) - 1, 2));
	cr_assert_not_null(guest_memory_at(&mem, GIB(4), MIB(2)));
	cr_assert_null(guest_memory_at(&mem, GIB(4), MIB(2) + 1));
	guest_memory_destroy(&mem);
}

Test(guest_memory, length_that_wraps_is_refused)
{
	struct guest_memory mem;

	create_two(&mem);
	cr_assert_null(guest_memory_at(&mem, 1, UINT64_MAX));
	cr_assert_null(guest_memory_at(&mem, GIB(4) + 1, UINT64_MAX - GIB(4)));
	cr_assert_null(guest_memory_at(&mem, UINT64_MAX, 1));
	cr_assert_null(guest_memory_at(&mem, UINT64_MAX, UINT64_MAX));
	guest_memory_destroy(&mem);
}

Test(guest_memory, empty_range_needs_an_address_in_ram)
{
	struct guest_memory mem;

	create_two(&mem);
	cr_assert_not_null(guest_memory_at(&mem, 5, 0));
	cr_assert_null(guest_memory_at(&mem, MIB(1), 0));
	guest_memory_destroy(&mem);
}

Test(guest_memory, room_and_size)
{
	struct guest_memory mem;

	create_two(&mem);
	cr_assert_eq(guest_memory_size(&mem), MIB(3));
	cr_assert_eq(guest_memory_room(&mem, MIB(1) - 3), 3);
	cr_assert_eq(guest_memory_room(&mem, MIB(1)), 0);
	cr_assert_eq(guest_memory_room(&mem, GIB(4)), MIB(2));
	guest_memory_destroy(&mem);
}

Test(guest_memory, bad_layouts_are_refused)
{
	static const struct memory_extent bad[][2] = {
		{ { 0, 0 }, { GIB(4), MIB(1) } },
		{ { 0, MIB(1) }, { MIB(1) - KIB(4), MIB(1) } },
		{ { GIB(4), MIB(1) }, { 0, MIB(1) } },
		{ { 0, 4097 }, { GIB(4), MIB(1) } },
		{ { 1, 4096 }, { GIB(4), MIB(1) } },
		{ { 0, MIB(1) }, { UINT64_MAX - 4095, MIB(1) } },
		{ { 0, MIB(1) }, { GIB(4), UINT64_MAX - 4095 } },
	};
	struct guest_memory mem;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(guest_memory_create(&mem, bad[i], 2), -EINVAL, "layout %u", i);
	cr_assert_eq(guest_memory_create(&mem, bad[0], 0), -EINVAL);
	guest_memory_destroy(&mem);
}

/* Asked of the kernel, so that no sanitizer takes the fault for ours. */
static bool is_accessible(const uint8_t *byte)
{
	int fd[2];

	cr_assert_eq(pipe(fd), 0);
	long n = syscall(SYS_write, fd[1], byte, 1);
	close(fd[0]);
	close(fd[1]);
	return n == 1;
}

Test(guest_memory, regions_have_guard_pages_on_both_sides)
{
	struct guest_memory mem;

	create_two(&mem);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *first = mem.region[i].host, *end = first + mem.region[i].size;
		cr_assert(is_accessible(first) && is_accessible(end - 1));
		cr_assert_not(is_accessible(first - 1));
		cr_assert_not(is_accessible(first - 4096));
		cr_assert_not(is_accessible(end));
		cr_assert_not(is_accessible(end + 4095));
	}
	guest_memory_destroy(&mem);
}

/* Else KVM would not map a huge page to the guest, nor the host to us. */
Test(guest_memory, host_addresses_suit_huge_pages)
{
	static const struct memory_extent extent[] = {
		{ 0, MIB(1) }, { GIB(4) - MIB(1), MIB(5) }, { GIB(5) + KIB(12), MIB(3) },
	};
	struct guest_memory mem;

	/* More than once, as where the host puts things may suit by chance. */
	for (unsigned round = 0; round < 4; round++) {
		cr_assert_eq(guest_memory_create(&mem, extent, ARRAY_SIZE(extent)), 0);
		for (unsigned i = 0; i < mem.n_regions; i++)
			cr_assert_eq((uintptr_t)mem.region[i].host % MIB(2),
				     mem.region[i].base % MIB(2), "region %u", i);
		guest_memory_destroy(&mem);
	}
}

Test(guest_memory, cleared_memory_reads_zero)
{
	struct guest_memory mem;

	create_two(&mem);
	memset(guest_memory_at(&mem, 0, MIB(1)), 0xaa, MIB(1));
	memset(guest_memory_at(&mem, GIB(4), 16), 0xaa, 16);
	cr_assert_eq(guest_memory_clear(&mem), 0);
	cr_assert_eq(*(uint8_t *)guest_memory_at(&mem, 77, 1), 0);
	cr_assert_eq(*(uint8_t *)guest_memory_at(&mem, GIB(4), 1), 0);
	guest_memory_destroy(&mem);
}

Test(guest_memory, whoever_has_the_memfd_cannot_shrink_it)
{
	struct guest_memory mem;

	create_two(&mem);
	cr_assert_lt(ftruncate(mem.fd, 0), 0);
	cr_assert_eq(errno, EPERM);
	guest_memory_destroy(&mem);
}

static unsigned long resident_pages(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	cr_assert_not_null(f);
	cr_assert_eq(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident;
}

Test(guest_memory, large_memory_is_not_touched)
{
	const struct memory_extent extent[] = {
		{ 0, GIB(3) }, { GIB(4), GIB(61) },
	};
	struct guest_memory mem;
	unsigned long before = resident_pages();

	cr_assert_eq(guest_memory_create(&mem, extent, 2), 0);
	*(uint8_t *)guest_memory_at(&mem, GIB(60), 1) = 1;
	/* The kernel's count may be off by some pages for each CPU. */
	cr_assert_lt(resident_pages(), before + 1024);
	guest_memory_destroy(&mem);
}

Test(guest_memory, prefault_touches_all)
{
	const struct memory_extent extent = { 0, MIB(4) };
	struct guest_memory mem;
	unsigned long before = resident_pages();

	cr_assert_eq(guest_memory_create(&mem, &extent, 1), 0);
	cr_assert_eq(guest_memory_prefault(&mem), 0);
	cr_assert_geq(resident_pages() - before, MIB(4) / 4096);
	guest_memory_destroy(&mem);
}

Test(guest_memory, zeroed_object_can_be_destroyed)
{
	struct guest_memory mem = { 0 };

	guest_memory_destroy(&mem);
	cr_assert_neq(fcntl(0, F_GETFD), -2);
}

Test(dma, maps_ram_only_and_never_nothing)
{
	struct guest_memory mem;
	struct dma dma = { .memory = &mem };

	create_two(&mem);
	cr_assert_eq(dma_map(&dma, 16, 16, DMA_TO_DEVICE), mem.region[0].host + 16);
	cr_assert_null(dma_map(&dma, 16, 0, DMA_BOTH));
	cr_assert_null(dma_map(&dma, MIB(1) - 1, 2, DMA_FROM_DEVICE));
	cr_assert_null(dma_map(&dma, 0xfee00000, 4, DMA_FROM_DEVICE));
	cr_assert_null(dma_map(&dma, 1, UINT64_MAX, DMA_BOTH));
	guest_memory_destroy(&mem);
}

Test(ram_layout, fills_below_the_hole_then_from_4g)
{
	struct memory_extent e[RAM_LAYOUT_MAX_EXTENTS];

	cr_assert_eq(ram_layout(e, MIB(1), 36), 1);
	cr_assert(e[0].base == 0 && e[0].size == MIB(1));
	cr_assert_eq(ram_layout(e, GIB(3), 36), 1);
	cr_assert_eq(e[0].size, GIB(3));
	cr_assert_eq(ram_layout(e, GIB(3) + KIB(4), 36), 2);
	cr_assert(e[0].size == GIB(3) && e[1].base == GIB(4) && e[1].size == KIB(4));
	cr_assert_eq(ram_layout(e, GIB(6), 36), 2);
	cr_assert_eq(e[1].size, GIB(3));
}

Test(ram_layout, sizes_that_cannot_be_are_refused)
{
	struct memory_extent e[RAM_LAYOUT_MAX_EXTENTS];

	cr_assert_eq(ram_layout(e, 0, 48), -EINVAL);
	cr_assert_eq(ram_layout(e, MIB(1) - KIB(4), 48), -EINVAL);
	cr_assert_eq(ram_layout(e, MIB(1) + 1, 48), -EINVAL);
	cr_assert_eq(ram_layout(e, GIB(63), 36), 2);
	cr_assert_eq(ram_layout(e, GIB(63) + KIB(4), 36), -EINVAL);
	cr_assert_eq(ram_layout(e, GIB(4), 32), -EINVAL);
	cr_assert_eq(ram_layout(e, UINT64_MAX - 4095, 64), -EINVAL);
}

/* Fill [gpa, gpa + len) with 0xcc. */
static uint8_t *fill(struct guest_memory *mem, gpa_t gpa, uint64_t len)
{
	return memset(guest_memory_at(mem, gpa, len), 0xcc, len);
}

static uint64_t n_blocks(const struct guest_memory *mem)
{
	struct stat st;

	cr_assert_eq(fstat(mem->fd, &st), 0);
	return (uint64_t)st.st_blocks;
}

Test(guest_memory, discarded_pages_go_back_to_the_host_and_read_zero)
{
	struct guest_memory mem;
	uint64_t freed, before;
	uint8_t *p;

	create_two(&mem);
	p = fill(&mem, GIB(4), MIB(1));
	before = n_blocks(&mem);
	cr_assert_eq(guest_memory_discard(&mem, GIB(4) + KIB(64), KIB(256), &freed), 0);
	cr_expect_eq(freed, KIB(256));
	cr_expect_eq(before - n_blocks(&mem), KIB(256) / 512);
	for (unsigned i = 0; i < MIB(1); i++)
		cr_assert_eq(p[i], i >= KIB(64) && i < KIB(320) ? 0 : 0xcc, "byte %u", i);
	/* Again, and by whom it is touched it is there again. */
	cr_assert_eq(guest_memory_discard(&mem, GIB(4) + KIB(64), KIB(256), NULL), 0);
	p[KIB(64)] = 1;
	cr_expect_eq(p[KIB(64)], 1);
	guest_memory_destroy(&mem);
}

Test(guest_memory, what_shares_a_page_with_others_is_not_discarded)
{
	struct guest_memory mem;
	uint64_t freed;
	uint8_t *p;

	create_two(&mem);
	p = fill(&mem, 0, KIB(16));
	cr_assert_eq(guest_memory_discard(&mem, 1, KIB(8), &freed), 0);
	cr_expect_eq(freed, KIB(4));
	cr_expect_eq(p[KIB(4) - 1], 0xcc);
	cr_expect_eq(p[KIB(4)], 0);
	cr_expect_eq(p[KIB(8)], 0xcc);
	cr_assert_eq(guest_memory_discard(&mem, 1, KIB(4), &freed), 0);
	cr_expect_eq(freed, 0);
	cr_assert_eq(guest_memory_discard(&mem, KIB(8), 0, &freed), 0);
	cr_expect_eq(freed, 0);
	guest_memory_destroy(&mem);
}

/* covers: BALLOON-OP-06 */
Test(guest_memory, a_larger_page_of_the_host_is_discarded_as_a_whole_or_not_at_all)
{
	struct guest_memory mem;
	uint64_t freed;
	uint8_t *p;

	create_two(&mem);
	mem.granule = KIB(16);
	p = fill(&mem, 0, KIB(64));
	cr_assert_eq(guest_memory_discard(&mem, KIB(4), KIB(12), &freed), 0);
	cr_expect_eq(freed, 0);
	cr_assert_eq(guest_memory_discard(&mem, KIB(12), KIB(40), &freed), 0);
	cr_expect_eq(freed, KIB(32));
	for (unsigned i = 0; i < KIB(64); i++)
		cr_assert_eq(p[i], i >= KIB(16) && i < KIB(48) ? 0 : 0xcc, "byte %u", i);
	guest_memory_destroy(&mem);
}

Test(guest_memory, only_ram_can_be_discarded)
{
	static const struct memory_extent bad[] = {
		{ MIB(1), KIB(4) },	{ MIB(1) - KIB(4), KIB(8) },  { GIB(4) - KIB(4), KIB(8) },
		{ 0, UINT64_MAX },	{ KIB(4), UINT64_MAX },	      { UINT64_MAX - 4095, KIB(4) },
		{ GIB(4) + MIB(2), 0 }, { GIB(4), MIB(2) + KIB(4) },
	};
	struct guest_memory mem;
	uint64_t freed;

	create_two(&mem);
	fill(&mem, 0, MIB(1));
	uint64_t before = n_blocks(&mem);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_eq(guest_memory_discard(&mem, bad[i].base, bad[i].size, &freed), -EFAULT,
			     "%u", i);
		cr_expect_eq(freed, 0);
	}
	cr_expect_eq(n_blocks(&mem), before);
	guest_memory_destroy(&mem);
}

/* covers: BALLOON-OP-10 */
Test(guest_memory, nothing_is_discarded_while_memory_is_held)
{
	struct guest_memory mem;
	uint64_t freed;
	uint8_t *p;

	create_two(&mem);
	p = fill(&mem, 0, KIB(8));
	guest_memory_hold(&mem);
	guest_memory_hold(&mem);
	guest_memory_release(&mem);
	cr_expect_eq(guest_memory_discard(&mem, 0, KIB(8), &freed), -EBUSY);
	cr_expect_eq(freed, 0);
	cr_expect_eq(p[0], 0xcc);
	guest_memory_release(&mem);
	cr_expect_eq(guest_memory_discard(&mem, 0, KIB(8), &freed), 0);
	cr_expect_eq(p[0], 0);
	guest_memory_destroy(&mem);
}

Test(guest_memory, a_host_that_refuses_is_told_of)
{
	struct guest_memory mem;
	uint64_t freed;
	int fd;

	create_two(&mem);
	fd = mem.fd;
	cr_assert_eq(fd_create_event(&mem.fd), 0);
	cr_expect_lt(guest_memory_discard(&mem, 0, KIB(8), &freed), 0);
	cr_expect_eq(freed, 0);
	fd_close(&mem.fd);
	mem.fd = fd;
	guest_memory_destroy(&mem);
}

Test(guest_memory, a_pointer_leads_back_to_its_address)
{
	struct guest_memory mem;
	gpa_t gpa;
	int other;

	create_two(&mem);
	cr_assert(guest_memory_locate(&mem, guest_memory_at(&mem, 5, 1), &gpa));
	cr_expect_eq(gpa, 5);
	cr_assert(guest_memory_locate(&mem, guest_memory_at(&mem, GIB(4) + MIB(2) - 1, 1), &gpa));
	cr_expect_eq(gpa, GIB(4) + MIB(2) - 1);
	cr_expect_not(guest_memory_locate(&mem, &other, &gpa));
	cr_expect_not(guest_memory_locate(&mem, mem.region[0].host - 1, &gpa));
	cr_expect_not(guest_memory_locate(&mem, mem.region[1].host + MIB(2), &gpa));
	guest_memory_destroy(&mem);
}
