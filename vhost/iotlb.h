/*
 * The translations that a vhost node keeps of a device behind our IOMMU (N16).  The kernel asks for
 * what it does not know (a miss, read from the node on the I/O loop); the answer is the whole
 * mapping around the address.  What the guest takes away is invalidated before its request is
 * answered.  A ring's areas are told before it runs, so that it begins without a miss.
 *
 * A miss that no mapping answers is a fault of the device: it is reported to the IOMMU, and the
 * device needs a reset, as it does when its rings are ours.
 */
#ifndef VHOST_IOTLB_H
#define VHOST_IOTLB_H

#include <pthread.h>

#include "vhost/vhost_ops.h"
#include "vmm/base/event_loop.h"
#include "vmm/machine/iommu.h"

struct vhost_iotlb {
	struct vhost_node *node;	/* borrowed, while started */
	const struct dma *dma;		/* likewise */
	bool batches;			/* VHOST_BACKEND_IOTLB_BATCH */
	struct event_loop *loop;
	struct event_source misses;
	struct iommu_listener listener;
	/* Between a look at the mappings and the word of it no invalidation may come. */
	pthread_mutex_t lock;
	/* Any thread; 'reason' is a constant. */
	void (*fail)(void *arg, const char *reason);
	void *fail_arg;
};

/* Set up for life / the end of it. */
void vhost_iotlb_init(struct vhost_iotlb *t, struct event_loop *loop,
		      void (*fail)(void *arg, const char *reason), void *arg);
void vhost_iotlb_fini(struct vhost_iotlb *t);

/*
 * The node, which was told ACCESS_PLATFORM, goes by 'dma' from now on / does not any more (fine
 * when it did not).  Returns 0 or -errno with an error chain.  Control path.
 */
MUST_USE int vhost_iotlb_start(struct vhost_iotlb *t, struct vhost_node *node, bool batches,
			       const struct dma *dma);
void vhost_iotlb_stop(struct vhost_iotlb *t);

/*
 * Tell the node where [addr, addr + len) is, which is mapped (held).  Returns 0 or -errno with an
 * error chain.
 */
MUST_USE int vhost_iotlb_tell(struct vhost_iotlb *t, uint64_t addr, uint64_t len);

/* Answer the misses that are there.  What the I/O loop does; for tests without a descriptor. */
void vhost_iotlb_serve(struct vhost_iotlb *t);

#endif
