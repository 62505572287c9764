#include "tests/support/ctrl_rig.h"

#include <criterion/criterion.h>
#include <string.h>

const uint8_t ctrl_rig_mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

void ctrl_rig_create(struct ctrl_rig *rig, unsigned n_pairs, enum fake_transport how)
{
	struct event_loop *loop[2];
	struct virtio_net_config config = {
		.name = "net0",
		.n_pairs = n_pairs,
		.queue_size = RIG_QUEUE_SIZE,
		.link_up = true,
		.speed_mbit = UINT32_MAX,
		.duplex = 0xff,
		.vhost = VIRTIO_OFFLOAD_OFF,
		.loop = loop,
		.n_loops = 2,
	};

	memset(rig, 0, sizeof(*rig));
	device_rig_create(&rig->rig);
	cr_assert_eq(event_loop_create(&rig->io2, "io2"), 0);
	cr_assert_eq(event_loop_thread_start(rig->io2), 0);
	loop[0] = rig->rig.io;
	loop[1] = rig->io2;
	rig->n_pairs = n_pairs;
	rig->peer = ctrl_peer_create(n_pairs);
	memcpy(config.mac, ctrl_rig_mac, sizeof(config.mac));
	config.peer = &rig->peer->base;
	cr_assert_eq(virtio_net_create(&rig->dev, &config), 0);
	device_rig_plug(&rig->rig, rig->dev, how);
}

void ctrl_rig_destroy(struct ctrl_rig *rig)
{
	device_rig_destroy(&rig->rig);
	event_loop_destroy(rig->io2);
}

static void add_buffer(struct ctrl_rig *rig, unsigned pair, uint64_t gpa)
{
	struct fake_buf buf = { gpa, CTRL_RIG_BUFFER, true };
	uint16_t head = device_rig_add(&rig->rig, 2 * pair, &buf, 1);

	rig->buffer[pair][head % RIG_QUEUE_SIZE] = gpa;
}

void ctrl_rig_start(struct ctrl_rig *rig, struct features features)
{
	bool has_pairs = features_has(&features, VIRTIO_NET_F_MQ) ||
			 features_has(&features, VIRTIO_NET_F_RSS);

	/* A ring that is kept in order or packed would not name the buffers as this rig does. */
	features_remove(&features, VIRTIO_F_RING_PACKED);
	rig->rig.next = 1 << 20;
	rig->n_open = has_pairs ? rig->n_pairs : 1;
	rig->ctrl = 2 * rig->n_open;
	rig->header_len = features_has(&features, VIRTIO_NET_F_HASH_REPORT) ? 20 :
			  features_has(&features, VIRTIO_F_VERSION_1) ||
					  features_has(&features, VIRTIO_NET_F_MRG_RXBUF) ? 12 : 10;
	device_rig_start(&rig->rig, features, rig->ctrl + 1);
	rig->command = device_rig_alloc(&rig->rig, 4096);
	rig->ack = device_rig_alloc(&rig->rig, 4096);
	for (unsigned pair = 0; pair < rig->n_open; pair++)
		for (unsigned i = 0; i < CTRL_RIG_BUFFERS; i++)
			add_buffer(rig, pair, device_rig_alloc(&rig->rig, CTRL_RIG_BUFFER));
}

struct features ctrl_rig_features(struct ctrl_rig *rig, unsigned without)
{
	struct features f = fake_driver_offered(&rig->rig.driver);

	if (without != FEATURE_NONE)
		features_remove(&f, without);
	return f;
}

void ctrl_rig_start_without(struct ctrl_rig *rig, unsigned without)
{
	ctrl_rig_start(rig, ctrl_rig_features(rig, without));
}

uint32_t ctrl_rig_chain(struct ctrl_rig *rig, const struct fake_buf *buf, unsigned n)
{
	device_rig_add(&rig->rig, rig->ctrl, buf, n);
	return device_rig_wait(&rig->rig, rig->ctrl, NULL);
}

uint8_t ctrl_rig_command(struct ctrl_rig *rig, uint8_t class, uint8_t command, const void *data,
			size_t len)
{
	struct fake_buf buf[] = {
		{ rig->command, 2, false }, { rig->command + 2, (uint32_t)len, false },
		{ rig->ack, 1, true },
	};
	uint8_t *p = device_rig_at(&rig->rig, rig->command, 4096);
	uint8_t *ack = device_rig_at(&rig->rig, rig->ack, 1);

	cr_assert_leq(len, 4094);
	p[0] = class;
	p[1] = command;
	if (len > 0)
		memcpy(p + 2, data, len);
	else
		buf[1] = buf[2];
	*ack = 0xee;
	cr_assert_eq(ctrl_rig_chain(rig, buf, len > 0 ? 3 : 2), 1);
	cr_assert_leq(*ack, 1);
	return *ack;
}

static void do_nothing(void *arg)
{
	(void)arg;
}

/* What was posted to the loops has happened. */
static void settle(struct ctrl_rig *rig)
{
	event_loop_call(rig->rig.io, do_nothing, NULL);
	event_loop_call(rig->io2, do_nothing, NULL);
	event_loop_call(rig->rig.io, do_nothing, NULL);
}

static bool take(struct ctrl_rig *rig, unsigned pair)
{
	uint32_t head, len;

	if (!fake_ring_reap(&rig->rig.ring[2 * pair], &head, &len))
		return false;
	uint64_t gpa = rig->buffer[pair][head % RIG_QUEUE_SIZE];

	cr_assert_leq(len, CTRL_RIG_BUFFER);
	memcpy(rig->received, device_rig_at(&rig->rig, gpa, len), len);
	rig->received_len = len;
	add_buffer(rig, pair, gpa);
	return true;
}

int ctrl_rig_receive(struct ctrl_rig *rig, unsigned at, const void *frame, size_t len)
{
	int got = CTRL_RIG_LOST;

	settle(rig);
	ctrl_peer_inject(rig->peer, at, frame, len);
	settle(rig);
	for (unsigned pair = 0; pair < rig->n_open; pair++)
		if (take(rig, pair)) {
			cr_assert_eq(got, CTRL_RIG_LOST, "two drivers' queues have the frame");
			got = (int)pair;
		}
	if (got != CTRL_RIG_LOST) {
		cr_assert_eq(rig->received_len, rig->header_len + len);
		cr_assert_eq(memcmp(rig->received + rig->header_len, frame, len), 0);
	}
	return got;
}

bool ctrl_rig_gets(struct ctrl_rig *rig, const uint8_t mac[6])
{
	uint8_t frame[64] = { 0 };

	memcpy(frame, mac, 6);
	frame[12] = 8;
	return ctrl_rig_receive(rig, 0, frame, sizeof(frame)) == 0;
}
