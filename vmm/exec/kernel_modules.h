/*
 * The modules of one kernel: those that a guest needs before it can reach its root, in the order in
 * which they are to be loaded, unpacked.  They are found in a directory as depmod(8) leaves it
 * (/lib/modules/RELEASE) or in the tree that a kernel was built in; which others one needs, it says
 * itself.
 */
#ifndef EXEC_KERNEL_MODULES_H
#define EXEC_KERNEL_MODULES_H

#include "vmm/base/util.h"
#include "vmm/exec/module_file.h"

enum { KERNEL_MODULES_MAX = 256 };	/* that one guest can have */

struct kernel_module {
	char *name;
	struct module_file file;
};

struct kernel_modules {
	char *dir;			/* NULL: there is none, all is built in */
	bool is_tree;			/* a build tree, and not what depmod made */
	char *release;			/* that they must be for; NULL: any */
	char *index;			/* modules.dep or modules.order, whole */
	char *builtin;			/* modules.builtin, whole; NULL: none */
	struct kernel_module module[KERNEL_MODULES_MAX];	/* in the order of loading */
	unsigned n;
};

/* Does the kernel tree 'tree' have modules, beside what is built in? */
bool kernel_modules_has_files(const char *tree);

/* Does 'dir' have modules, or say that all are built in? */
bool kernel_modules_are_in(const char *dir);

/*
 * Open 'dir' (copied; NULL: whatever is asked for is built in) for the kernel 'release' (copied;
 * may be NULL).  Returns 0; -ENOENT if there are no modules, -EFBIG, -ENOMEM, -errno, with an error
 * chain; fini is fine then, too.
 */
MUST_USE int kernel_modules_init(struct kernel_modules *modules, const char *dir,
				 const char *release);
void kernel_modules_fini(struct kernel_modules *modules);

/*
 * Append module 'name' with those that it needs, unless they are there or built in.  Returns 0;
 * -ENOENT if the kernel has none of that name (it may be built in all the same where nothing says
 * what is); -EXDEV if the file is for another release; -ELOOP, -E2BIG, or what module_file_read()
 * says, with an error chain.  What had been appended stays.
 */
MUST_USE int kernel_modules_need(struct kernel_modules *modules, const char *name);

#endif
