/*
 * What a vCPU's exits mean: register accesses go to the buses under the machine lock, everything
 * else ends the guest's run in one of the outcomes.  Linux Documentation/virt/kvm/api.rst,
 * section 5.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/event_log.h"
#include "vmm/base/le.h"
#include "vmm/machine/vcpu.h"

#ifndef KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON
#define KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON 4
#endif

static void handle_pio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	struct bus *pio = &vcpu->machine->pio;

	/* One exit can be a whole string instruction, to the one port. */
	machine_lock(vcpu->machine);
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(pio, run->io.port, run->io.size, load_le(data, run->io.size));
		else
			store_le(data, run->io.size, bus_read(pio, run->io.port, run->io.size));
	}
	machine_unlock(vcpu->machine);
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	unsigned len = (unsigned)min_u64(run->mmio.len, sizeof(run->mmio.data));
	struct bus *mmio = &vcpu->machine->mmio;

	/* An odd length (an access that crosses a page) reaches nobody, and reads as all ones. */
	machine_lock(vcpu->machine);
	if (run->mmio.is_write) {
		bus_write(mmio, run->mmio.phys_addr, len, load_le(run->mmio.data, len));
	} else {
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		store_le(run->mmio.data, len, bus_read(mmio, run->mmio.phys_addr, len));
	}
	machine_unlock(vcpu->machine);
}

/* Where the vCPU is, for people; "?" if KVM does not tell. */
static const char *where(const struct vcpu *vcpu, char buf[24])
{
	struct kvm_regs regs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0)
		return "?";
	snprintf(buf, 24, "0x%llx", (unsigned long long)regs.rip);
	return buf;
}

static void crash(struct vcpu *vcpu, const char *what)
{
	char detail[sizeof(vcpu->machine->detail)], rip[24];

	snprintf(detail, sizeof(detail), "vcpu%u at RIP %s: %s", vcpu->index, where(vcpu, rip),
		 what);
	machine_report(vcpu->machine, MACHINE_CRASH, 0, detail);
}

/* " (bytes 0f 01 d9)", when KVM says which instruction it could not emulate. */
static void format_instruction(const struct kvm_run *run, char *buf, size_t size)
{
	const uint8_t *bytes = run->emulation_failure.insn_bytes;
	unsigned n = run->emulation_failure.insn_size;
	size_t len;

	buf[0] = '\0';
	if (run->emulation_failure.ndata < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	len = (size_t)snprintf(buf, size, " (bytes");
	for (unsigned i = 0; i < n && i < sizeof(run->emulation_failure.insn_bytes); i++)
		len += (size_t)snprintf(buf + len, size - len, " %02x", bytes[i]);
	snprintf(buf + len, size - len, ")");
}

static void handle_internal_error(struct vcpu *vcpu)
{
	char what[120], instruction[64] = "";
	const char *name = "unknown kind";

	switch (vcpu->run->internal.suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		name = "instruction that KVM cannot emulate";
		format_instruction(vcpu->run, instruction, sizeof(instruction));
		break;
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		name = "two exceptions at once";
		break;
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		name = "exit while an event was being delivered";
		break;
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		name = "unexpected hardware exit";
		break;
	default:
		break;
	}
	snprintf(what, sizeof(what), "KVM internal error %u: %s%s", vcpu->run->internal.suberror,
		 name, instruction);
	crash(vcpu, what);
}

static void handle_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		machine_report(vcpu->machine, MACHINE_POWEROFF, 0, NULL);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		machine_report(vcpu->machine, MACHINE_REBOOT, 0, NULL);
		break;
	default:
		machine_report(vcpu->machine, MACHINE_PANIC, 0, NULL);
		break;
	}
}

void vcpu_handle_exit(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	char what[100];

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_pio(vcpu);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		machine_report(vcpu->machine, MACHINE_TRIPLE_FAULT, 0, NULL);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(vcpu);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		handle_internal_error(vcpu);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what), "the processor refused the entry, reason 0x%llx",
			 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		crash(vcpu, what);
		break;
	default:
		/* HLT among them: with local APICs in the kernel it never comes here. */
		snprintf(what, sizeof(what), "KVM exit %u, which nobody asked for",
			 run->exit_reason);
		crash(vcpu, what);
		break;
	}
}

void vcpu_run_failed(struct vcpu *vcpu, int err)
{
	char what[100];

	snprintf(what, sizeof(what), "KVM_RUN: %s (%s)%s", strerror(err), strerrorname_np(err),
		 err == EFAULT ? "; the host could not provide a page of guest memory" : "");
	crash(vcpu, what);
}
