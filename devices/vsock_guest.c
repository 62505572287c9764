#include <errno.h>
#include <sys/socket.h>

#include "devices/vsock_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"

/* --- A packet from the guest ----------------------------------------------------------------- */

static bool is_served(const struct vsock_hub *hub, uint16_t type)
{
	return (type == VSOCK_STREAM || type == VSOCK_SEQPACKET) && hub->types >> type & 1;
}

/* It belongs to no connection: a RST, which itself gets no answer. */
static void refuse(struct vsock_hub *hub, const struct vsock_packet *p)
{
	unsigned at = (hub->first_reply + hub->n_replies) % VSOCK_MAX_REPLIES;

	if (p->op == VSOCK_OP_RST || !vsock_hub_has_room(hub))
		return;
	hub->reply[at] = (struct vsock_reply){
		.src_cid = p->dst_cid,
		.guest_port = p->src_port,
		.host_port = p->dst_port,
		.type = p->type,
	};
	hub->n_replies++;
}

/* A program of the guest wants to a port of the host. */
static void open_for_guest(struct vsock_hub *hub, const struct vsock_packet *p)
{
	enum vsock_type type = (enum vsock_type)p->type;
	int fd = vsock_unix_connect(hub->path, p->dst_port, type);
	bool knocks = fd == -EAGAIN;

	if (fd >= 0 && type == VSOCK_SEQPACKET && vsock_unix_mark_messages(fd) < 0)
		fd_close(&fd);
	struct vsock_conn *conn = NULL;

	if (fd >= 0 || knocks)
		conn = vsock_conn_create(hub, type, knocks ? FD_NONE : fd);
	if (!conn) {
		refuse(hub, p);
		return;
	}
	conn->guest_port = p->src_port;
	conn->host_port = p->dst_port;
	conn->credit.peer_buf_alloc = p->buf_alloc;
	vsock_conn_enter(conn, knocks ? VSOCK_KNOCKING : VSOCK_OPEN);
	if (knocks) {
		vsock_conn_set_deadline(conn, VSOCK_KNOCK_MS);
	} else {
		vsock_conn_set_ready(conn, VSOCK_TELL_RESPONSE);
		vsock_conn_watch(conn);
	}
}

/* What the guest will not do any more; a hint that was given stays.  virtio-v1.4 5.10.6.5 */
static void take_shutdown(struct vsock_conn *conn, uint32_t flags)
{
	conn->guest_shut |= flags & VSOCK_SHUT_BOTH;
	if (conn->guest_shut & VSOCK_SHUT_RECEIVE) {
		shutdown(conn->source.fd, SHUT_RD);
		vsock_fifo_clear(&conn->in, &conn->hub->budget);
	}
	if (conn->guest_shut == VSOCK_SHUT_BOTH && conn->deadline_ns == 0)
		vsock_conn_set_deadline(conn, VSOCK_CLOSE_MS);
	vsock_conn_flush(conn);
	if (conn->state == VSOCK_OPEN)
		vsock_conn_watch(conn);
}

/* Returns false where the operation has no place in the life of the connection. */
static bool take_open(struct vsock_conn *conn, const struct vsock_packet *p,
		      const struct iovec *iov, unsigned n)
{
	switch (p->op) {
	case VSOCK_OP_REQUEST:
		/* Once more for what is there: changes nothing. */
		return true;
	case VSOCK_OP_SHUTDOWN:
		take_shutdown(conn, p->flags);
		return true;
	case VSOCK_OP_RW:
		if (conn->guest_shut & VSOCK_SHUT_SEND ||
		    !vsock_credit_receive(&conn->credit, p->len))
			return false;
		vsock_conn_write(conn, iov, n, p->len, p->flags);
		return true;
	case VSOCK_OP_CREDIT_UPDATE:
		return true;
	case VSOCK_OP_CREDIT_REQUEST:
		vsock_conn_set_ready(conn, VSOCK_TELL_CREDIT);
		return true;
	default:
		return false;
	}
}

static bool take_by_state(struct vsock_conn *conn, const struct vsock_packet *p,
			  const struct iovec *iov, unsigned n)
{
	switch (conn->state) {
	case VSOCK_OPEN:
		return take_open(conn, p, iov, n);
	case VSOCK_ASKED:
		if (p->op != VSOCK_OP_RESPONSE || conn->tell & VSOCK_TELL_REQUEST)
			return false;
		vsock_hello_answer(conn);
		return true;
	case VSOCK_KNOCKING:
		return p->op == VSOCK_OP_REQUEST || p->op == VSOCK_OP_CREDIT_UPDATE;
	case VSOCK_HELLO:
	case VSOCK_DYING:
		break;
	}
	return true;
}

/* Known ports.  The type does not change, credit is not made up, an operation has its time. */
static void take_known(struct vsock_conn *conn, const struct vsock_packet *p,
		       const struct iovec *iov, unsigned n)
{
	if (conn->state == VSOCK_DYING)
		return;
	if (p->type != conn->type ||
	    !vsock_credit_hear(&conn->credit, p->buf_alloc, p->fwd_cnt)) {
		vsock_conn_kill(conn);
		return;
	}
	if (vsock_conn_can_read(conn) && vsock_credit_free(&conn->credit) > 0)
		vsock_conn_set_ready(conn, 0);
	if (!take_by_state(conn, p, iov, n))
		vsock_conn_kill(conn);
}

void vsock_hub_take(struct vsock_hub *hub, const struct iovec *iov, unsigned n, size_t len)
{
	uint8_t wire[VSOCK_HEADER_LEN];
	struct vsock_packet p;

	if (iov_read(iov, n, 0, wire, sizeof(wire)) < sizeof(wire))
		return;
	vsock_packet_load(&p, wire);
	/* In the name of somebody else: no answer, which would go to that somebody. */
	if (p.src_cid != hub->config.cid) {
		log_guest(&hub->log, LOG_DEBUG, "%s: a packet from a CID that is not the guest's",
			  hub->config.name);
		return;
	}
	if (p.dst_cid != VSOCK_CID_HOST) {
		refuse(hub, &p);
		return;
	}
	struct vsock_conn *conn = vsock_hub_find(hub, p.src_port, p.dst_port);
	if (p.op == VSOCK_OP_RST) {
		/* Whatever else is wrong with it: the guest has no such connection. */
		if (conn)
			vsock_conn_free(conn);
		return;
	}
	if (p.len > len - VSOCK_HEADER_LEN || n > VSOCK_MAX_IOV || !is_served(hub, p.type)) {
		if (!conn)
			refuse(hub, &p);
		else if (conn->state != VSOCK_DYING)
			vsock_conn_kill(conn);
		return;
	}
	if (conn)
		take_known(conn, &p, iov, n);
	else if (p.op == VSOCK_OP_REQUEST)
		open_for_guest(hub, &p);
	else
		refuse(hub, &p);
}

/* --- A packet for the guest ------------------------------------------------------------------ */

static size_t store(const struct vsock_packet *p, const struct iovec *iov, unsigned n)
{
	uint8_t wire[VSOCK_HEADER_LEN];

	vsock_packet_store(p, wire);
	iov_write(iov, n, 0, wire, sizeof(wire));
	return sizeof(wire) + p->len;
}

static size_t give_reply(struct vsock_hub *hub, const struct iovec *iov, unsigned n)
{
	const struct vsock_reply *reply = &hub->reply[hub->first_reply];
	const struct vsock_packet p = {
		.src_cid = reply->src_cid,
		.dst_cid = hub->config.cid,
		.src_port = reply->host_port,
		.dst_port = reply->guest_port,
		.type = reply->type,
		.op = VSOCK_OP_RST,
	};

	hub->first_reply = (hub->first_reply + 1) % VSOCK_MAX_REPLIES;
	hub->n_replies--;
	return store(&p, iov, n);
}

/* Each packet carries the credit, and with it the guest knows. */
static size_t give_packet(struct vsock_conn *conn, enum vsock_op op, uint32_t flags, uint32_t len,
			  const struct iovec *iov, unsigned n)
{
	const struct vsock_packet p = {
		.src_cid = VSOCK_CID_HOST,
		.dst_cid = conn->hub->config.cid,
		.src_port = conn->host_port,
		.dst_port = conn->guest_port,
		.len = len,
		.type = (uint16_t)conn->type,
		.op = (uint16_t)op,
		.flags = flags,
		.buf_alloc = VSOCK_BUF_ALLOC,
		.fwd_cnt = conn->credit.fwd_cnt,
	};

	conn->credit.told_fwd_cnt = conn->credit.fwd_cnt;
	conn->credit.tx_cnt += len;
	return store(&p, iov, n);
}

/* In this order: nothing comes before the answer, and the end comes when all data was given. */
static size_t give_control(struct vsock_conn *conn, const struct iovec *iov, unsigned n)
{
	static const struct {
		unsigned tell;
		enum vsock_op op;
	} order[] = {
		{ VSOCK_TELL_RST, VSOCK_OP_RST },
		{ VSOCK_TELL_REQUEST, VSOCK_OP_REQUEST },
		{ VSOCK_TELL_RESPONSE, VSOCK_OP_RESPONSE },
		{ VSOCK_TELL_CREDIT, VSOCK_OP_CREDIT_UPDATE },
		{ VSOCK_TELL_SHUTDOWN, VSOCK_OP_SHUTDOWN },
	};
	unsigned i = 0;

	while (!(conn->tell & order[i].tell))
		i++;
	conn->tell &= ~order[i].tell;
	return give_packet(conn, order[i].op,
			   order[i].op == VSOCK_OP_SHUTDOWN ? conn->own_shut : 0, 0, iov, n);
}

static size_t give_data(struct vsock_conn *conn, const struct iovec *iov, unsigned n, size_t len)
{
	uint32_t credit = vsock_credit_free(&conn->credit), flags;
	size_t room = min_u64(min_u64(len - VSOCK_HEADER_LEN, VSOCK_MAX_PAYLOAD), credit);

	if (room == 0) {
		/* Once; then whatever the guest says tells. */
		if (conn->asked_credit)
			return 0;
		conn->asked_credit = true;
		return give_packet(conn, VSOCK_OP_CREDIT_REQUEST, 0, 0, iov, n);
	}
	conn->asked_credit = false;
	int r = vsock_conn_read(conn, iov, n, room, &flags);
	if (r < 0)
		return 0;
	conn->tell &= ~(unsigned)VSOCK_TELL_CREDIT;
	return give_packet(conn, VSOCK_OP_RW, flags, (uint32_t)r, iov, n);
}

/* Whether it may have more to give, once it had its turn. */
static bool goes_on(const struct vsock_conn *conn)
{
	if (conn->tell)
		return true;
	return vsock_conn_can_read(conn) &&
	       (vsock_credit_free(&conn->credit) > 0 || !conn->asked_credit);
}

static size_t give_turn(struct vsock_conn *conn, const struct iovec *iov, unsigned n, size_t len)
{
	size_t given = 0;

	if (conn->state == VSOCK_DYING) {
		given = give_control(conn, iov, n);
		vsock_conn_free(conn);
		return given;
	}
	if (conn->tell)
		given = give_control(conn, iov, n);
	else if (vsock_conn_can_read(conn))
		given = give_data(conn, iov, n, len);
	if (goes_on(conn))
		vsock_conn_set_ready(conn, 0);
	if (conn->state == VSOCK_OPEN)
		vsock_conn_watch(conn);
	return given;
}

/* Each connection that has something gets one packet in its turn. */
size_t vsock_hub_give(struct vsock_hub *hub, const struct iovec *iov, unsigned n, size_t len)
{
	size_t given = 0;

	if (hub->n_replies > 0)
		return give_reply(hub, iov, n);
	while (given == 0 && hub->ready.next != &hub->ready) {
		struct vsock_conn *conn = container_of(hub->ready.next, struct vsock_conn, ready);

		vsock_link_remove(&conn->ready);
		given = give_turn(conn, iov, n, len);
	}
	return given;
}
