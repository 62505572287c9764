/*
 * ACPI tables for the machine: RSDP, XSDT, FADT, MADT, MCFG and a DSDT written by the AML writer
 * (aml.h): PCI root with its windows and interrupt routing, virtio-mmio devices (LNRO0005), UART,
 * CMOS, pvpanic, power button, S5, reset register.  ACPI Specification 6.5, chapters 5 and 20.
 */
#ifndef MACHINE_ACPI_H
#define MACHINE_ACPI_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

struct acpi_config {
	unsigned n_vcpus;
	const uint8_t *apic_id;		/* n_vcpus entries; borrowed */
	unsigned n_virtio_mmio;		/* devices at LAYOUT_VIRTIO_MMIO + i * stride */
	bool has_uart, has_cmos, has_pvpanic;
};

/*
 * Build all tables at LAYOUT_RSDP / LAYOUT_ACPI.
 *
 * Returns 0; -ENOSPC with an error chain if they do not fit below LAYOUT_ACPI_END.
 */
MUST_USE int acpi_build(const struct guest_memory *mem, const struct acpi_config *config);

#endif
