/* The 256 bytes of a function: built by its owner, read and written by the guest. */
#include "vmm/machine/pci.h"

#include <assert.h>
#include <string.h>

#include "vmm/base/le.h"
#include "vmm/machine/pci_internal.h"

void pci_device_init(struct pci_device *dev, const char *name, const struct pci_ids *ids,
		     const struct pci_device_ops *ops)
{
	memset(dev, 0, sizeof(*dev));
	dev->name = name;
	dev->ops = ops;
	dev->next_capability = PCI_HEADER_SIZE;

	uint8_t *c = dev->config;
	store_le16(c + PCI_VENDOR_ID, ids->vendor);
	store_le16(c + PCI_DEVICE_ID, ids->device);
	/* The class code's three bytes share a dword with the revision. */
	store_le32(c + PCI_REVISION, ids->class_code << 8 | ids->revision);
	store_le16(c + PCI_SUBSYSTEM_VENDOR, ids->subsystem_vendor);
	store_le16(c + PCI_SUBSYSTEM, ids->subsystem);
	c[PCI_INTERRUPT_PIN] = ids->has_intx ? 1 : 0;

	store_le16(dev->writable + PCI_COMMAND,
		   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			   PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->writable[PCI_INTERRUPT_LINE] = 0xff;
	store_le16(dev->write_1_clears + PCI_STATUS, PCI_STATUS_ERRORS);
}

void pci_device_set_bar(struct pci_device *dev, unsigned index, enum pci_bar_kind kind,
			uint64_t size, const struct region_ops *ops, void *arg)
{
	/* The type is in the low bits of the register: 6.2.5.1 "Address Maps". */
	static const uint8_t type[] = {
		[PCI_BAR_IO] = 1, [PCI_BAR_MEM32] = 0, [PCI_BAR_MEM64] = 4,
	};
	unsigned offset = PCI_BAR_0 + 4 * index;

	assert(!dev->root && kind != PCI_BAR_NONE && is_power_of_two(size));
	assert(size >= (kind == PCI_BAR_IO ? 4 : 16));
	assert(index + (kind == PCI_BAR_MEM64 ? 1 : 0) < PCI_N_BARS);

	dev->config[offset] = type[kind];
	/* Address bits below the size are wired to zero; that is how a driver learns the size. */
	store_le32(dev->writable + offset, (uint32_t)~(size - 1));
	if (kind == PCI_BAR_MEM64)
		store_le32(dev->writable + offset + 4, (uint32_t)(~(size - 1) >> 32));

	dev->bar[index] = (struct pci_bar){
		.kind = kind,
		.size = size,
		.region = { .name = dev->name, .size = size, .ops = ops, .arg = arg },
	};
}

/* The byte that points to the next capability to be added. */
static unsigned last_link(const struct pci_device *dev)
{
	unsigned link = PCI_CAPABILITIES;

	while (dev->config[link])
		link = dev->config[link] + 1u;
	return link;
}

unsigned pci_device_add_capability(struct pci_device *dev, uint8_t id, const void *body,
				   unsigned len)
{
	unsigned at = dev->next_capability;
	unsigned link = last_link(dev);

	assert(range_inside(at, len + 2ull, PCI_CONFIG_SIZE));
	dev->config[link] = (uint8_t)at;
	dev->config[at] = id;
	dev->config[at + 1] = 0;
	memcpy(dev->config + at + 2, body, len);
	dev->next_capability = (unsigned)align_up(at + 2 + len, 4);
	dev->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	return at;
}

uint16_t pci_device_command(const struct pci_device *dev)
{
	return load_le16(dev->config + PCI_COMMAND);
}

static bool is_access(unsigned offset, unsigned size)
{
	return (size == 1 || size == 2 || size == 4) && (offset & 3) + size <= 4 &&
	       range_inside(offset, size, PCI_CONFIG_SIZE);
}

static bool touches(unsigned offset, unsigned size, unsigned first, unsigned len)
{
	return offset < first + len && first < offset + size;
}

uint32_t pci_config_read(struct pci_device *dev, unsigned offset, unsigned size)
{
	if (!is_access(offset, size))
		return UINT32_MAX;
	if (dev->ops && dev->ops->config_reading)
		dev->ops->config_reading(dev, offset, size);
	return (uint32_t)load_le(dev->config + offset, size);
}

void pci_config_write(struct pci_device *dev, unsigned offset, unsigned size, uint32_t value)
{
	if (!is_access(offset, size))
		return;
	for (unsigned i = 0; i < size; i++) {
		uint8_t *byte = &dev->config[offset + i];
		uint8_t written = (uint8_t)(value >> (8 * i));
		uint8_t writable = dev->writable[offset + i];

		*byte = (uint8_t)((*byte & ~writable) | (written & writable));
		*byte &= (uint8_t)~(written & dev->write_1_clears[offset + i]);
	}
	bool command = touches(offset, size, PCI_COMMAND, 2);
	if (command)
		pci_device_update_intx(dev);
	if (dev->root && (command || touches(offset, size, PCI_BAR_0, 4 * PCI_N_BARS)))
		pci_bars_follow(dev->root, dev);
	if (dev->ops && dev->ops->config_written)
		dev->ops->config_written(dev, offset, size);
}
