/*
 * The machine as a flattened device tree, for x86 kernels that read one (Linux with CONFIG_OF and
 * OF_EARLY_FLATTREE).  It takes the place of the ACPI tables, because Linux gives the IOAPIC to
 * whoever describes it first, ACPI before the tree, and a device whose node names an interrupt
 * controller that is not the tree's own never gets its interrupt.  What only ACPI has is missing
 * then: soft-off, the power button, and the routing of PCI interrupt pins (MSI-X works).
 *
 * Devicetree Specification 0.4; Linux: arch/x86/kernel/devicetree.c, bindings virtio/mmio.yaml and
 * interrupt-controller/intel,ce4100-ioapic.txt.  Not libfdt's fdt.h: that one is <libfdt.h>.
 */
#ifndef MACHINE_FDT_H
#define MACHINE_FDT_H

#include "vmm/base/util.h"
#include "vmm/machine/acpi.h"
#include "vmm/machine/guest_memory.h"

struct fdt_config {
	const struct acpi_config *board;	/* what ACPI would describe; borrowed */
	const struct memory_extent *memory;	/* RAM; borrowed */
	unsigned n_memory;
	const char *cmdline;			/* bootargs; borrowed */
};

/*
 * Write the tree into 'size' bytes at 'buf', aligned to 8.  The same configuration gives the same
 * bytes.
 *
 * Returns 0 and the tree's size in '*len'; -ENOSPC when it does not fit, -ENOSYS when this build
 * has no libfdt, with an error chain.  Any thread.
 */
MUST_USE int fdt_build(void *buf, size_t size, const struct fdt_config *config, size_t *len);

#endif
