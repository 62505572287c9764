/*
 * Frames through a tap.  The host's kernel reads and writes the same header as the driver does, so
 * a frame is one readv(2) or writev(2) of the guest's own memory, and several that are there
 * together are one system call (io_batch.h).
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "devices/tap_impl.h"

uint32_t tap_wanted_events(const struct tap_queue *q)
{
	return (q->wants_readable ? EPOLLIN : 0u) | (q->wants_writable ? EPOLLOUT : 0u);
}

int tap_lose(struct tap_queue *q)
{
	event_loop_remove(&q->source);
	q->is_lost = true;
	return -ENODEV;
}

/* EBADFD: the descriptor has no interface any more. */
int tap_send(struct net_peer *peer, unsigned pair, const struct iovec *iov, unsigned n)
{
	struct tap_queue *q = &tap_of(peer)->queue[pair];
	ssize_t r;

	if (!q->is_attached)
		return q->is_lost ? -ENODEV : 0;
	do
		r = writev(q->fd, iov, (int)n);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return 0;
	if (errno == EBADFD)
		return tap_lose(q);
	if (errno != EAGAIN)
		/* It is down, or the kernel does not like the frame, or has no memory. */
		return 0;
	q->wants_writable = true;
	event_loop_modify(&q->source, tap_wanted_events(q));
	return -EAGAIN;
}

/*
 * How many of the 'n' frames that went together are done with, or -ENODEV.  Those at the end for
 * which there was no room can wait for it.  One before them is lost: what came after it has gone,
 * and a network may lose frames but not change their order.
 */
static int judge_sent(struct tap_queue *q, const struct io_batch_op *op, unsigned n)
{
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++) {
		if (op[i].result == -EBADFD)
			return tap_lose(q);
		if (op[i].result != -EAGAIN)
			done = i + 1;
	}
	return (int)done;
}

static int send_one_by_one(struct net_peer *peer, unsigned pair,
			   const struct net_peer_frame *frame, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int r = tap_send(peer, pair, frame[i].iov, frame[i].n);

		if (r == -EAGAIN)
			return (int)i;
		if (r < 0)
			return r;
	}
	return (int)n;
}

int tap_send_many(struct net_peer *peer, unsigned pair, const struct net_peer_frame *frame,
		  unsigned n)
{
	struct tap_queue *q = &tap_of(peer)->queue[pair];
	struct io_batch_op op[NET_PEER_BATCH];
	int done = 0, r;

	if (!q->is_attached)
		return q->is_lost ? -ENODEV : (int)n;
	if (q->batch && n > 1) {
		for (unsigned i = 0; i < n; i++)
			op[i] = (struct io_batch_op){ .iov = frame[i].iov, .n = frame[i].n };
		done = judge_sent(q, op, io_batch_write(q->batch, op, n));
		if (done < 0)
			return done;
	}
	r = send_one_by_one(peer, pair, frame + done, n - (unsigned)done);
	return r < 0 ? r : done + r;
}

/* EFAULT is how a read ends that the deletion overtook. */
static ssize_t judge_received(struct tap_queue *q, ssize_t r)
{
	if (r >= 0)
		return r;
	return r == -EBADFD || r == -EFAULT ? tap_lose(q) : 0;
}

ssize_t tap_receive(struct net_peer *peer, unsigned pair, const struct iovec *iov, unsigned n)
{
	struct tap_queue *q = &tap_of(peer)->queue[pair];
	ssize_t r;

	if (!q->is_attached)
		return q->is_lost ? -ENODEV : 0;
	do
		r = readv(q->fd, iov, (int)n);
	while (r < 0 && errno == EINTR);
	return judge_received(q, r < 0 ? -errno : r);
}

void tap_receive_many(struct net_peer *peer, unsigned pair, const struct net_peer_frame *frame,
		      ssize_t *result, unsigned n)
{
	struct tap_queue *q = &tap_of(peer)->queue[pair];
	struct io_batch_op op[NET_PEER_BATCH];
	unsigned n_done = 0;

	if (q->batch && q->is_attached) {
		for (unsigned i = 0; i < n; i++)
			op[i] = (struct io_batch_op){ .iov = frame[i].iov, .n = frame[i].n };
		n_done = io_batch_read(q->batch, op, n);
	}
	for (unsigned i = 0; i < n_done; i++)
		result[i] = judge_received(q, op[i].result);
	for (unsigned i = n_done; i < n; i++) {
		result[i] = tap_receive(peer, pair, frame[i].iov, frame[i].n);
		/* Each look at an empty tap is a system call: one is enough. */
		if (result[i] == 0) {
			memset(result + i, 0, (n - i) * sizeof(*result));
			return;
		}
	}
}

void tap_want_readable(struct net_peer *peer, unsigned pair, bool want)
{
	struct tap_queue *q = &tap_of(peer)->queue[pair];

	q->wants_readable = want;
	event_loop_modify(&q->source, tap_wanted_events(q));
}
