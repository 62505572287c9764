#include "vmm/machine/x86/chipset.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "vmm/base/error.h"

_Static_assert(KVM_IRQCHIP_PIC_MASTER == 0 && KVM_IRQCHIP_PIC_SLAVE == 1 && KVM_IRQCHIP_IOAPIC == 2,
	       "chip ids are indices");

int chipset_save(struct chipset_state *state, int vm_fd)
{
	for (unsigned i = 0; i < ARRAY_SIZE(state->irqchip); i++) {
		state->irqchip[i].chip_id = i;
		if (ioctl(vm_fd, KVM_GET_IRQCHIP, &state->irqchip[i]) < 0)
			return error_set(errno, "read interrupt chip %u (KVM_GET_IRQCHIP)", i);
	}
	if (ioctl(vm_fd, KVM_GET_PIT2, &state->pit) < 0)
		return error_set(errno, "read the interval timer (KVM_GET_PIT2)");
	return 0;
}

int chipset_restore(const struct chipset_state *state, int vm_fd)
{
	struct kvm_clock_data clock = { .clock = 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(state->irqchip); i++)
		if (ioctl(vm_fd, KVM_SET_IRQCHIP, &state->irqchip[i]) < 0)
			return error_set(errno, "reset interrupt chip %u (KVM_SET_IRQCHIP)", i);
	if (ioctl(vm_fd, KVM_SET_PIT2, &state->pit) < 0)
		return error_set(errno, "reset the interval timer (KVM_SET_PIT2)");
	if (ioctl(vm_fd, KVM_SET_CLOCK, &clock) < 0)
		return error_set(errno, "reset the clock (KVM_SET_CLOCK)");
	return 0;
}
