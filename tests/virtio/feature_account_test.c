/* N20: the account of a device and its feature bits, taken while a driver is at it. */
#include "virtio/device_account.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"

static struct echo_rig *rig;
static struct device_account account;

static void setup(void)
{
	rig = echo_rig_create(FAKE_PCI);
}

static void teardown(void)
{
	echo_rig_destroy(rig);
}

TestSuite(feature_account, .init = setup, .fini = teardown);

static void take(void)
{
	device_account_take(&account, rig->dev, VIRTIO_PCI);
}

static const struct feature_account *find(unsigned bit)
{
	for (unsigned i = 0; i < account.n_bits; i++)
		if (account.bit[i].bit == bit)
			return &account.bit[i];
	return NULL;
}

static void expect_reason(unsigned bit, const char *reason)
{
	char buf[64];

	cr_assert_not_null(find(bit), "bit %u", bit);
	cr_expect_str_eq(feature_account_reason(find(bit), buf), reason, "bit %u: '%s'", bit, buf);
}

/* Change the wishes of a device that is plugged in, as if they had been given before. */
static void want(unsigned on, unsigned off, enum virtio_transport_kind kind)
{
	struct features yes = FEATURES_EMPTY, no = FEATURES_EMPTY;

	if (on != FEATURE_NONE)
		features_add(&yes, on);
	if (off != FEATURE_NONE)
		features_add(&no, off);
	virtio_device_want_features(rig->dev, yes, no);
	cr_assert_eq(virtio_transport_settle_features(rig->dev, kind), 0);
}

/* What the datapath does when it finds such a head. */
static void break_ring(void)
{
	struct datapath *dp = rig->dev->part[0].datapath;

	dp->fail(dp->fail_arg, 0, VQ_FAULT_HEAD, "a head that does not exist");
}

Test(feature_account, without_a_driver)
{
	take();
	cr_expect_str_eq(account.name, "echo0");
	cr_expect_eq(account.n_sessions, 0);
	cr_expect_eq(account.n_parts, 1);
	cr_expect_eq(find(VIRTIO_NET_F_CSUM)->info->owner, FEATURE_DEVICE);
	cr_expect(feature_account_is_offered(find(VIRTIO_NET_F_CSUM)));
	cr_expect(feature_account_has(find(VIRTIO_NET_F_CSUM)));
	expect_reason(VIRTIO_NET_F_CSUM, "no driver yet");
	expect_reason(VIRTIO_F_VERSION_1, "no driver yet");
	expect_reason(VIRTIO_F_NOTIFICATION_DATA, "off unless asked for");
}

Test(feature_account, what_nobody_mentions_is_left_out)
{
	take();
	cr_expect_null(find(VIRTIO_NET_F_MAC), "the model does not have it");
	cr_expect_null(find(VIRTIO_F_SR_IOV), "the transport does not carry it");
	cr_expect_null(find(VHOST_F_LOG_ALL));
	cr_expect_null(find(VIRTIO_F_ANY_LAYOUT), "means nothing to a modern driver");
	cr_expect_null(find(100));
	want(FEATURE_NONE, VIRTIO_F_SR_IOV, VIRTIO_PCI);
	take();
	cr_assert_not_null(find(VIRTIO_F_SR_IOV));
	cr_expect_eq(find(VIRTIO_F_SR_IOV)->wish, FEATURE_FORBIDDEN);
}

Test(feature_account, the_configuration_is_a_reason)
{
	want(VIRTIO_F_NOTIFICATION_DATA, VIRTIO_NET_F_CSUM, VIRTIO_PCI);
	take();
	cr_expect_eq(find(VIRTIO_F_NOTIFICATION_DATA)->wish, FEATURE_DEMANDED);
	cr_expect(feature_account_is_offered(find(VIRTIO_F_NOTIFICATION_DATA)));
	expect_reason(VIRTIO_NET_F_CSUM, "switched off by the configuration");
	/* TSO4 needs CSUM. */
	expect_reason(VIRTIO_NET_F_HOST_TSO4, "it needs CSUM");
}

Test(feature_account, a_driver_takes_and_leaves)
{
	struct features f = echo_rig_ring_features();

	features_add(&f, VIRTIO_NET_F_MTU);
	echo_rig_prepare(rig, f);
	take();
	cr_expect(account.has_session);
	cr_expect_eq(find(VIRTIO_NET_F_MTU)->answer, FEATURE_TAKEN);
	expect_reason(VIRTIO_NET_F_MTU, "the back end has not started yet");
	expect_reason(VIRTIO_NET_F_CSUM, "the driver did not take it");
	echo_rig_driver_ok(rig);
	take();
	cr_expect(find(VIRTIO_NET_F_MTU)->told[0]);
	expect_reason(VIRTIO_NET_F_MTU, "");
	cr_expect_not(find(VIRTIO_NET_F_CSUM)->told[0]);
	cr_expect_eq(account.n_sessions, 1);
	cr_expect_eq(account.status, 15);
}

Test(feature_account, the_last_session_stays_known_after_a_reset)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	virtio_device_reset(rig->dev);
	take();
	cr_expect_not(account.has_session);
	cr_expect_eq(account.n_sessions, 1);
	cr_expect_eq(find(VIRTIO_F_EVENT_IDX)->answer, FEATURE_TAKEN);
	cr_expect(find(VIRTIO_F_EVENT_IDX)->told[0]);
	virtio_device_write_status(rig->dev, VIRTIO_STATUS_ACKNOWLEDGE);
	take();
	expect_reason(VIRTIO_F_EVENT_IDX, "the driver has not decided yet");
}

Test(feature_account, what_was_refused_is_told)
{
	struct negotiation *n = &rig->dev->negotiation;

	virtio_device_write_status(rig->dev, 3);
	features_add(&n->draft, VIRTIO_F_VERSION_1);
	features_add(&n->draft, 77);
	virtio_device_write_status(rig->dev, 11);
	take();
	cr_expect_str_eq(account.refusal, "bit 77 was not offered");
	expect_reason(77, "no such bit is known");
	cr_expect_null(find(77)->info);
	cr_expect_eq(account.mistakes.n[MISTAKE_FEATURES_NOT_OFFERED], 1);
}

Test(feature_account, a_transitional_device_has_two_offers)
{
	want(FEATURE_NONE, FEATURE_NONE, VIRTIO_PCI_TRANSITIONAL);
	device_account_take(&account, rig->dev, VIRTIO_PCI_TRANSITIONAL);
	cr_expect(feature_account_is_offered(find(VIRTIO_F_VERSION_1)));
	cr_expect_not(feature_account_is_offered_legacy(find(VIRTIO_F_VERSION_1)));
	cr_expect(feature_account_is_offered(find(VIRTIO_NET_F_CSUM)));
	cr_expect(feature_account_is_offered_legacy(find(VIRTIO_NET_F_CSUM)));
	cr_expect_not(feature_account_is_offered(find(VIRTIO_F_ANY_LAYOUT)));
	cr_expect(feature_account_is_offered_legacy(find(VIRTIO_F_ANY_LAYOUT)));
	negotiation_write_driver_legacy(&rig->dev->negotiation, 1 << VIRTIO_NET_F_CSUM);
	virtio_device_write_status_legacy(rig->dev, 7);
	device_account_take(&account, rig->dev, VIRTIO_PCI_TRANSITIONAL);
	cr_expect(account.legacy_driver);
	expect_reason(VIRTIO_F_VERSION_1, "a legacy driver does not see it");
	expect_reason(VIRTIO_NET_F_MTU, "the driver did not take it");
	expect_reason(VIRTIO_NET_F_CSUM, "");
}

/* The account agrees with what the device really offers, whatever was asked. */
Test(feature_account, verdicts_are_what_is_offered)
{
	static const enum virtio_transport_kind kinds[] = {
		VIRTIO_PCI, VIRTIO_PCI_TRANSITIONAL, VIRTIO_PCI_LEGACY, VIRTIO_MMIO,
		VIRTIO_MMIO_LEGACY,
	};

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned off = 0; off < 64; off++) {
			if (off == VIRTIO_F_VERSION_1)
				continue;
			want(FEATURE_NONE, off, kinds[k]);
			device_account_take(&account, rig->dev, kinds[k]);
			struct features modern = FEATURES_EMPTY, legacy = FEATURES_EMPTY;
			for (unsigned i = 0; i < account.n_bits; i++) {
				const struct feature_account *a = &account.bit[i];
				if (feature_account_is_offered(a))
					features_add(&modern, a->bit);
				if (feature_account_is_offered_legacy(a))
					features_add(&legacy, a->bit);
			}
			cr_expect(features_equal(modern, rig->dev->negotiation.offered));
			cr_expect(features_equal(legacy, rig->dev->negotiation.offered_legacy));
		}
	}
}

/* A broken ring is the driver's mistake, also when the main loop has not heard of it yet. */
Test(feature_account, a_failure_that_waits_is_carried_out_first)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	break_ring();
	take();
	cr_expect_eq(account.mistakes.n[MISTAKE_RING_HEAD], 1);
	cr_expect(account.status & VIRTIO_STATUS_NEEDS_RESET);
	echo_rig_pump(rig);
	take();
	cr_expect_eq(account.mistakes.n[MISTAKE_RING_HEAD], 1, "once");
}
