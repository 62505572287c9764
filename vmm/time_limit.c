#include "vmm/time_limit.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"

static int arm(struct time_limit *limit, uint64_t ns)
{
	struct itimerspec when = {
		.it_value.tv_sec = (time_t)(ns / 1000000000),
		.it_value.tv_nsec = (long)(ns % 1000000000),
	};

	return timerfd_settime(limit->timer.fd, 0, &when, NULL);
}

static void expired(struct event_source *source, uint32_t events)
{
	struct time_limit *limit = container_of(source, struct time_limit, timer);

	(void)events;
	/* It may have been held after it had expired. */
	if (fd_drain(source->fd) && !limit->held)
		limit->passed(limit->arg);
}

int time_limit_start(struct time_limit *limit, struct event_loop *loop, uint64_t ms,
		     void (*passed)(void *arg), void *arg)
{
	if (ms == 0)
		return 0;
	limit->timer.fn = expired;
	limit->passed = passed;
	limit->arg = arg;
	limit->left_ns = ms < UINT64_MAX / 1000000 ? ms * 1000000 : UINT64_MAX;
	limit->since_ns = clock_now_ns();
	limit->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (limit->timer.fd < 0 || arm(limit, limit->left_ns) < 0)
		return error_set(errno, "set the time limit");
	return event_loop_add(loop, &limit->timer, EPOLLIN);
}

void time_limit_stop(struct time_limit *limit)
{
	event_loop_remove(&limit->timer);
	fd_close(&limit->timer.fd);
}

void time_limit_hold(struct time_limit *limit, bool held)
{
	uint64_t now = clock_now_ns(), gone;

	if (limit->timer.fd == FD_NONE || held == limit->held)
		return;
	limit->held = held;
	if (!held) {
		limit->since_ns = now;
		arm(limit, limit->left_ns);
		return;
	}
	gone = now - limit->since_ns;
	/* What is over already comes at once when it goes on: 0 would be never. */
	limit->left_ns = limit->left_ns > gone ? limit->left_ns - gone : 1;
	arm(limit, 0);
}
