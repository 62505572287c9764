/*
 * The ladder where it is left half way: rings that come, go and are about to go one by one, and a
 * kernel that does not let go.  For both ways to connect rings: each on its own (net), and all that
 * are there at once (SCSI).
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "tests/support/vhost_rig.h"
#include "vhost/vhost_datapath.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static struct vhost_rig rig;

static int attach(struct vhost *v, unsigned ring)
{
	int r = v->node->ops->net_set_backend(v->node, ring, 0);

	return r < 0 ? error_set(r, "attach ring %u", ring) : 0;
}

static int detach(struct vhost *v, unsigned ring)
{
	return v->node->ops->net_set_backend(v->node, ring, FD_NONE);
}

static int run(struct vhost *v)
{
	int r = v->node->ops->scsi_set_endpoint(v->node, "naa", 1);

	return r < 0 ? error_set(r, "run") : 0;
}

static int halt(struct vhost *v)
{
	return v->node->ops->scsi_clear_endpoint(v->node, "naa", 1);
}

static const struct vhost_type each = {
	.kind = VHOST_KIND_NET, .attach = attach, .detach = detach,
};
static const struct vhost_type at_once = {
	.kind = VHOST_KIND_SCSI, .run = run, .halt = halt, .runs_in_part = true,
};

static struct vhost *use(const struct vhost_type *type)
{
	struct vhost_config config = {
		.name = "vhost-test", .type = type, .n_rings = 2, .loop = rig.loop,
	};
	struct datapath *dp;
	struct vhost *v;

	cr_assert_eq(fake_vhost_open(&config.node, "vhost-test"), 0);
	cr_assert_eq(vhost_create(&v, &config), 0, "%s", error_text());
	cr_assert_eq(vhost_datapath_create(&dp, &(struct vhost_datapath_config){
		.name = "vhost-test", .node = &v, .n_nodes = 1,
	}), 0);
	vhost_rig_use(&rig, dp);
	fake_vhost_clear(&rig.fake);
	return v;
}

static void setup(void)
{
	vhost_rig_init(&rig, fake_vhost_net_features(), 2);
}

static void teardown(void)
{
	vhost_rig_fini(&rig);
	cr_assert_eq(rig.fake.n_open, 0);
}

TestSuite(vhost_ladder, .init = setup, .fini = teardown);

/* A driver may set DRIVER_OK without a queue, and RING_RESET brings them later. */
Test(vhost_ladder, without_a_ring_nothing_runs)
{
	static const struct vhost_type *const type[] = { &each, &at_once };

	for (unsigned i = 0; i < ARRAY_SIZE(type); i++) {
		rig.fake.n_opened = 0;
		use(type[i]);
		rig.queue[0].enabled = rig.queue[1].enabled = false;
		vhost_rig_start(&rig);
		fake_vhost_expect(&rig.fake, "SET_FEATURES 32\n"
					     "SET_MEM_TABLE 2\n");
		rig.queue[1].enabled = true;
		cr_assert_eq(rig.dp->ops->start_queue(rig.dp, &rig.start, 1), 0);
		cr_assert(fake_vhost_saw(&rig.fake, i == 0 ? "NET_SET_BACKEND 1: fd" :
							     "SCSI_SET_ENDPOINT"));
		cr_assert(fd_drain(rig.kick[1]));
		vhost_rig_stop(&rig);
		cr_assert_eq(rig.fake.ring[0][1].kick, FD_NONE);
		rig.dp->ops->destroy(rig.dp);
		rig.dp = NULL;
	}
}

/* N6: the reset waits for others; a link that comes back meanwhile does not begin anew. */
Test(vhost_ladder, a_ring_that_ends_does_not_run_again)
{
	use(&each);
	vhost_rig_start(&rig);
	fake_vhost_clear(&rig.fake);
	rig.dp->ops->prepare_stop(rig.dp, 0);
	cr_assert_eq(vhost_datapath_pause(rig.dp, true), 0);
	cr_assert_eq(vhost_datapath_pause(rig.dp, false), 0);
	fake_vhost_expect(&rig.fake, "NET_SET_BACKEND 0: none\n"
				     "NET_SET_BACKEND 1: none\n"
				     "NET_SET_BACKEND 1: fd\n");
	rig.dp->ops->stop_queue(rig.dp, 0);
	cr_assert_eq(rig.dp->ops->start_queue(rig.dp, &rig.start, 0), 0);
	cr_assert_eq(rig.fake.ring[0][0].backend, 0, "the next session of it");
}

Test(vhost_ladder, nothing_runs_when_all_rings_end)
{
	use(&at_once);
	vhost_rig_start(&rig);
	rig.dp->ops->prepare_stop(rig.dp, 0);
	rig.dp->ops->prepare_stop(rig.dp, 1);
	fake_vhost_clear(&rig.fake);
	cr_assert_eq(vhost_datapath_pause(rig.dp, false), 0);
	fake_vhost_expect(&rig.fake, "");
}

/* The kernel runs all that it knows of: others wait until this one is gone. */
Test(vhost_ladder, none_runs_while_one_of_them_ends)
{
	use(&at_once);
	vhost_rig_start(&rig);
	rig.dp->ops->prepare_stop(rig.dp, 0);
	fake_vhost_clear(&rig.fake);
	cr_assert_eq(vhost_datapath_pause(rig.dp, false), 0);
	fake_vhost_expect(&rig.fake, "");
	rig.dp->ops->stop_queue(rig.dp, 0);
	cr_assert(fake_vhost_saw(&rig.fake, "SCSI_SET_ENDPOINT"));
}

/* The node was halted, and took no notice of it. */
Test(vhost_ladder, a_kick_that_came_while_another_ring_ended_is_made_up_for)
{
	use(&at_once);
	vhost_rig_start(&rig);
	rig.dp->ops->prepare_stop(rig.dp, 0);
	fd_drain(rig.kick[1]);
	rig.dp->ops->stop_queue(rig.dp, 0);
	cr_assert(fake_vhost_saw(&rig.fake, "SCSI_SET_ENDPOINT"));
	cr_assert(fd_drain(rig.kick[1]));
}

/* The node is closed then, with all its rings: somebody must hear of the others. */
Test(vhost_ladder, a_ring_that_is_not_let_go_takes_the_others_along)
{
	use(&each);
	vhost_rig_start(&rig);
	fake_vhost_clear(&rig.fake);
	rig.fake.fail_at = 1;
	rig.dp->ops->stop_queue(rig.dp, 1);
	fake_vhost_expect(&rig.fake, "NET_SET_BACKEND 1: none fails\nclose\n");
	cr_assert_eq(rig.n_fails, 1);
	vhost_rig_stop(&rig);
	cr_assert_eq(rig.n_fails, 1);
}

Test(vhost_ladder, a_link_that_is_not_let_go_is_told)
{
	use(&each);
	vhost_rig_start(&rig);
	fake_vhost_clear(&rig.fake);
	rig.fake.fail_at = 1;
	cr_assert_eq(vhost_datapath_pause(rig.dp, true), -EIO);
	cr_assert_eq(vhost_datapath_pause(rig.dp, false), -EIO);
	vhost_rig_stop(&rig);
}

/* A ring that joins the others has them halted, which may fail. */
Test(vhost_ladder, a_ring_cannot_join_those_that_are_not_let_go)
{
	use(&at_once);
	rig.queue[1].enabled = false;
	vhost_rig_start(&rig);
	rig.queue[1].enabled = true;
	fake_vhost_clear(&rig.fake);
	rig.fake.fail_at = 1;
	cr_assert_eq(rig.dp->ops->start_queue(rig.dp, &rig.start, 1), -EIO);
	fake_vhost_expect(&rig.fake, "SCSI_CLEAR_ENDPOINT naa 1 fails\nclose\n");
	vhost_rig_stop(&rig);
}

/* Each request of a ring that joins fails once: the device can still be stopped and started. */
Test(vhost_ladder, nothing_is_left_of_a_ring_that_fails_to_join)
{
	use(&each);
	for (unsigned n = 1;; n++) {
		rig.queue[1].enabled = false;
		vhost_rig_start(&rig);
		rig.queue[1].enabled = true;
		fake_vhost_clear(&rig.fake);
		rig.fake.fail_at = n;
		int r = rig.dp->ops->start_queue(rig.dp, &rig.start, 1);

		rig.fake.fail_at = 0;
		if (r == 0)
			break;
		cr_assert_eq(r, -EIO, "request %u", n);
		cr_assert_eq(rig.fake.ring[0][1].kick, FD_NONE, "request %u", n);
		cr_assert_eq(rig.fake.ring[0][1].backend, FD_NONE, "request %u", n);
		cr_assert_eq(rig.fake.ring[0][0].backend, 0, "the other goes on");
		error_clear();
		vhost_rig_stop(&rig);
		fake_vhost_clear(&rig.fake);
	}
}

/* The buffers of vhost-scsi's events are at an address for which no bitmap has a bit. */
Test(vhost_ladder, scsi_keeps_no_dirty_bitmap)
{
	uint64_t *bitmap, n;
	struct vhost *v = use(&at_once);

	vhost_rig_start(&rig);
	fake_vhost_clear(&rig.fake);
	cr_assert_eq(vhost_log_start(v, FD_NONE, &bitmap, &n), -ENOTSUP);
	fake_vhost_expect(&rig.fake, "");
}

/* The kernel keeps no descriptor of a dirty bitmap that is gone. */
Test(vhost_ladder, a_dirty_bitmap_of_a_stopped_node_is_taken_away)
{
	uint64_t *bitmap, n;
	struct vhost *v = use(&each);

	vhost_rig_start(&rig);
	cr_assert_eq(vhost_log_start(v, rig.kick[2], &bitmap, &n), 0);
	vhost_rig_stop(&rig);
	fake_vhost_clear(&rig.fake);
	vhost_log_stop(v);
	fake_vhost_expect(&rig.fake, "SET_LOG_FD none\n");
}
