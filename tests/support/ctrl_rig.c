#include "tests/support/ctrl_rig.h"

#include <criterion/criterion.h>
#include <string.h>

void ctrl_rig_create(struct ctrl_rig *rig, unsigned n_pairs, enum fake_transport how)
{
	const struct net_rig_options options = {
		.transport = how, .n_pairs = n_pairs, .second_loop = true,
	};

	memset(rig, 0, sizeof(*rig));
	net_rig_create(&rig->net, &options);
	rig->n_pairs = n_pairs;
}

void ctrl_rig_destroy(struct ctrl_rig *rig)
{
	net_rig_destroy(&rig->net);
}

static void add_buffer(struct ctrl_rig *rig, unsigned pair, uint64_t gpa)
{
	struct fake_buf buf = { gpa, CTRL_RIG_BUFFER, true };
	uint16_t head = device_rig_add(&rig->net.rig, 2 * pair, &buf, 1);

	rig->buffer[pair][head % RIG_QUEUE_SIZE] = gpa;
}

void ctrl_rig_start(struct ctrl_rig *rig, struct features features)
{
	bool has_pairs = features_has(&features, VIRTIO_NET_F_MQ) ||
			 features_has(&features, VIRTIO_NET_F_RSS);

	/* A ring that is kept in order or packed would not name the buffers as this rig does. */
	features_remove(&features, VIRTIO_F_RING_PACKED);
	rig->net.rig.next = 1 << 20;
	rig->n_open = has_pairs ? rig->n_pairs : 1;
	rig->ctrl = 2 * rig->n_open;
	rig->net.header_len = net_header_len(features);
	device_rig_start(&rig->net.rig, features, rig->ctrl + 1);
	rig->command = device_rig_alloc(&rig->net.rig, 4096);
	rig->ack = device_rig_alloc(&rig->net.rig, 4096);
	for (unsigned pair = 0; pair < rig->n_open; pair++)
		for (unsigned i = 0; i < CTRL_RIG_BUFFERS; i++)
			add_buffer(rig, pair, device_rig_alloc(&rig->net.rig, CTRL_RIG_BUFFER));
}

struct features ctrl_rig_features(struct ctrl_rig *rig, unsigned without)
{
	struct features f = fake_driver_offered(&rig->net.rig.driver);

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
	device_rig_add(&rig->net.rig, rig->ctrl, buf, n);
	return device_rig_wait(&rig->net.rig, rig->ctrl, NULL);
}

uint8_t ctrl_rig_command(struct ctrl_rig *rig, uint8_t class, uint8_t command, const void *data,
			size_t len)
{
	struct fake_buf buf[] = {
		{ rig->command, 2, false }, { rig->command + 2, (uint32_t)len, false },
		{ rig->ack, 1, true },
	};
	uint8_t *p = device_rig_at(&rig->net.rig, rig->command, 4096);
	uint8_t *ack = device_rig_at(&rig->net.rig, rig->ack, 1);

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
	event_loop_call(rig->net.rig.io, do_nothing, NULL);
	event_loop_call(rig->net.io2, do_nothing, NULL);
	event_loop_call(rig->net.rig.io, do_nothing, NULL);
}

static bool take(struct ctrl_rig *rig, unsigned pair)
{
	uint32_t head, len;

	if (!fake_ring_reap(&rig->net.rig.ring[2 * pair], &head, &len))
		return false;
	uint64_t gpa = rig->buffer[pair][head % RIG_QUEUE_SIZE];

	cr_assert_leq(len, CTRL_RIG_BUFFER);
	memcpy(rig->received, device_rig_at(&rig->net.rig, gpa, len), len);
	rig->received_len = len;
	add_buffer(rig, pair, gpa);
	return true;
}

int ctrl_rig_receive(struct ctrl_rig *rig, unsigned at, const void *frame, size_t len)
{
	int got = CTRL_RIG_LOST;

	settle(rig);
	fake_peer_inject(rig->net.peer, at, frame, len);
	settle(rig);
	for (unsigned pair = 0; pair < rig->n_open; pair++)
		if (take(rig, pair)) {
			cr_assert_eq(got, CTRL_RIG_LOST, "two drivers' queues have the frame");
			got = (int)pair;
		}
	if (got != CTRL_RIG_LOST) {
		cr_assert_eq(rig->received_len, rig->net.header_len + len);
		cr_assert_eq(memcmp(rig->received + rig->net.header_len, frame, len), 0);
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
