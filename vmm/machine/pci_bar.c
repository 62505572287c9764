/*
 * Where BARs decode.  A BAR is on the machine's bus exactly while the command register lets it
 * decode, its address lies in the host bridge's window, and nothing else is there.
 */
#include "vmm/machine/pci_internal.h"

#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"
#include "vmm/machine/layout.h"

static unsigned bar_register(unsigned index)
{
	return PCI_BAR_0 + 4 * index;
}

static uint64_t bar_address(const struct pci_device *dev, unsigned index)
{
	const struct pci_bar *bar = &dev->bar[index];
	const uint8_t *reg = dev->config + bar_register(index);
	uint64_t addr = bar->kind == PCI_BAR_MEM64 ? load_le64(reg) : load_le32(reg);

	return addr & ~(bar->size - 1);
}

/* Would the BAR decode if nothing else were at its address? */
static bool bar_wants(const struct pci_device *dev, unsigned index)
{
	const struct pci_bar *bar = &dev->bar[index];
	uint64_t addr = bar_address(dev, index);
	uint16_t command = pci_device_command(dev);

	switch (bar->kind) {
	case PCI_BAR_IO:
		return (command & PCI_COMMAND_IO) && addr >= PORT_PCI_BARS &&
		       range_inside(addr, bar->size, PORT_PCI_BARS_END + 1);
	case PCI_BAR_MEM32:
	case PCI_BAR_MEM64:
		return (command & PCI_COMMAND_MEMORY) && addr >= LAYOUT_PCI_MMIO &&
		       range_inside(addr, bar->size, LAYOUT_PCI_MMIO_END);
	default:
		return false;
	}
}

static struct bus *bar_bus(const struct pci_root *root, const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_IO ? root->pio : root->mmio;
}

static void bar_unmap(struct pci_root *root, struct pci_device *dev, unsigned index)
{
	struct pci_bar *bar = &dev->bar[index];

	if (!bar->mapped)
		return;
	if (dev->ops && dev->ops->bar_unmapping)
		dev->ops->bar_unmapping(dev, index, bar->region.base);
	bus_remove(bar_bus(root, bar), &bar->region);
	bar->mapped = false;
}

static void bar_map(struct pci_root *root, struct pci_device *dev, unsigned index)
{
	struct pci_bar *bar = &dev->bar[index];

	if (bar->mapped || !bar_wants(dev, index))
		return;
	bar->region.base = bar_address(dev, index);
	if (bus_add(bar_bus(root, bar), &bar->region) < 0) {
		log_guest(&root->refused_bars, LOG_WARNING,
			  "guest put BAR %u of '%s' where something else is (0x%llx): ignored",
			  index, dev->name, (unsigned long long)bar->region.base);
		error_clear();
		return;
	}
	bar->mapped = true;
	if (dev->ops && dev->ops->bar_mapped)
		dev->ops->bar_mapped(dev, index, bar->region.base);
}

void pci_bars_unmap(struct pci_root *root, struct pci_device *dev)
{
	for (unsigned i = 0; i < PCI_N_BARS; i++)
		bar_unmap(root, dev, i);
}

void pci_bars_map(struct pci_root *root)
{
	for (unsigned i = 0; i < PCI_MAX_FUNCTIONS; i++)
		for (unsigned k = 0; root->device[i] && k < PCI_N_BARS; k++)
			bar_map(root, root->device[i], k);
}

void pci_bars_follow(struct pci_root *root, struct pci_device *dev)
{
	for (unsigned i = 0; i < PCI_N_BARS; i++)
		if (!bar_wants(dev, i) || bar_address(dev, i) != dev->bar[i].region.base)
			bar_unmap(root, dev, i);
	/* All, not only those of 'dev': what it left may have been in the way of another. */
	pci_bars_map(root);
}

static int bar_place(struct pci_root *root, struct pci_device *dev, unsigned index)
{
	struct pci_bar *bar = &dev->bar[index];
	bool is_io = bar->kind == PCI_BAR_IO;
	uint64_t *next = is_io ? &root->next_io : &root->next_mem;
	uint64_t end = is_io ? PORT_PCI_BARS_END + 1ull : LAYOUT_PCI_MMIO_END;
	uint64_t addr = align_up(*next, bar->size);
	uint8_t *reg = dev->config + bar_register(index);

	if (!range_inside(addr, bar->size, end))
		return error_set(ENOSPC, "no room for BAR %u of '%s' (0x%llx bytes) below 0x%llx",
				 index, dev->name, (unsigned long long)bar->size,
				 (unsigned long long)end);
	*next = addr + bar->size;
	store_le32(reg, load_le32(reg) | (uint32_t)addr);
	return 0;
}

int pci_bars_place(struct pci_root *root, struct pci_device *dev)
{
	for (unsigned i = 0; i < PCI_N_BARS; i++) {
		if (dev->bar[i].kind == PCI_BAR_NONE)
			continue;
		int r = bar_place(root, dev, i);
		if (r < 0)
			return r;
	}
	return 0;
}
