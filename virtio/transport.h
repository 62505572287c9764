/*
 * How a driver reaches a device's registers: virtio-pci (transport_pci.c) or virtio-mmio
 * (transport_mmio.c).  A transport owns the device it carries.
 */
#ifndef VIRTIO_TRANSPORT_H
#define VIRTIO_TRANSPORT_H

#include "virtio/virtio_device.h"
#include "vmm/base/util.h"
#include "vmm/machine/machine.h"

/* The ways to put a device before a driver. */
enum virtio_transport_kind {
	VIRTIO_PCI,			/* modern only */
	VIRTIO_PCI_TRANSITIONAL,	/* modern, and the legacy interface beside it */
	VIRTIO_PCI_LEGACY,		/* nothing but the legacy interface */
	VIRTIO_MMIO,			/* version 2 */
	VIRTIO_MMIO_LEGACY,		/* version 1 */
};

static inline bool virtio_transport_is_mmio(enum virtio_transport_kind kind)
{
	return kind == VIRTIO_MMIO || kind == VIRTIO_MMIO_LEGACY;
}

/* "pci", "mmio-legacy": as a configuration has it. */
const char *virtio_transport_name(enum virtio_transport_kind kind);

/*
 * Which feature bits 'dev' offers over 'kind'.  virtio_pci_create and virtio_mmio_create do that
 * by themselves; alone it is for a device that shall only be looked at.
 *
 * Returns 0, or -EINVAL with an error chain: a device of this type has no legacy interface, or
 * cannot offer what was demanded.
 */
MUST_USE int virtio_transport_settle_features(struct virtio_device *dev,
					      enum virtio_transport_kind kind);

/*
 * Where it is: PCI: bus, device and function as one number of 16 bits; virtio-mmio: the address of
 * its registers.
 */
struct virtio_place {
	bool is_pci;
	uint64_t at;
};

struct virtio_transport_ops {
	struct virtio_place (*place)(const struct virtio_transport *t);
	/* Where queue 'index' signals used buffers.  Asked at start. */
	struct virtqueue_call (*queue_call)(struct virtio_transport *t, unsigned index);
	/* Optional: is an interrupt of queue 'index' due that the driver has masked? */
	bool (*queue_masked)(const struct virtio_transport *t, unsigned index);
	/* Send the configuration change interrupt. */
	void (*config_changed)(struct virtio_transport *t);
	/* The device, or one of its queues, began or ceased to run: see which doorbells are wanted
	 * now (virtio_device_wants_doorbell). */
	void (*update_doorbells)(struct virtio_transport *t);
	/* Queue 'index' was reset: its doorbell and vector. */
	void (*queue_reset)(struct virtio_transport *t, unsigned index);
	/* The device was reset by status 0: vectors, ISR, selectors. */
	void (*device_reset)(struct virtio_transport *t);
	/* System reset, after device_reset: the transport's own state as at power-on. */
	void (*system_reset)(struct virtio_transport *t);
	/* Off its bus, and free the transport; the device is reset, and destroyed by the caller. */
	void (*destroy)(struct virtio_transport *t);
};

struct virtio_transport {
	const struct virtio_transport_ops *ops;
	struct virtio_device *device;
};

/*
 * Put 'dev' (consumed, also on failure) on the machine's PCI root as a virtio-pci function of
 * 'kind': BAR 4 holds common configuration, ISR, device configuration, notification and (its own
 * page) MSI-X; BAR 0 the legacy interface (ports); BAR 2 shared memory regions.  virtio-v1.4 4.1
 * "Virtio Over PCI Bus"
 *
 * Returns 0 and an owned transport, or -errno with an error chain: -EINVAL if a device of this
 * type has no legacy interface or cannot offer what was demanded.
 */
MUST_USE int virtio_pci_create(struct virtio_transport **out, struct machine *m,
			       struct virtio_device *dev, enum virtio_transport_kind kind);

/*
 * The same over virtio-mmio of 'kind', as device number 'index' (LAYOUT_VIRTIO_MMIO + index *
 * stride, layout_virtio_mmio_gsi(index)).  virtio-v1.4 4.2 "Virtio Over MMIO"
 */
MUST_USE int virtio_mmio_create(struct virtio_transport **out, struct machine *m,
				struct virtio_device *dev, enum virtio_transport_kind kind,
				unsigned index);

/* System reset of the device and of its transport's registers.  NULL is fine.  Lock held. */
void virtio_transport_reset(struct virtio_transport *t);

/*
 * Reset and stop the device, take the transport off its bus, free both.  NULL is fine.  Main
 * thread, lock held.
 */
void virtio_transport_destroy(struct virtio_transport *t);

#endif
