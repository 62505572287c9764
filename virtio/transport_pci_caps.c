/*
 * The capabilities that name the parts of a modern virtio-pci function, and its BARs.  virtio-v1.4
 * 4.1.4 "Virtio Structure PCI Capabilities".
 */
#include "virtio/transport_pci.h"
#include "vmm/base/le.h"

enum {
	CAPABILITY_VENDOR = 0x09,
	CFG_TYPE_COMMON = 1,
	CFG_TYPE_NOTIFY = 2,
	CFG_TYPE_ISR = 3,
	CFG_TYPE_DEVICE = 4,
	CFG_TYPE_SHARED_MEMORY = 8,
};

static void add_structure(struct virtio_pci *t, uint8_t cfg_type, uint32_t page,
			  bool has_multiplier)
{
	uint8_t cap[20] = { 0 };
	unsigned len = has_multiplier ? 20 : 16;

	cap[2] = (uint8_t)len;
	cap[3] = cfg_type;
	cap[4] = VIRTIO_PCI_BAR;
	store_le32(cap + 8, page);
	store_le32(cap + 12, virtio_pci_structure_len(t, page));
	store_le32(cap + 16, VIRTIO_PCI_NOTIFY_STRIDE);
	pci_device_add_capability(&t->pci, CAPABILITY_VENDOR, cap + 2, len - 2);
}

/* 4.1.4.7 "Shared memory capability": offset and length have 64 bits. */
static void add_shm(struct virtio_pci *t, const struct virtio_pci_shm *s)
{
	uint8_t cap[24] = { 0 };

	cap[2] = sizeof(cap);
	cap[3] = CFG_TYPE_SHARED_MEMORY;
	cap[4] = VIRTIO_PCI_SHM_BAR;
	cap[5] = s->shm->id;
	store_le32(cap + 8, (uint32_t)s->offset);
	store_le32(cap + 12, (uint32_t)s->shm->len);
	store_le32(cap + 16, (uint32_t)(s->offset >> 32));
	store_le32(cap + 20, (uint32_t)(s->shm->len >> 32));
	pci_device_add_capability(&t->pci, CAPABILITY_VENDOR, cap + 2, sizeof(cap) - 2);
}

/* The region that an access to the shared memory BAR reaches as a whole, or NULL. */
static const struct virtio_pci_shm *shm_at(const struct virtio_pci *t, uint64_t offset,
					   unsigned size)
{
	for (unsigned i = 0; i < t->base.device->n_shm; i++) {
		const struct virtio_pci_shm *s = &t->shm[i];
		if (offset >= s->offset && range_inside(offset - s->offset, size, s->shm->len))
			return s;
	}
	return NULL;
}

static uint64_t shm_read(void *arg, uint64_t offset, unsigned size)
{
	const struct virtio_pci_shm *s = shm_at(arg, offset, size);

	return s ? s->shm->ops->read(s->shm->arg, offset - s->offset, size) : UINT64_MAX;
}

static void shm_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	const struct virtio_pci_shm *s = shm_at(arg, offset, size);

	if (s)
		s->shm->ops->write(s->shm->arg, offset - s->offset, size, value);
}

static const struct region_ops shm_ops = { .read = shm_read, .write = shm_write };

static void add_shared_memory(struct virtio_pci *t)
{
	const struct virtio_device *dev = t->base.device;
	uint64_t end = 0, size = VIRTIO_PCI_PAGE;

	for (unsigned i = 0; i < dev->n_shm; i++) {
		t->shm[i] = (struct virtio_pci_shm){ .shm = &dev->shm[i], .offset = end };
		end += dev->shm[i].len;
		add_shm(t, &t->shm[i]);
	}
	while (size < end)
		size *= 2;
	if (dev->n_shm > 0)
		pci_device_set_bar(&t->pci, VIRTIO_PCI_SHM_BAR, PCI_BAR_MEM64, size, &shm_ops, t);
}

void virtio_pci_add_structures(struct virtio_pci *t)
{
	add_structure(t, CFG_TYPE_COMMON, VIRTIO_PCI_COMMON, false);
	add_structure(t, CFG_TYPE_ISR, VIRTIO_PCI_ISR, false);
	if (t->base.device->config_len > 0)
		add_structure(t, CFG_TYPE_DEVICE, VIRTIO_PCI_DEVICE, false);
	add_structure(t, CFG_TYPE_NOTIFY, VIRTIO_PCI_NOTIFY, true);
	virtio_pci_window_add(t);
	add_shared_memory(t);
}
