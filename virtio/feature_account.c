#include "virtio/feature_account.h"

#include <stdio.h>

#include "virtio/feature_names.h"

static bool exists_at(const struct feature_account *a, unsigned interfaces)
{
	return (a->interfaces & interfaces) != 0;
}

/* A bit that one side merely has says nothing where it has no meaning at all. */
static bool has_meaning(const struct feature_account *a)
{
	return (exists_at(a, FEATURE_MODERN) && a->modern != FEATURE_NOT_HERE) ||
	       (exists_at(a, FEATURE_LEGACY) && a->legacy != FEATURE_NOT_HERE);
}

bool feature_account_has(const struct feature_account *a)
{
	if (!a->info)
		return false;
	switch (a->info->owner) {
	case FEATURE_DEVICE: return a->model;
	case FEATURE_TRANSPORT: return a->transport;
	case FEATURE_RING: return a->backend && (a->model || a->info->device == 0);
	case FEATURE_INTERNAL: break;
	}
	return false;
}

static enum feature_answer answer_of(const struct negotiation *n, unsigned bit)
{
	const struct features *f = n->sealed ? &n->accepted : &n->last_accepted;

	if (!n->sealed && n->status != 0)
		return FEATURE_UNDECIDED;
	if (n->n_sealed == 0)
		return FEATURE_NO_DRIVER;
	return features_has(f, bit) ? FEATURE_TAKEN : FEATURE_LEFT;
}

static void take_verdicts(struct feature_account *a, const struct feature_offer *o)
{
	unsigned modern = o->interfaces & FEATURE_MODERN, legacy = o->interfaces & FEATURE_LEGACY;

	a->modern = a->legacy = FEATURE_NOT_HERE;
	a->modern_needs = a->legacy_needs = FEATURE_NONE;
	if (modern)
		a->modern = feature_offer_verdict(o, a->bit, modern, &a->modern_needs);
	if (legacy)
		a->legacy = feature_offer_verdict(o, a->bit, legacy, &a->legacy_needs);
}

bool feature_account_take(struct feature_account *out, const struct virtio_device *dev,
			  unsigned bit)
{
	const struct feature_offer *o = &dev->offer;
	const struct negotiation *n = &dev->negotiation;
	struct feature_account a = {
		.bit = bit,
		.info = feature_info((enum feature_bit)bit, dev->id),
		.model = features_has(&o->model, bit),
		.backend = features_has(&o->backend, bit),
		.transport = features_has(&o->transport, bit),
		.wish = features_has(&o->on, bit)  ? FEATURE_DEMANDED :
			features_has(&o->off, bit) ? FEATURE_FORBIDDEN : FEATURE_NO_WISH,
		.interfaces = o->interfaces,
		.n_parts = dev->n_parts,
	};
	bool by_driver = features_has(&n->draft, bit) || features_has(&n->last_accepted, bit) ||
			 (n->refusal.rule != NEG_RULE_NONE && n->refusal.bit == bit);

	/* Cheap first: the verdicts are not. */
	if (!by_driver && a.wish == FEATURE_NO_WISH && !feature_account_has(&a) && !a.model)
		return false;
	take_verdicts(&a, o);
	if (!by_driver && a.wish == FEATURE_NO_WISH && !has_meaning(&a))
		return false;
	a.answer = answer_of(n, bit);
	a.legacy_driver = n->sealed ? n->legacy : n->last_legacy;
	/* Between FEATURES_OK and the start what the parts know is of the session before. */
	a.started = n->n_sealed > 0 && !(n->sealed && dev->state == VIRTIO_STOPPED);
	for (unsigned i = 0; i < dev->n_parts; i++) {
		struct datapath *dp = dev->part[i].datapath;
		a.told[i] = a.started && features_has(&dev->part[i].told, bit);
		if (a.started && !a.told[i] && !a.untold && dp->ops->untold)
			a.untold = dp->ops->untold(dp, bit);
	}
	*out = a;
	return true;
}

bool feature_account_is_offered(const struct feature_account *a)
{
	return exists_at(a, FEATURE_MODERN) && a->modern == FEATURE_OFFERED;
}

bool feature_account_is_offered_legacy(const struct feature_account *a)
{
	return exists_at(a, FEATURE_LEGACY) && a->legacy == FEATURE_OFFERED && a->bit < 32;
}

static const char *not_offered(const struct feature_account *a, char buf[64])
{
	bool by_legacy = !exists_at(a, FEATURE_MODERN) || a->modern == FEATURE_NOT_HERE;
	enum feature_verdict verdict = by_legacy ? a->legacy : a->modern;
	uint8_t needs = by_legacy ? a->legacy_needs : a->modern_needs;
	const struct feature_info *info = NULL;

	if (verdict == FEATURE_NEEDS_MISSING)
		info = feature_info((enum feature_bit)needs, a->info->device);
	if (info)
		snprintf(buf, 64, "it needs %s", feature_short_name(info));
	else
		snprintf(buf, 64, "%s", feature_verdict_text(verdict));
	return buf;
}

static const char *not_told(const struct feature_account *a, char buf[64])
{
	buf[0] = '\0';
	if (!a->started)
		snprintf(buf, 64, "the back end has not started yet");
	else if (a->untold)
		snprintf(buf, 64, "%s", a->untold);
	for (unsigned i = 0; a->started && i < a->n_parts && !buf[0]; i++)
		if (!a->told[i])
			snprintf(buf, 64, "part %u need not know", i);
	return buf;
}

const char *feature_account_reason(const struct feature_account *a, char buf[64])
{
	bool modern = feature_account_is_offered(a), legacy = feature_account_is_offered_legacy(a);

	if (!modern && !legacy)
		return not_offered(a, buf);
	switch (a->answer) {
	case FEATURE_NO_DRIVER:
		snprintf(buf, 64, "no driver yet");
		return buf;
	case FEATURE_UNDECIDED:
		snprintf(buf, 64, "the driver has not decided yet");
		return buf;
	case FEATURE_LEFT:
		if (a->legacy_driver ? legacy : modern)
			snprintf(buf, 64, "the driver did not take it");
		else
			snprintf(buf, 64, "a %s driver does not see it",
				 a->legacy_driver ? "legacy" : "modern");
		return buf;
	case FEATURE_TAKEN:
		break;
	}
	return not_told(a, buf);
}

const char *feature_owner_name(enum feature_owner owner)
{
	switch (owner) {
	case FEATURE_DEVICE: return "device";
	case FEATURE_TRANSPORT: return "transport";
	case FEATURE_RING: return "ring";
	case FEATURE_INTERNAL: return "internal";
	}
	return "nobody";
}
