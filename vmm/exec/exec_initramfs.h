/*
 * The initramfs of "vireo exec", made for one run: the agent, its orders, and the modules that it
 * needs to get at the root.
 */
#ifndef EXEC_EXEC_INITRAMFS_H
#define EXEC_EXEC_INITRAMFS_H

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/exec/exec_guest.h"

/*
 * Write the initramfs for 'config' (for the devices that it has) to 'path'.  Returns 0, or -errno
 * with an error chain; what was written may then be there.
 */
MUST_USE int exec_initramfs_write(const struct exec_guest *guest, const struct vm_config *config,
				  const char *path);

#endif
