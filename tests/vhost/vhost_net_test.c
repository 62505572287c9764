/* vhost-net as the kernel hears of it: what it is asked, in which order, and what is left after. */
#include <criterion/criterion.h>
#include <errno.h>

#include "tests/support/loop_pump.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_net.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

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

/* As the kernel does. */
static void set_used_idx(unsigned queue, uint16_t idx)
{
	store_le16(fake_machine_driver_at(rig.machine, rig.ring[queue].device + 2, 2), idx);
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
	"NET_SET_BACKEND 0: fd\n" \
	"NET_SET_BACKEND 1: fd\n"

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
	fake_vhost_expect(&rig.fake, "SET_FEATURES 32\n" RINGS_UP);
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
				 FEATURES(VIRTIO_F_INDIRECT_DESC,
					  VIRTIO_F_ANY_LAYOUT, VIRTIO_F_VERSION_1,
					  VIRTIO_F_ACCESS_PLATFORM, VIRTIO_F_RING_RESET,
					  VIRTIO_NET_F_MRG_RXBUF)));
	/* A driver that takes all that is served, and what we serve ourselves. */
	rig.start.features = served;
	features_remove(&rig.start.features, VIRTIO_F_ANY_LAYOUT);
	features_add(&rig.start.features, VIRTIO_NET_F_MAC);
	fake_vhost_clear(&rig.fake);
	vhost_rig_start(&rig);
	fake_vhost_expect(&rig.fake, "SET_FEATURES 15 28 32 40\n" RINGS_UP);
}

/* N12, N15, N17: of what a driver took vhost hears of the ring and the header alone. */
Test(vhost_net, is_told_of_ring_and_header_alone)
{
	use(1, 0);
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC,
				      VIRTIO_F_ACCESS_PLATFORM, VIRTIO_NET_F_MRG_RXBUF,
				      VIRTIO_NET_F_MAC, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4,
				      VIRTIO_NET_F_STATUS, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MQ);
	fake_vhost_clear(&rig.fake);
	vhost_rig_start(&rig);
	fake_vhost_expect(&rig.fake, "SET_FEATURES 15 28 29 32\n" RINGS_UP);
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

/* N14: what driver and vhost must agree on is never dropped on the way. */
Test(vhost_net, a_ring_bit_that_it_lacks_is_no_start)
{
	use(1, 0);
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED);
	fake_vhost_clear(&rig.fake);
	cr_assert_eq(rig.dp->ops->start(rig.dp, &rig.start), -EOPNOTSUPP);
	fake_vhost_expect(&rig.fake, "");
	cr_assert_eq(n_prepared, n_released);
}

/* N19: a kernel that offers more than 64 bits is asked for no bit that has no row. */
Test(vhost_net, bits_above_64_are_seen_and_not_served)
{
	features_add(&rig.fake.features, 65);
	features_add(&rig.fake.features, 66);
	use(1, 0);
	cr_assert_eq(rig.dp->ops->features(rig.dp).word[1], 0);
	struct datapath_account account = { 0 };

	rig.dp->ops->account(rig.dp, &account);
	cr_assert(account.says);
	cr_assert_eq(account.said.word[1], 6);
	fake_vhost_clear(&rig.fake);
	vhost_rig_start(&rig);
	fake_vhost_expect(&rig.fake, "SET_FEATURES 32\n" RINGS_UP);
}

/* N16: back end features that are not known are not asked for; a kernel may have none. */
Test(vhost_net, asks_only_for_backend_features_that_are_known)
{
	rig.fake.backend_features = 0xfff;
	use(1, 0);
	cr_assert(fake_vhost_saw(&rig.fake, "SET_BACKEND_FEATURES 0x6"));
	rig.dp->ops->destroy(rig.dp);
	rig.dp = NULL;
	fake_vhost_clear(&rig.fake);
	rig.fake.has_backend_features = false;
	use(1, 0);
	cr_assert_not(fake_vhost_saw(&rig.fake, "SET_BACKEND_FEATURES"));
}

Test(vhost_net, has_a_node_for_each_pair)
{
	rig.start.n_queues = 4;
	vhost_rig_lay_out(&rig, FAKE_SPLIT);
	use(2, 0);
	rig.queue[2].enabled = false;	/* the driver uses one pair and a half */
	vhost_rig_start(&rig);
	cr_assert_eq(rig.fake.n_open, 2);
	cr_assert_eq(rig.fake.ring[0][0].backend, tap[0]);
	cr_assert_eq(rig.fake.ring[0][1].backend, tap[0]);
	cr_assert_eq(rig.fake.ring[1][0].backend, FD_NONE);
	cr_assert_eq(rig.fake.ring[1][1].backend, tap[1]);
	cr_assert_eq(rig.fake.ring[1][1].kick, rig.kick[3]);
	vhost_rig_stop(&rig);
	for (unsigned i = 0; i < 4; i++) {
		cr_assert_eq(rig.fake.ring[i / 2][i % 2].backend, FD_NONE);
		cr_assert_eq(rig.fake.ring[i / 2][i % 2].kick, FD_NONE);
		cr_assert_eq(rig.fake.ring[i / 2][i % 2].call, FD_NONE);
		cr_assert_eq(rig.fake.ring[i / 2][i % 2].err, FD_NONE);
	}
}

Test(vhost_net, a_ring_begins_where_another_datapath_stopped)
{
	struct virtqueue_position at;

	use(1, 0);
	rig.queue[0].resume = true;
	rig.queue[0].position = (struct virtqueue_position){ 77, 77 };
	fake_vhost_clear(&rig.fake);
	vhost_rig_start(&rig);
	cr_assert(fake_vhost_saw(&rig.fake, "SET_VRING_BASE 0: 0x4d"));
	cr_assert(fake_vhost_saw(&rig.fake, "SET_VRING_BASE 1: 0"));
	cr_assert_not(rig.dp->ops->position(rig.dp, 0, &at), "not while it runs");
	rig.fake.ring[0][0].base = 0xfffe;
	set_used_idx(0, 0xfffe);
	vhost_rig_stop(&rig);
	cr_assert(rig.dp->ops->position(rig.dp, 0, &at));
	cr_assert_eq(at.avail, 0xfffe);
	cr_assert_eq(at.used, 0xfffe);
}

/* Linux' vhost-net forgets a batch that it could not send: taken, never used. */
Test(vhost_net, a_ring_of_which_buffers_were_lost_has_no_position)
{
	struct virtqueue_position at;

	use(1, 0);
	vhost_rig_start(&rig);
	rig.fake.ring[0][0].base = 7;
	set_used_idx(0, 7);
	rig.fake.ring[0][1].base = 7;
	set_used_idx(1, 5);
	vhost_rig_stop(&rig);
	cr_assert(rig.dp->ops->position(rig.dp, 0, &at));
	cr_assert_not(rig.dp->ops->position(rig.dp, 1, &at));
}

/* Packed: slots with their wrap counters, the available one below. */
Test(vhost_net, a_packed_ring_has_two_positions)
{
	struct virtqueue_position at;

	features_add(&rig.fake.features, VIRTIO_F_RING_PACKED);
	use(1, 0);
	vhost_rig_lay_out(&rig, FAKE_PACKED);
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED);
	rig.queue[1].resume = true;
	rig.queue[1].position = (struct virtqueue_position){ 0x8003, 0x000f };
	vhost_rig_start(&rig);
	cr_assert(fake_vhost_saw(&rig.fake, "SET_VRING_BASE 0: 0x80008000"));
	cr_assert(fake_vhost_saw(&rig.fake, "SET_VRING_BASE 1: 0xf8003"));
	rig.fake.ring[0][1].base = 0x80018005;
	vhost_rig_stop(&rig);
	cr_assert(rig.dp->ops->position(rig.dp, 1, &at));
	cr_assert_eq(at.avail, 0x8005);
	cr_assert_eq(at.used, 0x8001);
}

Test(vhost_net, hands_over_addresses_of_this_process)
{
	const struct guest_memory *memory = &rig.machine->m.memory;

	use(1, 0);
	vhost_rig_start(&rig);
	const struct vhost_ring_addr *a = &rig.fake.ring[0][0].addr;

	cr_assert_eq(a->desc, (uintptr_t)guest_memory_at(memory, rig.ring[0].desc, 1));
	cr_assert_eq(a->avail, (uintptr_t)guest_memory_at(memory, rig.ring[0].driver, 1));
	cr_assert_eq(a->used, (uintptr_t)guest_memory_at(memory, rig.ring[0].device, 1));
	cr_assert_eq(a->used_gpa, rig.ring[0].device);
	cr_assert_not(a->log);
}

Test(vhost_net, areas_that_are_not_in_memory_are_the_drivers_mistake)
{
	static const uint64_t nowhere = FAKE_LOW_RAM_SIZE - 16;
	uint64_t *const area[] = { &rig.queue[1].desc, &rig.queue[1].driver, &rig.queue[1].device };

	use(1, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(area); i++) {
		uint64_t was = *area[i];
		*area[i] = nowhere;
		cr_assert_eq(rig.dp->ops->start(rig.dp, &rig.start), -EINVAL);
		*area[i] = was + 1;
		cr_assert_eq(rig.dp->ops->start(rig.dp, &rig.start), -EINVAL);
		*area[i] = was;
	}
	cr_assert_eq(rig.fake.ring[0][0].kick, FD_NONE);
	error_clear();
	vhost_rig_start(&rig);
}

/* Each step of the ladder fails once: what was done is undone, and the next start works. */
Test(vhost_net, nothing_is_left_of_a_start_that_fails)
{
	use(1, 50);
	for (unsigned n = 1;; n++) {
		fake_vhost_clear(&rig.fake);
		rig.fake.fail_at = n;
		int r = rig.dp->ops->start(rig.dp, &rig.start);

		rig.fake.fail_at = 0;
		if (r == 0) {
			cr_assert_eq(n, 1 + 18, "a start is 18 requests, not %u", n - 1);
			break;
		}
		cr_assert_eq(r, -EIO);
		cr_assert_eq(error_errno(), EIO);
		error_clear();
		for (unsigned i = 0; i < 2; i++) {
			const struct fake_vhost_ring *ring = &rig.fake.ring[0][i];
			cr_assert_eq(ring->backend, FD_NONE, "request %u", n);
			cr_assert_eq(ring->kick, FD_NONE, "request %u", n);
			cr_assert_eq(ring->call, FD_NONE, "request %u", n);
			cr_assert_eq(ring->err, FD_NONE, "request %u", n);
		}
		cr_assert_eq(n_prepared, n_released);
		vhost_rig_start(&rig);
		vhost_rig_stop(&rig);
		cr_assert_eq(n_prepared, n_released);
	}
}

Test(vhost_net, a_tap_that_cannot_is_no_start)
{
	use(1, 0);
	fake_vhost_clear(&rig.fake);
	prepare_fails = -EBUSY;
	cr_assert_eq(rig.dp->ops->start(rig.dp, &rig.start), -EBUSY);
	fake_vhost_expect(&rig.fake, "");
}

/* Each request of making it fails once: no node stays open. */
Test(vhost_net, nothing_is_left_of_nodes_that_fail)
{
	struct datapath *dp;

	/* GET_BACKEND_FEATURES may: an old kernel does not know it. */
	static const bool may_fail[] = { false, false, true, false };

	for (unsigned n = 1; n <= 8; n++) {
		rig.fake.n_requests = 0;
		rig.fake.n_opened = 0;
		rig.fake.n_lines = 0;
		rig.fake.fail_at = n;
		int r = make(&dp, 2, 0);

		rig.fake.fail_at = 0;
		if (may_fail[(n - 1) % 4]) {
			cr_assert_eq(r, 0);
			dp->ops->destroy(dp);
		} else {
			cr_assert_eq(r, -EIO, "request %u", n);
		}
		cr_assert_eq(rig.fake.n_open, 0);
	}
	rig.fake.open_fails = -ENOENT;
	cr_assert_eq(make(&dp, 2, 0), -ENOENT);
}

/* A node that cannot be stopped is closed, because nothing else keeps it out of memory. */
Test(vhost_net, a_node_that_does_not_let_go_is_closed)
{
	struct virtqueue_position at;

	use(1, 0);
	vhost_rig_start(&rig);
	fake_vhost_clear(&rig.fake);
	rig.fake.fail_at = 1;
	vhost_rig_stop(&rig);
	fake_vhost_expect(&rig.fake, "NET_SET_BACKEND 0: none fails\nclose\n");
	cr_assert_eq(rig.fake.n_open, 0);
	cr_assert_not(rig.dp->ops->position(rig.dp, 0, &at));
	cr_assert_eq(rig.dp->ops->start(rig.dp, &rig.start), -EIO);
}

/* RING_RESET: one ring goes and comes while the other stays. */
Test(vhost_net, one_ring_is_taken_back_alone)
{
	use(1, 0);
	vhost_rig_start(&rig);
	fake_vhost_clear(&rig.fake);
	rig.dp->ops->prepare_stop(rig.dp, 1);
	cr_assert(rig.dp->ops->can_stop(rig.dp, 1));
	rig.dp->ops->stop_queue(rig.dp, 1);
	fake_vhost_expect(&rig.fake, "NET_SET_BACKEND 1: none\n"
				     "GET_VRING_BASE 1\n"
				     "SET_VRING_KICK 1: none\n"
				     "SET_VRING_CALL 1: none\n"
				     "SET_VRING_ERR 1: none\n");
	rig.dp->ops->stop_queue(rig.dp, 1);
	fake_vhost_expect(&rig.fake, "");
	cr_assert_eq(rig.dp->ops->start_queue(rig.dp, &rig.start, 1), 0);
	fake_vhost_expect(&rig.fake, "SET_VRING_NUM 1: 16\n"
				     "SET_VRING_BASE 1: 0\n"
				     "SET_VRING_ADDR 1\n"
				     "SET_VRING_ERR 1: fd\n"
				     "SET_VRING_CALL 1: fd\n"
				     "SET_VRING_KICK 1: fd\n"
				     "NET_SET_BACKEND 1: fd\n");
}

Test(vhost_net, polls_as_long_as_it_is_told)
{
	use(1, 50);
	vhost_rig_start(&rig);
	cr_assert(fake_vhost_saw(&rig.fake, "SET_VRING_BUSYLOOP_TIMEOUT 0: 50"));
	cr_assert(fake_vhost_saw(&rig.fake, "SET_VRING_BUSYLOOP_TIMEOUT 1: 50"));
	vhost_rig_stop(&rig);
	rig.fake.cannot_poll = true;
	vhost_rig_start(&rig);
}

Test(vhost_net, a_call_goes_straight_to_its_listener)
{
	use(1, 0);
	vhost_rig_start(&rig);
	cr_assert_eq(rig.fake.ring[0][0].call, rig.call[0]);
	cr_assert_eq(rig.fake.ring[0][1].call, rig.call[1]);
}

/* Over virtio-mmio a call sets a status bit first, which the kernel cannot. */
Test(vhost_net, a_call_with_a_status_bit_is_relayed)
{
	_Atomic uint32_t isr = 0;

	use(1, 0);
	rig.queue[0].call.isr = &isr;
	rig.queue[0].call.isr_bits = 1;
	vhost_rig_start(&rig);
	cr_assert_neq(rig.fake.ring[0][0].call, rig.call[0]);
	fd_signal(rig.fake.ring[0][0].call);
	loop_pump(rig.loop);
	cr_assert_eq(isr, 1);
	cr_assert(fd_drain(rig.call[0]));
	/* One that came just before the end is not lost. */
	isr = 0;
	fd_signal(rig.fake.ring[0][0].call);
	vhost_rig_stop(&rig);
	cr_assert_eq(isr, 1);
	cr_assert(fd_drain(rig.call[0]));
}

Test(vhost_net, an_error_of_the_kernel_is_reported_once)
{
	use(1, 0);
	vhost_rig_start(&rig);
	for (unsigned i = 0; i < 3; i++) {
		fd_signal(rig.fake.ring[0][1].err);
		loop_pump(rig.loop);
	}
	cr_assert_eq(rig.n_fails, 1);
	cr_assert_eq(rig.fail_queue, 1);
	cr_assert_str_eq(rig.fail_reason, "vhost finds the ring broken");
	vhost_rig_stop(&rig);
	/* It is of the past at the next start. */
	vhost_rig_start(&rig);
	loop_pump(rig.loop);
	cr_assert_eq(rig.n_fails, 1);
}

/* The dirty bitmap: used rings first, then all, and the same way back. */
Test(vhost_net, keeps_a_dirty_bitmap_while_it_is_wanted)
{
	struct vhost *v;
	uint64_t *bitmap, n;

	use(1, 0);
	v = vhost_datapath_node(rig.dp, 0);
	cr_assert_eq(vhost_log_start(v, FD_NONE, &bitmap, &n), -EINVAL);
	error_clear();
	vhost_rig_start(&rig);
	fake_vhost_clear(&rig.fake);
	cr_assert_eq(vhost_log_start(v, FD_NONE, &bitmap, &n), 0, "%s", error_text());
	cr_assert_eq(n, (FAKE_HIGH_RAM_BASE + FAKE_HIGH_RAM_SIZE) / 4096 / 64);
	cr_assert_eq(rig.fake.log, bitmap);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(bitmap[i], 0);
	cr_assert_eq(vhost_log_start(v, FD_NONE, &bitmap, &n), -EBUSY);
	vhost_log_stop(v);
	fake_vhost_expect(&rig.fake, "SET_LOG_BASE\n"
				     "SET_LOG_FD none\n"
				     "SET_VRING_ADDR 0 log\n"
				     "SET_VRING_ADDR 1 log\n"
				     "SET_FEATURES 26 32\n"
				     "SET_FEATURES 32\n"
				     "SET_VRING_ADDR 0\n"
				     "SET_VRING_ADDR 1\n"
				     "SET_LOG_FD none\n");
}

Test(vhost_net, a_dirty_bitmap_outlives_the_stop_and_not_the_next_start)
{
	uint64_t *bitmap, n;

	use(1, 0);
	vhost_rig_start(&rig);
	cr_assert_eq(vhost_log_start(vhost_datapath_node(rig.dp, 0), FD_NONE, &bitmap, &n), 0);
	bitmap[0] = 1;
	vhost_rig_stop(&rig);
	cr_assert_eq(bitmap[0], 1);
	fake_vhost_clear(&rig.fake);
	vhost_rig_start(&rig);
	cr_assert(fake_vhost_saw(&rig.fake, "SET_FEATURES 32"));
	cr_assert_not(fake_vhost_saw(&rig.fake, "log"));
}

Test(vhost_net, without_a_dirty_bitmap_it_goes_on)
{
	uint64_t *bitmap, n;

	use(1, 0);
	vhost_rig_start(&rig);
	for (unsigned i = 1; i <= 5; i++) {
		fake_vhost_clear(&rig.fake);
		rig.fake.fail_at = i;
		cr_assert_eq(vhost_log_start(vhost_datapath_node(rig.dp, 0), FD_NONE, &bitmap, &n),
			     -EIO);
		rig.fake.fail_at = 0;
		cr_assert_not(features_has(&rig.fake.told, VHOST_F_LOG_ALL));
		cr_assert_not(rig.fake.ring[0][0].addr.log);
	}
	cr_assert_eq(rig.fake.ring[0][0].backend, tap[0]);
}
