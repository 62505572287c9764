/*
 * A driver that talks to a device's registers over either transport, through the buses of a fake
 * machine: what it can do over both has one verb.  Registers of one transport only are reached
 * with the reads and writes at the end.
 */
#ifndef TESTS_FAKE_DRIVER_H
#define TESTS_FAKE_DRIVER_H

#include "tests/support/fake_machine.h"
#include "tests/support/fake_ring.h"
#include "virtio/features.h"
#include "virtio/virtio_ids.h"

enum fake_transport { FAKE_PCI, FAKE_MMIO };

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
	uint64_t base;			/* mmio: of the registers */
	unsigned slot;			/* pci */
	struct fake_structure common, notify, isr, device, window;
	uint32_t notify_multiplier;
};

/*
 * Find the device: at PCI slot 'slot', by walking its capabilities (memory and bus mastering are
 * switched on), or at virtio-mmio place 'index'.  Failure ends the test.
 */
void fake_driver_find_pci(struct fake_driver *d, struct fake_machine *machine, unsigned slot);
void fake_driver_find_mmio(struct fake_driver *d, struct fake_machine *machine, unsigned index);

uint8_t fake_driver_status(struct fake_driver *d);
void fake_driver_set_status(struct fake_driver *d, uint8_t status);
void fake_driver_reset(struct fake_driver *d);

/* One 32-bit half. */
uint32_t fake_driver_offered_half(struct fake_driver *d, uint32_t half);
void fake_driver_accept_half(struct fake_driver *d, uint32_t half, uint32_t bits);

struct features fake_driver_offered(struct fake_driver *d);
void fake_driver_accept(struct fake_driver *d, struct features f);

/* Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK.  Returns whether it stands. */
bool fake_driver_negotiate(struct fake_driver *d, struct features f);

/* Of queue 'index'. */
uint16_t fake_driver_queue_max(struct fake_driver *d, unsigned index);
void fake_driver_set_queue(struct fake_driver *d, unsigned index, const struct fake_ring *ring);
void fake_driver_enable_queue(struct fake_driver *d, unsigned index);
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
