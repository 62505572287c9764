/*
 * A network device between a driver and a scripted peer.  Everything that fails here ends the
 * test.
 */
#ifndef TESTS_NET_RIG_H
#define TESTS_NET_RIG_H

#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/fake_peer.h"

/* 0 everywhere: one pair over virtio-mmio, link up, a peer with all offloads, no MTU. */
struct net_rig_options {
	enum fake_transport transport;	/* FAKE_PCI is 0 */
	unsigned n_pairs;
	uint16_t mtu;
	bool link_down, no_offloads;
	bool suspend;			/* demand SUSPEND, which is off by default */
	bool second_loop;		/* for the second pair */
	/* vhost: with a peer that can; nodes are opened so. */
	int (*vhost_open)(struct vhost_node **out, const char *path);
	enum virtio_offload vhost;
};

struct net_rig {
	struct device_rig rig;
	struct event_loop *io2;		/* of the second pair, running, or NULL */
	struct virtio_device *dev;	/* the transport's */
	struct fake_peer *peer;		/* the device's */
	unsigned header_len;		/* of this session */
	bool with_hash;			/* take HASH_REPORT, too */
	uint64_t scratch;		/* guest memory for net_rig_send, 128 KiB */
};

extern const uint8_t net_rig_mac[6];

void net_rig_create(struct net_rig *net, const struct net_rig_options *options);
void net_rig_destroy(struct net_rig *net);

/*
 * Negotiate what is offered of 'features' (but for what then misses what it needs), start the
 * first 'n_queues'.
 */
void net_rig_start(struct net_rig *net, struct features features, unsigned n_queues);
/* With everything that is offered but for 'without' bits (ended by -1). */
void net_rig_start_without(struct net_rig *net, unsigned n_queues, ...);

/* 64 bytes and more that a test can tell from others: to the MAC of the device, then 'seed'. */
void net_rig_fill(uint8_t *frame, size_t len, uint8_t seed);

/* Send on 'queue': the header in a descriptor of its own.  Returns the used length. */
uint32_t net_rig_send(struct net_rig *net, unsigned queue, const struct net_header *header,
		      const void *frame, size_t len);

/* Give the device a receive buffer of 'len' bytes.  Returns its address. */
uint64_t net_rig_offer(struct net_rig *net, unsigned queue, uint32_t len);

/* Run virtio_net_set_link as the control path does. */
void net_rig_set_link(struct net_rig *net, bool up);

#endif
