/* vhost-vsock as the kernel hears of it. */
#include <criterion/criterion.h>
#include <errno.h>

#include "tests/support/loop_pump.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_vsock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

static struct vhost_rig rig;

static int make(struct datapath **out, uint64_t *cid)
{
	return vhost_vsock_create(out, cid, &(struct vhost_vsock_config){
		.path = "/dev/vhost-vsock",
		.fd = FD_NONE,
		.cid = *cid,
		.loop = rig.loop,
		.open = fake_vhost_open,
	});
}

static void use(void)
{
	struct datapath *dp;
	uint64_t cid = 0;

	cr_assert_eq(make(&dp, &cid), 0, "%s", error_text());
	vhost_rig_use(&rig, dp);
}

static void setup(void)
{
	vhost_rig_init(&rig, fake_vhost_vsock_features(), 2);
}

static void teardown(void)
{
	vhost_rig_fini(&rig);
	cr_assert_eq(rig.fake.n_open, 0);
}

/* What follows VHOST_SET_FEATURES. */
#define RINGS_UP \
	"SET_MEM_TABLE 2\n" \
	"SET_VRING_NUM 0: 16\n" \
	"SET_VRING_BASE 0: 0\n" \
	"SET_VRING_ADDR 0\n" \
	"SET_VRING_ERR 0: fd\n" \
	"SET_VRING_CALL 0: fd\n" \
	"SET_VRING_KICK 0: fd\n" \
	"SET_VRING_NUM 1: 16\n" \
	"SET_VRING_BASE 1: 0\n" \
	"SET_VRING_ADDR 1\n" \
	"SET_VRING_ERR 1: fd\n" \
	"SET_VRING_CALL 1: fd\n" \
	"SET_VRING_KICK 1: fd\n" \
	"VSOCK_SET_RUNNING 1\n"

TestSuite(vhost_vsock, .init = setup, .fini = teardown);

/* N18: SEQPACKET has a row, and is told. */
Test(vhost_vsock, goes_up_and_down_the_ladder)
{
	use();
	fake_vhost_expect(&rig.fake, "GET_FEATURES\n"
				     "SET_OWNER\n"
				     "GET_BACKEND_FEATURES\n"
				     "SET_BACKEND_FEATURES 0x6\n"
				     "VSOCK_SET_GUEST_CID 3\n");
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_ACCESS_PLATFORM,
				      VIRTIO_VSOCK_F_SEQPACKET);
	vhost_rig_start(&rig);
	fake_vhost_expect(&rig.fake, "SET_FEATURES 1 32\n" RINGS_UP);
	vhost_rig_stop(&rig);
	fake_vhost_expect(&rig.fake, "VSOCK_SET_RUNNING 0\n"
				     "GET_VRING_BASE 0\n"
				     "SET_VRING_KICK 0: none\n"
				     "SET_VRING_CALL 0: none\n"
				     "SET_VRING_ERR 0: none\n"
				     "GET_VRING_BASE 1\n"
				     "SET_VRING_KICK 1: none\n"
				     "SET_VRING_CALL 1: none\n"
				     "SET_VRING_ERR 1: none\n");
}

/* N15: of a kernel that advertises it to one that accepted it; vhost hears nothing. */
Test(vhost_vsock, access_platform_is_never_told_without_an_iommu)
{
	use();
	cr_assert(features_has(&rig.fake.features, VIRTIO_F_ACCESS_PLATFORM));
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_ACCESS_PLATFORM);
	fake_vhost_clear(&rig.fake);
	vhost_rig_start(&rig);
	fake_vhost_expect(&rig.fake, "SET_FEATURES 32\n" RINGS_UP);
	cr_assert_not(features_has(&rig.fake.told, VIRTIO_F_ACCESS_PLATFORM));
}

/* N18: SEQPACKET is offered where the host's kernel has it, and there alone. */
Test(vhost_vsock, seqpacket_follows_the_kernel)
{
	use();
	struct features served = rig.dp->ops->features(rig.dp);

	cr_assert(features_has(&served, VIRTIO_VSOCK_F_SEQPACKET));
	cr_assert_not(features_has(&served, VIRTIO_F_IN_ORDER));
	rig.dp->ops->destroy(rig.dp);
	features_remove(&rig.fake.features, VIRTIO_VSOCK_F_SEQPACKET);
	features_add(&rig.fake.features, VIRTIO_F_IN_ORDER);
	use();
	served = rig.dp->ops->features(rig.dp);
	cr_assert_not(features_has(&served, VIRTIO_VSOCK_F_SEQPACKET));
	cr_assert_not(features_has(&served, VIRTIO_F_IN_ORDER), "no row for vsock");
	/* N14: nor does a driver that took it all the same get a ring. */
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_IN_ORDER);
	fake_vhost_clear(&rig.fake);
	cr_assert_eq(rig.dp->ops->start(rig.dp, &rig.start), -EOPNOTSUPP);
	fake_vhost_expect(&rig.fake, "");
}

Test(vhost_vsock, auto_takes_the_first_free_cid)
{
	struct datapath *dp;
	uint64_t cid = 0;

	rig.fake.cids_taken = 1u << 3 | 1u << 4 | 1u << 6;
	cr_assert_eq(make(&dp, &cid), 0);
	cr_assert_eq(cid, 5);
	dp->ops->destroy(dp);
}

Test(vhost_vsock, a_cid_that_another_vm_has_is_said)
{
	struct datapath *dp;
	uint64_t cid = 4;

	rig.fake.cids_taken = 1u << 4;
	cr_assert_eq(make(&dp, &cid), -EADDRINUSE);
	cr_assert_str_eq(error_text(), "/dev/vhost-vsock: another VM has CID 4");
	cr_assert_eq(rig.fake.n_open, 0);
	cid = 7;
	cr_assert_eq(make(&dp, &cid), 0);
	cr_assert_eq(cid, 7);
	dp->ops->destroy(dp);
}

Test(vhost_vsock, auto_gives_up_when_the_kernel_says_another_thing)
{
	struct datapath *dp;
	uint64_t cid = 0;

	rig.fake.fail_at = 5;
	rig.fake.fail_with = -EPERM;
	cr_assert_eq(make(&dp, &cid), -EPERM);
	cr_assert_eq(rig.fake.n_open, 0);
}

/* It runs both rings at once: it waits for the last, and one that goes halts both. */
Test(vhost_vsock, runs_only_while_both_rings_are_there)
{
	struct virtqueue_position at;

	use();
	rig.queue[0].enabled = false;
	vhost_rig_start(&rig);
	cr_assert_not(rig.fake.running);
	rig.queue[0].enabled = true;
	cr_assert_eq(rig.dp->ops->start_queue(rig.dp, &rig.start, 0), 0);
	cr_assert(rig.fake.running);
	rig.fake.ring[0][1].base = 9;
	store_le16(fake_machine_driver_at(rig.machine, rig.ring[1].device + 2, 2), 9);
	rig.dp->ops->stop_queue(rig.dp, 1);
	cr_assert_not(rig.fake.running);
	cr_assert(rig.dp->ops->position(rig.dp, 1, &at));
	cr_assert_eq(at.avail, 9);
	cr_assert_not(rig.dp->ops->position(rig.dp, 0, &at), "it is still up");
	cr_assert_eq(rig.dp->ops->start_queue(rig.dp, &rig.start, 1), 0);
	cr_assert(rig.fake.running);
}

Test(vhost_vsock, nothing_is_left_of_a_start_that_fails)
{
	use();
	for (unsigned n = 1;; n++) {
		fake_vhost_clear(&rig.fake);
		rig.fake.fail_at = n;
		int r = rig.dp->ops->start(rig.dp, &rig.start);

		rig.fake.fail_at = 0;
		if (r == 0)
			break;
		cr_assert_eq(r, -EIO);
		cr_assert_not(rig.fake.running);
		for (unsigned i = 0; i < 2; i++) {
			cr_assert_eq(rig.fake.ring[0][i].kick, FD_NONE);
			cr_assert_eq(rig.fake.ring[0][i].call, FD_NONE);
			cr_assert_eq(rig.fake.ring[0][i].err, FD_NONE);
		}
		vhost_rig_start(&rig);
		vhost_rig_stop(&rig);
	}
	cr_assert(rig.fake.running);
}

Test(vhost_vsock, what_only_looks_takes_nothing)
{
	struct datapath *dp;
	uint64_t cid;

	cr_assert_eq(vhost_vsock_create(&dp, &cid, &(struct vhost_vsock_config){
		.path = "/dev/vhost-vsock",
		.fd = FD_NONE,
		.only_look = true,
		.loop = rig.loop,
		.open = fake_vhost_open,
	}), 0);
	fake_vhost_expect(&rig.fake, "GET_FEATURES\n");
	dp->ops->destroy(dp);
}

/* A descriptor that is none is refused, and closed. */
Test(vhost_vsock, a_descriptor_that_is_no_vhost_is_refused)
{
	struct datapath *dp;
	uint64_t cid;
	int fd;

	cr_assert_eq(fd_create_event(&fd), 0);
	cr_assert_eq(vhost_vsock_create(&dp, &cid, &(struct vhost_vsock_config){
		.path = "/dev/vhost-vsock",
		.fd = fd,
		.loop = rig.loop,
	}), -EINVAL);
	cr_assert(write(fd, "12345678", 8) < 0 && errno == EBADF);
}
