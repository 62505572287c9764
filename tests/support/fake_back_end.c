#include "tests/support/fake_back_end.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "virtio/features.h"
#include "vmm/base/clock.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum { PATIENCE_MS = 2000, HEADER = 12 };

/* --- what came ------------------------------------------------------------------------------- */

static void PRINTF_LIKE(2, 3) note(struct fake_back_end *b, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&b->lock);
	if (b->n_lines < FAKE_BACK_END_LINES) {
		va_start(ap, fmt);
		vsnprintf(b->line[b->n_lines++], sizeof(b->line[0]), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&b->lock);
}

void fake_back_end_clear(struct fake_back_end *b)
{
	pthread_mutex_lock(&b->lock);
	b->n_lines = 0;
	pthread_mutex_unlock(&b->lock);
}

static void read_lines(struct fake_back_end *b, char *buf, size_t size)
{
	size_t n = 0;

	pthread_mutex_lock(&b->lock);
	buf[0] = 0;
	for (unsigned i = 0; i < b->n_lines && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s\n", b->line[i]);
	pthread_mutex_unlock(&b->lock);
}

bool fake_back_end_saw(struct fake_back_end *b, const char *text)
{
	static char buf[FAKE_BACK_END_LINES * 97];

	for (unsigned i = 0; i < 100; i++) {
		read_lines(b, buf, sizeof(buf));
		if (strstr(buf, text))
			return true;
		usleep(10000);
	}
	return false;
}

void fake_back_end_expect(struct fake_back_end *b, const char *expected)
{
	static char buf[FAKE_BACK_END_LINES * 97];

	for (unsigned i = 0; i < 100; i++) {
		read_lines(b, buf, sizeof(buf));
		if (strcmp(buf, expected) == 0)
			break;
		usleep(10000);
	}
	cr_assert_str_eq(buf, expected);
	fake_back_end_clear(b);
}

/* --- messages -------------------------------------------------------------------------------- */

struct message {
	uint32_t request, flags, len;
	uint8_t payload[512];
	int fd[8];
	unsigned n_fds;
};

static bool read_all(int sock, void *buf, size_t len, struct message *m)
{
	size_t done = 0;

	while (done < len) {
		char control[CMSG_SPACE(sizeof(int) * 8)];
		struct iovec iov = { (char *)buf + done, len - done };
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return false;
		done += (size_t)n;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			unsigned k = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(m->fd + m->n_fds, CMSG_DATA(c), k * sizeof(int));
			m->n_fds += k;
		}
	}
	return true;
}

static bool read_message(int sock, struct message *m)
{
	uint8_t head[HEADER];

	memset(m, 0, sizeof(*m));
	if (!read_all(sock, head, sizeof(head), m))
		return false;
	m->request = load_le32(head);
	m->flags = load_le32(head + 4);
	m->len = load_le32(head + 8);
	return m->len <= sizeof(m->payload) && read_all(sock, m->payload, m->len, m);
}

static void send_bytes(int sock, const uint8_t *buf, size_t len, const int *fd, unsigned n_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * 64)];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fd, sizeof(int) * n_fds);
	}
	(void)!sendmsg(sock, &msg, MSG_NOSIGNAL);
}

/* Send an answer, or what 'fault' makes of it.  False: hang up. */
static bool answer(struct fake_back_end *b, const struct message *m, const void *payload,
		   uint32_t len, int fd, enum fake_back_end_fault fault)
{
	uint8_t buf[HEADER + 512];
	int fds[64];
	unsigned n_fds = fd != FD_NONE;
	size_t whole = HEADER + len;

	store_le32(buf, m->request);
	store_le32(buf + 4, VHOST_USER_VERSION | VHOST_USER_IS_REPLY);
	store_le32(buf + 8, len);
	memcpy(buf + HEADER, payload, len);
	for (unsigned i = 0; i < 64; i++)
		fds[i] = fd != FD_NONE ? fd : b->listen_fd;
	switch (fault) {
	case BACK_END_HANGS_UP_HALFWAY:
		send_bytes(b->sock, buf, HEADER + 3, fds, n_fds);
		return false;
	case BACK_END_SAYS_GARBAGE:
		memset(buf, 0xa5, whole);
		break;
	case BACK_END_SAYS_TOO_MUCH:
		store_le32(buf + 8, UINT32_MAX);
		break;
	case BACK_END_SAYS_TOO_LITTLE:
		store_le32(buf + 8, 0);
		whole = HEADER;
		break;
	case BACK_END_ANSWERS_ANOTHER:
		store_le32(buf, m->request + 1);
		break;
	case BACK_END_ASKS_BACK:
		store_le32(buf + 4, VHOST_USER_VERSION);
		break;
	case BACK_END_SENDS_FDS:
		n_fds = 3;
		break;
	case BACK_END_SENDS_MANY_FDS:
		n_fds = 40;
		break;
	case BACK_END_DRIBBLES:
		for (size_t i = 0; i < whole; i++)
			send_bytes(b->sock, buf + i, 1, fds, i == 0 ? n_fds : 0);
		return true;
	default:
		break;
	}
	send_bytes(b->sock, buf, whole, fds, n_fds);
	return true;
}

static bool answer_u64(struct fake_back_end *b, const struct message *m, uint64_t value,
		       enum fake_back_end_fault fault)
{
	uint8_t buf[8];

	store_le64(buf, value);
	return answer(b, m, buf, sizeof(buf), FD_NONE, fault);
}

/* --- what each means ------------------------------------------------------------------------- */

static void keep_fd(int *slot, struct message *m)
{
	fd_close(slot);
	if (m->n_fds == 1)
		*slot = m->fd[0];
	m->n_fds = 0;
}

static bool get_base(struct fake_back_end *b, const struct message *m,
		     enum fake_back_end_fault fault)
{
	unsigned i = load_le32(m->payload) % FAKE_BACK_END_RINGS;
	uint8_t buf[8];

	while (b->base_waits && !atomic_load(&b->base_may) && !atomic_load(&b->ends))
		usleep(1000);
	store_le32(buf, load_le32(m->payload));
	store_le32(buf + 4, b->ring[i].base + b->base_wrong);
	fd_close(&b->ring[i].kick);
	fd_close(&b->ring[i].call);
	return answer(b, m, buf, sizeof(buf), FD_NONE, fault);
}

static bool get_config(struct fake_back_end *b, const struct message *m,
		       enum fake_back_end_fault fault)
{
	uint8_t buf[HEADER + 256];
	unsigned len = load_le32(m->payload + 4);

	usleep(b->config_ms * 1000);
	memcpy(buf, m->payload, HEADER);
	memcpy(buf + HEADER, b->config, 256);
	return answer(b, m, buf, len > b->config_len ? 0 : HEADER + len, FD_NONE, fault);
}

static bool get_inflight(struct fake_back_end *b, const struct message *m,
			 enum fake_back_end_fault fault)
{
	uint8_t buf[24];

	memcpy(buf, m->payload, sizeof(buf));
	store_le64(buf, 4096);
	if (b->inflight_fd == FD_NONE)
		b->inflight_fd = memfd_create("inflight", MFD_CLOEXEC);
	return answer(b, m, buf, sizeof(buf), b->inflight_fd, fault);
}

static void note_message(struct fake_back_end *b, const struct message *m)
{
	uint32_t a = load_le32(m->payload), c = load_le32(m->payload + 4);
	const char *name = vhost_user_request_name(m->request) + strlen("VHOST_USER_");

	switch (m->request) {
	case VHOST_USER_SET_FEATURES:
	case VHOST_USER_SET_PROTOCOL_FEATURES:
	case VHOST_USER_SET_STATUS:
		note(b, "%s %llx", name, (unsigned long long)load_le64(m->payload));
		break;
	case VHOST_USER_SET_MEM_TABLE:
		note(b, "%s %u, fds %u", name, a, m->n_fds);
		break;
	case VHOST_USER_SET_VRING_NUM:
	case VHOST_USER_SET_VRING_BASE:
	case VHOST_USER_SET_VRING_ENABLE:
		note(b, "%s %u: %u", name, a, c);
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		note(b, "%s %u: %s", name, a, m->n_fds == 1 ? "fd" : "none");
		break;
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_SET_VRING_ADDR:
		note(b, "%s %u", name, a);
		break;
	case VHOST_USER_SET_CONFIG:
		note(b, "%s %u: %u bytes, %u", name, a, c, m->payload[HEADER]);
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
		note(b, "%s %s", name, m->n_fds == 1 ? "fd" : "none");
		break;
	default:
		note(b, "%s", name);
	}
}

static bool serve(struct fake_back_end *b, struct message *m, enum fake_back_end_fault fault)
{
	unsigned i = load_le32(m->payload) & 0xff;
	bool is_ring = i < FAKE_BACK_END_RINGS;

	while (m->request == VHOST_USER_SET_FEATURES && b->answers_wait &&
	       !atomic_load(&b->answers_may) && !atomic_load(&b->ends))
		usleep(1000);
	switch (m->request) {
	case VHOST_USER_GET_FEATURES:
		return answer_u64(b, m, b->features, fault);
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		return answer_u64(b, m, b->protocol, fault);
	case VHOST_USER_GET_QUEUE_NUM:
		return answer_u64(b, m, b->queues, fault);
	case VHOST_USER_GET_STATUS:
		return answer_u64(b, m, fault == BACK_END_REFUSES ? 3 : 0xf, fault);
	case VHOST_USER_GET_CONFIG:
		return get_config(b, m, fault);
	case VHOST_USER_GET_VRING_BASE:
		return get_base(b, m, fault);
	case VHOST_USER_GET_INFLIGHT_FD:
		return get_inflight(b, m, fault);
	case VHOST_USER_SET_VRING_NUM:
		if (is_ring)
			b->ring[i].size = load_le32(m->payload + 4);
		break;
	case VHOST_USER_SET_VRING_BASE:
		if (is_ring)
			b->ring[i].base = load_le32(m->payload + 4);
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		if (is_ring)
			b->ring[i].enabled = load_le32(m->payload + 4);
		break;
	case VHOST_USER_SET_VRING_KICK:
		if (is_ring)
			keep_fd(&b->ring[i].kick, m);
		break;
	case VHOST_USER_SET_VRING_CALL:
		if (is_ring)
			keep_fd(&b->ring[i].call, m);
		break;
	case VHOST_USER_SET_VRING_ERR:
		if (is_ring)
			keep_fd(&b->ring[i].err, m);
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		keep_fd(&b->channel, m);
		break;
	}
	if (m->flags & VHOST_USER_NEEDS_REPLY)
		return answer_u64(b, m, fault == BACK_END_REFUSES, fault);
	return true;
}

/* --- its life -------------------------------------------------------------------------------- */

static void forget(struct fake_back_end *b)
{
	for (unsigned i = 0; i < FAKE_BACK_END_RINGS; i++) {
		fd_close(&b->ring[i].kick);
		fd_close(&b->ring[i].call);
		fd_close(&b->ring[i].err);
		b->ring[i].enabled = 0;
	}
	fd_close(&b->channel);
}

static void serve_connection(struct fake_back_end *b)
{
	struct message m;
	bool goes_on = true, silent = false;

	while (goes_on && read_message(b->sock, &m)) {
		unsigned n = ++b->n_messages;
		enum fake_back_end_fault fault = n == b->fail_at ? b->fault : BACK_END_FINE;
		note_message(b, &m);
		silent |= fault == BACK_END_IS_SILENT;
		goes_on = fault != BACK_END_HANGS_UP && (silent || serve(b, &m, fault));
		for (unsigned i = 0; i < m.n_fds; i++)
			fd_close(&m.fd[i]);
	}
}

static void *live(void *arg)
{
	struct fake_back_end *b = arg;

	while (!atomic_load(&b->ends)) {
		struct pollfd p = { .fd = b->listen_fd, .events = POLLIN };
		if (atomic_load(&b->deaf) || poll(&p, 1, 10) <= 0) {
			usleep(1000);
			continue;
		}
		int sock = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (sock < 0)
			continue;
		pthread_mutex_lock(&b->lock);
		b->sock = sock;
		b->n_connections++;
		pthread_mutex_unlock(&b->lock);
		serve_connection(b);
		forget(b);
		pthread_mutex_lock(&b->lock);
		fd_close(&b->sock);
		pthread_mutex_unlock(&b->lock);
	}
	return NULL;
}

void fake_back_end_hang_up(struct fake_back_end *b, bool gone)
{
	if (gone) {
		cr_assert_eq(unlink(b->path), 0);
		fake_back_end_clear(b);
	}
	pthread_mutex_lock(&b->lock);
	if (b->sock != FD_NONE)
		shutdown(b->sock, SHUT_RDWR);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < PATIENCE_MS; i++) {
		pthread_mutex_lock(&b->lock);
		bool over = b->sock == FD_NONE;
		pthread_mutex_unlock(&b->lock);
		if (over)
			break;
		usleep(1000);
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0, "%s", strerror(errno));
	cr_assert_eq(listen(fd, 4), 0);
	return fd;
}

void fake_back_end_return(struct fake_back_end *b)
{
	int fd = listen_at(b->path);

	/* The thread polls the number. */
	cr_assert_geq(dup3(fd, b->listen_fd, O_CLOEXEC), 0);
	fd_close(&fd);
}

int fake_back_end_connect(struct fake_back_end *b)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", b->path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void fake_back_end_announce(struct fake_back_end *b, const void *bytes, unsigned len)
{
	uint8_t buf[HEADER];

	store_le32(buf, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	store_le32(buf + 4, VHOST_USER_VERSION | VHOST_USER_NEEDS_REPLY);
	store_le32(buf + 8, 0);
	cr_assert_neq(b->channel, FD_NONE);
	send_bytes(b->channel, len ? bytes : buf, len ? len : sizeof(buf), NULL, 0);
}

void fake_back_end_init(struct fake_back_end *b)
{
	static atomic_uint number;

	*b = (struct fake_back_end){
		.features = UINT64_C(1) << VIRTIO_F_VERSION_1 |
			    1u << VHOST_USER_F_PROTOCOL_FEATURES | 1u << VIRTIO_F_EVENT_IDX |
			    1u << VIRTIO_BLK_F_FLUSH | 1u << VIRTIO_BLK_F_MQ |
			    1u << VIRTIO_BLK_F_BLK_SIZE | 1u << VIRTIO_BLK_F_CONFIG_WCE |
			    1u << VHOST_F_LOG_ALL,
		.protocol = 1u << VHOST_USER_PROTOCOL_F_MQ | 1u << VHOST_USER_PROTOCOL_F_CONFIG |
			    1u << VHOST_USER_PROTOCOL_F_REPLY_ACK |
			    1u << VHOST_USER_PROTOCOL_F_BACKEND_REQ,
		.queues = FAKE_BACK_END_RINGS, .config_len = 60,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.sock = FD_NONE, .inflight_fd = FD_NONE, .channel = FD_NONE,
	};
	for (unsigned i = 0; i < FAKE_BACK_END_RINGS; i++)
		b->ring[i].kick = b->ring[i].call = b->ring[i].err = FD_NONE;
	store_le64(b->config, 2048);
	snprintf(b->path, sizeof(b->path), "/tmp/vireo-back-end-%d-%u", (int)getpid(), number++);
	unlink(b->path);
	b->listen_fd = listen_at(b->path);
	cr_assert_eq(pthread_create(&b->thread, NULL, live, b), 0);
}

void fake_back_end_fini(struct fake_back_end *b)
{
	atomic_store(&b->ends, true);
	fake_back_end_hang_up(b, false);
	pthread_join(b->thread, NULL);
	fd_close(&b->listen_fd);
	fd_close(&b->inflight_fd);
	unlink(b->path);
}
