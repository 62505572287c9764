/* Where a kernel's configuration is: in files of every kind, and beside kernels that have none. */
#include "vmm/kernel/kernel_source.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/kernel_files.h"
#include "tests/support/memory_file.h"
#include "vmm/base/error.h"

#define HEAD "# Linux/x86 6.1.192 Kernel Configuration\n"
static const char text[] = HEAD "CONFIG_HERE=y\nCONFIG_PART=m\n";
enum { TEXT_LEN = sizeof(text) - 1 };

static char dir[] = "/tmp/vireo-kernel-source-XXXXXX";
static struct kernel_source source;
static struct kernel_file kernel, image;
static uint8_t bytes[96 * 1024];

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void)
{
	char command[64];

	kernel_source_fini(&source);
	error_clear();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(kernel_source, .init = setup, .fini = teardown);

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void make(const char *name, const void *data, size_t len)
{
	char command[600];
	FILE *f;

	snprintf(command, sizeof(command), "mkdir -p $(dirname %s)", in_dir(name));
	cr_assert_eq(system(command), 0);
	f = fopen(in_dir(name), "w");
	cr_assert_not_null(f, "%s", name);
	cr_assert_eq(fwrite(data, 1, len, f), len);
	fclose(f);
}

static int read_name(const char *name)
{
	const struct kernel_places places = { in_dir("boot"), in_dir("modules") };

	kernel_source_fini(&source);
	error_clear();
	return kernel_source_read(&source, in_dir(name), &places);
}

static int read_bytes(const void *data, size_t len)
{
	make("file", data, len);
	return read_name("file");
}

static bool is_ours(void)
{
	return kernel_config_get(&source.config, "HERE") == KERNEL_VALUE_ON &&
	       kernel_config_get(&source.config, "PART") == KERNEL_VALUE_MODULE &&
	       source.config.n == 2;
}

/* An ELF kernel that has 'len' bytes of 'data', packed by gzip, where IKCONFIG puts them. */
static bool put_inside(const void *data, size_t len)
{
	uint8_t *at;
	size_t packed;

	kernel_file_elf(&kernel, 64);
	at = kernel.data + KERNEL_ELF_TEXT_OFFSET + 5;
	memcpy(at, "IKCFG_ST", 8);
	packed = kernel_file_pack(UNPACK_GZIP, data, len, at + 8, KERNEL_ELF_TEXT_SIZE - 32);
	memcpy(at + 8 + packed, "IKCFG_ED", 8);
	return packed > 0;
}

/* --- Files ----------------------------------------------------------------------------------- */

Test(kernel_source, a_text_is_read)
{
	cr_assert_eq(read_bytes(text, TEXT_LEN), 0, "%s", error_text());
	cr_expect(is_ours());
	cr_expect_not(source.is_inside);
	cr_expect_str_eq(source.path, in_dir("file"));
}

Test(kernel_source, a_packed_text_is_read_whatever_packed_it)
{
	for (int format = UNPACK_GZIP; format <= UNPACK_BZIP2; format++) {
		size_t len = kernel_file_pack((enum unpack_format)format, (const uint8_t *)text,
					      TEXT_LEN, bytes, sizeof(bytes));

		if (len == 0)
			continue;
		cr_assert_eq(read_bytes(bytes, len), 0, "%d: %s", format, error_text());
		cr_expect(is_ours());
	}
}

Test(kernel_source, a_kernel_has_it_inside)
{
	if (!put_inside(text, TEXT_LEN))
		cr_skip_test("built without zlib");
	cr_assert_eq(read_bytes(kernel.data, kernel.len), 0, "%s", error_text());
	cr_expect(is_ours());
	cr_expect(source.is_inside);
}

Test(kernel_source, a_packed_kernel_has_it_inside_whatever_packed_it)
{
	unsigned n = 0;

	if (!put_inside(text, TEXT_LEN))
		cr_skip_test("built without zlib");
	for (int format = UNPACK_GZIP; format <= UNPACK_BZIP2; format++) {
		if (!kernel_file_bzimage(&image, &kernel, (enum unpack_format)format))
			continue;
		cr_assert_eq(read_bytes(image.data, image.len), 0, "%d: %s", format, error_text());
		cr_expect(is_ours());
		cr_expect(source.is_inside);
		n++;
	}
	cr_expect_gt(n, 0);
}

/* --- What is none ---------------------------------------------------------------------------- */

Test(kernel_source, what_is_neither_is_refused)
{
	static const char hello[] = "hello\n";

	cr_expect_eq(read_bytes(hello, sizeof(hello) - 1), -ENOEXEC);
	cr_expect_eq(read_bytes("\0", 1), -ENOEXEC);
	cr_expect_eq(read_bytes("\x7f" "ELF", 4), -ENOEXEC);
	cr_expect_eq(read_name("gone"), -ENOENT);
	cr_expect_eq(read_name("."), -EISDIR);
	cr_expect(strstr(error_text(), dir), "%s", error_text());
}

Test(kernel_source, damaged_files_are_told)
{
	size_t len = kernel_file_pack(UNPACK_GZIP, (const uint8_t *)text, TEXT_LEN, bytes,
				      sizeof(bytes));

	if (len == 0 || !put_inside(text, TEXT_LEN))
		cr_skip_test("built without zlib");
	cr_expect_eq(read_bytes(bytes, len / 2), -EBADMSG);
	/* A byte of the stream inside, behind its header. */
	kernel.data[KERNEL_ELF_TEXT_OFFSET + 5 + 8 + 20] ^= 0xff;
	cr_expect_eq(read_bytes(kernel.data, kernel.len), -EBADMSG);
	cr_expect(strstr(error_text(), "file"), "%s", error_text());
}

Test(kernel_source, a_bomb_inside_is_refused)
{
	static uint8_t lines[KERNEL_CONFIG_MAX + 1];

	memset(lines, '\n', sizeof(lines));
	if (!put_inside(lines, sizeof(lines)))
		cr_skip_test("built without zlib");
	cr_expect_eq(read_bytes(kernel.data, kernel.len), -EBADMSG);
}

Test(kernel_source, a_kernel_in_a_kernel_is_no_configuration)
{
	static const char again[] = "IKCFG_ST\x1f\x8b\x08 IKCFG_ED";

	if (!put_inside(again, sizeof(again) - 1))
		cr_skip_test("built without zlib");
	cr_expect_eq(read_bytes(kernel.data, kernel.len), -EBADMSG);
}

/* --- Beside a kernel ------------------------------------------------------------------------- */

/* A kernel of that release, which has nothing inside. */
static void make_kernel(const char *name, const char *release)
{
	char line[128];

	kernel_file_elf(&kernel, 64);
	kernel_file_add_note(&kernel, "Linux", 0x101, "", 1);
	snprintf(line, sizeof(line), "Linux version %s (me@here) #1", release);
	memcpy(kernel.data + KERNEL_ELF_TEXT_OFFSET + 9, line, strlen(line) + 1);
	make(name, kernel.data, kernel.len);
}

Test(kernel_source, a_distributions_configuration_is_beside_its_kernel)
{
	make_kernel("k/vmlinuz-6.1.0-56", "6.1.0-56-amd64");
	cr_expect_eq(read_name("k/vmlinuz-6.1.0-56"), -ENODATA);
	cr_expect(strstr(error_text(), "CONFIG_IKCONFIG"), "%s", error_text());

	static const char *const places[] = { "k/config-6.1.0-56-amd64",
					      "boot/config-6.1.0-56-amd64",
					      "modules/6.1.0-56-amd64/config" };
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		make(places[i], text, TEXT_LEN);
		cr_assert_eq(read_name("k/vmlinuz-6.1.0-56"), 0, "%s", error_text());
		cr_expect(is_ours());
		cr_expect_str_eq(source.path, in_dir(places[i]));
		cr_expect_not(source.is_inside);
		unlink(in_dir(places[i]));
	}
}

Test(kernel_source, a_trees_configuration_is_that_of_its_kernel)
{
	make_kernel("tree/vmlinux", "6.1.192-mine+");
	make("tree/.config", text, TEXT_LEN);
	cr_expect_eq(read_name("tree/vmlinux"), -ENODATA);
	make("tree/include/config/kernel.release", "6.1.192-mine+\n", 14);
	cr_assert_eq(read_name("tree/vmlinux"), 0, "%s", error_text());
	cr_expect(is_ours());
	/* Of another build it says nothing. */
	make("tree/include/config/kernel.release", "6.1.193\n", 8);
	cr_expect_eq(read_name("tree/vmlinux"), -ENODATA);
}

Test(kernel_source, a_configuration_of_another_version_is_not_taken)
{
	static const char *const others[] = { "6.10.0-56", "6.2.0-56", "5.1.0", "6" };

	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		char name[64];

		make_kernel("vmlinuz", others[i]);
		snprintf(name, sizeof(name), "config-%s", others[i]);
		make(name, text, TEXT_LEN);
		cr_expect_eq(read_name("vmlinuz"), -ENODATA, "%s", others[i]);
	}
}

Test(kernel_source, a_release_that_is_a_path_is_not_followed)
{
	make("secret", text, TEXT_LEN);
	make("k/config-/x", "x", 1);
	make_kernel("k/vmlinuz", "/../../secret");
	cr_expect_eq(read_name("k/vmlinuz"), -ENODATA);
}
