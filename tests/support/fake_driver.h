/*
 * A driver that talks to a device's registers over any transport, modern or legacy, through the
 * buses of a fake machine: what it can do over all has one verb.  Registers of one transport only
 * are reached with the reads and writes at the end.
 */
#ifndef TESTS_FAKE_DRIVER_H
#define TESTS_FAKE_DRIVER_H

#include "tests/support/fake_machine.h"
#include "tests/support/fake_ring.h"
#include "virtio/transport.h"

/* A transport, and for a transitional device which of its interfaces the driver uses. */
enum fake_transport {
	FAKE_PCI,
	FAKE_MMIO,
	FAKE_TRANSITIONAL,
	FAKE_TRANSITIONAL_LEGACY,
	FAKE_PCI_LEGACY,
	FAKE_MMIO_LEGACY,
	FAKE_TRANSPORTS,
};

static inline bool fake_transport_is_legacy(enum fake_transport t)
{
	return t >= FAKE_TRANSITIONAL_LEGACY;
}

static inline bool fake_transport_is_mmio(enum fake_transport t)
{
	return t == FAKE_MMIO || t == FAKE_MMIO_LEGACY;
}

/* One of the structures that PCI capabilities name. */
struct fake_structure {
	unsigned cap;			/* offset in configuration space, 0: there is none */
	uint8_t bar;
	uint32_t offset, length;
	uint64_t addr;			/* guest address */
};

struct fake_driver {
	struct fake_machine *machine;
	enum fake_transport transport;
	uint64_t base;			/* mmio: of the registers; legacy pci: the first port */
	unsigned slot;			/* pci */
	struct features accepted;	/* as written last; says which layout rings have */
	struct fake_structure common, notify, isr, device, window;
	uint32_t notify_multiplier;
};

/*
 * Put 'dev' (consumed) on the machine's bus, as the only PCI function or at mmio place 'index',
 * and find it.  Returns the transport.  Failure ends the test.
 */
struct virtio_transport *fake_driver_plug(struct fake_driver *d, struct fake_machine *machine,
					  struct virtio_device *dev, enum fake_transport how,
					  unsigned index);

/* The same where it may fail: returns 0 or what the transport's constructor returned. */
int fake_driver_try_plug(struct fake_driver *d, struct fake_machine *machine,
			 struct virtio_device *dev, enum fake_transport how, unsigned index,
			 struct virtio_transport **out);

/*
 * Find the device: at PCI slot 'slot', by walking its capabilities (memory and bus mastering are
 * switched on), or at virtio-mmio place 'index'.  Failure ends the test.
 */
void fake_driver_find_pci(struct fake_driver *d, struct fake_machine *machine,
			  enum fake_transport how, unsigned slot);
void fake_driver_find_mmio(struct fake_driver *d, struct fake_machine *machine,
			   enum fake_transport how, unsigned index);

uint8_t fake_driver_status(struct fake_driver *d);
void fake_driver_set_status(struct fake_driver *d, uint8_t status);
void fake_driver_reset(struct fake_driver *d);

/* One 32-bit half. */
uint32_t fake_driver_offered_half(struct fake_driver *d, uint32_t half);
void fake_driver_accept_half(struct fake_driver *d, uint32_t half, uint32_t bits);

struct features fake_driver_offered(struct fake_driver *d);
void fake_driver_accept(struct fake_driver *d, struct features f);

/*
 * Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK.  Returns whether it stands; a legacy driver
 * does not ask.
 */
bool fake_driver_negotiate(struct fake_driver *d, struct features f);

/* Of queue 'index'. */
uint16_t fake_driver_queue_max(struct fake_driver *d, unsigned index);
void fake_driver_set_queue(struct fake_driver *d, unsigned index, const struct fake_ring *ring);
/* A legacy driver's queue is live from fake_driver_set_queue on. */
void fake_driver_enable_queue(struct fake_driver *d, unsigned index);
/* Lay a ring out at 'addr' (a page) as this driver must; room for 'fake_driver_ring_bytes'. */
void fake_driver_init_ring(struct fake_driver *d, struct fake_ring *ring, uint16_t size,
			   uint64_t addr);
uint64_t fake_driver_ring_bytes(uint16_t size);
/* queue_reset / QueueReset: written 1, read. */
void fake_driver_reset_queue(struct fake_driver *d, unsigned index);
bool fake_driver_queue_in_reset(struct fake_driver *d, unsigned index);
bool fake_driver_queue_enabled(struct fake_driver *d, unsigned index);

/* As a guest kicks: to the doorbell if one is attached, else by an exit. */
void fake_driver_kick(struct fake_driver *d, unsigned index);

/* Pending interrupt causes (bit 0 queues, bit 1 configuration), taken back by this. */
uint32_t fake_driver_take_isr(struct fake_driver *d);

uint64_t fake_driver_config(struct fake_driver *d, unsigned offset, unsigned size);
void fake_driver_set_config(struct fake_driver *d, unsigned offset, unsigned size, uint64_t value);
uint32_t fake_driver_generation(struct fake_driver *d);

/* Registers of the common configuration (pci) or of the page (mmio). */
uint64_t fake_driver_read(struct fake_driver *d, unsigned offset, unsigned size);
void fake_driver_write(struct fake_driver *d, unsigned offset, unsigned size, uint64_t value);

/* Configuration space of the function. */
uint32_t fake_driver_pci_read(struct fake_driver *d, unsigned offset, unsigned size);
void fake_driver_pci_write(struct fake_driver *d, unsigned offset, unsigned size, uint32_t value);

#endif
