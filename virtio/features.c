#include "virtio/features.h"

#include <stdio.h>

#include "virtio/virtio_ids.h"

#define FEATURE_ROW(symbol, number, type, who, need, version, at)                                  \
	{ .name = #symbol, .bit = number, .device = type, .owner = FEATURE_##who, .needs = need,   \
	  .since = version, .interfaces = FEATURE_##at },
static const struct feature_info table[] = { FEATURE_TABLE(FEATURE_ROW) };
#undef FEATURE_ROW

/*
 * Bits that need one of two others.  virtio-v1.4 5.1.3.1 "Feature bit requirements"
 */
static const struct feature_choice {
	uint8_t device, bit;
	uint8_t any[2];
} choices[] = {
	{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ECN,
	  { VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6 } },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_ECN,
	  { VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6 } },
};

const struct feature_info *feature_info(enum feature_bit bit, unsigned device)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].bit == bit && (table[i].device == 0 || table[i].device == device))
			return &table[i];
	return NULL;
}

const char *feature_name(char buf[24], unsigned bit, unsigned device)
{
	const struct feature_info *info = feature_info((enum feature_bit)bit, device);

	if (info)
		return info->name;
	snprintf(buf, 24, "bit %u", bit);
	return buf;
}

struct features features_and(struct features a, struct features b)
{
	for (unsigned i = 0; i < FEATURES_WORDS; i++)
		a.word[i] &= b.word[i];
	return a;
}

struct features features_or(struct features a, struct features b)
{
	for (unsigned i = 0; i < FEATURES_WORDS; i++)
		a.word[i] |= b.word[i];
	return a;
}

struct features features_minus(struct features a, struct features b)
{
	for (unsigned i = 0; i < FEATURES_WORDS; i++)
		a.word[i] &= ~b.word[i];
	return a;
}

bool features_equal(struct features a, struct features b)
{
	for (unsigned i = 0; i < FEATURES_WORDS; i++)
		if (a.word[i] != b.word[i])
			return false;
	return true;
}

bool features_is_empty(struct features f)
{
	return features_equal(f, FEATURES_EMPTY);
}

bool features_find_unmet(const struct features *f, unsigned device, uint8_t *bit, uint8_t *needs)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct feature_info *info = &table[i];
		if ((info->device != 0 && info->device != device) || info->needs == FEATURE_NONE)
			continue;
		if (features_has(f, info->bit) && !features_has(f, info->needs)) {
			*bit = info->bit;
			*needs = info->needs;
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		const struct feature_choice *c = &choices[i];
		if (c->device == device && features_has(f, c->bit) &&
		    !features_has(f, c->any[0]) && !features_has(f, c->any[1])) {
			*bit = c->bit;
			*needs = c->any[0];
			return true;
		}
	}
	return false;
}

struct features features_offerable(struct features f, unsigned device, unsigned interfaces)
{
	struct features ok = FEATURES_EMPTY;
	uint8_t bit, needs;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct feature_info *info = &table[i];
		if ((info->device == 0 || info->device == device) &&
		    info->owner != FEATURE_INTERNAL && info->interfaces & interfaces &&
		    features_has(&f, info->bit))
			features_add(&ok, info->bit);
	}
	while (features_find_unmet(&ok, device, &bit, &needs))
		features_remove(&ok, bit);
	return ok;
}

unsigned features_first(const struct features *f)
{
	unsigned bit = 0;

	while (bit < FEATURES_BITS && !features_has(f, bit))
		bit++;
	return bit;
}

uint32_t features_half(const struct features *f, uint32_t index)
{
	if (index >= 2 * FEATURES_WORDS)
		return 0;
	return (uint32_t)(f->word[index / 2] >> (index % 2 * 32));
}

void features_set_half(struct features *f, uint32_t index, uint32_t value)
{
	if (index >= 2 * FEATURES_WORDS)
		return;
	unsigned shift = index % 2 * 32;
	uint64_t *word = &f->word[index / 2];
	*word = (*word & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}
