#include "virtio/negotiation.h"

#include <stdio.h>

enum {
	PROGRESS = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER,
	/* What a driver can set.  NEEDS_RESET is the device's; SUSPEND does not exist without its
	 * feature. */
	WRITABLE = PROGRESS | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK |
		   VIRTIO_STATUS_FAILED,
};

void negotiation_init(struct negotiation *n, unsigned device_id, struct features offered,
		      struct features required)
{
	*n = (struct negotiation){ .device_id = device_id };
	n->offered = features_offerable(offered, device_id);
	n->required = required;
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
		n->mistakes.feature_write_after_seal++;
		return;
	}
	if (n->driver_feature_select >= 2 * FEATURES_WORDS && value != 0) {
		n->mistakes.feature_write_beyond_words++;
		n->draft_beyond_words = true;
	}
	features_set_half(&n->draft, n->driver_feature_select, value);
}

static unsigned first_bit(struct features f)
{
	unsigned bit = 0;

	while (bit < FEATURES_BITS && !features_has(&f, bit))
		bit++;
	return bit;
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
static struct negotiation_refusal judge(const struct negotiation *n)
{
	struct features extra = features_minus(n->draft, n->offered);
	struct features missing = features_minus(n->required, n->draft);
	struct negotiation_refusal refusal = refusal_by(NEG_RULE_NONE, FEATURE_NONE);

	if (!features_is_empty(extra) || n->draft_beyond_words)
		return refusal_by(NEG_RULE_NOT_OFFERED, first_bit(extra));
	if (!features_is_empty(missing))
		return refusal_by(NEG_RULE_REQUIRED, first_bit(missing));
	if (features_find_unmet(&n->draft, n->device_id, &refusal.bit, &refusal.needs))
		refusal.rule = NEG_RULE_NEEDS;
	return refusal;
}

static bool seal(struct negotiation *n)
{
	n->refusal = judge(n);
	if (n->refusal.rule != NEG_RULE_NONE)
		return false;
	n->accepted = n->draft;
	n->sealed = true;
	n->status |= VIRTIO_STATUS_FEATURES_OK;
	return true;
}

enum negotiation_event negotiation_write_status(struct negotiation *n, uint8_t value)
{
	enum negotiation_event event = NEG_NOTHING;

	if (value == 0) {
		n->resetting = true;
		return NEG_RESET;
	}
	if (n->resetting)
		return NEG_NOTHING;

	/* Bits are only ever added: a write without one that is set keeps it, and is a mistake. */
	if (n->status & ~value & WRITABLE)
		n->mistakes.status_bits_cleared++;
	if (value & ~n->status & VIRTIO_STATUS_NEEDS_RESET)
		n->mistakes.needs_reset_written++;
	unsigned added = value & ~n->status & WRITABLE;

	n->status |= (uint8_t)(added & PROGRESS);
	if (n->status & VIRTIO_STATUS_FAILED)
		return NEG_NOTHING;
	if (added & VIRTIO_STATUS_FAILED) {
		n->status |= VIRTIO_STATUS_FAILED;
		return NEG_FAILED;
	}
	if (added & VIRTIO_STATUS_FEATURES_OK)
		event = seal(n) ? NEG_SEALED : NEG_REFUSED;
	if (added & VIRTIO_STATUS_DRIVER_OK) {
		if (!n->sealed) {
			n->mistakes.driver_ok_without_features_ok++;
			return event;
		}
		n->status |= VIRTIO_STATUS_DRIVER_OK;
		/* A device that broke before is not started; the driver can see why. */
		if (!(n->status & VIRTIO_STATUS_NEEDS_RESET))
			event = NEG_DRIVER_OK;
	}
	return event;
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
	n->resetting = false;
	n->status = 0;
	n->device_feature_select = 0;
	n->driver_feature_select = 0;
}

bool negotiation_needs_reset(struct negotiation *n)
{
	if (n->status & VIRTIO_STATUS_NEEDS_RESET)
		return false;
	n->status |= VIRTIO_STATUS_NEEDS_RESET;
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
			snprintf(buf, size, "%s (bit %u) was not offered", bit, n->refusal.bit);
		break;
	case NEG_RULE_NEEDS:
		snprintf(buf, size, "%s needs %s", bit,
			 feature_name(needs_buf, n->refusal.needs, n->device_id));
		break;
	case NEG_RULE_REQUIRED:
		snprintf(buf, size, "%s is required", bit);
		break;
	}
}
