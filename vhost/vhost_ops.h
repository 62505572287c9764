/*
 * What can be asked of a vhost node: one verb per request of the kernel's interface, so that a test
 * can stand in for the kernel and write down what it is asked (tests/support/fake_vhost.h).  The
 * kernel's side is vhost_kernel.c; who asks, and in which order, is vhost.c.
 *
 * All verbs return 0 or -errno, without an error chain: the caller knows what it wanted.  Control
 * path, machine lock held, unless one says otherwise.
 */
#ifndef VHOST_VHOST_OPS_H
#define VHOST_VHOST_OPS_H

#include "virtio/features.h"
#include "vmm/base/util.h"

struct vhost_node;

/* What a node may reach: guest physical addresses, and where they are in this process. */
enum { VHOST_MAX_REGIONS = 8 };

struct vhost_region {
	uint64_t gpa, size, host;
	/* The same for another process; FD_NONE: it cannot have it. */
	int fd;
	uint64_t fd_offset;
};

struct vhost_memory_table {
	struct vhost_region region[VHOST_MAX_REGIONS];
	unsigned n;
};

/* The three areas of a ring: addresses of this process, or of the IOMMU's where it is used. */
struct vhost_ring_addr {
	uint64_t desc, avail, used;
	bool log;			/* note writes to the used ring in the dirty bitmap, too */
	uint64_t used_gpa;		/* then: where that is for the guest */
};

/* virtio-iommu's answer to a miss, an unmap, or a miss itself: enum values are the kernel's. */
enum vhost_iotlb_type {
	VHOST_IOTLB_IS_MISS = 1,
	VHOST_IOTLB_IS_UPDATE = 2,
	VHOST_IOTLB_IS_INVALIDATE = 3,
	VHOST_IOTLB_IS_ACCESS_FAIL = 4,
	VHOST_IOTLB_IS_BATCH_BEGIN = 5,
	VHOST_IOTLB_IS_BATCH_END = 6,
};

enum { VHOST_IOTLB_MAY_READ = 1, VHOST_IOTLB_MAY_WRITE = 2 };

struct vhost_iotlb_message {
	enum vhost_iotlb_type type;
	uint64_t iova, size, host;
	unsigned may;			/* VHOST_IOTLB_MAY_... */
};

/* VHOST_SET_BACKEND_FEATURES: those that we know. */
enum { VHOST_BACKEND_IOTLB_MSG_V2 = 1, VHOST_BACKEND_IOTLB_BATCH = 2, VHOST_BACKEND_ASID = 3 };

struct vhost_ops {
	/*
	 * What it offers, more than 64 bits where the kernel can say so (N19) / what it shall do.
	 */
	int (*get_features)(struct vhost_node *node, struct features *out);
	int (*set_features)(struct vhost_node *node, const struct features *f);
	int (*get_backend_features)(struct vhost_node *node, uint64_t *out);
	int (*set_backend_features)(struct vhost_node *node, uint64_t f);
	int (*set_owner)(struct vhost_node *node);
	int (*set_memory)(struct vhost_node *node, const struct vhost_memory_table *table);

	/* 'base' is encoded as vhost_ring.h says. */
	int (*set_ring_size)(struct vhost_node *node, unsigned ring, unsigned size);
	int (*set_ring_base)(struct vhost_node *node, unsigned ring, uint32_t base);
	int (*get_ring_base)(struct vhost_node *node, unsigned ring, uint32_t *base);
	int (*set_ring_addr)(struct vhost_node *node, unsigned ring,
			     const struct vhost_ring_addr *addr);
	/* Eventfds, borrowed; FD_NONE: none. */
	int (*set_ring_kick)(struct vhost_node *node, unsigned ring, int fd);
	int (*set_ring_call)(struct vhost_node *node, unsigned ring, int fd);
	int (*set_ring_err)(struct vhost_node *node, unsigned ring, int fd);
	int (*set_ring_poll)(struct vhost_node *node, unsigned ring, unsigned us);
	/* The kernel's number of the worker that serves the ring. */
	int (*get_ring_worker)(struct vhost_node *node, unsigned ring, unsigned *worker);

	/* The dirty bitmap: a bit per 4096 bytes, in memory of this process; an eventfd for it. */
	int (*set_log_base)(struct vhost_node *node, const void *bitmap);
	int (*set_log_fd)(struct vhost_node *node, int fd);

	/* The IOMMU's translations.  Any thread.  -EAGAIN from read: there is nothing. */
	int (*write_iotlb)(struct vhost_node *node, const struct vhost_iotlb_message *m);
	int (*read_iotlb)(struct vhost_node *node, struct vhost_iotlb_message *m);

	/* vhost-net: the tap of a ring, FD_NONE takes it away. */
	int (*net_set_backend)(struct vhost_node *node, unsigned ring, int fd);
	/* vhost-vsock */
	int (*vsock_set_cid)(struct vhost_node *node, uint64_t cid);
	int (*vsock_set_running)(struct vhost_node *node, bool running);
	/* vhost-scsi */
	int (*scsi_get_abi)(struct vhost_node *node, int *abi);
	int (*scsi_set_endpoint)(struct vhost_node *node, const char *wwpn, uint16_t tpgt);
	int (*scsi_clear_endpoint)(struct vhost_node *node, const char *wwpn, uint16_t tpgt);
	int (*scsi_set_events_missed)(struct vhost_node *node, uint32_t missed);

	/* It forgets everything, and touches nothing any more. */
	void (*close)(struct vhost_node *node);
};

struct vhost_node {
	const struct vhost_ops *ops;
	int fd;				/* to be polled for IOTLB misses; FD_NONE for a fake */
};

#endif
