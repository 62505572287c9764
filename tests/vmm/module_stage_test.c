/* A kernel tree's modules, where modprobe(8) can read them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/exec/module_stage.h"

static char dir[] = "/tmp/vireo-stage-XXXXXX";
static char tree[64], cache[64];

/* A tree with two modules of a stock Debian kernel, where the tests of guests have fetched one. */
static void setup(void)
{
	char command[1024];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(tree, sizeof(tree), "%s/tree", dir);
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	snprintf(command, sizeof(command),
		 "mkdir -p %s/fs/fuse %s && cd ${XDG_CACHE_HOME:-$HOME/.cache}/vireo/kernel-generic/lib/"
		 "modules/*/kernel/fs/fuse 2>/dev/null && cp fuse.ko virtiofs.ko %s/fs/fuse/ && "
		 "printf 'kernel/fs/fuse/fuse.ko\\nkernel/fs/fuse/virtiofs.ko\\n' >%s/modules.order && "
		 ": >%s/modules.builtin && : >%s/modules.builtin.modinfo && "
		 "PATH=$PATH:/sbin depmod --version >/dev/null",
		 tree, cache, tree, tree, tree, tree);
	if (system(command) != 0)
		cr_skip("no stock kernel in the cache, or no depmod");
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(module_stage, .init = setup, .fini = teardown);

static unsigned count_in_cache(void)
{
	char command[256];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "ls %s | wc -l", cache);
	f = popen(command, "r");
	cr_assert_eq(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

Test(module_stage, modprobe_finds_them_with_what_they_need)
{
	char at[PATH_MAX], command[2 * PATH_MAX], answer[1024] = "";
	FILE *f;

	cr_assert_eq(module_stage(at, tree, "6.1.0-test", cache), 0, "%s", error_text());
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/sbin modprobe -d %.*s -S 6.1.0-test --show-depends virtiofs | "
		 "sed 's,.*/,,' | tr -d '\\n'", (int)(strstr(at, "/lib/modules/") - at), at);
	f = popen(command, "r");
	answer[fread(answer, 1, sizeof(answer) - 1, f)] = '\0';
	pclose(f);
	cr_expect_str_eq(answer, "fuse.ko virtiofs.ko ", "%s", answer);
}

Test(module_stage, it_is_made_once_for_each_build)
{
	char first[PATH_MAX], again[PATH_MAX], path[PATH_MAX];

	cr_assert_eq(module_stage(first, tree, "6.1.0-test", cache), 0, "%s", error_text());
	cr_assert_eq(module_stage(again, tree, "6.1.0-test", cache), 0);
	cr_expect_str_eq(first, again);
	cr_expect_eq(count_in_cache(), 1);
	snprintf(path, sizeof(path), "touch -d @1 %s/fs/fuse/fuse.ko", tree);
	cr_assert_eq(system(path), 0);
	cr_assert_eq(module_stage(again, tree, "6.1.0-test", cache), 0);
	cr_expect_str_neq(first, again);
	cr_expect_eq(count_in_cache(), 1);	/* the old one is gone */
	cr_expect_eq(access(again, F_OK), 0);
}

Test(module_stage, what_fails_leaves_nothing)
{
	char at[PATH_MAX];

	cr_expect_eq(module_stage(at, "/nonexistent", "6.1.0-test", cache), -ENOENT);
	cr_expect_eq(module_stage(at, tree, "6.1.0-test/x/y", cache), -ENOENT);
	cr_expect_eq(count_in_cache(), 0);
}
