/*
 * The data path of a network device in this process: which queue is what in this session, and who
 * hears of it.  Frames are net_rx.c and net_tx.c, commands net_ctrl_queue.c.
 *
 * All queues belong to one datapath, because where the control queue is follows from what the
 * driver accepted: behind all pairs if it can use them, behind the first if not.
 * virtio-v1.4 5.1.2 "Virtqueues"
 */
#include <errno.h>

#include "devices/net_impl.h"
#include "devices/net_vhost.h"
#include "vmm/base/error.h"

enum net_role net_role_of(const struct virtio_net *net, unsigned index)
{
	if (index < 2 * net->n_pairs)
		return index % 2 == 0 ? NET_ROLE_RX : NET_ROLE_TX;
	if (index == 2 * net->n_pairs && features_has(&net->accepted, VIRTIO_NET_F_CTRL_VQ))
		return NET_ROLE_CTRL;
	return NET_ROLE_NONE;
}

static struct net_pair *pair_of(struct virtio_net *net, unsigned index)
{
	return &net->pair[index / 2];
}

void net_peer_lost(struct net_pair *pair)
{
	virtio_device_fail(&pair->net->dev, 2 * pair->number,
			   "the host's network interface is gone");
}

/* --- the peer's calls, on the pair's loop ---------------------------------------------------- */

static void on_readable(void *arg, unsigned number)
{
	struct virtio_net *net = arg;

	net_rx_run(&net->pair[number]);
}

static void on_writable(void *arg, unsigned number)
{
	struct virtio_net *net = arg;

	if (net->pair[number].tx.vq)
		local_queue_resume(net->datapath, 2 * number + 1);
}

static void on_lost(void *arg, unsigned number)
{
	struct virtio_net *net = arg;

	net_peer_lost(&net->pair[number]);
}

/* --- what changes while rings run ------------------------------------------------------------ */

static void look_again(void *arg)
{
	net_rx_run(arg);
}

static void drop_waiting(void *arg)
{
	net_rx_drop(arg);
}

void net_set_link(struct virtio_net *net, bool up)
{
	atomic_store(&net->link_up, up);
	if (net->is_offloaded)
		net_vhost_set_link(net->offload, up);
	if (net->peer->ops->set_link)
		net->peer->ops->set_link(net->peer, up);
	/*
	 * What arrived before is gone, also where no buffer waits for it.  Of what the host's
	 * kernel moves we take nothing while the cable is in.
	 */
	for (unsigned i = 0; net->is_started && i < net->n_pairs; i++)
		if (!net->is_offloaded)
			event_loop_call(net->pair[i].loop, look_again, &net->pair[i]);
		else if (!up)
			event_loop_call(net->pair[i].loop, drop_waiting, &net->pair[i]);
}

struct offload_call {
	struct net_pair *pair;
	struct features guest;
};

static void take_offloads(void *arg)
{
	struct offload_call *call = arg;

	call->pair->guest = call->guest;
}

int net_set_guest_offloads(struct virtio_net *net, struct features features)
{
	int r = net->peer->ops->set_offloads(net->peer, features);

	for (unsigned i = 0; i < net->n_pairs && r == 0; i++) {
		struct offload_call call = { &net->pair[i], features };

		event_loop_call(net->pair[i].loop, take_offloads, &call);
	}
	return r;
}

int net_set_pairs(struct virtio_net *net, unsigned n)
{
	int r = net->peer->ops->set_pairs(net->peer, n);

	if (r == 0)
		atomic_store(&net->n_active, n);
	return r;
}

/* --- session --------------------------------------------------------------------------------- */

void net_take_features(struct virtio_net *net, struct features accepted)
{
	bool has_pairs = features_has(&accepted, VIRTIO_NET_F_MQ) ||
			 features_has(&accepted, VIRTIO_NET_F_RSS);

	net->accepted = accepted;
	net->n_pairs = has_pairs ? net->n_pairs_max : 1;
	net->header_len = net_header_len(accepted);
	net->is_merging = features_has(&accepted, VIRTIO_NET_F_MRG_RXBUF);
	net->mtu_frame_max = SIZE_MAX;
	if (features_has(&accepted, VIRTIO_NET_F_MTU))
		net->mtu_frame_max = net->mtu + (size_t)NET_ETHERNET_TAGGED;
}

static int start_peer(struct virtio_net *net, bool resume)
{
	struct event_loop *loop[NET_MAX_PAIRS];
	/* Of a peer whose frames go past us only its end is of interest. */
	bool here = !net->is_offloaded;
	const struct net_peer_start start = {
		.header_len = net->header_len,
		.n_pairs = net->n_pairs,
		.loop = loop,
		.resume = resume,
		.readable = here ? on_readable : NULL,
		.writable = here ? on_writable : NULL,
		.lost = on_lost,
		.arg = net,
	};
	int r;

	for (unsigned i = 0; i < net->n_pairs; i++) {
		loop[i] = net->pair[i].loop;
		net->pair[i].rx.starved = false;
		net->pair[i].rx.holds = resume;
	}
	r = net->peer->ops->start(net->peer, &start);
	if (r < 0)
		return r;
	r = net_set_guest_offloads(net, net->ctrl.guest_offloads);
	if (r == 0)
		r = net_set_pairs(net, net->ctrl.rules.n_pairs);
	if (r < 0)
		net->peer->ops->stop(net->peer);
	return r;
}

/* Does a driver go on that had another datapath before? */
static bool is_resumed(const struct datapath_start *start)
{
	for (unsigned i = 0; i < start->n_queues; i++)
		if (start->queue[i].resume)
			return true;
	return false;
}

static int net_start(void *model, const struct datapath_start *start)
{
	struct virtio_net *net = model;
	int r;

	net_take_features(net, start->features);
	r = net_ctrl_start(net, start->features);
	if (r < 0)
		return r;
	r = start_peer(net, is_resumed(start));
	if (r < 0) {
		net_ctrl_stop(net);
		return error_add(r, "start %s", net->peer->describe);
	}
	net->is_started = true;
	return 0;
}

static void net_stop(void *model)
{
	struct virtio_net *net = model;

	net->is_started = false;
	net->peer->ops->stop(net->peer);
	net_ctrl_stop(net);
}

static int net_queue_open(void *model, unsigned index, const struct datapath_queue *dq)
{
	struct virtio_net *net = model;

	(void)dq;
	switch (net_role_of(net, index)) {
	case NET_ROLE_RX:
		return net_rx_open(pair_of(net, index));
	case NET_ROLE_TX:
		return net_tx_open(pair_of(net, index));
	default:
		return 0;
	}
}

static void net_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_net *net = model;

	switch (net_role_of(net, index)) {
	case NET_ROLE_RX:
		net_rx_start(pair_of(net, index), q);
		net_ctrl_pair_start(pair_of(net, index), false, q);
		break;
	case NET_ROLE_TX:
		net_tx_start(pair_of(net, index), q);
		net_ctrl_pair_start(pair_of(net, index), true, q);
		break;
	case NET_ROLE_CTRL:
		net_ctrl_queue_start(net, index, q);
		break;
	case NET_ROLE_NONE:
		break;
	}
}

/* A queue beyond the layout is inert: nothing is ever taken from it. */
static void net_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_net *net = model;

	(void)q;
	switch (net_role_of(net, index)) {
	case NET_ROLE_RX:
		net_rx_run(pair_of(net, index));
		break;
	case NET_ROLE_TX:
		net_tx_run(pair_of(net, index));
		break;
	case NET_ROLE_CTRL:
		net_ctrl_queue_run(net);
		break;
	case NET_ROLE_NONE:
		break;
	}
}

static void net_flush(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_net *net = model;

	switch (net_role_of(net, index)) {
	case NET_ROLE_TX:
		net_ctrl_flush(pair_of(net, index), q);
		break;
	case NET_ROLE_RX:	/* did so itself */
	case NET_ROLE_CTRL:
	case NET_ROLE_NONE:
		break;
	}
}

static void net_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_net *net = model;

	(void)q;
	switch (net_role_of(net, index)) {
	case NET_ROLE_RX:
		net_ctrl_pair_stop(pair_of(net, index), false);
		net_rx_stop(pair_of(net, index));
		break;
	case NET_ROLE_TX:
		net_ctrl_pair_stop(pair_of(net, index), true);
		net_tx_stop(pair_of(net, index));
		break;
	case NET_ROLE_CTRL:
		net_ctrl_queue_stop(net);
		break;
	case NET_ROLE_NONE:
		break;
	}
}

static void net_queue_close(void *model, unsigned index)
{
	struct virtio_net *net = model;

	switch (net_role_of(net, index)) {
	case NET_ROLE_RX:
		net_rx_close(pair_of(net, index));
		break;
	case NET_ROLE_TX:
		net_tx_close(pair_of(net, index));
		break;
	case NET_ROLE_CTRL:
		net_ctrl_queue_close(net);
		break;
	case NET_ROLE_NONE:
		break;
	}
}

static void net_cancel(void *model, unsigned index)
{
	struct virtio_net *net = model;

	if (net_role_of(net, index) == NET_ROLE_RX)
		net_rx_cancel(pair_of(net, index));
}

static void net_hold(void *model, unsigned index)
{
	struct virtio_net *net = model;

	if (net_role_of(net, index) == NET_ROLE_CTRL)
		net_ctrl_queue_hold(net);
}

const struct local_ops net_local_ops = {
	.hold = net_hold,
	.cancel = net_cancel,
	.start = net_start,
	.queue_open = net_queue_open,
	.queue_start = net_queue_start,
	.handle = net_handle,
	.flush = net_flush,
	.queue_stop = net_queue_stop,
	.queue_close = net_queue_close,
	.stop = net_stop,
};
