/*
 * The user-mode network: libslirp as the other end of the cable.  To the guest it is a network
 * 10.0.2.0/24 (and fec0::/64) with a router and host at .2, a name server at .3 and DHCP; what the
 * guest says to others becomes what sockets of this process say.
 *
 * Here are the frames, both ways, and the turns of libslirp on the I/O loop.  How one is made is in
 * user_net_create.c, which sockets are watched in user_sockets.h, what a guest may cause in
 * user_gate.h.
 */
#include "devices/user_net.h"

#if HAVE_SLIRP

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "devices/net_checksum.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum {
	/* libslirp looks that often at what is always there, even with nothing in progress. */
	IDLE_TIMEOUT_MS = 1000,
};

static struct user_net *of(struct net_peer *peer)
{
	return container_of(peer, struct user_net, peer);
}

/* --- A turn of libslirp ---------------------------------------------------------------------- */

static uint32_t to_epoll(int events)
{
	return (events & SLIRP_POLL_IN ? EPOLLIN : 0u) | (events & SLIRP_POLL_OUT ? EPOLLOUT : 0u) |
	       (events & SLIRP_POLL_PRI ? EPOLLPRI : 0u);
}

static int from_epoll(uint32_t events)
{
	return (events & EPOLLIN ? SLIRP_POLL_IN : 0) | (events & EPOLLOUT ? SLIRP_POLL_OUT : 0) |
	       (events & EPOLLPRI ? SLIRP_POLL_PRI : 0) | (events & EPOLLERR ? SLIRP_POLL_ERR : 0) |
	       (events & EPOLLHUP ? SLIRP_POLL_HUP : 0);
}

static bool is_listener(const struct user_net *u, int fd)
{
	for (unsigned i = 0; i < u->n_listeners; i++)
		if (u->listener[i] == fd)
			return true;
	return false;
}

static bool may_open(const struct user_net *u)
{
	return max_u64(u->sockets.n, u->n_open) + u->opened < u->sockets_max;
}

/* Is there so much for the guest already that the host's sockets shall wait? */
static bool is_congested(const struct user_net *u)
{
	return u->queue.used > u->queue.size / 2;
}

static int add_poll(int fd, int events, void *opaque)
{
	struct user_net *u = opaque;

	if (is_listener(u, fd) && !may_open(u))
		return -1;
	if (u->was_congested)
		events &= ~(SLIRP_POLL_IN | SLIRP_POLL_PRI);
	/* An error that nobody asks for would be reported again and again. */
	if (!(events & (SLIRP_POLL_IN | SLIRP_POLL_OUT | SLIRP_POLL_PRI)))
		return -1;
	return user_sockets_want(&u->sockets, fd, to_epoll(events));
}

static int get_revents(int slot, void *opaque)
{
	struct user_net *u = opaque;

	return from_epoll(user_sockets_ready(&u->sockets, slot));
}

/* When libslirp must be called although nothing happens; what is set already may come early. */
static void set_timer(struct user_net *u, uint32_t timeout_ms)
{
	uint64_t now = clock_now_ns(), at = UINT64_MAX;

	if (timeout_ms < IDLE_TIMEOUT_MS)
		at = now + timeout_ms * UINT64_C(1000000);
	for (unsigned i = 0; i < USER_NET_TIMERS; i++)
		if (u->timer[i].is_set)
			at = min_u64(at, u->timer[i].expire_ns);
	if (at == UINT64_MAX || (u->timer_at > now && u->timer_at <= at))
		return;
	u->timer_at = max_u64(at, 1);

	const struct itimerspec spec = {
		.it_value.tv_sec = (time_t)(u->timer_at / 1000000000),
		.it_value.tv_nsec = (long)(u->timer_at % 1000000000),
	};
	timerfd_settime(u->clock.fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void run_timers(struct user_net *u)
{
	uint64_t now = clock_now_ns();

	for (unsigned i = 0; i < USER_NET_TIMERS; i++) {
		struct user_net_timer *timer = &u->timer[i];

		if (timer->is_set && timer->expire_ns <= now) {
			timer->is_set = false;
			timer->fn(timer->arg);
		}
	}
}

static void tell_readable(struct user_net *u)
{
	if (u->queue.used > 0 && u->wants_readable)
		u->start.readable(u->start.arg, 0);
}

static void run_turn(struct user_net *u)
{
	uint32_t timeout_ms = UINT32_MAX;

	run_timers(u);
	u->library->pollfds_poll(u->slirp, 0, get_revents, u);
	u->opened = 0;
	u->was_congested = is_congested(u);
	user_sockets_begin(&u->sockets, u->loop);
	u->library->pollfds_fill(u->slirp, &timeout_ms, add_poll, u);
	user_sockets_end(&u->sockets);
	set_timer(u, timeout_ms);
	tell_readable(u);
}

void user_net_turn(struct event_post *post)
{
	run_turn(container_of(post, struct user_net, turn));
}

void user_net_clock(struct event_source *source, uint32_t events)
{
	struct user_net *u = container_of(source, struct user_net, clock);

	(void)events;
	fd_drain(source->fd);
	u->timer_at = 0;
	run_turn(u);
}

/* --- Frames ---------------------------------------------------------------------------------- */

ssize_t user_net_on_frame(const void *frame, size_t len, void *opaque)
{
	struct user_net *u = opaque;

	/* Lost, as on any wire: TCP sends it again. */
	if (u->is_running && !frame_queue_push(&u->queue, frame, len))
		log_guest(&u->log, LOG_INFO, "%s: the guest does not take its packets", u->name);
	return (ssize_t)len;
}

static ssize_t user_receive(struct net_peer *peer, unsigned pair, const struct iovec *iov,
			    unsigned n)
{
	static const uint8_t no_offload[20];
	struct user_net *u = of(peer);

	(void)pair;
	ssize_t len = frame_queue_pop(&u->queue, iov, n, u->start.header_len);
	if (u->was_congested && u->queue.used < u->queue.size / 4)
		event_loop_post(u->loop, &u->turn);
	if (len <= 0)
		return len;
	iov_write(iov, n, 0, no_offload, u->start.header_len);
	return (ssize_t)u->start.header_len + len;
}

/* The fields of the header that matter here.  virtio-v1.4 5.1.6 "Device Operation" */
struct header {
	bool needs_checksum, is_segmented;
	size_t start, offset;
};

static void load_header(struct header *h, const struct iovec *iov, unsigned n)
{
	enum { NEEDS_CSUM = 1 };
	uint8_t bytes[10] = { 0 };

	iov_read(iov, n, 0, bytes, sizeof(bytes));
	h->needs_checksum = bytes[0] & NEEDS_CSUM;
	h->is_segmented = bytes[1] != 0;
	h->start = load_le16(bytes + 6);
	h->offset = load_le16(bytes + 8);
}

static int user_send(struct net_peer *peer, unsigned pair, const struct iovec *iov, unsigned n)
{
	struct user_net *u = of(peer);
	size_t total = iov_len(iov, n), header_len = u->start.header_len;
	struct header header;

	(void)pair;
	if (total <= header_len || total - header_len > sizeof(u->frame))
		return 0;
	load_header(&header, iov, n);
	size_t len = iov_read(iov, n, header_len, u->frame, total - header_len);
	if (header.needs_checksum &&
	    !net_checksum_finish(u->frame, len, header.start, header.offset))
		return 0;
	switch (user_gate_judge(&u->gate, u->frame, len, header.is_segmented)) {
	case USER_GATE_DROP:
		return 0;
	case USER_GATE_OPENS:
		if (!may_open(u)) {
			log_guest(&u->log, LOG_INFO, "%s: the guest has %u connections, more are "
				  "not opened", u->name, u->n_open);
			return 0;
		}
		u->opened++;
		break;
	case USER_GATE_PASS:
		break;
	}
	u->library->input(u->slirp, u->frame, (int)len);
	event_loop_post(u->loop, &u->turn);
	return 0;
}

static void user_want_readable(struct net_peer *peer, unsigned pair, bool want)
{
	struct user_net *u = of(peer);

	(void)pair;
	u->wants_readable = want;
	if (want && u->queue.used > 0)
		event_loop_post(u->loop, &u->turn);
}

/* --- Life ------------------------------------------------------------------------------------ */

/* An error chain belongs to a thread and is carried back. */
struct begin {
	struct user_net *u;
	int result;
	struct error_chain chain;
};

static void begin(void *arg)
{
	struct begin *b = arg;
	struct user_net *u = b->u;

	b->result = event_loop_add(u->loop, &u->clock, EPOLLIN);
	if (b->result < 0) {
		error_save(&b->chain);
		return;
	}
	u->is_running = true;
	u->wants_readable = true;
	u->timer_at = 0;
	event_loop_post(u->loop, &u->turn);
}

static int user_start(struct net_peer *peer, const struct net_peer_start *start)
{
	struct user_net *u = of(peer);
	struct begin b = { .u = u };

	u->start = *start;
	u->loop = start->loop[0];
	event_loop_call(u->loop, begin, &b);
	if (b.result < 0)
		error_restore(&b.chain);
	return b.result;
}

static void end(void *arg)
{
	struct user_net *u = arg;

	u->is_running = false;
	event_loop_unpost(u->loop, &u->turn);
	event_loop_remove(&u->clock);
	user_sockets_clear(&u->sockets);
	frame_queue_clear(&u->queue);
}

static void user_stop(struct net_peer *peer)
{
	struct user_net *u = of(peer);

	if (u->is_running)
		event_loop_call(u->loop, end, u);
}

/* There is nothing to switch on or off: what is offered costs nobody anything. */
static int user_set_offloads(struct net_peer *peer, struct features features)
{
	(void)peer;
	(void)features;
	return 0;
}

static int user_set_pairs(struct net_peer *peer, unsigned n)
{
	(void)peer;
	(void)n;
	return 0;
}

const struct net_peer_ops user_net_ops = {
	.start = user_start,
	.stop = user_stop,
	.set_offloads = user_set_offloads,
	.set_pairs = user_set_pairs,
	.send = user_send,
	.receive = user_receive,
	.want_readable = user_want_readable,
	.destroy = user_net_destroy,
};

#endif
