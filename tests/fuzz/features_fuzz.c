/*
 * Feature bits by the names that people write, what is offered, and the account of it.  The input
 * is who has which bits, and then a list of wishes ("+packed,-34") of any characters.
 */
#include <string.h>

#include "tests/fuzz/fuzz_input.h"
#include "virtio/feature_account.h"
#include "virtio/feature_names.h"
#include "vmm/base/error.h"

/* Verdicts are slow: only every so many bits are asked for, from one that the input names. */
enum { MAX_LIST = 512, STRIDE = 17 };

static void check_sentence(const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	CHECK(len > 0 && len < size);
}

/* A name that was understood is a bit that the device has, and so is its own name. */
static void check_name(const char *text, size_t len, unsigned device)
{
	char why[FEATURE_WHY_SIZE] = "";
	unsigned bit = FEATURE_NONE, again;
	int r = feature_find(text, len, device, &bit, why);

	if (r < 0) {
		CHECK(bit == FEATURE_NONE);
		check_sentence(why, sizeof(why));
		return;
	}
	const struct feature_info *info = feature_info((enum feature_bit)bit, device);
	CHECK(info && info->bit == bit);
	CHECK(feature_find(info->name, strlen(info->name), device, &again, why) == 0);
	CHECK(again == bit);
}

static struct feature_wishes read_wishes(const char *list, unsigned device,
					 struct feature_wishes before)
{
	struct feature_wishes w = before;
	char why[FEATURE_WHY_SIZE] = "";

	if (feature_wishes_add(&w, list, device, why) < 0) {
		check_sentence(why, sizeof(why));
		CHECK(features_equal(w.on, before.on) && features_equal(w.off, before.off));
	}
	CHECK(features_is_empty(features_and(w.on, w.off)));
	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		if (features_has(&w.on, bit) || features_has(&w.off, bit))
			CHECK(feature_info((enum feature_bit)bit, device) != NULL);
	return w;
}

/* A list is the same as its wishes one after the other. */
static void check_parts(const char *list, unsigned device, const struct feature_wishes *all)
{
	struct feature_wishes w = { FEATURES_EMPTY, FEATURES_EMPTY };
	char part[MAX_LIST], why[FEATURE_WHY_SIZE];

	for (const char *p = list;; p++) {
		size_t len = strcspn(p, ",");

		memcpy(part, p, len);
		part[len] = '\0';
		if (feature_wishes_add(&w, part, device, why) < 0) {
			CHECK(features_is_empty(all->on) && features_is_empty(all->off));
			return;
		}
		p += len;
		if (*p == '\0')
			break;
	}
	CHECK(features_equal(w.on, all->on) && features_equal(w.off, all->off));
}

static void check_offer(const struct feature_offer *o, unsigned at, unsigned first)
{
	struct features everywhere = feature_offer_at(o, o->interfaces);
	struct features f = feature_offer_at(o, at);
	uint8_t unmet, needs;

	CHECK(features_is_empty(features_and(everywhere, o->off)));
	CHECK(features_is_empty(features_minus(f, everywhere)));
	CHECK(!features_find_unmet(&f, o->device_id, &unmet, &needs));
	for (unsigned bit = first; bit < FEATURES_BITS; bit += STRIDE) {
		enum feature_verdict v = feature_offer_verdict(o, bit, at, &needs);

		CHECK((v == FEATURE_OFFERED) == features_has(&f, bit));
		CHECK((v == FEATURE_NEEDS_MISSING) == (needs != FEATURE_NONE));
	}
	if (feature_offer_check(o) == 0)
		CHECK(features_is_empty(features_minus(o->on, everywhere)));
	error_clear();
}

static void check_account(const struct virtio_device *dev, unsigned bit)
{
	const struct negotiation *n = &dev->negotiation;
	struct feature_account a;
	char buf[64];

	if (!feature_account_take(&a, dev, bit)) {
		CHECK(!features_has(&n->offered, bit) && !features_has(&n->offered_legacy, bit));
		CHECK(!features_has(&n->draft, bit) && !features_has(&n->accepted, bit));
		CHECK(!features_has(&dev->offer.on, bit) && !features_has(&dev->offer.off, bit));
		return;
	}
	CHECK(feature_account_is_offered(&a) == features_has(&n->offered, bit));
	CHECK(feature_account_is_offered_legacy(&a) == features_has(&n->offered_legacy, bit));
	CHECK(!n->sealed || (a.answer == FEATURE_TAKEN) == features_has(&n->accepted, bit));
	CHECK(strnlen(feature_account_reason(&a, buf), sizeof(buf)) < sizeof(buf));
	/* Nothing is lost without a reason (N20). */
	if (a.answer != FEATURE_TAKEN)
		check_sentence(buf, sizeof(buf));
}

/* Offer, perhaps negotiate, and ask for the reasons. */
static void explain(const struct feature_offer *o, struct fuzz_input *in)
{
	static struct virtio_device dev;
	unsigned modern = o->interfaces & FEATURE_MODERN, legacy = o->interfaces & FEATURE_LEGACY;
	struct negotiation *n = &dev.negotiation;
	struct features required = FEATURES_EMPTY;
	uint8_t how = fuzz_u8(in);

	memset(&dev, 0, sizeof(dev));
	dev.id = (enum virtio_device_id)o->device_id;
	dev.offer = *o;
	features_add(&required, VIRTIO_F_VERSION_1);
	negotiation_init(n, o->device_id,
			 modern ? feature_offer_at(o, modern) : FEATURES_EMPTY, required);
	negotiation_offer_legacy(n, legacy ? feature_offer_at(o, legacy) : FEATURES_EMPTY);
	if (how & 1) {
		negotiation_write_status(n, 3);
		n->draft = features_minus(n->offered, (struct features){ { fuzz_u64(in), how } });
		negotiation_write_status(n, how & 2 ? 0xb : 3);
	}
	if (how & 4) {
		negotiation_write_status_legacy(n, 3);
		negotiation_write_driver_legacy(n, fuzz_u32(in));
		negotiation_write_status_legacy(n, how & 8 ? 7 : 3);
	}
	if (how & 0x10)
		negotiation_reset_done(n);
	dev.state = how & 0x20 ? VIRTIO_STARTED : VIRTIO_STOPPED;
	for (unsigned bit = how % STRIDE; bit < FEATURES_BITS; bit += STRIDE)
		check_account(&dev, bit);
}

static struct features read_features(struct fuzz_input *in, bool all)
{
	struct features f = { { fuzz_u64(in), all ? fuzz_u64(in) : 0 } };

	return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	uint8_t device = fuzz_u8(&in) % 27, how = fuzz_u8(&in);
	struct feature_wishes none = { FEATURES_EMPTY, FEATURES_EMPTY }, wishes;
	struct feature_offer o = {
		.device_id = device,
		.interfaces = how & FEATURE_ANY,
		.model = read_features(&in, how & 0x80),
		.backend = read_features(&in, how & 0x80),
		.transport = read_features(&in, how & 0x80),
	};
	char list[MAX_LIST];
	struct fuzz_input rest = in;

	size_t n = in.len < sizeof(list) - 1 ? in.len : sizeof(list) - 1;
	memcpy(list, in.data, n);
	list[n] = '\0';
	check_name(list, strlen(list), device);
	wishes = read_wishes(list, device, none);
	check_parts(list, device, &wishes);
	o.on = wishes.on;
	o.off = wishes.off;
	check_offer(&o, how & FEATURE_ANY & (1u << (how >> 4 & 3)), device % STRIDE);
	explain(&o, &rest);
	return 0;
}
