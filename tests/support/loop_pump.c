#include "tests/support/loop_pump.h"

#include <time.h>
#include <unistd.h>

struct stopper {
	struct event_post post;
	struct event_loop *loop;
};

static void stop_fn(struct event_post *post)
{
	event_loop_stop(container_of(post, struct stopper, post)->loop);
}

void loop_pump(struct event_loop *loop)
{
	/* The post wakes epoll_wait; posts run after the sources that were ready with it. */
	for (int round = 0; round < 4; round++) {
		struct stopper stopper = { .post = { .fn = stop_fn }, .loop = loop };

		event_loop_post(loop, &stopper.post);
		event_loop_run(loop);
	}
}

void loop_pump_for(struct event_loop *loop, unsigned ms)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	do {
		loop_pump(loop);
		usleep(500);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec ||
		 (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
}
