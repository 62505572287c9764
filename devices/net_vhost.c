#include "devices/net_vhost.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/net_impl.h"
#include "vhost/vhost_net.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { QUEUES_MAX = 2 * NET_MAX_PAIRS + 1 };

struct net_vhost {
	struct datapath base;
	struct virtio_net *net;
	struct datapath *frames;	/* the kernel; all queues but the last */
	struct datapath *ctrl;		/* in process; all queues, of which one is enabled */
	struct datapath *was;		/* what net->datapath was, while this is started */
	struct datapath_queue queue[QUEUES_MAX];	/* scratch of a start */
};

static struct net_vhost *from_base(const struct datapath *dp)
{
	return container_of(dp, struct net_vhost, base);
}

static int tap_fd(void *arg, unsigned pair)
{
	const struct virtio_net *net = arg;

	return net->peer->ops->vhost_fd(net->peer, pair);
}

/* --- which queue is whose -------------------------------------------------------------------- */

static bool is_frames(const struct net_vhost *p, unsigned queue)
{
	enum net_role role = net_role_of(p->net, queue);

	return role == NET_ROLE_RX || role == NET_ROLE_TX;
}

/* Who has 'queue' in this session. */
static struct datapath *owner_of(const struct net_vhost *p, unsigned queue)
{
	return is_frames(p, queue) ? p->frames : p->ctrl;
}

/* 'start' with only the queues enabled that are (not) for frames. */
static struct datapath_start only(struct net_vhost *p, const struct datapath_start *start,
				  bool frames)
{
	struct datapath_start s = *start;

	s.queue = p->queue;
	for (unsigned i = 0; i < start->n_queues && i < QUEUES_MAX; i++) {
		p->queue[i] = start->queue[i];
		p->queue[i].enabled &= is_frames(p, i) == frames;
	}
	return s;
}

/* --- datapath -------------------------------------------------------------------------------- */

static void failed(void *arg, unsigned queue, enum vq_fault fault, const char *reason)
{
	const struct datapath *dp = arg;

	if (dp->fail)
		dp->fail(dp->fail_arg, queue, fault, reason);
}

static struct features path_features(struct datapath *dp)
{
	struct datapath *frames = from_base(dp)->frames;

	return frames->ops->features(frames);
}

static struct features path_tell(struct datapath *dp, struct features accepted,
				 const struct dma *dma)
{
	struct datapath *frames = from_base(dp)->frames;

	return frames->ops->tell(frames, accepted, dma);
}

static const char *path_untold(struct datapath *dp, unsigned bit)
{
	struct datapath *frames = from_base(dp)->frames;

	return frames->ops->untold(frames, bit);
}

static void stop_both(struct datapath *dp)
{
	struct net_vhost *p = from_base(dp);

	p->frames->ops->stop(p->frames);
	p->ctrl->ops->stop(p->ctrl);
	p->net->datapath = p->was;
	p->net->is_offloaded = false;
}

/* The kernel does not look at frames: what the driver does not want, the tap drops. */
static int start_frames(struct net_vhost *p, const struct datapath_start *start)
{
	int r = net_ctrl_filter_in_peer(p->net, true);
	const struct datapath_start s = only(p, start, true);

	if (r == 0)
		r = vhost_datapath_pause(p->frames, !atomic_load(&p->net->link_up));
	return r == 0 ? p->frames->ops->start(p->frames, &s) : r;
}

static int path_start(struct datapath *dp, const struct datapath_start *start)
{
	struct net_vhost *p = from_base(dp);

	net_take_features(p->net, start->features);
	p->was = p->net->datapath;
	p->net->datapath = p->ctrl;
	p->net->is_offloaded = true;
	const struct datapath_start s = only(p, start, false);
	int r = p->ctrl->ops->start(p->ctrl, &s);

	if (r == 0)
		r = start_frames(p, start);
	return datapath_end_start(dp, r, stop_both);
}

static void path_stop(struct datapath *dp)
{
	if (datapath_begin_stop(dp))
		stop_both(dp);
}

static void path_prepare_stop(struct datapath *dp, unsigned queue)
{
	struct datapath *owner = owner_of(from_base(dp), queue);

	owner->ops->prepare_stop(owner, queue);
}

static bool path_can_stop(struct datapath *dp, unsigned queue)
{
	struct datapath *owner = owner_of(from_base(dp), queue);

	return owner->ops->can_stop(owner, queue);
}

static int path_start_queue(struct datapath *dp, const struct datapath_start *start,
			    unsigned queue)
{
	struct datapath *owner = owner_of(from_base(dp), queue);

	return owner->ops->start_queue(owner, start, queue);
}

static void path_stop_queue(struct datapath *dp, unsigned queue)
{
	struct datapath *owner = owner_of(from_base(dp), queue);

	owner->ops->stop_queue(owner, queue);
}

static bool path_position(struct datapath *dp, unsigned queue, struct virtqueue_position *out)
{
	struct datapath *owner = owner_of(from_base(dp), queue);

	return owner->ops->position(owner, queue, out);
}

static void path_suspend(struct datapath *dp)
{
	const struct net_vhost *p = from_base(dp);

	p->frames->ops->suspend(p->frames);
	p->ctrl->ops->suspend(p->ctrl);
}

static bool path_is_quiet(struct datapath *dp)
{
	const struct net_vhost *p = from_base(dp);

	return p->frames->ops->is_quiet(p->frames) && p->ctrl->ops->is_quiet(p->ctrl);
}

static void path_resume(struct datapath *dp)
{
	const struct net_vhost *p = from_base(dp);

	p->frames->ops->resume(p->frames);
	p->ctrl->ops->resume(p->ctrl);
}

static void path_account(struct datapath *dp, struct datapath_account *out)
{
	struct datapath *frames = from_base(dp)->frames;

	frames->ops->account(frames, out);
}

static void path_destroy(struct datapath *dp)
{
	struct net_vhost *p = from_base(dp);

	path_stop(dp);
	if (p->frames)
		p->frames->ops->destroy(p->frames);
	if (p->ctrl)
		p->ctrl->ops->destroy(p->ctrl);
	free(p);
}

static const struct datapath_ops net_vhost_ops = {
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

void net_vhost_set_link(struct datapath *dp, bool up)
{
	struct net_vhost *p = from_base(dp);

	if (p->frames && vhost_datapath_pause(p->frames, !up) < 0) {
		failed(dp, 0, VQ_FAULT_NONE, "vhost does not go on");
		error_clear();
	}
}

/* --- making it ------------------------------------------------------------------------------- */

static int judge(const struct virtio_net *net, const struct virtio_net_config *config)
{
	if (!config->vhost_path)
		return error_set(ENOENT, "no vhost device was named");
	if (!net->peer->is_vhost_capable || !net->peer->ops->vhost_fd)
		return error_set(ENOTSUP, "%s is no tap, which vhost needs", net->peer->describe);
	if (config->capture)
		return error_set(ENOTSUP, "a capture must see each frame");
	return 0;
}

static int create_parts(struct net_vhost *p, const struct virtio_net_config *config,
			struct event_loop *const *loop)
{
	const struct vhost_net_config vhost = {
		.path = config->vhost_path,
		.n_pairs = config->n_pairs,
		.tap_fd = tap_fd,
		.arg = p->net,
		.poll_us = config->vhost_poll_us,
		.only_look = config->only_look,
		.loop = config->loop,
		.n_loops = config->n_loops,
		.open = config->vhost_open,
	};
	int r = vhost_net_create(&p->frames, &vhost);

	return r == 0 ? local_create(&p->ctrl, &net_local_ops, p->net, loop,
				     2 * config->n_pairs + 1) : r;
}

int net_vhost_create(struct datapath **out, struct virtio_net *net,
		     const struct virtio_net_config *config, struct event_loop *const *loop)
{
	struct net_vhost *p;
	int r = judge(net, config);

	*out = NULL;
	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_set(ENOMEM, "create a datapath");
	p->base.ops = &net_vhost_ops;
	p->net = net;
	r = create_parts(p, config, loop);
	if (r < 0) {
		path_destroy(&p->base);
		return r;
	}
	p->base.name = p->frames->name;
	p->frames->fail = p->ctrl->fail = failed;
	p->frames->fail_arg = p->ctrl->fail_arg = &p->base;
	*out = &p->base;
	return 0;
}
