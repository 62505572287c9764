/*
 * virtio-pci: its modern face, and the search for devices with either.  The legacy face is
 * virtio_pci_legacy.c's.
 */
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/virtio.h"

enum {
	VENDOR_VIRTIO = 0x1af4,
	DEVICE_TRANSITIONAL = 0x1000,	/* to the one before DEVICE_MODERN */
	DEVICE_MODERN = 0x1040,		/* plus the device id */
	DEVICE_END = 0x1080,
	/* cfg_type of the vendor capabilities */
	CAP_COMMON = 1,
	CAP_NOTIFY = 2,
	CAP_ISR = 3,
	CAP_DEVICE = 4,
	CAP_WINDOW = 5,
};

static uint32_t pci_status(struct virtio *v)
{
	return read8(v->common + COMMON_STATUS);
}

static void pci_set_status(struct virtio *v, uint32_t status)
{
	write8(v->common + COMMON_STATUS, (uint8_t)status);
}

static uint32_t pci_features(struct virtio *v, uint32_t half)
{
	write32(v->common + COMMON_DEVICE_FEATURE_SELECT, half);
	return read32(v->common + COMMON_DEVICE_FEATURE);
}

static void pci_set_features(struct virtio *v, uint32_t half, uint32_t bits)
{
	write32(v->common + COMMON_DRIVER_FEATURE_SELECT, half);
	write32(v->common + COMMON_DRIVER_FEATURE, bits);
}

static uint32_t pci_generation(struct virtio *v)
{
	return read8(v->common + COMMON_GENERATION);
}

static void pci_select_queue(struct virtio *v, uint16_t index)
{
	write16(v->common + COMMON_QUEUE_SELECT, index);
}

static uint16_t pci_queue_max(struct virtio *v)
{
	return read16(v->common + COMMON_QUEUE_SIZE);
}

/* 64-bit registers are written as two halves, as virtio-v1.4 4.1.3.1 wants it of drivers. */
static void write_address(uintptr_t at, uint64_t v)
{
	write32(at, (uint32_t)v);
	write32(at + 4, (uint32_t)(v >> 32));
}

static void pci_set_queue(struct virtio *v, uint16_t size, uint64_t desc, uint64_t driver,
			  uint64_t device)
{
	write16(v->common + COMMON_QUEUE_SIZE, size);
	write_address(v->common + COMMON_QUEUE_DESC, desc);
	write_address(v->common + COMMON_QUEUE_DRIVER, driver);
	write_address(v->common + COMMON_QUEUE_DEVICE, device);
}

static void pci_enable_queue(struct virtio *v)
{
	write16(v->common + COMMON_QUEUE_ENABLE, 1);
}

static bool pci_queue_enabled(struct virtio *v)
{
	return read16(v->common + COMMON_QUEUE_ENABLE) == 1;
}

static void pci_reset_queue(struct virtio *v)
{
	write16(v->common + COMMON_QUEUE_RESET, 1);
}

static bool pci_queue_resetting(struct virtio *v)
{
	return read16(v->common + COMMON_QUEUE_RESET) != 0;
}

static uint16_t pci_set_config_vector(struct virtio *v, uint16_t vector)
{
	write16(v->common + COMMON_CONFIG_VECTOR, vector);
	return read16(v->common + COMMON_CONFIG_VECTOR);
}

static uint16_t pci_set_queue_vector(struct virtio *v, uint16_t vector)
{
	write16(v->common + COMMON_QUEUE_VECTOR, vector);
	return read16(v->common + COMMON_QUEUE_VECTOR);
}

static uint32_t pci_take_isr(struct virtio *v)
{
	return read8(v->isr);
}

static const struct virtio_ops pci_ops = {
	.read_status = pci_status,
	.write_status = pci_set_status,
	.read_features = pci_features,
	.write_features = pci_set_features,
	.read_generation = pci_generation,
	.select_queue = pci_select_queue,
	.queue_max = pci_queue_max,
	.set_queue = pci_set_queue,
	.enable_queue = pci_enable_queue,
	.queue_enabled = pci_queue_enabled,
	.reset_queue = pci_reset_queue,
	.queue_resetting = pci_queue_resetting,
	.take_isr = pci_take_isr,
	.set_config_vector = pci_set_config_vector,
	.set_queue_vector = pci_set_queue_vector,
	.read_config = virtio_memory_read_config,
	.write_config = virtio_memory_write_config,
};

/* virtio-v1.4 4.1.4 "Virtio Structure PCI Capabilities" */
static void pci_read_capability(struct virtio *v, unsigned cap)
{
	uint8_t type = pci_read8(v->function, cap + 3), bar = pci_read8(v->function, cap + 4);
	uint32_t offset = pci_read32(v->function, cap + 8);
	uintptr_t at;

	if (type == CAP_WINDOW)
		v->window_cap = cap;
	if (type < CAP_COMMON || type > CAP_DEVICE || bar > 5)
		return;
	at = pci_bar_address(v->function, bar) + offset;
	switch (type) {
	case CAP_COMMON:
		v->common = at;
		v->common_cap = cap;
		break;
	case CAP_NOTIFY:
		v->notify = at;
		v->notify_cap = cap;
		v->notify_length = pci_read32(v->function, cap + 12);
		v->notify_multiplier = pci_read32(v->function, cap + 16);
		break;
	case CAP_ISR:
		v->isr = at;
		v->isr_cap = cap;
		break;
	case CAP_DEVICE:
		v->config = at;
		v->config_cap = cap;
		v->config_length = pci_read32(v->function, cap + 12);
		break;
	}
}

/* Drive the function by its modern face. */
static bool pci_open_modern(struct virtio *v)
{
	v->ops = &pci_ops;
	for (unsigned cap = pci_capability(v->function, PCI_CAP_VENDOR, 0); cap != 0;
	     cap = pci_capability(v->function, PCI_CAP_VENDOR, cap))
		pci_read_capability(v, cap);
	return v->common != 0 && v->notify != 0 && v->isr != 0;
}

bool virtio_pci_find(struct virtio *v, uint32_t id, unsigned *nth)
{
	struct pci_function f = { 0, 0 };

	for (bool more = pci_next(&f, true); more; more = pci_next(&f, false)) {
		uint16_t device = pci_read16(f, PCI_DEVICE);
		bool is_modern = device >= DEVICE_MODERN;
		uint32_t found;

		if (pci_read16(f, PCI_VENDOR) != VENDOR_VIRTIO || device < DEVICE_TRANSITIONAL ||
		    device >= DEVICE_END)
			continue;
		found = is_modern ? device - (uint32_t)DEVICE_MODERN :
				    pci_read16(f, PCI_SUBSYSTEM);
		if (id != 0 && found != id)
			continue;
		*v = (struct virtio){
			.id = found, .is_pci = true, .function = f, .vector = VIRTIO_NO_VECTOR
		};
		if (!(virtio_face_wanted(false) && pci_open_modern(v)) &&
		    !(virtio_face_wanted(true) && !is_modern && virtio_pci_open_legacy(v)))
			continue;
		if ((*nth)-- == 0)
			return true;
	}
	return false;
}
