/* A vhost datapath while each of its calls to the system and to the allocator fails. */
#include <criterion/criterion.h>

#include "tests/support/fault.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_net.h"
#include "vhost/vhost_vsock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static struct vhost_rig rig;

static int tap_fd(void *arg, unsigned pair)
{
	(void)arg;
	(void)pair;
	return 0;
}

/* Start, with calls that are relayed and a dirty bitmap; stop; the end. */
static int live(struct datapath *dp)
{
	_Atomic uint32_t isr = 0;
	uint64_t *bitmap, n;
	int r;

	rig.queue[0].call.isr = &isr;
	r = dp->ops->start(dp, &rig.start);
	if (r == 0)
		r = vhost_log_start(vhost_datapath_node(dp, 0), FD_NONE, &bitmap, &n);
	dp->ops->stop(dp);
	dp->ops->destroy(dp);
	return r;
}

static int live_net(void *arg)
{
	struct datapath *dp;

	(void)arg;
	fake_vhost_init(&rig.fake, fake_vhost_net_features());
	int r = vhost_net_create(&dp, &(struct vhost_net_config){
		.path = "/dev/vhost-net",
		.n_pairs = 2,
		.tap_fd = tap_fd,
		.loop = &rig.loop,
		.n_loops = 1,
		.open = fake_vhost_open,
	});

	return r == 0 ? live(dp) : r;
}

static int live_vsock(void *arg)
{
	struct datapath *dp;
	uint64_t cid;

	(void)arg;
	fake_vhost_init(&rig.fake, fake_vhost_vsock_features());
	int r = vhost_vsock_create(&dp, &cid, &(struct vhost_vsock_config){
		.path = "/dev/vhost-vsock",
		.fd = FD_NONE,
		.loop = rig.loop,
		.open = fake_vhost_open,
	});

	return r == 0 ? live(dp) : r;
}

static void setup(void)
{
	vhost_rig_init(&rig, fake_vhost_net_features(), 4);
}

static void teardown(void)
{
	vhost_rig_fini(&rig);
}

TestSuite(vhost_fault, .init = setup, .fini = teardown, .timeout = 120);

Test(vhost_fault, each_call_of_vhost_net)
{
	cr_assert_gt(fault_each(live_net, NULL), 10);
	cr_assert_eq(rig.fake.n_open, 0);
}

Test(vhost_fault, each_call_of_vhost_vsock)
{
	rig.start.n_queues = 2;
	cr_assert_gt(fault_each(live_vsock, NULL), 5);
	cr_assert_eq(rig.fake.n_open, 0);
}
