/*
 * Feature bits as people write them: "VIRTIO_F_RING_PACKED", "ring_packed", "packed" or "34", and
 * lists of wishes: "+packed,-indirect".  Pure.
 */
#ifndef VIRTIO_FEATURE_NAMES_H
#define VIRTIO_FEATURE_NAMES_H

#include "virtio/features.h"

enum { FEATURE_WHY_SIZE = 256 };

/* What a configuration demands and forbids; no bit is in both. */
struct feature_wishes {
	struct features on, off;
};

/* The part of a bit's name behind its prefix: "RING_PACKED", "MQ". */
const char *feature_short_name(const struct feature_info *info);

/*
 * The bit of device type 'device' (0: only bits that every device has) that 'text' ('len'
 * characters) means.  In any case, '-' for '_' if one likes, it is the name, the name without its
 * prefix, words of it that no other name has, or the number.
 *
 * Returns 0; or -EINVAL and a sentence in 'why': no such bit (and the name that is nearest), or
 * more than one.
 */
MUST_USE int feature_find(const char *text, size_t len, unsigned device, unsigned *bit,
			  char why[FEATURE_WHY_SIZE]);

/*
 * Add a list of wishes, '+' or '-' before each name and commas between them.  For each bit the last
 * wish counts, whether it is in this list or was there before.
 *
 * Returns 0; or -EINVAL and a sentence in 'why': nothing changed then.
 */
MUST_USE int feature_wishes_add(struct feature_wishes *wishes, const char *list, unsigned device,
				char why[FEATURE_WHY_SIZE]);

/* 'general' wishes where 'special' ones say nothing, else those. */
struct feature_wishes feature_wishes_merge(struct feature_wishes general,
					   struct feature_wishes special);

#endif
