/*
 * Modules of a kernel tree as if they were installed: a directory like /lib/modules/RELEASE that
 * has links into the tree and the indices that modprobe(8) reads.  depmod(8) makes them, which may
 * take seconds; so the directory stays, in the user's cache, until the tree was built anew.
 */
#ifndef EXEC_MODULE_STAGE_H
#define EXEC_MODULE_STAGE_H

#include <limits.h>

#include "vmm/base/util.h"

/*
 * Find or make that of 'tree' (an absolute path) for 'release', below 'cache' (a directory, or
 * NULL: $XDG_CACHE_HOME/vireo or ~/.cache/vireo).  Waits for depmod.
 *
 * Returns 0 and its path in 'dir'; -ENOENT if depmod is not installed or there is no place for a
 * cache, -EIO if it fails, -errno, with an error chain.
 */
MUST_USE int module_stage(char dir[PATH_MAX], const char *tree, const char *release,
			  const char *cache);

#endif
