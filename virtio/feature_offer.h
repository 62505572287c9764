/*
 * What a device offers, and why not more: each side says what it can do, the configuration what
 * it wants, and the offered set follows (N12, N13, N20).  Pure.
 *
 *   device bits     offered if the model has them
 *   ring bits       offered if every part's datapath serves them (those of a header: if the model
 *                   has them, too)
 *   transport bits  offered if the transport carries them
 *
 * and of those only what exists at the register interface, is not off (by the configuration or by
 * default) and has what it needs.
 */
#ifndef VIRTIO_FEATURE_OFFER_H
#define VIRTIO_FEATURE_OFFER_H

#include "virtio/features.h"

struct feature_offer {
	unsigned device_id;
	unsigned interfaces;		/* FEATURE_ON_...: those of the transport */
	struct features model;		/* bits of the device type */
	struct features backend;	/* ring and header bits */
	struct features transport;	/* transport bits */
	struct features on, off;	/* demanded, forbidden by the configuration */
};

/* Why a bit is (not) offered.  The first that applies. */
enum feature_verdict {
	FEATURE_OFFERED,
	FEATURE_UNKNOWN,		/* no row in the table (N18) */
	FEATURE_IS_INTERNAL,		/* N17 */
	FEATURE_NOT_HERE,		/* means nothing at this interface */
	FEATURE_NOT_IN_MODEL,
	FEATURE_NOT_IN_BACKEND,
	FEATURE_NOT_IN_TRANSPORT,
	FEATURE_SWITCHED_OFF,		/* by the configuration */
	FEATURE_OFF_BY_DEFAULT,		/* and not demanded */
	FEATURE_NEEDS_MISSING,		/* what it needs is not offered */
};

/* What is offered at 'interfaces', one or more of those of the transport. */
struct features feature_offer_at(const struct feature_offer *offer, unsigned interfaces);

/* The reason for 'bit' at 'interfaces'; 'needs' is set for FEATURE_NEEDS_MISSING (else NONE). */
enum feature_verdict feature_offer_verdict(const struct feature_offer *offer, unsigned bit,
					   unsigned interfaces, uint8_t *needs);

/* Bits that are right but that nobody gets who did not ask for them: see the table in the .c. */
struct features features_off_by_default(void);

/*
 * Does the offer have what the configuration demands, and is nothing switched off that the
 * interfaces cannot do without?  Returns 0, or -EINVAL with an error that names the bit and the
 * reason.
 */
MUST_USE int feature_offer_check(const struct feature_offer *offer);

/* "the back end does not serve it": for reports. */
const char *feature_verdict_text(enum feature_verdict verdict);

#endif
