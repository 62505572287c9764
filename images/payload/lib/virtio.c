#include "images/payload/lib/virtio.h"

#include "images/payload/lib/cpu.h"
#include "virtio/features.h"

bool virtio_find(struct virtio *v, uint32_t id, unsigned nth)
{
	return virtio_pci_find(v, id, &nth) || virtio_mmio_find(v, id, &nth);
}

uint64_t virtio_offered(struct virtio *v)
{
	uint64_t low = v->ops->read_features(v, 0);

	return low | (uint64_t)v->ops->read_features(v, 1) << 32;
}

void virtio_write_features(struct virtio *v, uint64_t bits)
{
	v->ops->write_features(v, 0, (uint32_t)bits);
	v->ops->write_features(v, 1, (uint32_t)(bits >> 32));
}

bool virtio_reset(struct virtio *v)
{
	v->ops->write_status(v, 0);
	return WAIT_UNTIL(virtio_status(v) == 0, WAIT_LONG);
}

bool virtio_negotiate(struct virtio *v, uint64_t wanted, uint64_t *accepted)
{
	const uint32_t known = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
	uint64_t bits;

	if (!virtio_reset(v))
		return false;
	v->ops->write_status(v, VIRTIO_STATUS_ACKNOWLEDGE);
	v->ops->write_status(v, known);
	bits = virtio_offered(v) & (wanted | 1ull << VIRTIO_F_VERSION_1);
	virtio_write_features(v, bits);
	v->ops->write_status(v, known | VIRTIO_STATUS_FEATURES_OK);
	if (accepted)
		*accepted = bits;
	return virtio_status(v) & VIRTIO_STATUS_FEATURES_OK;
}

void virtio_driver_ok(struct virtio *v)
{
	v->ops->write_status(v, virtio_status(v) | VIRTIO_STATUS_DRIVER_OK);
}
