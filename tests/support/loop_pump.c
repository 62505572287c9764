#include "tests/support/loop_pump.h"

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
