/*
 * The file system device as a driver sees it, in front of a datapath that answers every chain with
 * nothing.  Requests are somebody else's: see images/payload/fs.c and tests/guest/fs_test.sh.
 */
#include "devices/virtio_fs.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/device_rig.h"
#include "virtio/datapath_local.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

#define TAG_36 "a23456789012345678901234567890123456"

enum { TAG_AT = 0, QUEUES_AT = 36, NOTIFY_AT = 40 };

static struct device_rig rig;

static void answer(void *model, unsigned index, struct virtqueue *q)
{
	struct chain c;

	(void)model;
	(void)index;
	for (unsigned n = 0; n < RIG_QUEUE_SIZE && virtqueue_pop(q, &c) == VQ_CHAIN; n++)
		virtqueue_push(q, c.head, 0);
}

/* In place of a virtiofsd that is connected. */
static int connect_fake(struct datapath **out, const struct vhost_user_config *config)
{
	static const struct local_ops ops = { .handle = answer };
	struct event_loop *loop[1 + VIRTIO_FS_MAX_REQUEST_QUEUES];

	cr_expect_eq(config->id, VIRTIO_ID_FS);
	for (unsigned i = 0; i < config->n_rings; i++)
		loop[i] = config->loop;
	return local_create(out, &ops, NULL, loop, config->n_rings);
}

static int create(struct virtio_device **out, const char *tag, unsigned n_queues)
{
	const struct virtio_fs_config config = {
		.name = "src", .tag = tag, .n_queues = n_queues, .fd = FD_NONE, .loop = rig.io,
		.connect = connect_fake,
	};

	return virtio_fs_create(out, &config);
}

static void plug(enum fake_transport how, const char *tag, unsigned n_queues)
{
	struct virtio_device *dev;

	cr_assert_eq(create(&dev, tag, n_queues), 0, "%s", error_text());
	device_rig_plug(&rig, dev, how);
}

static void setup(void)
{
	device_rig_create(&rig);
}

static void teardown(void)
{
	if (rig.transport)
		device_rig_destroy(&rig);
	else
		event_loop_destroy(rig.io);
}

TestSuite(virtio_fs, .init = setup, .fini = teardown);

static void expect_tag(const char *tag)
{
	for (unsigned i = 0; i < VIRTIO_FS_TAG_MAX; i++) {
		uint64_t want = i < strlen(tag) ? (uint8_t)tag[i] : 0;
		cr_expect_eq(fake_driver_config(&rig.driver, TAG_AT + i, 1), want, "byte %u of %s",
			     i, tag);
	}
}

/* covers: FS-CFG-01 FS-CFG-03 */
Test(virtio_fs, configuration_is_laid_out_as_specified)
{
	static const char *const tag[] = { "a", "a2345678901234567890123456789012345", TAG_36 };

	for (unsigned i = 0; i < 3; i++) {
		plug(i % 2 ? FAKE_PCI : FAKE_MMIO, tag[i], 1 + i);
		expect_tag(tag[i]);
		cr_expect_eq(fake_driver_config(&rig.driver, QUEUES_AT, 4), 1 + i);
		/* There is no notification queue, nor what is said of it. */
		cr_expect_eq(fake_driver_config(&rig.driver, NOTIFY_AT, 4), 0);
		device_rig_unplug(&rig);
	}
	plug(FAKE_PCI, "src", 1);
}

/* covers: FS-CFG-04 */
Test(virtio_fs, configuration_cannot_be_written)
{
	plug(FAKE_PCI, "src", 2);
	for (unsigned i = 0; i < NOTIFY_AT; i += 4)
		fake_driver_set_config(&rig.driver, i, 4, UINT32_MAX);
	expect_tag("src");
	cr_expect_eq(fake_driver_config(&rig.driver, QUEUES_AT, 4), 2);
}

/* covers: FS-CFG-04 */
Test(virtio_fs, tags_and_queues_that_cannot_be_are_refused)
{
	struct virtio_device *dev;

	cr_expect_eq(create(&dev, "", 1), -EINVAL);
	cr_expect_eq(create(&dev, TAG_36 "7", 1), -EINVAL);
	cr_expect_eq(create(&dev, "src", 0), -EINVAL);
	cr_expect_eq(create(&dev, "src", 33), -EINVAL);
	cr_expect_null(dev);
}

/* covers: FS-VQ-01 FS-VQ-02 */
Test(virtio_fs, requests_begin_at_queue_1)
{
	plug(FAKE_PCI, "src", 1);
	struct fake_buf buf = { device_rig_alloc(&rig, 40), 40, false };

	device_rig_start_all(&rig, 2);
	for (unsigned queue = 0; queue < 2; queue++) {
		device_rig_add(&rig, queue, &buf, 1);
		cr_expect_eq(device_rig_wait(&rig, queue, NULL), 0);
	}
	cr_expect_eq(fake_driver_queue_max(&rig.driver, 2), 0);
}

/* Each virtiofsd serves one connection: who only looks must not take it. */
Test(virtio_fs, a_look_reaches_no_virtiofsd)
{
	struct virtio_fs_config config = {
		.name = "src", .tag = "src", .n_queues = 1, .fd = FD_NONE, .socket = "/nowhere",
		.only_look = true, .loop = rig.io, .main = rig.io,
	};
	struct virtio_device *dev;

	cr_assert_eq(virtio_fs_create(&dev, &config), 0);
	device_rig_plug(&rig, dev, FAKE_PCI);
	struct features offered = virtio_device_offered(dev);
	cr_expect(features_has(&offered, VIRTIO_F_VERSION_1));
	cr_expect_not(features_has(&offered, VIRTIO_F_RING_PACKED));
	device_rig_unplug(&rig);
	config.only_look = false;
	cr_expect_lt(virtio_fs_create(&dev, &config), 0);
	error_clear();
}

/* Whatever fails, the descriptor is not left open. */
Test(virtio_fs, the_descriptor_is_consumed)
{
	struct virtio_fs_config config = {
		.name = "src", .tag = "", .n_queues = 1, .loop = rig.io,
	};
	struct virtio_device *dev;

	cr_assert_eq(fd_create_event(&config.fd), 0);
	cr_expect_eq(virtio_fs_create(&dev, &config), -EINVAL);
	cr_expect_eq(close(config.fd), -1);
}
