/*
 * The device behind the registers, without a transport; with one it is transport_test.c's
 * matter.
 */
#include "virtio/virtio_device.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "vmm/base/error.h"

static const struct virtio_device_ops no_ops = { .destroy = NULL };
static const uint16_t sizes[] = { 8, 16, 0 };

static struct virtio_device_config good_config(void)
{
	return (struct virtio_device_config){
		.name = "dev0",
		.id = VIRTIO_ID_NET,
		.n_queues = 2,
		.queue_size = sizes,
	};
}

static int try_init(const struct virtio_device_config *config)
{
	struct virtio_device dev;
	int r = virtio_device_init(&dev, &no_ops, config);

	virtio_device_fini(&dev);
	virtio_device_fini(&dev);
	return r;
}

Test(virtio_device, refuses_what_a_model_must_not_ask_for)
{
	struct virtio_device_config config = good_config();

	cr_assert_eq(try_init(&config), 0);
	config.n_queues = 0;
	cr_assert_eq(try_init(&config), -EINVAL);
	config.n_queues = VIRTIO_MAX_QUEUES + 1;
	cr_assert_eq(try_init(&config), -EINVAL);
	config.n_queues = 3;
	cr_assert_eq(try_init(&config), -EINVAL);
	config.n_queues = 2;
	config.config_len = VIRTIO_CONFIG_MAX + 1;
	cr_assert_eq(try_init(&config), -EINVAL);
	cr_assert_str_eq(error_text(), "create device 'dev0'");
}

/* A datapath with features of its own. */
static struct features limited;

static struct features limited_features(struct datapath *dp)
{
	(void)dp;
	return limited;
}

static void limited_destroy(struct datapath *dp)
{
	(void)dp;
}

static const struct datapath_ops limited_ops = {
	.features = limited_features,
	.destroy = limited_destroy,
};

/* N12, N13, N14: device bits are the model's, ring bits are offered only if every part has them. */
Test(virtio_device, n13_ring_bits_are_offered_if_every_part_serves_them)
{
	struct virtio_device dev;
	struct virtio_device_config config = good_config();
	struct datapath a = { .ops = &limited_ops }, b = { .ops = &limited_ops };
	struct features *offered = &dev.negotiation.offered;

	features_add(&config.features, VIRTIO_NET_F_MTU);
	features_add(&config.features, VIRTIO_NET_F_MRG_RXBUF);
	features_add(&config.features, VIRTIO_F_SR_IOV);
	features_add(&config.features, VHOST_F_LOG_ALL);
	cr_assert_eq(virtio_device_init(&dev, &no_ops, &config), 0);
	cr_assert(features_has(offered, VIRTIO_F_INDIRECT_DESC));
	cr_assert_not(features_has(offered, VIRTIO_F_SR_IOV), "a transport's own");
	cr_assert_not(features_has(offered, VHOST_F_LOG_ALL));

	limited = FEATURES_EMPTY;
	features_add(&limited, VIRTIO_F_VERSION_1);
	features_add(&limited, VIRTIO_F_EVENT_IDX);
	features_add(&limited, VIRTIO_NET_F_MRG_RXBUF);
	features_add(&limited, VIRTIO_F_RING_PACKED);
	virtio_device_add_part(&dev, &a, 0, 1);
	cr_assert_not(features_has(offered, VIRTIO_F_INDIRECT_DESC));
	cr_assert_not(features_has(offered, VIRTIO_F_RING_PACKED));
	cr_assert(features_has(offered, VIRTIO_NET_F_MRG_RXBUF));
	cr_assert(features_has(offered, VIRTIO_NET_F_MTU));

	features_remove(&limited, VIRTIO_NET_F_MRG_RXBUF);
	features_remove(&limited, VIRTIO_F_EVENT_IDX);
	virtio_device_add_part(&dev, &b, 1, 1);
	cr_assert_not(features_has(offered, VIRTIO_NET_F_MRG_RXBUF));
	cr_assert_not(features_has(offered, VIRTIO_F_EVENT_IDX));
	cr_assert(features_has(offered, VIRTIO_F_VERSION_1));
	cr_assert(features_has(offered, VIRTIO_NET_F_MTU));
	virtio_device_fini(&dev);
}

/* A datapath that only counts. */
struct counting {
	struct datapath base;
	int start_error;
	unsigned n_starts, n_stops, n_stopped_queue, n_queues;
};

static int counting_start(struct datapath *dp, const struct datapath_start *start)
{
	struct counting *c = container_of(dp, struct counting, base);

	c->n_queues = start->n_queues;
	c->n_starts += c->start_error == 0;
	return c->start_error ? error_set(c->start_error, "told to fail") : 0;
}

static void counting_stop(struct datapath *dp)
{
	container_of(dp, struct counting, base)->n_stops++;
}

static void counting_stop_queue(struct datapath *dp, unsigned queue)
{
	container_of(dp, struct counting, base)->n_stopped_queue = queue + 1;
}

static const struct datapath_ops counting_ops = {
	.features = limited_features,
	.start = counting_start,
	.stop = counting_stop,
	.stop_queue = counting_stop_queue,
	.destroy = limited_destroy,
};

static void no_destroy(struct virtio_device *dev)
{
	virtio_device_fini(dev);
}

/* Offload is partial: queue 0 is served by one, queue 1 by another. */
Test(virtio_device, parts_start_and_stop_together)
{
	static const struct virtio_device_ops device_ops = { .destroy = no_destroy };
	struct fake_machine *machine = fake_machine_create();
	struct counting a = { .base.ops = &counting_ops }, b = { .base.ops = &counting_ops };
	struct virtio_device_config config = good_config();
	struct virtio_device dev;
	struct virtio_transport *t;
	struct fake_driver d;
	struct fake_ring ring;

	limited = FEATURES_EMPTY;
	features_add(&limited, VIRTIO_F_VERSION_1);
	cr_assert_eq(virtio_device_init(&dev, &device_ops, &config), 0);
	virtio_device_add_part(&dev, &a.base, 0, 1);
	virtio_device_add_part(&dev, &b.base, 1, 1);
	cr_assert_eq(virtio_mmio_create(&t, &machine->m, &dev, VIRTIO_MMIO, 0), 0);
	fake_driver_find_mmio(&d, machine, FAKE_MMIO, 0);

	b.start_error = EIO;
	cr_assert(fake_driver_negotiate(&d, limited));
	fake_driver_set_status(&d, 0xf);
	cr_assert_eq(fake_driver_status(&d), 0x4f);
	cr_assert_eq(a.n_starts, 1);
	cr_assert_eq(a.n_stops, 1, "the first was started and is stopped");
	cr_assert_eq(b.n_stops, 0);

	b.start_error = 0;
	cr_assert(fake_driver_negotiate(&d, limited));
	fake_ring_init(&ring, machine, 8, RIG_RINGS);
	fake_driver_set_queue(&d, 1, &ring);
	fake_driver_enable_queue(&d, 1);
	fake_driver_set_status(&d, 0xf);
	cr_assert(a.n_starts == 2 && b.n_starts == 1 && b.n_queues == 1);
	/* QueueReady 0 reaches the part that has the queue, by the part's own number. */
	fake_driver_write(&d, 0x44, 4, 0);
	cr_assert(a.n_stopped_queue == 0 && b.n_stopped_queue == 1);
	fake_driver_reset(&d);
	cr_assert(a.n_stops == 2 && b.n_stops == 1);
	virtio_transport_destroy(t);
	fake_machine_destroy(machine);
}

Test(virtio_device, updates_of_the_config_stay_inside_of_it)
{
	struct echo_rig *rig = echo_rig_create(FAKE_MMIO);
	uint8_t bytes[64];

	memset(bytes, 0x99, sizeof(bytes));
	virtio_device_update_config(rig->dev, ECHO_CONFIG_LEN - 1, bytes, 2);
	virtio_device_update_config(rig->dev, UINT32_MAX, bytes, 2);
	for (unsigned i = 0; i < ECHO_CONFIG_LEN; i++)
		cr_assert_eq(rig->dev->config[i], 0x10 + i);
	cr_assert_not(rig->dev->config_dirty);
	echo_rig_destroy(rig);
}

/* The first of several failures is the one that is told. */
Test(virtio_device, the_first_failure_counts)
{
	struct echo_rig *rig = echo_rig_create(FAKE_MMIO);

	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	virtio_device_fail(rig->dev, 1, "the first");
	virtio_device_fail(rig->dev, 2, "the second");
	cr_assert_str_eq(atomic_load(&rig->dev->fail_reason), "the first");
	cr_assert_eq(fake_driver_status(&rig->driver), 0xf, "not before the main loop ran");
	fake_machine_pump(rig->machine);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	cr_assert_eq(rig->dev->state, VIRTIO_BROKEN);
	virtio_device_fail(rig->dev, 2, "the third");
	fake_machine_pump(rig->machine);
	cr_assert_eq(echo_rig_take_interrupts(rig), 1);
	echo_rig_destroy(rig);
}

/* N10.  covers: CORE-STATUS-14 */
Test(virtio_device, n10_a_failure_before_driver_ok_needs_no_interrupt)
{
	struct echo_rig *rig = echo_rig_create(FAKE_PCI);

	echo_rig_prepare(rig, echo_rig_ring_features());
	virtio_device_fail(rig->dev, 0, "the back end died");
	fake_machine_pump(rig->machine);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4b);
	fake_driver_set_status(&rig->driver, 0xf);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	cr_assert_eq(rig->echo->n_starts, 0);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	echo_rig_destroy(rig);
}
