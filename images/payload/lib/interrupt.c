#include "images/payload/lib/interrupt.h"

#include "images/payload/lib/cpu.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/run.h"
#include "vmm/machine/layout.h"

enum {
	LAPIC_ID = 0x20,
	LAPIC_SPURIOUS = 0xf0,
	LAPIC_COMMAND = 0x300,
	LAPIC_COMMAND_HIGH = 0x310,
	LAPIC_LINT0 = 0x350,
};

struct gate {
	uint16_t offset_0;
	uint16_t selector;
	uint8_t stack;
	uint8_t type;
	uint16_t offset_16;
	uint32_t offset_32;
	uint32_t reserved;
};

/* As the CPU and interrupt_entries push it. */
struct fault_frame {
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern struct gate interrupt_table[256];
extern const char interrupt_entries[], invalid_opcode_entry[];
void fault_report(const struct fault_frame *f, uint64_t address);
void kernel_interrupts_on(void);
void kernel_interrupts_off(void);

struct gate interrupt_table[256] __attribute__((aligned(16)));
volatile uint32_t interrupt_counts[256];

/* Called by fault_entry: the program did something it should not have. */
void fault_report(const struct fault_frame *f, uint64_t address)
{
	print("FAULT %lu error %lx at %lx, address %lx, cs %lx, rflags %lx\n", f->vector, f->error,
	      f->rip, address, f->cs, f->rflags);
	payload_exit(EXIT_FAULT);
}

static void gate_set(unsigned vector, const char *entry, uint8_t type)
{
	uint64_t to = (uintptr_t)entry;

	interrupt_table[vector] = (struct gate){
		.offset_0 = (uint16_t)to,
		.selector = SELECTOR_CODE,
		.type = type,
		.offset_16 = (uint16_t)(to >> 16),
		.offset_32 = (uint32_t)(to >> 32),
	};
}

void interrupt_init(void)
{
	for (unsigned i = 0; i < 256; i++)
		gate_set(i, interrupt_entries + 16 * i, 0x8e);
	gate_set(VECTOR_INVALID_OPCODE, invalid_opcode_entry, 0x8e);
}

void lapic_enable(void)
{
	write32(LAYOUT_LAPIC + LAPIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	write32(LAYOUT_LAPIC + LAPIC_LINT0, 0x10000);	/* nothing from the PIC */
}

uint32_t lapic_id(void)
{
	return read32(LAYOUT_LAPIC + LAPIC_ID) >> 24;
}

void lapic_send(uint32_t apic_id, uint32_t command)
{
	write32(LAYOUT_LAPIC + LAPIC_COMMAND_HIGH, apic_id << 24);
	write32(LAYOUT_LAPIC + LAPIC_COMMAND, command);
	WAIT_UNTIL(!(read32(LAYOUT_LAPIC + LAPIC_COMMAND) & 0x1000), WAIT_SHORT);
}

static void ioapic_write(uint32_t reg, uint32_t v)
{
	write32(LAYOUT_IOAPIC, reg);
	write32(LAYOUT_IOAPIC + 0x10, v);
}

void ioapic_route(uint32_t gsi, uint8_t vector, enum ioapic_trigger trigger)
{
	ioapic_write(0x11 + 2 * gsi, lapic_id() << 24);
	ioapic_write(0x10 + 2 * gsi, vector | (trigger == IOAPIC_LEVEL ? 0x8000 : 0));
}

void ioapic_mask(uint32_t gsi)
{
	ioapic_write(0x10 + 2 * gsi, 0x10000);
}

void interrupts_on(void)
{
	call_kernel(kernel_interrupts_on);
}

void interrupts_off(void)
{
	call_kernel(kernel_interrupts_off);
}

bool interrupt_wait(uint8_t vector, uint32_t before, uint64_t wait)
{
	bool taken;

	interrupts_on();
	taken = WAIT_UNTIL(interrupt_counts[vector] != before, wait);
	interrupts_off();
	return taken;
}
