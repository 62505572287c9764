/* N12-N14, N17, N18: who decides that a bit is offered, and what is said of one that is not. */
#include "virtio/feature_offer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "virtio/virtio_ids.h"
#include "vmm/base/error.h"

static const struct features all = { { UINT64_MAX, UINT64_MAX } };

/* A network device that offers what it can over virtio-pci. */
static struct feature_offer net(void)
{
	struct feature_offer o = {
		.device_id = VIRTIO_ID_NET,
		.interfaces = FEATURE_ON_PCI,
		.backend = all,
		.transport = all,
	};

	features_add(&o.model, VIRTIO_NET_F_CSUM);
	features_add(&o.model, VIRTIO_NET_F_HOST_TSO4);
	features_add(&o.model, VIRTIO_NET_F_MRG_RXBUF);
	features_add(&o.model, VIRTIO_NET_F_MTU);
	return o;
}

static enum feature_verdict verdict(const struct feature_offer *o, unsigned bit)
{
	uint8_t needs;

	return feature_offer_verdict(o, bit, o->interfaces, &needs);
}

/* What the verdict says and what is offered are one thing. */
static void expect(const struct feature_offer *o, unsigned bit, enum feature_verdict want)
{
	struct features offered = feature_offer_at(o, o->interfaces);

	cr_expect_eq(verdict(o, bit), want, "bit %u: %s", bit,
		     feature_verdict_text(verdict(o, bit)));
	cr_expect_eq(features_has(&offered, bit), want == FEATURE_OFFERED, "bit %u", bit);
}

static void expect_refusal(const struct feature_offer *o, const char *why)
{
	cr_expect_eq(feature_offer_check(o), -EINVAL);
	cr_expect_str_eq(error_text(), why);
	error_clear();
}

/* covers: FEAT-01 FEAT-20 */
Test(feature_offer, n12_each_side_has_a_say)
{
	struct feature_offer o = net();

	expect(&o, VIRTIO_NET_F_CSUM, FEATURE_OFFERED);
	expect(&o, VIRTIO_NET_F_MAC, FEATURE_NOT_IN_MODEL);
	expect(&o, VIRTIO_F_EVENT_IDX, FEATURE_OFFERED);
	expect(&o, VIRTIO_F_VERSION_1, FEATURE_OFFERED);
	features_remove(&o.backend, VIRTIO_F_EVENT_IDX);
	features_remove(&o.backend, VIRTIO_NET_F_MRG_RXBUF);
	expect(&o, VIRTIO_F_EVENT_IDX, FEATURE_NOT_IN_BACKEND);
	expect(&o, VIRTIO_NET_F_MRG_RXBUF, FEATURE_NOT_IN_BACKEND);
	/* N13: what the VMM serves itself does not depend on the back end. */
	o.backend = FEATURES_EMPTY;
	expect(&o, VIRTIO_NET_F_CSUM, FEATURE_OFFERED);
	o.transport = FEATURES_EMPTY;
	features_add(&o.on, VIRTIO_F_NOTIFICATION_DATA);
	expect(&o, VIRTIO_F_NOTIFICATION_DATA, FEATURE_NOT_IN_TRANSPORT);
}

/* covers: FEAT-20 FEAT-LEGACY-05 */
Test(feature_offer, n17_n18_unknown_and_internal_bits)
{
	struct feature_offer o = net();

	o.model = o.on = all;
	expect(&o, 26, FEATURE_IS_INTERNAL);
	expect(&o, 30, FEATURE_IS_INTERNAL);
	for (unsigned bit = 44; bit < 50; bit++)
		expect(&o, bit, FEATURE_UNKNOWN);
	expect(&o, 127, FEATURE_UNKNOWN);
	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		if (!feature_info((enum feature_bit)bit, VIRTIO_ID_NET))
			expect(&o, bit, FEATURE_UNKNOWN);
}

/* covers: FEAT-LEGACY-03 CORE-FEAT-LEGACY-02 */
Test(feature_offer, bits_exist_at_their_interfaces_only)
{
	struct feature_offer o = net();

	features_add(&o.on, VIRTIO_F_NOTIF_CONFIG_DATA);
	expect(&o, VIRTIO_F_ANY_LAYOUT, FEATURE_NOT_HERE);
	expect(&o, VIRTIO_F_NOTIF_CONFIG_DATA, FEATURE_OFFERED);
	o.interfaces = FEATURE_ON_MMIO;
	expect(&o, VIRTIO_F_NOTIF_CONFIG_DATA, FEATURE_NOT_HERE);
	o.interfaces = FEATURE_ON_PCI_LEGACY;
	expect(&o, VIRTIO_F_ANY_LAYOUT, FEATURE_OFFERED);
	expect(&o, VIRTIO_F_VERSION_1, FEATURE_NOT_HERE);
	expect(&o, VIRTIO_F_RING_RESET, FEATURE_NOT_HERE);
	expect(&o, VIRTIO_NET_F_CSUM, FEATURE_OFFERED);
	/* A transitional device: each window shows its own. */
	o.interfaces = FEATURE_ON_PCI | FEATURE_ON_PCI_LEGACY;
	struct features modern = feature_offer_at(&o, FEATURE_ON_PCI);
	struct features legacy = feature_offer_at(&o, FEATURE_ON_PCI_LEGACY);
	cr_expect_not(features_has(&modern, VIRTIO_F_ANY_LAYOUT));
	cr_expect_not(features_has(&legacy, VIRTIO_F_VERSION_1));
	cr_expect(features_is_empty(feature_offer_at(&o, 0)));
}

/* covers: FEAT-03 FEAT-08 */
Test(feature_offer, the_configuration_decides)
{
	struct feature_offer o = net();
	struct features quiet = features_off_by_default();

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
		if (!features_has(&quiet, bit))
			continue;
		expect(&o, bit, FEATURE_OFF_BY_DEFAULT);
		features_add(&o.on, bit);
		expect(&o, bit, FEATURE_OFFERED);
		/* Both at once: forbidden wins. */
		features_add(&o.off, bit);
		expect(&o, bit, FEATURE_SWITCHED_OFF);
		o.on = o.off = FEATURES_EMPTY;
	}
	features_add(&o.off, VIRTIO_F_INDIRECT_DESC);
	expect(&o, VIRTIO_F_INDIRECT_DESC, FEATURE_SWITCHED_OFF);
	cr_expect_eq(feature_offer_check(&o), 0);
}

/* covers: CORE-FEAT-01 */
Test(feature_offer, what_is_needed_and_missing_is_named)
{
	struct feature_offer o = net();
	uint8_t needs;

	features_add(&o.off, VIRTIO_NET_F_CSUM);
	expect(&o, VIRTIO_NET_F_HOST_TSO4, FEATURE_NEEDS_MISSING);
	cr_expect_eq(feature_offer_verdict(&o, VIRTIO_NET_F_HOST_TSO4, FEATURE_ON_PCI, &needs),
		     FEATURE_NEEDS_MISSING);
	cr_expect_eq(needs, VIRTIO_NET_F_CSUM);
	(void)!feature_offer_verdict(&o, VIRTIO_NET_F_MTU, FEATURE_ON_PCI, &needs);
	cr_expect_eq(needs, FEATURE_NONE);
	/* A chain: ECN needs a TSO, which needs CSUM.  Nothing of it is offered. */
	features_add(&o.model, VIRTIO_NET_F_HOST_ECN);
	expect(&o, VIRTIO_NET_F_HOST_ECN, FEATURE_NEEDS_MISSING);
}

Test(feature_offer, what_cannot_be_had_is_an_error_with_a_reason)
{
	struct feature_offer o = net();

	cr_expect_eq(feature_offer_check(&o), 0);
	features_add(&o.on, VIRTIO_NET_F_MAC);
	expect_refusal(&o, "VIRTIO_NET_F_MAC cannot be had: the device does not have it");
	o = net();
	features_add(&o.on, VIRTIO_F_RING_PACKED);
	cr_expect_eq(feature_offer_check(&o), 0);
	features_remove(&o.backend, VIRTIO_F_RING_PACKED);
	expect_refusal(&o, "VIRTIO_F_RING_PACKED cannot be had: the back end does not serve it");
	o.interfaces = FEATURE_ON_PCI_LEGACY;
	expect_refusal(&o, "VIRTIO_F_RING_PACKED cannot be had: legacy interfaces do not have it");
	o = net();
	features_add(&o.on, VIRTIO_F_NOTIF_CONFIG_DATA);
	o.interfaces = FEATURE_ON_MMIO;
	expect_refusal(&o, "VIRTIO_F_NOTIF_CONFIG_DATA cannot be had: "
			   "the register interface lacks it");
	o = net();
	features_add(&o.on, VIRTIO_F_SR_IOV);
	o.transport = FEATURES_EMPTY;
	expect_refusal(&o, "VIRTIO_F_SR_IOV cannot be had: the transport does not carry it");
	o = net();
	features_add(&o.on, 26);
	expect_refusal(&o, "VHOST_F_LOG_ALL cannot be had: it is not meant for guests");
	o = net();
	features_add(&o.on, 48);
	expect_refusal(&o, "bit 48 cannot be had: no such bit is known");
	o = net();
	features_add(&o.on, VIRTIO_NET_F_MTU);
	features_add(&o.off, VIRTIO_NET_F_MTU);
	expect_refusal(&o, "VIRTIO_NET_F_MTU cannot be had: switched off by the configuration");
	o = net();
	features_add(&o.on, VIRTIO_NET_F_HOST_TSO4);
	features_add(&o.off, VIRTIO_NET_F_CSUM);
	expect_refusal(&o, "VIRTIO_NET_F_HOST_TSO4 cannot be had: it needs VIRTIO_NET_F_CSUM, "
			   "which is not offered");
}

/* A modern driver cannot do without it; a legacy-only transport never had it. */
Test(feature_offer, version_1_cannot_be_switched_off_at_a_modern_interface)
{
	struct feature_offer o = net();

	features_add(&o.off, VIRTIO_F_VERSION_1);
	expect_refusal(&o, "VIRTIO_F_VERSION_1 cannot be switched off at a modern interface; a "
			   "legacy transport is without it");
	o.interfaces = FEATURE_ON_MMIO_LEGACY;
	cr_expect_eq(feature_offer_check(&o), 0);
}

/*
 * On a transitional device a bit of one window only can be demanded: it is there.  SR_IOV and
 * ADMIN_VQ are carried by nobody.
 * covers: FEAT-09
 */
Test(feature_offer, demands_are_met_at_either_window)
{
	struct feature_offer o = net();

	o.interfaces = FEATURE_ON_PCI | FEATURE_ON_PCI_LEGACY;
	features_add(&o.on, VIRTIO_F_ANY_LAYOUT);
	features_add(&o.on, VIRTIO_F_RING_PACKED);
	cr_expect_eq(feature_offer_check(&o), 0);
	o.transport = FEATURES_EMPTY;
	o.on = FEATURES_EMPTY;
	expect(&o, VIRTIO_F_SR_IOV, FEATURE_NOT_IN_TRANSPORT);
	expect(&o, VIRTIO_F_ADMIN_VQ, FEATURE_NOT_IN_TRANSPORT);
}

Test(feature_offer, every_verdict_has_a_text_of_its_own)
{
	for (int a = FEATURE_OFFERED; a <= FEATURE_NEEDS_MISSING; a++) {
		cr_assert_str_neq(feature_verdict_text((enum feature_verdict)a), "unknown");
		for (int b = FEATURE_OFFERED; b < a; b++)
			cr_assert_str_neq(feature_verdict_text((enum feature_verdict)a),
					  feature_verdict_text((enum feature_verdict)b));
	}
}
