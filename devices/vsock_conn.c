#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "devices/vsock_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"

/* Before each message in 'out'. */
enum { MARK = 4 };
/* The most that 'out' holds: as many messages of one byte as there is credit for. */
#define OUT_MAX ((uint32_t)VSOCK_BUF_ALLOC * (MARK + 1))

/* --- What the guest is to be told ------------------------------------------------------------ */

void vsock_conn_set_ready(struct vsock_conn *conn, unsigned tell)
{
	conn->tell |= tell;
	if (!vsock_link_is_in(&conn->ready))
		vsock_link_append(&conn->hub->ready, &conn->ready);
}

void vsock_conn_kill(struct vsock_conn *conn)
{
	if (conn->state == VSOCK_HELLO ||
	    (conn->state == VSOCK_ASKED && conn->tell & VSOCK_TELL_REQUEST)) {
		vsock_conn_free(conn);
		return;
	}
	event_loop_remove(&conn->source);
	fd_close(&conn->source.fd);
	vsock_fifo_clear(&conn->out, &conn->hub->budget);
	vsock_fifo_clear(&conn->in, &conn->hub->budget);
	conn->complete = 0;
	conn->state = VSOCK_DYING;
	conn->deadline_ns = 0;
	conn->tell = 0;
	vsock_conn_set_ready(conn, VSOCK_TELL_RST);
}

/*
 * The host's side is through with one direction or both: say so.  When both are, the guest shall
 * answer with a RST.  virtio-v1.4 5.10.6.5 "Stream Sockets"
 */
static void tell_end(struct vsock_conn *conn)
{
	uint8_t shut = conn->own_shut;

	if (conn->eof && conn->in.len == 0)
		shut |= VSOCK_SHUT_SEND;
	if (conn->write_dead || (conn->eof && (conn->hup || conn->write_shut)))
		shut |= VSOCK_SHUT_RECEIVE;
	if (shut == conn->own_shut)
		return;
	conn->own_shut = shut;
	vsock_conn_set_ready(conn, VSOCK_TELL_SHUTDOWN);
	if (shut == VSOCK_SHUT_BOTH && conn->deadline_ns == 0)
		vsock_conn_set_deadline(conn, VSOCK_CLOSE_MS);
}

/* --- From the guest to the socket ------------------------------------------------------------ */

static void consumed(struct vsock_conn *conn, uint32_t len)
{
	conn->credit.fwd_cnt += len;
	if (vsock_credit_update_is_due(&conn->credit))
		vsock_conn_set_ready(conn, VSOCK_TELL_CREDIT);
}

/* What is still there for the socket: all of it can be delivered. */
static uint32_t unsent(const struct vsock_conn *conn)
{
	return conn->type == VSOCK_STREAM ? conn->out.len : conn->complete;
}

static ssize_t send_iov(const struct vsock_conn *conn, struct iovec *iov, unsigned n)
{
	const struct msghdr message = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t r;

	do
		r = sendmsg(conn->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Nobody reads any more: what waits is lost, as with any socket. */
static void write_died(struct vsock_conn *conn)
{
	uint32_t lost = conn->credit.rx_cnt - conn->credit.fwd_cnt;

	conn->write_dead = true;
	vsock_fifo_clear(&conn->out, &conn->hub->budget);
	conn->complete = 0;
	conn->in_message = false;
	consumed(conn, lost);
	tell_end(conn);
}

static void write_stream(struct vsock_conn *conn, const struct iovec *iov, unsigned n,
			 uint32_t len)
{
	struct vsock_hub *hub = conn->hub;
	ssize_t done = 0;

	if (conn->out.len == 0) {
		done = send_iov(conn, hub->iov, iov_slice(hub->iov, iov, n, VSOCK_HEADER_LEN, len));
		if (done == -EAGAIN)
			done = 0;
		if (done < 0) {
			write_died(conn);
			return;
		}
		consumed(conn, (uint32_t)done);
	}
	if (done < len && vsock_fifo_put(&conn->out, &hub->budget, iov, n,
					 VSOCK_HEADER_LEN + (size_t)done,
					 len - (uint32_t)done) < 0)
		vsock_conn_kill(conn);
}

/* The usual message: it came in one packet, and the socket takes it.  False: it is not that. */
static bool write_message_at_once(struct vsock_conn *conn, const struct iovec *iov, unsigned n,
				  uint32_t len)
{
	struct vsock_hub *hub = conn->hub;
	ssize_t r;

	if (conn->out.len > 0)
		return false;
	r = send_iov(conn, hub->iov, iov_slice(hub->iov, iov, n, VSOCK_HEADER_LEN, len));
	if (r == -EAGAIN)
		return false;
	if (r >= 0)
		consumed(conn, len);
	else if (r == -EMSGSIZE)
		vsock_conn_kill(conn);
	else
		write_died(conn);
	return true;
}

/* Into 'out', behind a mark that gets its length when the message is complete. */
static int collect_message(struct vsock_conn *conn, const struct iovec *iov, unsigned n,
			   uint32_t len, bool ends)
{
	const struct iovec mark = { (uint32_t[]){ 0 }, MARK };
	uint64_t *budget = &conn->hub->budget;
	int r = 0;

	if (conn->out.len + MARK + len > OUT_MAX)
		return -ENOBUFS;
	if (!conn->in_message)
		r = vsock_fifo_put(&conn->out, budget, &mark, 1, 0, MARK);
	if (r == 0)
		r = vsock_fifo_put(&conn->out, budget, iov, n, VSOCK_HEADER_LEN, len);
	if (r < 0)
		return r;
	conn->in_message = !ends;
	if (ends) {
		uint32_t message = conn->out.len - conn->complete - MARK;

		vsock_fifo_poke(&conn->out, conn->complete, &message, MARK);
		conn->complete = conn->out.len;
	}
	return 0;
}

void vsock_conn_write(struct vsock_conn *conn, const struct iovec *iov, unsigned n, uint32_t len,
		      uint32_t flags)
{
	bool ends = flags & VSOCK_SEQ_EOM;

	if (conn->write_dead) {
		consumed(conn, len);
		return;
	}
	if (conn->type == VSOCK_STREAM) {
		if (len > 0)
			write_stream(conn, iov, n, len);
	} else if (!ends || !write_message_at_once(conn, iov, n, len)) {
		if (collect_message(conn, iov, n, len, ends) < 0)
			vsock_conn_kill(conn);
	}
	if (conn->state == VSOCK_OPEN)
		vsock_conn_watch(conn);
}

/* Returns 0 when all is written, or -errno. */
static int flush_stream(struct vsock_conn *conn)
{
	struct iovec iov[2];

	while (conn->out.len > 0) {
		ssize_t r = send_iov(conn, iov, vsock_fifo_peek(&conn->out, 0, conn->out.len, iov));

		if (r < 0)
			return (int)r;
		vsock_fifo_drop(&conn->out, &conn->hub->budget, (uint32_t)r);
		consumed(conn, (uint32_t)r);
	}
	return 0;
}

static int flush_messages(struct vsock_conn *conn)
{
	struct iovec iov[2];
	uint32_t len;

	while (conn->complete > 0) {
		iov_read(iov, vsock_fifo_peek(&conn->out, 0, MARK, iov), 0, &len, MARK);
		ssize_t r = send_iov(conn, iov, vsock_fifo_peek(&conn->out, MARK, len, iov));

		if (r < 0)
			return (int)r;
		vsock_fifo_drop(&conn->out, &conn->hub->budget, MARK + len);
		conn->complete -= MARK + len;
		consumed(conn, len);
	}
	return 0;
}

void vsock_conn_flush(struct vsock_conn *conn)
{
	int r = 0;

	if (!conn->write_dead)
		r = conn->type == VSOCK_STREAM ? flush_stream(conn) : flush_messages(conn);
	if (r < 0 && r != -EAGAIN) {
		if (r == -EMSGSIZE) {
			vsock_conn_kill(conn);
			return;
		}
		write_died(conn);
	}
	if (unsent(conn) > 0)
		return;
	if (conn->guest_shut & VSOCK_SHUT_SEND && !conn->write_shut) {
		shutdown(conn->source.fd, SHUT_WR);
		conn->write_shut = true;
		tell_end(conn);
	}
	/* The guest is through and has everything delivered: its RST ends it. */
	if (conn->guest_shut == VSOCK_SHUT_BOTH)
		vsock_conn_kill(conn);
}

/* --- From the socket to the guest ------------------------------------------------------------ */

bool vsock_conn_can_read(const struct vsock_conn *conn)
{
	return conn->state == VSOCK_OPEN && (conn->in.len > 0 || (conn->readable && !conn->eof)) &&
	       !(conn->guest_shut & VSOCK_SHUT_RECEIVE);
}

static void read_ended(struct vsock_conn *conn)
{
	conn->eof = true;
	conn->readable = false;
	tell_end(conn);
	vsock_conn_watch(conn);
}

static int read_stream(struct vsock_conn *conn, const struct iovec *iov, unsigned n, size_t room)
{
	struct iovec *to = conn->hub->iov;
	unsigned pieces = iov_slice(to, iov, n, VSOCK_HEADER_LEN, room);
	ssize_t r;

	do
		r = readv(conn->source.fd, to, (int)pieces);
	while (r < 0 && errno == EINTR);
	if (r > 0) {
		/* Less than there was room for: that was all; epoll tells of more. */
		conn->readable = (size_t)r == room;
		return (int)r;
	}
	if (r < 0 && errno == EAGAIN)
		conn->readable = false;
	else
		read_ended(conn);
	return -EAGAIN;
}

/*
 * Receive a message into the scratch buffer.  Returns its length; -EAGAIN; -EMSGSIZE if it is
 * longer than that; -EPIPE at the end.  Descriptors that a peer sends along find no room.
 */
static ssize_t receive_message(struct vsock_conn *conn, void *buf, size_t size)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { buf, size };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};
	ssize_t r;

	do
		r = recvmsg(conn->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	/* Something comes beside a message even if it is empty, and nothing beside the end. */
	if (r == 0 && message.msg_controllen == 0)
		return -EPIPE;
	return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : r;
}

/* The rest of a message goes on. */
static int read_rest(struct vsock_conn *conn, const struct iovec *iov, unsigned n, size_t room,
		     uint32_t *flags)
{
	struct iovec part[2];
	uint32_t len = (uint32_t)min_u64(conn->in.len, room);
	unsigned pieces = vsock_fifo_peek(&conn->in, 0, len, part);
	size_t at = VSOCK_HEADER_LEN;

	for (unsigned i = 0; i < pieces; i++)
		at += iov_write(iov, n, at, part[i].iov_base, part[i].iov_len);
	vsock_fifo_drop(&conn->in, &conn->hub->budget, len);
	*flags = conn->in.len == 0 ? VSOCK_SEQ_EOM : 0;
	return (int)len;
}

static int read_message(struct vsock_conn *conn, const struct iovec *iov, unsigned n, size_t room,
			uint32_t *flags)
{
	struct vsock_hub *hub = conn->hub;

	if (conn->in.len > 0)
		return read_rest(conn, iov, n, room, flags);
	ssize_t r = receive_message(conn, hub->message, sizeof(hub->message));
	if (r == -EAGAIN) {
		conn->readable = false;
		return -EAGAIN;
	}
	if (r == -EPIPE) {
		read_ended(conn);
		return -EAGAIN;
	}
	if (r >= 0 && (size_t)r <= room) {
		iov_write(iov, n, VSOCK_HEADER_LEN, hub->message, (size_t)r);
		*flags = VSOCK_SEQ_EOM;
		return (int)r;
	}
	/* A message that the guest has no room for, or nobody, would never end. */
	const struct iovec all = { hub->message, r < 0 ? 0 : (size_t)r };
	if (r < 0 || r > conn->credit.peer_buf_alloc ||
	    vsock_fifo_put(&conn->in, &hub->budget, &all, 1, 0, (uint32_t)r) < 0) {
		log_guest(&hub->log, LOG_WARNING,
			  "%s: a message to port %u of the guest is too long: connection reset",
			  hub->config.name, conn->guest_port);
		vsock_conn_kill(conn);
		return -EAGAIN;
	}
	return read_rest(conn, iov, n, room, flags);
}

int vsock_conn_read(struct vsock_conn *conn, const struct iovec *iov, unsigned n, size_t room,
		    uint32_t *flags)
{
	*flags = 0;
	return conn->type == VSOCK_STREAM ? read_stream(conn, iov, n, room) :
					    read_message(conn, iov, n, room, flags);
}

/* --- Waiting --------------------------------------------------------------------------------- */

/*
 * A hang-up is reported whether it is asked for or not, again and again: a socket that nothing is
 * waited for of is not watched at all.
 */
void vsock_conn_watch(struct vsock_conn *conn)
{
	bool out = unsent(conn) > 0 && !conn->write_dead;
	bool listens = conn->state != VSOCK_ASKED && !(conn->guest_shut & VSOCK_SHUT_RECEIVE);
	bool in = listens && !conn->eof && !conn->readable;
	bool hangs_up = (conn->eof || !listens) && !conn->hup;
	uint32_t events = (in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0);

	if (conn->source.fd == FD_NONE)
		return;
	if (!in && !out && !hangs_up) {
		event_loop_remove(&conn->source);
		return;
	}
	if (!conn->source.loop) {
		if (event_loop_add(conn->hub->config.loop, &conn->source, events) < 0) {
			error_clear();
			vsock_conn_kill(conn);
			return;
		}
	} else if (conn->watched != events) {
		event_loop_modify(&conn->source, events);
	}
	conn->watched = events;
}

static void open_event(struct vsock_conn *conn, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR))
		conn->hup = true;
	/* Whoever reads next finds the end behind what is still there. */
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !conn->eof) {
		conn->readable = true;
		vsock_conn_set_ready(conn, 0);
	}
	/* With the guest's end of reading nobody reads: the hang-up is the end. */
	if (conn->hup && conn->guest_shut & VSOCK_SHUT_RECEIVE)
		conn->eof = true;
	tell_end(conn);
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		vsock_conn_flush(conn);
	if (conn->state == VSOCK_OPEN)
		vsock_conn_watch(conn);
}

void vsock_conn_on_event(struct event_source *source, uint32_t events)
{
	struct vsock_conn *conn = container_of(source, struct vsock_conn, source);
	struct vsock_hub *hub = conn->hub;

	switch (conn->state) {
	case VSOCK_HELLO:
		vsock_hello_listen(conn);
		break;
	case VSOCK_OPEN:
		open_event(conn, events);
		break;
	case VSOCK_ASKED:
		/* The client went before the guest answered. */
		vsock_conn_kill(conn);
		break;
	case VSOCK_KNOCKING:
	case VSOCK_DYING:
		break;
	}
	if (vsock_hub_has(hub))
		hub->config.ready(hub->config.arg);
}
