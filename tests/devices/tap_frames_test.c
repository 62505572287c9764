/*
 * Frames that go together through a descriptor that has room for some of them.  A tap hardly ever
 * lacks it: a pair of sockets stands in for one.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/tap_impl.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { MANY = 32 };

static struct tap tap;
static int far = FD_NONE;
static unsigned n_writable, n_writes;

/* The C library's, counted. */
ssize_t writev(int fd, const struct iovec *iov, int n)
{
	n_writes++;
	return syscall(SYS_writev, fd, iov, n);
}

static void on_writable(void *arg, unsigned pair)
{
	(void)arg;
	cr_assert_eq(pair, 0);
	n_writable++;
}

static void on_event(struct event_source *source, uint32_t events)
{
	struct tap_queue *q = container_of(source, struct tap_queue, source);

	cr_assert(events & EPOLLOUT);
	q->wants_writable = false;
	event_loop_modify(source, tap_wanted_events(q));
	tap.start.writable(NULL, q->number);
}

static void setup(void)
{
	struct tap_queue *q = &tap.queue[0];
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*q = (struct tap_queue){ .tap = &tap, .fd = pair[0], .is_attached = true };
	far = pair[1];
	tap.start.writable = on_writable;
	if (io_batch_create(&q->batch, q->fd) < 0)
		cr_skip_test("no io_uring: %s", error_text());
	cr_assert_eq(event_loop_create(&q->loop, "io"), 0);
	q->source = (struct event_source){ .fd = q->fd, .fn = on_event };
	cr_assert_eq(event_loop_add(q->loop, &q->source, 0), 0);
}

static void teardown(void)
{
	struct tap_queue *q = &tap.queue[0];

	io_batch_destroy(q->batch);
	if (q->loop)
		event_loop_remove(&q->source);
	event_loop_destroy(q->loop);
	fd_close(&q->fd);
	fd_close(&far);
}

TestSuite(tap_frames, .init = setup, .fini = teardown, .timeout = 60);

/* Frames 'first' to 'first + n - 1' together; what tap_send_many says. */
static int send_numbers(uint32_t first, unsigned n)
{
	struct net_peer_frame frame[MANY];
	struct iovec iov[MANY];
	uint32_t number[MANY];

	for (unsigned i = 0; i < n; i++) {
		number[i] = first + i;
		iov[i] = (struct iovec){ &number[i], sizeof(number[i]) };
		frame[i] = (struct net_peer_frame){ &iov[i], 1 };
	}
	return tap_send_many(&tap.base, 0, frame, n);
}

/* All that is there follows 'next'.  Returns what comes then. */
static uint32_t take_numbers(uint32_t next)
{
	uint32_t number;

	while (read(far, &number, sizeof(number)) == sizeof(number))
		cr_assert_eq(number, next++);
	return next;
}

Test(tap_frames, wait_for_room_and_go_together_again)
{
	uint32_t sent = 0, got = 0;

	for (unsigned round = 0; round < 5; round++) {
		int r = MANY;

		while (r == MANY) {
			r = send_numbers(sent, MANY);
			cr_assert_geq(r, 0);
			sent += (uint32_t)r;
			cr_assert_lt(sent, 1000000);
		}
		/* It waits for room, and hears of it once. */
		n_writable = 0;
		loop_pump(tap.queue[0].loop);
		cr_assert_eq(n_writable, 0);
		got = take_numbers(got);
		cr_assert_eq(got, sent, "one of %u is lost", sent);
		loop_pump(tap.queue[0].loop);
		cr_assert_eq(n_writable, 1);
		/* As many as there is room for do not go one by one. */
		n_writes = 0;
		cr_assert_eq(send_numbers(sent, 4), 4);
		sent += 4;
		cr_assert_eq(n_writes, 0);
	}
	cr_assert_eq(take_numbers(got), sent);
}

Test(tap_frames, too_large_for_the_peer_is_lost_alone)
{
	static char big[1 << 20];
	struct iovec iov[] = { { big, 1 }, { big, sizeof(big) }, { big, 1 } };
	const struct net_peer_frame frame[] = { { &iov[0], 1 }, { &iov[1], 1 }, { &iov[2], 1 } };
	char got[4];

	cr_assert_eq(tap_send_many(&tap.base, 0, frame, 3), 3);
	cr_assert_eq(read(far, got, sizeof(got)), 1);
	cr_assert_eq(read(far, got, sizeof(got)), 1);
	cr_assert_eq(read(far, got, sizeof(got)), -1);
	cr_assert_eq(n_writes, 0);
}
