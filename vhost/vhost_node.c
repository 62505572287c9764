/*
 * A vhost node for life: asked what it offers, made ours, and closed.  What it does in between is
 * vhost.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vhost/vhost_impl.h"
#include "vhost/vhost_worker.h"
#include "vmm/base/error.h"

/* The node becomes ours; its thread is the one that was not there before. */
static int own(struct vhost *v)
{
	struct vhost_workers before, now;

	if (v->type->comes_back)
		return v->node->ops->set_owner(v->node);
	vhost_workers_list(&before);
	int r = v->node->ops->set_owner(v->node);

	if (r < 0) {
		error_set(r, "%s: VHOST_SET_OWNER", v->name);
		if (r == -EBUSY)
			error_hint("another process uses the same open node");
		return r;
	}
	vhost_workers_list(&now);
	v->n_workers = vhost_workers_new(&before, &now, v->worker, VHOST_MAX_WORKERS);
	return 0;
}

static void iotlb_failed(void *arg, const char *reason)
{
	struct vhost *v = arg;

	if (v->fail)
		v->fail(v->fail_arg, v->ring[0].device_index, reason);
}

/* Of what we do not know (N16), or a kernel does not have, there is nothing. */
static int agree_on_backend(struct vhost *v)
{
	uint64_t offered = 0;

	if (v->node->ops->get_backend_features(v->node, &offered) < 0)
		return 0;
	v->backend = vhost_backend_features_known(offered);
	if (v->backend == 0)
		return 0;
	int r = v->node->ops->set_backend_features(v->node, v->backend);

	return r < 0 ? error_set(r, "%s: VHOST_SET_BACKEND_FEATURES", v->name) : 0;
}

static int open_node(struct vhost *v, bool only_look)
{
	int r = v->node->ops->get_features(v->node, &v->kernel);

	if (r < 0)
		return error_set(r, "%s: VHOST_GET_FEATURES", v->name);
	if (only_look)
		return 0;
	r = own(v);
	return r == 0 ? agree_on_backend(v) : r;
}

int vhost_renew(struct vhost *v, struct vhost_node *node)
{
	const struct features before = v->kernel;

	assert(!v->node && !v->started);
	v->node = node;
	int r = open_node(v, false);

	if (r == 0)
		return 0;
	v->kernel = before;
	node->ops->close(node);
	v->node = NULL;
	return error_add(r, "use %s again", v->name);
}

int vhost_create(struct vhost **out, const struct vhost_config *config)
{
	struct vhost *v = calloc(1, sizeof(*v));
	int r = 0;

	*out = NULL;
	assert(config->n_rings <= VHOST_MAX_RINGS);
	if (!v) {
		config->node->ops->close(config->node);
		return error_set(ENOMEM, "use %s", config->name);
	}
	v->node = config->node;
	v->type = config->type;
	v->arg = config->arg;
	snprintf(v->name, sizeof(v->name), "%s", config->name);
	v->loop = config->loop;
	v->poll_us = config->poll_us;
	v->fail = config->fail;
	v->fail_arg = config->fail_arg;
	vhost_iotlb_init(&v->iotlb, v->loop, iotlb_failed, v);
	for (; v->n_rings < config->n_rings && r == 0; v->n_rings++)
		r = vhost_ring_init(v, v->n_rings);
	if (r == 0)
		r = open_node(v, config->only_look);
	if (r < 0) {
		vhost_destroy(v);
		return error_add(r, "use %s", config->name);
	}
	*out = v;
	return 0;
}

void vhost_destroy(struct vhost *v)
{
	if (!v)
		return;
	vhost_stop(v);
	vhost_log_stop(v);
	for (unsigned i = 0; i < v->n_rings; i++)
		vhost_ring_fini(&v->ring[i]);
	if (v->node)
		v->node->ops->close(v->node);
	vhost_iotlb_fini(&v->iotlb);
	free(v);
}
