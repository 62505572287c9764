#include "vmm/exec/exec_stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "vmm/base/error.h"

/* --- Output ---------------------------------------------------------------------------------- */

/* What is left waits for nobody.  Returns how much that was. */
static size_t give_up(struct exec_sink *sink)
{
	size_t n = sink->len;

	sink->is_broken = true;
	sink->len = 0;
	event_loop_remove(&sink->watch);
	return n;
}

/* Write what can be written of the ring.  Returns how many bytes are dealt with. */
static size_t flush(struct exec_sink *sink)
{
	size_t n = 0;

	while (sink->len > 0) {
		size_t piece = min_u64(sink->len, sizeof(sink->ring) - sink->head);
		ssize_t r = host_fd_write(&sink->host, sink->ring + sink->head, piece);

		if (r == -EAGAIN)
			break;
		if (r <= 0)
			return n + give_up(sink);
		sink->head = (sink->head + (size_t)r) % sizeof(sink->ring);
		sink->len -= (size_t)r;
		n += (size_t)r;
	}
	if (sink->len == 0)
		event_loop_remove(&sink->watch);
	return n;
}

static void on_writable(struct event_source *watch, uint32_t events)
{
	struct exec_sink *sink = container_of(watch, struct exec_sink, watch);
	bool was_broken = sink->is_broken;
	size_t n = flush(sink);

	(void)events;
	if (sink->is_broken && !was_broken)
		sink->broken(sink->arg, sink);
	if (n > 0)
		sink->gone(sink->arg, sink, n);
}

int exec_sink_init(struct exec_sink *sink, struct event_loop *loop, int fd,
		   void (*gone)(void *arg, struct exec_sink *sink, size_t n),
		   void (*broken)(void *arg, struct exec_sink *sink), void *arg)
{
	sink->loop = loop;
	sink->gone = gone;
	sink->broken = broken;
	sink->arg = arg;
	/* A program that was started without one writes to nobody. */
	if (fcntl(fd, F_GETFD) < 0) {
		sink->is_broken = true;
		return 0;
	}
	return host_fd_open(&sink->host, fd, O_WRONLY);
}

void exec_sink_fini(struct exec_sink *sink)
{
	event_loop_remove(&sink->watch);
	host_fd_close(&sink->host);
}

static void append(struct exec_sink *sink, const uint8_t *buf, size_t len)
{
	size_t at = (sink->head + sink->len) % sizeof(sink->ring);
	size_t piece = min_u64(len, sizeof(sink->ring) - at);

	memcpy(sink->ring + at, buf, piece);
	memcpy(sink->ring, buf + piece, len - piece);
	sink->len += len;
}

size_t exec_sink_write(struct exec_sink *sink, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t done = 0;

	while (!sink->is_broken && sink->len == 0 && done < len) {
		ssize_t r = host_fd_write(&sink->host, p + done, len - done);

		if (r == -EAGAIN)
			break;
		if (r <= 0) {
			give_up(sink);
			sink->broken(sink->arg, sink);
			break;
		}
		done += (size_t)r;
	}
	if (sink->is_broken || done == len)
		return len;
	/* The sender has credit for no more than the ring holds. */
	append(sink, p + done, min_u64(len - done, sizeof(sink->ring) - sink->len));
	if (!sink->watch.loop) {
		sink->watch = (struct event_source){ .fd = sink->host.fd, .fn = on_writable };
		/* What cannot be watched does not say -EAGAIN either. */
		if (event_loop_add(sink->loop, &sink->watch, EPOLLOUT) < 0) {
			error_clear();
			give_up(sink);
			sink->broken(sink->arg, sink);
			return len;
		}
	}
	return done;
}

/* --- Input ----------------------------------------------------------------------------------- */

static void end(struct exec_source *source)
{
	if (source->is_over)
		return;
	source->is_over = true;
	source->len = 0;
	event_loop_remove(&source->watch);
	source->ended(source->arg);
}

/* Have what is there taken.  False: not all of it was, and reading stands still. */
static bool give(struct exec_source *source)
{
	ssize_t n = 0;

	if (source->len > 0)
		n = source->take(source->arg, source->buf + source->head, source->len);
	if (n < 0) {
		end(source);
		return false;
	}
	source->head += (size_t)n;
	source->len -= (size_t)n;
	return source->len == 0;
}

/* One piece in a turn of the loop. */
static void pump(struct exec_source *source)
{
	if (source->is_over || source->is_held)
		return;
	ssize_t n = host_fd_read(&source->host, source->buf, sizeof(source->buf));

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		end(source);
		return;
	}
	source->head = 0;
	source->len = (size_t)n;
	if (!give(source)) {
		source->is_held = true;
		event_loop_remove(&source->watch);
	}
}

static void on_readable(struct event_source *watch, uint32_t events)
{
	(void)events;
	pump(container_of(watch, struct exec_source, watch));
}

static void on_again(struct event_post *post)
{
	struct exec_source *source = container_of(post, struct exec_source, again);

	pump(source);
	if (!source->is_over && !source->is_held)
		event_loop_post(source->loop, &source->again);
}

/* Watch it, or where that cannot be (a file) look in every turn. */
static void watch(struct exec_source *source)
{
	if (source->is_over || source->watch.loop)
		return;
	source->watch = (struct event_source){ .fd = source->host.fd, .fn = on_readable };
	if (event_loop_add(source->loop, &source->watch, EPOLLIN) < 0) {
		error_clear();
		event_loop_post(source->loop, &source->again);
	}
}

int exec_source_init(struct exec_source *source, struct event_loop *loop, int fd,
		     ssize_t (*take)(void *arg, uint8_t *buf, size_t len), void (*ended)(void *arg),
		     void *arg)
{
	int r;

	source->loop = loop;
	source->take = take;
	source->ended = ended;
	source->arg = arg;
	source->again.fn = on_again;
	if (fcntl(fd, F_GETFD) < 0) {
		end(source);
		return 0;
	}
	r = host_fd_open(&source->host, fd, O_RDONLY);
	if (r == 0)
		watch(source);
	return r;
}

void exec_source_fini(struct exec_source *source)
{
	event_loop_remove(&source->watch);
	if (source->loop)
		event_loop_unpost(source->loop, &source->again);
	host_fd_close(&source->host);
	source->is_over = true;
}

void exec_source_resume(struct exec_source *source)
{
	if (source->is_over || !source->is_held || !give(source))
		return;
	source->is_held = false;
	watch(source);
}
