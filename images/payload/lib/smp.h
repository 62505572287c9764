/* Application processors. */
#ifndef PAYLOAD_SMP_H
#define PAYLOAD_SMP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Send INIT and SIPI to each of 'n' local APICs.  Each processor then runs 'entry' at CPL 3, on
 * a stack of its own, with its index (1 to n, in order of arrival); 'entry' must not return.
 */
void smp_start(const uint32_t *apic_id, unsigned n, void (*entry)(uint64_t cpu));

#endif
