/*
 * Numbers of the virtio specification that every floor above shares.  All references in Vireo are
 * to "Virtual I/O Device (VIRTIO) Version 1.4", cs01, written virtio-v1.4.
 */
#ifndef VIRTIO_IDS_H
#define VIRTIO_IDS_H

/* virtio-v1.4 5 "Device Types" */
enum virtio_device_id {
	VIRTIO_ID_NET = 1,
	VIRTIO_ID_BLOCK = 2,
	VIRTIO_ID_CONSOLE = 3,
	VIRTIO_ID_RNG = 4,
	VIRTIO_ID_BALLOON = 5,
	VIRTIO_ID_SCSI = 8,
	VIRTIO_ID_VSOCK = 19,
	VIRTIO_ID_IOMMU = 23,
	VIRTIO_ID_FS = 26,
};

/* virtio-v1.4 2.1 "Device Status Field" */
enum virtio_status {
	VIRTIO_STATUS_ACKNOWLEDGE = 1,
	VIRTIO_STATUS_DRIVER = 2,
	VIRTIO_STATUS_DRIVER_OK = 4,
	VIRTIO_STATUS_FEATURES_OK = 8,
	VIRTIO_STATUS_SUSPEND = 16,
	VIRTIO_STATUS_NEEDS_RESET = 64,
	VIRTIO_STATUS_FAILED = 128,
};

enum { VIRTIO_QUEUE_SIZE_LIMIT = 32768 };

#endif
