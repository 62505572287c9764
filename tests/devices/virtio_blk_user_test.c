/* The disk that another process serves, before a fake back end: what the driver sees and chooses. */
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/fake_back_end.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"

enum { WRITEBACK = 32, NUM_QUEUES = 34 };

static struct device_rig rig;
static struct fake_back_end back;

static void setup(void)
{
	device_rig_create(&rig);
	rig.machine->m.memory.fd = rig.machine->memory_fd;
	fake_back_end_init(&back);
	back.config[WRITEBACK] = 1;
}

static void teardown(void)
{
	device_rig_destroy(&rig);
	fake_back_end_fini(&back);
}

TestSuite(virtio_blk_user, .init = setup, .fini = teardown, .timeout = 30);

static struct virtio_device *plug(unsigned n_queues)
{
	const struct virtio_blk_user_config config = {
		.name = "root", .socket = back.path, .n_queues = n_queues,
		.loop = rig.io, .main = rig.machine->m.main_loop,
	};
	struct virtio_device *dev;

	cr_assert_eq(virtio_blk_user_create(&dev, &config), 0, "%s", error_text());
	device_rig_plug(&rig, dev, FAKE_MMIO);
	return dev;
}

/* N13: the back end's bits, and no MQ for one queue; N17: none that are between the two. */
Test(virtio_blk_user, offers_what_the_back_end_has)
{
	struct virtio_device *dev = plug(1);
	struct features f = virtio_device_offered(dev);

	cr_assert(features_has(&f, VIRTIO_BLK_F_FLUSH));
	cr_assert_not(features_has(&f, VIRTIO_BLK_F_MQ));
	cr_assert_not(features_has(&f, VIRTIO_BLK_F_RO));
	cr_assert_not(features_has(&f, VHOST_F_LOG_ALL));
	cr_assert_not(features_has(&f, VHOST_USER_F_PROTOCOL_FEATURES));
	cr_assert_eq(load_le64(dev->config), 2048);
	cr_assert_eq(load_le16(dev->config + NUM_QUEUES), 1);
	device_rig_start_all(&rig, 1);
	cr_assert(fake_back_end_saw(&back, "SET_VRING_ENABLE 0: 1"));
	device_rig_unplug(&rig);
}

Test(virtio_blk_user, has_several_queues_if_the_back_end_does)
{
	struct virtio_device *dev = plug(4);
	struct features f = virtio_device_offered(dev);

	cr_assert(features_has(&f, VIRTIO_BLK_F_MQ));
	cr_assert_eq(load_le16(dev->config + NUM_QUEUES), 4);
	device_rig_start_all(&rig, 4);
	cr_assert(fake_back_end_saw(&back, "SET_VRING_ENABLE 3: 1"));
	device_rig_unplug(&rig);
}

Test(virtio_blk_user, tells_the_back_end_how_writes_are_cached)
{
	struct virtio_device *dev = plug(1);
	const uint8_t off = 0, odd = 7;

	device_rig_start_all(&rig, 1);
	virtio_device_write_config(dev, WRITEBACK, &off, 1);
	cr_assert(fake_back_end_saw(&back, "SET_CONFIG 32: 1 bytes, 0"));
	fake_back_end_clear(&back);
	/* Other values mean nothing; and a reset is the beginning again. */
	virtio_device_write_config(dev, WRITEBACK, &odd, 1);
	cr_assert_eq(dev->config[WRITEBACK], 0);
	virtio_device_reset(dev);
	cr_assert(fake_back_end_saw(&back, "SET_CONFIG 32: 1 bytes, 1"));
	cr_assert_eq(dev->config[WRITEBACK], 1);
	device_rig_unplug(&rig);
}

Test(virtio_blk_user, a_driver_without_config_wce_chooses_nothing)
{
	struct virtio_device *dev = plug(1);
	struct features f = FEATURES_EMPTY;
	const uint8_t off = 0;

	features_add(&f, VIRTIO_F_VERSION_1);
	device_rig_start(&rig, f, 1);
	virtio_device_write_config(dev, WRITEBACK, &off, 1);
	cr_assert_eq(dev->config[WRITEBACK], 1);
	device_rig_unplug(&rig);
}

Test(virtio_blk_user, grows_with_the_disk)
{
	struct virtio_device *dev = plug(1);

	device_rig_start_all(&rig, 1);
	cr_assert(fake_back_end_saw(&back, "SET_VRING_ENABLE 0: 1"));
	store_le64(back.config, 4096);
	fake_back_end_announce(&back, NULL, 0);
	for (unsigned i = 0; i < 100 && load_le64(dev->config) != 4096; i++)
		loop_pump_for(rig.machine->m.main_loop, 10);
	cr_assert_eq(load_le64(dev->config), 4096);
	cr_assert_eq(load_le16(dev->config + NUM_QUEUES), 1);
	device_rig_unplug(&rig);
}

Test(virtio_blk_user, says_what_keeps_it)
{
	const struct virtio_blk_user_config none = {
		.name = "root", .socket = "/nonexistent", .n_queues = 1, .loop = rig.io,
		.main = rig.machine->m.main_loop,
	};
	struct virtio_blk_user_config odd = none;
	struct virtio_device *dev;

	cr_assert_eq(virtio_blk_user_create(&dev, &none), -ENOENT);
	odd.queue_size = 12;
	cr_assert_eq(virtio_blk_user_create(&dev, &odd), -EINVAL);
	odd.n_queues = 65;
	cr_assert_eq(virtio_blk_user_create(&dev, &odd), -EINVAL);
	error_clear();
}
