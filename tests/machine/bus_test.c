#include <criterion/criterion.h>
#include <errno.h>

#include "vmm/machine/bus.h"

struct probe {
	uint64_t offset, value;
	unsigned size, n;
	struct bus *bus;		/* to leave it inside the call */
	struct region *region;
};

static uint64_t probe_read(void *arg, uint64_t offset, unsigned size)
{
	struct probe *p = arg;

	p->offset = offset;
	p->size = size;
	p->n++;
	return 0x1122334455667788;
}

static void probe_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe *p = arg;

	p->offset = offset;
	p->size = size;
	p->value = value;
	p->n++;
	if (p->region)
		bus_remove(p->bus, p->region);
}

static const struct region_ops probe_ops = { probe_read, probe_write };

static struct region region_at(uint64_t base, uint64_t size, struct probe *p)
{
	return (struct region) { "probe", base, size, &probe_ops, p };
}

Test(bus, access_reaches_its_region_with_offset_size_and_value)
{
	struct bus bus = { .name = "test" };
	struct probe a = { 0 }, b = { 0 };
	struct region ra = region_at(0x100, 0x10, &a), rb = region_at(0x110, 0x10, &b);

	cr_assert_eq(bus_add(&bus, &rb), 0);
	cr_assert_eq(bus_add(&bus, &ra), 0);
	bus_write(&bus, 0x104, 4, 0xaabbccdd11223344);
	cr_assert(a.offset == 4 && a.size == 4 && a.value == 0x11223344 && a.n == 1);
	cr_assert_eq(bus_read(&bus, 0x110, 2), 0x7788);
	cr_assert(b.offset == 0 && b.size == 2);
	cr_assert_eq(bus_read(&bus, 0x118, 8), 0x1122334455667788);
	cr_assert_eq(bus.unclaimed_reads + bus.unclaimed_writes, 0);
}

Test(bus, access_that_crosses_a_region_is_unclaimed)
{
	struct bus bus = { .name = "test" };
	struct probe a = { 0 };
	struct region r1 = region_at(0x100, 4, &a), r2 = region_at(0x104, 4, &a);

	cr_assert_eq(bus_add(&bus, &r1), 0);
	cr_assert_eq(bus_add(&bus, &r2), 0);
	cr_assert_eq(bus_read(&bus, 0x102, 4), 0xffffffff);
	cr_assert_eq(bus_read(&bus, 0x100, 8), UINT64_MAX);
	bus_write(&bus, 0xff, 2, 1);
	cr_assert_eq(a.n, 0);
	cr_assert_eq(bus.unclaimed_reads, 2);
	cr_assert_eq(bus.unclaimed_writes, 1);
}

Test(bus, odd_sizes_are_unclaimed)
{
	struct bus bus = { .name = "test" };
	struct probe a = { 0 };
	struct region r = region_at(0x100, 0x100, &a);
	static const unsigned odd[] = { 0, 3, 5, 6, 7, 16 };

	cr_assert_eq(bus_add(&bus, &r), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		bus_read(&bus, 0x100, odd[i]);
		bus_write(&bus, 0x100, odd[i], 0);
	}
	cr_assert_eq(a.n, 0);
	cr_assert_eq(bus.unclaimed_reads, ARRAY_SIZE(odd));
	cr_assert_eq(bus.unclaimed_writes, ARRAY_SIZE(odd));
}

Test(bus, unclaimed_reads_are_all_ones_of_their_size)
{
	struct bus bus = { .name = "test" };

	cr_assert_eq(bus_read(&bus, 0, 1), 0xff);
	cr_assert_eq(bus_read(&bus, 0, 2), 0xffff);
	cr_assert_eq(bus_read(&bus, 0, 4), 0xffffffff);
	cr_assert_eq(bus_read(&bus, UINT64_MAX, 8), UINT64_MAX);
}

Test(bus, overlapping_empty_and_wrapping_regions_are_refused)
{
	struct bus bus = { .name = "test" };
	struct probe p = { 0 };
	struct region r = region_at(0x100, 0x10, &p);
	struct region same = region_at(0x100, 0x10, &p), low = region_at(0xf8, 9, &p);
	struct region high = region_at(0x10f, 1, &p), around = region_at(0, 0x1000, &p);
	struct region empty = region_at(0x200, 0, &p), wraps = region_at(UINT64_MAX, 2, &p);
	struct region top = region_at(UINT64_MAX - 7, 8, &p), before = region_at(0xf8, 8, &p);

	cr_assert_eq(bus_add(&bus, &r), 0);
	cr_assert_eq(bus_add(&bus, &same), -EEXIST);
	cr_assert_eq(bus_add(&bus, &low), -EEXIST);
	cr_assert_eq(bus_add(&bus, &high), -EEXIST);
	cr_assert_eq(bus_add(&bus, &around), -EEXIST);
	cr_assert_eq(bus_add(&bus, &empty), -EINVAL);
	cr_assert_eq(bus_add(&bus, &wraps), -EINVAL);
	cr_assert_eq(bus_add(&bus, &top), 0);
	cr_assert_eq(bus_add(&bus, &before), 0);
	cr_assert_eq(bus_read(&bus, UINT64_MAX - 7, 8), 0x1122334455667788);
}

Test(bus, full_bus_refuses_and_still_finds_all)
{
	static struct region region[BUS_MAX_REGIONS + 1];
	static struct bus bus = { .name = "test" };
	struct probe p = { 0 };

	for (unsigned i = 0; i < BUS_MAX_REGIONS; i++) {
		/* 389 and 1024 share no divisor: every region once, in mixed order. */
		region[i] = region_at(0x10 * (i * 389 % BUS_MAX_REGIONS), 8, &p);
		cr_assert_eq(bus_add(&bus, &region[i]), 0);
	}
	region[BUS_MAX_REGIONS] = region_at(0x100000, 8, &p);
	cr_assert_eq(bus_add(&bus, &region[BUS_MAX_REGIONS]), -ENOSPC);
	for (unsigned i = 0; i < BUS_MAX_REGIONS; i++)
		cr_assert_eq(bus_find(&bus, region[i].base + 4, 4), &region[i]);
	for (unsigned i = 0; i < BUS_MAX_REGIONS; i++)
		bus_remove(&bus, &region[i]);
	cr_assert_eq(bus.n_regions, 0);
	cr_assert_null(bus_find(&bus, 0, 1));
}

Test(bus, region_may_leave_inside_its_own_write)
{
	struct bus bus = { .name = "test" };
	struct probe p = { .bus = &bus };
	struct region r = region_at(0x100, 0x10, &p);

	p.region = &r;
	cr_assert_eq(bus_add(&bus, &r), 0);
	bus_write(&bus, 0x100, 1, 1);
	bus_write(&bus, 0x100, 1, 1);
	cr_assert_eq(p.n, 1);
	cr_assert_eq(bus.unclaimed_writes, 1);
	bus_remove(&bus, &r);
}
