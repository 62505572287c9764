/* What boot.h refuses, and how it says so. */
#include <asm/bootparam.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/boot_rig.h"
#include "vmm/base/error.h"
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

TestSuite(boot_refusal, .init = setup, .fini = teardown);

/* --- What does not fit ----------------------------------------------------------------------- */

Test(boot_refusal, an_initrd_that_does_not_fit_is_refused_with_the_sizes)
{
	boot_rig_make_initrd(&rig, MIB(15));
	boot_rig_expect_open(&rig, "", rig.initrd.path);
	cr_assert_eq(boot_rig_load(&rig), -ENOMEM);
	cr_expect(strstr(error_text(), "of 15 MiB does not fit: memory is 16 MiB"), "%s",
		  error_text());
}

Test(boot_refusal, an_initrd_obeys_the_kernels_limit)
{
	kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_UNKNOWN);
	kernel_file_poke(&rig.image, 0x22c, 4, MIB(10) - 1);
	boot_rig_make_initrd(&rig, 5000);
	boot_rig_expect_open(&rig, "", rig.initrd.path);
	boot_rig_expect_load(&rig);
	const struct boot_params *zero = boot_rig_at(&rig, LAYOUT_BOOT_INFO, sizeof(*zero));
	cr_expect_eq(zero->hdr.ramdisk_image, MIB(10) - 8192);
}

Test(boot_refusal, a_kernel_outside_memory_is_refused)
{
	kernel_file_poke(&rig.image, 64 + 24, 8, MIB(32));
	kernel_file_poke(&rig.image, 24, 8, MIB(32));
	boot_rig_expect_open(&rig, "", NULL);
	cr_assert_eq(boot_rig_load(&rig), -ENOMEM);
}

Test(boot_refusal, a_machine_of_one_mebibyte_is_an_error_not_a_crash)
{
	boot_rig_resize(&rig, MIB(1));
	boot_rig_expect_open(&rig, "", NULL);
	cr_assert_eq(boot_rig_load(&rig), -ENOMEM);
}

Test(boot_refusal, a_file_that_shrinks_is_an_error)
{
	boot_rig_expect_open(&rig, "", NULL);
	cr_assert_eq(ftruncate(rig.kernel.fd, 4096), 0);
	cr_assert_eq(boot_rig_load(&rig), -ENODATA);
}

/* --- Bad input ------------------------------------------------------------------------------- */

static int open_path(const char *path, const char *initrd_path)
{
	struct boot_config config = { .kernel_path = path, .initrd_path = initrd_path,
				      .cmdline = "" };

	return boot_open(&rig.boot, &config);
}

Test(boot_refusal, a_missing_kernel_keeps_its_errno_and_path)
{
	cr_expect_eq(open_path("/nonexistent/vmlinuz", NULL), -ENOENT);
	cr_expect(strstr(error_text(), "/nonexistent/vmlinuz"));
}

Test(boot_refusal, a_missing_initrd_keeps_its_errno_and_path)
{
	cr_expect_eq(boot_rig_open(&rig, "", "/nonexistent/initrd", false), -ENOENT);
	cr_expect(strstr(error_text(), "/nonexistent/initrd"));
}

Test(boot_refusal, directories_devices_fifos_and_empty_files_are_refused)
{
	struct memory_file empty;

	cr_expect_eq(open_path("/", NULL), -EISDIR);
	cr_expect_eq(open_path("/dev/null", NULL), -EINVAL);
	memory_file_create(&empty, "", 0);
	cr_expect_eq(open_path(empty.path, NULL), -EINVAL);
	cr_expect(strstr(error_text(), "empty"));
	memory_file_destroy(&empty);
	int fds[2];
	char path[32];
	cr_assert_eq(pipe(fds), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	cr_expect_eq(open_path(path, NULL), -EINVAL);
}

Test(boot_refusal, an_unreadable_kernel_keeps_its_errno)
{
	if (geteuid() == 0)
		cr_skip_test("permissions: root may read everything");
	memory_file_create(&rig.kernel, "x", 1);
	cr_assert_eq(fchmod(rig.kernel.fd, 0), 0);
	cr_expect_eq(open_path(rig.kernel.path, NULL), -EACCES);
}

static void expect_not_a_kernel(const char *kind)
{
	cr_expect_eq(boot_rig_open(&rig, "", NULL, false), -ENOEXEC, "%s", kind);
	cr_expect(strstr(error_text(), kind), "'%s' lacks '%s'", error_text(), kind);
}

Test(boot_refusal, what_is_no_kernel_is_named)
{
	memcpy(rig.image.data, "\x1f\x8b\x08", 3);
	expect_not_a_kernel("a gzip file");
	memcpy(rig.image.data, "070701", 6);
	expect_not_a_kernel("an initrd");
	memset(rig.image.data, 'x', rig.image.len);
	expect_not_a_kernel("a text file");
	kernel_file_elf(&rig.image, 64);
	kernel_file_poke(&rig.image, 18, 2, 183);
	expect_not_a_kernel("an ELF file for AArch64");
	kernel_file_elf(&rig.image, 64);
	kernel_file_poke(&rig.image, 16, 2, 3);
	expect_not_a_kernel("an ELF program or shared library");
	kernel_file_elf(&rig.image, 32);
	expect_not_a_kernel("a 32-bit ELF file without PVH note or multiboot header");
}

Test(boot_refusal, a_user_program_is_no_kernel)
{
	static const uint8_t tag[16] = { 0 };

	kernel_file_add_note(&rig.image, "GNU", 1, tag, sizeof(tag));
	expect_not_a_kernel("an ELF program without kernel entry");
	cr_expect_eq(open_path("/proc/self/exe", NULL), -ENOEXEC);
	cr_expect(strstr(error_text(), "without kernel entry"), "%s", error_text());
}

Test(boot_refusal, a_pvh_entry_outside_the_kernel_is_refused)
{
	static const uint8_t outside[8] = { 0x40, 0, 0x90, 0 };

	kernel_file_add_note(&rig.image, "Xen", 18, outside, sizeof(outside));
	cr_expect_eq(boot_rig_open(&rig, "", NULL, false), -ENOEXEC);
}

Test(boot_refusal, a_command_line_is_complete_or_refused)
{
	char cmdline[2049];

	memset(cmdline, 'a', 2047);
	cmdline[2047] = '\0';
	boot_rig_start(&rig, cmdline);
	boot_rig_expect_zero_page(&rig, cmdline);
	boot_rig_close(&rig);
	cmdline[2047] = 'a';
	cmdline[2048] = '\0';
	cr_expect_eq(boot_rig_open(&rig, cmdline, NULL, false), -E2BIG);
	cr_expect(strstr(error_text(), "2048 characters"), "%s", error_text());
	kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_UNKNOWN);
	kernel_file_poke(&rig.image, 0x238, 4, 10);
	cr_expect_eq(boot_rig_open(&rig, "12345678901", NULL, false), -E2BIG);
}

/* Every byte of the headers with every interesting value: nothing crashes, nothing is too slow. */
Test(boot_refusal, hostile_headers_are_harmless, .timeout = 60)
{
	static const uint8_t value[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct kernel_file good[2];

	kernel_file_elf(&good[0], 64);
	if (!kernel_file_bzimage(&good[1], &rig.payload, UNPACK_GZIP))
		kernel_file_bzimage(&good[1], &rig.payload, UNPACK_UNKNOWN);
	for (unsigned k = 0; k < 2; k++) {
		size_t first = k == 0 ? 4 : 0x1f1, end = k == 0 ? 120 : 0x270;

		for (size_t i = first; i < end; i++) {
			for (unsigned v = 0; v < ARRAY_SIZE(value); v++) {
				rig.image = good[k];
				rig.image.data[i] = value[v];
				if (boot_rig_open(&rig, "quiet", NULL, false) == 0 &&
				    boot_rig_load(&rig) == 0)
					cr_assert_lt(rig.entry.rip, MIB(16), "byte %zu = %u", i,
						     value[v]);
			}
		}
	}
}
