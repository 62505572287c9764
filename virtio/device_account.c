#include "virtio/device_account.h"

#include <stdio.h>

static void take_part(struct device_account *out, unsigned i, const struct virtio_part *part)
{
	struct datapath *dp = part->datapath;

	out->part[i].first_queue = part->first_queue;
	out->part[i].n_queues = part->n_queues;
	snprintf(out->part[i].datapath, sizeof(out->part[i].datapath), "%s", dp->name);
	if (part->other)
		snprintf(out->part[i].other, sizeof(out->part[i].other), "%s", part->other->name);
	if (dp->ops->account)
		dp->ops->account(dp, &out->part[i].more);
}

void device_account_take(struct device_account *out, struct virtio_device *dev,
			 enum virtio_transport_kind transport)
{
	const struct negotiation *n = &dev->negotiation;

	if (dev->machine)
		virtio_device_catch_up(dev);
	*out = (struct device_account){
		.id = dev->id,
		.transport = transport,
		.runs = dev->machine != NULL,
		.status = n->status,
		.has_session = n->sealed,
		.legacy_driver = n->sealed ? n->legacy : n->last_legacy,
		.n_sessions = n->n_sealed,
		.strict = dev->strict,
		.mistakes = n->mistakes,
		.n_parts = dev->n_parts,
	};
	snprintf(out->name, sizeof(out->name), "%s", dev->name);
	negotiation_describe_refusal(n, out->refusal, sizeof(out->refusal));
	for (unsigned i = 0; i < dev->n_parts; i++)
		take_part(out, i, &dev->part[i]);
	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		out->n_bits += feature_account_take(&out->bit[out->n_bits], dev, bit);
}

const char *device_type_name(enum virtio_device_id id)
{
	switch (id) {
	case VIRTIO_ID_NET: return "network device";
	case VIRTIO_ID_BLOCK: return "block device";
	case VIRTIO_ID_CONSOLE: return "console";
	case VIRTIO_ID_RNG: return "entropy source";
	case VIRTIO_ID_BALLOON: return "memory balloon";
	case VIRTIO_ID_SCSI: return "SCSI host";
	case VIRTIO_ID_VSOCK: return "socket device";
	case VIRTIO_ID_IOMMU: return "IOMMU";
	case VIRTIO_ID_FS: return "file system device";
	}
	return "device";
}

const char *device_status_name(uint8_t bit)
{
	switch (bit) {
	case VIRTIO_STATUS_ACKNOWLEDGE: return "ACKNOWLEDGE";
	case VIRTIO_STATUS_DRIVER: return "DRIVER";
	case VIRTIO_STATUS_DRIVER_OK: return "DRIVER_OK";
	case VIRTIO_STATUS_FEATURES_OK: return "FEATURES_OK";
	case VIRTIO_STATUS_SUSPEND: return "SUSPEND";
	case VIRTIO_STATUS_NEEDS_RESET: return "DEVICE_NEEDS_RESET";
	case VIRTIO_STATUS_FAILED: return "FAILED";
	default: return NULL;
	}
}
