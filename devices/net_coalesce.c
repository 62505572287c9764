#include "devices/net_coalesce.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

enum { USECS_PER_SEC = 1000000, NSECS_PER_USEC = 1000 };

static bool is_on(struct net_coalesce_params params)
{
	return params.max_packets > 0 && params.max_usecs > 0;
}

static bool may_wait(struct virtqueue_hold *hold, unsigned n)
{
	struct net_coalesce *c = container_of(hold, struct net_coalesce, hold);
	const struct itimerspec when = {
		.it_value = {
			.tv_sec = c->params.max_usecs / USECS_PER_SEC,
			.tv_nsec = c->params.max_usecs % USECS_PER_SEC * NSECS_PER_USEC,
		},
	};

	if (n >= c->params.max_packets)
		return false;
	if (!c->timer_runs)
		c->timer_runs = timerfd_settime(c->timer.fd, 0, &when, NULL) == 0;
	return c->timer_runs;
}

static void on_timer(struct event_source *source, uint32_t events)
{
	struct net_coalesce *c = container_of(source, struct net_coalesce, timer);

	(void)events;
	if (!fd_drain(source->fd))
		return;
	c->timer_runs = false;
	virtqueue_release_call(c->q);
}

void net_coalesce_init(struct net_coalesce *c)
{
	*c = (struct net_coalesce){
		.hold = { .may_wait = may_wait },
		.timer = { .fd = FD_NONE, .fn = on_timer },
	};
}

static void turn_off(struct net_coalesce *c)
{
	virtqueue_set_hold(c->q, NULL);
	event_loop_remove(&c->timer);
	fd_close(&c->timer.fd);
	c->timer_runs = false;
}

static int turn_on(struct net_coalesce *c, struct event_loop *loop)
{
	int r;

	if (c->timer.fd >= 0) {
		/* It may run, for longer than it should now. */
		const struct itimerspec never = { 0 };

		(void)!timerfd_settime(c->timer.fd, 0, &never, NULL);
		c->timer_runs = false;
		virtqueue_set_hold(c->q, &c->hold);
		return 0;
	}
	c->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->timer.fd < 0)
		return error_set(errno, "make a timer");
	r = event_loop_add(loop, &c->timer, EPOLLIN);
	if (r < 0) {
		fd_close(&c->timer.fd);
		return r;
	}
	virtqueue_set_hold(c->q, &c->hold);
	return 0;
}

int net_coalesce_set(struct net_coalesce *c, struct event_loop *loop,
		     struct net_coalesce_params params)
{
	int r = 0;

	if (is_on(params))
		r = turn_on(c, loop);
	else
		turn_off(c);
	if (r == 0)
		c->params = params;
	return r;
}

void net_coalesce_start(struct net_coalesce *c, struct virtqueue *q, struct event_loop *loop,
			struct net_coalesce_params params)
{
	c->q = q;
	c->params = (struct net_coalesce_params){ 0 };
	if (net_coalesce_set(c, loop, params) < 0) {
		/* The driver can have this again and again, by a reset of the queue. */
		static struct log_limit limit;

		log_guest(&limit, LOG_WARNING, "notifications are not coalesced: %s",
			  error_text());
		error_clear();
	}
}

void net_coalesce_stop(struct net_coalesce *c)
{
	if (!c->q)
		return;
	turn_off(c);
	c->params = (struct net_coalesce_params){ 0 };
	c->q = NULL;
}
