/*
 * The window into the BAR that lies in configuration space, for code that cannot reach
 * memory-mapped registers yet.  All that it is pointed at comes from the guest, and only the
 * virtio structures of this function can be reached: no MSI-X table, no other BAR.
 *
 * virtio-v1.4 4.1.4.9 "PCI configuration access capability".
 */
#include <string.h>

#include "virtio/transport_pci.h"
#include "vmm/base/le.h"

/* Offsets in the capability. */
enum {
	WINDOW_BAR = 4,
	WINDOW_OFFSET = 8,
	WINDOW_LENGTH = 12,
	WINDOW_DATA = 16,
	WINDOW_DATA_LEN = 4,
	WINDOW_LEN = 20,
	CAPABILITY_VENDOR = 0x09,
	CFG_TYPE_PCI = 5,
};

void virtio_pci_window_add(struct virtio_pci *t)
{
	uint8_t body[WINDOW_LEN - 2] = { WINDOW_LEN, CFG_TYPE_PCI };

	t->window = pci_device_add_capability(&t->pci, CAPABILITY_VENDOR, body, sizeof(body));
	t->pci.writable[t->window + WINDOW_BAR] = 0xff;
	memset(t->pci.writable + t->window + WINDOW_OFFSET, 0xff, WINDOW_LEN - WINDOW_OFFSET);
}

static bool touches_data(const struct virtio_pci *t, unsigned offset, unsigned size)
{
	unsigned data = t->window + WINDOW_DATA;

	return t->window != 0 && offset < data + WINDOW_DATA_LEN && data < offset + size;
}

/* Where the window points; false if that is nowhere. */
static bool target(const struct virtio_pci *t, uint32_t *offset, uint32_t *len)
{
	const uint8_t *cap = t->pci.config + t->window;

	*offset = load_le32(cap + WINDOW_OFFSET);
	*len = load_le32(cap + WINDOW_LENGTH);
	if (cap[WINDOW_BAR] != VIRTIO_PCI_BAR || (*len != 1 && *len != 2 && *len != 4) ||
	    *offset % *len != 0)
		return false;
	uint32_t page = *offset & ~(uint32_t)(VIRTIO_PCI_PAGE - 1);
	return range_inside(*offset - page, *len, virtio_pci_structure_len(t, page));
}

void virtio_pci_window_reading(struct virtio_pci *t, unsigned offset, unsigned size)
{
	uint8_t *data = t->pci.config + t->window + WINDOW_DATA;
	uint32_t at, len;

	if (!touches_data(t, offset, size))
		return;
	memset(data, 0, WINDOW_DATA_LEN);
	if (target(t, &at, &len))
		store_le(data, len, virtio_pci_bar_read(t, at, len));
}

void virtio_pci_window_written(struct virtio_pci *t, unsigned offset, unsigned size)
{
	const uint8_t *data = t->pci.config + t->window + WINDOW_DATA;
	uint32_t at, len;

	if (touches_data(t, offset, size) && target(t, &at, &len))
		virtio_pci_bar_write(t, at, len, load_le(data, len));
}
