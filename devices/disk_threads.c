/*
 * Threads that do disk operations one by one with plain system calls.  A disk has one pool; each of
 * its queues has an engine, which hands operations to the pool under the pool's lock and learns of
 * the end through an eventfd.  Lists are intrusive: nothing is allocated while the guest runs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

#include "devices/disk_engine.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/thread_list.h"

enum { STACK_SIZE = 256 << 10, PATIENCE_S = 5 };

struct io_list {
	struct disk_io *head, **tail;
};

struct pool_thread {
	struct disk_pool *pool;
	pthread_t thread;
	uint8_t *bounce;
	struct disk_io *io;		/* at work; under the pool's lock */
};

struct disk_pool {
	struct disk *disk;
	pthread_mutex_t lock;
	pthread_cond_t work;		/* something to do, or quitting */
	pthread_cond_t idle;		/* an engine has nothing running any more */
	struct io_list todo;
	bool quit;
	struct pool_thread thread[DISK_POOL_THREADS];
	unsigned n_threads;
};

struct threads_engine {
	struct disk_engine engine;
	struct disk_pool *pool;
	struct event_source source;	/* eventfd: 'done' is not empty */
	struct io_list submitted;	/* owner loop only, until kick */
	unsigned n_submitted;
	/* under the pool's lock */
	struct io_list done;
	unsigned running;
	atomic_bool cancel;		/* read by workers without the lock */
};

static void list_init(struct io_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_append(struct io_list *list, struct disk_io *io)
{
	io->next = NULL;
	*list->tail = io;
	list->tail = &io->next;
}

static struct disk_io *list_take(struct io_list *list)
{
	struct disk_io *io = list->head;

	if (io) {
		list->head = io->next;
		if (!list->head)
			list->tail = &list->head;
	}
	return io;
}

/* Move all of 'from' behind 'to'. */
static void list_splice(struct io_list *to, struct io_list *from)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	list_init(from);
}

static struct threads_engine *engine_of(struct disk_engine *engine)
{
	return container_of(engine, struct threads_engine, engine);
}

static void run_one(struct pool_thread *t, struct disk_io *io)
{
	struct disk_pool *pool = t->pool;
	struct threads_engine *e = engine_of(io->engine);
	struct disk_worker worker = { .bounce = t->bounce, .cancel = &e->cancel };
	/* A flush may be left alone with what it flushes, see leave_flushes(). */
	const struct disk_io flush = { .op = DISK_FLUSH };
	bool is_flush = io->op == DISK_FLUSH;
	int r;

	e->running++;
	t->io = io;
	pthread_mutex_unlock(&pool->lock);
	r = pool->disk->ops->execute(pool->disk, is_flush ? &flush : io, &worker);
	pthread_mutex_lock(&pool->lock);
	if (t->io != io)
		return;
	t->io = NULL;
	io->result = r;

	if (!e->done.head)
		fd_signal(e->source.fd);
	list_append(&e->done, io);
	if (--e->running == 0)
		pthread_cond_broadcast(&pool->idle);
}

static void *thread_main(void *arg)
{
	struct pool_thread *t = arg;
	struct disk_pool *pool = t->pool;

	thread_list_add("disk");
	pthread_mutex_lock(&pool->lock);
	while (!pool->quit) {
		struct disk_io *io = list_take(&pool->todo);

		if (io)
			run_one(t, io);
		else
			pthread_cond_wait(&pool->work, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	thread_list_remove();
	return NULL;
}

static int thread_create(struct pool_thread *t, struct disk_pool *pool)
{
	pthread_attr_t attr;
	int r;

	t->pool = pool;
	if (pool->disk->direct) {
		t->bounce = mmap(NULL, DISK_BOUNCE_SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (t->bounce == MAP_FAILED) {
			t->bounce = NULL;
			return error_set(ENOMEM, "allocate a bounce buffer for O_DIRECT");
		}
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&t->thread, &attr, thread_main, t);
	pthread_attr_destroy(&attr);
	if (r) {
		if (t->bounce)
			munmap(t->bounce, DISK_BOUNCE_SIZE);
		t->bounce = NULL;
		return error_set(r, "start a disk thread");
	}
	pthread_setname_np(t->thread, "disk");
	return 0;
}

int disk_pool_grow(struct disk_pool *pool, unsigned n)
{
	while (pool->n_threads < n && pool->n_threads < DISK_POOL_THREADS) {
		int r = thread_create(&pool->thread[pool->n_threads], pool);

		if (r < 0)
			return r;
		pool->n_threads++;
	}
	return 0;
}

int disk_pool_create(struct disk_pool **out, struct disk *disk)
{
	struct disk_pool *pool = calloc(1, sizeof(*pool));
	int r;

	*out = NULL;
	if (!pool)
		return error_set(ENOMEM, "create a pool of disk threads");
	pool->disk = disk;
	list_init(&pool->todo);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->idle, NULL);
	r = disk_pool_grow(pool, 1);
	if (r < 0) {
		disk_pool_destroy(pool);
		return r;
	}
	*out = pool;
	return 0;
}

void disk_pool_destroy(struct disk_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->quit = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n_threads; i++) {
		pthread_join(pool->thread[i].thread, NULL);
		if (pool->thread[i].bounce)
			munmap(pool->thread[i].bounce, DISK_BOUNCE_SIZE);
	}
	pthread_cond_destroy(&pool->idle);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static void threads_submit(struct disk_engine *engine, struct disk_io *io)
{
	struct threads_engine *e = engine_of(engine);

	io->engine = engine;
	list_append(&e->submitted, io);
	e->n_submitted++;
}

static void threads_kick(struct disk_engine *engine)
{
	struct threads_engine *e = engine_of(engine);
	unsigned n = e->n_submitted;

	if (n == 0)
		return;
	e->n_submitted = 0;
	pthread_mutex_lock(&e->pool->lock);
	list_splice(&e->pool->todo, &e->submitted);
	pthread_mutex_unlock(&e->pool->lock);
	if (n == 1)
		pthread_cond_signal(&e->pool->work);
	else
		pthread_cond_broadcast(&e->pool->work);
}

static void on_done(struct event_source *source, uint32_t events)
{
	struct threads_engine *e = container_of(source, struct threads_engine, source);
	struct io_list done;
	struct disk_io *io;

	(void)events;
	list_init(&done);
	fd_drain(source->fd);
	pthread_mutex_lock(&e->pool->lock);
	list_splice(&done, &e->done);
	pthread_mutex_unlock(&e->pool->lock);

	/* Cancelled, nobody wants to hear of what ended all the same, or why. */
	if (atomic_load(&e->cancel))
		return;
	while ((io = list_take(&done)))
		e->engine.client.complete(e->engine.client.owner, io);
	threads_kick(&e->engine);
	e->engine.client.completed(e->engine.client.owner);
}

static int threads_start(struct disk_engine *engine, struct event_loop *loop)
{
	return event_loop_add(loop, &engine_of(engine)->source, EPOLLIN);
}

/* Take back what no thread has begun.  Pool's lock held. */
static void drop_queued(struct threads_engine *e)
{
	struct io_list others;
	struct disk_io *io;

	list_init(&others);
	while ((io = list_take(&e->pool->todo)))
		if (io->engine != &e->engine)
			list_append(&others, io);
	list_splice(&e->pool->todo, &others);
}

/*
 * A flush may take as long as everything that was ever written takes, and it touches no memory of
 * the guest's: nobody needs to wait for it who does not want to know.  Pool's lock held.
 */
static void leave_flushes(struct threads_engine *e)
{
	for (unsigned i = 0; i < e->pool->n_threads; i++) {
		struct pool_thread *t = &e->pool->thread[i];

		if (t->io && t->io->engine == &e->engine && t->io->op == DISK_FLUSH) {
			t->io = NULL;
			e->running--;
		}
	}
}

static void wait_for_running(struct threads_engine *e)
{
	bool warned = false;

	while (e->running > 0) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PATIENCE_S;
		/* The memory belongs to a system call that is under way: no way out but its end. */
		if (pthread_cond_timedwait(&e->pool->idle, &e->pool->lock, &until) == ETIMEDOUT &&
		    !warned) {
			log_warning("waiting for %u slow disk operations", e->running);
			warned = true;
		}
	}
}

static void threads_cancel(struct disk_engine *engine)
{
	struct threads_engine *e = engine_of(engine);

	list_init(&e->submitted);
	e->n_submitted = 0;
	atomic_store(&e->cancel, true);
	pthread_mutex_lock(&e->pool->lock);
	drop_queued(e);
	leave_flushes(e);
	pthread_mutex_unlock(&e->pool->lock);
}

static bool threads_is_busy(struct disk_engine *engine)
{
	struct threads_engine *e = engine_of(engine);

	pthread_mutex_lock(&e->pool->lock);
	bool busy = e->running > 0;
	pthread_mutex_unlock(&e->pool->lock);
	return busy;
}

static void threads_stop(struct disk_engine *engine)
{
	struct threads_engine *e = engine_of(engine);

	threads_cancel(engine);
	pthread_mutex_lock(&e->pool->lock);
	wait_for_running(e);
	list_init(&e->done);
	pthread_mutex_unlock(&e->pool->lock);
	atomic_store(&e->cancel, false);

	event_loop_remove(&e->source);
	fd_drain(e->source.fd);
}

static void threads_destroy(struct disk_engine *engine)
{
	struct threads_engine *e = engine_of(engine);

	fd_close(&e->source.fd);
	free(e);
}

static const struct disk_engine_ops threads_ops = {
	.name = "threads",
	.start = threads_start,
	.submit = threads_submit,
	.kick = threads_kick,
	.cancel = threads_cancel,
	.is_busy = threads_is_busy,
	.stop = threads_stop,
	.destroy = threads_destroy,
};

int disk_threads_create(struct disk_engine **out, const struct disk_client *client,
			struct disk_pool *pool)
{
	struct threads_engine *e = calloc(1, sizeof(*e));
	int r;

	*out = NULL;
	if (!e)
		return error_set(ENOMEM, "create a disk engine");
	e->engine.ops = &threads_ops;
	e->engine.client = *client;
	e->pool = pool;
	e->source.fn = on_done;
	list_init(&e->submitted);
	list_init(&e->done);
	r = fd_create_event(&e->source.fd);
	if (r < 0) {
		free(e);
		return error_set(r, "create a disk engine's eventfd");
	}
	*out = &e->engine;
	return 0;
}
