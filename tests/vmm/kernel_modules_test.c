#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/exec/kernel_modules.h"

static char dir[] = "/tmp/vireo-modules-XXXXXX";
static struct kernel_modules modules;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void)
{
	char command[64];

	kernel_modules_fini(&modules);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(kernel_modules, .init = setup, .fini = teardown);

static const char *in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(in_dir(name), "w");

	cr_assert_not_null(f, "%s", name);
	cr_assert_eq(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

/* An ELF file with two sections: names, and .modinfo with these bytes. */
struct fake_module {
	Elf64_Ehdr head;
	Elf64_Shdr section[3];
	char names[32];
	char info[256];
};

static struct fake_module fake(const char *depends, const char *release)
{
	struct fake_module m = { .names = "\0.shstrtab\0.modinfo" };
	int n;

	memcpy(m.head.e_ident, ELFMAG, SELFMAG);
	m.head.e_ident[EI_CLASS] = ELFCLASS64;
	m.head.e_ident[EI_DATA] = ELFDATA2LSB;
	m.head.e_shoff = offsetof(struct fake_module, section);
	m.head.e_shentsize = sizeof(Elf64_Shdr);
	m.head.e_shnum = 3;
	m.head.e_shstrndx = 1;
	m.section[1] = (Elf64_Shdr){ .sh_name = 1, .sh_type = SHT_STRTAB,
				     .sh_offset = offsetof(struct fake_module, names),
				     .sh_size = sizeof(m.names) };
	n = snprintf(m.info, sizeof(m.info), "license=GPL%cdepends=%s%cvermagic=%s SMP", 0, depends, 0,
		     release);
	m.section[2] = (Elf64_Shdr){ .sh_name = 11, .sh_type = SHT_PROGBITS,
				     .sh_offset = offsetof(struct fake_module, info),
				     .sh_size = (size_t)n + 1 };
	return m;
}

static void write_module(const char *name, const char *depends)
{
	struct fake_module m = fake(depends, "6.1.0");

	write_file(name, &m, sizeof(m));
}

/* The names in the order of loading, with a blank between them. */
static const char *order(void)
{
	static char text[1024];
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < modules.n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
					 modules.module[i].name);
	return text;
}

Test(kernel_modules, what_a_module_needs_comes_before_it)
{
	write_text("modules.dep", "kernel/a.ko: kernel/b.ko kernel/c-d.ko\nkernel/b.ko: kernel/c-d.ko\n"
				  "kernel/c-d.ko:\nkernel/other.ko:\n");
	mkdir(in_dir("kernel"), 0755);
	write_module("kernel/a.ko", "b,c-d");
	write_module("kernel/b.ko", "c-d,core");
	write_module("kernel/c-d.ko", "");
	write_text("modules.builtin", "kernel/core.ko\n");
	cr_assert_eq(kernel_modules_init(&modules, dir, "6.1.0"), 0);
	cr_expect_eq(kernel_modules_need(&modules, "a"), 0, "%s", error_text());
	cr_expect_str_eq(order(), "c_d b a");
	cr_expect_eq(kernel_modules_need(&modules, "c-d"), 0);
	cr_expect_eq(kernel_modules_need(&modules, "core"), 0);
	cr_expect_str_eq(order(), "c_d b a");
}

Test(kernel_modules, a_tree_that_was_built_has_them_in_place)
{
	/* Linux until 6.1 and since 6.2 */
	write_text("modules.order", "kernel/fs/old.ko\nfs/new.o\n");
	mkdir(in_dir("fs"), 0755);
	write_module("fs/old.ko", "");
	write_module("fs/new.ko", "old");
	cr_assert_eq(kernel_modules_init(&modules, dir, NULL), 0);
	cr_expect_eq(kernel_modules_need(&modules, "new"), 0, "%s", error_text());
	cr_expect_str_eq(order(), "old new");
}

Test(kernel_modules, a_packed_one_is_unpacked)
{
	static const char *const tools[] = { "gzip", "xz --check=crc32", "zstd -q --rm" };
	static const char *const endings[] = { "gz", "xz", "zst" };
	struct fake_module m = fake("", "6.1.0");
	char command[512], dep[64];

	for (unsigned i = 0; i < ARRAY_SIZE(tools); i++) {
		snprintf(dep, sizeof(dep), "a.ko.%s:\n", endings[i]);
		write_text("modules.dep", dep);
		write_file("a.ko", &m, sizeof(m));
		snprintf(command, sizeof(command), "%s %s 2>/dev/null", tools[i], in_dir("a.ko"));
		if (system(command) != 0)
			continue;
		cr_assert_eq(kernel_modules_init(&modules, dir, "6.1.0"), 0);
		int r = kernel_modules_need(&modules, "a");
		if (r != -ENOSYS && r != -ENOTSUP) {
			cr_assert_eq(r, 0, "%s: %s", tools[i], error_text());
			cr_expect_eq(modules.module[0].file.len, sizeof(m));
			cr_expect_eq(memcmp(modules.module[0].file.data, &m, sizeof(m)), 0);
		}
		kernel_modules_fini(&modules);
	}
}

Test(kernel_modules, one_of_another_release_is_refused)
{
	write_text("modules.dep", "a.ko:\n");
	write_module("a.ko", "");
	cr_assert_eq(kernel_modules_init(&modules, dir, "6.1.0-rc1"), 0);
	cr_expect_eq(kernel_modules_need(&modules, "a"), -EXDEV);
	cr_expect(strstr(error_text(), "is for Linux 6.1.0, and the kernel is 6.1.0-rc1"), "%s",
		  error_text());
}

Test(kernel_modules, what_is_nowhere_is_told)
{
	write_text("modules.dep", "ab.ko:\n");
	cr_assert_eq(kernel_modules_init(&modules, dir, NULL), 0);
	cr_expect_eq(kernel_modules_need(&modules, "a"), -ENOENT);
	cr_expect_eq(kernel_modules_need(&modules, "ab"), -ENOENT);	/* listed, but gone */
	kernel_modules_fini(&modules);
	unlink(in_dir("modules.dep"));
	cr_expect_eq(kernel_modules_init(&modules, dir, NULL), -ENOENT);
}

Test(kernel_modules, without_a_directory_all_is_built_in)
{
	cr_assert_eq(kernel_modules_init(&modules, NULL, NULL), 0);
	cr_expect_eq(kernel_modules_need(&modules, "virtiofs"), 0);
	cr_expect_eq(modules.n, 0);
}

Test(kernel_modules, those_that_need_each_other_end)
{
	write_text("modules.dep", "a.ko:\nb.ko:\n");
	write_module("a.ko", "b");
	write_module("b.ko", "a");
	cr_assert_eq(kernel_modules_init(&modules, dir, NULL), 0);
	cr_expect_eq(kernel_modules_need(&modules, "a"), -ELOOP);
	cr_expect_eq(modules.n, 0);
}

Test(kernel_modules, garbage_is_no_module)
{
	struct fake_module m;

	write_text("modules.dep", "a.ko:\n");
	cr_assert_eq(kernel_modules_init(&modules, dir, NULL), 0);
	write_text("a.ko", "this is a text and no module");
	cr_expect_eq(kernel_modules_need(&modules, "a"), -ENOEXEC);
	write_text("a.ko", "x");
	cr_expect_eq(kernel_modules_need(&modules, "a"), -ENOEXEC);
	/* Every byte of the head and of the sections' headers set to something else, twice. */
	for (size_t i = EI_DATA + 1; i < offsetof(struct fake_module, names); i++)
		for (unsigned bit = 0; bit < 2; bit++) {
			m = fake("", "6.1.0");
			((uint8_t *)&m)[i] ^= bit ? 0xff : 0x01;
			struct module_file file = { (uint8_t *)&m, sizeof(m) };
			const char *depends = module_file_info(&file, "depends");
			cr_expect(!depends || strlen(depends) < sizeof(m.info));
		}
	m = fake("", "6.1.0");
	m.section[2].sh_size = 24;	/* its last word does not end */
	struct module_file file = { (uint8_t *)&m, sizeof(m) };
	cr_expect_null(module_file_info(&file, "vermagic"));
	m.section[2].sh_offset = UINT64_MAX;
	cr_expect_null(module_file_info(&file, "license"));
}

/* A stock Debian kernel, where the tests of guests have fetched one; modprobe(8) is the judge. */
Test(kernel_modules, a_real_tree_is_read_as_modprobe_reads_it)
{
	static const char *const wanted[] = { "virtio_pci", "virtiofs", "overlay", "ext4",
					      "virtio_console", "vmw_vsock_virtio_transport" };
	char command[768], path[256] = "", line[256], name[64];
	const char *found =
		"cd ${XDG_CACHE_HOME:-$HOME/.cache}/vireo 2>/dev/null && ls -d $PWD/kernel-generic/lib/modules/*";
	FILE *f = popen(found, "r");

	if (!f || !fgets(path, sizeof(path), f))
		path[0] = '\0';
	if (f)
		pclose(f);
	path[strcspn(path, "\n")] = '\0';
	if (!*path || system("PATH=$PATH:/sbin modprobe --version >/dev/null 2>&1") != 0)
		cr_skip("no stock kernel in the cache, or no modprobe");
	const char *release = strrchr(path, '/') + 1;
	for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
		unsigned n = 0;

		cr_assert_eq(kernel_modules_init(&modules, path, release), 0);
		cr_assert_eq(kernel_modules_need(&modules, wanted[i]), 0, "%s", error_text());
		snprintf(command, sizeof(command),
			 "PATH=$PATH:/sbin modprobe --dirname %.*s --set-version %s --ignore-install "
			 "--show-depends %s | sed -n 's,^insmod ,,p' | sort -u",
			 (int)(strstr(path, "/lib/modules/") - path), path, release, wanted[i]);
		f = popen(command, "r");
		while (fgets(line, sizeof(line), f)) {
			line[strcspn(line, " \n")] = '\0';
			cr_assert(module_file_name(line, name, sizeof(name)), "%s", line);
			/* What modprobe takes for a soft dependency's sake is not in ours. */
			n += strstr(order(), name) != NULL;
		}
		pclose(f);
		cr_expect_eq(n, modules.n, "%s: %s", wanted[i], order());
		cr_expect_str_eq(modules.module[modules.n - 1].name, wanted[i]);
		kernel_modules_fini(&modules);
	}
}
