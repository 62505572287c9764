#include <arpa/inet.h>

#include "devices/net_forward.h"
#include "virtio/virtio_ids.h"
#include "vmm/base/error.h"
#include "vmm/export/qemu_impl.h"

/* Sizes of rings that QEMU takes, for both directions. */
enum { RING_LEAST = 256, RING_RX_MOST = 1024, RING_TX_MOST = 256 };

/* "hostfwd=tcp:127.0.0.1:8080-:80" */
static void put_forward(struct qemu_export *x, const struct net_settings *net, const char *text)
{
	struct net_forward forward;
	char host[INET_ADDRSTRLEN], guest[INET_ADDRSTRLEN] = "";

	if (net_forward_parse(&forward, text) < 0 || forward.host.any.sa_family != AF_INET) {
		error_clear();
		qemu_remark(&x->line, "nets.%s.forward: '%s' is over IPv6, which QEMU 7.2 cannot",
			    net->name, text);
		return;
	}
	inet_ntop(AF_INET, &forward.host.v4.sin_addr, host, sizeof(host));
	if (forward.guest.v4.sin_addr.s_addr != INADDR_ANY)
		inet_ntop(AF_INET, &forward.guest.v4.sin_addr, guest, sizeof(guest));
	qemu_put(&x->line, ",hostfwd=%s:%s:%u-%s:%u", forward.is_udp ? "udp" : "tcp", host,
		 ntohs(forward.host.v4.sin_port), guest, ntohs(forward.guest.v4.sin_port));
}

static void put_user(struct qemu_export *x, const struct net_settings *net, unsigned index)
{
	qemu_begin(&x->line, "-netdev", "user,id=net%u,restrict=%s,ipv6=%s", index,
		   net->restrict_guest ? "on" : "off", net->ipv6 ? "on" : "off");
	for (unsigned i = 0; i < net->forward.n; i++)
		put_forward(x, net, net->forward.item[i]);
	qemu_end(&x->line);
}

static void put_tap(struct qemu_export *x, const struct net_settings *net, unsigned index)
{
	static const char *const vhost[] = {
		[VHOST_AUTO] = "vhost=on", [VHOST_OFF] = "vhost=off",
		[VHOST_REQUIRE] = "vhost=on,vhostforce=on",
	};

	qemu_begin(&x->line, "-netdev", "tap,id=net%u,%s", index, vhost[net->vhost]);
	if (net->fd) {
		qemu_put(&x->line, ",fd=%u", net->fd);
	} else {
		qemu_put_text(&x->line, "ifname", net->ifname ? net->ifname : "");
		qemu_put(&x->line, ",script=no,downscript=no");
		if (net->queues > 1)
			qemu_put(&x->line, ",queues=%u", net->queues);
	}
	if (net->vhost_poll_us)
		qemu_put(&x->line, ",poll-us=%u", net->vhost_poll_us);
	qemu_end(&x->line);
}

static void put_device(struct qemu_export *x, const struct net_settings *net, unsigned index)
{
	static const char *const duplex[] = {
		[NET_DUPLEX_HALF] = "half", [NET_DUPLEX_FULL] = "full",
	};

	qemu_device(x, "virtio-net", VIRTIO_ID_NET, net->name);
	qemu_put(&x->line, ",netdev=net%u", index);
	if (net->mac)
		qemu_put_text(&x->line, "mac", net->mac);
	if (net->queues > 1)
		qemu_put(&x->line, ",mq=on");
	if (net->queue_size >= RING_LEAST && net->queue_size <= RING_RX_MOST)
		qemu_put(&x->line, ",rx_queue_size=%u", net->queue_size);
	if (net->queue_size < RING_LEAST || net->queue_size > RING_TX_MOST)
		qemu_remark(&x->line, "nets.%s.queue_size: QEMU has %d to %d packets received, and "
				      "%d sent", net->name, RING_LEAST, RING_RX_MOST, RING_TX_MOST);
	if (net->mtu)
		qemu_put(&x->line, ",host_mtu=%u", net->mtu);
	if (net->speed)
		qemu_put(&x->line, ",speed=%u", net->speed);
	if (net->duplex != NET_DUPLEX_UNKNOWN)
		qemu_put(&x->line, ",duplex=%s", duplex[net->duplex]);
	qemu_end(&x->line);
}

static void put_net(struct qemu_export *x, const struct net_settings *net, unsigned index)
{
	if (net->backend == NET_TAP)
		put_tap(x, net, index);
	else
		put_user(x, net, index);
	put_device(x, net, index);
	if (net->capture) {
		qemu_begin(&x->line, "-object", "filter-dump,id=dump%u,netdev=net%u", index, index);
		qemu_put_path(&x->line, "file", net->capture);
		qemu_end(&x->line);
	}
}

void qemu_nets(struct qemu_export *x)
{
	for (unsigned i = 0; i < x->config->n_nets; i++)
		put_net(x, &x->config->net[i], i);
}
