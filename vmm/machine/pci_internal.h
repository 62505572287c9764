/* What the files of the PCI root share: register numbers and the steps that follow a change. */
#ifndef MACHINE_PCI_INTERNAL_H
#define MACHINE_PCI_INTERNAL_H

#include "vmm/machine/pci.h"

/* PCI Local Bus Specification 3.0, 6.1 "Configuration Space Organization". */
enum {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS_CODE = 0x09,
	PCI_CACHE_LINE_SIZE = 0x0c,
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR_0 = 0x10,
	PCI_SUBSYSTEM_VENDOR = 0x2c,
	PCI_SUBSYSTEM = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
	PCI_HEADER_SIZE = 0x40,
};

enum {
	PCI_COMMAND_IO = 0x0001,
	PCI_COMMAND_MEMORY = 0x0002,
	PCI_COMMAND_MASTER = 0x0004,
	PCI_COMMAND_PARITY = 0x0040,
	PCI_COMMAND_SERR = 0x0100,
	PCI_COMMAND_INTX_DISABLE = 0x0400,
	PCI_STATUS_INTERRUPT = 0x0008,
	PCI_STATUS_CAPABILITIES = 0x0010,
	PCI_STATUS_ERRORS = 0xf900,	/* write 1 to clear */
	PCI_HEADER_MULTIFUNCTION = 0x80,
};

enum {
	PCI_N_FUNCTIONS = 8,
};

uint16_t pci_device_command(const struct pci_device *dev);

/* Interrupt Status and the line follow intx_level, the command register and the bus. */
void pci_device_update_intx(struct pci_device *dev);

/*
 * Give every BAR of 'dev' an address inside the windows.  Returns 0; -ENOSPC with an error chain.
 */
MUST_USE int pci_bars_place(struct pci_root *root, struct pci_device *dev);

/*
 * The command register or a BAR of 'dev' changed: stop decoding where its BARs were, then let
 * every BAR on the bus decode that wants to and now can.
 */
void pci_bars_follow(struct pci_root *root, struct pci_device *dev);

/* No BAR of 'dev' decodes any more. */
void pci_bars_unmap(struct pci_root *root, struct pci_device *dev);

/* Let every BAR on the bus decode that wants to and can. */
void pci_bars_map(struct pci_root *root);

/* Claim CF8/CFC and ECAM.  Returns 0 or -errno with an error chain. */
MUST_USE int pci_access_init(struct pci_root *root);

#endif
