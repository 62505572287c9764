/*
 * ACPI tables for the machine: RSDP, XSDT, FADT, MADT, MCFG, VIOT where there is an IOMMU, SRAT and
 * SLIT where there are nodes, and a DSDT written by the AML writer (aml.h): PCI root with its
 * windows and interrupt routing, virtio-mmio devices (LNRO0005), UART, CMOS, pvpanic, power button,
 * S5, reset register.  ACPI Specification 6.5, chapters 5 and 20.
 */
#ifndef MACHINE_ACPI_H
#define MACHINE_ACPI_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"
#include "vmm/machine/numa.h"

/* A function of the PCI root, or a virtio-mmio device. */
struct acpi_place {
	bool is_pci;
	uint16_t bdf;			/* pci */
	uint64_t base;			/* mmio: of its registers */
};

/* A virtio IOMMU and the devices behind it. */
struct acpi_viot {
	struct acpi_place iommu;
	const struct acpi_endpoint {
		struct acpi_place place;
		uint32_t id;		/* what the IOMMU calls it */
	} *endpoint;			/* borrowed */
	unsigned n_endpoints;
};

struct acpi_config {
	unsigned n_vcpus;
	const uint8_t *apic_id;		/* n_vcpus entries; borrowed */
	unsigned n_virtio_mmio;		/* devices at LAYOUT_VIRTIO_MMIO + i * stride */
	bool has_uart, has_cmos, has_pvpanic;
	const struct numa *numa;	/* NULL: no nodes; borrowed */
	const struct acpi_viot *viot;	/* NULL: there is no IOMMU; borrowed */
};

/*
 * Build all tables at LAYOUT_RSDP / LAYOUT_ACPI.
 *
 * Returns 0; -ENOSPC with an error chain if they do not fit below LAYOUT_ACPI_END.
 */
MUST_USE int acpi_build(const struct guest_memory *mem, const struct acpi_config *config);

#endif
