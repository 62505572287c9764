/*
 * Opening KVM, and making of it a VM with memory, interrupt controllers and timer.  Each way in
 * which that can fail on somebody's computer has its own sentence and its own hint.
 */
#ifndef MACHINE_KVM_H
#define MACHINE_KVM_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

/*
 * Open the KVM node at 'path' and check its API version and that it can do all that Vireo needs.
 *
 * Returns 0 and an owned fd in '*out'; or FD_NONE there and with an error chain and a hint:
 * -ENOENT, -EACCES, -EPERM, -ENODEV (the node cannot be used), -ENOTTY (it is not KVM),
 * -EOPNOTSUPP (something is missing; the sentence names it).
 */
MUST_USE int kvm_open(const char *path, int *out);

/*
 * Create a VM: no memory, no interrupt controllers, no processors yet.
 *
 * Returns 0 and an owned fd in '*out', or -errno with an error chain; -EBUSY when another
 * hypervisor holds the processor.
 */
MUST_USE int kvm_create_vm(int kvm_fd, int *out);

/*
 * Give the VM all regions of 'mem', which must outlive it.  Best done before kvm_create_irqchip:
 * KVM waits for readers of its memory table, and once devices are on its buses that takes
 * milliseconds.  Returns 0 or -errno with an error chain.
 */
MUST_USE int kvm_add_memory(int vm_fd, const struct guest_memory *mem);

/*
 * Create the in-kernel PIC, IOAPIC and local APICs, which vCPUs find when they are created / the
 * PIT. Return 0 or -errno with an error chain.
 */
MUST_USE int kvm_create_irqchip(int vm_fd);
MUST_USE int kvm_create_pit(int vm_fd);

/* What KVM_CHECK_EXTENSION says of 'cap' (a KVM_CAP_ number): 0 when it is missing. */
int kvm_capability(int fd, unsigned cap);

#endif
