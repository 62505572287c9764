#include "tests/support/vhost_rig.h"

#include <criterion/criterion.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

struct features features_of(const unsigned *bit, unsigned n)
{
	struct features f = FEATURES_EMPTY;

	for (unsigned i = 0; i < n; i++)
		features_add(&f, bit[i]);
	return f;
}

void vhost_rig_lay_out(struct vhost_rig *rig, enum fake_layout layout)
{
	for (unsigned i = 0; i < rig->start.n_queues; i++) {
		struct fake_ring *ring = &rig->ring[i];
		fake_ring_init_as(ring, layout, rig->machine, VHOST_RIG_QUEUE_SIZE,
				  VHOST_RIG_RINGS_AT + i * 0x10000u);
		rig->queue[i] = (struct datapath_queue){
			.index = i,
			.enabled = true,
			.size = VHOST_RIG_QUEUE_SIZE,
			.desc = ring->desc,
			.driver = ring->driver,
			.device = ring->device,
			.kick_fd = rig->kick[i],
			.call = { .fd = rig->call[i] },
		};
	}
}

void vhost_rig_init(struct vhost_rig *rig, struct features features, unsigned n_queues)
{
	cr_assert_leq(n_queues, VHOST_RIG_QUEUES);
	*rig = (struct vhost_rig){ .machine = fake_machine_create() };
	cr_assert_eq(event_loop_create(&rig->loop, "io"), 0);
	fake_vhost_init(&rig->fake, features);
	for (unsigned i = 0; i < VHOST_RIG_QUEUES; i++) {
		cr_assert_eq(fd_create_event(&rig->kick[i]), 0);
		cr_assert_eq(fd_create_event(&rig->call[i]), 0);
	}
	rig->start = (struct datapath_start){
		.features = FEATURES(VIRTIO_F_VERSION_1),
		.dma = &rig->machine->m.dma,
		.queue = rig->queue,
		.n_queues = n_queues,
	};
	vhost_rig_lay_out(rig, FAKE_SPLIT);
}

static void failed(void *arg, unsigned queue, enum vq_fault fault, const char *reason)
{
	struct vhost_rig *rig = arg;

	cr_assert_eq(fault, VQ_FAULT_NONE);
	rig->n_fails++;
	rig->fail_queue = queue;
	rig->fail_reason = reason;
}

void vhost_rig_use(struct vhost_rig *rig, struct datapath *dp)
{
	rig->dp = dp;
	dp->fail = failed;
	dp->fail_arg = rig;
}

void vhost_rig_start(struct vhost_rig *rig)
{
	cr_assert_eq(rig->dp->ops->start(rig->dp, &rig->start), 0, "%s", error_text());
}

void vhost_rig_stop(struct vhost_rig *rig)
{
	rig->dp->ops->stop(rig->dp);
}

void vhost_rig_fini(struct vhost_rig *rig)
{
	if (rig->dp)
		rig->dp->ops->destroy(rig->dp);
	for (unsigned i = 0; i < VHOST_RIG_QUEUES; i++) {
		fd_close(&rig->kick[i]);
		fd_close(&rig->call[i]);
	}
	event_loop_destroy(rig->loop);
	fake_machine_destroy(rig->machine);
}
