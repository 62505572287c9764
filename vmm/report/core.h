/*
 * A guest's memory as a core file: ELF, ET_CORE, as gdb and crash read it.
 *
 *   PT_NOTE   an NT_PRSTATUS for each CPU; the kernel's VMCOREINFO, if it is found in memory
 *   PT_LOAD   first what is mapped by the page tables of a CPU, largest pieces only, each with its
 *             virtual and its physical address; then each region of RAM, virtual as physical.  Both
 *             share the bytes of the file.
 *
 * Pages of zeros are holes of the file.
 */
#ifndef REPORT_CORE_H
#define REPORT_CORE_H

#include "vmm/base/util.h"
#include "vmm/machine/cpu_look.h"
#include "vmm/machine/guest_memory.h"

enum { CORE_MAX_PIECES = 1024 };

struct core_result {
	uint64_t size;			/* of the file */
	uint64_t written;		/* bytes of it that are no holes */
	unsigned n_pieces;
	bool has_vmcoreinfo;
};

/*
 * Write memory and CPUs to 'fd', a regular file, which is emptied first.  Nothing runs in the
 * guest. Works in the sandbox (SANDBOX_DUMP).
 *
 * Returns 0 and '*result'; -ENOMEM or -errno (-ENOSPC ...), with an error chain: what is in the
 * file then is of no use.
 */
MUST_USE int core_write(int fd, const struct guest_memory *mem, const struct cpu_look *cpu,
			unsigned n_cpus, struct core_result *result);

#endif
