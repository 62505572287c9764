#include "images/payload/lib/virtio.h"

#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/cpu.h"
#include "virtio/features.h"

bool virtio_find(struct virtio *v, uint32_t id, unsigned nth)
{
	return virtio_pci_find(v, id, &nth) || virtio_mmio_find(v, id, &nth);
}

bool virtio_face_wanted(bool is_legacy)
{
	return !option_given("face") || option_is("face", is_legacy ? "legacy" : "modern");
}

uint32_t virtio_memory_read_config(struct virtio *v, unsigned offset, unsigned size)
{
	uintptr_t at = v->config + offset;

	return size == 1 ? read8(at) : size == 2 ? read16(at) : read32(at);
}

void virtio_memory_write_config(struct virtio *v, unsigned offset, unsigned size, uint32_t value)
{
	uintptr_t at = v->config + offset;

	if (size == 1)
		write8(at, (uint8_t)value);
	else if (size == 2)
		write16(at, (uint16_t)value);
	else
		write32(at, value);
}

uint64_t virtio_offered(struct virtio *v)
{
	uint64_t low = v->ops->read_features(v, 0);

	if (v->is_legacy)
		return low;
	return low | (uint64_t)v->ops->read_features(v, 1) << 32;
}

void virtio_write_features(struct virtio *v, uint64_t bits)
{
	v->ops->write_features(v, 0, (uint32_t)bits);
	if (!v->is_legacy)
		v->ops->write_features(v, 1, (uint32_t)(bits >> 32));
}

bool virtio_reset(struct virtio *v)
{
	v->ops->write_status(v, 0);
	return WAIT_UNTIL(virtio_status(v) == 0, WAIT_LONG);
}

enum { LEGACY_BAD_FEATURE = 30 };

bool virtio_negotiate(struct virtio *v, uint64_t wanted, uint64_t *accepted)
{
	const uint32_t known = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
	uint64_t bits;

	if (!virtio_reset(v))
		return false;
	v->ops->write_status(v, VIRTIO_STATUS_ACKNOWLEDGE);
	v->ops->write_status(v, known);
	bits = virtio_offered(v) & (wanted | 1ull << VIRTIO_F_VERSION_1);
	/* The marker by which devices tell drivers that accept whatever they see. */
	if (v->is_legacy)
		bits &= ~(1ull << LEGACY_BAD_FEATURE);
	virtio_write_features(v, bits);
	if (accepted)
		*accepted = bits;
	if (v->is_legacy)
		return true;
	v->ops->write_status(v, known | VIRTIO_STATUS_FEATURES_OK);
	return virtio_status(v) & VIRTIO_STATUS_FEATURES_OK;
}

void virtio_driver_ok(struct virtio *v)
{
	v->ops->write_status(v, virtio_status(v) | VIRTIO_STATUS_DRIVER_OK);
}

uintptr_t virtio_kick_address(struct virtio *v, uint16_t index)
{
	if (!v->is_pci)
		return v->base + MMIO_QUEUE_NOTIFY;
	v->ops->select_queue(v, index);
	return v->notify + (uintptr_t)read16(v->common + COMMON_QUEUE_NOTIFY_OFF) *
				   v->notify_multiplier;
}

struct doorbell virtio_doorbell(struct virtio *v, uint16_t index, uint64_t features)
{
	struct doorbell d = {
		.queue = index,
		.is_wide = !v->is_pci,
		.has_data = features >> VIRTIO_F_NOTIFICATION_DATA & 1,
	};

	if (v->is_pci && v->is_legacy) {
		d.port = (uint16_t)(v->port + LEGACY_QUEUE_NOTIFY);
		return d;
	}
	d.address = virtio_kick_address(v, index);
	if (features >> VIRTIO_F_NOTIF_CONFIG_DATA & 1)
		d.queue = read16(v->common + COMMON_QUEUE_NOTIF_CONFIG_DATA);
	return d;
}

void doorbell_ring(const struct doorbell *d, uint16_t next)
{
	if (d->address == 0)
		out16(d->port, d->queue);
	else if (d->has_data)
		write32(d->address, (uint32_t)next << 16 | d->queue);
	else if (d->is_wide)
		write32(d->address, d->queue);
	else
		write16(d->address, d->queue);
}

void virtio_kick(struct virtio *v, uint16_t index)
{
	struct doorbell d = virtio_doorbell(v, index, 0);

	doorbell_ring(&d, 0);
}
