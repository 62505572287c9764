#include "virtio/negotiation.h"

#include <stdio.h>

enum {
	PROGRESS = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER,
	/* What a driver of either kind can set.  NEEDS_RESET is the device's. */
	LEGACY_WRITABLE = PROGRESS | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED,
	WRITABLE = LEGACY_WRITABLE | VIRTIO_STATUS_FEATURES_OK,
};

void negotiation_init(struct negotiation *n, unsigned device_id, struct features offered,
		      struct features required)
{
	*n = (struct negotiation){ .device_id = device_id };
	n->offered = features_offerable(offered, device_id, FEATURE_MODERN);
	n->required = required;
}

void negotiation_offer_legacy(struct negotiation *n, struct features offered)
{
	struct features low = { { offered.word[0] & UINT32_MAX, 0 } };

	n->offered_legacy = features_offerable(low, n->device_id, FEATURE_LEGACY);
}

static void mistake(struct negotiation *n, enum driver_mistake kind)
{
	driver_mistakes_count(&n->mistakes, kind);
}

uint32_t negotiation_read_offered(const struct negotiation *n)
{
	return features_half(&n->offered, n->device_feature_select);
}

uint32_t negotiation_read_driver(const struct negotiation *n)
{
	return features_half(&n->draft, n->driver_feature_select);
}

void negotiation_write_driver(struct negotiation *n, uint32_t value)
{
	if (n->sealed) {
		mistake(n, MISTAKE_FEATURES_AFTER_OK);
		return;
	}
	if (n->driver_feature_select >= 2 * FEATURES_WORDS && value != 0)
		n->draft_beyond_words = true;
	features_set_half(&n->draft, n->driver_feature_select, value);
}

uint32_t negotiation_read_offered_legacy(const struct negotiation *n)
{
	return features_half(&n->offered_legacy, 0);
}

static struct negotiation_refusal refusal_by(enum negotiation_rule rule, unsigned bit)
{
	return (struct negotiation_refusal){
		.rule = rule,
		.bit = (uint8_t)bit,
		.needs = FEATURE_NONE,
	};
}

/* The whole set at once (N5): a subset, nothing missing that is insisted on, all needs met. */
static struct negotiation_refusal judge(const struct negotiation *n, struct features offered,
					struct features required)
{
	struct features extra = features_minus(n->draft, offered);
	struct features missing = features_minus(required, n->draft);
	struct negotiation_refusal refusal = refusal_by(NEG_RULE_NONE, FEATURE_NONE);

	if (!features_is_empty(extra) || n->draft_beyond_words)
		return refusal_by(NEG_RULE_NOT_OFFERED, features_first(&extra));
	if (!features_is_empty(missing))
		return refusal_by(NEG_RULE_REQUIRED, features_first(&missing));
	if (features_find_unmet(&n->draft, n->device_id, &refusal.bit, &refusal.needs))
		refusal.rule = NEG_RULE_NEEDS;
	return refusal;
}

static bool seal(struct negotiation *n, struct negotiation_refusal refusal, bool legacy)
{
	static const enum driver_mistake kind[] = {
		[NEG_RULE_NOT_OFFERED] = MISTAKE_FEATURES_NOT_OFFERED,
		[NEG_RULE_NEEDS] = MISTAKE_FEATURES_NEEDS,
		[NEG_RULE_REQUIRED] = MISTAKE_FEATURES_REQUIRED,
	};

	n->refusal = refusal;
	if (refusal.rule != NEG_RULE_NONE) {
		mistake(n, kind[refusal.rule]);
		return false;
	}
	n->accepted = n->last_accepted = n->draft;
	n->legacy = n->last_legacy = legacy;
	n->sealed = true;
	n->n_sealed++;
	return true;
}

static bool has_suspend(const struct negotiation *n)
{
	return n->sealed && features_has(&n->accepted, VIRTIO_F_SUSPEND);
}

/*
 * virtio-v1.4 3.4: once the device runs SUSPEND asks it to pause, and DRIVER_OK then to go on.
 * Until it runs SUSPEND is ignored.
 */
static bool is_about_suspend(const struct negotiation *n, uint8_t value)
{
	if (value & VIRTIO_STATUS_FAILED || n->resetting || !has_suspend(n))
		return false;
	return negotiation_is_suspended(n) ||
	       (value & VIRTIO_STATUS_SUSPEND && n->status & VIRTIO_STATUS_DRIVER_OK);
}

static enum negotiation_event write_suspend(struct negotiation *n, uint8_t value)
{
	if (n->status & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED) || n->suspending)
		return NEG_NOTHING;
	if (negotiation_is_suspended(n))
		return value & VIRTIO_STATUS_DRIVER_OK ? NEG_RESUME : NEG_NOTHING;
	n->suspending = true;
	return NEG_SUSPEND;
}

static enum negotiation_event write_driver_ok(struct negotiation *n, enum negotiation_event event)
{
	if (!n->sealed) {
		mistake(n, MISTAKE_DRIVER_OK_UNNEGOTIATED);
		return event;
	}
	n->status |= VIRTIO_STATUS_DRIVER_OK;
	/* A device that broke before is not started; the driver can see why. */
	return n->status & VIRTIO_STATUS_NEEDS_RESET ? event : NEG_DRIVER_OK;
}

/* Bits are only ever added: a write without one that is set keeps it, and is a mistake. */
static void judge_status(struct negotiation *n, uint8_t value, unsigned writable)
{
	unsigned known = writable | VIRTIO_STATUS_NEEDS_RESET |
			 (has_suspend(n) ? VIRTIO_STATUS_SUSPEND : 0u);
	unsigned late = value & ~n->status &
			(VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK) & writable;

	if (n->status & ~value & writable)
		mistake(n, MISTAKE_STATUS_BITS_CLEARED);
	if (value & ~n->status & VIRTIO_STATUS_NEEDS_RESET)
		mistake(n, MISTAKE_NEEDS_RESET_WRITTEN);
	if (value & ~known)
		mistake(n, MISTAKE_STATUS_UNKNOWN_BITS);
	if (late && !((n->status | value) & VIRTIO_STATUS_DRIVER))
		mistake(n, MISTAKE_STATUS_ORDER);
}

/* What is common to drivers of both kinds.  Returns the bits that are left to be looked at. */
static unsigned add_status(struct negotiation *n, uint8_t value, unsigned writable,
			   enum negotiation_event *event)
{
	*event = NEG_NOTHING;
	if (value == 0) {
		n->resetting = true;
		n->suspending = false;
		*event = NEG_RESET;
		return 0;
	}
	if (n->resetting)
		return 0;
	judge_status(n, value, writable);
	unsigned added = value & ~n->status & writable;

	n->status |= (uint8_t)(added & PROGRESS);
	if (n->status & VIRTIO_STATUS_FAILED)
		return 0;
	if (added & VIRTIO_STATUS_FAILED) {
		n->status |= VIRTIO_STATUS_FAILED;
		n->suspending = false;
		*event = NEG_FAILED;
		return 0;
	}
	return added;
}

enum negotiation_event negotiation_write_status(struct negotiation *n, uint8_t value)
{
	enum negotiation_event event;
	unsigned added;

	if (value != 0 && is_about_suspend(n, value))
		return write_suspend(n, value);
	added = add_status(n, value, WRITABLE, &event);
	if (added & VIRTIO_STATUS_FEATURES_OK && !n->sealed) {
		if (seal(n, judge(n, n->offered, n->required), false)) {
			n->status |= VIRTIO_STATUS_FEATURES_OK;
			event = NEG_SEALED;
		} else {
			event = NEG_REFUSED;
		}
	}
	return added & VIRTIO_STATUS_DRIVER_OK ? write_driver_ok(n, event) : event;
}

/*
 * N4: bits 32 and up are not accepted, whatever was written through another window.  virtio-v1.4
 * 4.1.4.10 "Legacy Interfaces: A Note on PCI Device Layout"
 */
static void set_legacy_draft(struct negotiation *n, uint32_t value)
{
	n->draft = (struct features){ { value, 0 } };
	n->draft_beyond_words = false;
}

void negotiation_write_driver_legacy(struct negotiation *n, uint32_t value)
{
	if (n->sealed)
		mistake(n, MISTAKE_FEATURES_AFTER_OK);
	else
		set_legacy_draft(n, value);
}

enum negotiation_event negotiation_seal_legacy(struct negotiation *n)
{
	/* Not to be had here is what makes a driver modern; all else that is required stays so. */
	struct features required = n->required;

	if (n->sealed)
		return NEG_NOTHING;
	features_remove(&required, VIRTIO_F_VERSION_1);
	set_legacy_draft(n, features_half(&n->draft, 0));
	return seal(n, judge(n, n->offered_legacy, required), true) ? NEG_SEALED : NEG_REFUSED;
}

enum negotiation_event negotiation_write_status_legacy(struct negotiation *n, uint8_t value)
{
	enum negotiation_event event;
	unsigned added;

	/* Suspended through the other window: DRIVER_OK has only one meaning. */
	if (value != 0 && negotiation_is_suspended(n) && is_about_suspend(n, value))
		return write_suspend(n, value);
	added = add_status(n, value, LEGACY_WRITABLE, &event);
	if (!(added & VIRTIO_STATUS_DRIVER_OK))
		return event;
	event = negotiation_seal_legacy(n);
	if (event != NEG_REFUSED)
		return write_driver_ok(n, event);
	n->status |= VIRTIO_STATUS_DRIVER_OK;
	return event;
}

void negotiation_unseal(struct negotiation *n, const struct negotiation *before, const char *why)
{
	/* A legacy driver's DRIVER_OK stands, as whenever it is refused. */
	if (!n->legacy)
		n->status &= (uint8_t)~(VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
	n->accepted = FEATURES_EMPTY;
	n->sealed = n->legacy = false;
	n->last_accepted = before->last_accepted;
	n->last_legacy = before->last_legacy;
	n->n_sealed = before->n_sealed;
	n->refusal = refusal_by(NEG_RULE_BACK_END, FEATURE_NONE);
	snprintf(n->back_end_says, sizeof(n->back_end_says), "%s", why);
}

uint8_t negotiation_read_status(const struct negotiation *n)
{
	return n->status;
}

void negotiation_reset_done(struct negotiation *n)
{
	n->draft = FEATURES_EMPTY;
	n->accepted = FEATURES_EMPTY;
	n->draft_beyond_words = false;
	n->sealed = false;
	n->legacy = false;
	n->resetting = false;
	n->suspending = false;
	n->status = 0;
	n->device_feature_select = 0;
	n->driver_feature_select = 0;
}

void negotiation_suspended(struct negotiation *n)
{
	n->suspending = false;
	n->status &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
	n->status |= VIRTIO_STATUS_SUSPEND;
}

void negotiation_resumed(struct negotiation *n)
{
	n->status &= (uint8_t)~VIRTIO_STATUS_SUSPEND;
	n->status |= VIRTIO_STATUS_DRIVER_OK;
}

bool negotiation_is_suspended(const struct negotiation *n)
{
	return n->status & VIRTIO_STATUS_SUSPEND;
}

bool negotiation_needs_reset(struct negotiation *n)
{
	if (n->status & VIRTIO_STATUS_NEEDS_RESET)
		return false;
	n->status |= VIRTIO_STATUS_NEEDS_RESET;
	/* virtio-v1.4 3.4.2: suspended or in need of a reset, not both for one wish. */
	n->suspending = false;
	return n->status & VIRTIO_STATUS_DRIVER_OK;
}

void negotiation_describe_refusal(const struct negotiation *n, char *buf, size_t size)
{
	char bit_buf[24], needs_buf[24];
	const char *bit = feature_name(bit_buf, n->refusal.bit, n->device_id);

	switch (n->refusal.rule) {
	case NEG_RULE_NONE:
		snprintf(buf, size, "%s", "");
		break;
	case NEG_RULE_NOT_OFFERED:
		if (n->refusal.bit >= FEATURES_BITS)
			snprintf(buf, size, "a bit beyond %d was not offered", FEATURES_BITS - 1);
		else
			snprintf(buf, size, bit == bit_buf ? "%s was not offered" :
							     "%s (bit %u) was not offered",
				 bit, n->refusal.bit);
		break;
	case NEG_RULE_NEEDS:
		snprintf(buf, size, "%s needs %s", bit,
			 feature_name(needs_buf, n->refusal.needs, n->device_id));
		break;
	case NEG_RULE_REQUIRED:
		snprintf(buf, size, "%s is required", bit);
		break;
	case NEG_RULE_BACK_END:
		snprintf(buf, size, "%s", n->back_end_says);
		break;
	}
}
