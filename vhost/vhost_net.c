#include "vhost/vhost_net.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "vhost/vhost_kernel.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { RINGS = 2, MAX_PAIRS = 128 };

struct pair {
	struct vhost_net *net;
	unsigned index;
	struct event_loop *loop;
};

struct vhost_net {
	int (*tap_fd)(void *arg, unsigned pair);
	int (*prepare)(void *arg, const struct datapath_start *start);
	void (*release)(void *arg);
	void *arg;
	unsigned n_pairs;
	struct pair pair[];
};

/* --- rings and taps -------------------------------------------------------------------------- */

static int net_attach(struct vhost *v, unsigned ring)
{
	const struct pair *pair = v->arg;
	int fd = pair->net->tap_fd(pair->net->arg, pair->index);
	int r = v->node->ops->net_set_backend(v->node, ring, fd);

	if (r == 0)
		return 0;
	error_set(r, "%s: VHOST_NET_SET_BACKEND of ring %u to the tap", v->name, ring);
	if (r == -EBADFD || r == -EBADF || r == -ENOTSOCK)
		error_hint("the tap was deleted, or it was none");
	return r;
}

static int net_detach(struct vhost *v, unsigned ring)
{
	return v->node->ops->net_set_backend(v->node, ring, FD_NONE);
}

static const struct vhost_type net_type = {
	.kind = VHOST_KIND_NET,
	.attach = net_attach,
	.detach = net_detach,
};

/* --- the datapath's hooks -------------------------------------------------------------------- */

static int net_start(void *arg, const struct datapath_start *start)
{
	const struct vhost_net *net = arg;

	return net->prepare ? net->prepare(net->arg, start) : 0;
}

static void net_stop(void *arg)
{
	const struct vhost_net *net = arg;

	if (net->release)
		net->release(net->arg);
}

static void net_destroy(void *arg)
{
	free(arg);
}

static const struct vhost_datapath_hooks net_hooks = {
	.start = net_start,
	.stop = net_stop,
	.destroy = net_destroy,
};

/* --- making it ------------------------------------------------------------------------------- */

static int open_pair(struct vhost **out, struct pair *pair, const struct vhost_net_config *config)
{
	struct vhost_config vc = {
		.name = config->path,
		.type = &net_type,
		.arg = pair,
		.n_rings = RINGS,
		.loop = pair->loop,
		.poll_us = config->poll_us,
		.only_look = config->only_look,
	};
	int r = config->open ? config->open(&vc.node, config->path) :
			       vhost_kernel_open(&vc.node, config->path);

	*out = NULL;
	return r == 0 ? vhost_create(out, &vc) : r;
}

static struct vhost_net *allocate(const struct vhost_net_config *config)
{
	struct vhost_net *net =
		calloc(1, sizeof(*net) + config->n_pairs * sizeof(net->pair[0]));

	if (!net)
		return NULL;
	net->tap_fd = config->tap_fd;
	net->prepare = config->prepare;
	net->release = config->release;
	net->arg = config->arg;
	net->n_pairs = config->n_pairs;
	for (unsigned i = 0; i < net->n_pairs; i++)
		net->pair[i] = (struct pair){
			.net = net,
			.index = i,
			.loop = config->loop[i % config->n_loops],
		};
	return net;
}

int vhost_net_create(struct datapath **out, const struct vhost_net_config *config)
{
	struct vhost *node[MAX_PAIRS] = { NULL };
	struct vhost_net *net = allocate(config);
	unsigned n = 0;
	int r = 0;

	*out = NULL;
	assert(config->n_pairs > 0 && config->n_pairs <= MAX_PAIRS && config->n_loops > 0);
	if (!net)
		return error_set(ENOMEM, "use %s", config->path);
	while (n < config->n_pairs && r == 0) {
		r = open_pair(&node[n], &net->pair[n], config);
		n += r == 0;
	}
	if (r < 0) {
		while (n-- > 0)
			vhost_destroy(node[n]);
		free(net);
		return r;
	}
	r = vhost_datapath_create(out, &(struct vhost_datapath_config){
		.name = config->path,
		.node = node,
		.n_nodes = n,
		.hooks = &net_hooks,
		.arg = net,
	});
	if (r < 0)
		free(net);
	return r;
}
