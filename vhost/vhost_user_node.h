/*
 * A vhost node that is a connection to a vhost-user back end: struct vhost_ops as messages, and
 * what the kernel's vhost has no request for.
 *
 * All that waits for an answer waits until the node's deadline, which whoever asks several things
 * sets once.  An answer that is late, or wrong, or does not come is the end of the connection: the
 * node is broken then, and whatever is asked of it fails at once, with the same -errno.
 *
 * A ring is started by its kick descriptor and stopped by GET_VRING_BASE, which a back end answers
 * when nothing is in progress any more; that can take as long as a disk takes, so that it is begun
 * and looked at.  Meanwhile nothing else is asked.
 *
 * Control path, machine lock held.
 */
#ifndef VHOST_VHOST_USER_NODE_H
#define VHOST_VHOST_USER_NODE_H

#include "vhost/vhost_ops.h"
#include "vhost/vhost_user.h"
#include "vhost/vhost_user_message.h"

struct vhost_user_ring {
	bool started;			/* by its kick descriptor */
	uint32_t base;			/* of the start, or where it stopped */
	int kick, call, err;		/* borrowed */
};

/* The back end's account of what is in flight, which survives it. */
struct vhost_user_inflight {
	int fd;				/* FD_NONE: there is none */
	uint64_t size, offset;
	uint16_t n_rings, ring_size;
};
#define VHOST_USER_INFLIGHT_INIT { .fd = FD_NONE }

/* To SET_FEATURES and to GET_STATUS. */
enum { VHOST_USER_MAX_DUE = 2 };

struct vhost_user_node {
	struct vhost_node node;
	int sock;			/* borrowed: closing the node shuts it down */
	struct vhost_user_reader reader;
	uint64_t deadline_ms;
	int broken;			/* -errno of what ended it; 0: it works */
	uint32_t asked;			/* of the last message, for the log */
	bool was_asked;			/* for its features, and the answer is to come */
	uint64_t features, protocol;
	unsigned max_rings;
	uint8_t status;			/* of the device, where the back end is told */
	bool is_told;			/* of this driver's features: */
	uint64_t told;
	int verdict;			/* on them: 0 or -EREMOTEIO, as far as it is known */
	unsigned n_due;			/* answers that are still to come of it, to: */
	uint32_t due[VHOST_USER_MAX_DUE];
	unsigned n_awaited;		/* answers to GET_VRING_BASE, in the order of: */
	uint8_t awaited[VHOST_USER_MAX_RINGS];
	struct vhost_user_ring ring[VHOST_USER_MAX_RINGS];
};

/*
 * On the socket 'sock', connected, kept.  Returns 0 and an owned node, to be closed by its ops, or
 * -ENOMEM with an error chain.
 */
MUST_USE int vhost_user_node_create(struct vhost_user_node **out, int sock);

static inline struct vhost_user_node *vhost_user_node_of(struct vhost_node *node)
{
	return container_of(node, struct vhost_user_node, node);
}

/* All that is asked from now on shall be answered within 'ms', together. */
void vhost_user_node_give_time(struct vhost_user_node *n, unsigned ms);

static inline bool vhost_user_node_has(const struct vhost_user_node *n,
				       enum vhost_user_protocol_feature f)
{
	return n->protocol >> f & 1;
}

/* Begin with a question, and do not wait: there will be an answer to read, if somebody is there. */
void vhost_user_node_greet(struct vhost_user_node *n);

/*
 * Agree on the protocol; 'back_fd' is the back end's end of its channel (borrowed), or FD_NONE.
 * Returns 0 or -errno with an error chain: -EOPNOTSUPP: it has no protocol features, or no
 * configuration space where 'wants_config'.
 */
MUST_USE int vhost_user_node_agree(struct vhost_user_node *n, bool wants_config, int back_fd);

/*
 * N25: the driver took these.  Returns 0 or -errno with an error chain: -EREMOTEIO: the back end
 * refuses them.  One that has not answered in time may do so later: it is heard before anything
 * else is asked, and set_features of the start says no then.
 */
MUST_USE int vhost_user_node_propose(struct vhost_user_node *n, const struct features *f);

/* Say what went wrong, in an error chain.  Returns 'r'. */
int vhost_user_node_say(const struct vhost_user_node *n, int r);

/* The configuration space from 0 on / bytes of it.  Return 0 or -errno with an error chain. */
MUST_USE int vhost_user_node_get_config(struct vhost_user_node *n, uint8_t *buf, unsigned len);
MUST_USE int vhost_user_node_set_config(struct vhost_user_node *n, unsigned offset,
					const uint8_t *buf, unsigned len);

/*
 * Have the back end make an account for that many rings ('n_rings', 'ring_size' of 'io'; the rest
 * is filled in, its descriptor owned by the caller) / use one.  Return 0 or -errno with an error
 * chain.
 */
MUST_USE int vhost_user_node_get_inflight(struct vhost_user_node *n,
					  struct vhost_user_inflight *io);
MUST_USE int vhost_user_node_set_inflight(struct vhost_user_node *n,
					  const struct vhost_user_inflight *io);

/*
 * Have a ring that was described run; one that was stopped goes on from where it was.  Returns 0 or
 * -errno with an error chain.
 */
MUST_USE int vhost_user_node_run(struct vhost_user_node *n, unsigned ring);
/* The device runs as a whole.  Returns 0 or -errno with an error chain. */
MUST_USE int vhost_user_node_running(struct vhost_user_node *n);

/* Stop it, without a wait / has every ring that was told so stopped?  Also when it broke. */
void vhost_user_node_begin_stop(struct vhost_user_node *n, unsigned ring);
bool vhost_user_node_is_stopped(struct vhost_user_node *n);

/* The device is as new, for the next driver. */
void vhost_user_node_reset(struct vhost_user_node *n);

#endif
