#include "vmm/machine/acpi_dsdt.h"

#include <stdio.h>

#include "vmm/machine/layout.h"

enum {
	PCI_SLOTS = 32,
	PCI_PINS = 4,
	PCI_ANY_FUNCTION = 0xffff,
	STA_PRESENT = 0x0f,	/* present, enabled, shown, functioning: 6.3.7 "_STA" */
};

/* A segment with a number in it: "VM1F". */
static void begin_numbered_device(struct aml *aml, const char *prefix, unsigned i)
{
	char name[8];

	snprintf(name, sizeof(name), "%.2s%02X", prefix, i & 0xff);
	aml_begin_device(aml, name);
}

static void write_hid(struct aml *aml, const char *eisa_id)
{
	aml_name(aml, "_HID");
	aml_eisa_id(aml, eisa_id);
}

static void write_hid_string(struct aml *aml, const char *id)
{
	aml_name(aml, "_HID");
	aml_string(aml, id);
}

static void write_number(struct aml *aml, const char *name, uint64_t value)
{
	aml_name(aml, name);
	aml_integer(aml, value);
}

/*
 * Processors need nothing but an identity: 8.4 "Declaring Processors".  _UID is that of the MADT.
 */
static void write_processors(struct aml *aml, const struct acpi_config *config)
{
	for (unsigned i = 0; i < config->n_vcpus; i++) {
		begin_numbered_device(aml, "CP", i);
		write_hid_string(aml, "ACPI0007");
		write_number(aml, "_UID", i);
		aml_end(aml);
	}
}

/*
 * 6.2.13 "_PRT": every pin of every slot goes to one of four inputs of the IOAPIC; without a link
 * device that means level-triggered.  It says active low, too, but KVM's IOAPIC has no polarity:
 * a line that is set is asserted.
 */
static void write_routing(struct aml *aml)
{
	aml_name(aml, "_PRT");
	aml_begin_package(aml, PCI_SLOTS * PCI_PINS);
	for (uint32_t slot = 0; slot < PCI_SLOTS; slot++) {
		for (uint32_t pin = 0; pin < PCI_PINS; pin++) {
			aml_begin_package(aml, 4);
			aml_integer(aml, slot << 16 | PCI_ANY_FUNCTION);
			aml_integer(aml, pin);
			aml_integer(aml, 0);
			aml_integer(aml, GSI_PCI_INTA + (slot + pin) % GSI_PCI_LINES);
			aml_end(aml);
		}
	}
	aml_end(aml);
}

/* The root claims what BARs may use, and no more: everything else belongs to the board. */
static void write_pci_root(struct aml *aml)
{
	aml_begin_device(aml, "PCI0");
	write_hid(aml, "PNP0A08");
	aml_name(aml, "_CID");
	aml_eisa_id(aml, "PNP0A03");
	write_number(aml, "_UID", 0);
	write_number(aml, "_SEG", 0);
	write_number(aml, "_BBN", 0);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_bus_window(aml, 0, 0);
	aml_io(aml, PORT_PCI_ADDRESS, 8);
	aml_io_window(aml, PORT_PCI_BARS, PORT_PCI_BARS_END);
	aml_memory_window(aml, LAYOUT_PCI_MMIO, LAYOUT_PCI_MMIO_END - 1);
	aml_end_resources(aml);
	write_routing(aml);
	aml_end(aml);
}

/*
 * ECAM as the board's own: Linux uses it only where it is reserved so (PCI Firmware Spec. 4.1.2).
 */
static void write_board(struct aml *aml)
{
	aml_begin_device(aml, "MBRD");
	write_hid(aml, "PNP0C02");
	write_number(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_memory32(aml, LAYOUT_ECAM, LAYOUT_ECAM_SIZE);
	aml_end_resources(aml);
	aml_end(aml);
}

/*
 * The binding that Linux' virtio_mmio knows: "LNRO0005" with one register page and one interrupt.
 */
static void write_virtio_mmio(struct aml *aml, unsigned index)
{
	begin_numbered_device(aml, "VM", index);
	write_hid_string(aml, "LNRO0005");
	write_number(aml, "_UID", index);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_memory32(aml, (uint32_t)(LAYOUT_VIRTIO_MMIO + index * LAYOUT_VIRTIO_MMIO_STRIDE),
		     LAYOUT_VIRTIO_MMIO_STRIDE);
	aml_interrupt_edge_shared(aml, layout_virtio_mmio_gsi(index));
	aml_end_resources(aml);
	aml_end(aml);
}

static void write_uart(struct aml *aml)
{
	aml_begin_device(aml, "COM1");
	write_hid(aml, "PNP0501");
	write_number(aml, "_UID", 1);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_io(aml, PORT_UART, 8);
	aml_irq(aml, GSI_UART);
	aml_end_resources(aml);
	aml_end(aml);
}

static void write_cmos(struct aml *aml)
{
	aml_begin_device(aml, "RTC_");
	write_hid(aml, "PNP0B00");
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_io(aml, PORT_CMOS, 2);
	aml_irq(aml, GSI_CMOS);
	aml_end_resources(aml);
	aml_end(aml);
}

static void write_pvpanic(struct aml *aml)
{
	aml_begin_device(aml, "PEVT");
	write_hid_string(aml, "QEMU0001");
	write_number(aml, "_STA", STA_PRESENT);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_io(aml, PORT_PVPANIC, 1);
	aml_end_resources(aml);
	aml_end(aml);
}

/* 7.4.2 "System \_Sx states": what goes into SLP_TYP of PM1a and PM1b control for soft off. */
static void write_soft_off(struct aml *aml)
{
	aml_name(aml, "_S5_");
	aml_begin_package(aml, 4);
	aml_integer(aml, ACPI_S5_TYPE);
	aml_integer(aml, ACPI_S5_TYPE);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_end(aml);
}

void acpi_dsdt_write(struct aml *aml, const struct acpi_config *config)
{
	aml_begin_scope(aml, "_SB_");
	write_processors(aml, config);
	write_pci_root(aml);
	write_board(aml);
	if (config->has_uart)
		write_uart(aml);
	if (config->has_cmos)
		write_cmos(aml);
	if (config->has_pvpanic)
		write_pvpanic(aml);
	for (unsigned i = 0; i < config->n_virtio_mmio; i++)
		write_virtio_mmio(aml, i);
	aml_end(aml);
	write_soft_off(aml);
}
