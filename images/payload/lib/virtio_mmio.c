#include "images/payload/lib/cpu.h"
#include "images/payload/lib/virtio.h"
#include "vmm/machine/layout.h"

enum {
	MAGIC = 0x74726976,		/* "virt" */
	QEMU_MICROVM_BASE = 0xfeb00000,	/* for comparison: QEMU's devices, 24 of 512 bytes */
	QEMU_MICROVM_STRIDE = 0x200,
	QEMU_MICROVM_COUNT = 24,
};

static uint32_t mmio_status(struct virtio *v)
{
	return read32(v->base + MMIO_STATUS);
}

static void mmio_set_status(struct virtio *v, uint32_t status)
{
	write32(v->base + MMIO_STATUS, status);
}

static uint32_t mmio_features(struct virtio *v, uint32_t half)
{
	write32(v->base + MMIO_DEVICE_FEATURES_SELECT, half);
	return read32(v->base + MMIO_DEVICE_FEATURES);
}

static void mmio_set_features(struct virtio *v, uint32_t half, uint32_t bits)
{
	write32(v->base + MMIO_DRIVER_FEATURES_SELECT, half);
	write32(v->base + MMIO_DRIVER_FEATURES, bits);
}

static uint32_t mmio_generation(struct virtio *v)
{
	return read32(v->base + MMIO_GENERATION);
}

static void mmio_select_queue(struct virtio *v, uint16_t index)
{
	write32(v->base + MMIO_QUEUE_SELECT, index);
}

static uint16_t mmio_queue_max(struct virtio *v)
{
	return (uint16_t)read32(v->base + MMIO_QUEUE_SIZE_MAX);
}

static void write_address(uintptr_t at, uint64_t v)
{
	write32(at, (uint32_t)v);
	write32(at + 4, (uint32_t)(v >> 32));
}

static void mmio_set_queue(struct virtio *v, uint16_t size, uint64_t desc, uint64_t driver,
			   uint64_t device)
{
	write32(v->base + MMIO_QUEUE_SIZE, size);
	write_address(v->base + MMIO_QUEUE_DESC, desc);
	write_address(v->base + MMIO_QUEUE_DRIVER, driver);
	write_address(v->base + MMIO_QUEUE_DEVICE, device);
}

static void mmio_enable_queue(struct virtio *v)
{
	write32(v->base + MMIO_QUEUE_READY, 1);
}

static bool mmio_queue_enabled(struct virtio *v)
{
	return read32(v->base + MMIO_QUEUE_READY) == 1;
}

static uint32_t mmio_take_isr(struct virtio *v)
{
	uint32_t isr = read32(v->base + MMIO_INTERRUPT_STATUS);

	write32(v->base + MMIO_INTERRUPT_ACK, isr);
	return isr;
}

static const struct virtio_ops mmio_ops = {
	.read_status = mmio_status,
	.write_status = mmio_set_status,
	.read_features = mmio_features,
	.write_features = mmio_set_features,
	.read_generation = mmio_generation,
	.select_queue = mmio_select_queue,
	.queue_max = mmio_queue_max,
	.set_queue = mmio_set_queue,
	.enable_queue = mmio_enable_queue,
	.queue_enabled = mmio_queue_enabled,
	.take_isr = mmio_take_isr,
};

/* Is a device of type 'id' (0: any) at 'base', and the one that is looked for? */
static bool mmio_try(struct virtio *v, uintptr_t base, uint32_t gsi, uint32_t id, unsigned *nth)
{
	uint32_t found;

	if (read32(base + MMIO_MAGIC) != MAGIC || read32(base + MMIO_VERSION) != 2)
		return false;
	found = read32(base + MMIO_DEVICE_ID);
	if (found == 0 || (id != 0 && found != id) || (*nth)-- > 0)
		return false;
	*v = (struct virtio){
		.ops = &mmio_ops,
		.id = found,
		.base = base,
		.config = base + MMIO_CONFIG,
		.gsi = gsi,
	};
	return true;
}

bool virtio_mmio_find(struct virtio *v, uint32_t id, unsigned *nth)
{
	/* Ours lie next to each other: the first empty place is the end. */
	for (unsigned i = 0; i < LAYOUT_MAX_VIRTIO_MMIO; i++) {
		uintptr_t base = LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_MMIO_STRIDE;

		if (read32(base + MMIO_MAGIC) != MAGIC)
			break;
		if (mmio_try(v, base, layout_virtio_mmio_gsi(i), id, nth))
			return true;
	}
	/* QEMU fills its places from the last one downwards. */
	for (unsigned i = QEMU_MICROVM_COUNT; i-- > 0;) {
		if (mmio_try(v, QEMU_MICROVM_BASE + i * (uintptr_t)QEMU_MICROVM_STRIDE, 16 + i % 8,
			     id, nth))
			return true;
	}
	return false;
}
