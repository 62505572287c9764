/*
 * The registers with which the boot processor enters a kernel, and the tables in memory that they
 * point to.  Linux Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"; Xen PVH boot ABI
 * (misc/pvh.pandoc); Multiboot Specification 0.6.96, 3.2 "Machine state".
 */
#ifndef MACHINE_X86_CPU_STATE_H
#define MACHINE_X86_CPU_STATE_H

#include <linux/kvm.h>

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"
#include "vmm/machine/machine.h"

/*
 * Write the flat GDT and, for 64-bit mode, page tables that map the first 4 GiB to themselves.
 * Returns 0; -ENOMEM with an error chain when there is no RAM where the layout wants them.
 */
MUST_USE int cpu_state_write_tables(const struct guest_memory *mem, enum boot_mode mode);

/* Change power-on 'sregs' into those of a kernel's entry in 'mode'. */
void cpu_state_set_mode(struct kvm_sregs *sregs, enum boot_mode mode);

/* Set the vCPU to 'entry', starting from its power-on 'sregs'.  0 or -errno with an error chain. */
MUST_USE int cpu_state_apply(int vcpu_fd, const struct kvm_sregs *power_on,
			     const struct boot_entry *entry);

#endif
