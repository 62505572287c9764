/* "vireo run --dump-dtb": the device tree that a guest would get, without the guest or KVM. */
#ifndef VMM_DUMP_DTB_H
#define VMM_DUMP_DTB_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/*
 * Write the tree to the file 'path', byte for byte what the guest of 'config' (validated) gets.
 * Its kernel and disks are not looked at.
 *
 * Returns 0; -ENOSYS in a build without libfdt; -errno (about the file), with an error chain.  Main
 * thread.
 */
MUST_USE int dump_dtb(const struct vm_config *config, const char *path);

#endif
