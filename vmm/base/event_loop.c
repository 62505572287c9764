/*
 * The loop itself. Wake-ups from other threads use one eventfd; posts are an intrusive list under
 * a mutex that is never held while a callback runs. Nothing allocates after creation.
 */
#include "vmm/base/event_loop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/thread_list.h"

enum { BATCH = 32 };

struct event_loop {
	char name[16];
	int epoll_fd;
	struct event_source wake;
	pthread_mutex_t lock;		/* guards the post list only */
	struct event_post *post_head;
	struct event_post **post_tail;
	unsigned n_posts;		/* queued since run_posts looked last */
	atomic_bool posted;		/* there may be posts */
	atomic_bool stop;
	atomic_bool running;
	pthread_t runner;		/* valid while 'running' */
	pthread_t thread;
	bool has_thread;

	struct epoll_event batch[BATCH];
	int batch_len;

	struct event_poller *pollers;
	uint64_t poll_limit_ns;
	uint64_t poll_ns;
};

static void wake_fn(struct event_source *source, uint32_t events)
{
	(void)events;
	fd_drain(source->fd);
}

int event_loop_create(struct event_loop **out, const char *name)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));
	int r;

	*out = NULL;
	if (!loop)
		return error_set(ENOMEM, "create event loop '%s'", name);
	loop->epoll_fd = FD_NONE;
	loop->wake.fd = FD_NONE;
	loop->post_tail = &loop->post_head;
	pthread_mutex_init(&loop->lock, NULL);
	strncpy(loop->name, name, sizeof(loop->name) - 1);

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = loop->epoll_fd < 0 ? -errno : fd_create_event(&loop->wake.fd);
	if (r < 0) {
		r = error_set(r, "create event loop '%s'", name);
		goto fail;
	}
	loop->wake.fn = wake_fn;
	r = event_loop_add(loop, &loop->wake, EPOLLIN);
	if (r < 0)
		goto fail;
	*out = loop;
	return 0;
fail:
	event_loop_destroy(loop);
	return r;
}

void event_loop_destroy(struct event_loop *loop)
{
	if (!loop)
		return;
	event_loop_thread_stop(loop);
	fd_close(&loop->wake.fd);
	fd_close(&loop->epoll_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

bool event_loop_is_mine(struct event_loop *loop)
{
	/* 'runner' was written before 'running' became true. */
	return !atomic_load_explicit(&loop->running, memory_order_acquire) ||
	       pthread_equal(loop->runner, pthread_self());
}

static struct event_post *take_post(struct event_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct event_post *post = loop->post_head;
	if (post) {
		loop->post_head = post->next;
		if (!loop->post_head)
			loop->post_tail = &loop->post_head;
		post->next = NULL;
		post->queued = false;
	}
	pthread_mutex_unlock(&loop->lock);
	return post;
}

/* A post that posts again waits for its next turn: descriptors come in between. */
static void run_posts(struct event_loop *loop)
{
	atomic_store(&loop->posted, false);
	pthread_mutex_lock(&loop->lock);
	unsigned n = loop->n_posts;
	loop->n_posts = 0;
	pthread_mutex_unlock(&loop->lock);
	while (n-- > 0) {
		struct event_post *post = take_post(loop);
		if (!post)
			return;
		post->fn(post);
	}
}

static bool poll_once(struct event_loop *loop)
{
	bool found = false;

	for (struct event_poller *p = loop->pollers, *next; p; p = next) {
		next = p->next;
		found |= p->poll(p);
	}
	return found;
}

enum {
	/* How often in a row pollers may find work before descriptors are looked at. */
	TURNS = 8,
	/* Looks that found nothing between two readings of the clock. */
	IDLE_PER_CLOCK = 16,
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* Posts and stops come through the eventfd as well; this is so that polling does not delay them. */
static bool is_called(struct event_loop *loop)
{
	return atomic_load_explicit(&loop->posted, memory_order_relaxed) ||
	       atomic_load_explicit(&loop->stop, memory_order_relaxed);
}

/* What is on its way through a descriptor would come late. */
static bool awaits_descriptor(const struct event_loop *loop)
{
	for (const struct event_poller *p = loop->pollers; p; p = p->next)
		if (p->awaits && p->awaits(p))
			return true;
	return false;
}

/*
 * Spin for at most poll_ns.  Success restores the full limit; failure halves the time until it is
 * too short to be worth the clock reads, and one event in the sleeping path starts it again.
 *
 * Returns false when the loop must not sleep, because there may be more to find.
 */
static bool spin(struct event_loop *loop)
{
	uint64_t deadline = 0;
	unsigned turns = 0;

	if (!loop->pollers || loop->poll_ns == 0 || awaits_descriptor(loop))
		return true;
	for (unsigned idle = 0; !is_called(loop); idle++) {
		if (poll_once(loop)) {
			loop->poll_ns = loop->poll_limit_ns;
			if (++turns == TURNS)
				return false;
			if (awaits_descriptor(loop))
				return true;
			deadline = 0;
			idle = 0;
		} else if (idle % IDLE_PER_CLOCK == 0) {
			uint64_t now = clock_now_ns();
			if (deadline == 0)
				deadline = now + loop->poll_ns;
			if (now >= deadline) {
				loop->poll_ns = loop->poll_ns > 4000 ? loop->poll_ns / 2 : 0;
				return true;
			}
		}
		relax();
	}
	return false;
}

/* Before sleeping.  Returns false when a poller has work and there is no sleep. */
static bool arm_all(struct event_loop *loop)
{
	bool has_work = false;

	for (struct event_poller *p = loop->pollers; p; p = p->next)
		has_work |= p->arm && p->arm(p);
	return !has_work;
}

static void run_until_stopped(struct event_loop *loop)
{
	while (!atomic_load_explicit(&loop->stop, memory_order_acquire)) {
		bool may_sleep = spin(loop) && arm_all(loop);
		int n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, may_sleep ? -1 : 0);
		if (n < 0)
			n = 0;	/* EINTR: signals come through a signalfd or a flag */
		if (n > 0)
			loop->poll_ns = loop->poll_limit_ns;
		loop->batch_len = n;
		for (int i = 0; i < loop->batch_len; i++) {
			struct event_source *source = loop->batch[i].data.ptr;
			if (source)	/* NULL: removed by an earlier callback of this batch */
				source->fn(source, loop->batch[i].events);
		}
		loop->batch_len = 0;
		if (atomic_load_explicit(&loop->posted, memory_order_acquire))
			run_posts(loop);
	}

	/* A call that saw 'running' just before waits for its post: run it here. */
	atomic_store_explicit(&loop->running, false, memory_order_release);
	atomic_store(&loop->stop, false);
	run_posts(loop);
}

void event_loop_run(struct event_loop *loop)
{
	loop->runner = pthread_self();
	atomic_store_explicit(&loop->running, true, memory_order_release);
	run_until_stopped(loop);
}

void event_loop_stop(struct event_loop *loop)
{
	atomic_store_explicit(&loop->stop, true, memory_order_release);
	fd_signal(loop->wake.fd);
}

static void *thread_main(void *arg)
{
	struct event_loop *loop = arg;

	/* From inside: naming another thread opens a file in /proc. */
	pthread_setname_np(pthread_self(), loop->name);
	thread_list_add(loop->name);
	run_until_stopped(loop);
	thread_list_remove();
	return NULL;
}

int event_loop_thread_start(struct event_loop *loop)
{
	int r = pthread_create(&loop->thread, NULL, thread_main, loop);

	if (r)
		return error_set(r, "start thread '%s'", loop->name);
	loop->has_thread = true;
	/* From here on calls go to the thread, even if it has not had its first turn yet. */
	loop->runner = loop->thread;
	atomic_store_explicit(&loop->running, true, memory_order_release);
	return 0;
}

int event_loop_thread_pin(struct event_loop *loop, const cpu_set_t *cpus)
{
	int r = pthread_setaffinity_np(loop->thread, sizeof(*cpus), cpus);

	return r ? error_set(r, "pin thread '%s'", loop->name) : 0;
}

void event_loop_thread_stop(struct event_loop *loop)
{
	if (!loop->has_thread)
		return;
	event_loop_stop(loop);
	pthread_join(loop->thread, NULL);
	loop->has_thread = false;
}

int event_loop_add(struct event_loop *loop, struct event_source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &ev) < 0)
		return error_set(errno, "watch file descriptor %d in loop '%s'", source->fd,
				 loop->name);
	source->loop = loop;
	return 0;
}

void event_loop_modify(struct event_source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	if (source->loop)
		epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &ev);
}

void event_loop_remove(struct event_source *source)
{
	struct event_loop *loop = source->loop;

	if (!loop)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	for (int i = 0; i < loop->batch_len; i++)
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].data.ptr = NULL;
	source->loop = NULL;
}

void event_loop_post(struct event_loop *loop, struct event_post *post)
{
	pthread_mutex_lock(&loop->lock);
	bool wake = !post->queued;
	if (wake) {
		post->queued = true;
		post->next = NULL;
		*loop->post_tail = post;
		loop->post_tail = &post->next;
		loop->n_posts++;
		atomic_store(&loop->posted, true);
	}
	pthread_mutex_unlock(&loop->lock);
	if (wake)
		fd_signal(loop->wake.fd);
}

void event_loop_unpost(struct event_loop *loop, struct event_post *post)
{
	pthread_mutex_lock(&loop->lock);
	for (struct event_post **p = &loop->post_head; post->queued && *p; p = &(*p)->next) {
		if (*p != post)
			continue;
		*p = post->next;
		if (!*p)
			loop->post_tail = p;
		post->next = NULL;
		post->queued = false;
		/* 'n_posts' may count it still: that only has a later one run a turn earlier. */
		break;
	}
	pthread_mutex_unlock(&loop->lock);
}

struct call {
	struct event_post post;
	void (*fn)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void run_call(struct event_post *post)
{
	struct call *call = container_of(post, struct call, post);

	call->fn(call->arg);
	pthread_mutex_lock(&call->lock);
	call->done = true;
	/* Signal under the lock: the waiter's stack frame is gone as soon as it sees 'done'. */
	pthread_cond_signal(&call->cond);
	pthread_mutex_unlock(&call->lock);
}

void event_loop_call(struct event_loop *loop, void (*fn)(void *arg), void *arg)
{
	if (event_loop_is_mine(loop)) {
		fn(arg);
		return;
	}

	struct call call = { .post = { .fn = run_call }, .fn = fn, .arg = arg };
	pthread_mutex_init(&call.lock, NULL);
	pthread_cond_init(&call.cond, NULL);
	event_loop_post(loop, &call.post);
	pthread_mutex_lock(&call.lock);
	while (!call.done)
		pthread_cond_wait(&call.cond, &call.lock);
	pthread_mutex_unlock(&call.lock);
	pthread_cond_destroy(&call.cond);
	pthread_mutex_destroy(&call.lock);
}

void event_loop_add_poller(struct event_loop *loop, struct event_poller *poller)
{
	poller->loop = loop;
	poller->next = loop->pollers;
	loop->pollers = poller;
}

void event_loop_remove_poller(struct event_poller *poller)
{
	if (!poller->loop)
		return;
	for (struct event_poller **p = &poller->loop->pollers; *p; p = &(*p)->next) {
		if (*p == poller) {
			*p = poller->next;
			break;
		}
	}
	poller->loop = NULL;
}

void event_loop_set_poll_limit(struct event_loop *loop, uint64_t limit_ns)
{
	loop->poll_limit_ns = limit_ns;
	loop->poll_ns = limit_ns;
}

bool event_loop_should_spin(void)
{
	cpu_set_t cpus;

	/* It fails where there are more than the set has room for. */
	return sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) > 1;
}
