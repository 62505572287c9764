/*
 * Negotiation: the device status field and the feature bits as one pure state machine.  No I/O,
 * no allocation, no pointer to a device; whoever owns it acts on the event that a status write
 * returns.
 *
 * One session has one driver, which is modern or legacy by the register interface that it uses: a
 * modern one seals its features with FEATURES_OK, and must take VERSION_1; a legacy one has no
 * FEATURES_OK, so its features count from the first thing it does that depends on them (a queue,
 * a kick, DRIVER_OK).  On a transitional device the first of the two to seal wins, until reset.
 *
 * virtio-v1.4 2.1 "Device Status Field", 2.2 "Feature Bits", 3.1 "Device Initialization"; cases
 * N1-N10, N17, N19 of docs/negotiation.md.  Control path, machine lock held.
 */
#ifndef VIRTIO_NEGOTIATION_H
#define VIRTIO_NEGOTIATION_H

#include "virtio/driver_mistakes.h"
#include "virtio/features.h"
#include "virtio/virtio_ids.h"

enum negotiation_event {
	NEG_NOTHING,
	NEG_SEALED,		/* FEATURES_OK stands: 'accepted' is final until reset */
	NEG_REFUSED,		/* FEATURES_OK does not stand: see 'refusal' */
	NEG_DRIVER_OK,		/* start the device */
	NEG_RESET,		/* status 0 was written: stop, then negotiation_reset_done() */
	NEG_FAILED,		/* the driver gave up: stop working, keep registers */
	NEG_SUSPEND,		/* quiesce, then negotiation_suspended() */
	NEG_RESUME,		/* go on, then negotiation_resumed() */
};

/* Why a set of features was refused (N5). */
enum negotiation_rule {
	NEG_RULE_NONE,
	NEG_RULE_NOT_OFFERED,	/* the driver took a bit that was not offered */
	NEG_RULE_NEEDS,		/* bit without the one it needs */
	NEG_RULE_REQUIRED,	/* a bit that this device insists on was not taken */
	NEG_RULE_BACK_END,	/* whoever moves the buffers refuses: see 'back_end_says' */
};

struct negotiation_refusal {
	enum negotiation_rule rule;
	uint8_t bit;		/* the offending (or missing) bit */
	uint8_t needs;		/* NEG_RULE_NEEDS: what it needs */
};

struct negotiation {
	unsigned device_id;
	struct features offered;	/* at the modern interface; fixed while status != 0 */
	struct features offered_legacy;	/* at the legacy one: bits 0-31 only */
	struct features required;	/* a modern driver must accept them */
	struct features draft;		/* as written by the driver, before they are sealed */
	struct features accepted;	/* valid while 'sealed' */
	bool draft_beyond_words;	/* a bit >= 128 was written since reset: never acceptable */
	bool sealed;
	bool legacy;			/* by a legacy driver; valid while 'sealed' */
	bool resetting;			/* NEG_RESET was returned, reset is not complete */
	bool suspending;		/* NEG_SUSPEND was returned, it is not complete */
	uint8_t status;
	uint32_t device_feature_select, driver_feature_select;
	struct negotiation_refusal refusal;	/* the last one; kept over reset for explain */
	char back_end_says[96];			/* of NEG_RULE_BACK_END */
	struct features last_accepted;		/* of the last sealed session, for explain */
	bool last_legacy;
	uint32_t n_sealed;			/* sessions, since power-on */
	struct driver_mistakes mistakes;	/* since power-on */
};

/*
 * A modern device.  Only what features_offerable() lets through is offered: nothing internal
 * (N17) or unknown.
 */
void negotiation_init(struct negotiation *n, unsigned device_id, struct features offered,
		      struct features required);

/* What is offered at the legacy interface; bits above 31 cannot be and are dropped. */
void negotiation_offer_legacy(struct negotiation *n, struct features offered);

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
 * FAILED, SUSPEND until the device is suspended.
 */
enum negotiation_event negotiation_write_status(struct negotiation *n, uint8_t value);

/*
 * The same three for a driver at the legacy interface: all features at once, bits 32 and up are
 * not accepted (N4); no FEATURES_OK.  A set that cannot be served seals nothing: NEG_REFUSED,
 * although the status bits stand; the device needs reset then.
 */
uint32_t negotiation_read_offered_legacy(const struct negotiation *n);
void negotiation_write_driver_legacy(struct negotiation *n, uint32_t value);
enum negotiation_event negotiation_write_status_legacy(struct negotiation *n, uint8_t value);

/*
 * A legacy driver touches a queue: its features count from here.  Returns NEG_SEALED the first
 * time, NEG_REFUSED for a set that cannot be served, else NEG_NOTHING.
 */
enum negotiation_event negotiation_seal_legacy(struct negotiation *n);

/*
 * N25: whoever moves the buffers refuses the set that was sealed just now, by the last of the calls
 * above: FEATURES_OK does not stand, as after NEG_REFUSED.  'before' is how all was before that
 * call; 'why' is copied.
 */
void negotiation_unseal(struct negotiation *n, const struct negotiation *before, const char *why);

/* The status as the driver reads it. */
uint8_t negotiation_read_status(const struct negotiation *n);

/* The device has stopped: everything as at power-on, offered and required kept. */
void negotiation_reset_done(struct negotiation *n);

/* The device is quiet / works again: the status says so.  virtio-v1.4 3.4 "Device Suspend" */
void negotiation_suspended(struct negotiation *n);
void negotiation_resumed(struct negotiation *n);
bool negotiation_is_suspended(const struct negotiation *n);

/*
 * N10: set DEVICE_NEEDS_RESET.  Returns true if a configuration interrupt must be sent
 * (DRIVER_OK).
 */
bool negotiation_needs_reset(struct negotiation *n);

/* "VIRTIO_F_RING_PACKED was not offered", for the log and explain; "" when nothing was refused. */
void negotiation_describe_refusal(const struct negotiation *n, char *buf, size_t size);

#endif
