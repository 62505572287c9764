#include <criterion/criterion.h>
#include <errno.h>

#include "vmm/machine/boot_place.h"
#include "vmm/machine/layout.h"

static const struct guest_memory mem = {
	.region = { { .base = 0, .size = MIB(64) }, { .base = GIB(4), .size = MIB(64) } },
	.n_regions = 2,
	.fd = -1,
};

Test(boot_place, kernels_go_to_free_ram_only)
{
	cr_expect(boot_place_allows(&mem, MIB(1), MIB(63)));
	cr_expect(!boot_place_allows(&mem, MIB(1), MIB(63) + 1), "behind the end");
	cr_expect(boot_place_allows(&mem, 0x30000, 0x1000));
	cr_expect(!boot_place_allows(&mem, 0x2f000, 0x1000), "the command line is there");
	cr_expect(!boot_place_allows(&mem, 0x9f000, 0x1000), "reaches into the EBDA");
	cr_expect(!boot_place_allows(&mem, 0x30000, MIB(1)));
	cr_expect(!boot_place_allows(&mem, GIB(4), 0x1000), "not mapped at the entry");
	cr_expect(!boot_place_allows(&mem, GIB(2), 1));
	cr_expect(!boot_place_allows(&mem, UINT64_MAX, UINT64_MAX));
}

Test(boot_place, high_is_as_high_as_the_limit_allows)
{
	const struct boot_range kernel = { MIB(16), MIB(32) };
	gpa_t at;

	cr_assert_eq(boot_place_find(&mem, 5000, GIB(4), kernel, BOOT_PLACE_HIGH, &at), 0);
	cr_expect_eq(at, MIB(64) - 8192);
	cr_assert_eq(boot_place_find(&mem, 5000, MIB(40) + 5, kernel, BOOT_PLACE_HIGH, &at), 0);
	cr_expect_eq(at, MIB(40) - 8192);
}

Test(boot_place, low_is_right_behind_the_kernel)
{
	const struct boot_range kernel = { MIB(1), MIB(2) + 1 };
	gpa_t at;

	cr_assert_eq(boot_place_find(&mem, 5000, GIB(4), kernel, BOOT_PLACE_LOW, &at), 0);
	cr_expect_eq(at, MIB(2) + 4096);
}

Test(boot_place, room_below_the_kernel_is_used_when_there_is_none_above)
{
	const struct boot_range kernel = { MIB(16), MIB(62) };
	gpa_t at;

	cr_assert_eq(boot_place_find(&mem, MIB(2), GIB(4), kernel, BOOT_PLACE_HIGH, &at), 0);
	cr_expect_eq(at, MIB(62));
	cr_assert_eq(boot_place_find(&mem, MIB(2) + 1, GIB(4), kernel, BOOT_PLACE_HIGH, &at), 0);
	cr_expect_eq(at, MIB(14) - 4096);
	cr_assert_eq(boot_place_find(&mem, MIB(15), GIB(4), kernel, BOOT_PLACE_HIGH, &at), 0);
	cr_expect_eq(at, MIB(1));
	cr_expect_eq(boot_place_find(&mem, MIB(15) + 1, GIB(4), kernel, BOOT_PLACE_HIGH, &at),
		     -ENOMEM);
}

Test(boot_place, impossible_sizes_do_not_fit)
{
	const struct boot_range kernel = { MIB(1), MIB(2) };
	gpa_t at;

	cr_expect_eq(boot_place_find(&mem, UINT64_MAX, GIB(4), kernel, BOOT_PLACE_LOW, &at),
		     -ENOMEM);
	cr_expect_eq(boot_place_find(&mem, MIB(64), GIB(4), kernel, BOOT_PLACE_HIGH, &at), -ENOMEM);
	cr_expect_eq(boot_place_find(&mem, 1, 0, kernel, BOOT_PLACE_HIGH, &at), -ENOMEM);
}

Test(boot_place, sizes_are_rounded_up_for_people)
{
	char buf[24];

	cr_expect_str_eq(boot_place_size(buf, MIB(80)), "80 MiB");
	cr_expect_str_eq(boot_place_size(buf, MIB(80) + 1), "81 MiB");
	cr_expect_str_eq(boot_place_size(buf, 1), "1 KiB");
	cr_expect_str_eq(boot_place_size(buf, UINT64_MAX), "17592186044416 MiB");
}
