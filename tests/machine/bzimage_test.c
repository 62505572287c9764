#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/kernel_files.h"
#include "tests/support/memory_file.h"
#include "vmm/base/error.h"
#include "vmm/machine/x86/bzimage.h"

static struct kernel_file payload, image;
static struct bzimage bz;

#define HEADER(field) (0x1f1 + offsetof(struct setup_header, field))

static void setup(void)
{
	kernel_file_elf(&payload, 64);
	cr_assert(kernel_file_bzimage(&image, &payload, UNPACK_UNKNOWN));
}

TestSuite(bzimage, .init = setup);

static int parse(void)
{
	struct memory_file mf;
	struct boot_file file;
	int r;

	memory_file_create(&mf, image.data, image.len);
	cr_assert_eq(boot_file_open(&file, "kernel", mf.path), 0);
	cr_assert(bzimage_is_bzimage(image.data, image.len));
	r = bzimage_parse(&bz, &file, image.data, image.len);
	boot_file_close(&file);
	memory_file_destroy(&mf);
	return r;
}

Test(bzimage, header_is_read)
{
	cr_assert_eq(parse(), 0, "%s", error_text());
	cr_expect_eq(bz.code_offset, 2048);
	cr_expect_eq(bz.init_size, 0x400000);
	cr_expect_eq(bz.header.pref_address, 0x400000);
	cr_expect_str_eq(bz.release, "6.6.6-test");
}

Test(bzimage, payload_is_found)
{
	if (!kernel_file_bzimage(&image, &payload, UNPACK_GZIP))
		cr_skip_test("gzip: not in this build");
	cr_assert_eq(parse(), 0);
	cr_expect_eq(bz.payload, UNPACK_GZIP);
	cr_expect_eq(bz.payload_output_size, payload.len);
	if (!kernel_file_bzimage(&image, &payload, UNPACK_XZ))
		cr_skip_test("xz: not in this build");
	cr_assert_eq(parse(), 0);
	cr_expect_eq(bz.payload, UNPACK_XZ);
	cr_expect_eq(bz.payload_output_size, payload.len);
}

Test(bzimage, what_cannot_be_entered_at_64_bits_is_refused)
{
	kernel_file_poke(&image, HEADER(version), 2, 0x020b);
	cr_expect_eq(parse(), -ENOEXEC);
	cr_expect(strstr(error_text(), "2.11"), "%s", error_text());
	setup();
	kernel_file_poke(&image, HEADER(xloadflags), 2, 0);
	cr_expect_eq(parse(), -ENOEXEC);
	cr_expect(strstr(error_text(), "32-bit"));
	setup();
	kernel_file_poke(&image, HEADER(loadflags), 1, 0);
	cr_expect_eq(parse(), -ENOEXEC);
	cr_expect(strstr(error_text(), "zImage"));
}

Test(bzimage, a_header_that_ends_early_lacks_its_fields)
{
	/* The jump says that the header ends behind the version. */
	kernel_file_poke(&image, 0x201, 1, 8);
	cr_expect_eq(parse(), -ENOEXEC);
	kernel_file_poke(&image, 0x201, 1, 0);
	cr_expect_eq(parse(), -ENOEXEC);
}

Test(bzimage, a_cut_file_is_refused)
{
	size_t whole = image.len;

	for (size_t len = 0x210; len < whole - 16; len += 100) {
		image.len = len;
		cr_expect_eq(parse(), -ENOEXEC, "%zu", len);
	}
}

Test(bzimage, hostile_sizes_are_refused_or_harmless)
{
	kernel_file_poke(&image, HEADER(syssize), 4, UINT32_MAX);
	cr_expect_eq(parse(), -ENOEXEC);
	setup();
	kernel_file_poke(&image, HEADER(syssize), 4, 0);
	cr_expect_eq(parse(), -ENOEXEC);
	setup();
	kernel_file_poke(&image, HEADER(setup_sects), 1, 255);
	cr_expect_eq(parse(), -ENOEXEC);
	setup();
	kernel_file_poke(&image, HEADER(init_size), 4, 0);
	cr_expect_eq(parse(), 0);
	cr_expect_geq(bz.init_size, bz.code_size);
	kernel_file_poke(&image, HEADER(kernel_version), 2, 0xffff);
	cr_expect_eq(parse(), 0);
	cr_expect_str_eq(bz.release, "");
}

Test(bzimage, a_payload_outside_the_code_is_not_used)
{
	static const uint32_t bad[][2] = {
		{ UINT32_MAX, 100 }, { 0x1000, UINT32_MAX }, { UINT32_MAX, UINT32_MAX }, { 0, 0 },
		{ 0x1000, 9 }, { 0xfffffff0, 0x20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		kernel_file_poke(&image, HEADER(payload_offset), 4, bad[i][0]);
		kernel_file_poke(&image, HEADER(payload_length), 4, bad[i][1]);
		cr_expect_eq(parse(), 0);
		cr_expect_eq(bz.payload, UNPACK_UNKNOWN, "%zu", i);
	}
}
