#include "virtio/transport.h"

#include <errno.h>

#include "virtio/transport_pci.h"
#include "vmm/base/error.h"

/* Each kind: its name, register interfaces, and the transport bits that it carries. */
static const struct transport_info {
	const char *name;
	unsigned interfaces;		/* FEATURE_ON_... */
	uint8_t carries[2];
} infos[] = {
	[VIRTIO_PCI] = { "pci", FEATURE_ON_PCI,
			 { VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA } },
	[VIRTIO_PCI_TRANSITIONAL] = { "pci-transitional", FEATURE_ON_PCI | FEATURE_ON_PCI_LEGACY,
				      { VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA } },
	[VIRTIO_PCI_LEGACY] = { "pci-legacy", FEATURE_ON_PCI_LEGACY,
				{ FEATURE_NONE, FEATURE_NONE } },
	[VIRTIO_MMIO] = { "mmio", FEATURE_ON_MMIO, { VIRTIO_F_NOTIFICATION_DATA, FEATURE_NONE } },
	[VIRTIO_MMIO_LEGACY] = { "mmio-legacy", FEATURE_ON_MMIO_LEGACY,
				 { FEATURE_NONE, FEATURE_NONE } },
};

const char *virtio_transport_name(enum virtio_transport_kind kind)
{
	return infos[kind].name;
}

int virtio_transport_settle_features(struct virtio_device *dev, enum virtio_transport_kind kind)
{
	const struct transport_info *info = &infos[kind];
	struct features carried = FEATURES_EMPTY;
	int r;

	for (unsigned i = 0; i < ARRAY_SIZE(info->carries); i++)
		if (info->carries[i] != FEATURE_NONE)
			features_add(&carried, info->carries[i]);
	if (info->interfaces & FEATURE_ON_PCI_LEGACY && virtio_pci_transitional_id(dev->id) == 0)
		return error_set(EINVAL, "devices of type %u have no legacy interface", dev->id);
	r = virtio_device_settle_features(dev, info->interfaces, carried);
	if (r < 0)
		error_add(r, "offer the features of '%s' over %s", dev->name, info->name);
	return r;
}

void virtio_transport_reset(struct virtio_transport *t)
{
	if (!t)
		return;
	virtio_device_reset(t->device);
	t->ops->system_reset(t);
	if (t->device->ops->system_reset)
		t->device->ops->system_reset(t->device);
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
