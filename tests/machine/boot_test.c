#include <asm/bootparam.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/boot_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"
#include "vmm/machine/layout.h"

static struct boot_rig rig;

static void setup(void)
{
	boot_rig_init(&rig);
}

static void teardown(void)
{
	boot_rig_fini(&rig);
}

TestSuite(boot, .init = setup, .fini = teardown);

static void expect_initrd(uint64_t gpa, uint64_t size)
{
	const uint8_t *p = boot_rig_at(&rig, gpa, size);

	cr_expect_eq(gpa % 4096, 0);
	cr_expect_eq(p[0], 0x1d);
	cr_expect_eq(p[size - 1], 0x1d);
}

/* --- The three protocols --------------------------------------------------------------------- */

Test(boot, plain_vmlinux_gets_a_zero_page)
{
	boot_rig_make_initrd(&rig, 5000);
	boot_rig_expect_open(&rig, "console=hvc0 quiet", rig.initrd.path);
	cr_expect(strstr(boot_describe(rig.boot), "without KASLR"));
	boot_rig_expect_load(&rig);
	cr_expect_eq(rig.entry.rip, KERNEL_ELF_PADDR);
	boot_rig_expect_elf(&rig);
	const struct boot_params *zero = boot_rig_expect_zero_page(&rig, "console=hvc0 quiet");
	cr_expect_eq(zero->hdr.ramdisk_image, MIB(16) - 8192, "as high as possible");
	cr_expect_eq(zero->hdr.ramdisk_size, 5000);
	expect_initrd(zero->hdr.ramdisk_image, 5000);
}

static void expect_pvh(unsigned bits)
{
	static const uint8_t pvh_entry[8] = { 0x40, 0, 0x20, 0 };

	kernel_file_elf(&rig.image, bits);
	kernel_file_add_note(&rig.image, "Xen", 18, pvh_entry, bits / 8);
	boot_rig_make_initrd(&rig, 5000);
	boot_rig_expect_open(&rig, "one two", rig.initrd.path);
	boot_rig_expect_load(&rig);
	cr_expect_eq(rig.entry.mode, BOOT_MODE_PROTECTED32);
	cr_expect_eq(rig.entry.rip, 0x200040);
	boot_rig_expect_elf(&rig);

	const uint8_t *info = boot_rig_at(&rig, rig.entry.rbx, 56);
	cr_expect_eq(load_le32(info), 0x336ec578);
	cr_expect_eq(load_le32(info + 4), 1);
	cr_expect_eq(load_le32(info + 12), 1);
	cr_expect_str_eq(boot_rig_at(&rig, load_le64(info + 24), 1), "one two");
	cr_expect_eq(load_le64(info + 32), LAYOUT_RSDP);
	cr_assert_eq(load_le32(info + 48), 5);
	const uint8_t *map = boot_rig_at(&rig, load_le64(info + 40), 5 * 24);
	cr_expect_eq(load_le64(map + 2 * 24), MIB(1));
	cr_expect_eq(load_le64(map + 2 * 24 + 8), MIB(15));
	cr_expect_eq(load_le32(map + 2 * 24 + 16), 1);
	const uint8_t *module = boot_rig_at(&rig, load_le64(info + 16), 32);
	cr_expect_eq(load_le64(module + 8), 5000);
	expect_initrd(load_le64(module), 5000);
}

Test(boot, pvh_64_bit_elf_gets_a_start_info)
{
	expect_pvh(64);
}

Test(boot, pvh_32_bit_elf_gets_a_start_info)
{
	expect_pvh(32);
}

static void put_multiboot_header(uint32_t flags)
{
	kernel_file_poke(&rig.image, 0x400, 4, 0x1badb002);
	kernel_file_poke(&rig.image, 0x404, 4, flags);
	kernel_file_poke(&rig.image, 0x408, 4, -(0x1badb002u + flags));
}

static void expect_multiboot(uint64_t initrd_at)
{
	char cmdline[64];

	boot_rig_make_initrd(&rig, 5000);
	boot_rig_expect_open(&rig, "one two", rig.initrd.path);
	boot_rig_expect_load(&rig);
	cr_expect_eq(rig.entry.mode, BOOT_MODE_PROTECTED32);
	cr_expect_eq(rig.entry.rax, 0x2badb002);

	const uint8_t *info = boot_rig_at(&rig, rig.entry.rbx, 116);
	uint32_t flags = load_le32(info);
	cr_expect_eq(flags, 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
	cr_expect_eq(load_le32(info + 4), LAYOUT_EBDA / 1024);
	cr_expect_eq(load_le32(info + 8), 15 * 1024);
	snprintf(cmdline, sizeof(cmdline), "%s one two", rig.kernel.path);
	cr_expect_str_eq(boot_rig_at(&rig, load_le32(info + 16), 1), cmdline);
	cr_expect_eq(load_le32(info + 20), 1);
	const uint8_t *module = boot_rig_at(&rig, load_le32(info + 24), 16);
	cr_expect_eq(load_le32(module), initrd_at, "right behind the kernel");
	cr_expect_eq(load_le32(module + 4), initrd_at + 5000);
	cr_expect_str_eq(boot_rig_at(&rig, load_le32(module + 8), 1), rig.initrd.path);
	expect_initrd(initrd_at, 5000);
	cr_assert_eq(load_le32(info + 44), 5 * 24);
	const uint8_t *map = boot_rig_at(&rig, load_le32(info + 48), 5 * 24);
	cr_expect_eq(load_le32(map), 20);
	cr_expect_eq(load_le64(map + 2 * 24 + 4), MIB(1));
	cr_expect_eq(load_le32(map + 2 * 24 + 20), 1);
}

Test(boot, multiboot_32_bit_elf_gets_its_information)
{
	kernel_file_elf(&rig.image, 32);
	put_multiboot_header(3);
	expect_multiboot(KERNEL_ELF_PADDR + 0x5000);
	cr_expect_eq(rig.entry.rip, KERNEL_ELF_PADDR);
	boot_rig_expect_elf(&rig);
}

Test(boot, multiboot_64_bit_elf_gets_its_information)
{
	put_multiboot_header(3);
	expect_multiboot(KERNEL_ELF_PADDR + 0x5000);
	cr_expect_eq(rig.entry.rip, KERNEL_ELF_PADDR);
	boot_rig_expect_elf(&rig);
}

Test(boot, multiboot_addresses_load_a_flat_file)
{
	memset(&rig.image, 0xab, sizeof(rig.image));
	rig.image.len = 0x2000;
	put_multiboot_header(1 << 16);
	kernel_file_poke(&rig.image, 0x40c, 4, 0x300400);	/* header */
	kernel_file_poke(&rig.image, 0x410, 4, 0x300000);	/* load */
	kernel_file_poke(&rig.image, 0x414, 4, 0x301000);	/* load end */
	kernel_file_poke(&rig.image, 0x418, 4, 0x302000);	/* bss end */
	kernel_file_poke(&rig.image, 0x41c, 4, 0x300500);	/* entry */
	expect_multiboot(0x302000);
	cr_expect_eq(rig.entry.rip, 0x300500);
	const uint8_t *p = boot_rig_at(&rig, 0x300000, 0x2000);
	cr_expect_eq(p[0xfff], 0xab);
	cr_expect_eq(p[0x1000], 0);
}

/* --- bzImage --------------------------------------------------------------------------------- */

static void expect_unpacked(enum unpack_format format)
{
	if (!kernel_file_bzimage(&rig.image, &rig.payload, format))
		return;
	boot_rig_expect_open(&rig, "quiet", NULL);
	cr_expect(strstr(boot_describe(rig.boot), unpack_format_name(format)), "%s",
		  boot_describe(rig.boot));
	boot_rig_expect_load(&rig);
	cr_expect_eq(rig.entry.rip, KERNEL_ELF_PADDR, "%s", unpack_format_name(format));
	boot_rig_expect_elf(&rig);
	const struct boot_params *zero = boot_rig_expect_zero_page(&rig, "quiet");
	cr_expect_eq(zero->hdr.version, 0x20f);
	cr_expect_eq(zero->hdr.init_size, 0x400000, "the file's own header");
	cr_assert_eq(guest_memory_clear(&rig.m->memory), 0);
	boot_rig_close(&rig);
}

Test(boot, bzimage_of_every_format_is_unpacked_and_entered_directly)
{
	for (enum unpack_format f = UNPACK_GZIP; f <= UNPACK_BZIP2; f++)
		expect_unpacked(f);
}

/* It was loaded as it is, at its preferred address. */
static void expect_own_entry(void)
{
	boot_rig_expect_load(&rig);
	cr_expect_eq(rig.entry.rip, 0x400200);
	cr_expect_arr_eq(boot_rig_at(&rig, 0x400000, 64), rig.image.data + 2048, 64);
	boot_rig_expect_zero_page(&rig, "quiet");
	cr_expect(strstr(boot_describe(rig.boot), "unpacks itself"), "%s", boot_describe(rig.boot));
}

Test(boot, bzimage_unpacks_itself_when_asked)
{
	if (!kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_GZIP))
		cr_skip_test("gzip: not in this build");
	cr_assert_eq(boot_rig_open(&rig, "quiet", NULL, true), 0);
	expect_own_entry();
}

Test(boot, bzimage_of_unknown_format_unpacks_itself)
{
	kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_LZO);
	boot_rig_expect_open(&rig, "quiet", NULL);
	expect_own_entry();
}

Test(boot, bzimage_with_damaged_payload_unpacks_itself)
{
	if (!kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_GZIP))
		cr_skip_test("gzip: not in this build");
	rig.image.data[2048 + 0x1000 + 40] ^= 0xff;
	boot_rig_expect_open(&rig, "quiet", NULL);
	expect_own_entry();
}

Test(boot, bzimage_linked_where_there_is_no_memory_unpacks_itself)
{
	kernel_file_poke(&rig.payload, 64 + 24, 8, MIB(16));	/* p_paddr */
	kernel_file_poke(&rig.payload, 24, 8, MIB(16));		/* e_entry */
	if (!kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_GZIP))
		cr_skip_test("gzip: not in this build");
	boot_rig_expect_open(&rig, "quiet", NULL);
	expect_own_entry();
}

Test(boot, a_bomb_is_not_unpacked)
{
	if (!kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_GZIP))
		cr_skip_test("gzip: not in this build");
	/* It promises 4 GiB. */
	const uint32_t payload_length = load_le32(rig.image.data + 0x24c);
	kernel_file_poke(&rig.image, 2048 + 0x1000 + payload_length - 4, 4, UINT32_MAX);
	boot_rig_expect_open(&rig, "quiet", NULL);
	expect_own_entry();
}

Test(boot, bzimage_that_does_not_fit_says_how_much_it_needs)
{
	kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_UNKNOWN);
	kernel_file_poke(&rig.image, 0x260, 4, MIB(30));
	boot_rig_expect_open(&rig, "quiet", NULL);
	cr_assert_eq(boot_rig_load(&rig), -ENOMEM);
	cr_expect(strstr(error_text(), "30 MiB"), "%s", error_text());
	cr_expect(strstr(error_text(), "memory is 16 MiB"), "%s", error_text());
}

Test(boot, loading_again_after_a_reset_gives_the_same)
{
	struct boot_entry first;

	boot_rig_start(&rig, "quiet");
	first = rig.entry;
	cr_assert_eq(guest_memory_clear(&rig.m->memory), 0);
	boot_rig_expect_load(&rig);
	cr_expect_eq(rig.entry.rip, first.rip);
	boot_rig_expect_elf(&rig);
	boot_rig_expect_zero_page(&rig, "quiet");
}

/* --- A real one ------------------------------------------------------------------------------ */

static void boot_real(const char *name, uint64_t memory, bool no_unpack, bool fits)
{
	char path[256];
	struct boot_config config = { .kernel_path = path, .cmdline = "quiet",
				      .no_unpack = no_unpack };
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	/* As images/cache.sh has it. */
	snprintf(path, sizeof(path), "%s%s/vireo/%s/vmlinuz", cache ? cache : home ? home : "",
		 cache ? "" : "/.cache", name);
	if (access(path, R_OK) != 0)
		cr_skip_test("Debian kernel: no %s", path);
	boot_rig_resize(&rig, memory);
	cr_assert_eq(boot_open(&rig.boot, &config), 0, "%s", error_text());
	cr_assert(strstr(boot_describe(rig.boot), "Linux 6."), "%s", boot_describe(rig.boot));
	if (!no_unpack && !strstr(boot_describe(rig.boot), "on the host"))
		cr_skip_test("Debian kernel: this build cannot unpack its format");
	int r = boot_rig_load(&rig);
	cr_assert_eq(r, fits ? 0 : -ENOMEM, "%d: %s", r, error_text());
	if (!fits)
		return;
	cr_assert_eq(rig.entry.rip, no_unpack ? 0x1000200 : 0x1000000);
	cr_assert_eq(strstr(boot_describe(rig.boot), "unpacked on the host") != NULL, !no_unpack,
		     "%s", boot_describe(rig.boot));
	/* Linux names itself in its read-only data. */
	const void *text = boot_rig_at(&rig, 0x1000000, MIB(32));
	if (!no_unpack)
		cr_assert_not_null(memmem(text, MIB(32), "Linux version 6.", 16));
}

Test(boot, debian_cloud_kernel_is_unpacked_into_64_mib, .timeout = 60)
{
	boot_real("kernel-cloud", MIB(64), false, true);
}

Test(boot, debian_cloud_kernel_unpacks_itself_in_96_mib, .timeout = 60)
{
	boot_real("kernel-cloud", MIB(96), true, true);
}

Test(boot, debian_generic_kernel_is_unpacked, .timeout = 60)
{
	boot_real("kernel-generic", MIB(128), false, true);
}

Test(boot, debian_generic_kernel_does_not_fit_into_64_mib, .timeout = 60)
{
	boot_real("kernel-generic", MIB(64), false, false);
}
