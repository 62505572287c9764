/*
 * The legacy face of virtio-pci: one block of ports, queues of the device's size in pages that
 * follow each other, no FEATURES_OK.  virtio-v1.4 4.1.4.10 "Legacy Interfaces: A Note on PCI Device
 * Layout"
 */
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/virtio.h"

static uint16_t at(struct virtio *v, unsigned offset)
{
	return (uint16_t)(v->port + offset);
}

static uint32_t legacy_status(struct virtio *v)
{
	return in8(at(v, LEGACY_STATUS));
}

static void legacy_set_status(struct virtio *v, uint32_t status)
{
	out8(at(v, LEGACY_STATUS), (uint8_t)status);
}

static uint32_t legacy_features(struct virtio *v, uint32_t half)
{
	return half == 0 ? in32(at(v, LEGACY_DEVICE_FEATURES)) : 0;
}

static void legacy_set_features(struct virtio *v, uint32_t half, uint32_t bits)
{
	if (half == 0)
		out32(at(v, LEGACY_DRIVER_FEATURES), bits);
}

static uint32_t legacy_generation(struct virtio *v)
{
	(void)v;
	return 0;
}

static void legacy_select_queue(struct virtio *v, uint16_t index)
{
	out16(at(v, LEGACY_QUEUE_SELECT), index);
}

static uint16_t legacy_queue_max(struct virtio *v)
{
	return in16(at(v, LEGACY_QUEUE_SIZE));
}

/* The one address says it all, and the queue runs from here on. */
static void legacy_set_queue(struct virtio *v, uint16_t size, uint64_t desc, uint64_t driver,
			     uint64_t device)
{
	(void)size;
	(void)driver;
	(void)device;
	out32(at(v, LEGACY_QUEUE_PFN), (uint32_t)(desc / LEGACY_PAGE));
}

static void legacy_enable_queue(struct virtio *v)
{
	(void)v;
}

static bool legacy_queue_enabled(struct virtio *v)
{
	return in32(at(v, LEGACY_QUEUE_PFN)) != 0;
}

static void legacy_reset_queue(struct virtio *v)
{
	out32(at(v, LEGACY_QUEUE_PFN), 0);
}

static uint32_t legacy_take_isr(struct virtio *v)
{
	return in8(at(v, LEGACY_ISR));
}

static uint16_t legacy_set_config_vector(struct virtio *v, uint16_t vector)
{
	out16(at(v, LEGACY_CONFIG_VECTOR), vector);
	return in16(at(v, LEGACY_CONFIG_VECTOR));
}

static uint16_t legacy_set_queue_vector(struct virtio *v, uint16_t vector)
{
	out16(at(v, LEGACY_QUEUE_VECTOR), vector);
	return in16(at(v, LEGACY_QUEUE_VECTOR));
}

/* Where the device configuration is now: it moves with MSI-X Enable. */
static uint16_t config_at(struct virtio *v, unsigned offset)
{
	return at(v, (msix_is_enabled(v->function) ? LEGACY_CONFIG_WITH_VECTORS : LEGACY_CONFIG) +
			     offset);
}

static uint32_t legacy_read_config(struct virtio *v, unsigned offset, unsigned size)
{
	uint16_t port = config_at(v, offset);

	return size == 1 ? in8(port) : size == 2 ? in16(port) : in32(port);
}

static void legacy_write_config(struct virtio *v, unsigned offset, unsigned size, uint32_t value)
{
	uint16_t port = config_at(v, offset);

	if (size == 1)
		out8(port, (uint8_t)value);
	else if (size == 2)
		out16(port, (uint16_t)value);
	else
		out32(port, value);
}

static const struct virtio_ops legacy_ops = {
	.read_status = legacy_status,
	.write_status = legacy_set_status,
	.read_features = legacy_features,
	.write_features = legacy_set_features,
	.read_generation = legacy_generation,
	.select_queue = legacy_select_queue,
	.queue_max = legacy_queue_max,
	.set_queue = legacy_set_queue,
	.enable_queue = legacy_enable_queue,
	.queue_enabled = legacy_queue_enabled,
	.reset_queue = legacy_reset_queue,
	.queue_resetting = legacy_queue_enabled,
	.take_isr = legacy_take_isr,
	.set_config_vector = legacy_set_config_vector,
	.set_queue_vector = legacy_set_queue_vector,
	.read_config = legacy_read_config,
	.write_config = legacy_write_config,
};

bool virtio_pci_open_legacy(struct virtio *v)
{
	v->port = pci_io_bar(v->function, 0);
	v->ops = &legacy_ops;
	v->is_legacy = true;
	v->has_fixed_size = true;
	v->config = 0;
	return v->port != 0;
}
