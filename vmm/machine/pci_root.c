/* Bus 0: who is where, the INTx lines, and reset. */
#include "vmm/machine/pci.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/pci_internal.h"

/* The generic host bridge of the virtual world: drivers have no quirks for it. */
static const struct pci_ids host_bridge_ids = {
	.vendor = 0x1b36, .device = 0x0008,
	.subsystem_vendor = 0x1af4, .subsystem = 0x1100,
	.class_code = 0x060000,
};

static unsigned device_index(unsigned slot, unsigned function)
{
	return slot * PCI_N_FUNCTIONS + function;
}

int pci_root_init(struct pci_root *root, struct bus *pio, struct bus *mmio, struct irq_chip *irq)
{
	memset(root, 0, sizeof(*root));
	root->pio = pio;
	root->mmio = mmio;
	root->irq = irq;
	root->next_mem = LAYOUT_PCI_MMIO;
	root->next_io = PORT_PCI_BARS;

	struct pci_device *bridge = &root->host_bridge;
	pci_device_init(bridge, "host-bridge", &host_bridge_ids, NULL);
	memcpy(bridge->initial, bridge->config, sizeof(bridge->initial));
	bridge->root = root;
	root->device[0] = bridge;
	return pci_access_init(root);
}

/* Slot 0 is the host bridge's alone.  Function 0 must exist for the others to be found. */
static bool find_place(const struct pci_root *root, unsigned *slot, unsigned *function)
{
	const unsigned n_slots = PCI_N_SLOTS - 1;

	for (unsigned i = 0; i < n_slots * PCI_N_FUNCTIONS; i++) {
		unsigned s = 1 + (root->dense ? i / PCI_N_FUNCTIONS : i % n_slots);
		unsigned f = root->dense ? i % PCI_N_FUNCTIONS : i / n_slots;

		if (root->device[device_index(s, f)])
			continue;
		*slot = s;
		*function = f;
		return true;
	}
	return false;
}

/* Function 0 says whether it is worth looking for others in its slot. */
static void update_multifunction(struct pci_root *root, unsigned slot)
{
	struct pci_device *first = root->device[device_index(slot, 0)];
	bool many = false;

	if (!first)
		return;
	for (unsigned f = 1; f < PCI_N_FUNCTIONS; f++)
		many |= root->device[device_index(slot, f)] != NULL;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *type = (i ? first->initial : first->config) + PCI_HEADER_TYPE;
		*type &= (uint8_t)~PCI_HEADER_MULTIFUNCTION;
		*type |= many ? PCI_HEADER_MULTIFUNCTION : 0;
	}
}

int pci_root_add(struct pci_root *root, struct pci_device *dev)
{
	unsigned slot, function;

	assert(!dev->root);
	if (!find_place(root, &slot, &function))
		return error_set(ENOSPC, "no room for '%s' on PCI bus 0: %u functions are the most",
				 dev->name, (PCI_N_SLOTS - 1) * PCI_N_FUNCTIONS);
	int r = pci_bars_place(root, dev);
	if (r < 0)
		return r;
	dev->slot = slot;
	dev->function = function;
	dev->config[PCI_INTERRUPT_LINE] = (uint8_t)pci_device_gsi(dev);
	for (unsigned i = 0; i < PCI_N_BARS; i++) {
		if (dev->bar[i].kind == PCI_BAR_IO)
			dev->config[PCI_COMMAND] |= PCI_COMMAND_IO;
		else if (dev->bar[i].kind != PCI_BAR_NONE)
			dev->config[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	}
	memcpy(dev->initial, dev->config, sizeof(dev->initial));

	dev->root = root;
	root->device[device_index(slot, function)] = dev;
	update_multifunction(root, slot);
	pci_device_update_intx(dev);
	pci_bars_map(root);
	return 0;
}

void pci_root_remove(struct pci_device *dev)
{
	struct pci_root *root = dev->root;

	if (!root)
		return;
	dev->intx_level = false;
	pci_device_update_intx(dev);
	pci_bars_unmap(root, dev);
	root->device[device_index(dev->slot, dev->function)] = NULL;
	dev->root = NULL;
	update_multifunction(root, dev->slot);
	pci_bars_map(root);
}

void pci_root_reset(struct pci_root *root)
{
	root->address = 0;
	root->reset_control = 0;
	/* All leave before any returns: a guest may have swapped the places of two. */
	for (unsigned i = 0; i < PCI_MAX_FUNCTIONS; i++) {
		struct pci_device *dev = root->device[i];
		if (!dev)
			continue;
		pci_bars_unmap(root, dev);
		memcpy(dev->config, dev->initial, sizeof(dev->config));
		dev->intx_level = false;
		pci_device_update_intx(dev);
	}
	pci_bars_map(root);
	for (unsigned i = 0; i < PCI_MAX_FUNCTIONS; i++) {
		struct pci_device *dev = root->device[i];
		if (dev && dev->ops && dev->ops->reset)
			dev->ops->reset(dev);
	}
}

void pci_device_update_intx(struct pci_device *dev)
{
	struct pci_root *root = dev->root;
	bool has_pin = dev->config[PCI_INTERRUPT_PIN] != 0;
	bool level = dev->intx_level && has_pin;
	bool asserted = level && !(pci_device_command(dev) & PCI_COMMAND_INTX_DISABLE);

	dev->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	dev->config[PCI_STATUS] |= level ? PCI_STATUS_INTERRUPT : 0;
	if (!root || asserted == dev->intx_asserted)
		return;
	dev->intx_asserted = asserted;

	uint16_t *users = &root->line_users[dev->slot % GSI_PCI_LINES];
	if (asserted && (*users)++ == 0)
		irq_chip_set_line(root->irq, pci_device_gsi(dev), true);
	if (!asserted && --*users == 0)
		irq_chip_set_line(root->irq, pci_device_gsi(dev), false);
}

void pci_device_set_intx(struct pci_device *dev, bool level)
{
	dev->intx_level = level;
	pci_device_update_intx(dev);
}

bool pci_device_is_master(const struct pci_device *dev)
{
	return pci_device_command(dev) & PCI_COMMAND_MASTER;
}

uint32_t pci_device_gsi(const struct pci_device *dev)
{
	return GSI_PCI_INTA + dev->slot % GSI_PCI_LINES;
}
