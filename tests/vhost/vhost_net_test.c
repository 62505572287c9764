/* vhost-net as the kernel hears of it: what it is asked, in which order, and what is left after. */
#include <criterion/criterion.h>
#include <errno.h>

#include "tests/support/loop_pump.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_net.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static struct vhost_rig rig;
static int tap[2];			/* eventfds: whatever can be polled */
static unsigned n_prepared, n_released;
static int prepare_fails;

static int tap_fd(void *arg, unsigned pair)
{
	(void)arg;
	return tap[pair];
}

static int prepare(void *arg, const struct datapath_start *start)
{
	(void)arg;
	(void)start;
	if (prepare_fails)
		return error_set(prepare_fails, "the tap cannot");
	n_prepared++;
	return 0;
}

static void release(void *arg)
{
	(void)arg;
	n_released++;
}

static int make(struct datapath **out, unsigned n_pairs, unsigned poll_us)
{
	return vhost_net_create(out, &(struct vhost_net_config){
		.path = "/dev/vhost-net",
		.n_pairs = n_pairs,
		.tap_fd = tap_fd,
		.prepare = prepare,
		.release = release,
		.poll_us = poll_us,
		.loop = &rig.loop,
		.n_loops = 1,
		.open = fake_vhost_open,
	});
}

static void use(unsigned n_pairs, unsigned poll_us)
{
	struct datapath *dp;

	cr_assert_eq(make(&dp, n_pairs, poll_us), 0, "%s", error_text());
	vhost_rig_use(&rig, dp);
}

static void setup(void)
{
	vhost_rig_init(&rig, fake_vhost_net_features(), 2);
	n_prepared = n_released = 0;
	prepare_fails = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(tap); i++)
		cr_assert_eq(fd_create_event(&tap[i]), 0);
}

static void teardown(void)
{
	vhost_rig_fini(&rig);
	cr_assert_eq(rig.fake.n_open, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(tap); i++)
		fd_close(&tap[i]);
}

TestSuite(vhost_net, .init = setup, .fini = teardown);

/* N7: features once, before any ring; N15, N17: none of 26, 27, 30, 33. */
Test(vhost_net, goes_up_and_down_one_ladder)
{
	use(1, 0);
	fake_vhost_expect(&rig.fake, "GET_FEATURES\n"
				     "SET_OWNER\n"
				     "GET_BACKEND_FEATURES\n"
				     "SET_BACKEND_FEATURES 0x6\n");
	vhost_rig_start(&rig);
	fake_vhost_expect(&rig.fake, "SET_FEATURES 32\n"
				     "SET_MEM_TABLE 2\n"
				     "SET_VRING_NUM 0: 16\n"
				     "SET_VRING_BASE 0: 0\n"
				     "SET_VRING_ADDR 0\n"
				     "SET_VRING_ERR 0: fd\n"
				     "SET_VRING_CALL 0: fd\n"
				     "SET_VRING_KICK 0: fd\n"
				     "SET_VRING_NUM 1: 16\n"
				     "SET_VRING_BASE 1: 0\n"
				     "SET_VRING_ADDR 1\n"
				     "SET_VRING_ERR 1: fd\n"
				     "SET_VRING_CALL 1: fd\n"
				     "SET_VRING_KICK 1: fd\n"
				     "NET_SET_BACKEND 0: fd\n"
				     "NET_SET_BACKEND 1: fd\n");
	cr_assert(fd_drain(rig.kick[0]), "what was there before needs a kick");
	cr_assert(fd_drain(rig.kick[1]));
	vhost_rig_stop(&rig);
	fake_vhost_expect(&rig.fake, "NET_SET_BACKEND 0: none\n"
				     "NET_SET_BACKEND 1: none\n"
				     "GET_VRING_BASE 0\n"
				     "SET_VRING_KICK 0: none\n"
				     "SET_VRING_CALL 0: none\n"
				     "SET_VRING_ERR 0: none\n"
				     "GET_VRING_BASE 1\n"
				     "SET_VRING_KICK 1: none\n"
				     "SET_VRING_CALL 1: none\n"
				     "SET_VRING_ERR 1: none\n");
	cr_assert_eq(n_prepared, 1);
	cr_assert_eq(n_released, 1);
}

/* N13: ring and header bits by the list and the kernel; what a newer kernel adds is not served. */
Test(vhost_net, serves_what_is_in_its_list_and_in_the_kernel)
{
	features_add(&rig.fake.features, 49);
	features_add(&rig.fake.features, VIRTIO_F_SUSPEND);
	features_remove(&rig.fake.features, VIRTIO_F_EVENT_IDX);
	use(1, 0);
	struct features served = rig.dp->ops->features(rig.dp);

	cr_assert(features_equal(served,
				 FEATURES(VIRTIO_F_NOTIFY_ON_EMPTY, VIRTIO_F_INDIRECT_DESC,
					  VIRTIO_F_ANY_LAYOUT, VIRTIO_F_VERSION_1,
					  VIRTIO_F_ACCESS_PLATFORM, VIRTIO_F_RING_RESET,
					  VIRTIO_NET_F_MRG_RXBUF)));
}

/* N12, N15, N17: of what a driver took vhost hears of the ring and the header alone. */
Test(vhost_net, is_told_of_ring_and_header_alone)
{
	use(1, 0);
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC,
				      VIRTIO_F_ACCESS_PLATFORM, VIRTIO_NET_F_MRG_RXBUF,
				      VIRTIO_NET_F_MAC, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4,
				      VIRTIO_NET_F_STATUS, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MQ);
	vhost_rig_start(&rig);
	cr_assert(fake_vhost_saw(&rig.fake, "SET_FEATURES 15 28 29 32"));
	cr_assert(features_equal(rig.fake.told,
				 rig.dp->ops->tell(rig.dp, rig.start.features, rig.start.dma)));
	cr_assert_str_eq(rig.dp->ops->untold(rig.dp, VIRTIO_F_ACCESS_PLATFORM),
			 "vhost: no IOMMU in front");
	cr_assert_str_eq(rig.dp->ops->untold(rig.dp, VIRTIO_NET_F_MAC), "others answer for it");
	cr_assert_null(rig.dp->ops->untold(rig.dp, VIRTIO_F_VERSION_1));
}

/* N17: ANY_LAYOUT of a legacy driver has the number that means "make up the header". */
Test(vhost_net, a_legacy_drivers_any_layout_stays_here)
{
	use(1, 0);
	rig.start.features = FEATURES(VIRTIO_F_ANY_LAYOUT, VIRTIO_F_INDIRECT_DESC);
	vhost_rig_start(&rig);
	cr_assert(features_equal(rig.fake.told, FEATURES(VIRTIO_F_INDIRECT_DESC)));
	cr_assert_str_eq(rig.dp->ops->untold(rig.dp, VIRTIO_F_ANY_LAYOUT),
			 "vhost: means another thing there");
}
