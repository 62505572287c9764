#include "vmm/machine/cpu_look.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/machine/vcpu.h"

/* Intel SDM volume 3, table 12-1 "Local APIC Register Address Map". */
enum {
	APIC_TPR = 0x80,
	APIC_ISR = 0x100,
	APIC_IRR = 0x200,
	APIC_STEP = 0x10,
};

static const char *exit_name(uint32_t reason)
{
	static const char *const names[] = {
		[KVM_EXIT_UNKNOWN] = "none yet",
		[KVM_EXIT_IO] = "port access",
		[KVM_EXIT_MMIO] = "memory access",
		[KVM_EXIT_HLT] = "halt",
		[KVM_EXIT_SHUTDOWN] = "triple fault",
		[KVM_EXIT_FAIL_ENTRY] = "failed entry",
		[KVM_EXIT_INTR] = "interrupted by Vireo",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "interrupts on",
		[KVM_EXIT_INTERNAL_ERROR] = "KVM internal error",
		[KVM_EXIT_SYSTEM_EVENT] = "system event",
	};

	return reason < ARRAY_SIZE(names) && names[reason] ? names[reason] : "another one";
}

static enum cpu_doing doing(const struct kvm_mp_state *mp)
{
	switch (mp->mp_state) {
	case KVM_MP_STATE_HALTED:
		return CPU_HALTED;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_SIPI_RECEIVED:
		return CPU_NOT_STARTED;
	default:
		return CPU_RUNNING;
	}
}

static void take_registers(struct cpu_look *out, const struct kvm_regs *r)
{
	const uint64_t reg[CPU_REGS] = {
		r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
		r->r8,	r->r9,	r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
	};

	memcpy(out->reg, reg, sizeof(reg));
	out->rip = r->rip;
	out->rflags = r->rflags;
}

static void take_system(struct cpu_look *out, const struct kvm_sregs *s)
{
	const struct kvm_segment *const segment[CPU_SEGMENTS] = {
		[SEG_CS] = &s->cs, [SEG_SS] = &s->ss, [SEG_DS] = &s->ds,
		[SEG_ES] = &s->es, [SEG_FS] = &s->fs, [SEG_GS] = &s->gs,
	};

	for (unsigned i = 0; i < CPU_SEGMENTS; i++) {
		out->segment[i].selector = segment[i]->selector;
		out->segment[i].base = segment[i]->base;
		out->segment[i].limit = segment[i]->limit;
	}
	out->cr0 = s->cr0;
	out->cr2 = s->cr2;
	out->cr3 = s->cr3;
	out->cr4 = s->cr4;
	out->efer = s->efer;
	out->gdt_base = s->gdt.base;
	out->gdt_limit = s->gdt.limit;
	out->idt_base = s->idt.base;
	out->idt_limit = s->idt.limit;
	out->bits = s->cs.l ? 64 : s->cs.db ? 32 : 16;
	out->privilege = s->ss.dpl;
}

static uint32_t apic_word(const struct kvm_lapic_state *apic, unsigned offset)
{
	uint32_t value;

	memcpy(&value, apic->regs + offset, sizeof(value));
	return value;
}

static void take_interrupts(struct cpu_look *out, int fd)
{
	struct kvm_vcpu_events events;
	struct kvm_lapic_state apic;

	out->injected = -1;
	if (ioctl(fd, KVM_GET_LAPIC, &apic) == 0) {
		out->task_priority = apic_word(&apic, APIC_TPR);
		for (unsigned i = 0; i < 8; i++) {
			out->isr[i] = apic_word(&apic, APIC_ISR + i * APIC_STEP);
			out->irr[i] = apic_word(&apic, APIC_IRR + i * APIC_STEP);
		}
	}
	if (ioctl(fd, KVM_GET_VCPU_EVENTS, &events) == 0) {
		out->nmi_pending = events.nmi.pending || events.nmi.injected;
		out->nmi_masked = events.nmi.masked;
		if (events.interrupt.injected)
			out->injected = events.interrupt.nr;
	}
}

void machine_look_at_cpu(struct machine *m, unsigned index, struct cpu_look *out)
{
	const struct vcpu *vcpu = m->vcpu[index];
	struct kvm_mp_state mp;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	*out = (struct cpu_look){ .index = index, .doing = CPU_INSIDE };
	/* KVM lets nobody look while it runs: one would wait. */
	if (vcpu->has_thread && !atomic_load(&vcpu->at_gate))
		return;
	out->doing = CPU_UNKNOWN;
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return;
	out->doing = doing(&mp);
	take_registers(out, &regs);
	take_system(out, &sregs);
	take_interrupts(out, vcpu->fd);
	out->exit_reason = exit_name(vcpu->run->exit_reason);
}

void machine_look_at_irqs(struct machine *m, struct irq_look *out)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	*out = (struct irq_look){ 0 };
	if (ioctl(m->vm_fd, KVM_GET_IRQCHIP, &chip) < 0)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(out->pin_vector); i++) {
		out->pin_vector[i] = chip.chip.ioapic.redirtbl[i].fields.vector;
		out->pin_masked |= (uint32_t)chip.chip.ioapic.redirtbl[i].fields.mask << i;
	}
	out->pin_pending = chip.chip.ioapic.irr;
	for (unsigned i = 0; i < 2; i++) {
		chip = (struct kvm_irqchip){ .chip_id = i ? KVM_IRQCHIP_PIC_SLAVE
							  : KVM_IRQCHIP_PIC_MASTER };
		if (ioctl(m->vm_fd, KVM_GET_IRQCHIP, &chip) < 0)
			return;
		out->pic[i].irr = chip.chip.pic.irr;
		out->pic[i].isr = chip.chip.pic.isr;
		out->pic[i].mask = chip.chip.pic.imr;
	}
	out->valid = true;
}
