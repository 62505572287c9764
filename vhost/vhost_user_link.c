/*
 * The connection to a vhost-user back end: made, watched, lost, and made again while the guest
 * runs. All of it is on the main loop, but for the first connection and a cut.
 *
 * Who was just connected to may be slow or silent: it is greeted, and nobody waits.  The rest is
 * asked when it has answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "vhost/ring_history.h"
#include "vhost/vhost_user_impl.h"
#include "virtio/virtio_device.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

enum {
	REFRESH_REST_MS = 10,
	RETRY_FIRST_MS = 100, RETRY_MAX_MS = 5000, GREETING_MS = 10000,
	/* Back ends that leave that soon, so often, with nothing done: the rings are to blame. */
	BARREN_MS = 1000, BARREN_MAX = 3,
};

void vhost_user_lock(struct vhost_user *u)
{
	if (u->dev && u->dev->machine)
		machine_lock(u->dev->machine);
}

void vhost_user_unlock(struct vhost_user *u)
{
	if (u->dev && u->dev->machine)
		machine_unlock(u->dev->machine);
}

/* --- connecting ------------------------------------------------------------------------------ */

static int open_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	do
		r = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return fd;
	r = -errno;
	fd_close(&fd);
	return r;
}

int vhost_user_connect(const char *path)
{
	int fd = open_socket(path);

	if (fd >= 0)
		return fd;
	error_set(fd, "connect to '%s'", path);
	switch (fd) {
	case -ENOENT:
	case -ECONNREFUSED:
		error_hint("a vhost-user back end must listen there before Vireo is started, for "
			   "example qemu-storage-daemon");
		break;
	case -EACCES:
		error_hint("the socket's owner and mode must let you write to it");
		break;
	case -EAGAIN:
		error_hint("the back end accepts no connections now: it may be serving another VM");
		break;
	case -ENAMETOOLONG:
		error_hint("a socket's path has %zu characters at most",
			   sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		break;
	}
	return fd;
}

/* What must be so of the first back end, and of every other. */
static int agree(struct vhost_user *u, struct vhost_user_node *n, int theirs)
{
	int r = vhost_user_node_agree(n, u->config_len > 0, theirs);

	if (r == 0 && n->max_rings < u->n_rings) {
		r = error_set(EINVAL, "the back end has %u queues, not %u", n->max_rings,
			      u->n_rings);
		error_hint("start it with more, or use fewer here (queues)");
	}
	return r;
}

int vhost_user_link_first(struct vhost_user *u, int sock, struct vhost_node **node)
{
	struct vhost_user_node *n;
	int theirs = FD_NONE, r;

	u->sock = sock;
	r = vhost_user_node_create(&n, sock);
	if (r < 0)
		return r;
	*node = &n->node;
	vhost_user_node_give_time(n, u->first_ms);
	if (!u->only_look)
		r = vhost_user_back_open(u, &theirs);
	if (r == 0)
		r = agree(u, n, theirs);
	if (r == 0 && u->config_len > 0)
		r = vhost_user_node_get_config(n, u->config, u->config_len);
	fd_close(&theirs);
	if (r == 0)
		return 0;
	if (r == -ETIMEDOUT)
		error_hint("a back end that serves another VM already does not answer");
	n->node.ops->close(&n->node);
	*node = NULL;
	return r;
}

/* --- losing it ------------------------------------------------------------------------------- */

void vhost_user_link_cut(struct vhost_user *u)
{
	if (u->sock != FD_NONE)
		shutdown(u->sock, SHUT_RDWR);
}

static void fail(struct vhost_user *u, const char *reason)
{
	if (u->base.is_started && u->base.fail)
		u->base.fail(u->base.fail_arg, u->queue[0].index, VQ_FAULT_NONE, reason);
}

/* Where the rings are, for another back end to go on.  False if that cannot be known. */
static bool remember_rings(struct vhost_user *u)
{
	bool known = true, waits = false, got_on = false;

	for (unsigned i = 0; i < u->n_rings; i++) {
		const struct vhost_ring *ring = &u->v->ring[i];
		struct datapath_queue *q = &u->queue[i];
		uint16_t at;
		if (!ring->up || ring->ends || !ring->hold[1].host || !ring->hold[2].host) {
			q->enabled = q->enabled && ring->up && !ring->ends;
			continue;
		}
		known &= ring_history_goes_on(ring->hold[1].host, ring->hold[2].host, q->size,
					      u->began_at[i], &at);
		got_on |= at != u->seen_at[i];
		waits |= at != load_le16((const uint8_t *)ring->hold[1].host + 2);
		u->seen_at[i] = at;
		q->resume = true;
		q->position = (struct virtqueue_position){ .avail = at, .used = at };
	}
	if (got_on || !waits || clock_now_ms() - u->began_ms > BARREN_MS)
		u->n_barren = 0;
	else
		u->n_barren++;
	return known;
}

static void retry_in(struct vhost_user *u, unsigned ms)
{
	const struct itimerspec when = {
		.it_value = { ms / 1000, (long)(ms % 1000) * 1000000 },
	};

	(void)!timerfd_settime(u->retry.fd, 0, &when, NULL);
}

/* Who started it hears of it each time, and is to keep his distances himself. */
static void try_another(struct vhost_user *u)
{
	if (!u->path) {
		if (u->lost)
			u->lost(u->arg);
		return;
	}
	retry_in(u, u->retry_ms);
	u->retry_ms = (unsigned)min_u64(2 * (uint64_t)u->retry_ms, RETRY_MAX_MS);
}

static void close_link(struct vhost_user *u)
{
	event_loop_remove(&u->hang_up);
	event_loop_remove(&u->answer);
	vhost_user_back_close(u);
	if (u->fresh)
		u->fresh->node.ops->close(&u->fresh->node);
	u->fresh = NULL;
	u->refresh_waits = false;
	fd_close(&u->sock);
}

/* Machine lock held. */
static void lose(struct vhost_user *u)
{
	const bool was_ours = u->v->node || u->v->started;
	bool goes_on = true;

	if (u->v->started) {
		goes_on = remember_rings(u);
		vhost_lose(u->v);
	} else if (u->v->node) {
		vhost_lose(u->v);
	}
	close_link(u);
	/* Another one is told again what the driver chose. */
	u->must_tell = true;
	if (was_ours) {
		log_warning("%s: its back end is gone%s", u->name,
			    u->path ? "; waiting for another one" : "");
		u->rings_known = goes_on;
		if (u->forgets)
			fail(u, "its back end is gone, and what it knew is lost");
		else if (!goes_on && u->inflight.fd == FD_NONE)
			fail(u, "its back end is gone, and nobody knows what it had answered");
		else if (u->n_barren >= BARREN_MAX)
			fail(u, "its back end leaves again and again, and answers nothing");
		else if (!u->path && !u->lost)
			fail(u, "its back end is gone");
	}
	try_another(u);
}

static void on_hang_up(struct event_source *source, uint32_t events)
{
	struct vhost_user *u = container_of(source, struct vhost_user, hang_up);

	(void)events;
	vhost_user_lock(u);
	lose(u);
	vhost_user_unlock(u);
}

/* --- and back again -------------------------------------------------------------------------- */

/* Does it do for a driver that is in the middle of its work? */
static const char *judge_other(const struct vhost_user *u)
{
	const struct features lost = features_minus(u->features, vhost_served(u->v));

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		if (features_has(&lost, bit) && vhost_features_knows(u->kind, bit))
			return "another back end came, which does not serve all that the driver "
			       "took";
	if (!u->rings_known && u->inflight.fd != FD_NONE &&
	    !vhost_user_node_has(vhost_user_node(u), VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return "another back end came, which cannot tell what is in flight";
	return NULL;
}

static void go_on(struct vhost_user *u)
{
	const char *reason = judge_other(u);

	if (!u->base.is_started || u->suspended)
		return;
	if (reason) {
		fail(u, reason);
		return;
	}
	if (vhost_user_go_on(u) == 0)
		return;
	log_warning("%s: %s", u->name, error_text());
	error_clear();
	/* If it went away again, there will be another one. */
	if (vhost_user_node(u) && vhost_user_node(u)->broken)
		vhost_user_link_cut(u);
	else
		fail(u, "another back end came, and cannot go on");
}

/* It answered: the rest, within the time that a register write has.  Machine lock held. */
static int take(struct vhost_user *u)
{
	struct vhost_user_node *n = u->fresh;
	int theirs, r = vhost_user_back_open(u, &theirs);

	u->fresh = NULL;
	vhost_user_node_give_time(n, u->patience_ms);
	if (r == 0)
		r = agree(u, n, theirs);
	fd_close(&theirs);
	if (r < 0) {
		n->node.ops->close(&n->node);
		return r;
	}
	r = vhost_renew(u->v, &n->node);
	if (r == 0)
		r = vhost_user_link_watch(u);
	return r;
}

static void on_answer(struct event_source *source, uint32_t events)
{
	struct vhost_user *u = container_of(source, struct vhost_user, answer);

	(void)events;
	event_loop_remove(&u->answer);
	vhost_user_lock(u);
	int r = take(u);

	if (r < 0) {
		log_info("%s: %s", u->name, error_text());
		error_clear();
		if (u->v->node)
			vhost_lose(u->v);
		close_link(u);
		try_another(u);
	} else {
		log_notice("%s: its back end is back", u->name);
		retry_in(u, 0);
		u->retry_ms = RETRY_FIRST_MS;
		vhost_user_refresh_config(u);
		vhost_user_tell_choice(u);
		if (vhost_user_node(u))
			go_on(u);
	}
	vhost_user_unlock(u);
}

int vhost_user_link_greet(struct vhost_user *u, int sock)
{
	int r;

	if (u->sock != FD_NONE) {
		fd_close(&sock);
		return error_set(EBUSY, "%s has a back end", u->name);
	}
	u->sock = sock;
	r = vhost_user_node_create(&u->fresh, sock);
	if (r == 0) {
		vhost_user_node_give_time(u->fresh, u->patience_ms);
		vhost_user_node_greet(u->fresh);
		u->answer.fd = sock;
		r = event_loop_add(u->main, &u->answer, EPOLLIN | EPOLLRDHUP);
	}
	if (r < 0)
		close_link(u);
	else
		retry_in(u, GREETING_MS);
	return r;
}

static void retry(struct vhost_user *u)
{
	int sock;

	/* It was connected to, and is silent. */
	if (u->fresh) {
		log_info("%s: a back end does not answer", u->name);
		close_link(u);
		try_another(u);
		return;
	}
	if (!u->path || u->sock != FD_NONE)
		return;
	sock = open_socket(u->path);
	if (sock < 0) {
		log_debug("%s: connect to '%s': %s", u->name, u->path, error_name(-sock));
		try_another(u);
	} else if (vhost_user_link_greet(u, sock) < 0) {
		log_warning("%s: %s", u->name, error_text());
		error_clear();
		try_another(u);
	}
}

/* --- news of the configuration space ---------------------------------------------------------- */

/*
 * Whoever asks for it has the machine lock for as long as the back end takes, on the main loop: of
 * their time a back end that has news all the time has a tenth.
 */
void vhost_user_link_refresh(struct vhost_user *u)
{
	vhost_user_lock(u);
	const uint64_t now = clock_now_ms();

	/* Nothing is asked while a stop is. */
	u->refresh_waits = now < u->refresh_after_ms || u->v->halting;
	if (u->refresh_waits) {
		/* The timer is nobody else's while there is a back end. */
		uint64_t wait_ms = max_u64(u->refresh_after_ms, now + REFRESH_REST_MS) - now;
		retry_in(u, (unsigned)wait_ms);
	} else {
		vhost_user_refresh_config(u);
		const uint64_t then = clock_now_ms();
		u->refresh_after_ms = then + max_u64(REFRESH_REST_MS, 9 * (then - now));
	}
	vhost_user_unlock(u);
}

static void on_retry(struct event_source *source, uint32_t events)
{
	struct vhost_user *u = container_of(source, struct vhost_user, retry);

	(void)events;
	if (!fd_drain(source->fd))
		return;
	if (vhost_user_node(u)) {
		if (u->refresh_waits)
			vhost_user_link_refresh(u);
		return;
	}
	vhost_user_lock(u);
	retry(u);
	vhost_user_unlock(u);
}

/* --- for life -------------------------------------------------------------------------------- */

int vhost_user_link_watch(struct vhost_user *u)
{
	int r;

	u->hang_up.fd = u->sock;
	/* What there is to read belongs to whoever asked. */
	r = event_loop_add(u->main, &u->hang_up, EPOLLRDHUP);
	return r == 0 ? vhost_user_back_watch(u) : r;
}

int vhost_user_link_init(struct vhost_user *u)
{
	u->hang_up.fn = on_hang_up;
	u->answer.fn = on_answer;
	u->retry.fn = on_retry;
	u->retry_ms = RETRY_FIRST_MS;
	u->retry.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (u->retry.fd < 0) {
		u->retry.fd = FD_NONE;
		return error_set(errno, "create a timer");
	}
	return event_loop_add(u->main, &u->retry, EPOLLIN);
}

void vhost_user_link_fini(struct vhost_user *u)
{
	event_loop_remove(&u->retry);
	event_loop_remove(&u->hang_up);
	event_loop_remove(&u->answer);
	vhost_user_back_close(u);
	if (u->fresh)
		u->fresh->node.ops->close(&u->fresh->node);
	u->fresh = NULL;
	fd_close(&u->retry.fd);
}
