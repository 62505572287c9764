#include "tests/support/net_rig.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

const uint8_t net_rig_mac[6] = { 0x52, 0x54, 0x00, 0xa1, 0xb2, 0xc3 };

enum { SCRATCH = 128 << 10, HEADER_AT = 96 << 10 };

static struct features all_offloads(void)
{
	static const uint8_t bits[] = {
		VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
		VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_HOST_USO,
		VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
		VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_USO4,
		VIRTIO_NET_F_GUEST_USO6,
	};
	struct features f = FEATURES_EMPTY;

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
		features_add(&f, bits[i]);
	return f;
}

void net_rig_create(struct net_rig *net, const struct net_rig_options *options)
{
	unsigned n_pairs = options->n_pairs ? options->n_pairs : 1;
	struct event_loop *loop[2];

	memset(net, 0, sizeof(*net));
	device_rig_create(&net->rig);
	if (options->second_loop) {
		cr_assert_eq(event_loop_create(&net->io2, "io2"), 0);
		cr_assert_eq(event_loop_thread_start(net->io2), 0);
	}
	loop[0] = net->rig.io;
	loop[1] = net->io2;
	net->peer = fake_peer_create(options->no_offloads ? FEATURES_EMPTY : all_offloads(),
				     n_pairs);
	net->peer->base.is_vhost_capable = options->vhost_open != NULL;
	struct virtio_net_config config = {
		.vhost = options->vhost,
		.vhost_path = "/dev/vhost-net",
		.vhost_open = options->vhost_open,
		.name = "net0",
		.peer = &net->peer->base,
		.n_pairs = n_pairs,
		.queue_size = RIG_QUEUE_SIZE,
		.mtu = options->mtu,
		.link_up = !options->link_down,
		.speed_mbit = 10000,
		.duplex = 1,
		.loop = loop,
		.n_loops = net->io2 ? 2 : 1,
	};
	memcpy(config.mac, net_rig_mac, sizeof(config.mac));
	cr_assert_eq(virtio_net_create(&net->dev, &config), 0);
	if (options->suspend) {
		struct features on = FEATURES_EMPTY;

		features_add(&on, VIRTIO_F_SUSPEND);
		virtio_device_want_features(net->dev, on, FEATURES_EMPTY);
	}
	device_rig_plug(&net->rig, net->dev, options->transport);
	net->scratch = device_rig_alloc(&net->rig, SCRATCH);
}

void net_rig_destroy(struct net_rig *net)
{
	device_rig_destroy(&net->rig);
	event_loop_destroy(net->io2);
	net->io2 = NULL;
	net->peer = NULL;
}

void net_rig_start(struct net_rig *net, struct features features, unsigned n_queues)
{
	struct features f = features_and(features, fake_driver_offered(&net->rig.driver));
	uint8_t bit, needs;

	if (!net->with_hash)
		features_remove(&f, VIRTIO_NET_F_HASH_REPORT);
	while (features_find_unmet(&f, VIRTIO_ID_NET, &bit, &needs))
		features_remove(&f, bit);
	/* Ring memory and buffers of earlier sessions are not used again. */
	net->rig.next = net->scratch + SCRATCH;
	device_rig_start(&net->rig, f, n_queues);
	net->header_len = net_header_len(f);
}

void net_rig_start_without(struct net_rig *net, unsigned n_queues, ...)
{
	struct features f = fake_driver_offered(&net->rig.driver);
	va_list ap;

	va_start(ap, n_queues);
	for (int bit = va_arg(ap, int); bit >= 0; bit = va_arg(ap, int))
		features_remove(&f, (unsigned)bit);
	va_end(ap);
	net_rig_start(net, f, n_queues);
}

void net_rig_fill(uint8_t *frame, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(seed + i * 7);
	if (len >= sizeof(net_rig_mac))
		memcpy(frame, net_rig_mac, sizeof(net_rig_mac));
	if (len >= 14) {
		frame[12] = 0x88;
		frame[13] = 0xb5;	/* for experiments */
	}
}

uint32_t net_rig_send(struct net_rig *net, unsigned queue, const struct net_header *header,
		      const void *frame, size_t len)
{
	uint64_t header_at = net->scratch + HEADER_AT;
	struct fake_buf buf[] = {
		{ header_at, net->header_len, false },
		{ net->scratch, (uint32_t)len, false },
	};

	cr_assert_leq(len, HEADER_AT);
	net_header_store(header, device_rig_at(&net->rig, header_at, net->header_len),
			 net->header_len);
	if (len > 0)
		memcpy(device_rig_at(&net->rig, net->scratch, len), frame, len);
	device_rig_add(&net->rig, queue, buf, len > 0 ? 2 : 1);
	return device_rig_wait(&net->rig, queue, NULL);
}

uint64_t net_rig_offer(struct net_rig *net, unsigned queue, uint32_t len)
{
	uint64_t gpa = device_rig_alloc(&net->rig, len);

	device_rig_add(&net->rig, queue, &(struct fake_buf){ gpa, len, true }, 1);
	return gpa;
}

void net_rig_set_link(struct net_rig *net, bool up)
{
	machine_lock(&net->rig.machine->m);
	virtio_net_set_link(net->dev, up);
	machine_unlock(&net->rig.machine->m);
}
