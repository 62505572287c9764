/*
 * Where application processors begin: real mode, at AP_TRAMPOLINE, where smp.c copies this to.
 * Each takes the next index and goes the way of CPU 0 from start64_ap on.
 */
#include "images/payload/lib/segments.h"

#define HERE(label) (label - ap_trampoline + AP_TRAMPOLINE)

	.section .rodata
	.code16
	.globl ap_trampoline
ap_trampoline:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl HERE(ap_gdt_pointer)
	movl $1, %eax				/* CR0.PE */
	movl %eax, %cr0
	ljmpl $SELECTOR_CODE32, $HERE(ap_32)
	.code32
ap_32:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl $page_pml4, %eax
	movl %eax, %cr3
	movl $0x20, %eax
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80000011, %eax
	movl %eax, %cr0
	ljmp $SELECTOR_CODE, $ap_64
ap_gdt_pointer:
	.word SELECTOR_TSS - 1
	.long gdt
	.globl ap_trampoline_end
ap_trampoline_end:

	.text
	.code64
ap_64:
	lgdt gdt_pointer			/* with the TSS descriptors */
	movl $1, %edi
	lock xaddl %edi, smp_next_index
	movq smp_entry, %rsi
	jmp start64_ap

	.section .note.GNU-stack, "", @progbits
