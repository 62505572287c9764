/*
 * A virtio device in a fake machine, with an I/O thread of its own and a driver in front: what a
 * device model's tests need to talk to it as a guest does.  Everything that fails here ends the
 * test.
 */
#ifndef TESTS_DEVICE_RIG_H
#define TESTS_DEVICE_RIG_H

#include "tests/support/fake_driver.h"
#include "virtio/transport.h"

enum { RIG_QUEUES = 8, RIG_QUEUE_SIZE = 64 };

struct device_rig {
	struct fake_machine *machine;
	struct event_loop *io;		/* its thread runs from create to destroy */
	struct virtio_transport *transport;
	struct fake_driver driver;
	struct fake_ring ring[RIG_QUEUES];
	uint64_t next;			/* guest memory not yet given out */
};

/* Before the device is made: it wants the I/O loop. */
void device_rig_create(struct device_rig *rig);
/* Put 'dev' (consumed) on the machine, found by the driver. */
void device_rig_plug(struct device_rig *rig, struct virtio_device *dev, enum fake_transport how);
void device_rig_unplug(struct device_rig *rig);
void device_rig_destroy(struct device_rig *rig);

/* Negotiate 'features', set up 'n_queues' fresh rings, DRIVER_OK. */
void device_rig_start(struct device_rig *rig, struct features features, unsigned n_queues);
/* The same for the queues of bit mask 'queues'. */
void device_rig_start_some(struct device_rig *rig, struct features features, unsigned queues);
/* Start n_queues with everything that is offered. */
void device_rig_start_all(struct device_rig *rig, unsigned n_queues);

/* 'len' bytes of guest memory, filled with 0xcc. */
uint64_t device_rig_alloc(struct device_rig *rig, uint64_t len);
/* The driver's view of it. */
void *device_rig_at(struct device_rig *rig, uint64_t gpa, uint64_t len);

/* Offer a chain on 'queue' and kick. */
uint16_t device_rig_add(struct device_rig *rig, unsigned queue, const struct fake_buf *buf,
			unsigned n);
/* Wait (some seconds) for the next used entry; returns its length and, if wanted, its head. */
uint32_t device_rig_wait(struct device_rig *rig, unsigned queue, uint32_t *head);
/* Is there none, although there was time? */
bool device_rig_is_quiet(struct device_rig *rig, unsigned queue);

#endif
