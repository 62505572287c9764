#include "vhost/vhost_user.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhost/vhost_user_impl.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { AGREE_MS = 100 };		/* FEATURES_OK waits for a back end */

void vhost_user_hurry(struct vhost_user *u)
{
	if (vhost_user_node(u))
		vhost_user_node_give_time(vhost_user_node(u), u->patience_ms);
}

/* A back end that broke is looked after by the main loop. */
static void cut_if_broken(struct vhost_user *u)
{
	if (vhost_user_node(u) && vhost_user_node(u)->broken)
		vhost_user_link_cut(u);
}

/*
 * Has it gone, rather than misbehaved?  Then there will be another, and the driver need not know.
 */
static bool has_left(const struct vhost_user *u)
{
	return vhost_user_node(u) && vhost_user_node(u)->broken == -EPIPE;
}

/* --- configuration space --------------------------------------------------------------------- */

void vhost_user_tell_choice(struct vhost_user *u)
{
	struct vhost_user_node *n = vhost_user_node(u);
	int r = 0;

	if (!u->must_tell || !n || u->v->halting ||
	    !vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_CONFIG))
		return;
	u->must_tell = false;
	for (unsigned i = 0, end; i < u->config_len && r == 0; i = end + 1) {
		for (end = i; end < u->config_len && u->is_chosen[end]; end++)
			;
		if (end > i)
			r = vhost_user_node_set_config(n, i, u->chosen + i, end - i);
	}
	if (r == 0)
		return;
	log_guest(&u->log, LOG_WARNING, "%s: %s", u->name, error_text());
	error_clear();
	cut_if_broken(u);
}

void vhost_user_refresh_config(struct vhost_user *u)
{
	struct vhost_user_node *n = vhost_user_node(u);
	uint8_t now[VHOST_USER_CONFIG_MAX];

	if (!n || u->v->halting || u->config_len == 0)
		return;
	vhost_user_hurry(u);
	if (vhost_user_node_get_config(n, now, u->config_len) < 0) {
		log_warning("%s: %s", u->name, error_text());
		error_clear();
		cut_if_broken(u);
		return;
	}
	if (memcmp(now, u->config, u->config_len) == 0)
		return;
	memcpy(u->config, now, u->config_len);
	if (u->config_changed)
		u->config_changed(u->arg, u->config, u->config_len);
}

void vhost_user_read_config(const struct datapath *dp, uint8_t *buf, unsigned len)
{
	const struct vhost_user *u = vhost_user_of(dp);

	memset(buf, 0, len);
	memcpy(buf, u->config, min_u64(len, u->config_len));
}

int vhost_user_write_config(struct datapath *dp, unsigned offset, const uint8_t *buf, unsigned len)
{
	struct vhost_user *u = vhost_user_of(dp);

	if (!range_inside(offset, len, u->config_len))
		return error_set(EINVAL, "%s: %u bytes at %u are not in its configuration space",
				 u->name, len, offset);
	memcpy(u->chosen + offset, buf, len);
	memset(u->is_chosen + offset, true, len);
	u->must_tell = true;
	vhost_user_hurry(u);
	vhost_user_tell_choice(u);
	return 0;
}

/* --- start and stop -------------------------------------------------------------------------- */

static struct features path_features(struct datapath *dp)
{
	return vhost_served(vhost_user_of(dp)->v);
}

static struct features path_tell(struct datapath *dp, struct features accepted,
				 const struct dma *dma)
{
	return vhost_tell(vhost_user_of(dp)->v, accepted, dma);
}

static const char *path_untold(struct datapath *dp, unsigned bit)
{
	const struct vhost_user *u = vhost_user_of(dp);

	return u->dma ? vhost_untold(u->v, bit, u->dma) : NULL;
}

/* N25 */
static int path_agree(struct datapath *dp, struct features accepted, const struct dma *dma)
{
	struct vhost_user *u = vhost_user_of(dp);
	struct vhost_user_node *n = vhost_user_node(u);
	const struct features told = vhost_tell(u->v, accepted, dma);
	struct error_chain chain;
	int r = vhost_judge_features(u->v, accepted);

	/* Without a back end the next one is asked, when it starts. */
	if (r < 0 || !n)
		return r;
	vhost_user_node_give_time(n, AGREE_MS);
	r = vhost_user_node_propose(n, &told);
	if (r < 0) {
		error_save(&chain);
		vhost_user_node_reset(n);
		error_restore(&chain);
	}
	if (r < 0 && has_left(u)) {
		error_clear();
		r = 0;
	}
	cut_if_broken(u);
	return r;
}

/* After a start the stop has told it. */
static void path_forget(struct datapath *dp)
{
	struct vhost_user *u = vhost_user_of(dp);
	struct vhost_user_node *n = vhost_user_node(u);

	if (dp->is_started || !n || !n->is_told)
		return;
	vhost_user_node_give_time(n, AGREE_MS);
	vhost_user_node_reset(n);
	cut_if_broken(u);
}

/* N15: neither of the two can be had with another process. */
static int judge_memory(const struct vhost_user *u, const struct dma *dma)
{
	if (dma_is_translated(dma))
		return error_set(EOPNOTSUPP, "%s is behind an IOMMU, and its back end is another "
				 "process", u->name);
	if (!dma->memory->is_private && dma->memory->fd != FD_NONE)
		return 0;
	error_set(EOPNOTSUPP, "%s: memory of this VM cannot be given to another process", u->name);
	error_hint("it is mapped privately where the host may merge it (memory.merge)");
	return -EOPNOTSUPP;
}

static void remember_start(struct vhost_user *u, const struct datapath_start *start)
{
	u->features = start->features;
	u->dma = start->dma;
	u->suspended = false;
	u->rings_known = true;
	u->n_barren = 0;
	for (unsigned i = 0; i < u->n_rings; i++) {
		u->queue[i] = i < start->n_queues ? start->queue[i] : (struct datapath_queue){
			.index = i };
		u->began_at[i] = u->queue[i].resume ? u->queue[i].position.avail : 0;
		u->seen_at[i] = u->began_at[i];
	}
}

static void forget_session(struct vhost_user *u)
{
	fd_close(&u->inflight.fd);
	u->inflight = (struct vhost_user_inflight)VHOST_USER_INFLIGHT_INIT;
}

int vhost_user_go_on(struct vhost_user *u)
{
	const struct datapath_start start = {
		.features = u->features, .dma = u->dma,
		.queue = u->queue, .n_queues = u->n_rings,
	};

	u->began_ms = clock_now_ms();
	vhost_user_hurry(u);
	vhost_user_tell_choice(u);
	return vhost_start(u->v, &start);
}

static void stop_rings(struct datapath *dp)
{
	struct vhost_user *u = vhost_user_of(dp);

	vhost_user_hurry(u);
	vhost_stop(u->v);
	if (vhost_user_node(u))
		vhost_user_node_reset(vhost_user_node(u));
	forget_session(u);
	cut_if_broken(u);
}

static int path_start(struct datapath *dp, const struct datapath_start *start)
{
	struct vhost_user *u = vhost_user_of(dp);
	int r = judge_memory(u, start->dma);

	if (r < 0)
		return r;
	forget_session(u);
	remember_start(u, start);
	/* Without a back end it starts when there is one. */
	if (vhost_user_node(u))
		r = vhost_user_go_on(u);
	if (r < 0 && has_left(u)) {
		error_clear();
		r = 0;
	}
	cut_if_broken(u);
	return datapath_end_start(dp, r, stop_rings);
}

static void path_stop(struct datapath *dp)
{
	if (datapath_begin_stop(dp))
		stop_rings(dp);
}

static void path_prepare_stop(struct datapath *dp, unsigned queue)
{
	struct vhost_user *u = vhost_user_of(dp);

	if (queue >= u->n_rings)
		return;
	u->queue[queue].enabled = false;
	vhost_end_ring(u->v, queue);
}

static bool path_can_stop(struct datapath *dp, unsigned queue)
{
	struct vhost_user *u = vhost_user_of(dp);

	(void)queue;
	return vhost_is_quiet(u->v);
}

static int path_start_queue(struct datapath *dp, const struct datapath_start *start,
			    unsigned queue)
{
	struct vhost_user *u = vhost_user_of(dp);

	if (queue >= u->n_rings || queue >= start->n_queues)
		return 0;
	u->queue[queue] = start->queue[queue];
	u->began_at[queue] = u->seen_at[queue] = 0;
	if (!vhost_user_node(u))
		return 0;
	vhost_user_hurry(u);
	int r = vhost_start_ring(u->v, start, queue);

	if (r < 0 && has_left(u)) {
		error_clear();
		r = 0;
	}
	cut_if_broken(u);
	return r;
}

static void path_stop_queue(struct datapath *dp, unsigned queue)
{
	struct vhost_user *u = vhost_user_of(dp);

	if (queue >= u->n_rings)
		return;
	u->queue[queue].enabled = false;
	vhost_user_hurry(u);
	vhost_stop_ring(u->v, queue);
	cut_if_broken(u);
}

static bool path_position(struct datapath *dp, unsigned queue, struct virtqueue_position *out)
{
	return vhost_position(vhost_user_of(dp)->v, queue, out);
}

static void path_suspend(struct datapath *dp)
{
	struct vhost_user *u = vhost_user_of(dp);

	u->suspended = true;
	vhost_suspend(u->v);
}

static bool path_is_quiet(struct datapath *dp)
{
	return vhost_is_quiet(vhost_user_of(dp)->v);
}

static void path_resume(struct datapath *dp)
{
	struct vhost_user *u = vhost_user_of(dp);
	int r = 0;

	u->suspended = false;
	vhost_user_hurry(u);
	if (u->v->started)
		r = vhost_resume(u->v);
	else if (dp->is_started && vhost_user_node(u))
		r = vhost_user_go_on(u);
	vhost_user_tell_choice(u);
	if (r < 0) {
		log_guest(&u->log, LOG_WARNING, "%s: it does not go on: %s", u->name,
			  error_text());
		error_clear();
		if (!has_left(u) && dp->fail)
			dp->fail(dp->fail_arg, u->queue[0].index, VQ_FAULT_NONE,
				 "its back end does not go on");
	}
	cut_if_broken(u);
}

static void path_account(struct datapath *dp, struct datapath_account *out)
{
	out->says = true;
	out->said = vhost_user_of(dp)->v->kernel;
}

/* --- life ------------------------------------------------------------------------------------ */

static void destroy(struct vhost_user *u)
{
	vhost_user_link_fini(u);
	vhost_destroy(u->v);
	fd_close(&u->sock);
	fd_close(&u->inflight.fd);
	free(u->path);
	free(u);
}

static void path_destroy(struct datapath *dp)
{
	path_stop(dp);
	destroy(vhost_user_of(dp));
}

static const struct datapath_ops user_datapath_ops = {
	.features = path_features,
	.tell = path_tell,
	.untold = path_untold,
	.agree = path_agree,
	.forget = path_forget,
	.start = path_start,
	.stop = path_stop,
	.prepare_stop = path_prepare_stop,
	.can_stop = path_can_stop,
	.start_queue = path_start_queue,
	.stop_queue = path_stop_queue,
	.position = path_position,
	.suspend = path_suspend,
	.is_quiet = path_is_quiet,
	.resume = path_resume,
	.account = path_account,
	.destroy = path_destroy,
};

static void node_failed(void *arg, unsigned queue, const char *reason)
{
	const struct vhost_user *u = arg;

	if (u->base.fail)
		u->base.fail(u->base.fail_arg, queue, VQ_FAULT_NONE, reason);
}

static int set_up(struct vhost_user *u, const struct vhost_user_config *config)
{
	snprintf(u->name, sizeof(u->name), "%s", config->name);
	if (config->path)
		snprintf(u->label, sizeof(u->label), "vhost-user at %s", config->path);
	else
		snprintf(u->label, sizeof(u->label), "vhost-user");
	u->base.ops = &user_datapath_ops;
	u->base.name = u->label;
	u->n_rings = config->n_rings;
	u->only_look = config->only_look;
	u->first_ms = config->first_ms ? config->first_ms : VHOST_USER_FIRST_MS;
	u->patience_ms = config->patience_ms ? config->patience_ms : VHOST_USER_PATIENCE_MS;
	u->forgets = config->forgets;
	u->dev = config->dev;
	u->main = config->main;
	u->kind = vhost_user_type(config->id)->kind;
	u->config_len = config->config_len;
	u->config_changed = config->config_changed;
	u->lost = config->lost;
	u->arg = config->arg;
	if (config->path && !(u->path = strdup(config->path)))
		return error_set(ENOMEM, "use a vhost-user back end");
	return config->only_look ? 0 : vhost_user_link_init(u);
}

static int make(struct vhost_user *u, const struct vhost_user_config *config, int sock)
{
	const struct vhost_type *type = vhost_user_type(config->id);
	struct vhost_config vc = {
		.name = u->name, .type = type, .arg = u, .n_rings = config->n_rings,
		.loop = config->loop, .only_look = config->only_look,
		.fail = node_failed, .fail_arg = u,
	};
	int r = vhost_user_link_first(u, sock, &vc.node);

	if (r == 0)
		r = vhost_create(&u->v, &vc);
	if (r == 0 && !config->only_look)
		r = vhost_user_link_watch(u);
	return r;
}

int vhost_user_create(struct datapath **out, const struct vhost_user_config *config)
{
	struct vhost_user *u = calloc(1, sizeof(*u));
	int sock = config->fd, r;

	*out = NULL;
	assert(config->n_rings >= 1 && config->n_rings <= VHOST_USER_MAX_RINGS);
	assert(config->config_len <= VHOST_USER_CONFIG_MAX && vhost_user_type(config->id));
	if (!u) {
		fd_close(&sock);
		return error_set(ENOMEM, "use a vhost-user back end");
	}
	u->sock = u->back = u->retry.fd = FD_NONE;
	u->inflight = (struct vhost_user_inflight)VHOST_USER_INFLIGHT_INIT;
	r = set_up(u, config);
	if (r == 0 && sock == FD_NONE)
		r = sock = vhost_user_connect(config->path);
	if (r < 0) {
		if (sock >= 0)
			fd_close(&sock);
	} else {
		r = make(u, config, sock);
	}
	if (r < 0) {
		destroy(u);
		return config->path ? error_add(r, "use the back end at '%s'", config->path) :
				      error_add(r, "use the back end of %s", config->name);
	}
	*out = &u->base;
	return 0;
}

struct features vhost_user_offered(const struct datapath *dp)
{
	return vhost_served(vhost_user_of(dp)->v);
}

unsigned vhost_user_rings(const struct datapath *dp)
{
	const struct vhost_user_node *n = vhost_user_node(vhost_user_of(dp));

	return n ? n->max_rings : vhost_user_of(dp)->n_rings;
}

bool vhost_user_is_connected(const struct datapath *dp)
{
	return vhost_user_node(vhost_user_of(dp)) != NULL;
}

int vhost_user_renew(struct datapath *dp, int fd)
{
	return vhost_user_link_greet(vhost_user_of(dp), fd);
}
