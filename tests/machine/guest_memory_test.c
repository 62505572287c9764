#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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
