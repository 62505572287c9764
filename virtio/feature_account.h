/*
 * The account of one feature bit of one device: who answers for it and whether he has it, what the
 * configuration asks, where it is offered, whether the driver took it, whether the back end was
 * told, and why not (N20).  A copy: it stays valid when the device goes on.
 */
#ifndef VIRTIO_FEATURE_ACCOUNT_H
#define VIRTIO_FEATURE_ACCOUNT_H

#include "virtio/virtio_device.h"

enum feature_wish { FEATURE_NO_WISH, FEATURE_DEMANDED, FEATURE_FORBIDDEN };

enum feature_answer {
	FEATURE_NO_DRIVER,		/* there was none since power-on */
	FEATURE_UNDECIDED,		/* there is one, and its features do not count yet */
	FEATURE_LEFT,			/* the driver did not take it */
	FEATURE_TAKEN,
};

struct feature_account {
	unsigned bit;
	const struct feature_info *info;	/* NULL: we do not know it */
	bool model, backend, transport;		/* who has it */
	enum feature_wish wish;
	unsigned interfaces;			/* FEATURE_ON_...: what the device has */
	enum feature_verdict modern, legacy;	/* of the interfaces that there are */
	uint8_t modern_needs, legacy_needs;	/* FEATURE_NEEDS_MISSING: that one; or NONE */
	enum feature_answer answer;		/* of this session, or else of the last */
	bool legacy_driver;			/* LEFT, TAKEN: of a legacy driver */
	bool started;				/* the session reached the back end */
	bool told[VIRTIO_MAX_PARTS];
	const char *untold;			/* a reason of a part's own, or NULL */
	unsigned n_parts;
};

/*
 * Take the account of 'bit'.  False: nobody mentions it (it exists for this device, but nobody has
 * it, asks for it, or took it).  Machine lock held, if there is a machine.
 */
bool feature_account_take(struct feature_account *out, const struct virtio_device *dev,
			  unsigned bit);

bool feature_account_is_offered(const struct feature_account *a);
bool feature_account_is_offered_legacy(const struct feature_account *a);

/* Does he who answers for the bit (its owner) have it? */
bool feature_account_has(const struct feature_account *a);

/*
 * Why the bit did not get further than it did: not offered, not taken, not told.  "" if it went
 * all the way.  Written to 'buf' and returned.
 */
const char *feature_account_reason(const struct feature_account *a, char buf[64]);

/* "device", "transport", "ring", "internal". */
const char *feature_owner_name(enum feature_owner owner);

#endif
