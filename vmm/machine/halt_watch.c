#include "vmm/machine/halt_watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum {
	TICK_MS = 250,
	LONGEST_WAIT = 16,	/* ticks: 4 s */
	BUSY_NS = 1000000,	/* more than a look costs */
};

bool halt_policy_tick(struct halt_policy *policy, uint64_t cpu_ns)
{
	uint64_t used = cpu_ns - policy->cpu_ns;

	policy->cpu_ns = cpu_ns;
	if (used >= BUSY_NS) {
		policy->wait = 0;
		policy->left = 0;
	}
	if (policy->left > 0)
		policy->left--;
	if (used > 0 || policy->left > 0)
		return false;
	policy->wait = policy->wait ? (unsigned)min_u64(2 * policy->wait, LONGEST_WAIT) : 2;
	policy->left = policy->wait;
	return true;
}

static void on_tick(struct event_source *source, uint32_t events)
{
	struct halt_watch *watch = container_of(source, struct halt_watch, timer);

	(void)events;
	fd_drain(source->fd);
	if (halt_policy_tick(&watch->policy, watch->cpu_ns(watch->arg)))
		watch->look(watch->arg);
}

int halt_watch_start(struct halt_watch *watch, struct event_loop *loop)
{
	const struct itimerspec period = {
		.it_value.tv_nsec = TICK_MS * 1000000,
		.it_interval.tv_nsec = TICK_MS * 1000000,
	};
	int r;

	watch->timer.fn = on_tick;
	watch->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (watch->timer.fd < 0)
		return error_set(errno, "create the timer that watches for halted guests");
	if (timerfd_settime(watch->timer.fd, 0, &period, NULL) < 0) {
		r = error_set(errno, "arm the timer that watches for halted guests");
		goto fail;
	}
	r = event_loop_add(loop, &watch->timer, EPOLLIN);
	if (r < 0)
		goto fail;
	return 0;
fail:
	halt_watch_stop(watch);
	return r;
}

void halt_watch_stop(struct halt_watch *watch)
{
	event_loop_remove(&watch->timer);
	fd_close(&watch->timer.fd);
}
