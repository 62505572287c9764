/* virtio-mmio, versions 2 and 1 (legacy). */
#include "images/payload/lib/boot_info.h"
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

static void mmio_reset_queue(struct virtio *v)
{
	write32(v->base + MMIO_QUEUE_RESET, 1);
}

static bool mmio_queue_resetting(struct virtio *v)
{
	return read32(v->base + MMIO_QUEUE_RESET) != 0;
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
	.reset_queue = mmio_reset_queue,
	.queue_resetting = mmio_queue_resetting,
	.take_isr = mmio_take_isr,
	.read_config = virtio_memory_read_config,
	.write_config = virtio_memory_write_config,
};

static uint32_t mmio_legacy_generation(struct virtio *v)
{
	(void)v;
	return 0;
}

/*
 * The page size is written once for the life of the device, as drivers in the field do: it survives
 * resets.
 */
static void mmio_legacy_set_queue(struct virtio *v, uint16_t size, uint64_t desc, uint64_t driver,
				  uint64_t device)
{
	(void)driver;
	(void)device;
	if (!v->page_size_written)
		write32(v->base + MMIO_GUEST_PAGE_SIZE, LEGACY_PAGE);
	v->page_size_written = true;
	write32(v->base + MMIO_QUEUE_SIZE, size);
	write32(v->base + MMIO_QUEUE_ALIGN, LEGACY_PAGE);
	write32(v->base + MMIO_QUEUE_PFN, (uint32_t)(desc / LEGACY_PAGE));
}

static void mmio_legacy_enable_queue(struct virtio *v)
{
	(void)v;
}

static bool mmio_legacy_queue_enabled(struct virtio *v)
{
	return read32(v->base + MMIO_QUEUE_PFN) != 0;
}

static void mmio_legacy_reset_queue(struct virtio *v)
{
	write32(v->base + MMIO_QUEUE_PFN, 0);
}

static const struct virtio_ops mmio_legacy_ops = {
	.read_status = mmio_status,
	.write_status = mmio_set_status,
	.read_features = mmio_features,
	.write_features = mmio_set_features,
	.read_generation = mmio_legacy_generation,
	.select_queue = mmio_select_queue,
	.queue_max = mmio_queue_max,
	.set_queue = mmio_legacy_set_queue,
	.enable_queue = mmio_legacy_enable_queue,
	.queue_enabled = mmio_legacy_queue_enabled,
	.reset_queue = mmio_legacy_reset_queue,
	.queue_resetting = mmio_legacy_queue_enabled,
	.take_isr = mmio_take_isr,
	.read_config = virtio_memory_read_config,
	.write_config = virtio_memory_write_config,
};

/* Is a device of type 'id' (0: any) at 'base', and the one that is looked for? */
static bool mmio_try(struct virtio *v, uintptr_t base, uint32_t gsi, uint32_t id, unsigned *nth)
{
	uint32_t version, found;

	if (read32(base + MMIO_MAGIC) != MAGIC)
		return false;
	version = read32(base + MMIO_VERSION);
	if ((version != 1 && version != 2) || !virtio_face_wanted(version == 1))
		return false;
	found = read32(base + MMIO_DEVICE_ID);
	if (found == 0 || (id != 0 && found != id) || (*nth)-- > 0)
		return false;
	*v = (struct virtio){
		.ops = version == 1 ? &mmio_legacy_ops : &mmio_ops,
		.id = found,
		.is_legacy = version == 1,
		.vector = VIRTIO_NO_VECTOR,
		.base = base,
		.config = base + MMIO_CONFIG,
		.gsi = gsi,
	};
	return true;
}

/* Devices that the command line names, as Linux wants them: SIZE@ADDRESS:GSI[:ID] */
static bool mmio_find_named(struct virtio *v, uint32_t id, unsigned *nth)
{
	for (const char *p = option_next("virtio_mmio.device", NULL); p != NULL;
	     p = option_next("virtio_mmio.device", p)) {
		const char *text = p;
		uint64_t base, gsi;

		if (option_parse(&text) == 0 || *text++ != '@')
			continue;
		base = option_parse(&text);
		if (*text++ != ':')
			continue;
		gsi = option_parse(&text);
		if (mmio_try(v, base, (uint32_t)gsi, id, nth))
			return true;
	}
	return false;
}

bool virtio_mmio_find(struct virtio *v, uint32_t id, unsigned *nth)
{
	if (option_given("virtio_mmio.device"))
		return mmio_find_named(v, id, nth);
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
