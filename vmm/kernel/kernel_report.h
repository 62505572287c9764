/* What came of a check, written: for people, for programs, or as what is to be added. */
#ifndef KERNEL_KERNEL_REPORT_H
#define KERNEL_KERNEL_REPORT_H

#include <stdio.h>

#include "vmm/kernel/kernel_needs.h"
#include "vmm/kernel/kernel_source.h"

/* How many rows have that verdict. */
unsigned kernel_report_count(const struct kernel_vm *vm, const struct kernel_config *config,
			     enum kernel_verdict verdict);

/* As text for people. */
void kernel_report_text(FILE *out, const struct kernel_vm *vm, const struct kernel_source *source);

/* As JSON.  Returns 0, or -ENOMEM, -EOPNOTSUPP with an error chain. */
MUST_USE int kernel_report_json(FILE *out, const struct kernel_vm *vm,
				const struct kernel_source *source);

/*
 * As a fragment for kconfig, which builds everything in; what 'config' (NULL: nothing) has is left
 * out.
 */
void kernel_report_fragment(FILE *out, const struct kernel_vm *vm,
			    const struct kernel_config *config);

/* "disk 'root', the console over pci": what needs it, or else what it helps; at most four. */
void kernel_report_put_things(FILE *out, const struct kernel_need *need,
			      const struct kernel_vm *vm);

#endif
