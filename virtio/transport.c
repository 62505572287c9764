#include "virtio/transport.h"

void virtio_transport_reset(struct virtio_transport *t)
{
	if (!t)
		return;
	virtio_device_reset(t->device);
	t->ops->system_reset(t);
}

void virtio_transport_destroy(struct virtio_transport *t)
{
	if (!t)
		return;
	struct virtio_device *dev = t->device;

	virtio_device_reset(dev);
	t->ops->destroy(t);
	dev->transport = NULL;
	dev->ops->destroy(dev);
}
