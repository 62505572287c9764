/* SEQPACKET connections: messages keep their boundaries in both directions. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vsock_credit.h"
#include "devices/vsock_hub.h"
#include "tests/support/vsock_rig.h"

static const struct vsock_guest seqpacket = { VSOCK_SEQPACKET, 1000, 2000, 256 << 10, 0 };
static char payload[256 << 10];
static int listener;

static void setup(void)
{
	vsock_rig_setup();
	listener = vsock_rig_listen(2000, VSOCK_SEQPACKET);
	vsock_rig_start();
}

static void teardown(void)
{
	close(listener);
	vsock_rig_teardown();
}

TestSuite(vsock_seqpacket, .init = setup, .fini = teardown);

/* One message from the host's end, with time. */
static ssize_t next_message(int fd, void *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	cr_assert_eq(poll(&p, 1, 20000), 1);
	return recv(fd, buf, size, 0);
}

/* covers: VSOCK-SEQ-01 */
Test(vsock_seqpacket, messages_of_the_guest_stay_messages)
{
	int fd = vsock_rig_connect(&seqpacket, listener);

	vsock_rig_write(&seqpacket, "one", 3, VSOCK_SEQ_EOM);
	vsock_rig_write(&seqpacket, "t", 1, 0);
	vsock_rig_write(&seqpacket, "w", 1, 0);
	vsock_rig_write(&seqpacket, "o", 1, VSOCK_SEQ_EOM | VSOCK_SEQ_EOR);
	vsock_rig_say(&seqpacket, VSOCK_OP_RW, VSOCK_SEQ_EOM);	/* of no bytes */
	vsock_rig_write(&seqpacket, "four", 4, VSOCK_SEQ_EOM);
	vsock_rig_write(&seqpacket, "lost", 4, 0);
	vsock_rig_say(&seqpacket, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_SEND);
	cr_assert_eq(next_message(fd, payload, 100), 3);
	cr_assert_eq(next_message(fd, payload, 100), 3);
	cr_assert_eq(memcmp(payload, "two", 3), 0);
	cr_assert_eq(next_message(fd, payload, 100), 0);
	cr_assert_eq(next_message(fd, payload, 100), 4);
	cr_assert_eq(next_message(fd, payload, 100), 0);	/* the end */
	close(fd);
}

/* covers: VSOCK-SEQ-01 */
Test(vsock_seqpacket, messages_of_the_host_stay_messages)
{
	static const uint32_t len[] = { 1, 0, 8148, 8149, 0, 0, 100000, 5 };
	struct vsock_guest g = seqpacket;
	int fd = vsock_rig_connect(&g, listener);
	static char got[VSOCK_RIG_PAYLOAD];

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		memset(payload, 'a' + (int)i, len[i]);
		cr_assert_eq(send(fd, payload, len[i], MSG_EOR), (ssize_t)len[i]);
	}
	close(fd);
	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		uint32_t have = 0;
		struct vsock_packet p;

		do {
			p = vsock_rig_receive(got);
			cr_assert_eq(p.op, VSOCK_OP_RW);
			for (uint32_t k = 0; k < p.len; k++)
				cr_assert_eq(got[k], 'a' + (int)i);
			have += p.len;
			g.fwd_cnt += p.len;
			cr_assert_eq(p.flags, have == len[i] ? (uint32_t)VSOCK_SEQ_EOM : 0u);
		} while (!(p.flags & VSOCK_SEQ_EOM));
		cr_assert_eq(have, len[i]);
		vsock_rig_say(&g, VSOCK_OP_CREDIT_UPDATE, 0);
	}
	vsock_rig_await(&g, VSOCK_OP_SHUTDOWN);
}

Test(vsock_seqpacket, messages_wait_whole_for_a_peer_that_does_not_read)
{
	int fd = vsock_rig_connect(&seqpacket, listener);
	unsigned sent = 0, fwd = 0;

	/* Until the socket is full and half of the credit is used. */
	while (sent - fwd < VSOCK_BUF_ALLOC / 2) {
		memset(payload, 'a' + (int)(sent / 1000 % 26), 1000);
		vsock_rig_write(&seqpacket, payload, 400, 0);
		vsock_rig_write(&seqpacket, payload, 600, VSOCK_SEQ_EOM);
		sent += 1000;
		while (fake_ring_has_used(&vsock_rig.rig.ring[0]))
			fwd = vsock_rig_expect(&seqpacket, VSOCK_OP_CREDIT_UPDATE).fwd_cnt;
	}
	vsock_rig_say(&seqpacket, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_SEND);
	for (unsigned at = 0; at < sent; at += 1000) {
		cr_assert_eq(next_message(fd, payload, 2000), 1000);
		for (unsigned i = 0; i < 1000; i++)
			cr_assert_eq(payload[i], 'a' + (int)(at / 1000 % 26));
	}
	cr_assert_eq(next_message(fd, payload, 2000), 0);
	close(fd);
}

/* covers: VSOCK-SEQ-02 */
Test(vsock_seqpacket, a_message_without_end_is_reset)
{
	int fd = vsock_rig_connect(&seqpacket, listener);
	struct vsock_packet p;

	for (unsigned i = 0; i < VSOCK_BUF_ALLOC / 16384; i++)
		vsock_rig_write(&seqpacket, payload, 16384, 0);
	cr_assert(vsock_rig_is_silent());
	vsock_rig_write(&seqpacket, payload, 1, 0);
	p = vsock_rig_expect(&seqpacket, VSOCK_OP_RST);
	cr_assert_eq(p.type, VSOCK_SEQPACKET);
	cr_assert(vsock_rig_at_end(fd));
	close(fd);
}

/* The largest message that there is credit for. */
Test(vsock_seqpacket, a_message_may_be_as_long_as_the_buffer)
{
	int fd = vsock_rig_connect(&seqpacket, listener);

	for (unsigned i = 0; i < VSOCK_BUF_ALLOC; i += 32768)
		vsock_rig_write(&seqpacket, payload, 32768,
				i + 32768 == VSOCK_BUF_ALLOC ? VSOCK_SEQ_EOM : 0);
	cr_assert_eq(next_message(fd, payload, sizeof(payload)), (ssize_t)VSOCK_BUF_ALLOC);
	close(fd);
}

/* Messages of no bytes cost no credit; they do not pile up without end. */
Test(vsock_seqpacket, empty_messages_are_bounded)
{
	int fd = vsock_rig_connect(&seqpacket, listener);
	bool reset = false;

	for (unsigned i = 0; i < 400000 && !reset; i++) {
		vsock_rig_say(&seqpacket, VSOCK_OP_RW, VSOCK_SEQ_EOM);
		reset = fake_ring_has_used(&vsock_rig.rig.ring[0]);
	}
	cr_assert(reset);
	vsock_rig_expect(&seqpacket, VSOCK_OP_RST);
	close(fd);
}

/* What the guest could never take as a whole would never end. */
Test(vsock_seqpacket, a_message_too_long_for_the_guest_is_reset)
{
	struct vsock_guest g = seqpacket;

	g.buf_alloc = 1000;
	int fd = vsock_rig_connect(&g, listener);
	cr_assert_eq(send(fd, payload, 1000, 0), 1000);
	cr_assert_eq(vsock_rig_receive(payload).len, 1000);
	g.fwd_cnt = 1000;
	vsock_rig_say(&g, VSOCK_OP_CREDIT_UPDATE, 0);
	cr_assert_eq(send(fd, payload, 1001, 0), 1001);
	vsock_rig_await(&g, VSOCK_OP_RST);
	close(fd);
	g.buf_alloc = 1 << 20;
	g.fwd_cnt = 0;
	fd = vsock_rig_connect(&g, listener);
	cr_assert_eq(send(fd, payload, VSOCK_MAX_MESSAGE + 1, 0), VSOCK_MAX_MESSAGE + 1);
	vsock_rig_expect(&g, VSOCK_OP_RST);
	close(fd);
}

/* A peer that sends descriptors along gives us none. */
Test(vsock_seqpacket, descriptors_are_not_taken)
{
	int fd = vsock_rig_connect(&seqpacket, listener), sent[2];
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { payload, 3 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	char byte;

	cr_assert_eq(pipe(sent), 0);
	*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(c), &sent[1], sizeof(int));
	cr_assert_eq(sendmsg(fd, &m, 0), 3);
	cr_assert_eq(vsock_rig_receive(payload).len, 3);
	close(sent[1]);
	/* Nobody else has the pipe's other end: it is at its end. */
	struct pollfd p = { .fd = sent[0], .events = POLLIN };
	cr_assert_eq(poll(&p, 1, 1000), 1);
	cr_assert_eq(read(sent[0], &byte, 1), 0);
	close(sent[0]);
	close(fd);
}
