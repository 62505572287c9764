/*
 * A virtio device as its driver sees it, whichever transport it is on and whichever face of it is
 * driven: modern, or the legacy one of drivers from before version 1.  virtio-v1.4 4.1 "Virtio Over
 * PCI Bus", 4.1.4.10 "Legacy Interfaces: A Note on PCI Device Layout", 4.2 "Virtio Over MMIO",
 * 4.2.4 "Legacy interface".
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
	/* Take it out of service; it is when queue_resetting says false and queue_enabled too. */
	void (*reset_queue)(struct virtio *v);
	bool (*queue_resetting)(struct virtio *v);
	/*
	 * Interrupt causes: bit 0 used buffers, bit 1 configuration.  Reads and acknowledges
	 * them.
	 */
	uint32_t (*take_isr)(struct virtio *v);
	/*
	 * MSI-X vector of the configuration change / of the selected queue; returns what reads
	 * back.  PCI; legacy: while MSI-X is enabled.
	 */
	uint16_t (*set_config_vector)(struct virtio *v, uint16_t vector);
	uint16_t (*set_queue_vector)(struct virtio *v, uint16_t vector);
	/* Device configuration; 'size' is 1, 2 or 4. */
	uint32_t (*read_config)(struct virtio *v, unsigned offset, unsigned size);
	void (*write_config)(struct virtio *v, unsigned offset, unsigned size, uint32_t value);
};

struct virtio {
	const struct virtio_ops *ops;
	uint32_t id;
	bool is_pci;
	bool is_legacy;			/* the legacy face is driven */
	bool has_fixed_size;		/* the driver cannot choose the size of a queue */
	uint16_t vector;		/* that ring_init gives to queues, or VIRTIO_NO_VECTOR */
	uint64_t iova;			/* behind an IOMMU: added to every address that it gets */
	uintptr_t config;		/* device configuration; 0: read_config only */
	/* pci */
	struct pci_function function;
	uintptr_t common, notify, isr;
	unsigned common_cap, notify_cap, isr_cap, config_cap, window_cap;
	uint32_t notify_multiplier, notify_length, config_length;
	uint16_t port;			/* legacy: the register block */
	/* mmio */
	uintptr_t base;
	uint32_t gsi;
	bool page_size_written;		/* legacy */
};

/*
 * Find the 'nth' device (from 0) of type 'id' (0: any), on PCI first, then mmio.  It is not
 * touched.  On the command line "face=legacy" and "face=modern" leave out what has no such face;
 * without, a transitional device is driven by its modern one.  What Linux knows as
 * "virtio_mmio.device=SIZE@ADDRESS:GSI" says where devices are; without, they are looked for where
 * ours and QEMU's would be.
 */
bool virtio_find(struct virtio *v, uint32_t id, unsigned nth);
bool virtio_face_wanted(bool is_legacy);
/* Drive 'v', whose function is known, by its legacy face; false when it has none. */
bool virtio_pci_open_legacy(struct virtio *v);
/* read_config and write_config of a configuration that lies in memory. */
uint32_t virtio_memory_read_config(struct virtio *v, unsigned offset, unsigned size);
void virtio_memory_write_config(struct virtio *v, unsigned offset, unsigned size, uint32_t value);
/* The two halves of it; both return how many of the type they skipped in 'nth' when false. */
bool virtio_pci_find(struct virtio *v, uint32_t id, unsigned *nth);
bool virtio_mmio_find(struct virtio *v, uint32_t id, unsigned *nth);

static inline uint32_t virtio_status(struct virtio *v)
{
	return v->ops->read_status(v);
}

/* All that is offered, bits 0-63 (legacy: 0-31). */
uint64_t virtio_offered(struct virtio *v);
void virtio_write_features(struct virtio *v, uint64_t bits);

/* Write 0 and wait for 0.  False when that does not come. */
bool virtio_reset(struct virtio *v);

/*
 * Reset and go up to FEATURES_OK with those of 'wanted' that are offered (VERSION_1 always).
 * Returns whether the device agreed; 'accepted' may be NULL.  A legacy device is not asked.
 */
bool virtio_negotiate(struct virtio *v, uint64_t wanted, uint64_t *accepted);
void virtio_driver_ok(struct virtio *v);

/* Where and how a queue is kicked.  virtio-v1.4 4.1.5.2 "Available Buffer Notifications" */
struct doorbell {
	uintptr_t address;		/* 0: 'port' */
	uint16_t port;
	uint16_t queue;			/* index, or what NOTIF_CONFIG_DATA says */
	bool is_wide;			/* 32-bit writes */
	bool has_data;			/* NOTIFICATION_DATA */
};

/* The doorbell of queue 'index' with the accepted 'features'. */
struct doorbell virtio_doorbell(struct virtio *v, uint16_t index, uint64_t features);
/* 'next': where the driver goes on, in the format of NOTIFICATION_DATA. */
void doorbell_ring(const struct doorbell *d, uint16_t next);

/* Kick queue 'index' without any of these features. */
void virtio_kick(struct virtio *v, uint16_t index);
/* The address that a kick writes to.  Not legacy PCI. */
uintptr_t virtio_kick_address(struct virtio *v, uint16_t index);

static inline uint16_t virtio_set_config_vector(struct virtio *v, uint16_t vector)
{
	return v->ops->set_config_vector(v, vector);
}

static inline uint16_t virtio_set_queue_vector(struct virtio *v, uint16_t vector)
{
	return v->ops->set_queue_vector(v, vector);
}

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
	COMMON_QUEUE_NOTIF_CONFIG_DATA = 56,
	COMMON_QUEUE_RESET = 58,
};

/* Ports of the legacy block. */
enum virtio_pci_legacy {
	LEGACY_DEVICE_FEATURES = 0,
	LEGACY_DRIVER_FEATURES = 4,
	LEGACY_QUEUE_PFN = 8,
	LEGACY_QUEUE_SIZE = 12,
	LEGACY_QUEUE_SELECT = 14,
	LEGACY_QUEUE_NOTIFY = 16,
	LEGACY_STATUS = 18,
	LEGACY_ISR = 19,
	LEGACY_CONFIG_VECTOR = 20,	/* these two with MSI-X only */
	LEGACY_QUEUE_VECTOR = 22,
	LEGACY_CONFIG = 20,
	LEGACY_CONFIG_WITH_VECTORS = 24,
	LEGACY_PAGE = 4096,		/* of PFNs and of alignment */
};

enum virtio_mmio_register {
	MMIO_MAGIC = 0x000,
	MMIO_VERSION = 0x004,
	MMIO_DEVICE_ID = 0x008,
	MMIO_DEVICE_FEATURES = 0x010,
	MMIO_DEVICE_FEATURES_SELECT = 0x014,
	MMIO_DRIVER_FEATURES = 0x020,
	MMIO_DRIVER_FEATURES_SELECT = 0x024,
	MMIO_GUEST_PAGE_SIZE = 0x028,	/* version 1 */
	MMIO_QUEUE_SELECT = 0x030,
	MMIO_QUEUE_SIZE_MAX = 0x034,
	MMIO_QUEUE_SIZE = 0x038,
	MMIO_QUEUE_ALIGN = 0x03c,	/* version 1 */
	MMIO_QUEUE_PFN = 0x040,		/* version 1 */
	MMIO_QUEUE_READY = 0x044,
	MMIO_QUEUE_NOTIFY = 0x050,
	MMIO_INTERRUPT_STATUS = 0x060,
	MMIO_INTERRUPT_ACK = 0x064,
	MMIO_STATUS = 0x070,
	MMIO_QUEUE_DESC = 0x080,
	MMIO_QUEUE_DRIVER = 0x090,
	MMIO_QUEUE_DEVICE = 0x0a0,
	MMIO_QUEUE_RESET = 0x0c0,
	MMIO_GENERATION = 0x0fc,
	MMIO_CONFIG = 0x100,
};

#endif
