/* All processors that ACPI names: INIT, SIPI, shared memory, interrupts between them. */
#include "images/payload/lib/acpi.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/smp.h"

enum { VECTOR_FROM_AP = 0x50, VECTOR_TO_AP = 0x51, N_ROUNDS = 100 };

static struct {
	volatile bool here, finished;
	volatile uint32_t apic_id, taken;
} cpu[MAX_CPUS];
static volatile bool go;
static uint64_t shared;

static void ap_main(uint64_t index)
{
	lapic_enable();
	cpu[index].apic_id = lapic_id();
	cpu[index].here = true;
	while (!go)
		pause();
	for (unsigned i = 0; i < N_ROUNDS; i++)
		__atomic_fetch_add(&shared, 1, __ATOMIC_SEQ_CST);
	lapic_send(cpu[0].apic_id, VECTOR_FROM_AP);
	cpu[index].finished = true;
	/* Interrupts on: VECTOR_TO_AP wakes it and lets it sleep again. */
	for (;;)
		call_kernel(kernel_halt);
}

int main(void)
{
	uint32_t id[MAX_CPUS];
	unsigned n = acpi_processors(id, MAX_CPUS), expect = (unsigned)option_number("cpus", n);
	uint32_t before = interrupt_counts[VECTOR_TO_AP];

	check_equal(n, expect, "processors that ACPI names");
	lapic_enable();
	cpu[0].apic_id = lapic_id();
	check_equal(id[0], cpu[0].apic_id, "APIC id of the first one");
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < i; j++)
			check(id[i] != id[j], "processors %u and %u have the same APIC id", i, j);
	}
	smp_start(id + 1, n - 1, ap_main);
	for (unsigned i = 1; i < n; i++)
		check(WAIT_UNTIL(cpu[i].here, WAIT_LONG), "only %u processors came", i);
	for (unsigned i = 1; i < n; i++) {
		bool named = false;

		for (unsigned j = 1; j < n; j++)
			named |= cpu[i].apic_id == id[j];
		check(named, "APIC id %u is not one that ACPI names", cpu[i].apic_id);
	}
	go = true;
	for (unsigned i = 1; i < n; i++)
		check(WAIT_UNTIL(cpu[i].finished, WAIT_LONG), "processor %u does not finish", i);
	check_equal(shared, (uint64_t)(n - 1) * N_ROUNDS, "what all of them added up to");
	if (n > 1)
		check(interrupt_wait(VECTOR_FROM_AP, 0, WAIT_LONG),
		      "no interrupt from a processor");
	for (unsigned i = 1; i < n; i++)
		lapic_send(id[i], VECTOR_TO_AP);
	check(WAIT_UNTIL(interrupt_counts[VECTOR_TO_AP] - before == n - 1, WAIT_LONG),
	      "%u of %u processors took an interrupt", interrupt_counts[VECTOR_TO_AP] - before,
	      n - 1);
	print("%u processors\n", n);
	return check_result("smp");
}
