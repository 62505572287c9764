/*
 * What was counted in a VM since it was made: at every queue, and of every vCPU.  For reading only;
 * nothing here keeps a queue or a vCPU waiting.  All calls: main thread, machine lock not held.
 */
#ifndef VMM_VM_COUNTERS_H
#define VMM_VM_COUNTERS_H

#include "vmm/machine/layout.h"
#include "vmm/machine/vcpu_stats.h"
#include "vmm/vm_control.h"

/*
 * The queues of all devices.  Returns 0 and an array (to be freed) of '*n'; -EAGAIN as in
 * vm_control.h, -ENOMEM, with an error chain.
 */
MUST_USE int vm_all_queues(struct vm *vm, struct vm_queue **out, unsigned *n);

/* Of each vCPU; returns how many there are, 0 where nothing runs. */
unsigned vm_vcpu_counters(struct vm *vm, struct vcpu_counters out[LAYOUT_MAX_VCPUS]);

#endif
