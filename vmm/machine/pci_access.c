/*
 * The guest's two ways to configuration space: ports CF8/CFC ("configuration mechanism #1", PCI
 * Local Bus Specification 3.0, 3.2.2.3.2) and ECAM (PCI Express Base Specification, 7.2.2).
 * Only bus 0 exists.
 */
#include "vmm/machine/pci_internal.h"

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

enum {
	ADDRESS_ENABLE_SHIFT = 31,
	RESET_CONTROL = PORT_ACPI_RESET - PORT_PCI_ADDRESS,
	RESET_CONTROL_WRITABLE = 0x0e,	/* reset type, reset, full reset */
	RESET_CONTROL_RESET = 0x04,
};

/* Bits 1-0 and 30-24 are wired to zero. */
static const uint32_t address_writable = 0x80fffffc;

static uint64_t all_ones(unsigned size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

/*
 * CF8 takes dwords only; smaller accesses belong to other registers that share the ports, of
 * which we have one: the reset control register of Intel's chipsets.
 */
static uint64_t address_read(void *arg, uint64_t offset, unsigned size)
{
	const struct pci_root *root = arg;

	if (size == 4)
		return root->address;
	if (size == 1 && offset == RESET_CONTROL)
		return root->reset_control;
	return all_ones(size);
}

static void address_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_root *root = arg;

	if (size == 4)
		root->address = (uint32_t)value & address_writable;
	if (size != 1 || offset != RESET_CONTROL)
		return;
	root->reset_control = (uint8_t)value & RESET_CONTROL_WRITABLE;
	if ((value & RESET_CONTROL_RESET) && root->reset_requested)
		root->reset_requested(root->reset_arg);
}

static const struct region_ops address_ops = { .read = address_read, .write = address_write };

/* The function that CF8 selects, or NULL. */
static struct pci_device *selected(const struct pci_root *root)
{
	unsigned bus = root->address >> 16 & 0xff;

	if (!(root->address >> ADDRESS_ENABLE_SHIFT) || bus != 0)
		return NULL;
	return root->device[root->address >> 8 & 0xff];
}

static uint64_t data_read(void *arg, uint64_t offset, unsigned size)
{
	const struct pci_root *root = arg;
	struct pci_device *dev = selected(root);

	if (!dev)
		return all_ones(size);
	return pci_config_read(dev, (root->address & 0xfc) + (unsigned)offset, size);
}

static void data_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	const struct pci_root *root = arg;
	struct pci_device *dev = selected(root);

	if (dev)
		pci_config_write(dev, (root->address & 0xfc) + (unsigned)offset, size,
				 (uint32_t)value);
}

static const struct region_ops data_ops = { .read = data_read, .write = data_write };

/* An access that is no configuration access by itself: 8 bytes, or across 4-byte boundaries. */
static bool is_split(uint64_t offset, unsigned size)
{
	return (offset & 3) + size > 4;
}

static uint64_t ecam_read(void *arg, uint64_t offset, unsigned size)
{
	const struct pci_root *root = arg;

	if (is_split(offset, size)) {
		unsigned half = size / 2;
		uint64_t low = ecam_read(arg, offset, half);
		return low | ecam_read(arg, offset + half, half) << (8 * half);
	}
	struct pci_device *dev = root->device[offset >> 12];
	unsigned reg = offset & 0xfff;
	/*
	 * Our functions are conventional ones, without extended configuration space: all ones.
	 * Zero would be an empty list of extended capabilities.
	 */
	if (!dev || reg >= PCI_CONFIG_SIZE)
		return all_ones(size);
	return pci_config_read(dev, reg, size);
}

static void ecam_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	const struct pci_root *root = arg;

	if (is_split(offset, size)) {
		unsigned half = size / 2;
		ecam_write(arg, offset, half, value & all_ones(half));
		ecam_write(arg, offset + half, half, value >> (8 * half));
		return;
	}
	struct pci_device *dev = root->device[offset >> 12];
	unsigned reg = offset & 0xfff;
	if (dev && reg < PCI_CONFIG_SIZE)
		pci_config_write(dev, reg, size, (uint32_t)value);
}

static const struct region_ops ecam_ops = { .read = ecam_read, .write = ecam_write };

int pci_access_init(struct pci_root *root)
{
	int r;

	root->address_region = (struct region){
		.name = "pci-address", .base = PORT_PCI_ADDRESS, .size = 4,
		.ops = &address_ops, .arg = root,
	};
	root->data_region = (struct region){
		.name = "pci-data", .base = PORT_PCI_DATA, .size = 4,
		.ops = &data_ops, .arg = root,
	};
	root->ecam_region = (struct region){
		.name = "pci-ecam", .base = LAYOUT_ECAM, .size = LAYOUT_ECAM_SIZE,
		.ops = &ecam_ops, .arg = root,
	};
	r = bus_add(root->pio, &root->address_region);
	if (r == 0)
		r = bus_add(root->pio, &root->data_region);
	if (r == 0)
		r = bus_add(root->mmio, &root->ecam_region);
	if (r < 0)
		return error_add(r, "claim the PCI root's registers");
	return 0;
}

void pci_root_on_reset_request(struct pci_root *root, void (*requested)(void *arg), void *arg)
{
	root->reset_requested = requested;
	root->reset_arg = arg;
}
