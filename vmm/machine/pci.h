/*
 * The PCI root: bus 0, configuration access by CF8/CFC and ECAM, BARs that appear on the
 * machine's buses when they decode, capabilities, INTx lines.  A PCI function is a struct
 * pci_device embedded in its owner (virtio/transport_pci.c, the host bridge).
 *
 * A guest may put a BAR anywhere.  It decodes only inside the host bridge's windows (layout.h:
 * 32-bit PCI memory, PCI ports) and where nothing else does; elsewhere it is silent until it is
 * moved, or until what was in its way goes.
 *
 * pci_config.c: the registers of a function; pci_bar.c: where BARs decode; pci_access.c: the
 * guest's ways to the registers; pci_root.c: the rest.
 *
 * All calls: control path, machine lock held (or before the vCPUs run).
 * PCI Local Bus Specification 3.0, chapter 6; PCI Express Base Specification, 7.2.2 ECAM.
 */
#ifndef MACHINE_PCI_H
#define MACHINE_PCI_H

#include "vmm/base/log.h"
#include "vmm/base/util.h"
#include "vmm/machine/bus.h"
#include "vmm/machine/irq_chip.h"

enum { PCI_CONFIG_SIZE = 256, PCI_N_BARS = 6, PCI_MAX_FUNCTIONS = 256, PCI_N_SLOTS = 32 };

enum pci_bar_kind {
	PCI_BAR_NONE,
	PCI_BAR_IO,
	PCI_BAR_MEM32,
	PCI_BAR_MEM64,			/* takes two BAR registers */
};

struct pci_device;

struct pci_device_ops {
	/*
	 * Optional: called before a read of [offset, offset + size) of the configuration space
	 * is answered / after a write has been stored under the write mask and BARs and INTx
	 * follow it.
	 */
	void (*config_reading)(struct pci_device *dev, unsigned offset, unsigned size);
	void (*config_written)(struct pci_device *dev, unsigned offset, unsigned size);
	/*
	 * Optional: BAR 'bar' now decodes at 'addr' / is about to stop decoding there.  Where
	 * doorbells are attached and detached.  Always in pairs.
	 */
	void (*bar_mapped)(struct pci_device *dev, unsigned bar, uint64_t addr);
	void (*bar_unmapping)(struct pci_device *dev, unsigned bar, uint64_t addr);
	/* Optional: system reset, after the configuration space went back to its initial state. */
	void (*reset)(struct pci_device *dev);
};

struct pci_bar {
	enum pci_bar_kind kind;
	uint64_t size;			/* power of two */
	struct region region;		/* on a bus while 'mapped' */
	bool mapped;
};

struct pci_device {
	const char *name;		/* keeps; for messages and region names */
	const struct pci_device_ops *ops;
	struct pci_root *root;		/* NULL until added */
	unsigned slot, function;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t initial[PCI_CONFIG_SIZE];	/* what a reset restores */
	uint8_t writable[PCI_CONFIG_SIZE];	/* bits the guest may change */
	uint8_t write_1_clears[PCI_CONFIG_SIZE];
	unsigned next_capability;	/* where the next one goes */
	struct pci_bar bar[PCI_N_BARS];
	bool intx_level;		/* what the function drives, before Interrupt Disable */
	bool intx_asserted;		/* counted in the root's line_users */
};

struct pci_root {
	struct bus *pio, *mmio;		/* keeps */
	struct irq_chip *irq;		/* keeps */
	struct pci_device *device[PCI_MAX_FUNCTIONS];	/* index slot * 8 + function; keeps */
	struct pci_device host_bridge;
	bool dense;			/* see pci_root_add; the owner's choice, false at first */
	uint32_t address;		/* CF8 */
	struct region address_region, data_region, ecam_region;
	uint64_t next_mem, next_io;	/* where the next BAR is placed at build time */
	uint16_t line_users[4];		/* functions that assert each INTx line */
	void (*reset_requested)(void *arg);	/* the reset control register, port 0xcf9 */
	void *reset_arg;
	uint8_t reset_control;
	struct log_limit refused_bars;
};

struct pci_ids {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code;		/* 24 bits: class, subclass, interface */
	bool has_intx;			/* Interrupt Pin = INTA, else 0 */
};

/*
 * Set up bus 0 with a host bridge at 00:00.0 and claim CF8/CFC and ECAM.
 * Returns 0 or -errno with an error chain.
 */
MUST_USE int pci_root_init(struct pci_root *root, struct bus *pio, struct bus *mmio,
			   struct irq_chip *irq);

/*
 * Port 0xcf9 lies in the middle of CF8, so the root serves it: 'requested' is called when the guest
 * writes a byte with the reset bit (2) there.
 */
void pci_root_on_reset_request(struct pci_root *root, void (*requested)(void *arg), void *arg);

/* Fill in the header of a function that its owner embeds.  'name' and 'ops' are kept. */
void pci_device_init(struct pci_device *dev, const char *name, const struct pci_ids *ids,
		     const struct pci_device_ops *ops);

/*
 * Declare BAR 'index' ('size' a power of two, >= 16 for memory, >= 4 for I/O).  'ops' and 'arg'
 * serve it.  Before pci_root_add.
 */
void pci_device_set_bar(struct pci_device *dev, unsigned index, enum pci_bar_kind kind,
			uint64_t size, const struct region_ops *ops, void *arg);

/*
 * Append a capability: 'body' holds the 'len' bytes after the two-byte header (id, next).
 * Returns the offset of the header.  Space is a matter of the program, not of the guest: it
 * asserts.
 */
unsigned pci_device_add_capability(struct pci_device *dev, uint8_t id, const void *body,
				   unsigned len);

/*
 * Put the function on the bus at the first free place, give its BARs addresses, enable decoding.
 * What the configuration space holds then is what a system reset restores. 'dev' is kept until
 * pci_root_remove.
 *
 * Places are function 0 of each slot, then functions 1-7; or, if the root is 'dense', all
 * functions of a slot before the next slot, so that drivers also find more than 31 devices in the
 * order in which they were added (disks get their letters by it).
 *
 * Returns 0; -ENOSPC with an error chain when the bus or the BAR window is full.
 */
MUST_USE int pci_root_add(struct pci_root *root, struct pci_device *dev);

/* Take the function off the bus; its addresses are not given to others.  Fine when not added. */
void pci_root_remove(struct pci_device *dev);

/*
 * System reset of every function: configuration (and so its BARs) back to the initial state,
 * INTx low, then ops->reset.
 */
void pci_root_reset(struct pci_root *root);

/*
 * Drive INTx; Interrupt Status, Interrupt Disable and the shared line are handled here.
 * Nothing for a function without an interrupt pin.
 */
void pci_device_set_intx(struct pci_device *dev, bool level);

/* May the function do DMA and send messages (Bus Master Enable)? */
bool pci_device_is_master(const struct pci_device *dev);

/* The GSI that a function's INTA is wired to: GSI_PCI_INTA + slot % 4. */
uint32_t pci_device_gsi(const struct pci_device *dev);

/*
 * Configuration access as the guest does it: 'size' 1, 2 or 4, inside one aligned 4 bytes.
 * Anything else reads all ones and writes nothing.
 */
uint32_t pci_config_read(struct pci_device *dev, unsigned offset, unsigned size);
void pci_config_write(struct pci_device *dev, unsigned offset, unsigned size, uint32_t value);

#endif
