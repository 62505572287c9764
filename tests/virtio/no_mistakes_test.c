/*
 * What is counted as a driver's mistake, and above all what is not: a count that a good driver
 * can cause is a lie to its author.
 */
#include "virtio/driver_mistakes.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "virtio/transport.h"

static struct echo_rig *rig;

static void setup(void)
{
	rig = echo_rig_create(FAKE_PCI);
}

static void teardown(void)
{
	echo_rig_destroy(rig);
}

TestSuite(no_mistakes, .init = setup, .fini = teardown);

static uint32_t count(enum driver_mistake kind)
{
	return rig->dev->negotiation.mistakes.n[kind];
}

static uint64_t total(void)
{
	return driver_mistakes_total(&rig->dev->negotiation.mistakes);
}

Test(no_mistakes, a_good_session_has_none)
{
	for (int t = FAKE_PCI; t <= FAKE_MMIO; t++) {
		struct echo_rig *r = echo_rig_create((enum fake_transport)t);

		r->dev->strict = true;
		echo_rig_prepare(r, echo_rig_ring_features());
		echo_rig_driver_ok(r);
		for (unsigned i = 0; i < ECHO_QUEUES; i++)
			echo_rig_round_trip(r, i);
		cr_expect_eq(driver_mistakes_total(&r->dev->negotiation.mistakes), 0);
		echo_rig_destroy(r);
	}
}

Test(no_mistakes, a_strict_device_sees_every_kick)
{
	rig->dev->strict = true;
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	cr_expect_not(virtio_device_wants_doorbell(rig->dev, 0));
	rig->dev->strict = false;
	cr_expect(virtio_device_wants_doorbell(rig->dev, 0));
}

/* A device's last field, read with a register's width; behind that nothing is a driver's. */
Test(no_mistakes, config_may_be_read_to_the_end_of_its_last_word)
{
	uint8_t buf[8];

	rig->dev->config_len = 21;
	virtio_device_read_config(rig->dev, 20, buf, 4);
	cr_expect_eq(count(MISTAKE_CONFIG_BEYOND), 0);
	virtio_device_read_config(rig->dev, 20, buf, 8);
	cr_expect_eq(count(MISTAKE_CONFIG_BEYOND), 1);
	virtio_device_read_config(rig->dev, 24, buf, 1);
	virtio_device_read_config(rig->dev, UINT32_MAX, buf, 1);
	cr_expect_eq(count(MISTAKE_CONFIG_BEYOND), 3);
}

/* Linux gives its queues up after it reset the device. */
Test(no_mistakes, a_legacy_driver_may_give_up_queues_after_a_reset)
{
	struct negotiation *n = &rig->dev->negotiation;

	cr_assert_eq(virtio_transport_settle_features(rig->dev, VIRTIO_PCI_TRANSITIONAL), 0);
	negotiation_write_driver_legacy(n, 1 << VIRTIO_NET_F_CSUM);
	virtio_device_write_status_legacy(rig->dev, 3);
	virtio_device_set_queue_legacy(rig->dev, 0, 0x10, 4096, 4096);
	virtio_device_write_status_legacy(rig->dev, 7);
	cr_assert_eq(n->n_sealed, 1);
	virtio_device_write_status_legacy(rig->dev, 0);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		virtio_device_set_queue_legacy(rig->dev, i, 0, 4096, 4096);
	cr_expect_eq(n->n_sealed, 1, "that is no session");
	cr_expect(features_has(&n->last_accepted, VIRTIO_NET_F_CSUM));
	negotiation_write_driver_legacy(n, 0);
	cr_expect_eq(total(), 0);
}

/* Linux tells the page size, then resets the device, then gives it queues. */
Test(no_mistakes, the_page_size_of_version_1_survives_a_reset)
{
	enum { GUEST_PAGE_SIZE = 0x28, QUEUE_NUM = 0x38, QUEUE_ALIGN = 0x3c, QUEUE_PFN = 0x40,
	       STATUS = 0x70 };
	static const uint32_t writes[][2] = {
		{ GUEST_PAGE_SIZE, 4096 }, { STATUS, 0 }, { STATUS, 3 },
		{ QUEUE_NUM, ECHO_QUEUE_SIZE }, { QUEUE_ALIGN, 4096 }, { QUEUE_PFN, 0x20 },
	};
	struct echo_rig *r = echo_rig_create(FAKE_MMIO_LEGACY);

	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++)
		fake_machine_mmio_write(r->machine, r->driver.base + writes[i][0], 4,
					writes[i][1]);
	cr_expect_eq(r->dev->queue[0].desc, 0x20000);
	cr_expect_eq(driver_mistakes_total(&r->dev->negotiation.mistakes), 0);
	virtio_transport_reset(r->transport);
	fake_machine_mmio_write(r->machine, r->driver.base + QUEUE_PFN, 4, 0x20);
	cr_expect_not(r->dev->queue[0].enabled, "but not a system reset");
	echo_rig_destroy(r);
}

Test(no_mistakes, a_reset_does_not_hide_a_broken_ring)
{
	struct datapath *dp = rig->dev->part[0].datapath;

	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	dp->fail(dp->fail_arg, 0, VQ_FAULT_HEAD, "a head that does not exist");
	virtio_device_reset(rig->dev);
	cr_expect_eq(count(MISTAKE_RING_HEAD), 1);
	cr_expect_eq(rig->dev->negotiation.status, 0);
	echo_rig_pump(rig);
	cr_expect_eq(total(), 1, "once");
}

Test(no_mistakes, every_kind_explains_itself)
{
	for (unsigned i = 0; i < DRIVER_MISTAKE_KINDS; i++) {
		cr_expect_gt(strlen(driver_mistake_name(i)), 3);
		cr_expect_gt(strlen(driver_mistake_text(i)), 8);
		cr_expect_geq(strlen(driver_mistake_section(i)), 3);
		for (unsigned j = 0; j < i; j++)
			cr_expect_str_neq(driver_mistake_name(i), driver_mistake_name(j));
	}
}
