#include "vhost/vhost_vsock.h"

#include <errno.h>

#include "vhost/vhost_kernel.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

/* 0 to 2 mean something else, 0xffffffff is any.  A host does not have as many VMs as are tried. */
enum { CID_FIRST = 3, CID_TRIES = 65536 };

static int vsock_run(struct vhost *v)
{
	int r = v->node->ops->vsock_set_running(v->node, true);

	return r < 0 ? error_set(r, "%s: VHOST_VSOCK_SET_RUNNING", v->name) : 0;
}

static int vsock_halt(struct vhost *v)
{
	return v->node->ops->vsock_set_running(v->node, false);
}

static const struct vhost_type vsock_type = {
	.kind = VHOST_KIND_VSOCK,
	.run = vsock_run,
	.halt = vsock_halt,
};

/* The kernel answers whether a CID is free by taking it: there is no moment in between. */
static int take_free_cid(struct vhost *v, uint64_t *cid)
{
	int r = -EADDRINUSE;

	for (unsigned i = 0; i < CID_TRIES && r == -EADDRINUSE; i++) {
		*cid = CID_FIRST + i;
		r = v->node->ops->vsock_set_cid(v->node, *cid);
	}
	return r < 0 ? error_set(r, "%s: find a free CID", v->name) : 0;
}

static int take_cid(struct vhost *v, uint64_t *cid)
{
	if (*cid == 0)
		return take_free_cid(v, cid);
	int r = v->node->ops->vsock_set_cid(v->node, *cid);

	if (r == 0)
		return 0;
	if (r != -EADDRINUSE)
		return error_set(r, "%s: take CID %llu", v->name, (unsigned long long)*cid);
	error_set(r, "%s: another VM has CID %llu", v->name, (unsigned long long)*cid);
	error_hint("CID 'auto' takes the first that is free");
	return r;
}

static int open_node(struct vhost_node **out, const struct vhost_vsock_config *config)
{
	if (config->fd != FD_NONE)
		return vhost_kernel_adopt(out, config->fd);
	return config->open ? config->open(out, config->path) :
			      vhost_kernel_open(out, config->path);
}

int vhost_vsock_create(struct datapath **out, uint64_t *cid,
		       const struct vhost_vsock_config *config)
{
	struct vhost_config vc = {
		.name = config->path,
		.type = &vsock_type,
		.n_rings = VHOST_VSOCK_QUEUES,
		.loop = config->loop,
		.only_look = config->only_look,
	};
	struct vhost *v;
	int r = open_node(&vc.node, config);

	*out = NULL;
	*cid = config->cid;
	if (r == 0)
		r = vhost_create(&v, &vc);
	if (r < 0)
		return r;
	if (!config->only_look)
		r = take_cid(v, cid);
	if (r < 0) {
		vhost_destroy(v);
		return r;
	}
	return vhost_datapath_create(out, &(struct vhost_datapath_config){
		.name = config->path,
		.node = &v,
		.n_nodes = 1,
	});
}
