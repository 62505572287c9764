/* A PCI function that records what the root does to it. */
#ifndef TESTS_PCI_TOY_H
#define TESTS_PCI_TOY_H

#include "tests/support/fake_machine.h"
#include "vmm/machine/pci.h"

enum {
	TOY_COMMAND = 0x04,
	TOY_STATUS = 0x06,
	TOY_BAR0 = 0x10,
	TOY_COMMAND_IO = 0x1,
	TOY_COMMAND_MEMORY = 0x2,
	TOY_COMMAND_MASTER = 0x4,
	TOY_COMMAND_INTX_DISABLE = 0x400,
	TOY_STATUS_INTERRUPT = 0x8,
};

/* BAR 0: 4 KiB of 64-bit memory, BAR 2: 64 KiB of 32-bit memory, BAR 4: 32 ports. */
struct toy {
	struct pci_device pci;
	unsigned n_mapped[PCI_N_BARS], n_unmapping[PCI_N_BARS];
	uint64_t mapped_at[PCI_N_BARS];	/* 0: not */
	unsigned n_config_written, n_resets;
	uint64_t last_offset, last_value;
	uint64_t move_to;		/* not 0: a write to any BAR moves BAR 0 there */
};

/* Reads give 0x1122334455667700 + offset. */
extern const struct region_ops toy_region_ops;

/* With an interrupt pin, without BARs. */
void toy_init(struct toy *toy);

/* Init, with the BARs above, and put it on the bus.  Failure ends the test. */
void toy_add(struct fake_machine *fake, struct toy *toy);

/* Its configuration space and BAR 0's address, as the guest reads and writes them. */
uint32_t toy_config(struct fake_machine *fake, const struct toy *toy, unsigned offset,
		    unsigned size);
void toy_set_config(struct fake_machine *fake, const struct toy *toy, unsigned offset,
		    unsigned size, uint32_t value);
void toy_set_bar0(struct fake_machine *fake, const struct toy *toy, uint64_t addr);

#endif
