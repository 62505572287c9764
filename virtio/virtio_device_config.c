/*
 * The device's configuration space: bytes, a mask of what the driver may write, and a generation
 * that moves when a driver reads after a change (not with each change: a narrow counter cannot
 * wrap unseen).
 *
 * virtio-v1.4 2.5 "Device Configuration Space".
 */
#include <string.h>

#include "virtio/virtio_device_impl.h"

void virtio_device_read_config(struct virtio_device *dev, unsigned offset, void *buf, unsigned len)
{
	unsigned here = offset < dev->config_len ? dev->config_len - offset : 0;

	if (dev->config_dirty) {
		dev->config_dirty = false;
		dev->config_generation++;
	}
	if (here > len)
		here = len;
	/* Of the last field a driver may read all of a register's width. */
	if ((uint64_t)offset + len > align_up(dev->config_len, sizeof(uint32_t)))
		virtio_device_mistake(dev, MISTAKE_CONFIG_BEYOND);
	memset(buf, 0, len);
	if (here > 0)
		memcpy(buf, dev->config + offset, here);
}

static void write_config(struct virtio_device *dev, unsigned offset, const uint8_t *bytes,
			 unsigned len, bool legacy)
{
	bool writable = false;

	if (negotiation_is_suspended(&dev->negotiation)) {
		virtio_device_mistake(dev, MISTAKE_CONFIG_SUSPENDED);
		return;
	}
	if (!range_inside(offset, len, dev->config_len))
		virtio_device_mistake(dev, MISTAKE_CONFIG_BEYOND);
	if (offset >= dev->config_len)
		return;
	if (len > dev->config_len - offset)
		len = dev->config_len - offset;
	for (unsigned i = 0; i < len; i++) {
		uint8_t mask = dev->config_writable[offset + i];
		if (legacy)
			mask |= dev->config_writable_legacy[offset + i];
		uint8_t *byte = &dev->config[offset + i];
		*byte = (uint8_t)((*byte & ~mask) | (bytes[i] & mask));
		writable |= mask != 0;
	}
	if (!writable)
		virtio_device_mistake(dev, MISTAKE_CONFIG_READ_ONLY);
	/* Also when nothing changed: a character may be written twice to an emergency port. */
	else if (dev->ops->config_written)
		dev->ops->config_written(dev, offset, len);
}

void virtio_device_write_config(struct virtio_device *dev, unsigned offset, const void *buf,
				unsigned len)
{
	if (!dev->negotiation.sealed && !dev->config_early)
		virtio_device_mistake(dev, MISTAKE_CONFIG_EARLY);
	write_config(dev, offset, buf, len, false);
}

void virtio_device_write_config_legacy(struct virtio_device *dev, unsigned offset,
				       const void *buf, unsigned len)
{
	write_config(dev, offset, buf, len, true);
}

uint32_t virtio_device_config_generation(struct virtio_device *dev)
{
	return dev->config_generation;
}

void virtio_device_update_config(struct virtio_device *dev, unsigned offset, const void *buf,
				 unsigned len)
{
	if (!range_inside(offset, len, dev->config_len))
		return;
	/* virtio-v1.4 3.4.2: no field changes while the device is suspended. */
	if (negotiation_is_suspended(&dev->negotiation)) {
		if (!dev->config_is_held)
			memcpy(dev->config_held, dev->config, dev->config_len);
		dev->config_is_held = true;
		memcpy(dev->config_held + offset, buf, len);
		return;
	}
	if (memcmp(dev->config + offset, buf, len) == 0)
		return;
	memcpy(dev->config + offset, buf, len);
	dev->config_dirty = true;
	/* First the change, then the word of it.  Before DRIVER_OK a driver reads it anyway. */
	if (dev->transport && dev->negotiation.status & VIRTIO_STATUS_DRIVER_OK)
		dev->transport->ops->config_changed(dev->transport);
}

void virtio_device_release_config(struct virtio_device *dev, bool notify)
{
	if (!dev->config_is_held)
		return;
	dev->config_is_held = false;
	if (notify) {
		virtio_device_update_config(dev, 0, dev->config_held, dev->config_len);
		return;
	}
	memcpy(dev->config, dev->config_held, dev->config_len);
	dev->config_dirty = true;
}
