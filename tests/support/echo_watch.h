/*
 * What is true of an echo device and its transport whatever the driver did, checked from outside
 * after each of its steps.  A watch remembers what may not change between two of them.
 */
#ifndef TESTS_ECHO_WATCH_H
#define TESTS_ECHO_WATCH_H

#include "tests/support/echo_rig.h"
#include "virtio/transport_mmio.h"
#include "virtio/transport_pci.h"

/* The memory that is watched: where the rig has its rings and its data. */
enum {
	WATCH_RING_STRIDE = 0x10000,
	WATCH_RING_LEN = 0x3000,
	WATCH_DATA_LEN = 64 * 256,
	WATCH_LEN = ECHO_QUEUES * WATCH_RING_LEN + WATCH_DATA_LEN,
};

struct echo_watch {
	struct echo_rig *rig;
	struct virtio_device *dev;
	struct virtio_pci *pci;		/* one of the two */
	struct virtio_mmio *mmio;
	uint64_t bar[PCI_N_BARS];	/* where they are after a system reset */
	bool bells_refused;		/* the host once had no doorbell: any may be missing */

	/* What may not change until a reset. */
	unsigned n_resets;
	bool was_sealed, was_legacy;
	unsigned n_hard_stops;
	struct features accepted;
	struct virtio_queue frozen[ECHO_QUEUES];

	uint8_t config[ECHO_CONFIG_LEN];	/* as the device has set it */
	uint8_t shown[ECHO_CONFIG_LEN];		/* as it was when nothing was held back */

	/* Memory, while nothing may be written to it. */
	bool was_quiet, was_suspended;
	unsigned n_starts;
	uint8_t memory[WATCH_LEN];
};

/* 'rig' is kept; its device must be as it was made.  It needs no end. */
void echo_watch_init(struct echo_watch *w, struct echo_rig *rig);

/* Every rule.  What is not so ends the test. */
void echo_watch_check(struct echo_watch *w);

/* The status was read as 0, or the machine was reset: as at power-on. */
void echo_watch_check_reset(const struct echo_watch *w);

/* Reset the machine, as far as there is one, and check that. */
void echo_watch_system_reset(struct echo_watch *w);

/* Unplug the device, whatever it is doing: nothing of it is left on any bus.  The last call. */
void echo_watch_unplug(struct echo_watch *w);

/* The driver itself changed memory since the last check. */
void echo_watch_driver_wrote(struct echo_watch *w);

#endif
