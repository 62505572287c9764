#include "tests/support/user_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/net_checksum.h"
#include "tests/support/loop_pump.h"

static void on_readable(void *arg, unsigned pair)
{
	struct user_rig *rig = arg;

	cr_expect_eq(pair, 0u);
	rig->readable++;
}

static void on_writable(void *arg, unsigned pair)
{
	(void)arg;
	(void)pair;
}

void user_rig_open(struct user_rig *rig, const char *const *forward, bool restrict_guest)
{
	struct net_user_config config = {
		.name = "net0", .forward = forward, .restrict_guest = restrict_guest, .ipv6 = true,
	};

	while (forward && forward[config.n_forwards])
		config.n_forwards++;
	memset(rig, 0, sizeof(*rig));
	cr_assert_eq(event_loop_create(&rig->loop, "user"), 0);
	cr_assert_eq(net_user_create(&rig->peer, &config), 0);

	struct net_peer_start start = {
		.header_len = USER_RIG_HEADER, .n_pairs = 1, .loop = &rig->loop,
		.readable = on_readable, .writable = on_writable, .arg = rig,
	};
	cr_assert_eq(rig->peer->ops->start(rig->peer, &start), 0);
	loop_pump(rig->loop);
}

void user_rig_close(struct user_rig *rig)
{
	if (rig->peer) {
		rig->peer->ops->stop(rig->peer);
		rig->peer->ops->destroy(rig->peer);
	}
	event_loop_destroy(rig->loop);
	memset(rig, 0, sizeof(*rig));
}

void user_rig_send_with(struct user_rig *rig, const uint8_t header[USER_RIG_HEADER],
			const void *frame, size_t len)
{
	uint8_t copy[USER_RIG_HEADER];
	size_t first = len / 2;
	const struct iovec iov[] = {
		{ copy, sizeof(copy) },
		{ (void *)(uintptr_t)frame, first },
		{ (uint8_t *)(uintptr_t)frame + first, len - first },
	};

	memcpy(copy, header, sizeof(copy));
	cr_assert_eq(rig->peer->ops->send(rig->peer, 0, iov, 3), 0);
}

void user_rig_send(struct user_rig *rig, const void *frame, size_t len)
{
	static const uint8_t header[USER_RIG_HEADER];

	user_rig_send_with(rig, header, frame, len);
}

bool user_rig_receive(struct user_rig *rig, unsigned timeout_ms)
{
	const struct iovec iov[] = { { rig->header, 7 }, { rig->header + 7, USER_RIG_HEADER - 7 },
				     { rig->frame, sizeof(rig->frame) } };

	for (unsigned ms = 0;; ms++) {
		loop_pump(rig->loop);
		ssize_t r = rig->peer->ops->receive(rig->peer, 0, iov, 3);
		if (r > 0) {
			rig->len = (size_t)r - USER_RIG_HEADER;
			return true;
		}
		cr_assert_eq(r, 0);
		if (ms >= timeout_ms)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* Not that of the kernel's headers, which is for interfaces. */
static size_t arp(uint8_t *frame, uint8_t operation, uint32_t from, uint32_t to)
{
	static const uint8_t head[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0 };

	memset(frame, 0, 42);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x52\x54\0\0\0\1", 6);
	memcpy(frame + 12, head, sizeof(head));
	frame[21] = operation;
	memcpy(frame + 22, frame + 6, 6);
	from = htonl(from);
	to = htonl(to);
	memcpy(frame + 28, &from, 4);
	memcpy(frame + 38, &to, 4);
	return 42;
}

void user_rig_announce(struct user_rig *rig)
{
	uint8_t frame[42];

	user_rig_send(rig, frame, arp(frame, 1, USER_RIG_GUEST, USER_RIG_HOST));
}

bool user_rig_await(struct user_rig *rig, uint8_t protocol, unsigned timeout_ms)
{
	while (user_rig_receive(rig, timeout_ms)) {
		if (rig->frame[12] == 8 && rig->frame[13] == 0 && rig->frame[23] == protocol)
			return true;
		if (rig->frame[12] == 8 && rig->frame[13] == 6 && rig->frame[21] == 1)
			user_rig_announce(rig);
	}
	return false;
}

size_t user_rig_ipv4(uint8_t *frame, uint8_t protocol, uint32_t from, uint32_t to,
		     const void *payload, size_t len)
{
	uint8_t *ip = frame + 14;
	uint16_t total = htons((uint16_t)(20 + len));

	memset(frame, 0, 34);
	memcpy(frame, "\x52\x55\x0a\0\2\2", 6);
	memcpy(frame + 6, "\x52\x54\0\0\0\1", 6);
	frame[12] = 8;
	ip[0] = 0x45;
	memcpy(ip + 2, &total, 2);
	ip[8] = 64;
	ip[9] = protocol;
	from = htonl(from);
	to = htonl(to);
	memcpy(ip + 12, &from, 4);
	memcpy(ip + 16, &to, 4);
	net_checksum(ip + 10, ip, 20);
	memcpy(ip + 20, payload, len);
	return 34 + len;
}

static void store_be16(uint8_t *p, uint16_t v)
{
	v = htons(v);
	memcpy(p, &v, 2);
}

static void store_be32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

size_t user_rig_tcp(uint8_t *frame, const struct user_tcp *t, const void *data, size_t len)
{
	static uint8_t segment[12 + 20 + 65536];
	uint8_t *tcp = segment + 12;

	memset(segment, 0, 32);
	store_be32(segment, USER_RIG_GUEST);
	store_be32(segment + 4, t->to);
	segment[9] = IPPROTO_TCP;
	store_be16(segment + 10, (uint16_t)(20 + len));
	store_be16(tcp, t->from_port);
	store_be16(tcp + 2, t->to_port);
	store_be32(tcp + 4, t->seq);
	store_be32(tcp + 8, t->ack);
	tcp[12] = 5 << 4;
	tcp[13] = t->flags;
	store_be16(tcp + 14, t->window);
	memcpy(tcp + 20, data, len);
	net_checksum(tcp + 16, segment, 32 + len);
	return user_rig_ipv4(frame, IPPROTO_TCP, USER_RIG_GUEST, t->to, tcp, 20 + len);
}

int user_rig_socket(int type, uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	if (type == SOCK_STREAM)
		cr_assert_eq(listen(fd, 64), 0);
	*port = ntohs(address.sin_port);
	return fd;
}
