#include "vhost/vhost_user_message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "vmm/base/clock.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

/* Whoever sends more in one message is cut off by the kernel, which closes the rest. */
enum { CONTROL_FDS = VHOST_USER_MAX_FDS };

union control {
	char buf[CMSG_SPACE(sizeof(int) * CONTROL_FDS)];
	struct cmsghdr align;
};

const char *vhost_user_request_name(uint32_t request)
{
#define NAME(symbol) case symbol: return #symbol
	switch (request) {
	NAME(VHOST_USER_GET_FEATURES);
	NAME(VHOST_USER_SET_FEATURES);
	NAME(VHOST_USER_SET_OWNER);
	NAME(VHOST_USER_SET_MEM_TABLE);
	NAME(VHOST_USER_SET_VRING_NUM);
	NAME(VHOST_USER_SET_VRING_ADDR);
	NAME(VHOST_USER_SET_VRING_BASE);
	NAME(VHOST_USER_GET_VRING_BASE);
	NAME(VHOST_USER_SET_VRING_KICK);
	NAME(VHOST_USER_SET_VRING_CALL);
	NAME(VHOST_USER_SET_VRING_ERR);
	NAME(VHOST_USER_GET_PROTOCOL_FEATURES);
	NAME(VHOST_USER_SET_PROTOCOL_FEATURES);
	NAME(VHOST_USER_GET_QUEUE_NUM);
	NAME(VHOST_USER_SET_VRING_ENABLE);
	NAME(VHOST_USER_SET_BACKEND_REQ_FD);
	NAME(VHOST_USER_GET_CONFIG);
	NAME(VHOST_USER_SET_CONFIG);
	NAME(VHOST_USER_GET_INFLIGHT_FD);
	NAME(VHOST_USER_SET_INFLIGHT_FD);
	NAME(VHOST_USER_RESET_DEVICE);
	NAME(VHOST_USER_SET_STATUS);
	NAME(VHOST_USER_GET_STATUS);
	}
#undef NAME
	return "a message of vhost-user";
}

/* --- waiting --------------------------------------------------------------------------------- */

static int wait_for(int sock, short events, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = { .fd = sock, .events = events };
		uint64_t now = clock_now_ms();
		if (now >= deadline_ms)
			return -ETIMEDOUT;
		int r = poll(&p, 1, (int)min_u64(deadline_ms - now, 60000));
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

/* --- out ------------------------------------------------------------------------------------- */

static void attach_fds(struct msghdr *msg, union control *control,
		       const struct vhost_user_message *m)
{
	memset(control, 0, sizeof(*control));
	msg->msg_control = control->buf;
	msg->msg_controllen = CMSG_SPACE(sizeof(int) * m->n_fds);
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * m->n_fds);
	memcpy(CMSG_DATA(c), m->fd, sizeof(int) * m->n_fds);
}

int vhost_user_send(int sock, const struct vhost_user_message *m, uint64_t deadline_ms)
{
	uint8_t buf[VHOST_USER_HEADER_LEN + VHOST_USER_PAYLOAD_MAX];
	size_t len = VHOST_USER_HEADER_LEN + m->len, done = 0;
	union control control;

	store_le32(buf, m->request);
	store_le32(buf + 4, m->flags);
	store_le32(buf + 8, m->len);
	memcpy(buf + VHOST_USER_HEADER_LEN, m->payload, m->len);
	while (done < len) {
		struct iovec iov = { .iov_base = buf + done, .iov_len = len - done };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		/* They go with the first byte. */
		if (done == 0 && m->n_fds > 0)
			attach_fds(&msg, &control, m);
		ssize_t n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return errno == ECONNRESET ? -EPIPE : -errno;
		int r = wait_for(sock, POLLOUT, deadline_ms);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- in -------------------------------------------------------------------------------------- */

void vhost_user_close_fds(struct vhost_user_message *m)
{
	for (unsigned i = 0; i < m->n_fds; i++)
		fd_close(&m->fd[i]);
	m->n_fds = 0;
}

void vhost_user_reader_clear(struct vhost_user_reader *r)
{
	for (unsigned i = 0; i < r->n_fds; i++)
		fd_close(&r->fd[i]);
	r->n_fds = r->have = 0;
}

/* Everything is taken from the kernel's hands first, so that nothing leaks.  False: too many. */
static bool take_fds(struct vhost_user_reader *r, struct msghdr *msg)
{
	bool fits = !(msg->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (r->n_fds < VHOST_USER_MAX_FDS) {
				r->fd[r->n_fds++] = fd;
				continue;
			}
			fd_close(&fd);
			fits = false;
		}
	}
	return fits;
}

static int read_some(struct vhost_user_reader *r, int sock, size_t want)
{
	union control control;
	struct iovec iov = { .iov_base = r->buf + r->have, .iov_len = want };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (!take_fds(r, &msg))
		return -EPROTO;
	if (n == 0)
		return -EPIPE;
	r->have += (unsigned)n;
	return 0;
}

/* How many bytes there must be of the message that begins with what is there.  0: it cannot be. */
static size_t whole_len(const struct vhost_user_reader *r)
{
	uint32_t len;

	if (r->have < VHOST_USER_HEADER_LEN)
		return VHOST_USER_HEADER_LEN;
	len = load_le32(r->buf + 8);
	return len <= VHOST_USER_PAYLOAD_MAX ? VHOST_USER_HEADER_LEN + (size_t)len : 0;
}

int vhost_user_read(struct vhost_user_reader *r, int sock, struct vhost_user_message *m)
{
	size_t whole;

	while ((whole = whole_len(r)) > r->have) {
		int n = read_some(r, sock, whole - r->have);
		if (n < 0)
			return n;
	}
	if (whole == 0)
		return -EPROTO;
	*m = (struct vhost_user_message){
		.request = load_le32(r->buf),
		.flags = load_le32(r->buf + 4),
		.len = load_le32(r->buf + 8),
		.n_fds = r->n_fds,
	};
	memcpy(m->payload, r->buf + VHOST_USER_HEADER_LEN, m->len);
	memcpy(m->fd, r->fd, sizeof(r->fd));
	r->have = r->n_fds = 0;
	return 0;
}

int vhost_user_read_until(struct vhost_user_reader *r, int sock, struct vhost_user_message *m,
			  uint64_t deadline_ms)
{
	for (;;) {
		int n = vhost_user_read(r, sock, m);
		if (n != -EAGAIN)
			return n;
		n = wait_for(sock, POLLIN, deadline_ms);
		if (n < 0)
			return n;
	}
}
