#include "images/payload/lib/smp.h"

#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/interrupt.h"

enum {
	ICR_INIT = 0x4500,		/* assert, edge */
	ICR_STARTUP = 0x4600,
};

extern const char ap_trampoline[], ap_trampoline_end[];

/* For ap.S. */
extern uint32_t smp_next_index;
extern void (*smp_entry)(uint64_t cpu);
uint32_t smp_next_index = 1;
void (*smp_entry)(uint64_t cpu);

void smp_start(const uint32_t *apic_id, unsigned n, void (*entry)(uint64_t cpu))
{
	uint64_t until;

	memcpy((void *)AP_TRAMPOLINE, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	smp_entry = entry;
	for (unsigned i = 0; i < n; i++)
		lapic_send(apic_id[i], ICR_INIT);
	/* Real processors want 10 ms here; emulated ones a moment to take the INIT. */
	until = cycles() + WAIT_SHORT;
	while (cycles() < until)
		pause();
	for (unsigned i = 0; i < n; i++)
		lapic_send(apic_id[i], ICR_STARTUP | AP_TRAMPOLINE >> 12);
}
