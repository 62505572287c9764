/* The kernel command line that the guest gets: the user's, or a default that fits the devices. */
#ifndef VMM_GUEST_CMDLINE_H
#define VMM_GUEST_CMDLINE_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/*
 * Build it.  'n_mmio' virtio-mmio devices are announced when the guest shall learn of them here.
 *
 * Returns 0 and an owned string, or -ENOMEM with an error chain.
 */
MUST_USE int guest_cmdline_build(char **out, const struct vm_config *config, unsigned n_mmio);

/*
 * Does this command line make Linux leave a mark (a "warm" reset in the BIOS data area) when it
 * resets because of a panic?  The default one does: a kernel without a pvpanic driver can then
 * still be told from one that reboots.
 */
bool guest_cmdline_marks_panic(const char *cmdline);

#endif
