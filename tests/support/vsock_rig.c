#include "tests/support/vsock_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "vmm/base/fd.h"

enum { WAIT_MS = 20000 };

struct vsock_rig vsock_rig;

void vsock_rig_setup(void)
{
	struct vsock_rig *v = &vsock_rig;
	struct virtio_vsock_config config = {
		.name = "vsock", .cid = VSOCK_RIG_CID, .vhost = VIRTIO_OFFLOAD_OFF,
		.vhost_fd = FD_NONE, .socket = v->path,
	};
	struct virtio_device *dev;

	memset(v, 0, sizeof(*v));
	strcpy(v->dir, "/tmp/vireo-vsock-XXXXXX");
	cr_assert_not_null(mkdtemp(v->dir));
	snprintf(v->path, sizeof(v->path), "%s/sock", v->dir);
	device_rig_create(&v->rig);
	config.loop = v->rig.io;
	cr_assert_eq(virtio_vsock_create(&dev, &config), 0);
	device_rig_plug(&v->rig, dev, FAKE_MMIO);
}

void vsock_rig_teardown(void)
{
	char command[80];

	device_rig_destroy(&vsock_rig.rig);
	snprintf(command, sizeof(command), "rm -rf '%s'", vsock_rig.dir);
	cr_assert_eq(system(command), 0);
}

void vsock_rig_supply(unsigned n, uint32_t len)
{
	struct vsock_rig *v = &vsock_rig;

	for (unsigned i = 0; i < n; i++) {
		uint64_t addr = device_rig_alloc(&v->rig, len);
		unsigned at = v->n_rx++;

		cr_assert_lt(at, (unsigned)RIG_QUEUE_SIZE);
		v->rx[at].addr = addr;
		v->rx[at].len = len;
		v->rx[at].head = device_rig_add(&v->rig, 0,
						&(struct fake_buf){ addr, len, true }, 1);
	}
}

void vsock_rig_start_without(uint64_t without, unsigned n_rx)
{
	struct vsock_rig *v = &vsock_rig;
	struct features f = FEATURES_EMPTY;

	f.word[0] = 7 & ~without;
	features_add(&f, VIRTIO_F_VERSION_1);
	v->n_rx = 0;
	device_rig_start(&v->rig, f, 3);
	v->tx_header = device_rig_alloc(&v->rig, VSOCK_HEADER_LEN);
	v->tx_payload = device_rig_alloc(&v->rig, VSOCK_RIG_PAYLOAD);
	vsock_rig_supply(n_rx, VSOCK_RIG_BUFFER);
}

void vsock_rig_start(void)
{
	vsock_rig_start_without(0, 16);
}

struct vsock_packet vsock_rig_packet(const struct vsock_guest *g, enum vsock_op op)
{
	return (struct vsock_packet){
		.src_cid = VSOCK_RIG_CID,
		.dst_cid = VSOCK_CID_HOST,
		.src_port = g->guest_port,
		.dst_port = g->host_port,
		.type = (uint16_t)g->type,
		.op = (uint16_t)op,
		.buf_alloc = g->buf_alloc,
		.fwd_cnt = g->fwd_cnt,
	};
}

void vsock_rig_offer(const struct vsock_packet *p)
{
	struct vsock_rig *v = &vsock_rig;
	struct fake_buf buf[] = {
		{ v->tx_header, VSOCK_HEADER_LEN, false },
		{ v->tx_payload, p->len, false },
	};

	vsock_packet_store(p, device_rig_at(&v->rig, v->tx_header, VSOCK_HEADER_LEN));
	device_rig_add(&v->rig, 1, buf, p->len > 0 ? 2 : 1);
}

void vsock_rig_send(const struct vsock_packet *p, const void *payload)
{
	struct vsock_rig *v = &vsock_rig;

	cr_assert_leq(p->len, (uint32_t)VSOCK_RIG_PAYLOAD);
	if (p->len > 0)
		memcpy(device_rig_at(&v->rig, v->tx_payload, p->len), payload, p->len);
	vsock_rig_offer(p);
	cr_assert_eq(device_rig_wait(&v->rig, 1, NULL), 0);
}

void vsock_rig_say(const struct vsock_guest *g, enum vsock_op op, uint32_t flags)
{
	struct vsock_packet p = vsock_rig_packet(g, op);

	p.flags = flags;
	vsock_rig_send(&p, NULL);
}

void vsock_rig_write(const struct vsock_guest *g, const void *data, uint32_t len, uint32_t flags)
{
	struct vsock_packet p = vsock_rig_packet(g, VSOCK_OP_RW);

	p.len = len;
	p.flags = flags;
	vsock_rig_send(&p, data);
}

/* Take the packet of the used entry out of its buffer, which becomes free. */
static struct vsock_packet take(uint32_t head, uint32_t used, void *payload, uint32_t *len)
{
	struct vsock_rig *v = &vsock_rig;
	struct vsock_packet p;
	unsigned i = 0;

	while (i < v->n_rx && v->rx[i].head != head)
		i++;
	cr_assert_lt(i, v->n_rx);
	cr_assert_geq(used, (uint32_t)VSOCK_HEADER_LEN);
	cr_assert_leq(used, v->rx[i].len);
	const uint8_t *wire = device_rig_at(&v->rig, v->rx[i].addr, used);
	vsock_packet_load(&p, wire);
	cr_assert_eq(p.len, used - VSOCK_HEADER_LEN);
	if (payload)
		memcpy(payload, wire + VSOCK_HEADER_LEN, p.len);
	else
		cr_assert_eq(p.len, 0, "a packet with a payload: op %u, %u bytes", p.op, p.len);
	*len = i;
	return p;
}

struct vsock_packet vsock_rig_receive_last(void *payload)
{
	uint32_t head, used = device_rig_wait(&vsock_rig.rig, 0, &head), i;
	struct vsock_packet p = take(head, used, payload, &i);

	vsock_rig.rx[i] = vsock_rig.rx[--vsock_rig.n_rx];
	return p;
}

struct vsock_packet vsock_rig_receive(void *payload)
{
	struct vsock_rig *v = &vsock_rig;
	uint32_t head, used = device_rig_wait(&v->rig, 0, &head), i;
	struct vsock_packet p = take(head, used, payload, &i);

	v->rx[i].head = device_rig_add(&v->rig, 0,
				       &(struct fake_buf){ v->rx[i].addr, v->rx[i].len, true }, 1);
	return p;
}

static void check_ports(const struct vsock_guest *g, const struct vsock_packet *p)
{
	cr_assert_eq(p->src_cid, (uint64_t)VSOCK_CID_HOST);
	cr_assert_eq(p->dst_cid, (uint64_t)VSOCK_RIG_CID);
	cr_assert_eq(p->src_port, g->host_port);
	cr_assert_eq(p->dst_port, g->guest_port);
	cr_assert_eq(p->type, g->type);
}

struct vsock_packet vsock_rig_expect(const struct vsock_guest *g, enum vsock_op op)
{
	struct vsock_packet p = vsock_rig_receive(NULL);

	cr_assert_eq(p.op, op, "op %u, expected %u", p.op, op);
	check_ports(g, &p);
	return p;
}

struct vsock_packet vsock_rig_await(const struct vsock_guest *g, enum vsock_op op)
{
	struct vsock_packet p;

	do
		p = vsock_rig_receive(NULL);
	while (p.op != op && (p.op == VSOCK_OP_CREDIT_UPDATE || p.op == VSOCK_OP_SHUTDOWN ||
			      p.op == VSOCK_OP_CREDIT_REQUEST));
	cr_assert_eq(p.op, op, "op %u, expected %u", p.op, op);
	check_ports(g, &p);
	return p;
}

bool vsock_rig_is_silent(void)
{
	usleep(30000);
	fake_machine_pump(vsock_rig.rig.machine);
	return !fake_ring_has_used(&vsock_rig.rig.ring[0]);
}

static struct sockaddr_un address_of(const char *suffix)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", vsock_rig.path, suffix);
	return a;
}

static int host_socket(enum vsock_type type)
{
	int fd = socket(AF_UNIX, type == VSOCK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET, 0);

	cr_assert_geq(fd, 0);
	return fd;
}

int vsock_rig_listen(uint32_t port, enum vsock_type type)
{
	char suffix[16];
	int fd = host_socket(type);

	snprintf(suffix, sizeof(suffix), "_%u", port);
	struct sockaddr_un a = address_of(suffix);
	cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(fd, 64), 0);
	return fd;
}

int vsock_rig_client(enum vsock_type type)
{
	struct sockaddr_un a = address_of(type == VSOCK_STREAM ? "" : ".seqpacket");
	int fd = host_socket(type);

	cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

int vsock_rig_connect(const struct vsock_guest *g, int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	vsock_rig_say(g, VSOCK_OP_REQUEST, 0);
	vsock_rig_expect(g, VSOCK_OP_RESPONSE);
	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	int fd = accept(listener, NULL, NULL);
	cr_assert_geq(fd, 0);
	return fd;
}

void vsock_rig_read_all(int fd, void *buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (size_t done = 0; done < len;) {
		cr_assert_eq(poll(&p, 1, WAIT_MS), 1, "%zu bytes of %zu came", done, len);
		ssize_t r = read(fd, (char *)buf + done, len - done);
		cr_assert_gt(r, 0, "%zu bytes of %zu came", done, len);
		done += (size_t)r;
	}
}

bool vsock_rig_at_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	ssize_t r = recv(fd, &byte, 1, MSG_PEEK);
	return r == 0 || (r < 0 && errno == ECONNRESET);
}
