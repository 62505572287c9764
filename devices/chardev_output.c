#include "devices/chardev_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

static void watch_fn(struct event_source *source, uint32_t events)
{
	(void)events;
	chardev_output_follow(container_of(source, struct chardev_output, watch));
}

int chardev_output_init(struct chardev_output *out, int fd, struct event_loop *main_loop,
			int wake_fd)
{
	out->host = (struct host_fd)HOST_FD_INIT;
	out->main_loop = main_loop;
	out->wake_fd = wake_fd;
	out->dead = fd == FD_NONE;
	pthread_mutex_init(&out->lock, NULL);
	int r = out->dead ? 0 : host_fd_open(&out->host, fd, O_WRONLY);
	out->watch = (struct event_source){ .fd = out->host.fd, .fn = watch_fn };
	return r;
}

void chardev_output_fini(struct chardev_output *out)
{
	event_loop_remove(&out->watch);
	host_fd_close(&out->host);
	pthread_mutex_destroy(&out->lock);
}

/* Half empty, so that a waiter has something to do; a dead reader has room for everything. */
static bool has_room(const struct chardev_output *out)
{
	return out->dead || out->len <= CHARDEV_OUTPUT_SIZE / 2;
}

/* Lock held. */
static void tell_waiters(struct chardev_output *out)
{
	if (!has_room(out))
		return;
	for (unsigned i = 0; i < out->n_waiters; i++)
		event_loop_post(out->waiter[i].loop, out->waiter[i].post);
	out->n_waiters = 0;
}

/* Write what can be written now; returns how many bytes, all of them once the reader is gone. */
static size_t write_now(struct chardev_output *out, const uint8_t *buf, size_t len)
{
	size_t done = 0;

	while (done < len && !out->dead) {
		ssize_t n = host_fd_write(&out->host, buf + done, len - done);
		if (n == -EAGAIN)
			return done;
		if (n < 0) {
			log_info("console output is discarded from now on: %s",
				 error_name((int)-n));
			out->dead = true;
			fd_signal(out->wake_fd);
		} else {
			done += (size_t)n;
		}
	}
	return len;
}

/* Lock held. */
static void flush(struct chardev_output *out)
{
	while (out->len > 0) {
		size_t piece = min_u64(out->len, CHARDEV_OUTPUT_SIZE - out->head);
		size_t n = write_now(out, out->ring + out->head, piece);
		out->head = (out->head + n) % CHARDEV_OUTPUT_SIZE;
		out->len -= n;
		if (n < piece)
			break;
	}
	tell_waiters(out);
}

/* Lock held.  Returns how many bytes fitted. */
static size_t enqueue(struct chardev_output *out, const uint8_t *buf, size_t len)
{
	size_t n = min_u64(len, CHARDEV_OUTPUT_SIZE - out->len);
	size_t at = (out->head + out->len) % CHARDEV_OUTPUT_SIZE;
	size_t first = min_u64(n, CHARDEV_OUTPUT_SIZE - at);

	memcpy(out->ring + at, buf, first);
	memcpy(out->ring, buf + first, n - first);
	out->len += n;
	return n;
}

size_t chardev_output_write(struct chardev_output *out, const uint8_t *buf, size_t len)
{
	size_t done = 0;

	pthread_mutex_lock(&out->lock);
	if (out->len == 0)
		done = write_now(out, buf, len);
	if (done < len) {
		/* The main loop watches already while something waits. */
		if (out->len == 0)
			fd_signal(out->wake_fd);
		done += enqueue(out, buf + done, len - done);
	}
	console_tail_add(&out->tail, buf, done);
	if (out->copy)
		out->copy(out->copy_arg, buf, done);
	pthread_mutex_unlock(&out->lock);
	return done;
}

size_t chardev_output_tail(struct chardev_output *out, void *buf, size_t size)
{
	pthread_mutex_lock(&out->lock);
	size_t n = console_tail_read(&out->tail, buf, size);
	pthread_mutex_unlock(&out->lock);
	return n;
}

void chardev_output_forget_moments(struct chardev_output *out)
{
	pthread_mutex_lock(&out->lock);
	console_tail_reset(&out->tail);
	pthread_mutex_unlock(&out->lock);
}

void chardev_output_notify_room(struct chardev_output *out, struct event_loop *loop,
				struct event_post *post)
{
	bool known = false;

	pthread_mutex_lock(&out->lock);
	for (unsigned i = 0; i < out->n_waiters; i++)
		known |= out->waiter[i].post == post;
	if (has_room(out) || (!known && out->n_waiters == CHARDEV_MAX_WAITERS)) {
		event_loop_post(loop, post);
	} else if (!known) {
		out->waiter[out->n_waiters].loop = loop;
		out->waiter[out->n_waiters].post = post;
		out->n_waiters++;
	}
	pthread_mutex_unlock(&out->lock);
}

void chardev_output_cancel_room(struct chardev_output *out, struct event_post *post)
{
	pthread_mutex_lock(&out->lock);
	for (unsigned i = 0; i < out->n_waiters; i++) {
		if (out->waiter[i].post == post) {
			out->waiter[i] = out->waiter[--out->n_waiters];
			break;
		}
	}
	pthread_mutex_unlock(&out->lock);
}

bool chardev_output_is_dead(struct chardev_output *out)
{
	pthread_mutex_lock(&out->lock);
	bool dead = out->dead;
	pthread_mutex_unlock(&out->lock);
	return dead;
}

void chardev_output_disconnect(struct chardev_output *out)
{
	pthread_mutex_lock(&out->lock);
	out->dead = true;
	flush(out);
	event_loop_remove(&out->watch);
	host_fd_close(&out->host);
	out->watch.fd = FD_NONE;
	pthread_mutex_unlock(&out->lock);
}

int chardev_output_connect(struct chardev_output *out, int fd)
{
	/* Its own: epoll knows a descriptor once, and input has that one. */
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (own < 0)
		return error_set(errno, "duplicate file descriptor %d", fd);
	pthread_mutex_lock(&out->lock);
	out->host = (struct host_fd){ .fd = own, .kind = HOST_FD_NONBLOCK };
	out->watch.fd = own;
	out->len = 0;
	out->dead = false;
	pthread_mutex_unlock(&out->lock);
	return 0;
}

void chardev_output_follow(struct chardev_output *out)
{
	pthread_mutex_lock(&out->lock);
	flush(out);
	if (out->len == 0) {
		event_loop_remove(&out->watch);
	} else if (!out->watch.loop &&
		   event_loop_add(out->main_loop, &out->watch, EPOLLOUT) < 0) {
		log_warning("console output is discarded: %s", error_text());
		error_clear();
		out->dead = true;
		flush(out);
	}
	pthread_mutex_unlock(&out->lock);
}

bool chardev_output_drain(struct chardev_output *out, unsigned timeout_ms)
{
	int64_t deadline = (int64_t)clock_now_ms() + timeout_ms;

	for (;;) {
		pthread_mutex_lock(&out->lock);
		flush(out);
		bool empty = out->len == 0;
		pthread_mutex_unlock(&out->lock);
		int64_t left = deadline - (int64_t)clock_now_ms();
		if (empty || left <= 0)
			return empty;
		struct pollfd p = { .fd = out->host.fd, .events = POLLOUT };
		poll(&p, 1, (int)left);
	}
}
