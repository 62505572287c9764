#include <criterion/criterion.h>

#include "vmm/base/fd.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/x86/e820.h"

static unsigned build(struct e820_range *map, uint64_t low, uint64_t high)
{
	struct guest_memory mem = GUEST_MEMORY_INIT;

	mem.region[0] = (struct memory_region){ .base = 0, .size = low };
	mem.region[1] = (struct memory_region){ .base = LAYOUT_RAM_ABOVE, .size = high };
	mem.n_regions = high ? 2 : 1;
	return e820_build(map, &mem);
}

static uint64_t ram(const struct e820_range *map, unsigned n)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += map[i].kind == E820_KIND_RAM ? map[i].size : 0;
	return size;
}

Test(e820, ranges_are_sorted_and_disjoint)
{
	struct e820_range map[E820_MAX_RANGES];
	unsigned n = build(map, GIB(3), GIB(3));

	for (unsigned i = 0; i < n; i++) {
		cr_assert_gt(map[i].size, 0);
		if (i > 0)
			cr_assert_geq(map[i].base, map[i - 1].base + map[i - 1].size);
	}
}

Test(e820, all_memory_is_ram_but_the_bios_area)
{
	struct e820_range map[E820_MAX_RANGES];
	unsigned n = build(map, MIB(16), 0);

	cr_expect_eq(ram(map, n), MIB(16) - (LAYOUT_HIGH_RAM - LAYOUT_EBDA));
	n = build(map, GIB(3), GIB(3));
	cr_expect_eq(ram(map, n), GIB(6) - (LAYOUT_HIGH_RAM - LAYOUT_EBDA));
	cr_expect_eq(map[n - 1].base, LAYOUT_RAM_ABOVE);
	cr_expect_eq(map[n - 1].size, GIB(3));
}

Test(e820, machine_areas_are_reserved)
{
	static const uint64_t reserved[] = { LAYOUT_EBDA, LAYOUT_RSDP, LAYOUT_ACPI_END - 1,
					     LAYOUT_ECAM, LAYOUT_ECAM + LAYOUT_ECAM_SIZE - 1,
					     LAYOUT_KVM_IDENTITY_MAP,
					     LAYOUT_KVM_IDENTITY_MAP + 4 * 4096 - 1 };
	struct e820_range map[E820_MAX_RANGES];
	unsigned n = build(map, GIB(1), 0);

	for (unsigned r = 0; r < ARRAY_SIZE(reserved); r++) {
		bool found = false;

		for (unsigned i = 0; i < n; i++)
			found |= map[i].kind == E820_KIND_RESERVED && reserved[r] >= map[i].base &&
				 reserved[r] - map[i].base < map[i].size;
		cr_expect(found, "%#lx", reserved[r]);
	}
}

Test(e820, one_mebibyte_has_no_high_memory)
{
	struct e820_range map[E820_MAX_RANGES];
	unsigned n = build(map, MIB(1), 0);

	cr_expect_eq(ram(map, n), LAYOUT_EBDA);
}
