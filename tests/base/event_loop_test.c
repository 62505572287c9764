#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "tests/support/fault.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

struct counter {
	struct event_source source;
	struct event_source *victim;
	atomic_uint n;
};

static void count_event(struct event_source *source, uint32_t events)
{
	struct counter *c = container_of(source, struct counter, source);

	(void)events;
	fd_drain(source->fd);
	c->n++;
	if (c->victim)
		event_loop_remove(c->victim);
}

static void note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

Test(event_loop, call_runs_on_the_loops_thread_and_waits)
{
	struct event_loop *loop;
	pthread_t ran_on = pthread_self();

	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	cr_assert_eq(event_loop_thread_start(loop), 0);
	for (int i = 0; i < 1000; i++)
		event_loop_call(loop, note_thread, &ran_on);
	cr_assert_not(pthread_equal(ran_on, pthread_self()));
	event_loop_thread_stop(loop);
	event_loop_call(loop, note_thread, &ran_on);
	cr_assert(pthread_equal(ran_on, pthread_self()));
	event_loop_destroy(loop);
}

Test(event_loop, source_removed_in_its_batch_is_not_called)
{
	struct event_loop *loop;
	struct counter a = { .source = { .fn = count_event } }, b = { .source = { .fn = count_event } };

	a.victim = &b.source;
	b.victim = &a.source;
	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	cr_assert_eq(fd_create_event(&a.source.fd), 0);
	cr_assert_eq(fd_create_event(&b.source.fd), 0);
	cr_assert_eq(event_loop_add(loop, &a.source, EPOLLIN), 0);
	cr_assert_eq(event_loop_add(loop, &b.source, EPOLLIN), 0);
	fd_signal(a.source.fd);
	fd_signal(b.source.fd);
	cr_assert_eq(event_loop_thread_start(loop), 0);
	while (a.n + b.n == 0)
		;
	event_loop_thread_stop(loop);
	cr_assert_eq(a.n + b.n, 1);
	event_loop_remove(&a.source);
	event_loop_remove(&b.source);
	event_loop_destroy(loop);
	fd_close(&a.source.fd);
	fd_close(&b.source.fd);
}

struct counting_post {
	struct event_post post;
	atomic_uint n;
};

static void count_post(struct event_post *post)
{
	container_of(post, struct counting_post, post)->n++;
}

static void nothing(void *arg)
{
	(void)arg;
}

Test(event_loop, a_queued_post_runs_once)
{
	struct event_loop *loop;
	struct counting_post p = { .post = { .fn = count_post } };

	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	event_loop_post(loop, &p.post);
	event_loop_post(loop, &p.post);
	cr_assert_eq(event_loop_thread_start(loop), 0);
	while (p.n == 0)
		;
	event_loop_call(loop, nothing, NULL);
	cr_assert_eq(p.n, 1);
	event_loop_post(loop, &p.post);
	event_loop_thread_stop(loop);
	cr_assert_eq(p.n, 2);
	event_loop_destroy(loop);
}

Test(event_loop, a_post_that_is_taken_back_does_not_run)
{
	struct event_loop *loop;
	struct counting_post p[3] = { { .post = { .fn = count_post } },
				      { .post = { .fn = count_post } },
				      { .post = { .fn = count_post } } };

	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	event_loop_unpost(loop, &p[0].post);
	for (unsigned gone = 0; gone < 3; gone++) {
		for (unsigned i = 0; i < 3; i++)
			event_loop_post(loop, &p[i].post);
		event_loop_unpost(loop, &p[gone].post);
		event_loop_unpost(loop, &p[gone].post);
		event_loop_stop(loop);
		event_loop_run(loop);
		for (unsigned i = 0; i < 3; i++)
			cr_assert_eq(atomic_exchange(&p[i].n, 0), i != gone);
	}
	/* The list's end is right, too. */
	event_loop_post(loop, &p[0].post);
	event_loop_stop(loop);
	event_loop_run(loop);
	cr_assert_eq(p[0].n, 1);
	event_loop_destroy(loop);
}

struct countdown {
	struct event_poller poller;
	atomic_int left;
};

static bool poll_down(struct event_poller *poller)
{
	struct countdown *c = container_of(poller, struct countdown, poller);

	if (c->left == 0)
		return false;
	c->left--;
	return true;
}

static void add_poller(void *arg)
{
	struct countdown *c = arg;

	event_loop_add_poller(c->poller.loop, &c->poller);
}

static void remove_poller(void *arg)
{
	event_loop_remove_poller(arg);
}

Test(event_loop, pollers_find_work_without_a_wake_up_and_never_starve_calls)
{
	struct event_loop *loop;
	struct countdown c = { .poller = { .poll = poll_down }, .left = 1000000000 };

	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	event_loop_set_poll_limit(loop, 1000000);
	c.poller.loop = loop;
	cr_assert_eq(event_loop_thread_start(loop), 0);
	event_loop_call(loop, add_poller, &c);
	for (int i = 0; i < 100; i++)
		event_loop_call(loop, nothing, NULL);
	cr_assert_lt(c.left, 1000000000);
	event_loop_call(loop, remove_poller, &c.poller);
	event_loop_thread_stop(loop);
	event_loop_destroy(loop);
}

Test(event_loop, does_not_spin_where_there_is_one_cpu)
{
	cpu_set_t all, one;

	cr_assert_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	cr_assert_eq(event_loop_should_spin(), CPU_COUNT(&all) > 1);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	cr_assert_not(event_loop_should_spin());
}

static int live_shortly(void *arg)
{
	struct counter c = { .source = { .fd = FD_NONE, .fn = count_event } };
	struct event_loop *loop;
	int r = event_loop_create(&loop, "test");

	(void)arg;
	if (r < 0)
		return r;
	r = fd_create_event(&c.source.fd);
	if (r < 0)
		error_set(r, "eventfd");
	else
		r = event_loop_add(loop, &c.source, EPOLLIN);
	if (r == 0)
		r = event_loop_thread_start(loop);
	event_loop_thread_stop(loop);
	event_loop_remove(&c.source);
	event_loop_destroy(loop);
	fd_close(&c.source.fd);
	return r;
}

Test(event_loop, survives_each_failing_call)
{
	cr_assert_geq(fault_each(live_shortly, NULL), 7);
}
