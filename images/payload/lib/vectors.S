/*
 * Interrupt entries, at CPL 0.  A device's interrupt is counted and acknowledged, nothing else:
 * what it means is judged by the program at CPL 3, which watches interrupt_counts.
 */
#include "images/payload/lib/segments.h"

#define LAPIC_EOI 0xfee000b0

	.text
	.balign 16
	.globl interrupt_entries		/* one every 16 bytes */
interrupt_entries:
	.set vector, 0
	.rept 256
	.balign 16
	/* These push an error code themselves: 8, 10-14, 17, 21, 29, 30. */
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
		vector == 29 || vector == 30)
	pushq $0
	.endif
	pushq $vector
	jmp interrupt_entry
	.set vector, vector + 1
	.endr

interrupt_entry:
	cmpq $32, (%rsp)
	jb fault_entry
	pushq %rax
	movq 8(%rsp), %rax
	lock incl interrupt_counts(,%rax,4)
	cmpl $VECTOR_SPURIOUS, %eax
	je 1f
	movl $LAPIC_EOI, %eax
	movl $0, (%rax)
1:	popq %rax
	addq $16, %rsp
	iretq

fault_entry:
	movq %rsp, %rdi				/* struct fault_frame */
	movq %cr2, %rsi
	andq $-16, %rsp
	call fault_report
2:	hlt
	jmp 2b

	/*
	 * The door from CPL 3 to CPL 0: the function in %rax is called.  An invalid instruction
	 * is used for it, because software interrupts from CPL 3 do not work on every host.
	 */
	.globl call_kernel
call_kernel:
	movq %rdi, %rax
door:
	ud2
	ret

	/* Vector 6 of the IDT. */
	.globl invalid_opcode_entry
invalid_opcode_entry:
	cmpq $door, (%rsp)
	jne interrupt_entries + 6 * 16
	addq $2, (%rsp)
	call *%rax
	iretq

	/* Change the interrupt flag that the iretq above will load. */
	.globl kernel_interrupts_on
kernel_interrupts_on:
	orl $0x200, 24(%rsp)
	ret

	.globl kernel_interrupts_off
kernel_interrupts_off:
	andl $~0x200, 24(%rsp)
	ret

	.globl kernel_halt			/* wait for one interrupt */
kernel_halt:
	sti
	hlt
	cli
	ret

	.globl kernel_halt_for_ever		/* which no interrupt can end */
kernel_halt_for_ever:
	cli
	hlt
	jmp kernel_halt_for_ever

	.globl kernel_triple_fault
kernel_triple_fault:
	lidt no_idt
	ud2

	.section .rodata
no_idt:
	.word 0
	.quad 0

	.section .note.GNU-stack, "", @progbits
