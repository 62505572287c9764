/*
 * Input belongs to the main loop; output has a file of its own (chardev_output.c).  Other
 * threads reach the main loop through one eventfd, because epoll registrations are that
 * thread's.
 */
#include "devices/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "devices/chardev_output.h"
#include "devices/host_fd.h"
#include "vmm/base/error.h"
#include "vmm/base/event_log.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

enum { IN_SIZE = 4096 };

struct chardev {
	struct chardev_config config;
	struct event_source wake;	/* its eventfd: something for the main loop to look at */

	struct chardev_output out;
	atomic_bool has_spoken;		/* something was written */

	pthread_mutex_t lock;		/* readers; never held while one of them runs */
	struct chardev_reader *readers;	/* attached last comes first */
	struct chardev_reader *delivering;
	pthread_cond_t delivered;

	/* The main loop's. */
	struct event_source in_watch;
	struct host_fd in;
	bool in_ended;
	bool is_hung_up;		/* seen to be; with 'hung_up' only */
	bool has_told;			/* 'hung_up' was called */
	bool in_unwatchable;		/* epoll refuses it: always ready (files, /dev/null) */
	uint8_t in_buf[IN_SIZE];
	size_t in_len;
};

size_t chardev_write(struct chardev *c, const void *buf, size_t len)
{
	if (len > 0 && !atomic_load_explicit(&c->has_spoken, memory_order_relaxed) &&
	    !atomic_exchange(&c->has_spoken, true) && c->config.name)
		event_note(EVENT_CONSOLE, c->config.name, 0, "%s", "");
	return chardev_output_write(&c->out, buf, len);
}

size_t chardev_tail(struct chardev *c, void *buf, size_t size)
{
	return chardev_output_tail(&c->out, buf, size);
}

void chardev_forget_moments(struct chardev *c)
{
	chardev_output_forget_moments(&c->out);
}

void chardev_notify_room(struct chardev *c, struct event_loop *loop, struct event_post *post)
{
	chardev_output_notify_room(&c->out, loop, post);
}

void chardev_cancel_room(struct chardev *c, struct event_post *post)
{
	chardev_output_cancel_room(&c->out, post);
}

bool chardev_drain(struct chardev *c, unsigned timeout_ms)
{
	return chardev_output_drain(&c->out, timeout_ms);
}

void chardev_attach(struct chardev *c, struct chardev_reader *reader)
{
	pthread_mutex_lock(&c->lock);
	reader->next = c->readers;
	c->readers = reader;
	pthread_mutex_unlock(&c->lock);
	fd_signal(c->wake.fd);
}

void chardev_detach(struct chardev *c, struct chardev_reader *reader)
{
	pthread_mutex_lock(&c->lock);
	for (struct chardev_reader **p = &c->readers; *p; p = &(*p)->next) {
		if (*p == reader) {
			*p = reader->next;
			break;
		}
	}
	/* On the main loop itself, we are called by that very input(). */
	while (c->delivering == reader && !event_loop_is_mine(c->config.main_loop))
		pthread_cond_wait(&c->delivered, &c->lock);
	pthread_mutex_unlock(&c->lock);
	fd_signal(c->wake.fd);
}

void chardev_reader_ready(struct chardev *c)
{
	fd_signal(c->wake.fd);
}

/* Offer what was read to the reader, without the lock: it may take the machine lock. */
static void deliver(struct chardev *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->readers && c->in_len > 0) {
		struct chardev_reader *reader = c->readers;

		c->delivering = reader;
		pthread_mutex_unlock(&c->lock);
		size_t taken = min_u64(reader->input(reader, c->in_buf, c->in_len), c->in_len);
		c->in_len -= taken;
		memmove(c->in_buf, c->in_buf + taken, c->in_len);
		pthread_mutex_lock(&c->lock);
		c->delivering = NULL;
		pthread_cond_broadcast(&c->delivered);
		if (c->in_len > 0)
			break;
	}
	pthread_mutex_unlock(&c->lock);
}

/*
 * Read once.  A terminal is read even if the guest takes nothing, so that the escape key works
 * always: what has no room is dropped, as a serial line would.  Anything else waits in its
 * pipe.
 */
static void read_input(struct chardev *c)
{
	uint8_t dropped[256];
	bool full = c->in_len == IN_SIZE;
	uint8_t *to = full ? dropped : c->in_buf + c->in_len;
	size_t room = full ? sizeof(dropped) : IN_SIZE - c->in_len;

	if (c->in_ended || (full && !c->in.is_tty))
		return;
	ssize_t n = host_fd_read(&c->in, to, room);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		/* The end, or EIO of a terminal that went away. */
		c->in_ended = true;
		return;
	}
	size_t left = (size_t)n;
	if (c->config.filter)
		left = min_u64(c->config.filter(c->config.filter_arg, to, left), left);
	if (!full)
		c->in_len += left;
}

/* Nothing comes from there any more (or ever did), but somebody may still read. */
static bool wants_hang_up(const struct chardev *c)
{
	return c->config.hung_up && c->in_ended && !c->is_hung_up && !c->has_told &&
	       c->in_watch.fd != FD_NONE;
}

/* Hang-ups and errors are reported unasked. */
static void follow_hang_up(struct chardev *c)
{
	if (c->in_watch.loop) {
		event_loop_modify(&c->in_watch, 0);
	} else if (event_loop_add(c->config.main_loop, &c->in_watch, 0) < 0) {
		/* A file: it never hangs up. */
		error_clear();
	}
}

/*
 * Watch the input exactly while it is wanted: a level-triggered event that nobody handles spins.
 * Returns 0, or -errno with an error chain: there is no input any more.
 */
static int follow_input(struct chardev *c)
{
	bool wants = !c->in_ended && (c->in_len < IN_SIZE || c->in.is_tty);

	if (c->in_unwatchable) {
		if (wants)
			fd_signal(c->wake.fd);
	} else if (!wants && wants_hang_up(c)) {
		follow_hang_up(c);
	} else if (!wants) {
		event_loop_remove(&c->in_watch);
	} else if (!c->in_watch.loop &&
		   event_loop_add(c->config.main_loop, &c->in_watch, EPOLLIN) < 0) {
		c->in_unwatchable = error_errno() == EPERM;
		c->in_ended = !c->in_unwatchable;
		if (c->in_ended)
			return -error_errno();
		error_clear();
		fd_signal(c->wake.fd);
	}
	return 0;
}

static void follow_input_or_complain(struct chardev *c)
{
	if (follow_input(c) == 0)
		return;
	log_error("console input has ended: %s: %s", error_text(), error_name(error_errno()));
	error_clear();
}

/* Both ends of one that hung up are closed, and whoever wants to know is told. */
static void settle(struct chardev *c)
{
	bool over = c->in_ended && c->in_len == 0 &&
		    (c->is_hung_up || chardev_output_is_dead(&c->out));

	if (!c->config.hung_up || c->has_told || !over)
		return;
	c->has_told = true;
	event_loop_remove(&c->in_watch);
	host_fd_close(&c->in);
	c->in_watch.fd = FD_NONE;
	chardev_output_disconnect(&c->out);
	c->config.hung_up(c->config.hung_up_arg);
}

static void in_fn(struct event_source *source, uint32_t events)
{
	struct chardev *c = container_of(source, struct chardev, in_watch);

	read_input(c);
	if (c->in_ended && events & (EPOLLHUP | EPOLLERR))
		c->is_hung_up = true;
	deliver(c);
	follow_input_or_complain(c);
	settle(c);
}

static void wake_fn(struct event_source *source, uint32_t events)
{
	struct chardev *c = container_of(source, struct chardev, wake);

	(void)events;
	fd_drain(source->fd);
	chardev_output_follow(&c->out);
	if (c->in_unwatchable)
		read_input(c);
	deliver(c);
	follow_input_or_complain(c);
	settle(c);
}

/* One that is only written to is watched all the same, for its hang-up. */
static int open_input(struct chardev *c, const struct chardev_config *config)
{
	if (!c->in_ended)
		return host_fd_open(&c->in, config->in_fd, O_RDONLY);
	if (config->hung_up && config->out_fd != FD_NONE)
		return host_fd_open(&c->in, config->out_fd, O_WRONLY);
	return 0;
}

int chardev_create(struct chardev **out, const struct chardev_config *config)
{
	struct chardev *c = calloc(1, sizeof(*c));
	int r;

	*out = NULL;
	if (!c)
		return error_set(ENOMEM, "console");
	c->config = *config;
	c->in = (struct host_fd)HOST_FD_INIT;
	c->in_ended = config->in_fd == FD_NONE;
	c->has_told = c->in_ended && config->out_fd == FD_NONE;
	c->wake = (struct event_source){ .fd = FD_NONE, .fn = wake_fn };
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->delivered, NULL);

	int wake_error = fd_create_event(&c->wake.fd);
	c->out.copy = config->copy;
	c->out.copy_arg = config->copy_arg;
	r = chardev_output_init(&c->out, config->out_fd, config->main_loop, c->wake.fd);
	if (r < 0) {
		error_add(r, "console output");
		goto fail;
	}
	if (wake_error < 0) {
		r = error_set(wake_error, "eventfd for the console");
		goto fail;
	}
	r = open_input(c, config);
	if (r < 0) {
		error_add(r, "console input");
		goto fail;
	}
	c->in_watch = (struct event_source){ .fd = c->in.fd, .fn = in_fn };
	r = event_loop_add(config->main_loop, &c->wake, EPOLLIN);
	if (r < 0)
		goto fail;
	r = follow_input(c);
	if (r < 0) {
		error_add(r, "console input");
		goto fail;
	}
	*out = c;
	return 0;
fail:
	chardev_destroy(c);
	return r;
}

int chardev_connect(struct chardev *c, int fd)
{
	c->in = (struct host_fd){ .fd = fd, .kind = HOST_FD_NONBLOCK };
	c->in_watch.fd = fd;
	c->in_ended = c->is_hung_up = false;
	int r = chardev_output_connect(&c->out, fd);
	if (r == 0)
		r = follow_input(c);
	if (r < 0) {
		event_loop_remove(&c->in_watch);
		chardev_output_disconnect(&c->out);
		host_fd_close(&c->in);
		c->in_watch.fd = FD_NONE;
		c->in_ended = true;
		return error_add(r, "a client of a console");
	}
	c->has_told = false;
	return 0;
}

void chardev_destroy(struct chardev *c)
{
	if (!c)
		return;
	event_loop_remove(&c->in_watch);
	event_loop_remove(&c->wake);
	chardev_output_fini(&c->out);
	host_fd_close(&c->in);
	fd_close(&c->wake.fd);
	pthread_cond_destroy(&c->delivered);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
