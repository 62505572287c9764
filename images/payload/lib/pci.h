/*
 * PCI functions of bus 0: configuration access by CF8/CFC and ECAM, BARs, capabilities, MSI-X.
 * PCI Local Bus Specification 3.0, chapter 6.
 */
#ifndef PAYLOAD_PCI_H
#define PAYLOAD_PCI_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PCI_VENDOR = 0x00,
	PCI_DEVICE = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,

	PCI_COMMAND_IO = 1,
	PCI_COMMAND_MEMORY = 2,
	PCI_COMMAND_MASTER = 4,
	PCI_COMMAND_INTX_OFF = 0x400,
	PCI_STATUS_INTERRUPT = 8,
	PCI_STATUS_CAPABILITIES = 0x10,

	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_MSIX = 0x11,
};

struct pci_function {
	uint8_t slot, function;
};

/* By CF8/CFC where they exist, else by ECAM; 'offset' is below 256. */
uint8_t pci_read8(struct pci_function f, unsigned offset);
uint16_t pci_read16(struct pci_function f, unsigned offset);
uint32_t pci_read32(struct pci_function f, unsigned offset);
void pci_write8(struct pci_function f, unsigned offset, uint8_t v);
void pci_write16(struct pci_function f, unsigned offset, uint16_t v);
void pci_write32(struct pci_function f, unsigned offset, uint32_t v);

/* Where ECAM has this register; 'base' is acpi_ecam(). */
uintptr_t pci_ecam_address(uint64_t base, struct pci_function f, unsigned offset);

/* The next function behind 'f' in order; start with { 0, 0 } and 'first'.  False at the end. */
bool pci_next(struct pci_function *f, bool first);

/* The next capability with this id behind the one at 'after' (0: the first), or 0. */
unsigned pci_capability(struct pci_function f, uint8_t id, unsigned after);

struct pci_bar {
	uint64_t address, size;		/* size 0: no such BAR */
	bool is_io, is_64;
};

/* Read BAR 'index' and probe its size; decoding is off meanwhile. */
struct pci_bar pci_bar_probe(struct pci_function f, unsigned index);
void pci_bar_move(struct pci_function f, unsigned index, uint64_t address);

/*
 * The BAR's address in memory; one that firmware did not place is placed and decoding is turned
 * on.
 */
uint64_t pci_bar_address(struct pci_function f, unsigned index);
/* The same for a BAR of ports; 0 when it is none. */
uint16_t pci_io_bar(struct pci_function f, unsigned index);

/* MSI-X: the table lies in a BAR. */
struct msix {
	struct pci_function f;
	unsigned capability;
	unsigned n_vectors;
	uintptr_t table, pending;
};

bool msix_is_enabled(struct pci_function f);
/* False when the function has none.  Leaves it disabled and every vector masked. */
bool msix_init(struct msix *m, struct pci_function f);
void msix_enable(struct msix *m, bool enable, bool mask_all);
void msix_set(struct msix *m, unsigned vector, uint8_t cpu_vector);
void msix_mask(struct msix *m, unsigned vector, bool masked);
bool msix_is_pending(struct msix *m, unsigned vector);

#endif
