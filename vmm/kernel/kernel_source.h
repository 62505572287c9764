/*
 * Where the configuration of a kernel is: in a file of kconfig, as it is or packed
 * (/proc/config.gz), in the kernel itself (CONFIG_IKCONFIG), in its module "configs.ko", or beside
 * a kernel that has none inside, as distributions do it.
 */
#ifndef KERNEL_KERNEL_SOURCE_H
#define KERNEL_KERNEL_SOURCE_H

#include <limits.h>

#include "vmm/base/util.h"
#include "vmm/kernel/kernel_config.h"

/* What is looked at of a file, and what it may unpack to. */
#define KERNEL_SOURCE_MAX GIB(1)

/* Zeroed is empty. */
struct kernel_source {
	struct kernel_config config;
	char path[PATH_MAX];		/* the file that has it */
	bool is_inside;			/* and that is a kernel */
};

/* Where distributions have them.  NULL: "/boot", "/lib/modules"; tests have their own. */
struct kernel_places {
	const char *boot, *modules;
};

/*
 * Read the configuration of the kernel 'path', or that which this file is, into 'source'.  For a
 * kernel that has none inside: config-RELEASE beside it or in 'boot', config in RELEASE of
 * 'modules', .config of the tree in which it was built.
 *
 * Returns 0; -ENOEXEC (neither a kernel nor a configuration), -ENODATA (a kernel without one),
 * -EBADMSG (damaged), -ENOSYS (this build cannot unpack it), -errno of open(2), with an error chain
 * and what to do.
 */
MUST_USE int kernel_source_read(struct kernel_source *source, const char *path,
				const struct kernel_places *places);
void kernel_source_fini(struct kernel_source *source);

#endif
