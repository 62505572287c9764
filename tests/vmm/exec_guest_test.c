/* Which kernel, what the guest sees of the host, and the orders for it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/exec/exec_guest.h"
#include "vmm/exec/exec_initramfs.h"
#include "vmm/exec/exec_kernel.h"
#include "vmm/exec/exec_options.h"

static char dir[] = "/tmp/vireo-exec-test-XXXXXX";
static struct exec_kernel kernel;
static struct exec_options options;
static struct exec_guest guest;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	options = (struct exec_options){ .wish.root = "/" };
}

static void teardown(void)
{
	char command[64];

	exec_options_fini(&options);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(exec_kernel, .init = setup, .fini = teardown);
TestSuite(exec_guest, .init = setup, .fini = teardown);

static const char *in_dir(const char *name)
{
	static char path[8][PATH_MAX];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, PATH_MAX, "%s/%s", dir, name);
	return p;
}

static void make(const char *name, const void *data, size_t len)
{
	char command[2 * PATH_MAX];
	FILE *f;

	snprintf(command, sizeof(command), "mkdir -p $(dirname %s)", in_dir(name));
	cr_assert_eq(system(command), 0);
	f = fopen(in_dir(name), "w");
	cr_assert_not_null(f, "%s", name);
	cr_assert_eq(fwrite(data, 1, len, f), len);
	fclose(f);
}

/*
 * A bzImage with nothing but a header that says which release it is.  boot.rst, "The Real-Mode
 * Kernel Header"
 */
static void make_kernel(const char *name, const char *release)
{
	static uint8_t image[8192];

	memset(image, 0, sizeof(image));
	image[0x1f1] = 1;				/* setup_sects */
	memcpy(image + 0x1fe, "\x55\xaa", 2);
	memcpy(image + 0x202, "HdrS\x0f\x02", 6);
	memcpy(image + 0x202 - 2, "\xeb\x6a", 2);	/* jump: how long the header is */
	memcpy(image + 0x20e, "\x00\x01", 2);		/* kernel_version - 512 */
	image[0x211] = 1;				/* LOADED_HIGH */
	memcpy(image + 0x206, "\x0f\x02", 2);
	memcpy(image + 0x202, "HdrS", 4);
	image[0x236] = 1;				/* XLF_KERNEL_64 */
	image[0x1f4] = 0x80;				/* syssize */
	image[0x230] = 0;
	memcpy(image + 0x238, "\xff\x07\0\0", 4);	/* cmdline_size */
	image[0x262] = 1;				/* init_size */
	snprintf((char *)image + 0x300, 100, "%s (me@here) #1", release);
	make(name, image, sizeof(image));
}

static int find(const char *wanted, const char *modules)
{
	const struct exec_places places = { in_dir("boot"), in_dir("lib/modules"), "6.1.0-18-amd64" };

	return exec_kernel_find(&kernel, wanted, modules, &places);
}

Test(exec_kernel, the_one_that_runs_is_taken_with_its_modules)
{
	make_kernel("boot/vmlinuz-6.1.0-18-amd64", "6.1.0-18-amd64");
	make_kernel("boot/vmlinuz-6.9.0", "6.9.0");
	make("lib/modules/6.1.0-18-amd64/modules.dep", "", 0);
	cr_assert_eq(find(NULL, NULL), 0, "%s", error_text());
	cr_expect_str_eq(kernel.path, in_dir("boot/vmlinuz-6.1.0-18-amd64"));
	cr_expect_str_eq(kernel.release, "6.1.0-18-amd64");
	cr_expect_str_eq(kernel.modules, in_dir("lib/modules/6.1.0-18-amd64"));
	cr_expect_not(kernel.is_tree);
}

Test(exec_kernel, else_the_newest_by_its_number)
{
	make_kernel("boot/vmlinuz-6.10.1", "6.10.1");
	make_kernel("boot/vmlinuz-6.9.12", "6.9.12");
	make_kernel("boot/vmlinuz-6.2.0", "6.2.0");
	cr_assert_eq(find(NULL, NULL), 0, "%s", error_text());
	cr_expect_str_eq(kernel.release, "6.10.1");
	cr_expect_str_eq(kernel.modules, "");
}

Test(exec_kernel, none_at_all_is_an_honest_error)
{
	cr_expect_eq(find(NULL, NULL), -ENOENT);
	cr_expect(strstr(error_text(), "vmlinuz-6.1.0-18-amd64"), "%s", error_text());
	cr_expect_eq(find(in_dir("gone"), NULL), -ENOENT);
}

Test(exec_kernel, what_is_no_kernel_is_refused)
{
	make("text", "hello", 5);
	cr_expect_eq(find(in_dir("text"), NULL), -ENOEXEC);
}

Test(exec_kernel, a_kernel_in_its_tree_has_the_trees_modules)
{
	make_kernel("tree/arch/x86/boot/bzImage", "6.8.0-rc1+");
	make("tree/include/config/kernel.release", "6.8.0-rc1+\n", 11);
	make("tree/modules.order", "", 0);
	make("lib/modules/6.8.0-rc1+/modules.dep", "", 0);
	cr_assert_eq(find(in_dir("tree/arch/x86/boot/bzImage"), NULL), 0, "%s", error_text());
	cr_expect(kernel.is_tree);
	cr_expect_str_eq(kernel.modules, in_dir("tree"));
	/* Of a tree that was built anew since, nothing fits. */
	make("tree/include/config/kernel.release", "6.8.0-rc2\n", 10);
	cr_assert_eq(find(in_dir("tree/arch/x86/boot/bzImage"), NULL), 0);
	cr_expect_not(kernel.is_tree);
	cr_expect_str_eq(kernel.modules, in_dir("lib/modules/6.8.0-rc1+"));
	cr_assert_eq(find(in_dir("tree/arch/x86/boot/bzImage"), in_dir("tree")), 0);
	cr_expect_str_eq(kernel.modules, in_dir("tree"));
	cr_expect_eq(find(in_dir("tree/arch/x86/boot/bzImage"), in_dir("boot")), -ENOENT);
}

Test(exec_kernel, modules_may_lie_beside_it)
{
	make_kernel("kernel/vmlinuz", "6.1.0");
	make("kernel/lib/modules/6.1.0/modules.dep", "", 0);
	make("lib/modules/6.1.0/modules.dep", "", 0);
	cr_assert_eq(find(in_dir("kernel/vmlinuz"), NULL), 0);
	cr_expect_str_eq(kernel.modules, in_dir("kernel/lib/modules/6.1.0"));
}

Test(exec_kernel, a_release_that_leads_elsewhere_is_none)
{
	static const char *const releases[] = { "../../etc", "a/b", "a\nroot /", ".", "x\033[2J" };

	for (unsigned i = 0; i < ARRAY_SIZE(releases); i++) {
		make_kernel("kernel/vmlinuz", releases[i]);
		cr_assert_eq(find(in_dir("kernel/vmlinuz"), NULL), 0);
		cr_expect_neq(*kernel.release, '.');
		cr_expect_eq(strcspn(kernel.release, "/ \n\033"), strlen(kernel.release));
	}
}

/* --- The guest ------------------------------------------------------------------------------- */

static const char *orders(void)
{
	static char text[4096];
	char *own;

	cr_assert_eq(exec_guest_init(&guest, &options.wish, &kernel), 0, "%s", error_text());
	own = exec_guest_orders(&guest);
	cr_assert_not_null(own);
	snprintf(text, sizeof(text), "%s", own);
	free(own);
	return text;
}

Test(exec_guest, the_hosts_root_lies_below_a_layer_that_is_thrown_away)
{
	options.wish.cwd = "/usr";
	cr_expect_str_eq(orders(), "?hostname vireo\nmount virtiofs root /lower ro\n"
				   "overlay /lower /new\nroot /new\n");
	cr_expect_str_eq(guest.cwd, "/usr");
}

Test(exec_guest, writable_directories_come_outer_ones_first)
{
	cr_assert_eq(exec_list_add(&options.wish.writable, "/home/me/a b"), 0);
	cr_assert_eq(exec_list_add(&options.wish.writable, "/home"), 0);
	options.wish.cwd = "/";
	const char *text = strstr(orders(), "root /new\n");
	cr_assert_not_null(text);
	cr_expect_str_eq(text, "root /new\nmount virtiofs rw1 /home\n"
			       "mount virtiofs rw0 /home/me/a\\040b\n");
}

Test(exec_guest, a_directory_that_the_guest_has_its_own_of_is_there_all_the_same)
{
	char expected[512];

	options.wish.cwd = dir;	/* below /tmp */
	snprintf(expected, sizeof(expected), "root /new\nmount virtiofs root /run/vireo/host ro\n"
					     "overlay /run/vireo/host%s %s\n", dir, dir);
	const char *text = strstr(orders(), "root /new\n");
	cr_expect_str_eq(text, expected);
}

Test(exec_guest, without_a_root_there_is_only_the_initramfs)
{
	options.wish.root = NULL;
	cr_expect_str_eq(orders(), "?hostname vireo\n");
	cr_expect_str_eq(guest.cwd, "/");
}

Test(exec_guest, modules_from_elsewhere_get_to_where_modprobe_looks)
{
	options.wish.cwd = "/";
	snprintf(kernel.release, sizeof(kernel.release), "6.1.0-test");
	snprintf(kernel.modules, sizeof(kernel.modules), "%s", dir);
	cr_expect(strstr(orders(), "mount virtiofs modules /new/usr/lib/modules/6.1.0-test ro\nroot"),
		  "%s", orders());
	kernel.is_tree = true;
	cr_expect_not(strstr(orders(), "modules"));
}

Test(exec_guest, its_shares_are_options_of_the_machine)
{
	struct text_list list = { 0 };
	char text[512] = "";

	cr_assert_eq(exec_list_add(&options.wish.writable, "/a,b"), 0);
	options.wish.cwd = "/";
	orders();
	cr_assert_eq(exec_guest_shares(&guest, &list), 0);
	for (unsigned i = 0; i < list.n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", list.item[i]);
	cr_expect_str_eq(text, "--share path=/,name=root,readonly,submounts=no --share path=/a,,b,name=rw0 ");
	exec_list_free(&list);
}

Test(exec_guest, the_initramfs_has_the_agent_its_orders_and_what_was_copied)
{
	struct vm_config config;
	char command[1024], answer[1024] = "", text[PATH_MAX + 16];
	FILE *f;

	if (system("cpio --version >/dev/null 2>&1") != 0)
		cr_skip("cpio is not installed");
	cr_assert_eq(config_init(&config), 0);
	options.wish.root = NULL;
	make("tool", "#!", 2);
	snprintf(text, sizeof(text), "%s=bin/it", in_dir("tool"));
	cr_assert_eq(exec_list_add(&options.wish.copy, text), 0);
	cr_assert_eq(exec_guest_init(&guest, &options.wish, &kernel), 0);
	cr_assert_eq(exec_initramfs_write(&guest, &config, in_dir("initrd")), 0, "%s", error_text());
	snprintf(command, sizeof(command), "cpio -it --quiet <%s | sort | tr '\\n' ' '; "
					   "cpio -i --quiet --to-stdout vireo/boot bin/it <%s",
		 in_dir("initrd"), in_dir("initrd"));
	f = popen(command, "r");
	answer[fread(answer, 1, sizeof(answer) - 1, f)] = '\0';
	pclose(f);
	cr_expect_str_eq(answer, "bin bin/it dev dev/console init vireo vireo/boot vireo/modules "
				 "?hostname vireo\n#!", "%s", answer);
	snprintf(kernel.path, sizeof(kernel.path), "vmlinuz");
	snprintf(kernel.modules, sizeof(kernel.modules), "%s", in_dir("m"));
	make("m/modules.dep", "", 0);
	cr_expect_eq(exec_initramfs_write(&guest, &config, in_dir("initrd")), -ENOENT);
	config_fini(&config);
}
