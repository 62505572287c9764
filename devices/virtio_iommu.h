/*
 * The virtio IOMMU: how the guest says what the devices behind it can reach (vmm/machine/iommu.h).
 * A request that takes something away is answered when no device works with it any more; until then
 * others go on.  A device that does not let go in a second is stopped.
 */
#ifndef DEVICES_VIRTIO_IOMMU_H
#define DEVICES_VIRTIO_IOMMU_H

#include "virtio/virtio_device.h"
#include "vmm/machine/iommu.h"

struct virtio_iommu_config {
	const char *name;
	struct iommu *iommu;		/* keeps; the model is the only one to change it */
	struct event_loop *loop;
};

/* Returns 0 and an owned device, or -errno with an error chain. */
MUST_USE int virtio_iommu_create(struct virtio_device **out,
				 const struct virtio_iommu_config *config);

#endif
