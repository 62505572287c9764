/*
 * Negotiation: the device status field and the feature bits as one pure state machine.  No I/O,
 * no allocation, no pointer to a device; whoever owns it acts on the event that a status write
 * returns.
 *
 * virtio-v1.4 2.1 "Device Status Field", 2.2 "Feature Bits", 3.1.1 "Driver Requirements: Device
 * Initialization"; cases N1-N10, N17, N19 of docs/negotiation.md.  Control path, machine lock
 * held.
 */
#ifndef VIRTIO_NEGOTIATION_H
#define VIRTIO_NEGOTIATION_H

#include "virtio/features.h"
#include "virtio/virtio_ids.h"

enum negotiation_event {
	NEG_NOTHING,
	NEG_SEALED,		/* FEATURES_OK stands: 'accepted' is final until reset */
	NEG_REFUSED,		/* FEATURES_OK does not stand: see 'refusal' */
	NEG_DRIVER_OK,		/* start the device */
	NEG_RESET,		/* status 0 was written: stop, then negotiation_reset_done() */
	NEG_FAILED,		/* the driver gave up: stop working, keep registers */
};

/* Why FEATURES_OK was refused (N5). */
enum negotiation_rule {
	NEG_RULE_NONE,
	NEG_RULE_NOT_OFFERED,	/* the driver took a bit that was not offered */
	NEG_RULE_NEEDS,		/* bit without the one it needs */
	NEG_RULE_REQUIRED,	/* a bit that this device insists on was not taken */
};

struct negotiation_refusal {
	enum negotiation_rule rule;
	uint8_t bit;		/* the offending (or missing) bit */
	uint8_t needs;		/* NEG_RULE_NEEDS: what it needs */
};

/* What a driver did that the specification forbids it; never fatal. */
struct negotiation_mistakes {
	uint32_t feature_write_after_seal;
	uint32_t feature_write_beyond_words;	/* a non-zero half past bit 127 */
	uint32_t status_bits_cleared;
	uint32_t driver_ok_without_features_ok;
	uint32_t needs_reset_written;
};

struct negotiation {
	unsigned device_id;
	struct features offered;	/* what the guest sees; fixed while status != 0 */
	struct features required;	/* must be accepted: VERSION_1 on modern-only devices */
	struct features draft;		/* as written by the driver, before FEATURES_OK */
	struct features accepted;	/* valid while 'sealed' */
	bool draft_beyond_words;	/* a bit >= 128 was written since reset: never acceptable */
	bool sealed;
	bool resetting;			/* NEG_RESET was returned, reset is not complete */
	uint8_t status;
	uint32_t device_feature_select, driver_feature_select;
	struct negotiation_refusal refusal;	/* the last one; kept over reset for explain */
	struct negotiation_mistakes mistakes;	/* since power-on */
};

/* Only what features_offerable() lets through is offered: nothing internal (N17) or unknown. */
void negotiation_init(struct negotiation *n, unsigned device_id, struct features offered,
		      struct features required);

/* Half 'device_feature_select' of the offered bits; 0 for halves that do not exist. */
uint32_t negotiation_read_offered(const struct negotiation *n);

/* Half 'driver_feature_select' of what the driver wrote (the draft, or the accepted set). */
uint32_t negotiation_read_driver(const struct negotiation *n);

/* Replace (never OR, N2) half 'driver_feature_select' of the draft; once sealed only counted. */
void negotiation_write_driver(struct negotiation *n, uint32_t value);

/*
 * A write to the status register.  The written byte adds bits; 0 asks for a reset.  Returns what
 * the owner must do now.  NEG_SEALED and NEG_DRIVER_OK may come from one combined write (N8):
 * then NEG_DRIVER_OK is returned and 'sealed' became true in the same call.
 *
 * A bit that does not take effect does not read back: FEATURES_OK when refused (the driver may
 * write another set and try again), DRIVER_OK without FEATURES_OK, anything but a reset after
 * FAILED.
 */
enum negotiation_event negotiation_write_status(struct negotiation *n, uint8_t value);

/* The status as the driver reads it. */
uint8_t negotiation_read_status(const struct negotiation *n);

/* The device has stopped: everything as at power-on, offered and required kept. */
void negotiation_reset_done(struct negotiation *n);

/*
 * N10: set DEVICE_NEEDS_RESET.  Returns true if a configuration interrupt must be sent
 * (DRIVER_OK).
 */
bool negotiation_needs_reset(struct negotiation *n);

/* "VIRTIO_F_RING_PACKED was not offered", for the log and explain; "" when nothing was refused. */
void negotiation_describe_refusal(const struct negotiation *n, char *buf, size_t size);

#endif
