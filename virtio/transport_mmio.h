/*
 * The inside of virtio-mmio, shared by its files: transport_mmio.c (the page on the bus, its
 * interrupt, what both versions have), transport_mmio_modern.c (version 2) and
 * transport_mmio_legacy.c (version 1).
 */
#ifndef VIRTIO_TRANSPORT_MMIO_H
#define VIRTIO_TRANSPORT_MMIO_H

#include <stdatomic.h>

#include "virtio/transport.h"

/* Registers that both versions have; the rest is in their files. */
enum {
	MMIO_MAGIC = 0x000,
	MMIO_VERSION = 0x004,
	MMIO_DEVICE_ID = 0x008,
	MMIO_VENDOR_ID = 0x00c,
	MMIO_DEVICE_FEATURES = 0x010,
	MMIO_DEVICE_FEATURES_SEL = 0x014,
	MMIO_DRIVER_FEATURES = 0x020,
	MMIO_DRIVER_FEATURES_SEL = 0x024,
	MMIO_QUEUE_SEL = 0x030,
	MMIO_QUEUE_SIZE_MAX = 0x034,
	MMIO_QUEUE_SIZE = 0x038,
	MMIO_QUEUE_NOTIFY = 0x050,
	MMIO_INTERRUPT_STATUS = 0x060,
	MMIO_INTERRUPT_ACK = 0x064,
	MMIO_STATUS = 0x070,
	MMIO_CONFIG = 0x100,
};

struct virtio_mmio;

/* What differs between the versions. */
struct virtio_mmio_version {
	uint32_t number;
	/* Registers that are not in the list above, or behave differently.  False: none there. */
	bool (*read)(struct virtio_mmio *t, unsigned offset, uint32_t *value);
	bool (*write)(struct virtio_mmio *t, unsigned offset, uint32_t value);
	void (*write_config)(struct virtio_device *dev, unsigned offset, const void *buf,
			     unsigned len);
};
extern const struct virtio_mmio_version virtio_mmio_modern, virtio_mmio_legacy;

/* One queue's ties to the machine, and what version 1 lets a driver set for it. */
struct virtio_mmio_queue {
	struct doorbell bell;
	bool bell_attached;
	uint32_t align;
};

struct virtio_mmio {
	struct virtio_transport base;
	const struct virtio_mmio_version *version;
	struct machine *machine;
	struct region region;
	bool on_bus;
	uint32_t gsi;
	unsigned n_attached;		/* queues whose call fd is attached */
	bool config_attached;
	_Atomic uint32_t interrupt_status;	/* bits are set on I/O threads */
	uint32_t queue_sel, shm_sel;
	uint32_t guest_page_size;	/* version 1 */
	struct region shm[VIRTIO_MAX_SHM];	/* where shared memory lies */
	unsigned n_shm;			/* of those on the bus */
	struct virtio_mmio_queue *queue;	/* one for each of the device's */
};

/* Put doorbells where they belong now. */
void virtio_mmio_update_bells(struct virtio_mmio *t);

#endif
