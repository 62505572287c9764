/*
 * vsock in process between a guest that says anything in any order and programs of the host that
 * come, write, read, stall and go.  The oracle is the guest's own book of each connection: nothing
 * comes for what is closed, no data beyond its credit, after its end or out of sequence, no claim
 * to have forwarded what was never sent, no byte outside of the buffer; and what waits is bounded
 * and gone at the end.  Data is a function of its position, so both sides can check it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/vsock_credit.h"
#include "devices/vsock_hub.h"
#include "devices/vsock_packet.h"
#include "devices/vsock_unix.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

enum {
	CID = 9, MAX_STEPS = 200, MAX_PEERS = 16, MAX_BOOKS = 64, BUFFER = 9000, GUARD = 64,
	N_PORTS = 4, STREAM_PORT = 0, SEQPACKET_PORT = 1,	/* the others: nobody listens */
};

enum book_state { UNUSED, ASKED, OFFERED, OPEN, DOOMED };	/* DOOMED: only a RST may come */

/* A connection as the guest knows it. */
struct book {
	enum book_state state;
	uint32_t guest_port, host_port;
	uint16_t type;
	uint32_t sent, forwarded;	/* to the host */
	uint32_t got, told, buf_alloc;	/* from the host; forwarded and buffer as last told */
	uint32_t sent_message, got_message;	/* bytes of the message that is not complete */
	uint8_t shut, host_shut;
};

struct peer {
	int fd;
	bool is_client, has_line, is_seqpacket;
	uint32_t wrote, read;
};

static struct vsock_hub *hub;
static struct event_loop *loop;
static char dir[] = "/tmp/vireo-vsock-fuzz-XXXXXX", path[64];
static int listener[2];
static struct book book[MAX_BOOKS];
static struct peer peer[MAX_PEERS];

static uint8_t byte_at(uint32_t at)
{
	return (uint8_t)(at * 7 % 251);
}

/* --- The world ------------------------------------------------------------------------------- */

static void ready(void *arg)
{
	(void)arg;
}

static void remove_dir(void)
{
	char name[96];

	vsock_hub_destroy(hub);
	for (unsigned i = 0; i < ARRAY_SIZE(listener); i++) {
		snprintf(name, sizeof(name), "%s_%u", path, i);
		unlink(name);
	}
	rmdir(dir);
}

static int listen_at(unsigned port, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s_%u", path, port);
	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(listen(fd, MAX_PEERS) == 0);
	return fd;
}

static void create_world(void)
{
	struct vsock_hub_config config = { .name = "vsock", .path = path, .cid = CID,
					   .ready = ready };

	log_set_level(LOG_ERROR);
	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/s", dir);
	CHECK(event_loop_create(&loop, "io") == 0);
	config.loop = loop;
	CHECK(vsock_hub_create(&hub, &config) == 0);
	listener[STREAM_PORT] = listen_at(STREAM_PORT, SOCK_STREAM);
	listener[SEQPACKET_PORT] = listen_at(SEQPACKET_PORT, SOCK_SEQPACKET);
	atexit(remove_dir);
}

static void check_bounds(void)
{
	struct vsock_hub_stats s = vsock_hub_stats(hub);

	CHECK(s.conns <= VSOCK_MAX_CONNS);
	CHECK(s.hellos <= VSOCK_MAX_HELLOS + 1);
	CHECK(s.replies <= VSOCK_MAX_REPLIES);
	CHECK(s.buffered <= s.conns * UINT64_C(16) * VSOCK_BUF_ALLOC);
}

/* --- The guest's book ------------------------------------------------------------------------ */

static struct book *find(uint32_t guest_port, uint32_t host_port)
{
	for (unsigned i = 0; i < MAX_BOOKS; i++)
		if (book[i].state != UNUSED && book[i].guest_port == guest_port &&
		    book[i].host_port == host_port)
			return &book[i];
	return NULL;
}

static struct book *open_book(const struct book *b)
{
	for (unsigned i = 0; i < MAX_BOOKS; i++)
		if (book[i].state == UNUSED) {
			book[i] = *b;
			return &book[i];
		}
	return NULL;
}

/* What the guest says about its credit, judged as the specification has it. */
static void tell_credit(struct book *b, const struct vsock_packet *p)
{
	int32_t in_flight = (int32_t)(b->got - p->fwd_cnt);

	if (in_flight < 0)
		b->state = DOOMED;
	else if (in_flight <= (int32_t)(b->got - b->told)) {
		b->told = p->fwd_cnt;
		b->buf_alloc = p->buf_alloc;
	}
}

/* A packet that is well formed and the guest's own was taken. */
static void note_sent(const struct vsock_packet *p)
{
	struct book *b = find(p->src_port, p->dst_port);

	if (p->op == VSOCK_OP_RST) {
		if (b)
			b->state = UNUSED;
		return;
	}
	if (!b) {
		/* At the other ports nobody listens. */
		if (p->op == VSOCK_OP_REQUEST &&
		    p->dst_port == (p->type == VSOCK_STREAM ? STREAM_PORT : SEQPACKET_PORT))
			open_book(&(struct book){ .state = ASKED, .guest_port = p->src_port,
						  .host_port = p->dst_port, .type = p->type,
						  .buf_alloc = p->buf_alloc });
		return;
	}
	if (b->state == DOOMED)
		return;
	if (p->type != b->type) {
		b->state = DOOMED;
		return;
	}
	tell_credit(b, p);
	switch (p->op) {
	case VSOCK_OP_RESPONSE:
		b->state = b->state == OFFERED ? OPEN : DOOMED;
		break;
	case VSOCK_OP_RW:
		/* More than there is credit for, or after the end. */
		if (b->shut & VSOCK_SHUT_SEND || b->state == OFFERED)
			b->state = DOOMED;
		b->sent += p->len;
		b->sent_message = p->flags & VSOCK_SEQ_EOM ? 0 : b->sent_message + p->len;
		break;
	case VSOCK_OP_SHUTDOWN:
		b->shut |= p->flags & VSOCK_SHUT_BOTH;
		break;
	default:
		break;
	}
}

static void note_data(struct book *b, const struct vsock_packet *p, const uint8_t *data)
{
	uint32_t in_flight = b->got - b->told;
	bool messages = b->type == VSOCK_SEQPACKET;

	CHECK(b->state == OPEN);
	CHECK(b->buf_alloc >= in_flight && p->len <= b->buf_alloc - in_flight);
	CHECK(!(b->shut & VSOCK_SHUT_RECEIVE));
	CHECK(!(b->host_shut & VSOCK_SHUT_SEND));
	CHECK(messages || (p->len > 0 && p->flags == 0));
	for (uint32_t i = 0; i < p->len; i++)
		CHECK(data[i] == byte_at((messages ? b->got_message : b->got) + i));
	b->got += p->len;
	b->got_message = p->flags & VSOCK_SEQ_EOM ? 0 : b->got_message + p->len;
}

/* A packet of the device's.  'data' is its payload. */
static void note_given(const struct vsock_packet *p, const uint8_t *data)
{
	struct book *b = find(p->dst_port, p->src_port);

	CHECK(p->dst_cid == CID);
	if (p->op == VSOCK_OP_RST) {
		/* That of a connection tells its credit; others are for what is none. */
		if (b && p->buf_alloc > 0)
			b->state = UNUSED;
		return;
	}
	CHECK(p->src_cid == VSOCK_CID_HOST);
	CHECK(p->buf_alloc == VSOCK_BUF_ALLOC);
	if (p->op == VSOCK_OP_REQUEST) {
		CHECK(!b && p->src_port >= 0x40000000);
		if (!open_book(&(struct book){ .state = OFFERED, .guest_port = p->dst_port,
					       .host_port = p->src_port, .type = p->type }))
			CHECK(false);
		return;
	}
	CHECK(b && b->state != DOOMED && b->state != OFFERED);
	CHECK(p->type == b->type);
	/* Forwarded only what was sent, and never less than before. */
	CHECK(p->fwd_cnt - b->forwarded <= b->sent - b->forwarded);
	b->forwarded = p->fwd_cnt;
	CHECK(b->sent - b->forwarded <= VSOCK_BUF_ALLOC);
	switch (p->op) {
	case VSOCK_OP_RESPONSE:
		CHECK(b->state == ASKED);
		b->state = OPEN;
		break;
	case VSOCK_OP_RW:
		note_data(b, p, data);
		break;
	case VSOCK_OP_SHUTDOWN:
		CHECK((p->flags & b->host_shut) == b->host_shut);
		b->host_shut = (uint8_t)p->flags;
		break;
	default:
		CHECK(p->op == VSOCK_OP_CREDIT_UPDATE || p->op == VSOCK_OP_CREDIT_REQUEST);
	}
}

/* --- Steps ----------------------------------------------------------------------------------- */

/* Hand 'p' over, cut in two. */
static void take(const struct vsock_packet *p, uint8_t *wire, size_t len, uint8_t cut)
{
	size_t first = cut % (len + 1);
	struct iovec iov[2] = { { wire, first }, { wire + first, len - first } };

	vsock_packet_store(p, wire);
	vsock_hub_take(hub, iov, 2, len);
}

/* Mostly what a guest would say. */
static void step_packet(struct fuzz_input *in)
{
	static uint8_t wire[VSOCK_HEADER_LEN + 65536];
	uint8_t which = fuzz_u8(in), op = fuzz_u8(in), how = fuzz_u8(in);
	struct book *b = &book[which % MAX_BOOKS];
	struct vsock_packet p = {
		.src_cid = CID, .dst_cid = VSOCK_CID_HOST, .op = op % 9, .flags = how & 3,
		.src_port = which % N_PORTS, .dst_port = which / N_PORTS % N_PORTS,
		.buf_alloc = 1u << (how % 18), .type = 1 + (which / N_PORTS & 1),
	};

	if (op & 0x80 && b->state != UNUSED) {
		p.src_port = b->guest_port;
		p.dst_port = b->host_port;
		p.type = b->type;
	}
	b = find(p.src_port, p.dst_port);
	if (b)
		p.fwd_cnt = how & 0x80 ? b->told : b->got - (how & 0x40 ? fuzz_u8(in) : 0);
	if (how & 0x20)
		p.len = fuzz_u16(in);
	uint32_t at = !b ? 0 : b->type == VSOCK_SEQPACKET ? b->sent_message : b->sent;
	for (uint32_t i = 0; i < p.len; i++)
		wire[VSOCK_HEADER_LEN + i] = byte_at(at + i);
	if (p.op != VSOCK_OP_RW)
		p.len = 0;
	take(&p, wire, VSOCK_HEADER_LEN + p.len, how);
	note_sent(&p);
}

/* Anything.  If it may have been meant for a connection, that one's book is closed. */
static void step_noise(struct fuzz_input *in)
{
	uint8_t wire[VSOCK_HEADER_LEN + 256];
	struct vsock_packet p;
	uint8_t len = fuzz_u8(in), fields = fuzz_u8(in);

	for (unsigned i = 0; i < sizeof(wire); i++)
		wire[i] = fuzz_u8(in);
	vsock_packet_load(&p, wire);
	if (fields & 1)
		p.src_cid = CID;
	if (fields & 2)
		p.dst_cid = VSOCK_CID_HOST;
	if (fields & 4)
		p.src_port %= N_PORTS;
	if (fields & 8)
		p.dst_port %= N_PORTS;
	struct book *b = find(p.src_port, p.dst_port);
	bool ours = p.src_cid == CID && p.dst_cid == VSOCK_CID_HOST;
	bool whole = p.len <= len && (p.type == 1 || p.type == 2);
	/* Its bytes would not be those that are expected. */
	if (whole && p.op == VSOCK_OP_RW)
		p.op = 77;
	take(&p, wire, VSOCK_HEADER_LEN + (size_t)len, fields);
	if (ours && whole)
		note_sent(&p);
	else if (ours && b)
		b->state = p.op == VSOCK_OP_RST ? UNUSED : DOOMED;
}

static struct peer *free_peer(void)
{
	for (unsigned i = 0; i < MAX_PEERS; i++)
		if (peer[i].fd == FD_NONE)
			return &peer[i];
	return NULL;
}

static void step_accept(struct fuzz_input *in)
{
	unsigned which = fuzz_u8(in) & 1;
	struct peer *p = free_peer();

	if (p)
		*p = (struct peer){ .fd = accept4(listener[which], NULL, NULL, SOCK_NONBLOCK),
				    .is_seqpacket = which == SEQPACKET_PORT, .has_line = true };
}

static void step_client(struct fuzz_input *in)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	uint8_t how = fuzz_u8(in);
	bool messages = how & 1;
	struct peer *p = free_peer();
	char line[24];

	if (!p)
		return;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", path, messages ? ".seqpacket" : "");
	*p = (struct peer){
		.fd = socket(AF_UNIX, (messages ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_NONBLOCK, 0),
		.is_client = true, .is_seqpacket = messages,
	};
	if (connect(p->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		fd_close(&p->fd);
		return;
	}
	int n = snprintf(line, sizeof(line), how & 2 ? "CONNECT %u\n" : "CONNECT %u%c\n",
			 how >> 4, how);
	if (send(p->fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		fd_close(&p->fd);
}

static void step_write(struct fuzz_input *in)
{
	static uint8_t data[65536];
	struct peer *p = &peer[fuzz_u8(in) % MAX_PEERS];
	uint16_t len = fuzz_u16(in);

	/* A client that has no answer yet might be one that is never led on. */
	if (p->fd == FD_NONE || (!p->has_line && p->is_seqpacket))
		return;
	for (uint32_t i = 0; i < len; i++)
		data[i] = byte_at((p->is_seqpacket ? 0 : p->wrote) + i);
	ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		p->wrote += (uint32_t)n;
}

static void step_read(struct fuzz_input *in)
{
	static uint8_t data[VSOCK_BUF_ALLOC];
	struct peer *p = &peer[fuzz_u8(in) % MAX_PEERS];
	size_t len = p->is_seqpacket ? sizeof(data) : fuzz_u16(in) + 1u;

	if (p->fd == FD_NONE)
		return;
	if (!p->has_line && !p->is_seqpacket) {
		while (!p->has_line && recv(p->fd, data, 1, MSG_DONTWAIT) == 1)
			p->has_line = data[0] == '\n';
		return;
	}
	ssize_t n = recv(p->fd, data, len, MSG_DONTWAIT);
	if (!p->has_line) {
		p->has_line = n > 0;
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		CHECK(data[i] == byte_at((p->is_seqpacket ? 0 : p->read) + (uint32_t)i));
	if (n > 0)
		p->read += (uint32_t)n;
}

static void step_end(struct fuzz_input *in)
{
	struct peer *p = &peer[fuzz_u8(in) % MAX_PEERS];
	uint8_t how = fuzz_u8(in) % 4;

	if (p->fd == FD_NONE)
		return;
	if (how == 3)
		fd_close(&p->fd);
	else
		shutdown(p->fd, how == 0 ? SHUT_RD : how == 1 ? SHUT_WR : SHUT_RDWR);
}

static bool give(size_t len)
{
	static uint8_t buffer[BUFFER + GUARD];
	struct iovec iov[3] = { { buffer, len / 3 }, { buffer + len / 3, 0 },
				{ buffer + len / 3, len - len / 3 } };
	struct vsock_packet p;

	memset(buffer, 0xcc, len + GUARD);
	size_t used = vsock_hub_give(hub, iov, 3, len);
	CHECK(used == 0 || (used >= VSOCK_HEADER_LEN && used <= len));
	for (size_t i = used ? used : len; i < len + GUARD; i++)
		CHECK(buffer[i] == 0xcc);
	if (used == 0)
		return false;
	vsock_packet_load(&p, buffer);
	CHECK(p.len == used - VSOCK_HEADER_LEN);
	note_given(&p, buffer + VSOCK_HEADER_LEN);
	return true;
}

static void step_give(struct fuzz_input *in)
{
	size_t len = VSOCK_HEADER_LEN + 1 + fuzz_u16(in) % (BUFFER - VSOCK_HEADER_LEN - 1);

	for (unsigned i = 0; i < 8 && give(len); i++)
		;
}

static void step(struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 10) {
	case 0: case 1:
		if (vsock_hub_has_room(hub))
			step_packet(in);
		break;
	case 2:
		if (vsock_hub_has_room(hub))
			step_noise(in);
		break;
	case 3: step_accept(in); break;
	case 4: step_client(in); break;
	case 5: step_write(in); break;
	case 6: step_read(in); break;
	case 7: step_end(in); break;
	case 8: step_give(in); break;
	case 9: loop_pump(loop); break;
	}
}

/* Nothing of this input is there for the next one. */
static void clean_up(void)
{
	int fd;

	vsock_hub_stop(hub);
	CHECK(vsock_hub_stats(hub).conns == 0);
	CHECK(vsock_hub_stats(hub).buffered == 0);
	CHECK(!vsock_hub_has(hub));
	for (unsigned i = 0; i < MAX_PEERS; i++)
		fd_close(&peer[i].fd);
	for (unsigned i = 0; i < ARRAY_SIZE(listener); i++)
		while ((fd = accept4(listener[i], NULL, NULL, SOCK_NONBLOCK)) >= 0)
			close(fd);
	/* Clients whom nobody let in. */
	CHECK(vsock_hub_start(hub, 0) == 0);
	loop_pump(loop);
	vsock_hub_stop(hub);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };

	if (!hub)
		create_world();
	memset(book, 0, sizeof(book));
	for (unsigned i = 0; i < MAX_PEERS; i++)
		peer[i].fd = FD_NONE;
	CHECK(vsock_hub_start(hub, 1u << VSOCK_STREAM | 1u << VSOCK_SEQPACKET) == 0);
	for (unsigned i = 0; i < MAX_STEPS && in.len > 0; i++) {
		step(&in);
		check_bounds();
	}
	clean_up();
	return 0;
}
