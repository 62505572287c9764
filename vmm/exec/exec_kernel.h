/* Which kernel a guest of "vireo exec" boots, and where the modules of that kernel are. */
#ifndef EXEC_EXEC_KERNEL_H
#define EXEC_EXEC_KERNEL_H

#include <limits.h>

#include "vmm/base/util.h"

struct exec_kernel {
	char path[PATH_MAX];
	char release[128];		/* "6.1.0-18-amd64"; "": the file does not tell */
	char modules[PATH_MAX];		/* ""; none were found: all is built in, perhaps */
	bool is_tree;			/* that is the tree in which it was built */
};

/* Where things are; tests have a place of their own.  NULL: "/boot", "/lib/modules", uname(2). */
struct exec_places {
	const char *boot, *modules, *running;
};

/*
 * Choose: 'wanted' if it is not NULL; else the kernel that this host runs, as its distribution has
 * it in /boot; else the newest there.  Modules are in 'modules' if that is not NULL (a directory of
 * depmod's, or a kernel tree); else in the tree that the kernel lies in, in lib/modules/RELEASE
 * beside it, or in /lib/modules/RELEASE.
 *
 * Returns 0; -ENOENT if there is no kernel or no such file, -ENOEXEC, -errno, with an error chain
 * and what to do.
 */
MUST_USE int exec_kernel_find(struct exec_kernel *kernel, const char *wanted, const char *modules,
			      const struct exec_places *places);

/* The tree in which it was built: looked for from its place upwards.  False: there is none. */
bool exec_kernel_tree(const struct exec_kernel *kernel, char dir[PATH_MAX]);

#endif
