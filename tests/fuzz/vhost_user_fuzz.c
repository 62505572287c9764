/*
 * Anything as what a vhost-user back end says, in any pieces and with any descriptors, to a front
 * end that goes up and down its ladder.  The oracle: a node that broke stays so, for the same
 * reason; nothing is written beside what was asked for; no descriptor is left open; what is
 * awaited is bounded; and who hung up is not waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"
#include "vhost/vhost_user_node.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { N_RINGS = 3, CONFIG_LEN = 60, CANARY = 0x5c, MAX_ANSWERS = 64 };

static int spare_fd;

static void send_with_fds(int sock, const uint8_t *buf, size_t len, unsigned n_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * 32)];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (unsigned i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &spare_fd, sizeof(int));
	}
	(void)!sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* An answer as it should be to 'request', but for what the input changes. */
static void answer(struct fuzz_input *in, int sock, uint32_t request, uint32_t len)
{
	uint8_t buf[VHOST_USER_HEADER_LEN + VHOST_USER_PAYLOAD_MAX];
	unsigned how = fuzz_u8(in), n_fds = 0;

	memset(buf, 0, sizeof(buf));
	if (how & 1)
		request = fuzz_u8(in);
	if (how & 2)
		len = fuzz_u16(in) % (VHOST_USER_PAYLOAD_MAX + 2);
	store_le32(buf, request);
	store_le32(buf + 4, how & 4 ? fuzz_u8(in) : VHOST_USER_VERSION | VHOST_USER_IS_REPLY);
	store_le32(buf + 8, how & 8 ? fuzz_u32(in) : len);
	for (uint32_t i = 0; i < len && VHOST_USER_HEADER_LEN + i < sizeof(buf); i++)
		buf[VHOST_USER_HEADER_LEN + i] = how & 16 ? fuzz_u8(in) : 0xff * (how >> 7);
	if (how & 32)
		n_fds = fuzz_u8(in) % 32;
	size_t whole = min_u64(VHOST_USER_HEADER_LEN + len, sizeof(buf));

	if (how & 64) {
		size_t cut = fuzz_u8(in) % (whole + 1);
		if (cut > 0)
			send_with_fds(sock, buf, cut, n_fds);
		if (cut < whole)
			send_with_fds(sock, buf + cut, whole - cut, n_fds);
		return;
	}
	send_with_fds(sock, buf, whole, n_fds);
}

/* All that is said, in the order in which it would be asked for; what is left over is raw. */
static void speak(struct fuzz_input *in, int sock)
{
	static const struct { uint32_t request, len; } usual[] = {
		{ VHOST_USER_GET_FEATURES, 8 }, { VHOST_USER_GET_PROTOCOL_FEATURES, 8 },
		{ VHOST_USER_GET_QUEUE_NUM, 8 }, { VHOST_USER_GET_CONFIG, 12 + CONFIG_LEN },
		{ VHOST_USER_GET_INFLIGHT_FD, 24 }, { VHOST_USER_SET_INFLIGHT_FD, 8 },
		{ VHOST_USER_SET_FEATURES, 8 }, { VHOST_USER_GET_STATUS, 8 },
		{ VHOST_USER_SET_MEM_TABLE, 8 }, { VHOST_USER_SET_VRING_ADDR, 8 },
		{ VHOST_USER_SET_CONFIG, 8 }, { VHOST_USER_GET_VRING_BASE, 8 },
	};

	for (unsigned n = 0; in->len > 0 && n < MAX_ANSWERS; n++) {
		unsigned which = fuzz_u8(in) % (ARRAY_SIZE(usual) + 1);
		if (which < ARRAY_SIZE(usual)) {
			answer(in, sock, usual[which].request, usual[which].len);
			continue;
		}
		uint8_t raw[32];
		unsigned len = fuzz_u8(in) % sizeof(raw) + 1;
		for (unsigned i = 0; i < len; i++)
			raw[i] = fuzz_u8(in);
		send_with_fds(sock, raw, len, 0);
	}
}

static void expect(struct vhost_user_node *n, int broken_before, int r)
{
	CHECK(r <= 0);
	if (broken_before)
		CHECK(n->broken == broken_before && r < 0);
	CHECK(n->n_awaited <= N_RINGS);
	CHECK(n->broken <= 0 && n->broken != -ETIMEDOUT);
	error_clear();
}

#define STEP(call)									\
	do {										\
		int broken_before = n->broken;						\
		expect(n, broken_before, (call));					\
	} while (0)

static void climb(struct vhost_user_node *n)
{
	const struct vhost_ops *ops = n->node.ops;
	struct features f = { { UINT64_C(1) << VIRTIO_F_VERSION_1, 0 } };
	struct vhost_memory_table table = {
		.n = 1, .region[0] = { .gpa = 0, .size = 4096, .host = 4096, .fd = spare_fd },
	};
	const struct vhost_ring_addr addr = { .desc = 4096, .avail = 4096, .used = 4096 };

	STEP(ops->set_features(&n->node, &f));
	STEP(ops->set_memory(&n->node, &table));
	for (unsigned i = 0; i < N_RINGS; i++) {
		STEP(ops->set_ring_size(&n->node, i, 16));
		STEP(ops->set_ring_base(&n->node, i, 0));
		STEP(ops->set_ring_addr(&n->node, i, &addr));
		STEP(ops->set_ring_err(&n->node, i, spare_fd));
		STEP(ops->set_ring_call(&n->node, i, spare_fd));
		STEP(ops->set_ring_kick(&n->node, i, spare_fd));
	}
	STEP(vhost_user_node_running(n));
	for (unsigned i = 0; i < N_RINGS; i++)
		STEP(vhost_user_node_run(n, i));
}

static void come_down(struct vhost_user_node *n)
{
	for (unsigned i = 0; i < N_RINGS; i++)
		vhost_user_node_begin_stop(n, i);
	/* Whatever it said is there; it hung up behind that. */
	CHECK(vhost_user_node_is_stopped(n));
	for (unsigned i = 0; i < N_RINGS; i++) {
		uint32_t base;
		(void)!n->node.ops->get_ring_base(&n->node, i, &base);
	}
	vhost_user_node_reset(n);
}

static void live(struct vhost_user_node *n)
{
	uint8_t config[CONFIG_LEN + 16];
	struct vhost_user_inflight inflight = {
		.fd = FD_NONE, .n_rings = N_RINGS, .ring_size = 16,
	};

	vhost_user_node_greet(n);
	STEP(vhost_user_node_agree(n, true, spare_fd));
	memset(config, CANARY, sizeof(config));
	STEP(vhost_user_node_get_config(n, config, CONFIG_LEN));
	for (unsigned i = CONFIG_LEN; i < sizeof(config); i++)
		CHECK(config[i] == CANARY);
	STEP(vhost_user_node_get_inflight(n, &inflight));
	if (inflight.fd != FD_NONE) {
		CHECK(inflight.size > 0);
		STEP(vhost_user_node_set_inflight(n, &inflight));
	}
	fd_close(&inflight.fd);
	climb(n);
	STEP(vhost_user_node_set_config(n, 32, config, 1));
	come_down(n);
}

/* The lowest number that is free: it stays the same if nothing is left open. */
static int next_fd(void)
{
	int fd = dup(spare_fd), number = fd;

	fd_close(&fd);
	return number;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	struct vhost_user_node *n;
	int pair[2], before;

	if (spare_fd == 0)
		spare_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	before = next_fd();
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	speak(&in, pair[1]);
	shutdown(pair[1], SHUT_WR);
	CHECK(vhost_user_node_create(&n, pair[0]) == 0);
	vhost_user_node_give_time(n, 10000);
	live(n);
	n->node.ops->close(&n->node);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	CHECK(next_fd() == before);
	return 0;
}
