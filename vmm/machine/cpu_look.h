/*
 * What a virtual processor and the interrupt controllers are at: copies for reports and dumps,
 * which know nothing of KVM.
 */
#ifndef MACHINE_CPU_LOOK_H
#define MACHINE_CPU_LOOK_H

#include "vmm/base/util.h"
#include "vmm/machine/machine.h"

/* In the order of their numbers in instructions. */
enum { CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI, CPU_REGS = 16 };
enum cpu_segment { SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, CPU_SEGMENTS };

enum cpu_doing {
	CPU_UNKNOWN,		/* KVM does not tell; nothing else is valid */
	CPU_INSIDE,		/* it did not come out of the guest; likewise */
	CPU_RUNNING,
	CPU_HALTED,
	CPU_NOT_STARTED,	/* it waits for INIT or SIPI */
};

struct cpu_look {
	unsigned index;
	enum cpu_doing doing;
	uint64_t reg[CPU_REGS], rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, efer, gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
	struct {
		uint16_t selector;
		uint64_t base;
		uint32_t limit;
	} segment[CPU_SEGMENTS];
	unsigned bits;			/* of its code: 64, 32, 16 */
	unsigned privilege;		/* 0 is the kernel's */
	/* Its local APIC: sets of vectors that wait / are being served. */
	uint32_t irr[8], isr[8];
	uint32_t task_priority;
	bool nmi_pending, nmi_masked;
	int injected;			/* the vector that KVM is about to deliver, or -1 */
	const char *exit_reason;	/* of the last exit that Vireo served; keeps */
};

/* Copy vCPU 'index'; caught (machine_catch) or paused.  Main thread. */
void machine_look_at_cpu(struct machine *m, unsigned index, struct cpu_look *out);

struct irq_look {
	bool valid;
	struct {
		uint8_t irr, isr, mask;	/* a bit for each input */
	} pic[2];
	/* The IOAPIC's inputs that wait / are masked. */
	uint32_t pin_pending, pin_masked;
	uint8_t pin_vector[24];
};

/* Copy the interrupt controllers that the CPUs share.  Main thread. */
void machine_look_at_irqs(struct machine *m, struct irq_look *out);

#endif
