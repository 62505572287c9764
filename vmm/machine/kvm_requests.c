#include "vmm/machine/kvm_requests.h"

#include <linux/kvm.h>

const unsigned long kvm_requests_running[] = {
	KVM_RUN,
	/* Interrupts and doorbells follow what the guest programs. */
	KVM_IRQ_LINE, KVM_IRQFD, KVM_IOEVENTFD, KVM_SET_GSI_ROUTING,
	/* Somebody pressed a button: NMI, or let the guest go on after a pause. */
	KVM_NMI, KVM_KVMCLOCK_CTRL,
	/* Has a vCPU halted for good?  Where is it? */
	KVM_GET_MP_STATE, KVM_GET_REGS, KVM_GET_SREGS, KVM_GET_VCPU_EVENTS,
	/* Somebody wants a report: which interrupts wait? */
	KVM_GET_LAPIC, KVM_GET_IRQCHIP,
	/* A system reset puts the vCPUs back to power-on state ... */
	KVM_SET_REGS, KVM_SET_SREGS, KVM_SET_XSAVE, KVM_SET_XCRS, KVM_SET_MSRS, KVM_SET_DEBUGREGS,
	KVM_SET_LAPIC, KVM_SET_VCPU_EVENTS, KVM_SET_MP_STATE, KVM_SET_NESTED_STATE,
	/* ... and the chips and the clock. */
	KVM_SET_IRQCHIP, KVM_SET_PIT2, KVM_SET_CLOCK,
};
const unsigned kvm_requests_running_len = ARRAY_SIZE(kvm_requests_running);
