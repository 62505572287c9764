/*
 * A tap of the host as the other end of the cable: its queues and sessions.  How it is opened:
 * tap_open.c; how frames go: tap_frames.c.
 *
 * What frames may look like that come from it (TUNSETOFFLOAD) follows from what the driver
 * accepted: nothing before a start, nothing after a stop.
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "devices/net_header.h"
#include "devices/tap_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { STALE_FRAMES_MAX = 4096 };

/* Since Linux 5.0. */
#ifndef TUNSETCARRIER
#define TUNSETCARRIER _IOW('T', 226, int)
#endif

const unsigned long net_tap_requests[] = {
	TUNSETQUEUE,		/* the driver uses more or fewer pairs */
	TUNSETOFFLOAD,		/* a driver starts, changes its offloads, stops */
	TUNSETVNETHDRSZ,	/* a driver starts */
	TUNSETVNETLE,		/* likewise */
	TUNSETCARRIER,		/* the cable is plugged in or out */
	TUNATTACHFILTER,	/* kernel vhost moves the frames: what the driver wants of them */
	TUNDETACHFILTER,	/* it wants all of them, or stops */
};
const unsigned net_tap_requests_len = ARRAY_SIZE(net_tap_requests);

/* --- watching, on the pair's loop ------------------------------------------------------------ */

static void on_event(struct event_source *source, uint32_t events)
{
	struct tap_queue *q = container_of(source, struct tap_queue, source);
	const struct net_peer_start *start = &q->tap->start;

	if (events & (EPOLLERR | EPOLLHUP)) {
		tap_lose(q);
		if (start->lost)
			start->lost(start->arg, q->number);
		return;
	}
	if (events & EPOLLOUT) {
		q->wants_writable = false;
		event_loop_modify(source, tap_wanted_events(q));
		start->writable(start->arg, q->number);
	}
	if (events & EPOLLIN && q->wants_readable)
		start->readable(start->arg, q->number);
}

struct watch_call {
	struct tap_queue *q;
	int r;
	struct error_chain chain;
};

static void watch(void *arg)
{
	struct watch_call *call = arg;
	struct tap_queue *q = call->q;

	q->source = (struct event_source){ .fd = q->fd, .fn = on_event };
	call->r = event_loop_add(q->loop, &q->source, tap_wanted_events(q));
	if (call->r < 0)
		error_save(&call->chain);
	else
		q->is_attached = true;
}

static void unwatch(void *arg)
{
	struct watch_call *call = arg;

	call->q->is_attached = false;
	event_loop_remove(&call->q->source);
}

static int watch_queue(struct tap_queue *q)
{
	struct watch_call call = { .q = q };

	event_loop_call(q->loop, watch, &call);
	if (call.r < 0)
		error_restore(&call.chain);
	return call.r;
}

static void unwatch_queue(struct tap_queue *q)
{
	struct watch_call call = { .q = q };

	event_loop_call(q->loop, unwatch, &call);
}

/* --- queues come and go ---------------------------------------------------------------------- */

/*
 * Does the host's kernel spread frames over this queue?  Of a tap with one queue there is no
 * choice.  A tap that is gone has none: that is found out where frames are.
 */
static int set_attached(struct tap_queue *q, bool attached)
{
	struct ifreq ifr = {
		.ifr_flags = attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE,
	};

	if (ioctl(q->fd, TUNSETQUEUE, &ifr) == 0 || errno == EBADFD)
		return 0;
	/* It is so already. */
	if (errno == EINVAL)
		return 0;
	return error_set(errno, "%s queue %u of tap '%s'", attached ? "attach" : "detach",
			 q->number, q->tap->ifname);
}

static int attach_queue(struct tap_queue *q)
{
	struct error_chain chain;
	int r = set_attached(q, true);

	if (r == 0)
		r = watch_queue(q);
	if (r < 0) {
		error_save(&chain);
		(void)set_attached(q, false);
		error_restore(&chain);
	}
	return r;
}

/* In this order: one that is watched and not attached looks like a tap that was deleted. */
static int detach_queue(struct tap_queue *q)
{
	struct error_chain chain;

	unwatch_queue(q);
	int r = set_attached(q, false);
	if (r < 0) {
		error_save(&chain);
		(void)watch_queue(q);
		error_restore(&chain);
	}
	return r;
}

static int use_queue(struct tap_queue *q, bool want)
{
	if (q->is_attached == want)
		return 0;
	return want ? attach_queue(q) : detach_queue(q);
}

static void give_up(void *arg)
{
	struct tap_queue *q = arg;
	const struct net_peer_start *start = &q->tap->start;

	q->is_lost = true;
	if (start->lost)
		start->lost(start->arg, q->number);
}

/* As they were; one that cannot be is at its end, and the driver shall know. */
static void restore_queues(struct tap *tap, const bool *was)
{
	struct error_chain chain;

	error_save(&chain);
	for (unsigned i = 1; i < tap->n_running; i++) {
		struct tap_queue *q = &tap->queue[i];

		(void)use_queue(q, was[i]);
		if (was[i] && !q->is_attached)
			event_loop_call(q->loop, give_up, q);
	}
	error_restore(&chain);
}

static int tap_set_pairs(struct net_peer *peer, unsigned n)
{
	struct tap *tap = tap_of(peer);
	bool was[TAP_MAX_QUEUES];
	int r = 0;

	for (unsigned i = 1; i < tap->n_running; i++)
		was[i] = tap->queue[i].is_attached;
	for (unsigned i = 1; i < tap->n_running && r == 0; i++)
		r = use_queue(&tap->queue[i], i < n);
	if (r < 0)
		restore_queues(tap, was);
	return r;
}

static int tap_set_offloads(struct net_peer *peer, struct features features)
{
	struct tap *tap = tap_of(peer);
	unsigned flags = tap_offload_flags(features);

	if (ioctl(tap->queue[0].fd, TUNSETOFFLOAD, (unsigned long)flags) < 0)
		return error_set(errno, "set the offloads of tap '%s'", tap->ifname);
	return 0;
}

/* Frames that wait at a queue already were let through before. */
static int tap_set_filter(struct net_peer *peer, const struct sock_filter *prog, unsigned n)
{
	struct tap *tap = tap_of(peer);
	struct sock_fprog fprog = { .len = (unsigned short)n, .filter = tap->filter };
	int r;

	if (n > NET_BPF_MAX)
		return error_set(E2BIG, "a filter of %u instructions", n);
	/* Not a change of what the kernel may be reading: it reads in calls that we make. */
	if (n > 0)
		memcpy(tap->filter, prog, n * sizeof(*prog));
	r = n > 0 ? ioctl(tap->queue[0].fd, TUNATTACHFILTER, &fprog)
		  : ioctl(tap->queue[0].fd, TUNDETACHFILTER, 0ul);
	/* A tap that is gone has no frames either. */
	if (r < 0 && errno != EBADFD)
		return error_set(errno, "set the filter of tap '%s'", tap->ifname);
	return 0;
}

static void tap_set_link(struct net_peer *peer, bool up)
{
	int value = up;

	/* Old kernels have no such request: frames stop all the same. */
	(void)ioctl(tap_of(peer)->queue[0].fd, TUNSETCARRIER, &value);
}

/* --- session --------------------------------------------------------------------------------- */

/* What came while nobody was there is not for the driver that starts now. */
static void drop_stale(const struct tap_queue *q)
{
	/* Where not even the header fits, the kernel drops the frame and says EINVAL. */
	uint8_t header[NET_HEADER_MAX];

	for (unsigned i = 0; i < STALE_FRAMES_MAX; i++)
		if (read(q->fd, header, sizeof(header)) < 0 && errno != EINTR && errno != EINVAL)
			return;
}

static int set_header(struct tap *tap, unsigned len)
{
	int size = (int)len, little = 1;
	int fd = tap->queue[0].fd;

	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
		return error_set(errno, "set the header of tap '%s' to %u bytes", tap->ifname, len);
	/* Where it is refused, the host's byte order is what it does. */
	if (ioctl(fd, TUNSETVNETLE, &little) < 0 && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return error_set(errno, "set the byte order of tap '%s'", tap->ifname);
	return 0;
}

static void tap_stop(struct net_peer *peer)
{
	struct tap *tap = tap_of(peer);

	if (!tap->is_running)
		return;
	for (unsigned i = 0; i < tap->n_running; i++)
		unwatch_queue(&tap->queue[i]);
	for (unsigned i = 1; i < tap->n_running; i++)
		if (set_attached(&tap->queue[i], false) < 0)
			error_clear();
	/* A tap that is gone has no offloads either. */
	(void)ioctl(tap->queue[0].fd, TUNSETOFFLOAD, 0ul);
	tap->is_running = false;
	tap->n_running = 0;
}

static int tap_start(struct net_peer *peer, const struct net_peer_start *start)
{
	struct tap *tap = tap_of(peer);
	int r = set_header(tap, start->header_len);

	if (r < 0)
		return r;
	tap->start = *start;
	tap->start.loop = NULL;
	for (unsigned i = 0; i < start->n_pairs; i++) {
		struct tap_queue *q = &tap->queue[i];

		q->loop = start->loop[i];
		q->wants_readable = start->readable != NULL;
		q->wants_writable = false;
		q->is_attached = false;
		q->is_lost = false;
	}
	tap->is_running = true;
	tap->n_running = start->n_pairs;
	if (!start->resume)
		drop_stale(&tap->queue[0]);
	r = watch_queue(&tap->queue[0]);
	if (r < 0)
		tap_stop(peer);
	return r;
}

static int tap_vhost_fd(struct net_peer *peer, unsigned pair)
{
	const struct tap *tap = tap_of(peer);

	return pair < tap->n_queues ? tap->queue[pair].fd : FD_NONE;
}

static void tap_destroy(struct net_peer *peer)
{
	struct tap *tap = tap_of(peer);

	tap_stop(peer);
	for (unsigned i = 0; i < tap->n_queues; i++) {
		io_batch_destroy(tap->queue[i].batch);
		fd_close(&tap->queue[i].fd);
	}
	free((char *)tap->name);
	free(tap);
}

static const struct net_peer_ops tap_ops = {
	.start = tap_start,
	.stop = tap_stop,
	.set_offloads = tap_set_offloads,
	.set_pairs = tap_set_pairs,
	.set_filter = tap_set_filter,
	.send = tap_send,
	.send_many = tap_send_many,
	.receive = tap_receive,
	.receive_many = tap_receive_many,
	.want_readable = tap_want_readable,
	.set_link = tap_set_link,
	.vhost_fd = tap_vhost_fd,
	.destroy = tap_destroy,
};

int net_tap_create(struct net_peer **out, const struct net_tap_config *config)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int fd = config->fd;
	int r = 0;

	*out = NULL;
	if (!tap) {
		fd_close(&fd);
		return error_set(ENOMEM, "create the tap of '%s'", config->name);
	}
	tap->base.ops = &tap_ops;
	for (unsigned i = 0; i < TAP_MAX_QUEUES; i++)
		tap->queue[i] = (struct tap_queue){
			.tap = tap, .number = i, .fd = FD_NONE, .source = { .fd = FD_NONE },
		};
	tap->name = strdup(config->name);
	if (!tap->name) {
		fd_close(&fd);
		r = error_set(ENOMEM, "create the tap of '%s'", config->name);
	}
	if (r == 0)
		r = tap_open(tap, config);
	/* Where there is no io_uring each frame is a system call. */
	for (unsigned i = 0; i < tap->n_queues && r == 0; i++)
		if (io_batch_create(&tap->queue[i].batch, tap->queue[i].fd) < 0)
			error_clear();
	/* Until a driver asks for more, all frames come to the first. */
	for (unsigned i = 1; i < tap->n_queues && r == 0; i++)
		r = set_attached(&tap->queue[i], false);
	if (r < 0) {
		tap_destroy(&tap->base);
		return error_add(r, "network interface '%s'", config->name);
	}
	tap->base.n_pairs_max = config->n_pairs;
	tap->base.is_vhost_capable = true;
	snprintf(tap->base.describe, sizeof(tap->base.describe), "tap %s", tap->ifname);
	*out = &tap->base;
	return 0;
}
