#include "virtio/feature_offer.h"

#include <errno.h>

#include "vmm/base/error.h"

/*
 * RING_PACKED, IN_ORDER: every driver of today knows split rings best.  NOTIFICATION_DATA and
 * NOTIF_CONFIG_DATA make each kick dearer and tell us nothing.  ACCESS_PLATFORM and
 * ORDER_PLATFORM cost the driver a DMA layer and barriers for memory that we share coherently.
 * SUSPEND is new and no driver needs it to work.
 */
struct features features_off_by_default(void)
{
	static const uint8_t bits[] = {
		VIRTIO_F_ACCESS_PLATFORM,   VIRTIO_F_RING_PACKED,	VIRTIO_F_IN_ORDER,
		VIRTIO_F_ORDER_PLATFORM,    VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA,
		VIRTIO_F_SUSPEND,
	};
	struct features f = FEATURES_EMPTY;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		features_add(&f, bits[i]);
	return f;
}

/* The verdict without a look at what the bit needs. */
static enum feature_verdict judge_alone(const struct feature_offer *o, unsigned bit,
					unsigned interfaces)
{
	const struct feature_info *info = feature_info((enum feature_bit)bit, o->device_id);
	struct features quiet = features_off_by_default();

	if (!info)
		return FEATURE_UNKNOWN;
	if (info->owner == FEATURE_INTERNAL)
		return FEATURE_IS_INTERNAL;
	if (!(info->interfaces & interfaces))
		return FEATURE_NOT_HERE;
	if (info->device != 0 && !features_has(&o->model, bit))
		return FEATURE_NOT_IN_MODEL;
	if (info->owner == FEATURE_RING && !features_has(&o->backend, bit))
		return FEATURE_NOT_IN_BACKEND;
	if (info->owner == FEATURE_TRANSPORT && !features_has(&o->transport, bit))
		return FEATURE_NOT_IN_TRANSPORT;
	if (features_has(&o->off, bit))
		return FEATURE_SWITCHED_OFF;
	if (features_has(&quiet, bit) && !features_has(&o->on, bit))
		return FEATURE_OFF_BY_DEFAULT;
	return FEATURE_OFFERED;
}

static struct features each_alone(const struct feature_offer *o, unsigned interfaces)
{
	struct features f = FEATURES_EMPTY;

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		if (judge_alone(o, bit, interfaces) == FEATURE_OFFERED)
			features_add(&f, bit);
	return f;
}

struct features feature_offer_at(const struct feature_offer *offer, unsigned interfaces)
{
	return features_offerable(each_alone(offer, interfaces), offer->device_id, interfaces);
}

enum feature_verdict feature_offer_verdict(const struct feature_offer *offer, unsigned bit,
					   unsigned interfaces, uint8_t *needs)
{
	enum feature_verdict verdict = judge_alone(offer, bit, interfaces);
	struct features offered = feature_offer_at(offer, interfaces);
	uint8_t unmet;

	*needs = FEATURE_NONE;
	if (verdict != FEATURE_OFFERED || features_has(&offered, bit))
		return verdict;
	features_add(&offered, bit);
	(void)!features_find_unmet(&offered, offer->device_id, &unmet, needs);
	return FEATURE_NEEDS_MISSING;
}

static int refuse(const struct feature_offer *o, unsigned bit)
{
	uint8_t needs;
	char buf[24];
	const char *name = feature_name(buf, bit, o->device_id);
	enum feature_verdict verdict = feature_offer_verdict(o, bit, o->interfaces, &needs);

	if (verdict == FEATURE_NEEDS_MISSING)
		return error_set(EINVAL, "%s cannot be had: it needs %s, which is not offered",
				 name, feature_name((char[24]){ 0 }, needs, o->device_id));
	if (verdict == FEATURE_NOT_HERE && !(o->interfaces & FEATURE_MODERN))
		return error_set(EINVAL, "%s cannot be had: legacy interfaces do not have it",
				 name);
	return error_set(EINVAL, "%s cannot be had: %s", name, feature_verdict_text(verdict));
}

int feature_offer_check(const struct feature_offer *offer)
{
	struct features offered = feature_offer_at(offer, offer->interfaces);
	struct features missing = features_minus(offer->on, offered);

	if (!features_is_empty(missing))
		return refuse(offer, features_first(&missing));
	if (offer->interfaces & FEATURE_MODERN && features_has(&offer->off, VIRTIO_F_VERSION_1))
		return error_set(EINVAL, "VIRTIO_F_VERSION_1 cannot be switched off at a modern "
					 "interface; a legacy transport is without it");
	return 0;
}

const char *feature_verdict_text(enum feature_verdict verdict)
{
	switch (verdict) {
	case FEATURE_OFFERED: return "offered";
	case FEATURE_UNKNOWN: return "no such bit is known";
	case FEATURE_IS_INTERNAL: return "it is not meant for guests";
	case FEATURE_NOT_HERE: return "the register interface lacks it";
	case FEATURE_NOT_IN_MODEL: return "the device does not have it";
	case FEATURE_NOT_IN_BACKEND: return "the back end does not serve it";
	case FEATURE_NOT_IN_TRANSPORT: return "the transport does not carry it";
	case FEATURE_SWITCHED_OFF: return "switched off by the configuration";
	case FEATURE_OFF_BY_DEFAULT: return "off unless asked for";
	case FEATURE_NEEDS_MISSING: return "a bit that it needs is not offered";
	}
	return "unknown";
}
