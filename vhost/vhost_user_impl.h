/*
 * The inside of a vhost-user datapath, shared by vhost_user.c (made, started, stopped),
 * vhost_user_type.c (how it runs and halts), vhost_user_link.c (the connection: lost and found
 * again) and vhost_user_back.c (what the back end asks).
 *
 * The socket is watched, changed and closed on the main loop only; whoever else finds it broken
 * shuts it down, which the main loop hears of.
 */
#ifndef VHOST_VHOST_USER_IMPL_H
#define VHOST_VHOST_USER_IMPL_H

#include "vhost/vhost.h"
#include "vhost/vhost_user.h"
#include "vhost/vhost_user_node.h"
#include "vmm/base/log.h"

struct vhost_user {
	struct datapath base;
	struct vhost *v;		/* its node is NULL while there is no back end */
	enum vhost_kind kind;
	char name[24];			/* of the device */
	char label[96];			/* "vhost-user at PATH": for reports */
	char *path;			/* NULL: somebody else brings descriptors */
	unsigned n_rings, first_ms, patience_ms;
	bool only_look, forgets;
	struct virtio_device *dev;
	struct log_limit log;		/* for what the driver can repeat */
	struct event_loop *main;
	void (*config_changed)(void *arg, const uint8_t *config, unsigned len);
	void (*lost)(void *arg);
	void *arg;

	uint8_t config[VHOST_USER_CONFIG_MAX];
	unsigned config_len;
	/* What the driver chose, for a back end that was not there then, or was just stopping. */
	uint8_t chosen[VHOST_USER_CONFIG_MAX];
	bool is_chosen[VHOST_USER_CONFIG_MAX], must_tell;

	/* The connection; the main loop's. */
	int sock;			/* FD_NONE: there is none */
	int back;			/* our end of the back end's channel, or FD_NONE */
	struct event_source hang_up, answer, back_source, retry;
	struct vhost_user_reader back_reader;
	unsigned retry_ms;
	struct vhost_user_node *fresh;	/* greeted, not yet of 'v' */
	/* News of the configuration: when it may be asked for again; is there some? */
	uint64_t refresh_after_ms;
	bool refresh_waits;

	/* What was started, for another back end. */
	bool suspended;
	bool drains;			/* a stop was begun, and is not told yet */
	uint64_t drain_by_ms;
	uint64_t halt_by_ms;		/* a stop that was begun and takes longer is given up */
	bool rings_known;		/* they tell where to go on */
	uint64_t began_ms;		/* the last start */
	unsigned n_barren;		/* back ends in a row that answered nothing, and left */
	uint16_t seen_at[VHOST_USER_MAX_RINGS];	/* the used index, then */
	struct features features;
	const struct dma *dma;
	struct vhost_user_inflight inflight;
	uint16_t began_at[VHOST_USER_MAX_RINGS];
	struct datapath_queue queue[VHOST_USER_MAX_RINGS];
};

static inline struct vhost_user *vhost_user_of(const struct datapath *dp)
{
	return container_of(dp, struct vhost_user, base);
}

/* The node, or NULL. */
static inline struct vhost_user_node *vhost_user_node(const struct vhost_user *u)
{
	return u->v && u->v->node ? vhost_user_node_of(u->v->node) : NULL;
}

/* Whatever is asked from now on shall not take longer than a register write may. */
void vhost_user_hurry(struct vhost_user *u);

/* Up with what was started.  Returns 0 or -errno with an error chain. */
MUST_USE int vhost_user_go_on(struct vhost_user *u);

/* Tell the back end what the driver chose, as soon as it can be told. */
void vhost_user_tell_choice(struct vhost_user *u);

/* Ask for the configuration space again, and say what is new.  Machine lock held. */
void vhost_user_refresh_config(struct vhost_user *u);

/* vhost_user_type.c: of a device of that type; NULL: there are no such back ends. */
const struct vhost_type *vhost_user_type(enum virtio_device_id id);

/* vhost_user_link.c: everything of the main loop, before anybody runs / at the end. */
MUST_USE int vhost_user_link_init(struct vhost_user *u);
void vhost_user_link_fini(struct vhost_user *u);
/* Connect to 'path'.  Returns an owned descriptor, or -errno with an error chain and a hint. */
MUST_USE int vhost_user_connect(const char *path);
/*
 * 'sock' (consumed, also on failure) leads to the first back end: agree with it, waiting for
 * VHOST_USER_FIRST_MS.  Returns 0 and a node; or -errno with an error chain.
 */
MUST_USE int vhost_user_link_first(struct vhost_user *u, int sock, struct vhost_node **node);
/* Watch the connection. */
MUST_USE int vhost_user_link_watch(struct vhost_user *u);
/* The connection is over, if it is not yet.  Any thread. */
void vhost_user_link_cut(struct vhost_user *u);
/* Another one (consumed, also on failure).  Main loop. */
MUST_USE int vhost_user_link_greet(struct vhost_user *u, int sock);

/* The configuration space changed, it says, as often as it likes: ask for it when it is time. */
void vhost_user_link_refresh(struct vhost_user *u);

/* The machine lock, for what the main loop does. */
void vhost_user_lock(struct vhost_user *u);
void vhost_user_unlock(struct vhost_user *u);

/* vhost_user_back.c: a new channel; its other end is returned in 'theirs', owned. */
MUST_USE int vhost_user_back_open(struct vhost_user *u, int *theirs);
MUST_USE int vhost_user_back_watch(struct vhost_user *u);
void vhost_user_back_close(struct vhost_user *u);

#endif
