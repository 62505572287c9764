/* The state of the devices that KVM keeps for us: PIC, IOAPIC, PIT, and the paravirtual clock. */
#ifndef MACHINE_X86_CHIPSET_H
#define MACHINE_X86_CHIPSET_H

#include <linux/kvm.h>

#include "vmm/base/util.h"

struct chipset_state {
	struct kvm_irqchip irqchip[3];	/* PIC, second PIC, IOAPIC */
	struct kvm_pit_state2 pit;
};

/* Remember the state of a VM that has not run.  Returns 0 or -errno with an error chain. */
MUST_USE int chipset_save(struct chipset_state *state, int vm_fd);

/* Put it back, and the clock to 0.  No vCPU runs.  Returns 0 or -errno with an error chain. */
MUST_USE int chipset_restore(const struct chipset_state *state, int vm_fd);

#endif
