/*
 * An echo device on a fake machine with a driver in front of it, over any transport.  The
 * device's I/O loop and the main loop are pumped by the test, so that it decides what happens
 * when.
 */
#ifndef TESTS_ECHO_RIG_H
#define TESTS_ECHO_RIG_H

#include "tests/support/echo_device.h"
#include "tests/support/fake_driver.h"
#include "virtio/transport.h"

/* Guest addresses that tests use. */
enum {
	RIG_RINGS = 0x10000,		/* 64 KiB for each queue */
	RIG_DATA = 0x100000,
};

struct echo_rig {
	struct fake_machine *machine;
	struct event_loop *loop;	/* I/O */
	struct echo_device *echo;
	struct virtio_device *dev;	/* of the echo */
	struct virtio_transport *transport;
	struct fake_driver driver;
	struct fake_ring ring[ECHO_QUEUES];
	unsigned n_echoed;
};

/* What a device is asked for beside its transport. */
struct echo_rig_options {
	enum fake_transport transport;
	struct features on;		/* demanded */
	struct virtio_shm shm[VIRTIO_MAX_SHM];
	unsigned n_shm;
};

/* Failure ends the test. */
struct echo_rig *echo_rig_create(enum fake_transport transport);
struct echo_rig *echo_rig_create_with(const struct echo_rig_options *options);
void echo_rig_destroy(struct echo_rig *rig);

/* Handle what is ready on the I/O loop, then on the main loop. */
void echo_rig_pump(struct echo_rig *rig);

/* The three bits of the ring that are always offered. */
struct features echo_rig_ring_features(void);

/* Negotiate 'f' and configure and enable all queues with fresh rings; no DRIVER_OK yet. */
void echo_rig_prepare(struct echo_rig *rig, struct features f);
void echo_rig_driver_ok(struct echo_rig *rig);
/* All of that with the bits of the ring, and the first look at the queues is over. */
void echo_rig_start(struct echo_rig *rig);

/* The status of a device that runs: a legacy driver has no FEATURES_OK. */
uint8_t echo_rig_running(const struct echo_rig *rig);
/* That driver's status before DRIVER_OK. */
uint8_t echo_rig_negotiated(const struct echo_rig *rig);

/* Offer one chain that asks queue 'index' for an echo, without a kick; check the answer. */
void echo_rig_ask(struct echo_rig *rig, unsigned index);
void echo_rig_expect_answer(struct echo_rig *rig, unsigned index);

/* Ask, kick, pump, and check the answer. */
void echo_rig_round_trip(struct echo_rig *rig, unsigned index);

/* Offer a head that does not exist on queue 'index', kick and pump: the ring breaks. */
void echo_rig_break_ring(struct echo_rig *rig, unsigned index);

/* How many interrupts of any kind were sent since the last call. */
unsigned echo_rig_take_interrupts(struct echo_rig *rig);

/* Run 'test' over each transport from 'first' to 'last', with a fresh rig each. */
void echo_rig_over(enum fake_transport first, enum fake_transport last,
		   void (*test)(struct echo_rig *rig));
/* The same with devices that offer 'on', too. */
void echo_rig_over_with(enum fake_transport first, enum fake_transport last, struct features on,
			void (*test)(struct echo_rig *rig));

/* A second driver at the legacy window of a transitional device whose first one is modern. */
void echo_rig_find_legacy(struct echo_rig *rig, struct fake_driver *legacy);

/* What echo_rig_ring_features says, and one bit more. */
struct features echo_rig_features_with(unsigned bit);

/* A test that is run over several transports: OVER_ALL(suite, name) { ... uses 'rig' ... } */
#define OVER(suite, name, first, last)                                                             \
	static void suite##_##name(struct echo_rig *rig);                                          \
	Test(suite, name)                                                                          \
	{                                                                                          \
		echo_rig_over(first, last, suite##_##name);                                        \
	}                                                                                          \
	static void suite##_##name(struct echo_rig *rig)
#define OVER_ALL(suite, name) OVER(suite, name, FAKE_PCI, FAKE_MMIO_LEGACY)
#define OVER_MODERN(suite, name) OVER(suite, name, FAKE_PCI, FAKE_TRANSITIONAL)
#define OVER_LEGACY(suite, name) OVER(suite, name, FAKE_TRANSITIONAL_LEGACY, FAKE_MMIO_LEGACY)

#endif
