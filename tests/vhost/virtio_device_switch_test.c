/*
 * A device changes who moves its buffers, between this process and (fake) vhost, while its driver
 * goes on: nothing is lost, nothing comes twice, whatever was in the ring at that moment.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "tests/support/fake_vhost.h"
#include "tests/support/loop_pump.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_datapath.h"
#include "virtio/device_account.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"

static struct fake_vhost fake;

/* --- a vhost for the echo device: the test is the kernel ------------------------------------ */

static int echo_attach(struct vhost *v, unsigned ring)
{
	int r = v->node->ops->net_set_backend(v->node, ring, 0);

	return r < 0 ? error_set(r, "attach ring %u", ring) : 0;
}

static int echo_detach(struct vhost *v, unsigned ring)
{
	return v->node->ops->net_set_backend(v->node, ring, FD_NONE);
}

static const struct vhost_type echo_type = {
	.kind = VHOST_KIND_NET, .attach = echo_attach, .detach = echo_detach,
};

static void add_vhost(struct echo_rig *rig)
{
	struct vhost_config config = {
		.name = "vhost-echo",
		.type = &echo_type,
		.n_rings = ECHO_QUEUES,
		.loop = rig->loop,
	};
	struct vhost *v;
	struct datapath *dp;

	cr_assert_eq(fake_vhost_open(&config.node, "vhost-echo"), 0);
	cr_assert_eq(vhost_create(&v, &config), 0);
	cr_assert_eq(vhost_datapath_create(&dp, &(struct vhost_datapath_config){
		.name = "vhost-echo", .node = &v, .n_nodes = 1,
	}), 0);
	virtio_device_add_datapath(rig->dev, 0, dp);
}

/* What the kernel does with a ring that it runs: answer all that there is; at most 'max'. */
static unsigned kernel_serves_some(struct echo_rig *rig, unsigned index, unsigned max)
{
	struct fake_vhost_ring *r = &fake.ring[0][index];
	struct virtqueue_config config = fake_ring_config(&rig->ring[index], fake.told, r->call);
	bool packed = rig->ring[index].layout == FAKE_PACKED;
	struct virtqueue *q;
	struct chain c;
	unsigned n = 0;

	cr_assert_neq(r->backend, FD_NONE, "the kernel does not have ring %u", index);
	config.resume = true;
	config.avail_base = (uint16_t)r->base;
	config.used_base = packed ? (uint16_t)(r->base >> 16) : (uint16_t)r->base;
	cr_assert_eq(virtqueue_create(&q, &config), 0, "%s", error_text());
	while (n < max && virtqueue_pop(q, &c) == VQ_CHAIN) {
		size_t done = 0;
		for (unsigned i = 0; i < c.n_out; i++)
			done += iov_write(c.in, c.n_in, done, c.out[i].iov_base, c.out[i].iov_len);
		virtqueue_push(q, c.head, (uint32_t)done);
		n++;
	}
	virtqueue_flush(q);
	struct virtqueue_position at = virtqueue_position(q);

	r->base = packed ? at.avail | (uint32_t)at.used << 16 : at.avail;
	virtqueue_destroy(q);
	return n;
}

static unsigned kernel_serves(struct echo_rig *rig, unsigned index)
{
	return kernel_serves_some(rig, index, UINT16_MAX);
}

static struct features usual(void)
{
	struct features f = fake_vhost_net_features();

	features_add(&f, VIRTIO_F_RING_PACKED);
	return f;
}

static void use_vhost(struct echo_rig *rig)
{
	fake_vhost_init(&fake, usual());
	add_vhost(rig);
}

static const char *who(const struct echo_rig *rig)
{
	return rig->dev->part[0].datapath->name;
}

static void change(struct echo_rig *rig)
{
	cr_assert_eq(virtio_device_switch(rig->dev, 0), 0, "%s", error_text());
}

/* --- there and back -------------------------------------------------------------------------- */

OVER_ALL(device_switch, rings_go_on_where_they_stand)
{
	use_vhost(rig);
	echo_rig_start(rig);
	for (unsigned i = 0; i < 5; i++)
		echo_rig_round_trip(rig, 0);
	echo_rig_round_trip(rig, 1);
	change(rig);
	cr_assert_str_eq(who(rig), "vhost-echo");
	cr_assert_eq(fake.ring[0][0].base, 5);
	cr_assert_eq(fake.ring[0][1].base, 1);
	cr_assert_eq(fake.ring[0][2].base, 0);
	for (unsigned i = 0; i < 20; i++) {
		echo_rig_ask(rig, 0);
		fake_driver_kick(&rig->driver, 0);
		echo_rig_pump(rig);
		cr_assert(fd_drain(fake.ring[0][0].kick));
		cr_assert_eq(kernel_serves(rig, 0), 1);
		echo_rig_expect_answer(rig, 0);
	}
	change(rig);
	cr_assert_str_eq(who(rig), "in process");
	cr_assert_eq(fake.ring[0][0].kick, FD_NONE);
	for (unsigned i = 0; i < 5; i++)
		echo_rig_round_trip(rig, 0);
	echo_rig_round_trip(rig, 2);
}

/* What nobody took yet is the other's to take, and nobody kicks for it again. */
OVER_ALL(device_switch, nothing_is_lost_that_was_in_the_ring)
{
	use_vhost(rig);
	echo_rig_start(rig);
	echo_rig_take_interrupts(rig);
	for (unsigned i = 0; i < 3; i++)
		echo_rig_ask(rig, 0);
	change(rig);
	cr_assert(fd_drain(fake.ring[0][0].kick), "the kernel is told to look");
	cr_assert_gt(echo_rig_take_interrupts(rig), 0, "so is the driver");
	cr_assert_eq(kernel_serves_some(rig, 0, 2), 2);
	change(rig);
	echo_rig_pump(rig);
	for (unsigned i = 0; i < 3; i++)
		echo_rig_expect_answer(rig, 0);
	cr_assert_not(fake_ring_has_used(&rig->ring[0]));
}

/* A driver with packed rings: both positions travel. */
static void packed(struct echo_rig *rig)
{
	struct fake_ring *ring = &rig->ring[0];
	uint8_t *data = fake_machine_driver_at(rig->machine, RIG_DATA, 64);
	const struct fake_buf buf[] = { { RIG_DATA, 8, false }, { RIG_DATA + 8, 8, true } };
	uint32_t id, len;

	use_vhost(rig);
	echo_rig_prepare(rig, echo_rig_features_with(VIRTIO_F_RING_PACKED));
	cr_assert_eq(ring->layout, FAKE_PACKED);
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	for (unsigned i = 0; i < 60; i++) {
		memset(data, (int)i, 8);
		memset(data + 8, 0xee, 8);
		uint16_t name = fake_ring_add(ring, buf, 2);
		fake_driver_kick(&rig->driver, 0);
		if (i % 7 == 3)
			change(rig);
		echo_rig_pump(rig);
		if (rig->dev->part[0].datapath != rig->echo->datapath)
			cr_assert_eq(kernel_serves(rig, 0), 1, "round %u", i);
		cr_assert(fake_ring_reap(ring, &id, &len), "round %u", i);
		cr_assert_eq(id, name);
		cr_assert_eq(len, 8);
		cr_assert_eq(data[8], i);
	}
}

Test(device_switch, packed_rings_go_on_where_they_stand)
{
	struct features on = FEATURES_EMPTY;

	features_add(&on, VIRTIO_F_RING_PACKED);
	echo_rig_over_with(FAKE_PCI, FAKE_TRANSITIONAL, on, packed);
}

/* --- when it may not be ---------------------------------------------------------------------- */

/* N14: never under a driver that relies on a bit of the ring. */
static void lacks_packed(struct echo_rig *rig)
{
	fake_vhost_init(&fake, fake_vhost_net_features());
	add_vhost(rig);
	echo_rig_prepare(rig, echo_rig_features_with(VIRTIO_F_RING_PACKED));
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	cr_assert_eq(virtio_device_switch(rig->dev, 0), -EOPNOTSUPP);
	cr_assert_not_null(strstr(error_text(), "vhost-echo"));
	error_clear();
	cr_assert_str_eq(who(rig), "in process");
	fake_driver_set_status(&rig->driver, 0);
	/* Without a driver the configuration still demands it. */
	cr_assert_eq(virtio_device_switch(rig->dev, 0), -EINVAL);
}

Test(device_switch, a_bit_that_the_driver_took_must_be_served)
{
	struct features on = FEATURES_EMPTY;

	features_add(&on, VIRTIO_F_RING_PACKED);
	echo_rig_over_with(FAKE_PCI, FAKE_PCI, on, lacks_packed);
}

OVER_MODERN(device_switch, there_must_be_another)
{
	cr_assert_eq(virtio_device_switch(rig->dev, 0), -ENOTSUP);
	cr_assert_eq(virtio_device_switch(rig->dev, 7), -ENOTSUP);
}

OVER_MODERN(device_switch, what_the_host_still_has_keeps_it_back)
{
	use_vhost(rig);
	echo_rig_start(rig);
	rig->echo->hold = true;
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(virtio_device_switch(rig->dev, 0), -EBUSY);
	cr_assert_str_eq(who(rig), "in process");
	rig->echo->hold = false;
	echo_device_release(rig->echo, 0);
	echo_rig_expect_answer(rig, 0);
	echo_rig_round_trip(rig, 0);
	change(rig);
}

/* Each request that the way up takes fails once: it goes on as it was. */
OVER_MODERN(device_switch, a_start_that_fails_leaves_it_where_it_was)
{
	use_vhost(rig);
	echo_rig_start(rig);
	for (unsigned n = 1;; n++) {
		fake_vhost_clear(&fake);
		fake.fail_at = n;
		int r = virtio_device_switch(rig->dev, 0);

		fake.fail_at = 0;
		if (r == 0)
			break;
		cr_assert_eq(r, -EIO, "request %u", n);
		error_clear();
		cr_assert_str_eq(who(rig), "in process");
		echo_rig_pump(rig);
		echo_rig_round_trip(rig, 0);
		echo_rig_round_trip(rig, 1);
	}
	echo_rig_ask(rig, 0);
	cr_assert_eq(kernel_serves(rig, 0), 1);
	echo_rig_expect_answer(rig, 0);
}

/* Whichever request of a driver's start fails: this process has the rings, and keeps them. */
OVER_MODERN(device_switch, a_back_end_that_does_not_start_is_replaced)
{
	use_vhost(rig);
	change(rig);
	for (unsigned n = 1;; n++) {
		fake_vhost_clear(&fake);
		fake.fail_at = n;
		echo_rig_start(rig);
		bool failed = fake.n_requests >= n;

		fake.fail_at = 0;
		cr_assert_not(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET,
			      "request %u", n);
		if (!failed)
			break;
		cr_assert_str_eq(who(rig), "in process", "request %u", n);
		cr_assert_eq(error_errno(), 0);
		echo_rig_round_trip(rig, 0);
		echo_rig_round_trip(rig, 1);
		/* And in the next session. */
		fake_driver_set_status(&rig->driver, 0);
		echo_rig_start(rig);
		cr_assert_str_eq(who(rig), "in process");
		echo_rig_round_trip(rig, 0);
		fake_driver_set_status(&rig->driver, 0);
		change(rig);
	}
	cr_assert_str_eq(who(rig), "vhost-echo");
	echo_rig_ask(rig, 0);
	cr_assert_eq(kernel_serves(rig, 0), 1);
	echo_rig_expect_answer(rig, 0);
}

/* Likewise a queue that comes back from its own reset: the others go along, where they stand. */
OVER_MODERN(device_switch, a_queue_that_does_not_start_takes_all_along)
{
	unsigned n_failed = 0;

	use_vhost(rig);
	change(rig);
	for (unsigned n = 1;; n++) {
		echo_rig_prepare(rig, echo_rig_features_with(VIRTIO_F_RING_RESET));
		echo_rig_driver_ok(rig);
		echo_rig_pump(rig);
		echo_rig_ask(rig, 0);
		cr_assert_eq(kernel_serves(rig, 0), 1);
		echo_rig_expect_answer(rig, 0);
		fake_driver_reset_queue(&rig->driver, 1);
		fake_driver_init_ring(&rig->driver, &rig->ring[1], 16, RIG_RINGS + 0x100000);
		fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
		fake_vhost_clear(&fake);
		fake.fail_at = n;
		fake_driver_enable_queue(&rig->driver, 1);
		bool failed = fake.n_requests >= n;

		fake.fail_at = 0;
		cr_assert_not(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET,
			      "request %u", n);
		if (!failed)
			break;
		n_failed++;
		cr_assert_str_eq(who(rig), "in process", "request %u", n);
		echo_rig_pump(rig);
		echo_rig_round_trip(rig, 0);
		echo_rig_round_trip(rig, 1);
		fake_driver_set_status(&rig->driver, 0);
		change(rig);
	}
	cr_assert_gt(n_failed, 0u);
	echo_rig_ask(rig, 1);
	cr_assert_eq(kernel_serves(rig, 1), 1);
	echo_rig_expect_answer(rig, 1);
}

/* What the driver got wrong no other back end mends: it is told once, under its own name. */
OVER_MODERN(device_switch, a_ring_that_nobody_can_start_is_the_drivers_mistake)
{
	use_vhost(rig);
	change(rig);
	fake_vhost_clear(&fake);
	fake.fail_at = 1;
	echo_rig_prepare(rig, echo_rig_features_with(VIRTIO_NET_F_CSUM));
	rig->dev->queue[0].desc = UINT64_C(1) << 60;
	fake_driver_set_status(&rig->driver, fake_driver_status(&rig->driver) |
						     VIRTIO_STATUS_DRIVER_OK);
	fake.fail_at = 0;
	cr_assert(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_str_eq(who(rig), "vhost-echo", "nobody else can, either");
	fake_driver_set_status(&rig->driver, 0);
	echo_rig_start(rig);
	echo_rig_ask(rig, 0);
	cr_assert_eq(kernel_serves(rig, 0), 1);
	echo_rig_expect_answer(rig, 0);
}

/* A position that the kernel does not tell cannot be guessed. */
OVER_MODERN(device_switch, a_lost_position_needs_a_reset)
{
	use_vhost(rig);
	echo_rig_start(rig);
	change(rig);
	fake_vhost_clear(&fake);
	fake.fail_at = ECHO_QUEUES + 1;	/* the first GET_VRING_BASE */
	cr_assert_eq(virtio_device_switch(rig->dev, 0), -EIO);
	fake.fail_at = 0;
	cr_assert(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET);
	fake_driver_set_status(&rig->driver, 0);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* --- Bus Master Enable ----------------------------------------------------------------------- */

enum { COMMAND = 4, MASTER_OFF = 3, MASTER_ON = 7 };

/*
 * The kernel lets go of the rings, which stay as they are, and goes on where it stood.
 * covers: PCI-BUS-02
 */
OVER(device_switch, without_bus_mastering_the_kernel_stands_still, FAKE_PCI, FAKE_PCI)
{
	use_vhost(rig);
	change(rig);
	echo_rig_start(rig);
	echo_rig_ask(rig, 0);
	cr_assert_eq(kernel_serves(rig, 0), 1);
	echo_rig_expect_answer(rig, 0);
	fake_vhost_clear(&fake);
	fd_drain(fake.ring[0][0].kick);
	fake_driver_pci_write(&rig->driver, COMMAND, 2, MASTER_OFF);
	fake_vhost_expect(&fake, "NET_SET_BACKEND 0: none\n"
				 "NET_SET_BACKEND 1: none\n"
				 "NET_SET_BACKEND 2: none\n");
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	cr_assert_not(fd_drain(fake.ring[0][0].kick));
	cr_assert_eq(virtio_device_switch(rig->dev, 0), -EBUSY, "nor does anybody else");
	error_clear();
	fake_vhost_clear(&fake);
	fake_driver_pci_write(&rig->driver, COMMAND, 2, MASTER_ON);
	fake_vhost_expect(&fake, "NET_SET_BACKEND 0: fd\n"
				 "NET_SET_BACKEND 1: fd\n"
				 "NET_SET_BACKEND 2: fd\n");
	cr_assert(fd_drain(fake.ring[0][0].kick), "it is told to look");
	cr_assert_eq(kernel_serves(rig, 0), 1);
	echo_rig_expect_answer(rig, 0);
	/* A reset forgets it. */
	fake_driver_pci_write(&rig->driver, COMMAND, 2, MASTER_OFF);
	fake_driver_set_status(&rig->driver, 0);
	fake_driver_pci_write(&rig->driver, COMMAND, 2, MASTER_ON);
	echo_rig_start(rig);
	echo_rig_ask(rig, 1);
	cr_assert_eq(kernel_serves(rig, 1), 1);
	echo_rig_expect_answer(rig, 1);
}

/* It does not take the rings again: this process does. */
OVER(device_switch, a_kernel_that_does_not_go_on_is_replaced, FAKE_PCI, FAKE_PCI)
{
	use_vhost(rig);
	change(rig);
	echo_rig_start(rig);
	fake_driver_pci_write(&rig->driver, COMMAND, 2, MASTER_OFF);
	fake_vhost_clear(&fake);
	fake.fail_at = 2;
	fake_driver_pci_write(&rig->driver, COMMAND, 2, MASTER_ON);
	fake.fail_at = 0;
	echo_rig_pump(rig);
	cr_assert_str_eq(who(rig), "in process");
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
}

/* --- without a driver ------------------------------------------------------------------------ */

/* N13: what is offered follows who moves the buffers, from reset to reset. */
OVER_MODERN(device_switch, the_offer_follows_after_the_reset)
{
	struct features f;

	fake_vhost_init(&fake, fake_vhost_net_features());
	features_remove(&fake.features, VIRTIO_F_EVENT_IDX);
	add_vhost(rig);
	echo_rig_prepare(rig, echo_rig_features_with(VIRTIO_NET_F_CSUM));
	cr_assert_eq(virtio_device_switch(rig->dev, 0), -EOPNOTSUPP, "EVENT_IDX was taken");
	error_clear();
	fake_driver_set_status(&rig->driver, 0);
	change(rig);
	f = fake_driver_offered(&rig->driver);
	cr_assert_not(features_has(&f, VIRTIO_F_EVENT_IDX));
	cr_assert(features_has(&f, VIRTIO_NET_F_CSUM), "another owner's");
	fake_driver_set_status(&rig->driver, VIRTIO_STATUS_ACKNOWLEDGE);
	change(rig);
	f = fake_driver_offered(&rig->driver);
	cr_assert_not(features_has(&f, VIRTIO_F_EVENT_IDX), "a driver looks at the old offer");
	fake_driver_set_status(&rig->driver, 0);
	f = fake_driver_offered(&rig->driver);
	cr_assert(features_has(&f, VIRTIO_F_EVENT_IDX));
}

/* The configuration demands what the first of two lacks: the other one it is. */
Test(device_switch, the_one_that_has_what_is_demanded_comes_first)
{
	struct echo_rig *rig = echo_rig_create(FAKE_PCI);
	struct features on = FEATURES_EMPTY;

	fake_vhost_init(&fake, fake_vhost_net_features());
	add_vhost(rig);
	change(rig);
	features_add(&on, VIRTIO_F_RING_PACKED);
	virtio_device_want_features(rig->dev, on, FEATURES_EMPTY);
	cr_assert_eq(virtio_device_settle_features(rig->dev, FEATURE_ON_PCI, FEATURES_EMPTY), 0);
	cr_assert_str_eq(who(rig), "in process");
	features_add(&on, VIRTIO_F_SR_IOV);
	virtio_device_want_features(rig->dev, on, FEATURES_EMPTY);
	cr_assert_eq(virtio_device_settle_features(rig->dev, FEATURE_ON_PCI, FEATURES_EMPTY),
		     -EINVAL);
	echo_rig_destroy(rig);
}

/* --- on its own ------------------------------------------------------------------------------ */

/* The kernel finds a ring broken; this process looks itself, and goes on or says what is wrong. */
OVER_MODERN(device_switch, an_error_of_the_kernel_brings_it_back)
{
	use_vhost(rig);
	change(rig);
	echo_rig_start(rig);
	echo_rig_ask(rig, 0);
	cr_assert_eq(kernel_serves(rig, 0), 1);
	echo_rig_expect_answer(rig, 0);
	echo_rig_ask(rig, 0);
	fd_signal(fake.ring[0][0].err);
	echo_rig_pump(rig);
	echo_rig_pump(rig);
	cr_assert_str_eq(who(rig), "in process");
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig));
	echo_rig_expect_answer(rig, 0);
	echo_rig_round_trip(rig, 1);
}

OVER_MODERN(device_switch, a_ring_that_is_broken_stays_broken)
{
	use_vhost(rig);
	change(rig);
	echo_rig_start(rig);
	fake_ring_offer(&rig->ring[0], 0xffff);
	fake_ring_publish(&rig->ring[0]);
	fd_signal(fake.ring[0][0].err);
	for (unsigned i = 0; i < 3; i++)
		echo_rig_pump(rig);
	cr_assert_str_eq(who(rig), "in process");
	cr_assert(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_eq(rig->dev->negotiation.mistakes.n[MISTAKE_RING_HEAD], 1, "and it is named");
	fake_driver_set_status(&rig->driver, 0);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* Nobody else can: it needs a reset. */
OVER_MODERN(device_switch, without_another_the_kernels_error_is_the_end)
{
	use_vhost(rig);
	change(rig);
	rig->dev->part[0].other->ops->destroy(rig->dev->part[0].other);
	rig->dev->part[0].other = NULL;
	echo_rig_start(rig);
	fd_signal(fake.ring[0][1].err);
	echo_rig_pump(rig);
	echo_rig_pump(rig);
	cr_assert(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_eq(fake.ring[0][0].backend, FD_NONE);
}

/* --- reports --------------------------------------------------------------------------------- */

/* N20: who moves the buffers, what he said, what he was told and why not more. */
Test(device_switch, it_is_explained)
{
	static struct device_account a;
	struct echo_rig *rig = echo_rig_create(FAKE_PCI);
	char reason[64] = "";

	use_vhost(rig);
	change(rig);
	echo_rig_prepare(rig, echo_rig_features_with(VIRTIO_NET_F_CSUM));
	echo_rig_driver_ok(rig);
	device_account_take(&a, rig->dev, VIRTIO_PCI);
	cr_assert_str_eq(a.part[0].datapath, "vhost-echo");
	cr_assert_str_eq(a.part[0].other, "in process");
	cr_assert(a.part[0].more.says);
	cr_assert(features_equal(a.part[0].more.said, fake.features));
	for (unsigned i = 0; i < a.n_bits; i++)
		if (a.bit[i].bit == VIRTIO_NET_F_CSUM)
			feature_account_reason(&a.bit[i], reason);
	cr_assert_str_eq(reason, "others answer for it");
	echo_rig_destroy(rig);
}
