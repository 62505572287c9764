/*
 * Interrupts: the IDT, a counter for each vector, the local APIC and the I/O APIC; and the door
 * from CPL 3 to CPL 0.
 */
#ifndef PAYLOAD_INTERRUPT_H
#define PAYLOAD_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "images/payload/lib/segments.h"

/* How often each vector was taken, by any CPU. */
extern volatile uint32_t interrupt_counts[256];

/* Fill in the IDT; every program's start does it.  Interrupts stay off. */
void interrupt_init(void);

/* Enable this CPU's local APIC.  Interrupts stay off. */
void lapic_enable(void);
uint32_t lapic_id(void);
/* Write the interrupt command register and wait until it was sent. */
void lapic_send(uint32_t apic_id, uint32_t command);

enum ioapic_trigger { IOAPIC_EDGE, IOAPIC_LEVEL };

/* Send input 'gsi' to this CPU as 'vector' / stop that. */
void ioapic_route(uint32_t gsi, uint8_t vector, enum ioapic_trigger trigger);
void ioapic_mask(uint32_t gsi);

/*
 * With interrupts on, wait until 'vector' was taken more than 'before' times; false when it was
 * not in 'wait' cycles.  Interrupts are off again afterwards.
 */
bool interrupt_wait(uint8_t vector, uint32_t before, uint64_t wait);

/* Run 'function' at CPL 0: for instructions that CPL 3 may not use.  It should be short. */
void call_kernel(void (*function)(void));

/* sti and cli are not for CPL 3. */
void interrupts_on(void);
void interrupts_off(void);

/* For call_kernel: wait for one interrupt; wait for ever with interrupts off; fault three times. */
void kernel_halt(void);
void kernel_halt_for_ever(void);
void kernel_triple_fault(void);

#endif
