/*
 * A virtio device as its driver sees it, whichever transport it is on.  virtio-v1.4 4.1 "Virtio
 * Over PCI Bus", 4.2 "Virtio Over MMIO".
 */
#ifndef PAYLOAD_VIRTIO_H
#define PAYLOAD_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "images/payload/lib/pci.h"
#include "virtio/virtio_ids.h"

struct virtio;

enum { VIRTIO_NO_VECTOR = 0xffff };

struct virtio_ops {
	uint32_t (*read_status)(struct virtio *v);
	void (*write_status)(struct virtio *v, uint32_t status);
	uint32_t (*read_features)(struct virtio *v, uint32_t half);	/* what is offered */
	void (*write_features)(struct virtio *v, uint32_t half, uint32_t bits);
	uint32_t (*read_generation)(struct virtio *v);
	void (*select_queue)(struct virtio *v, uint16_t index);
	/* Of the selected queue. */
	uint16_t (*queue_max)(struct virtio *v);
	void (*set_queue)(struct virtio *v, uint16_t size, uint64_t desc, uint64_t driver,
			  uint64_t device);
	void (*enable_queue)(struct virtio *v);
	bool (*queue_enabled)(struct virtio *v);
	/*
	 * Interrupt causes: bit 0 used buffers, bit 1 configuration.  Reads and acknowledges
	 * them.
	 */
	uint32_t (*take_isr)(struct virtio *v);
};

struct virtio {
	const struct virtio_ops *ops;
	uint32_t id;
	bool is_pci;
	uintptr_t config;		/* device configuration */
	/* pci */
	struct pci_function function;
	uintptr_t common, notify, isr;
	unsigned common_cap, notify_cap, isr_cap, config_cap, window_cap;
	uint32_t notify_multiplier, notify_length, config_length;
	/* mmio */
	uintptr_t base;
	uint32_t gsi;
};

/*
 * Find the 'nth' device (from 0) of type 'id' (0: any), on PCI first, then mmio.  It is not
 * touched.
 */
bool virtio_find(struct virtio *v, uint32_t id, unsigned nth);
/* The two halves of it; both return how many of the type they skipped in 'nth' when false. */
bool virtio_pci_find(struct virtio *v, uint32_t id, unsigned *nth);
bool virtio_mmio_find(struct virtio *v, uint32_t id, unsigned *nth);

static inline uint32_t virtio_status(struct virtio *v)
{
	return v->ops->read_status(v);
}

/* All that is offered, bits 0-63. */
uint64_t virtio_offered(struct virtio *v);
void virtio_write_features(struct virtio *v, uint64_t bits);

/* Write 0 and wait for 0.  False when that does not come. */
bool virtio_reset(struct virtio *v);

/*
 * Reset and go up to FEATURES_OK with those of 'wanted' that are offered (VERSION_1 always).
 * Returns whether the device agreed; 'accepted' may be NULL.
 */
bool virtio_negotiate(struct virtio *v, uint64_t wanted, uint64_t *accepted);
void virtio_driver_ok(struct virtio *v);

/* Kick queue 'index'. */
void virtio_kick(struct virtio *v, uint16_t index);
/* The address that a kick writes to. */
uintptr_t virtio_kick_address(struct virtio *v, uint16_t index);

/*
 * MSI-X vector of the configuration change / of the selected queue; returns what reads back.
 * PCI.
 */
uint16_t virtio_set_config_vector(struct virtio *v, uint16_t vector);
uint16_t virtio_set_queue_vector(struct virtio *v, uint16_t vector);

/* Offsets of the two register files, for programs that write what no driver should. */
enum virtio_pci_common {
	COMMON_DEVICE_FEATURE_SELECT = 0,
	COMMON_DEVICE_FEATURE = 4,
	COMMON_DRIVER_FEATURE_SELECT = 8,
	COMMON_DRIVER_FEATURE = 12,
	COMMON_CONFIG_VECTOR = 16,
	COMMON_N_QUEUES = 18,
	COMMON_STATUS = 20,
	COMMON_GENERATION = 21,
	COMMON_QUEUE_SELECT = 22,
	COMMON_QUEUE_SIZE = 24,
	COMMON_QUEUE_VECTOR = 26,
	COMMON_QUEUE_ENABLE = 28,
	COMMON_QUEUE_NOTIFY_OFF = 30,
	COMMON_QUEUE_DESC = 32,
	COMMON_QUEUE_DRIVER = 40,
	COMMON_QUEUE_DEVICE = 48,
};

enum virtio_mmio_register {
	MMIO_MAGIC = 0x000,
	MMIO_VERSION = 0x004,
	MMIO_DEVICE_ID = 0x008,
	MMIO_DEVICE_FEATURES = 0x010,
	MMIO_DEVICE_FEATURES_SELECT = 0x014,
	MMIO_DRIVER_FEATURES = 0x020,
	MMIO_DRIVER_FEATURES_SELECT = 0x024,
	MMIO_QUEUE_SELECT = 0x030,
	MMIO_QUEUE_SIZE_MAX = 0x034,
	MMIO_QUEUE_SIZE = 0x038,
	MMIO_QUEUE_READY = 0x044,
	MMIO_QUEUE_NOTIFY = 0x050,
	MMIO_INTERRUPT_STATUS = 0x060,
	MMIO_INTERRUPT_ACK = 0x064,
	MMIO_STATUS = 0x070,
	MMIO_QUEUE_DESC = 0x080,
	MMIO_QUEUE_DRIVER = 0x090,
	MMIO_QUEUE_DEVICE = 0x0a0,
	MMIO_GENERATION = 0x0fc,
	MMIO_CONFIG = 0x100,
};

#endif
