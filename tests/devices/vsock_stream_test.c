/* Stream connections between a guest and Unix sockets: made, used, ended, abused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock_credit.h"
#include "devices/vsock_hub.h"
#include "tests/support/vsock_rig.h"

static struct vsock_rig *const v = &vsock_rig;
static const struct vsock_guest stream = { VSOCK_STREAM, 1000, 2000, 65536, 0 };
static char payload[VSOCK_RIG_PAYLOAD];
static int listener;

static void setup(void)
{
	vsock_rig_setup();
	listener = vsock_rig_listen(2000, VSOCK_STREAM);
	vsock_rig_start();
}

static void teardown(void)
{
	close(listener);
	vsock_rig_teardown();
}

TestSuite(vsock_stream, .init = setup, .fini = teardown);

/* covers: VSOCK-STREAM-01 VSOCK-CREDIT-02 */
Test(vsock_stream, a_listener_answers_and_nobody_resets)
{
	struct vsock_guest closed = stream;
	struct vsock_packet p;

	vsock_rig_say(&stream, VSOCK_OP_REQUEST, 0);
	p = vsock_rig_expect(&stream, VSOCK_OP_RESPONSE);
	cr_assert_eq(p.buf_alloc, (uint32_t)VSOCK_BUF_ALLOC);
	cr_assert_eq(p.fwd_cnt, 0);
	closed.host_port = 2001;
	vsock_rig_say(&closed, VSOCK_OP_REQUEST, 0);
	vsock_rig_expect(&closed, VSOCK_OP_RST);
	/* A socket of another type, and a file that is none, are nobody, too. */
	int other = vsock_rig_listen(2002, VSOCK_SEQPACKET);
	closed.host_port = 2002;
	vsock_rig_say(&closed, VSOCK_OP_REQUEST, 0);
	vsock_rig_expect(&closed, VSOCK_OP_RST);
	close(other);
	char file[80];
	snprintf(file, sizeof(file), "%s_2003", v->path);
	int fd = open(file, O_CREAT | O_WRONLY, 0600);
	closed.host_port = 2003;
	vsock_rig_say(&closed, VSOCK_OP_REQUEST, 0);
	vsock_rig_expect(&closed, VSOCK_OP_RST);
	close(fd);
}

Test(vsock_stream, bytes_go_both_ways)
{
	int fd = vsock_rig_connect(&stream, listener);
	char got[16];

	vsock_rig_write(&stream, "to the host", 11, 0);
	vsock_rig_read_all(fd, got, 11);
	cr_assert_eq(memcmp(got, "to the host", 11), 0);
	cr_assert_eq(write(fd, "to the guest", 12), 12);
	struct vsock_packet p = vsock_rig_receive(payload);
	cr_assert_eq(p.op, VSOCK_OP_RW);
	cr_assert_eq(p.len, 12);
	cr_assert_eq(memcmp(payload, "to the guest", 12), 0);
	cr_assert_eq(p.fwd_cnt, 11);
	cr_assert_eq(p.buf_alloc, (uint32_t)VSOCK_BUF_ALLOC);
	close(fd);
}

/* covers: VSOCK-CREDIT-01 */
Test(vsock_stream, no_more_is_sent_than_the_guest_has_room_for)
{
	struct vsock_guest g = stream;
	uint32_t got = 0;

	g.buf_alloc = 4096;
	int fd = vsock_rig_connect(&g, listener);
	memset(payload, 'x', 20000);
	cr_assert_eq(write(fd, payload, 20000), 20000);
	for (unsigned round = 1; round <= 4; round++) {
		while (got < round * 4096) {
			struct vsock_packet p = vsock_rig_receive(payload);
			if (p.op == VSOCK_OP_CREDIT_REQUEST)
				continue;
			cr_assert_eq(p.op, VSOCK_OP_RW);
			got += p.len;
			cr_assert_leq(got, round * 4096);
		}
		/* It asks once, and is quiet then. */
		while (fake_ring_has_used(&v->rig.ring[0]) || !vsock_rig_is_silent())
			vsock_rig_expect(&g, VSOCK_OP_CREDIT_REQUEST);
		cr_assert(vsock_rig_is_silent());
		g.fwd_cnt = got;
		vsock_rig_say(&g, VSOCK_OP_CREDIT_UPDATE, 0);
	}
	close(fd);
}

/* covers: VSOCK-CREDIT-03 */
Test(vsock_stream, a_credit_request_is_answered)
{
	int fd = vsock_rig_connect(&stream, listener);

	vsock_rig_write(&stream, "12345", 5, 0);
	vsock_rig_say(&stream, VSOCK_OP_CREDIT_REQUEST, 0);
	struct vsock_packet p = vsock_rig_expect(&stream, VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(p.fwd_cnt, 5);
	cr_assert_eq(p.buf_alloc, (uint32_t)VSOCK_BUF_ALLOC);
	close(fd);
}

/* Fill the socket of a peer that does not read, until nothing is forwarded any more. */
static uint32_t fill(const struct vsock_guest *g)
{
	uint32_t sent = 0, fwd = 0;

	memset(payload, 'x', sizeof(payload));
	while (sent - fwd < VSOCK_BUF_ALLOC) {
		uint32_t len = (uint32_t)min_u64(sizeof(payload), VSOCK_BUF_ALLOC - (sent - fwd));

		vsock_rig_write(g, payload, len, 0);
		sent += len;
		vsock_rig_say(g, VSOCK_OP_CREDIT_REQUEST, 0);
		do
			fwd = vsock_rig_expect(g, VSOCK_OP_CREDIT_UPDATE).fwd_cnt;
		while (!vsock_rig_is_silent());
	}
	return sent;
}

/* covers: VSOCK-CREDIT-05 */
Test(vsock_stream, a_stalled_peer_stops_only_its_own_connection)
{
	struct vsock_guest other = stream;
	int fd = vsock_rig_connect(&stream, listener);
	uint32_t sent = fill(&stream);
	char *got = malloc(sent);

	other.guest_port = 1001;
	int fd2 = vsock_rig_connect(&other, listener);
	vsock_rig_write(&other, "alive", 5, 0);
	vsock_rig_read_all(fd2, payload, 5);
	/* When it reads again everything comes, and credit with it. */
	vsock_rig_read_all(fd, got, sent);
	vsock_rig_expect(&stream, VSOCK_OP_CREDIT_UPDATE);
	for (uint32_t i = 0; i < sent; i++)
		cr_assert_eq(got[i], 'x');
	free(got);
	close(fd);
	close(fd2);
}

/* covers: VSOCK-CREDIT-05 */
Test(vsock_stream, who_sends_without_credit_is_reset)
{
	int fd = vsock_rig_connect(&stream, listener);

	fill(&stream);
	vsock_rig_write(&stream, "x", 1, 0);
	vsock_rig_expect(&stream, VSOCK_OP_RST);
	close(fd);
}

/* covers: VSOCK-CREDIT-06 */
Test(vsock_stream, who_lies_about_credit_is_reset)
{
	struct vsock_guest liar = stream;
	int fd = vsock_rig_connect(&stream, listener);

	cr_assert_eq(write(fd, "12345", 5), 5);
	vsock_rig_receive(payload);
	/* No room any more, with data on its way: that is odd, and no lie. */
	liar.buf_alloc = 0;
	vsock_rig_say(&liar, VSOCK_OP_CREDIT_UPDATE, 0);
	cr_assert_eq(write(fd, "678", 3), 3);
	vsock_rig_expect(&stream, VSOCK_OP_CREDIT_REQUEST);
	cr_assert(vsock_rig_is_silent());
	liar.fwd_cnt = 1005;
	vsock_rig_say(&liar, VSOCK_OP_CREDIT_UPDATE, 0);
	vsock_rig_expect(&stream, VSOCK_OP_RST);
	cr_assert(vsock_rig_at_end(fd));
	close(fd);
}

/* covers: VSOCK-STREAM-02 */
Test(vsock_stream, the_guest_may_end_one_half)
{
	int fd = vsock_rig_connect(&stream, listener);

	vsock_rig_write(&stream, "all", 3, 0);
	vsock_rig_say(&stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_SEND);
	vsock_rig_read_all(fd, payload, 3);
	cr_assert(vsock_rig_at_end(fd));
	cr_assert_eq(write(fd, "answer", 6), 6);
	cr_assert_eq(vsock_rig_receive(payload).len, 6);
	/* A hint stays: it may not send again, whatever it says now. */
	vsock_rig_say(&stream, VSOCK_OP_SHUTDOWN, 0);
	cr_assert(vsock_rig_is_silent());
	vsock_rig_write(&stream, "x", 1, 0);
	vsock_rig_expect(&stream, VSOCK_OP_RST);
	close(fd);
}

/* covers: VSOCK-STREAM-02 */
Test(vsock_stream, the_guest_may_stop_listening)
{
	int fd = vsock_rig_connect(&stream, listener);

	vsock_rig_say(&stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_RECEIVE);
	cr_assert_eq(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	cr_assert_eq(errno, EPIPE);
	vsock_rig_write(&stream, "still", 5, 0);
	vsock_rig_read_all(fd, payload, 5);
	close(fd);
	cr_assert_eq(vsock_rig_expect(&stream, VSOCK_OP_SHUTDOWN).flags, (uint32_t)VSOCK_SHUT_BOTH);
}

/* covers: VSOCK-STREAM-02 */
Test(vsock_stream, the_host_may_end_one_half)
{
	int fd = vsock_rig_connect(&stream, listener);

	cr_assert_eq(write(fd, "all", 3), 3);
	shutdown(fd, SHUT_WR);
	cr_assert_eq(vsock_rig_receive(payload).len, 3);
	cr_assert_eq(vsock_rig_expect(&stream, VSOCK_OP_SHUTDOWN).flags, (uint32_t)VSOCK_SHUT_SEND);
	vsock_rig_write(&stream, "answer", 6, 0);
	vsock_rig_read_all(fd, payload, 6);
	vsock_rig_say(&stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_SEND);
	/* Both halves are over: the guest is asked for its RST. */
	cr_assert_eq(vsock_rig_expect(&stream, VSOCK_OP_SHUTDOWN).flags, (uint32_t)VSOCK_SHUT_BOTH);
	vsock_rig_say(&stream, VSOCK_OP_RST, 0);
	cr_assert(vsock_rig_is_silent());
	cr_assert(vsock_rig_at_end(fd));
	close(fd);
}

/* covers: VSOCK-STREAM-03 */
Test(vsock_stream, a_clean_close_by_the_guest_is_confirmed)
{
	int fd = vsock_rig_connect(&stream, listener);

	vsock_rig_write(&stream, "all", 3, 0);
	vsock_rig_say(&stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH);
	vsock_rig_expect(&stream, VSOCK_OP_RST);
	vsock_rig_read_all(fd, payload, 3);
	cr_assert(vsock_rig_at_end(fd));
	close(fd);
}

/* covers: VSOCK-STREAM-03 */
Test(vsock_stream, a_close_waits_for_what_the_peer_has_not_read)
{
	int fd = vsock_rig_connect(&stream, listener);
	uint32_t sent = fill(&stream);
	char *got = malloc(sent);

	vsock_rig_say(&stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH);
	cr_assert(vsock_rig_is_silent());
	vsock_rig_read_all(fd, got, sent);
	vsock_rig_await(&stream, VSOCK_OP_RST);
	cr_assert(vsock_rig_at_end(fd));
	free(got);
	close(fd);
}

/* covers: VSOCK-STREAM-03 */
Test(vsock_stream, a_close_by_the_host_ends_even_if_the_guest_says_nothing)
{
	int fd = vsock_rig_connect(&stream, listener);

	close(fd);
	cr_assert_eq(vsock_rig_expect(&stream, VSOCK_OP_SHUTDOWN).flags, (uint32_t)VSOCK_SHUT_BOTH);
	/* 8 s */
	vsock_rig_expect(&stream, VSOCK_OP_RST);
}

/* Both close: each hears of the other's end only after its own. */
Test(vsock_stream, both_may_close_at_once)
{
	int fd = vsock_rig_connect(&stream, listener);

	close(fd);
	vsock_rig_say(&stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH);
	vsock_rig_await(&stream, VSOCK_OP_RST);
	vsock_rig_say(&stream, VSOCK_OP_RST, 0);
	cr_assert(vsock_rig_is_silent());
	fd = vsock_rig_connect(&stream, listener);
	close(fd);
}

Test(vsock_stream, data_before_the_end_of_the_host_is_delivered)
{
	struct vsock_guest g = stream;
	uint32_t got = 0;

	g.buf_alloc = 10000;
	int fd = vsock_rig_connect(&g, listener);
	memset(payload, 'y', 50000);
	cr_assert_eq(write(fd, payload, 50000), 50000);
	close(fd);
	while (got < 50000) {
		struct vsock_packet p = vsock_rig_receive(payload);
		cr_assert_neq(p.op, VSOCK_OP_SHUTDOWN);
		got += p.len;
		g.fwd_cnt = got;
		vsock_rig_say(&g, VSOCK_OP_CREDIT_UPDATE, 0);
	}
	vsock_rig_await(&g, VSOCK_OP_SHUTDOWN);
}

/* covers: VSOCK-STREAM-04 */
Test(vsock_stream, nothing_goes_over_what_is_no_connection)
{
	static const enum vsock_op op[] = { VSOCK_OP_RESPONSE, VSOCK_OP_RW, VSOCK_OP_SHUTDOWN,
					    VSOCK_OP_CREDIT_UPDATE, VSOCK_OP_CREDIT_REQUEST };

	for (unsigned i = 0; i < ARRAY_SIZE(op); i++) {
		vsock_rig_say(&stream, op[i], 0);
		vsock_rig_expect(&stream, VSOCK_OP_RST);
	}
	/* An answer that nobody asked for. */
	int fd = vsock_rig_connect(&stream, listener);
	vsock_rig_say(&stream, VSOCK_OP_RESPONSE, 0);
	vsock_rig_expect(&stream, VSOCK_OP_RST);
	cr_assert(vsock_rig_at_end(fd));
	close(fd);
	/* Of another type than the connection is. */
	struct vsock_guest other = stream;
	fd = vsock_rig_connect(&stream, listener);
	other.type = VSOCK_SEQPACKET;
	vsock_rig_write(&other, "x", 1, VSOCK_SEQ_EOM);
	vsock_rig_expect(&stream, VSOCK_OP_RST);
	cr_assert(vsock_rig_at_end(fd));
	close(fd);
}

/* covers: VSOCK-STREAM-05 */
Test(vsock_stream, a_request_for_what_is_there_changes_nothing)
{
	int fd = vsock_rig_connect(&stream, listener);

	for (unsigned i = 0; i < 100; i++)
		vsock_rig_say(&stream, VSOCK_OP_REQUEST, 0);
	cr_assert(vsock_rig_is_silent());
	vsock_rig_write(&stream, "alive", 5, 0);
	vsock_rig_read_all(fd, payload, 5);
	close(fd);
}

/* covers: VSOCK-STREAM-06 */
Test(vsock_stream, connections_are_bounded)
{
	struct vsock_guest g = stream;
	unsigned open = 0, refused = 0;

	/* The listener's backlog is soon full; then each knocks for a while and counts, too. */
	for (unsigned i = 0; i < 2 * VSOCK_MAX_CONNS; i++) {
		g.guest_port = 10000 + i;
		vsock_rig_say(&g, VSOCK_OP_REQUEST, 0);
		while (fake_ring_has_used(&v->rig.ring[0])) {
			struct vsock_packet p = vsock_rig_receive(NULL);
			open += p.op == VSOCK_OP_RESPONSE;
			refused += p.op == VSOCK_OP_RST;
		}
	}
	while (open + refused < 2 * VSOCK_MAX_CONNS) {
		struct vsock_packet p = vsock_rig_receive(NULL);
		open += p.op == VSOCK_OP_RESPONSE;
		refused += p.op == VSOCK_OP_RST;
	}
	cr_assert_geq(open, 60u);
	cr_assert_leq(open, (unsigned)VSOCK_MAX_CONNS);
	/* Ended by the guest they make room. */
	for (unsigned i = 0; i < 2 * VSOCK_MAX_CONNS; i++) {
		g.guest_port = 10000 + i;
		vsock_rig_say(&g, VSOCK_OP_RST, 0);
	}
	while (fake_ring_has_used(&v->rig.ring[0]))
		vsock_rig_receive(NULL);
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; close(fd))
		fcntl(listener, F_SETFL, O_NONBLOCK);
	int fd = vsock_rig_connect(&stream, listener);
	close(fd);
}

/* covers: VSOCK-FLOW-01 VSOCK-FLOW-02 */
Test(vsock_stream, replies_wait_for_buffers_and_are_bounded)
{
	struct vsock_guest g = stream;
	unsigned taken = 0, replies = 0;
	uint32_t id, len;

	g.host_port = 1;
	fake_driver_reset(&v->rig.driver);
	vsock_rig_start_without(0, 0);
	/* Without receive buffers requests are still taken. */
	for (; taken < 16; taken++) {
		g.guest_port = taken;
		vsock_rig_say(&g, VSOCK_OP_REQUEST, 0);
	}
	/* But not without end. */
	for (unsigned round = 0; round < 8; round++)
		for (unsigned i = 0; i < 32 && fake_ring_room(&v->rig.ring[1]) > 0; i++) {
			struct vsock_packet p = vsock_rig_packet(&g, VSOCK_OP_REQUEST);
			p.src_port = 5;
			vsock_rig_offer(&p);
			usleep(200);
			while (fake_ring_reap(&v->rig.ring[1], &id, &len))
				taken++;
		}
	cr_assert_eq(taken, (unsigned)VSOCK_MAX_REPLIES);
	cr_assert_eq(fake_ring_room(&v->rig.ring[1]), 0u);
	/* With buffers nothing was lost. */
	vsock_rig_supply(16, VSOCK_RIG_BUFFER);
	while (replies < VSOCK_MAX_REPLIES + RIG_QUEUE_SIZE) {
		cr_assert_eq(vsock_rig_receive(NULL).op, VSOCK_OP_RST);
		replies++;
	}
	cr_assert(vsock_rig_is_silent());
}

/* A receive ring without buffers: data waits in its socket, nothing is lost. */
Test(vsock_stream, data_waits_for_receive_buffers)
{
	fake_driver_reset(&v->rig.driver);
	vsock_rig_start_without(0, 0);
	vsock_rig_supply(1, VSOCK_RIG_BUFFER);
	int fd;
	vsock_rig_say(&stream, VSOCK_OP_REQUEST, 0);
	vsock_rig_receive_last(NULL);
	fd = accept(listener, NULL, NULL);
	cr_assert_eq(write(fd, "first", 5), 5);
	cr_assert(vsock_rig_is_silent());
	vsock_rig_supply(1, VSOCK_RIG_BUFFER);
	cr_assert_eq(vsock_rig_receive_last(payload).len, 5);
	cr_assert_eq(write(fd, "second", 6), 6);
	close(fd);
	cr_assert(vsock_rig_is_silent());
	vsock_rig_supply(3, VSOCK_RIG_BUFFER);
	cr_assert_eq(vsock_rig_receive_last(payload).len, 6);
	cr_assert_eq(vsock_rig_receive_last(NULL).op, VSOCK_OP_SHUTDOWN);
}
