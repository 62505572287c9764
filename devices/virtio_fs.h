/*
 * The file system device: a folder of the host that the guest mounts by its tag.  Who serves the
 * requests is always another process, a virtiofsd, by vhost-user; here are identity and
 * configuration.  Nothing of FUSE is known in this process.
 *
 * virtio-v1.4 5.11 "File System Device"
 */
#ifndef DEVICES_VIRTIO_FS_H
#define DEVICES_VIRTIO_FS_H

#include "vhost/vhost_user.h"
#include "virtio/virtio_device.h"

enum {
	VIRTIO_FS_TAG_MAX = 36,		/* bytes */
	VIRTIO_FS_MAX_REQUEST_QUEUES = 32,
	/* Without NOTIFICATION there is no notification queue: requests begin at queue 1. */
	VIRTIO_FS_HIPRIO_QUEUE = 0,
	VIRTIO_FS_FIRST_REQUEST_QUEUE = 1,
};

struct virtio_fs_config {
	const char *name;
	const char *tag;		/* 1 to VIRTIO_FS_TAG_MAX bytes of UTF-8 */
	unsigned n_queues;		/* of requests, 1 to VIRTIO_FS_MAX_REQUEST_QUEUES */
	int fd;		/* connected to it (consumed, also on failure), or FD_NONE: */
	const char *socket;		/* where it listens */
	/*
	 * Say what a virtiofsd usually offers, and reach none: it serves one connection in its
	 * life.
	 */
	bool only_look;
	struct event_loop *loop;	/* I/O loop; keeps */
	struct event_loop *main;	/* keeps */
	/* Optional, for 'fd': the virtiofsd is gone.  Main loop, machine lock held. */
	void (*lost)(void *arg);
	void *arg;
	/* Stand-in of a test for vhost_user_create, or NULL. */
	int (*connect)(struct datapath **out, const struct vhost_user_config *config);
};

/*
 * Returns 0; -EINVAL: a tag or a number of queues that cannot be; what vhost_user_create() says;
 * with an error chain.
 */
MUST_USE int virtio_fs_create(struct virtio_device **out, const struct virtio_fs_config *config);

/*
 * After 'lost': another virtiofsd is connected to 'fd' (consumed, also on failure).  It knows
 * nothing of the guest's session: it refuses what the guest asks until that mounts again.  Machine
 * lock held.  Returns 0 or -errno with an error chain.
 */
MUST_USE int virtio_fs_renew(struct virtio_device *dev, int fd);

#endif
