#include <criterion/criterion.h>
#include <errno.h>

#include "vmm/base/le.h"
#include "vmm/machine/x86/multiboot.h"

enum { FILE_SIZE = 0x10000, AT = 0x40 };
static uint8_t head[MULTIBOOT_SEARCH];
static struct multiboot mb;

static void put_header(size_t at, uint32_t flags)
{
	memset(head, 0, sizeof(head));
	store_le32(head + at, 0x1badb002);
	store_le32(head + at + 4, flags);
	store_le32(head + at + 8, -(0x1badb002 + flags));
}

static void put_addresses(uint32_t header, uint32_t load, uint32_t load_end, uint32_t bss_end,
			  uint32_t entry)
{
	put_header(AT, 1 << 16);
	store_le32(head + AT + 12, header);
	store_le32(head + AT + 16, load);
	store_le32(head + AT + 20, load_end);
	store_le32(head + AT + 24, bss_end);
	store_le32(head + AT + 28, entry);
}

static int find(void)
{
	return multiboot_find(&mb, head, sizeof(head), FILE_SIZE);
}

Test(multiboot, header_is_found_on_4_byte_boundaries_in_the_first_8_kib)
{
	put_header(0, 3);
	cr_expect_eq(find(), 0);
	cr_expect(mb.found && !mb.has_addresses);
	put_header(sizeof(head) - 12, 3);
	cr_expect_eq(find(), 0);
	cr_expect(mb.found);
	put_header(2, 3);
	cr_expect_eq(find(), 0);
	cr_expect(!mb.found);
}

Test(multiboot, a_wrong_checksum_is_no_header)
{
	put_header(AT, 3);
	head[AT + 8] ^= 1;
	cr_expect_eq(find(), 0);
	cr_expect(!mb.found);
}

Test(multiboot, unknown_requirements_are_refused)
{
	put_header(AT, 1 << 3);
	cr_expect_eq(find(), -ENOEXEC);
	put_header(AT, 1 << 2 | 1u << 20);
	cr_expect_eq(find(), 0, "video is optional, high bits are only hints");
}

Test(multiboot, addresses_say_what_goes_where)
{
	put_addresses(0x100040, 0x100000, 0x101000, 0x102000, 0x100080);
	cr_assert_eq(find(), 0);
	cr_assert(mb.has_addresses);
	cr_expect_eq(mb.offset, 0);
	cr_expect_eq(mb.size, 0x1000);
	cr_expect_eq(mb.range.start, 0x100000);
	cr_expect_eq(mb.range.end, 0x102000);
	cr_expect_eq(mb.entry, 0x100080);

	put_addresses(0x100010, 0x100000, 0, 0, 0x100000);
	cr_assert_eq(find(), 0);
	cr_expect_eq(mb.offset, 0x30);
	cr_expect_eq(mb.size, FILE_SIZE - 0x30, "all of the file");
}

Test(multiboot, hostile_addresses_are_refused)
{
	static const uint32_t bad[][5] = {
		{ 0x100000, 0x100001, 0, 0, 0x100001 },		/* header before the load */
		{ 0x100041, 0x100000, 0, 0, 0x100000 },		/* load before the file */
		{ 0x100040, 0x100000, 0x0fffff, 0, 0x100000 },		/* ends before it starts */
		{ 0x100040, 0x100000, 0x100000, 0, 0x100000 },		/* empty */
		{ 0x100040, 0x100000, 0x100000 + FILE_SIZE + 1, 0, 0x100000 },
		{ 0x100040, 0x100000, 0xffffffff, 0, 0x100000 },
		{ 0x100040, 0x100000, 0x101000, 0x100fff, 0x100000 },	/* bss before the end */
		{ 0x100040, 0x100000, 0x101000, 0, 0x101000 },		/* entry outside */
		{ 0x100040, 0x100000, 0x101000, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_addresses(bad[i][0], bad[i][1], bad[i][2], bad[i][3], bad[i][4]);
		cr_expect_eq(find(), -ENOEXEC, "%zu", i);
	}
}

Test(multiboot, an_address_header_at_the_very_end_is_refused)
{
	put_header(sizeof(head) - 16, 1 << 16);
	cr_expect_eq(find(), -ENOEXEC);
}
