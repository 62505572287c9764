/*
 * The device's configuration space: bytes, a mask of what the driver may write, and a generation
 * that moves when a driver reads after a change (not with each change: a narrow counter cannot
 * wrap unseen).
 *
 * virtio-v1.4 2.5 "Device Configuration Space".
 */
#include <string.h>

#include "virtio/transport.h"
#include "virtio/virtio_device.h"

void virtio_device_read_config(struct virtio_device *dev, unsigned offset, void *buf, unsigned len)
{
	unsigned here = offset < dev->config_len ? dev->config_len - offset : 0;

	if (dev->config_dirty) {
		dev->config_dirty = false;
		dev->config_generation++;
	}
	if (here > len)
		here = len;
	memset(buf, 0, len);
	if (here > 0)
		memcpy(buf, dev->config + offset, here);
}

void virtio_device_write_config(struct virtio_device *dev, unsigned offset, const void *buf,
				unsigned len)
{
	const uint8_t *bytes = buf;
	bool writable = false;

	if (offset >= dev->config_len)
		return;
	if (len > dev->config_len - offset)
		len = dev->config_len - offset;
	for (unsigned i = 0; i < len; i++) {
		uint8_t mask = dev->config_writable[offset + i];
		uint8_t *byte = &dev->config[offset + i];
		*byte = (uint8_t)((*byte & ~mask) | (bytes[i] & mask));
		writable |= mask != 0;
	}
	/* Also when nothing changed: a character may be written twice to an emergency port. */
	if (writable && dev->ops->config_written)
		dev->ops->config_written(dev, offset, len);
}

uint32_t virtio_device_config_generation(struct virtio_device *dev)
{
	return dev->config_generation;
}

void virtio_device_update_config(struct virtio_device *dev, unsigned offset, const void *buf,
				 unsigned len)
{
	if (!range_inside(offset, len, dev->config_len) ||
	    memcmp(dev->config + offset, buf, len) == 0)
		return;
	memcpy(dev->config + offset, buf, len);
	dev->config_dirty = true;
	/* First the change, then the word of it.  Before DRIVER_OK a driver reads it anyway. */
	if (dev->transport && dev->negotiation.status & VIRTIO_STATUS_DRIVER_OK)
		dev->transport->ops->config_changed(dev->transport);
}
