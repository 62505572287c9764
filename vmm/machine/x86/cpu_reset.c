/* Intel SDM volume 3, 10.1.1 "Processor State After Reset". */
#include "vmm/machine/x86/cpu_reset.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"
#include "vmm/machine/x86/msr.h"

int cpu_power_on_save(struct cpu_power_on *state, int vcpu_fd)
{
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &state->sregs) < 0)
		return error_set(errno, "read a vCPU's registers (KVM_GET_SREGS)");
	if (ioctl(vcpu_fd, KVM_GET_LAPIC, &state->lapic) < 0)
		return error_set(errno, "read a vCPU's local APIC (KVM_GET_LAPIC)");
	return 0;
}

/*
 * A guest that is itself a hypervisor may have left VMX on, and KVM would refuse a CR4 without VMXE
 * then.  On AMD, clearing EFER.SVME is enough.
 */
static void leave_vmx(int vcpu_fd)
{
	struct kvm_nested_state state;

	memset(&state, 0, sizeof(state));
	state.format = KVM_STATE_NESTED_FORMAT_VMX;
	state.size = sizeof(state);
	state.hdr.vmx.vmxon_pa = UINT64_MAX;
	state.hdr.vmx.vmcs12_pa = UINT64_MAX;
	/* If it fails, KVM_SET_SREGS says so. */
	ioctl(vcpu_fd, KVM_SET_NESTED_STATE, &state);
}

static int reset_registers(int vcpu_fd, const struct cpu_power_on *state)
{
	struct kvm_regs regs = { .rip = 0xfff0, .rflags = 0x2, .rdx = 0x600 };
	struct kvm_debugregs debug = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = 1 } } };

	/* FXSAVE area: control word at 0, MXCSR at 24; XSTATE_BV 0 means all else is initial. */
	memset(&xsave, 0, sizeof(xsave));
	store_le16((uint8_t *)xsave.region, 0x37f);
	store_le32((uint8_t *)xsave.region + 24, 0x1f80);

	if (ioctl(vcpu_fd, KVM_SET_SREGS, &state->sregs) < 0)
		return error_set(errno, "reset a vCPU's mode (KVM_SET_SREGS)");
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return error_set(errno, "reset a vCPU's registers (KVM_SET_REGS)");
	if (ioctl(vcpu_fd, KVM_SET_XSAVE, &xsave) < 0)
		return error_set(errno, "reset a vCPU's floating point (KVM_SET_XSAVE)");
	/* Refused (EINVAL) by a host without XSAVE, which then has nothing to reset here. */
	if (ioctl(vcpu_fd, KVM_SET_XCRS, &xcrs) < 0 && errno != EINVAL)
		return error_set(errno, "reset a vCPU's XCR0 (KVM_SET_XCRS)");
	if (ioctl(vcpu_fd, KVM_SET_DEBUGREGS, &debug) < 0)
		return error_set(errno, "reset a vCPU's debug registers (KVM_SET_DEBUGREGS)");
	return 0;
}

static int reset_events(int vcpu_fd, const struct cpu_power_on *state, bool is_boot)
{
	struct kvm_vcpu_events events = {
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
			 KVM_VCPUEVENT_VALID_SHADOW,
	};
	struct kvm_mp_state mp = {
		.mp_state = is_boot ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED,
	};

	if (ioctl(vcpu_fd, KVM_SET_LAPIC, &state->lapic) < 0)
		return error_set(errno, "reset a vCPU's local APIC (KVM_SET_LAPIC)");
	if (ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &events) < 0)
		return error_set(errno, "reset a vCPU's pending events (KVM_SET_VCPU_EVENTS)");
	if (ioctl(vcpu_fd, KVM_SET_MP_STATE, &mp) < 0)
		return error_set(errno, "reset a vCPU's run state (KVM_SET_MP_STATE)");
	return 0;
}

int cpu_reset(int vcpu_fd, const struct cpu_power_on *state, bool is_boot, bool has_vmx)
{
	if (has_vmx)
		leave_vmx(vcpu_fd);

	int r = reset_registers(vcpu_fd, state);
	/* Before the local APIC: the deadline MSR arms its timer. */
	if (r == 0)
		r = msr_reset(vcpu_fd);
	if (r == 0)
		r = reset_events(vcpu_fd, state, is_boot);
	return r;
}
