/*
 * From the PVH entry (32-bit protected mode, paging off, %ebx = start info) to CPL 3 in long
 * mode, with as few instructions as possible: there are hosts that run CPL 3 natively and
 * emulate CPL 0.  The page tables are therefore constants of the image, and everything else is
 * set up by C at CPL 3, which may: every page is a user page, and the I/O permission bitmap (one
 * for all TSSs, empty) allows every port.
 *
 * Application processors come in here from lib/ap.S at start64_ap.
 */
#include "images/payload/lib/segments.h"

#define PAGE_TABLE 0x67		/* present, writable, user, accessed, dirty */
#define PAGE_2M 0xe7		/* the same, 2 MiB */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad start32

	.section .text.start, "ax"
	.code32
	.globl start32
start32:
	movl %ebx, boot_start_info
	movl $page_pml4, %eax
	movl %eax, %cr3
	movl $0x20, %eax			/* CR4.PAE */
	movl %eax, %cr4
	movl $0xc0000080, %ecx			/* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80000011, %eax			/* CR0: PG, ET, PE */
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $SELECTOR_CODE, $start64

	.code64
start64:
	xorl %edi, %edi				/* CPU 0 */
	movq $payload_main, %rsi
	/*
	 * %rdi: index of this CPU, %rsi: what to call at CPL 3 with it as argument.
	 */
	.globl start64_ap
start64_ap:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ss
	movl $SELECTOR_USER_DATA, %eax
	movl %eax, %ds
	movl %eax, %es

	/* This CPU's TSS: %rcx; its stack for CPL 0 is entry RSP0. */
	imulq $TSS_SIZE, %rdi, %rcx
	addq $task_states, %rcx
	leaq 1(%rdi), %rdx
	imulq $KERNEL_STACK_SIZE, %rdx, %rax
	addq $kernel_stacks, %rax
	movq %rax, %rsp
	movq %rax, 4(%rcx)
	/* Its descriptor: %rdx. */
	movl %edi, %edx
	shll $4, %edx
	addl $gdt + SELECTOR_TSS, %edx
	movl $io_bitmap_end - 1, %eax
	subl %ecx, %eax
	movw %ax, (%rdx)
	movl $io_bitmap, %eax
	subl %ecx, %eax
	movw %ax, 102(%rcx)			/* I/O map base, from the TSS */
	movw %cx, 2(%rdx)
	shrl $16, %ecx
	movb %cl, 4(%rdx)
	movb $0x89, 5(%rdx)			/* present, available 64-bit TSS */
	movb %ch, 7(%rdx)
	subl $gdt, %edx
	ltr %dx
	lidt idt_pointer

	leaq 1(%rdi), %rdx
	imulq $STACK_SIZE, %rdx, %rax
	addq $user_stacks - 8, %rax		/* as after a call */
	pushq $SELECTOR_USER_DATA
	pushq %rax
	pushq $0x2				/* interrupts off */
	pushq $SELECTOR_USER_CODE
	pushq %rsi
	iretq

	.section .data
	.globl boot_start_info
	.balign 8
boot_start_info:
	.quad 0

	.globl gdt
	.balign 16
gdt:
	.quad 0
	.quad 0x00af9b000000ffff		/* SELECTOR_CODE */
	.quad 0x00cf93000000ffff		/* SELECTOR_DATA */
	.quad 0x00cff3000000ffff		/* SELECTOR_USER_DATA */
	.quad 0x00affb000000ffff		/* SELECTOR_USER_CODE */
	.quad 0x00cf9b000000ffff		/* SELECTOR_CODE32 */
	.fill MAX_CPUS * 2, 8, 0		/* SELECTOR_TSS */
gdt_end:

	.globl gdt_pointer
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt
	.globl idt_pointer
idt_pointer:
	.word 256 * 16 - 1
	.quad interrupt_table

	/* The first 4 GiB, identity. */
	.balign 4096
	.globl page_pml4
page_pml4:
	.quad page_pdpt + PAGE_TABLE
	.fill 511, 8, 0
	.globl page_pdpt
page_pdpt:
	.quad page_directories + PAGE_TABLE
	.quad page_directories + 0x1000 + PAGE_TABLE
	.quad page_directories + 0x2000 + PAGE_TABLE
	.quad page_directories + 0x3000 + PAGE_TABLE
	.fill 508, 8, 0
page_directories:
	.set page, 0
	.rept 2048
	.quad page + PAGE_2M
	.set page, page + 0x200000
	.endr

	.section .bss
	.balign 16
task_states:
	.skip MAX_CPUS * TSS_SIZE
io_bitmap:
	.skip 0x10000 / 8 + 1			/* the CPU reads one byte ahead */
io_bitmap_end:
	.balign 16
kernel_stacks:
	.skip MAX_CPUS * KERNEL_STACK_SIZE
user_stacks:
	.skip MAX_CPUS * STACK_SIZE

	.section .note.GNU-stack, "", @progbits
