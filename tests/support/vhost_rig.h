/*
 * A vhost datapath on a fake machine, started the way a virtio device starts one, with a fake vhost
 * (or the kernel's) below and a driver's rings above.  The I/O loop is the test's to pump.
 */
#ifndef TESTS_VHOST_RIG_H
#define TESTS_VHOST_RIG_H

#include "tests/support/fake_ring.h"
#include "tests/support/fake_vhost.h"
#include "virtio/datapath.h"

enum { VHOST_RIG_QUEUES = 4, VHOST_RIG_QUEUE_SIZE = 16, VHOST_RIG_RINGS_AT = 0x10000 };

struct vhost_rig {
	struct fake_machine *machine;
	struct event_loop *loop;
	struct fake_vhost fake;
	struct datapath *dp;
	struct fake_ring ring[VHOST_RIG_QUEUES];
	struct datapath_queue queue[VHOST_RIG_QUEUES];
	struct datapath_start start;	/* of n queues, all enabled; the test may change it */
	int kick[VHOST_RIG_QUEUES], call[VHOST_RIG_QUEUES];
	unsigned n_fails, fail_queue;
	const char *fail_reason;
};

/* A fake that says 'features', and n fresh rings with the split layout; 'dp' is the test's to make. */
void vhost_rig_init(struct vhost_rig *rig, struct features features, unsigned n_queues);
/* Lay the rings out anew. */
void vhost_rig_lay_out(struct vhost_rig *rig, enum fake_layout layout);
/* Take 'dp' (consumed): its failures are counted. */
void vhost_rig_use(struct vhost_rig *rig, struct datapath *dp);
/* Start and stop; start must work. */
void vhost_rig_start(struct vhost_rig *rig);
void vhost_rig_stop(struct vhost_rig *rig);
/* Destroys 'dp', too. */
void vhost_rig_fini(struct vhost_rig *rig);

struct features features_of(const unsigned *bit, unsigned n);
/* FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX) */
#define FEATURES(...) features_of((const unsigned[]){ __VA_ARGS__ }, \
				  sizeof((const unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned))

#endif
