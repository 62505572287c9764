/*
 * The shortest guest: at its PVH entry, in 32-bit protected mode, it writes one byte to the
 * debug console and ends with status 0.  What remains is the time that the VMM takes to get
 * here; tests/bench/run measures when the byte comes out.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define PORT_DEBUG_CONSOLE 0x402
#define PORT_EXIT 0xf4

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad start32

	.section .text.start, "ax"
	.code32
	.globl start32
start32:
	movl $PORT_DEBUG_CONSOLE, %edx
	outb %al, %dx
	xorl %eax, %eax
	outl %eax, $PORT_EXIT
1:	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
