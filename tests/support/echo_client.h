/*
 * A good driver of an echo device over any transport, for users who break its work: it knows
 * how to begin again from wherever the registers are, and for how long its rings are what it made
 * of them.
 */
#ifndef TESTS_ECHO_CLIENT_H
#define TESTS_ECHO_CLIENT_H

#include "tests/support/echo_watch.h"

struct echo_client {
	struct echo_rig *rig;
	struct echo_watch *watch;
	struct virtio_pci *pci;		/* NULL: virtio-mmio */
	struct fake_driver other;	/* at the other window of a transitional device */
	bool has_other;
	bool has_ring;			/* ring[] is laid out */
	bool keeps_rules;
	unsigned n_resets;		/* of the device, when the rings were laid out */
};

/* How echo_client_bring_up() does it; without any of them: the rings' usual features. */
enum {
	CLIENT_TAKES_ALL = 1,		/* whatever is offered */
	CLIENT_NO_DRIVER_OK = 2,
	CLIENT_PACKED = 4,
	CLIENT_IN_ORDER = 8,
	CLIENT_SUSPEND = 0x10,		/* and RING_RESET */
	CLIENT_DATA = 0x20,		/* NOTIFICATION_DATA */
	CLIENT_NO_MASTER = 0x80,
};

/* Both are kept; the device is as it was made. */
void echo_client_init(struct echo_client *c, struct echo_rig *rig, struct echo_watch *watch);

bool echo_client_is_legacy(const struct echo_client *c);

/* Where its registers are now; false if they cannot be reached. */
bool echo_client_find(struct echo_client *c, uint64_t *base);
/* From one window of a transitional device to the other. */
void echo_client_change_window(struct echo_client *c);

/* Begin again: BARs, reset, features, rings, DRIVER_OK.  The host must not be slow. */
void echo_client_bring_up(struct echo_client *c, unsigned how);

/* Somebody broke the rules, or may have: nothing is expected before it begins again. */
void echo_client_spoil(struct echo_client *c);

/* Offer a request; false if there is no place for one. */
bool echo_client_ask(struct echo_client *c, unsigned index);
/* Take what came back, and judge it.  Returns how many. */
unsigned echo_client_reap(struct echo_client *c, unsigned index);
/* Ask, kick, and insist on an answer, if the device can be expected to give one. */
void echo_client_round_trip(struct echo_client *c, unsigned index);

#endif
