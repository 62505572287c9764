/* By how much a kernel has moved itself from where it was linked (KASLR). */
#ifndef REPORT_KERNEL_SLIDE_H
#define REPORT_KERNEL_SLIDE_H

#include "vmm/machine/cpu_look.h"
#include "vmm/machine/guest_memory.h"
#include "vmm/report/symbols.h"

/*
 * A CPU's interrupt table tells where the handler of the first exception is, and the symbols where
 * it was linked.  Returns false if that cannot be told, or is nothing that a kernel does.
 */
bool kernel_slide(const struct symbols *symbols, const struct guest_memory *mem,
		  const struct cpu_look *look, int64_t *out);

#endif
