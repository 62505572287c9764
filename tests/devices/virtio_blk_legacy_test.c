/*
 * What a legacy driver finds different, as far as it is the block device's: how the cache mode is
 * chosen.  The driver is one at heart only: its features are put where the legacy register
 * interfaces put them.  virtio-v1.4 5.2.5.3 "Legacy Interface: Device Initialization"
 */
#include <criterion/criterion.h>

#include "tests/support/blk_rig.h"

enum { WRITEBACK = 32 };

TestSuite(virtio_blk_legacy, .init = blk_rig_setup, .fini = blk_rig_teardown);

static struct features legacy_features(bool flush, bool config_wce)
{
	struct features f = FEATURES_EMPTY;

	if (flush)
		features_add(&f, VIRTIO_BLK_F_FLUSH);
	if (config_wce)
		features_add(&f, VIRTIO_BLK_F_CONFIG_WCE);
	return f;
}

/* The device learns the driver's features for good. */
static void seal(struct features f)
{
	struct virtio_device *dev = blk_rig.device.transport->device;

	machine_lock(&blk_rig.device.machine->m);
	dev->negotiation.accepted = f;
	dev->ops->sealed(dev);
	machine_unlock(&blk_rig.device.machine->m);
}

static unsigned writeback(void)
{
	return (unsigned)fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1);
}

static void choose(unsigned value)
{
	fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, value);
}

/* covers: BLK-LEGACY-03 BLK-LEGACY-04 BLK-LEGACY-05 */
Test(virtio_blk_legacy, cache_mode_that_was_chosen_early_stays)
{
	struct fake_driver *d = &blk_rig.device.driver;

	blk_rig_plug();
	for (unsigned value = 0; value < 2; value++) {
		for (unsigned flush = 0; flush < 2; flush++) {
			fake_driver_reset(d);
			cr_assert_eq(writeback(), 1);
			choose(value);
			cr_assert_eq(writeback(), value);
			fake_driver_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE);
			fake_driver_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
			cr_assert_eq(writeback(), value);
			fake_driver_accept(d, legacy_features(flush, true));
			cr_assert_eq(writeback(), value);
			seal(legacy_features(flush, true));
			cr_assert_eq(writeback(), value);
			choose(!value);
			cr_assert_eq(writeback(), !value);
		}
	}
}

/* covers: BLK-LEGACY-03 */
Test(virtio_blk_legacy, cache_mode_of_one_that_cannot_choose_follows_flush)
{
	blk_rig_plug();
	for (unsigned flush = 0; flush < 2; flush++) {
		fake_driver_reset(&blk_rig.device.driver);
		choose(!flush);
		seal(legacy_features(flush, false));
		cr_assert_eq(writeback(), flush);
		choose(!flush);
		cr_assert_eq(writeback(), flush);
	}
}
