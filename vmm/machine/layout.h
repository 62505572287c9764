/*
 * The map of the x86 machine: who lives at which address, port and GSI.  Shared by the loaders, the
 * ACPI tables, the buses and the devices, so that each number exists once.
 */
#ifndef MACHINE_LAYOUT_H
#define MACHINE_LAYOUT_H

#include "vmm/base/util.h"

/* Low memory (physical).  RAM starts at 0; [0xa0000, 0x100000) is RAM too but reserved in e820. */
#define LAYOUT_GDT 0x500ull
#define LAYOUT_BOOT_STACK 0x8ff0ull
#define LAYOUT_PAGE_TABLES 0x9000ull	/* PML4, PDPT, 4 page directories: 6 pages */
#define LAYOUT_BOOT_INFO 0x10000ull	/* zero page, PVH start info or multiboot info: 64 KiB */
#define LAYOUT_CMDLINE 0x20000ull	/* 64 KiB */
#define LAYOUT_EBDA 0x9fc00ull
#define LAYOUT_RSDP 0xe0000ull		/* where the BIOS search finds it */
#define LAYOUT_ACPI 0xe0040ull		/* the other tables */
#define LAYOUT_ACPI_END 0xf0000ull
#define LAYOUT_FDT LAYOUT_ACPI		/* instead: setup_data with a device tree */
#define LAYOUT_SMBIOS 0xf0000ull		/* the only place where it is looked for */
#define LAYOUT_SMBIOS_END 0x100000ull
#define LAYOUT_HIGH_RAM 0x100000ull

/* The hole below 4 GiB. */
#define LAYOUT_RAM_HOLE 0xc0000000ull		/* RAM below ends here at the latest */
#define LAYOUT_PCI_MMIO 0xc0000000ull		/* 32-bit BARs */
#define LAYOUT_PCI_MMIO_END 0xe0000000ull
#define LAYOUT_ECAM 0xe0000000ull		/* bus 0 only: 1 MiB */
#define LAYOUT_ECAM_SIZE 0x100000ull
#define LAYOUT_VIRTIO_MMIO 0xfe000000ull	/* one 4 KiB page per device */
#define LAYOUT_VIRTIO_MMIO_STRIDE 0x1000ull
#define LAYOUT_VIRTIO_SHM 0xe8000000ull		/* shared memory of virtio-mmio devices */
#define LAYOUT_VIRTIO_SHM_STRIDE 0x200000ull
#define LAYOUT_IOAPIC 0xfec00000ull
#define LAYOUT_LAPIC 0xfee00000ull
#define LAYOUT_KVM_IDENTITY_MAP 0xfeffc000ull	/* 1 page, then 3 pages of TSS */
#define LAYOUT_RAM_ABOVE 0x100000000ull

enum {
	LAYOUT_MAX_VIRTIO_MMIO = 128,
	LAYOUT_MAX_VCPUS = 64,
};

/* Ports. */
enum {
	PORT_CMOS = 0x70,		/* 2 ports */
	PORT_I8042_DATA = 0x60,
	PORT_I8042_COMMAND = 0x64,	/* 0xfe here resets */
	PORT_EXIT = 0xf4,		/* 4-byte write = exit status */
	PORT_UART = 0x3f8,		/* COM1, 8 ports */
	PORT_DEBUG_CONSOLE = 0x402,	/* a byte written is printed; reads 0xe9 */
	PORT_PVPANIC = 0x505,
	PORT_PM1_EVENT = 0x600,		/* 4 ports: status, enable */
	PORT_PM1_CONTROL = 0x604,	/* 2 ports */
	PORT_PM_TIMER = 0x608,		/* 4 ports, 3.579545 MHz */
	PORT_ACPI_RESET = 0xcf9,
	PORT_PCI_ADDRESS = 0xcf8,
	PORT_PCI_DATA = 0xcfc,
	PORT_PCI_BARS = 0xc000,		/* I/O BARs from here */
	PORT_PCI_BARS_END = 0xffff,
};

/* What is written where to reset, and to sleep. */
enum {
	ACPI_RESET_VALUE = 0x06,
	ACPI_S5_TYPE = 5,
};

/* GSIs. */
enum {
	GSI_UART = 4,
	GSI_CMOS = 8,
	GSI_SCI = 9,
	GSI_PCI_INTA = 16,		/* 16-19: PCI slots, (slot + pin) % 4 */
	GSI_PCI_LINES = 4,
};

/*
 * virtio-mmio interrupts: edge-triggered, shared when there are more devices than GSIs. ISA
 * numbers come first, because a kernel that learns of devices from its command line can only use
 * those.
 */
static inline uint32_t layout_virtio_mmio_gsi(unsigned index)
{
	static const uint8_t gsi[] = { 5, 6, 7, 10, 11, 12, 14, 15, 20, 21, 22, 23 };
	return gsi[index % (sizeof(gsi) / sizeof(gsi[0]))];
}

#endif
