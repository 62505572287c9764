/* Numbers that the assembly and the C of the payload library share. */
#ifndef PAYLOAD_SEGMENTS_H
#define PAYLOAD_SEGMENTS_H

#define SELECTOR_CODE 0x08	/* CPL 0, 64-bit */
#define SELECTOR_DATA 0x10
#define SELECTOR_USER_DATA 0x1b	/* CPL 3 */
#define SELECTOR_USER_CODE 0x23	/* CPL 3, 64-bit */
#define SELECTOR_CODE32 0x28
#define SELECTOR_TSS 0x30	/* one of 16 bytes per CPU from here on */

#define MAX_CPUS 64
#define STACK_SIZE 8192		/* at CPL 3; at CPL 0 it is KERNEL_STACK_SIZE */
#define KERNEL_STACK_SIZE 2048
#define TSS_SIZE 104

#define VECTOR_INVALID_OPCODE 6
#define VECTOR_SPURIOUS 0xff

#define AP_TRAMPOLINE 0x8000	/* real mode: a page below 1 MiB */

#endif
