#include "vhost/vhost_datapath.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

struct vhost_datapath {
	struct datapath base;
	char name[40];
	const struct vhost_datapath_hooks *hooks;
	void *arg;
	unsigned n_started;		/* nodes, from the first */
	const struct dma *dma;		/* of the last start */
	unsigned n_nodes;
	struct vhost *node[];
};

static struct vhost_datapath *from_base(const struct datapath *dp)
{
	return container_of(dp, struct vhost_datapath, base);
}

/* All are nodes of the same device: the first speaks for all. */
static struct vhost *first_node(const struct vhost_datapath *p)
{
	return p->node[0];
}

static unsigned rings_each(const struct vhost_datapath *p)
{
	return first_node(p)->n_rings;
}

static void node_failed(void *arg, unsigned queue, const char *reason)
{
	const struct datapath *dp = arg;

	if (dp->fail)
		dp->fail(dp->fail_arg, queue, VQ_FAULT_NONE, reason);
}

static struct features path_features(struct datapath *dp)
{
	return vhost_served(first_node(from_base(dp)));
}

static struct features path_tell(struct datapath *dp, struct features accepted,
				 const struct dma *dma)
{
	return vhost_tell(first_node(from_base(dp)), accepted, dma);
}

static const char *path_untold(struct datapath *dp, unsigned bit)
{
	const struct vhost_datapath *p = from_base(dp);

	return p->dma ? vhost_untold(first_node(p), bit, p->dma) : NULL;
}

/* The queues of node 'i'. */
static struct datapath_start slice(const struct vhost_datapath *p,
				   const struct datapath_start *start, unsigned i)
{
	struct datapath_start s = *start;
	unsigned first = i * rings_each(p);

	s.queue = first < start->n_queues ? start->queue + first : start->queue;
	s.n_queues = first < start->n_queues ? start->n_queues - first : 0;
	if (s.n_queues > rings_each(p))
		s.n_queues = rings_each(p);
	return s;
}

static void stop_nodes(struct datapath *dp)
{
	struct vhost_datapath *p = from_base(dp);

	while (p->n_started > 0)
		vhost_stop(p->node[--p->n_started]);
	if (p->hooks && p->hooks->stop)
		p->hooks->stop(p->arg);
}

static int path_start(struct datapath *dp, const struct datapath_start *start)
{
	struct vhost_datapath *p = from_base(dp);
	int r = p->hooks && p->hooks->start ? p->hooks->start(p->arg, start) : 0;

	if (r < 0)
		return r;
	p->dma = start->dma;
	for (p->n_started = 0; p->n_started < p->n_nodes && r == 0; p->n_started += r == 0) {
		const struct datapath_start s = slice(p, start, p->n_started);

		r = vhost_start(p->node[p->n_started], &s);
	}
	return datapath_end_start(dp, r, stop_nodes);
}

static void path_stop(struct datapath *dp)
{
	if (datapath_begin_stop(dp))
		stop_nodes(dp);
}

static struct vhost *node_of(const struct vhost_datapath *p, unsigned queue, unsigned *ring)
{
	unsigned i = queue / rings_each(p);

	*ring = queue % rings_each(p);
	return i < p->n_nodes ? p->node[i] : NULL;
}

static void path_prepare_stop(struct datapath *dp, unsigned queue)
{
	unsigned ring;
	struct vhost *v = node_of(from_base(dp), queue, &ring);

	if (v)
		vhost_end_ring(v, ring);
}

static bool path_can_stop(struct datapath *dp, unsigned queue)
{
	unsigned ring;
	struct vhost *v = node_of(from_base(dp), queue, &ring);

	return !v || vhost_is_quiet(v);
}

static int path_start_queue(struct datapath *dp, const struct datapath_start *start,
			    unsigned queue)
{
	const struct vhost_datapath *p = from_base(dp);
	unsigned ring;
	struct vhost *v = node_of(p, queue, &ring);

	if (!v)
		return 0;
	const struct datapath_start s = slice(p, start, queue / rings_each(p));

	return vhost_start_ring(v, &s, ring);
}

static void path_stop_queue(struct datapath *dp, unsigned queue)
{
	unsigned ring;
	struct vhost *v = node_of(from_base(dp), queue, &ring);

	if (v)
		vhost_stop_ring(v, ring);
}

static bool path_position(struct datapath *dp, unsigned queue, struct virtqueue_position *out)
{
	unsigned ring;
	const struct vhost *v = node_of(from_base(dp), queue, &ring);

	return v && vhost_position(v, ring, out);
}

static void path_suspend(struct datapath *dp)
{
	const struct vhost_datapath *p = from_base(dp);

	for (unsigned i = 0; i < p->n_nodes; i++)
		vhost_suspend(p->node[i]);
}

static bool path_is_quiet(struct datapath *dp)
{
	const struct vhost_datapath *p = from_base(dp);
	bool quiet = true;

	for (unsigned i = 0; i < p->n_nodes; i++)
		quiet &= vhost_is_quiet(p->node[i]);
	return quiet;
}

static void path_resume(struct datapath *dp)
{
	const struct vhost_datapath *p = from_base(dp);

	for (unsigned i = 0; i < p->n_nodes; i++) {
		struct vhost *v = p->node[i];
		if (vhost_resume(v) == 0)
			continue;
		log_error("%s: it does not go on: %s", v->name, error_text());
		error_clear();
		node_failed(dp, v->ring[0].device_index, "vhost does not go on");
	}
}

static void path_account(struct datapath *dp, struct datapath_account *out)
{
	const struct vhost_datapath *p = from_base(dp);

	out->says = true;
	out->said = first_node(p)->kernel;
	for (unsigned i = 0; i < p->n_nodes; i++)
		for (unsigned k = 0; k < p->node[i]->n_workers; k++)
			if (out->n_workers < DATAPATH_MAX_WORKERS)
				out->worker[out->n_workers++] = (int)p->node[i]->worker[k];
}

static void path_destroy(struct datapath *dp)
{
	struct vhost_datapath *p = from_base(dp);

	path_stop(dp);
	for (unsigned i = 0; i < p->n_nodes; i++)
		vhost_destroy(p->node[i]);
	if (p->hooks && p->hooks->destroy)
		p->hooks->destroy(p->arg);
	free(p);
}

static const struct datapath_ops vhost_datapath_ops = {
	.features = path_features,
	.tell = path_tell,
	.untold = path_untold,
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

int vhost_datapath_create(struct datapath **out, const struct vhost_datapath_config *config)
{
	struct vhost_datapath *p =
		calloc(1, sizeof(*p) + config->n_nodes * sizeof(p->node[0]));

	*out = NULL;
	if (!p) {
		for (unsigned i = 0; i < config->n_nodes; i++)
			vhost_destroy(config->node[i]);
		return error_set(ENOMEM, "create a datapath of %u nodes", config->n_nodes);
	}
	snprintf(p->name, sizeof(p->name), "%s", config->name);
	p->base.ops = &vhost_datapath_ops;
	p->base.name = p->name;
	p->hooks = config->hooks;
	p->arg = config->arg;
	p->n_nodes = config->n_nodes;
	for (unsigned i = 0; i < config->n_nodes; i++) {
		p->node[i] = config->node[i];
		p->node[i]->fail = node_failed;
		p->node[i]->fail_arg = &p->base;
	}
	*out = &p->base;
	return 0;
}

int vhost_datapath_pause(struct datapath *dp, bool paused)
{
	const struct vhost_datapath *p = from_base(dp);
	int r = 0;

	for (unsigned i = 0; i < p->n_nodes && r == 0; i++)
		r = vhost_pause(p->node[i], paused);
	return r;
}

unsigned vhost_datapath_nodes(const struct datapath *dp)
{
	return from_base(dp)->n_nodes;
}

struct vhost *vhost_datapath_node(struct datapath *dp, unsigned index)
{
	return from_base(dp)->node[index];
}
