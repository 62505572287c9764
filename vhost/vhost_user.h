/*
 * A datapath that another process runs: a vhost-user back end behind a Unix socket.  It is told the
 * same, in the same order, as kernel vhost (vhost.h); what is said on the socket is
 * vhost_user_node.h.
 *
 * It can be a model's only datapath, and mostly is: what a request means only the back end knows.
 * Such a model has no struct local_ops for these queues:
 *
 *   create    vhost_user_create(); vhost_user_offered() says which bits of the device's own type
 *             the back end has (ring bits are the datapath's business, as ever); the configuration
 *             bytes are the model's own, or those of vhost_user_read_config().
 *             virtio_device_init(), then virtio_device_add_part(dev, datapath, 0, n_queues).
 *   run       nothing: start, stop and the end are those of any datapath.
 *   destroy   virtio_device_fini() destroys the datapath; before there is a device the model calls
 *             datapath->ops->destroy().
 *
 * A back end may hang, lie, and go away: no call waits for it longer than 'patience_ms' in all.
 * When it goes away while the guest runs, the rings stand still.  With 'path' we connect again, at
 * growing distances, for as long as it takes, and go on where it stopped, the driver noticing a
 * pause only.  Who started the back end himself hears of it ('lost') and hands over a
 * new descriptor (vhost_user_renew).  What cannot be gone on with needs a reset of the device: a
 * back end that serves less than the driver has taken; one that keeps no account of what is in
 * flight, where that cannot be told from the rings; and any where 'forgets' is set.
 *
 * Guest memory is passed by descriptor, and so cannot be private; a device behind our IOMMU cannot
 * have such a datapath.
 *
 * Control path, machine lock held, unless it says otherwise.
 */
#ifndef VHOST_VHOST_USER_H
#define VHOST_VHOST_USER_H

#include "virtio/datapath.h"
#include "virtio/virtio_ids.h"
#include "vmm/base/event_loop.h"

struct virtio_device;

enum {
	VHOST_USER_MAX_RINGS = 64,
	VHOST_USER_CONFIG_MAX = 256,
	VHOST_USER_PATIENCE_MS = 1000,	/* a register write waits for all answers together */
	VHOST_USER_FIRST_MS = 5000,	/* before the VM runs: a back end may be just starting */
};

struct vhost_user_config {
	const char *name;		/* of the device, for messages: "root" */
	enum virtio_device_id id;	/* whose bits there are rows for in vhost_features.c */
	struct virtio_device *dev;	/* keeps; its machine has the lock */
	int fd;				/* connected (consumed, also on failure), or FD_NONE: */
	const char *path;		/* of a socket that the back end listens at; borrowed */
	unsigned n_rings;		/* 1 to VHOST_USER_MAX_RINGS; more than it has: -EINVAL */
	unsigned config_len;		/* of the configuration space; 0: not asked for */
	unsigned first_ms;		/* for the first answers; 0: VHOST_USER_FIRST_MS */
	unsigned patience_ms;		/* of a register write; 0: VHOST_USER_PATIENCE_MS */
	bool only_look;			/* at what it offers: never started */
	bool forgets;			/* a new back end knows nothing of what the driver did */
	struct event_loop *loop;	/* I/O loop; keeps */
	struct event_loop *main;	/* keeps */
	/*
	 * Optional: what the back end's configuration space now is.  Main loop, machine lock held.
	 */
	void (*config_changed)(void *arg, const uint8_t *config, unsigned len);
	/* Optional, for 'fd': the back end is gone.  Main loop, machine lock held. */
	void (*lost)(void *arg);
	void *arg;
};

/*
 * Connect, and ask what the back end offers.  Before the VM runs, main thread.
 *
 * Returns 0 and an owned datapath, or -errno with an error chain and a hint: -ENOENT,
 * -ECONNREFUSED, -EACCES of the socket; -ETIMEDOUT: no answer; -EPROTO: one that makes no sense;
 * -EOPNOTSUPP: it lacks what must be; -EINVAL: fewer rings than 'n_rings'.
 */
MUST_USE int vhost_user_create(struct datapath **out, const struct vhost_user_config *config);

/* Bits of the device's own type that the back end offers, and that we know (N18). */
struct features vhost_user_offered(const struct datapath *dp);
/* How many rings it has at most. */
unsigned vhost_user_rings(const struct datapath *dp);

/* The configuration space as it was told last: 'config_len' bytes, those that it has; else zero. */
void vhost_user_read_config(const struct datapath *dp, uint8_t *buf, unsigned len);
/*
 * The driver wrote to it.  Returns 0 or -errno with an error chain; while the back end is gone it
 * is told when it is back.
 */
MUST_USE int vhost_user_write_config(struct datapath *dp, unsigned offset, const uint8_t *buf,
				     unsigned len);

/*
 * For 'lost': here is another back end, connected (consumed, also on failure).  Returns 0 or -errno
 * with an error chain; what is found later is reported by the datapath's 'fail'.
 */
MUST_USE int vhost_user_renew(struct datapath *dp, int fd);

/* Is there a back end just now? */
bool vhost_user_is_connected(const struct datapath *dp);

#endif
