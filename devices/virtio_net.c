/*
 * The network device: identity, features, configuration bytes.  Its queues are net_path.c.
 *
 * virtio-v1.4 5.1 "Network Device"
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net_impl.h"
#include "devices/net_vhost.h"
#include "devices/virtio_models.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

enum { PCI_CLASS_NETWORK_ETHERNET = 0x020000 };

static struct virtio_net *to_net(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

/* --- features -------------------------------------------------------------------------------- */

/* Bits that depend on what the peer can do with a frame; ECN is of no use without TSO. */
static const uint8_t peer_bits[] = {
	VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_ECN,
	VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_GUEST_CSUM,
	VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,
	VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6,
};

/* virtio-v1.4 5.1.3.1: of three bits, 'bit' needs one of two others. */
static void need_either(struct features *f, unsigned bit, unsigned one, unsigned other)
{
	if (!features_has(f, one) && !features_has(f, other))
		features_remove(f, bit);
}

static struct features net_features(const struct virtio_net_config *config)
{
	struct features f = net_ctrl_features(config->n_pairs);

	for (unsigned i = 0; i < ARRAY_SIZE(peer_bits); i++)
		if (features_has(&config->peer->offloads, peer_bits[i]))
			features_add(&f, peer_bits[i]);
	need_either(&f, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6);
	need_either(&f, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6);
	features_add(&f, VIRTIO_NET_F_MAC);
	features_add(&f, VIRTIO_NET_F_STATUS);
	features_add(&f, VIRTIO_NET_F_MRG_RXBUF);
	features_add(&f, VIRTIO_NET_F_SPEED_DUPLEX);
	if (config->mtu)
		features_add(&f, VIRTIO_NET_F_MTU);
	return f;
}

/* --- device ---------------------------------------------------------------------------------- */

/*
 * Only a legacy driver writes here: the address; others ask by the control queue.
 * virtio-v1.4 5.1.4.2 "Legacy Interface: Device configuration layout"
 */
static void net_config_written(struct virtio_device *dev, unsigned offset, unsigned len)
{
	(void)offset;
	(void)len;
	net_ctrl_mac_changed(to_net(dev));
}

static void net_reset(struct virtio_device *dev)
{
	net_ctrl_reset(to_net(dev));
}

static void net_destroy(struct virtio_device *dev)
{
	struct virtio_net *net = to_net(dev);

	virtio_device_fini(dev);
	net->peer->ops->destroy(net->peer);
	net_capture_destroy(net->capture);
	free(net);
}

static const struct virtio_device_ops net_ops = {
	.config_written = net_config_written,
	.reset = net_reset,
	.destroy = net_destroy,
};

static void fill_config(uint8_t bytes[NET_CONFIG_LEN], const struct virtio_net_config *config)
{
	memset(bytes, 0, NET_CONFIG_LEN);
	memcpy(bytes + NET_CONFIG_MAC, config->mac, NET_MAC_SIZE);
	store_le16(bytes + NET_CONFIG_STATUS, config->link_up ? NET_STATUS_LINK_UP : 0);
	store_le16(bytes + NET_CONFIG_MAX_PAIRS, (uint16_t)config->n_pairs);
	store_le16(bytes + NET_CONFIG_MTU, config->mtu);
	store_le32(bytes + NET_CONFIG_SPEED, config->speed_mbit);
	bytes[NET_CONFIG_DUPLEX] = config->duplex;
	net_ctrl_fill_config(bytes);
}

/* In the host's kernel, if that is wanted and can be.  Returns 0 without one where it need not. */
static int create_offload(struct virtio_net *net, const struct virtio_net_config *config,
			  struct event_loop *const *loop)
{
	if (config->vhost == VIRTIO_OFFLOAD_OFF)
		return 0;
	int r = net_vhost_create(&net->offload, net, config, loop);

	if (r == 0 || config->vhost == VIRTIO_OFFLOAD_REQUIRE)
		return r < 0 ? error_add(r, "%s: vhost is required", config->name) : 0;
	/* Only a tap could have been moved by vhost: else there was nothing to choose. */
	if (net->peer->is_vhost_capable)
		log_notice("%s: frames are moved in process: %s", config->name, error_text());
	error_clear();
	return 0;
}

/* The kernel's comes first; this process can go on where it fails, unless it is required. */
static int create_datapaths(struct virtio_net *net, const struct virtio_net_config *config,
			    struct event_loop *const *loop, unsigned n_queues)
{
	int r = create_offload(net, config, loop);

	if (r < 0)
		return r;
	if (net->offload) {
		virtio_device_add_part(&net->dev, net->offload, 0, n_queues);
		log_notice("%s: frames are moved by %s", config->name, net->offload->name);
		if (config->vhost == VIRTIO_OFFLOAD_REQUIRE)
			return 0;
	}
	r = local_create(&net->datapath, &net_local_ops, net, loop, n_queues);
	if (r < 0)
		return r;
	if (net->offload)
		virtio_device_add_datapath(&net->dev, 0, net->datapath);
	else
		virtio_device_add_part(&net->dev, net->datapath, 0, n_queues);
	return 0;
}

static int create_device(struct virtio_net *net, const struct virtio_net_config *config)
{
	unsigned n_queues = 2 * config->n_pairs + 1;
	struct event_loop *loop[2 * NET_MAX_PAIRS + 1];
	uint16_t queue_size[2 * NET_MAX_PAIRS + 1];
	uint8_t bytes[NET_CONFIG_LEN];
	const struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_NET,
		.pci_class = PCI_CLASS_NETWORK_ETHERNET,
		.features = net_features(config),
		.config = bytes,
		.config_len = NET_CONFIG_LEN,
		.n_queues = n_queues,
		.queue_size = queue_size,
	};
	int r;

	fill_config(bytes, config);
	for (unsigned i = 0; i < n_queues; i++) {
		/* The last is the control queue of a driver that can use all pairs. */
		bool is_data = i < 2 * config->n_pairs;

		loop[i] = config->loop[is_data ? i / 2 % config->n_loops : 0];
		queue_size[i] = (uint16_t)(is_data ? config->queue_size : NET_CTRL_QUEUE_SIZE);
	}
	for (unsigned i = 0; i < config->n_pairs; i++)
		net->pair[i] = (struct net_pair){
			.net = net,
			.number = i,
			.loop = loop[2 * i],
		};
	r = virtio_device_init(&net->dev, &net_ops, &dev);
	memset(net->dev.config_writable_legacy + NET_CONFIG_MAC, 0xff, NET_MAC_SIZE);
	if (r == 0 && config->capture && !config->only_look)
		r = net_capture_create(&net->capture, config->capture);
	return r == 0 ? create_datapaths(net, config, loop, n_queues) : r;
}

int virtio_net_create(struct virtio_device **out, const struct virtio_net_config *config)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	int r;

	*out = NULL;
	if (!net) {
		config->peer->ops->destroy(config->peer);
		return error_set(ENOMEM, "create '%s'", config->name);
	}
	net->peer = config->peer;
	net->n_pairs_max = config->n_pairs;
	net->n_pairs = 1;
	net->mtu = config->mtu;
	net_ctrl_queue_init(net);
	if (config->only_look)
		atomic_store(&net->link_up, config->link_up);
	else
		net_set_link(net, config->link_up);
	r = create_device(net, config);
	if (r < 0) {
		net_destroy(&net->dev);
		return r;
	}
	*out = &net->dev;
	return 0;
}

void virtio_net_set_link(struct virtio_device *dev, bool up)
{
	uint8_t status[2];

	net_set_link(to_net(dev), up);
	store_le16(status, (uint16_t)((load_le16(dev->config + NET_CONFIG_STATUS) &
				       ~NET_STATUS_LINK_UP) |
				      (up ? NET_STATUS_LINK_UP : 0)));
	virtio_device_update_config(dev, NET_CONFIG_STATUS, status, sizeof(status));
}

void virtio_net_announce(struct virtio_device *dev)
{
	struct features accepted = dev->negotiation.accepted;
	uint8_t status[2];

	if (!features_has(&accepted, VIRTIO_NET_F_GUEST_ANNOUNCE))
		return;
	store_le16(status, load_le16(dev->config + NET_CONFIG_STATUS) | NET_STATUS_ANNOUNCE);
	virtio_device_update_config(dev, NET_CONFIG_STATUS, status, sizeof(status));
}
