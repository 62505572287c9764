/* By how much a kernel has moved itself from where it was linked (KASLR). */
#ifndef REPORT_KERNEL_SLIDE_H
#define REPORT_KERNEL_SLIDE_H

#include "vmm/machine/cpu_look.h"
#include "vmm/machine/guest_memory.h"
#include "vmm/report/symbols.h"

/*
 * Where the handler of the first exception was linked; false if the symbols do not have it.  They
 * are searched from one end to the other: to be asked while nobody waits.
 */
bool kernel_slide_handler(const struct symbols *symbols, uint64_t *linked);

/*
 * A CPU's interrupt table tells where that handler is; 'linked' is from kernel_slide_handler.
 * Returns false if it cannot be told, or is nothing that a kernel does.
 */
bool kernel_slide(uint64_t linked, const struct guest_memory *mem, const struct cpu_look *look,
		  int64_t *out);

#endif
