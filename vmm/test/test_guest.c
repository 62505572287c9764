#include "vmm/test/test_guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/agent/agent_image.h"
#include "vmm/base/error.h"
#include "vmm/exec/exec_initramfs.h"
#include "vmm/exec/exec_options.h"
#include "vmm/exec/exec_kernel.h"
#include "vmm/option.h"

static const char shares[] = "shares";

char *test_guest_kernel(void)
{
	struct exec_kernel *kernel = calloc(1, sizeof(*kernel));
	char *path = NULL;

	if (kernel && exec_kernel_find(kernel, NULL, NULL, NULL) == 0)
		path = strdup(kernel->path);
	error_clear();
	free(kernel);
	return path;
}

/* Which kernel, and what it shall find. */
static int decide(struct test_guest *g, const struct test_case *test)
{
	const struct test_spec *spec = test->spec;
	size_t len;
	int r;

	g->wish = (struct exec_wish){
		.root = spec->root, .copy = spec->copy, .modules = spec->modules,
		.here = spec->folder,
	};
	agent_image(&len);
	if (len == 0) {
		r = error_set(ENOTSUP, "this Vireo was built without the agent");
		error_hint("where musl-tools (or a static C library) is installed, configure "
			   "finds it");
		return r;
	}
	r = exec_kernel_find(&g->kernel, test->vm.kernel, spec->modules, NULL);
	return r == 0 ? exec_guest_init(&g->guest, &g->wish, &g->kernel) : r;
}

/* The case's shares, borrowed, and after them those by which it gets at its root. */
static int add_shares(struct test_guest *g)
{
	struct exec_share wanted[EXEC_MAX_SHARES];
	unsigned n = exec_guest_list_shares(&g->guest, wanted), before = g->made.n_shares;

	g->share = calloc(before + n + 1, sizeof(*g->share));
	if (!g->share)
		return error_set(ENOMEM, "describe the VM");
	g->first_own = g->end_own = before;
	if (before)
		memcpy(g->share, g->made.share, before * sizeof(*g->share));
	for (unsigned i = 0; i < n; i++) {
		struct share_settings *share = &g->share[g->end_own++];

				if (option_set_defaults(shares, share) < 0)
			return error_set(ENOMEM, "describe the VM");
		share->name = strdup(wanted[i].name);
		share->path = strdup(wanted[i].path);
		share->readonly = wanted[i].readonly;
		share->submounts = wanted[i].submounts;
		if (!share->name || !share->path)
			return error_set(ENOMEM, "describe the VM");
	}
	g->made.share = g->share;
	g->made.n_shares = before + n;
	return 0;
}

static int make(struct test_guest *g, const struct test_case *test, const char *dir)
{
	int r = decide(g, test);

	g->made = test->vm;
	if (r == 0)
		r = add_shares(g);
	if (r == 0 && asprintf(&g->initrd, "%s/initrd", dir) < 0) {
		g->initrd = NULL;
		r = error_set(ENOMEM, "describe the VM");
	}
	if (r < 0)
		return r;
	g->made.kernel = g->kernel.path;
	g->made.initrd = g->initrd;
	g->vm = &g->made;
	g->cwd = g->guest.cwd;
	return exec_initramfs_write(&g->guest, &g->made, g->initrd);
}

int test_guest_create(struct test_guest **out, const struct test_case *test, const char *dir)
{
	struct test_guest *g = calloc(1, sizeof(*g));
	int r = g ? 0 : error_set(ENOMEM, "make a guest");

	*out = NULL;
	if (r == 0 && test->spec->is_made)
		r = make(g, test, dir);
	else if (r == 0)
		g->vm = &test->vm;
	if (r < 0)
		test_guest_destroy(g);
	else
		*out = g;
	return r;
}

void test_guest_prepare(const struct test_case *test)
{
	struct test_guest *g;

	if (!test->spec->is_made || !(g = calloc(1, sizeof(*g))))
		return;
	if (decide(g, test) < 0)
		error_clear();
	test_guest_destroy(g);
}

void test_guest_destroy(struct test_guest *g)
{
	if (!g)
		return;
	for (unsigned i = g->first_own; i < g->end_own; i++)
		option_free_all(shares, &g->share[i]);
	free(g->share);
	free(g->initrd);
	free(g);
}
