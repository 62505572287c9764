/*
 * What of this host would keep a VM from running: files, devices, KVM, memory.  Looks only: nothing
 * is started, locked, created or written.
 */
#ifndef VMM_HOST_CHECK_H
#define VMM_HOST_CHECK_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/*
 * Note everything that is found, with the place of the setting that it concerns, in the order in
 * which 'vireo run' would fail of it; what would not fail, but is likely a mistake, goes to
 * 'warnings'.  'config' is validated, and has a kernel.  Main thread.
 */
void host_check(const struct vm_config *config, struct mistakes *mistakes,
		struct mistakes *warnings);

#endif
