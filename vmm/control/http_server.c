#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/control/http_server_impl.h"

/* --- Clients come and go --------------------------------------------------------------------- */

static void set_timer(struct http_server *s, bool on)
{
	struct itimerspec when = { .it_interval.tv_sec = on, .it_value.tv_sec = on };

	/* It fails for arguments that are wrong only. */
	timerfd_settime(s->timer.fd, 0, &when, NULL);
}

void http_server_drop(struct client *c)
{
	struct http_server *s = c->server;

	event_loop_remove(&c->source);
	fd_close(&c->source.fd);
	free(c->body);
	http_conn_reply_free(&c->reply);
	for (unsigned i = 0; i < HTTP_MAX_CLIENTS; i++)
		if (s->client[i] == c)
			s->client[i] = NULL;
	free(c);
	if (--s->n_clients == 0 && s->listen.loop)
		set_timer(s, false);
}

/* Who has been asking for the longest time makes room: 1000 silent ones keep nobody out. */
static bool make_room(struct http_server *s)
{
	struct client *victim = NULL;

	for (unsigned i = 0; i < HTTP_MAX_CLIENTS; i++) {
		struct client *c = s->client[i];
		if (!c)
			return true;
		if (c->state != CLIENT_READING && c->state != CLIENT_LINGERING)
			continue;
		if (!victim || c->since < victim->since)
			victim = c;
	}
	if (victim)
		http_server_drop(victim);
	return victim;
}

static bool is_allowed(const struct http_server *s, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == s->uid);
}

/* One write; who has no room for a line in a new socket does not listen. */
static void turn_away(int fd, const char *status)
{
	char text[128];
	int len = snprintf(text, sizeof(text),
			   "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
	ssize_t written = write(fd, text, (size_t)len);

	(void)written;
}

static void client_add(struct http_server *s, int fd)
{
	struct client *c = NULL;
	unsigned i = 0;

	if (!is_allowed(s, fd)) {
		turn_away(fd, "403 Forbidden");
	} else if (!make_room(s)) {
		turn_away(fd, "503 Service Unavailable");
	} else {
		c = malloc(sizeof(*c));
	}
	if (!c) {
		fd_close(&fd);
		return;
	}
	/* Buffers are not touched before they are needed. */
	memset(&c->rq, 0, sizeof(c->rq));
	memset(&c->reply, 0, sizeof(c->reply));
	c->server = s;
	c->source = (struct event_source){ .fd = fd, .fn = http_conn_event };
	c->state = CLIENT_READING;
	c->since = s->ticks;
	c->in_len = c->body_got = c->lingered = c->out_len = c->out_done = c->body_done = 0;
	c->body = NULL;
	c->has_head = c->close_after = c->linger_after = c->stream_ended = false;
	while (s->client[i])
		i++;
	s->client[i] = c;
	if (s->n_clients++ == 0)
		set_timer(s, true);
	if (event_loop_add(s->config.loop, &c->source, EPOLLIN) < 0) {
		error_clear();
		http_server_drop(c);
	}
}

static void listen_event(struct event_source *source, uint32_t events)
{
	struct http_server *s = container_of(source, struct http_server, listen);

	(void)events;
	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			client_add(s, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			   errno == ENOBUFS) {
			/* They would be told again and again: look once in a second. */
			event_loop_remove(source);
			set_timer(s, true);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

/* --- Time ------------------------------------------------------------------------------------ */

static bool is_late(const struct client *c)
{
	uint64_t age = c->server->ticks - c->since;

	switch (c->state) {
	case CLIENT_READING:
		return age > (c->in_len > 0 || c->has_head ? LIMIT_REQUEST : LIMIT_IDLE);
	case CLIENT_WRITING:
		return age > LIMIT_WRITE;
	case CLIENT_STREAMING:
		return c->out_done < c->out_len && age > LIMIT_WRITE;
	case CLIENT_LINGERING:
		return age > LIMIT_LINGER;
	case CLIENT_FREE:
		break;
	}
	return false;
}

static void timer_event(struct event_source *source, uint32_t events)
{
	struct http_server *s = container_of(source, struct http_server, timer);

	(void)events;
	fd_drain(source->fd);
	s->ticks++;
	for (unsigned i = 0; i < HTTP_MAX_CLIENTS; i++)
		if (s->client[i] && is_late(s->client[i]))
			http_server_drop(s->client[i]);
	if (!s->listen.loop && event_loop_add(s->config.loop, &s->listen, EPOLLIN) < 0)
		error_clear();
	if (s->n_clients == 0 && s->listen.loop)
		set_timer(s, false);
}

/* --- Life ------------------------------------------------------------------------------------ */

int http_server_create(struct http_server **out, const struct http_server_config *config)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int listen_fd = config->listen_fd, r;

	*out = NULL;
	if (!s) {
		fd_close(&listen_fd);
		return error_set(ENOMEM, "serve the control socket");
	}
	s->config = *config;
	s->uid = geteuid();
	s->listen = (struct event_source){ .fd = listen_fd, .fn = listen_event };
	s->timer = (struct event_source){ .fn = timer_event };
	s->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = s->timer.fd < 0 ? error_set(errno, "make a timer for the control socket") : 0;
	if (r == 0)
		r = event_loop_add(config->loop, &s->timer, EPOLLIN);
	if (r == 0)
		r = event_loop_add(config->loop, &s->listen, EPOLLIN);
	if (r < 0) {
		http_server_destroy(s);
		return r;
	}
	*out = s;
	return 0;
}

void http_server_destroy(struct http_server *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < HTTP_MAX_CLIENTS; i++)
		if (s->client[i])
			http_server_drop(s->client[i]);
	event_loop_remove(&s->listen);
	event_loop_remove(&s->timer);
	fd_close(&s->listen.fd);
	fd_close(&s->timer.fd);
	free(s);
}

void http_server_poke(struct http_server *s)
{
	for (unsigned i = 0; i < HTTP_MAX_CLIENTS; i++) {
		struct client *c = s->client[i];
		/* Who has not taken the last piece is told by his socket. */
		if (c && c->state == CLIENT_STREAMING && c->out_done == c->out_len)
			http_conn_drive(c);
	}
}

void http_server_flush(struct http_server *s)
{
	for (unsigned i = 0; i < HTTP_MAX_CLIENTS; i++) {
		/* A stream's end comes after what it has still to say, in bounded turns. */
		for (unsigned turn = 0; turn < FLUSH_TURNS; turn++) {
			struct client *c = s->client[i];
			if (!c || (c->state != CLIENT_WRITING && c->state != CLIENT_STREAMING))
				break;
			c->reply.stream.follow = false;
			http_conn_drive(c);
		}
	}
}
