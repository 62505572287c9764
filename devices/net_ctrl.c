#include "devices/net_ctrl.h"

#include "devices/net_impl.h"

struct features net_ctrl_features(unsigned n_pairs)
{
	(void)n_pairs;
	return FEATURES_EMPTY;
}

int net_ctrl_start(struct virtio_net *net, struct features accepted)
{
	(void)accepted;
	net->ctrl.started = true;
	return 0;
}

void net_ctrl_stop(struct virtio_net *net)
{
	net->ctrl.started = false;
}

uint32_t net_ctrl_handle(struct virtio_net *net, const struct chain *c)
{
	(void)net;
	(void)c;
	return 0;
}

void net_ctrl_mac_changed(struct virtio_net *net)
{
	(void)net;
}

enum net_verdict net_ctrl_judge(struct net_pair *pair, struct net_frame *frame)
{
	(void)pair;
	(void)frame;
	return NET_FRAME_TAKE;
}
