/* A PCI function with MSI-X and a few sources, and a guest's ways to it. */
#ifndef TESTS_MSIX_RIG_H
#define TESTS_MSIX_RIG_H

#include "tests/support/fake_machine.h"
#include "vmm/machine/msix.h"

enum {
	RIG_VECTORS = 70,
	RIG_SOURCES = 4,
	RIG_TABLE = 0x1000,
	RIG_PBA = 0x1800,
	RIG_CONTROL = 0x42,		/* the capability is the only one, at 0x40 */
	RIG_CONTROL_ENABLE = 0x8000,
	RIG_CONTROL_MASK_ALL = 0x4000,
};

struct msix_rig {
	struct fake_machine *fake;
	struct pci_device dev;
	struct msix *msix;
	struct msix_source source[RIG_SOURCES];
	unsigned n_intx[RIG_SOURCES];
};

/* Bus master and MSI-X are off, every source has no vector; the main loop has followed. */
void msix_rig_init(struct msix_rig *rig);
void msix_rig_fini(struct msix_rig *rig);

/* The guest writes Message Control, Bus Master Enable, or both to let messages out. */
void msix_rig_control(struct msix_rig *rig, uint16_t value);
void msix_rig_master(struct msix_rig *rig, bool on);
void msix_rig_enable(struct msix_rig *rig);

/* The guest writes an entry's message or mask, by dwords, or reads a pending bit. */
void msix_rig_message(struct msix_rig *rig, unsigned vector, uint64_t addr, uint32_t data);
void msix_rig_mask(struct msix_rig *rig, unsigned vector, bool masked);
bool msix_rig_is_pending(struct msix_rig *rig, unsigned vector);

/* The device interrupts. */
void msix_rig_signal(struct msix_rig *rig, unsigned source);

#endif
