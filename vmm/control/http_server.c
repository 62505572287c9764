#include "vmm/control/http_server.h"

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

enum {
	/* Seconds, by a clock that ticks once in each. */
	LIMIT_REQUEST = 10,		/* from its first byte to its last */
	LIMIT_IDLE = 60,		/* between two requests */
	LIMIT_WRITE = 15,		/* without a byte taken */
	LIMIT_LINGER = 5,
	ACCEPT_BATCH = 16,
	LINGER_MAX = 32 << 20,		/* bytes of a refused request that are read away */
	HEAD_OUT_SIZE = 512,
	CHUNKS_PER_TURN = 16,
	FLUSH_TURNS = 4,
};

enum client_state {
	CLIENT_FREE,
	CLIENT_READING,			/* a request, or waiting for one */
	CLIENT_WRITING,			/* its answer */
	CLIENT_STREAMING,
	CLIENT_LINGERING,		/* answered, but it has still to say something */
};

struct client {
	struct http_server *server;
	struct event_source source;
	enum client_state state;
	uint64_t since;			/* tick of the last progress that counts */

	char in[HTTP_HEAD_MAX];
	size_t in_len;
	bool has_head;
	struct http_request rq;
	char *body;			/* rq.body_len bytes, of which body_got are there */
	size_t body_got;
	size_t lingered;

	/* What leaves: 'out', then 'reply.body'. */
	char out[HEAD_OUT_SIZE + HTTP_CHUNK_SIZE];
	size_t out_len, out_done, body_done;
	struct http_reply reply;
	bool close_after, linger_after, stream_ended;
};

struct http_server {
	struct http_server_config config;
	struct event_source listen, timer;
	uid_t uid;			/* whose clients are served */
	uint64_t ticks;
	unsigned n_clients;
	struct client *client[HTTP_MAX_CLIENTS];
};

/* --- Clients come and go --------------------------------------------------------------------- */

static void set_timer(struct http_server *s, bool on)
{
	struct itimerspec when = { .it_interval.tv_sec = on, .it_value.tv_sec = on };

	/* It fails for arguments that are wrong only. */
	timerfd_settime(s->timer.fd, 0, &when, NULL);
}

static void reply_free(struct http_reply *reply)
{
	free(reply->body);
	memset(reply, 0, sizeof(*reply));
}

static void client_close(struct client *c)
{
	struct http_server *s = c->server;

	event_loop_remove(&c->source);
	fd_close(&c->source.fd);
	free(c->body);
	reply_free(&c->reply);
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
		client_close(victim);
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

static void client_event(struct event_source *source, uint32_t events);

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
	c->source = (struct event_source){ .fd = fd, .fn = client_event };
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
		client_close(c);
	}
}

/* --- Answers --------------------------------------------------------------------------------- */

static size_t reply_len(const struct client *c)
{
	return c->rq.method == HTTP_HEAD ? 0 : c->reply.len;
}

static const char *reply_body(const struct client *c)
{
	if (c->reply.constant)
		return c->reply.constant;
	return c->reply.body ? c->reply.body : "";
}

static void begin_answer(struct client *c)
{
	struct http_reply *reply = &c->reply;
	bool streams = reply->stream.fill && c->rq.method != HTTP_HEAD;
	int n;

	c->close_after |= !c->rq.keep_alive || streams;
	n = snprintf(c->out, HEAD_OUT_SIZE,
		     "HTTP/1.1 %u %s\r\nServer: vireo/%s\r\nCache-Control: no-store\r\n"
		     "Content-Type: %s\r\n%s%s%s%s",
		     reply->status, http_status_text(reply->status), VIREO_VERSION,
		     reply->type ? reply->type : "application/json", *reply->allow ? "Allow: " : "",
		     reply->allow, *reply->allow ? "\r\n" : "",
		     c->close_after ? "Connection: close\r\n" : "");
	c->out_len = (size_t)n;
	if (streams)
		n = snprintf(c->out + c->out_len, HEAD_OUT_SIZE - c->out_len,
			     "Transfer-Encoding: chunked\r\n\r\n");
	else
		n = snprintf(c->out + c->out_len, HEAD_OUT_SIZE - c->out_len,
			     "Content-Length: %zu\r\n\r\n", reply->len);
	c->out_len += (size_t)n;
	c->out_done = c->body_done = 0;
	/* A short one in one piece with its head. */
	if (!streams && reply_len(c) <= HTTP_CHUNK_SIZE) {
		memcpy(c->out + c->out_len, reply_body(c), reply_len(c));
		c->out_len += reply_len(c);
		c->body_done = reply_len(c);
	}
	c->state = streams ? CLIENT_STREAMING : CLIENT_WRITING;
	c->since = c->server->ticks;
}

static unsigned count_streams(const struct http_server *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < HTTP_MAX_CLIENTS; i++)
		n += s->client[i] && s->client[i]->state == CLIENT_STREAMING;
	return n;
}

static void refuse(struct client *c, unsigned status, const char *why)
{
	struct http_server *s = c->server;

	reply_free(&c->reply);
	c->rq.method = HTTP_GET;
	c->close_after = c->linger_after = true;
	s->config.refuse(s->config.arg, status, why, &c->reply);
	begin_answer(c);
}

static void answer(struct client *c)
{
	struct http_server *s = c->server;

	s->config.handle(s->config.arg, &c->rq, c->body, &c->reply);
	free(c->body);
	c->body = NULL;
	if (c->reply.stream.fill && count_streams(s) >= HTTP_MAX_STREAMS)
		refuse(c, 503, "there are 16 streams already");
	else
		begin_answer(c);
}

/* One chunk behind what is in 'out' still; returns false when there is nothing to be sent. */
static bool next_chunk(struct client *c)
{
	char *data = c->out + 8;	/* room for "xxxx\r\n" */
	char size[16];

	if (c->stream_ended)
		return false;
	size_t n = c->reply.stream.fill(&c->reply.stream, data, HTTP_CHUNK_SIZE, &c->stream_ended);
	if (n == 0 && !c->stream_ended)
		return false;
	c->out_done = 0;
	c->out_len = 0;
	if (n > 0) {
		snprintf(size, sizeof(size), "%06x\r\n", (unsigned)n & 0xffffff);
		memcpy(c->out, size, 8);
		memcpy(data + n, "\r\n", 2);
		c->out_len = 8 + n + 2;
	}
	if (c->stream_ended) {
		memcpy(c->out + c->out_len, "0\r\n\r\n", 5);
		c->out_len += 5;
	}
	return true;
}

/* Returns what write(2) took of a piece, -EAGAIN, or another -errno: the client is gone. */
static ssize_t send_piece(struct client *c, const char *buf, size_t len)
{
	ssize_t n = write(c->source.fd, buf, len);

	if (n >= 0)
		c->since = c->server->ticks;
	return n < 0 ? -errno : n;
}

/* Send what there is.  Returns 0: all has left, -EBUSY: wants another turn, or as send_piece. */
static int send_out(struct client *c)
{
	unsigned n_chunks = 0;
	ssize_t n;

	for (;;) {
		if (c->out_done < c->out_len) {
			n = send_piece(c, c->out + c->out_done, c->out_len - c->out_done);
			if (n >= 0)
				c->out_done += (size_t)n;
		} else if (c->state == CLIENT_STREAMING) {
			if (n_chunks++ == CHUNKS_PER_TURN)
				return -EBUSY;
			if (!next_chunk(c))
				return 0;
			continue;
		} else if (c->body_done < reply_len(c)) {
			n = send_piece(c, reply_body(c) + c->body_done,
				       reply_len(c) - c->body_done);
			if (n >= 0)
				c->body_done += (size_t)n;
		} else {
			return 0;
		}
		if (n < 0 && n != -EINTR)
			return (int)n;
	}
}

/* --- Requests -------------------------------------------------------------------------------- */

static void answer_if_complete(struct client *c)
{
	size_t rest, n;

	if (!c->has_head) {
		unsigned status;
		const char *why;
		enum http_verdict v = http_request_judge(&c->rq, c->in, c->in_len, &status, &why);
		if (v == HTTP_INCOMPLETE)
			return;
		if (v == HTTP_REFUSED) {
			refuse(c, status, why);
			return;
		}
		c->has_head = true;
		c->body_got = 0;
		c->in_len -= c->rq.head_len;
		memmove(c->in, c->in + c->rq.head_len, c->in_len);
		c->body = c->rq.body_len ? malloc(c->rq.body_len) : NULL;
		if (c->rq.body_len && !c->body) {
			refuse(c, 503, "no memory for the body");
			return;
		}
		if (c->rq.expects_continue && c->in_len == 0 && c->rq.body_len)
			send_piece(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	}
	rest = c->rq.body_len - c->body_got;
	n = min_u64(rest, c->in_len);
	if (n > 0) {
		memcpy(c->body + c->body_got, c->in, n);
		c->body_got += n;
		c->in_len -= n;
		memmove(c->in, c->in + n, c->in_len);
	}
	if (c->body_got == c->rq.body_len)
		answer(c);
}

/* The answer has left.  Returns false if the client is gone with it. */
static bool finish_answer(struct client *c)
{
	bool ended = c->state == CLIENT_STREAMING ? c->stream_ended : true;

	if (!ended)
		return true;
	if (c->linger_after) {
		c->state = CLIENT_LINGERING;
		c->since = c->server->ticks;
		return true;
	}
	if (c->close_after) {
		client_close(c);
		return false;
	}
	reply_free(&c->reply);
	c->has_head = false;
	c->out_len = c->out_done = c->body_done = 0;
	c->state = CLIENT_READING;
	c->since = c->server->ticks;
	return true;
}

/* Wait for what is next; a level-triggered EPOLLOUT has a request that is here have its turn. */
static void watch(struct client *c, bool more)
{
	bool has_output = c->out_done < c->out_len || c->state == CLIENT_WRITING;

	event_loop_modify(&c->source, has_output || more ? EPOLLOUT : EPOLLIN);
}

/* Returns false if the client is gone. */
static bool drive(struct client *c)
{
	int r = 0;

	if (c->state == CLIENT_READING)
		answer_if_complete(c);
	if (c->state == CLIENT_WRITING || c->state == CLIENT_STREAMING) {
		r = send_out(c);
		if (r == 0 && !finish_answer(c))
			return false;
		if (r < 0 && r != -EAGAIN && r != -EBUSY) {
			client_close(c);
			return false;
		}
	}
	watch(c, r == -EBUSY || (c->state == CLIENT_READING && !c->has_head &&
				 memmem(c->in, c->in_len, "\r\n\r\n", 4)));
	return true;
}

/* Returns false if the client is gone. */
static bool read_in(struct client *c)
{
	bool discards = c->state != CLIENT_READING;
	char away[4096];
	ssize_t n = discards ? read(c->source.fd, away, sizeof(away)) :
			       read(c->source.fd, c->in + c->in_len, HTTP_HEAD_MAX - c->in_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n > 0 && discards)
		c->lingered += (size_t)n;
	if (n <= 0 || c->lingered > LINGER_MAX) {
		client_close(c);
		return false;
	}
	/* A request's time begins with its first byte. */
	if (!discards && c->in_len == 0 && !c->has_head)
		c->since = c->server->ticks;
	if (!discards)
		c->in_len += (size_t)n;
	return true;
}

static void client_event(struct event_source *source, uint32_t events)
{
	struct client *c = container_of(source, struct client, source);

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !(events & EPOLLOUT) && !read_in(c))
		return;
	drive(c);
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
			client_close(s->client[i]);
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
			client_close(s->client[i]);
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
			drive(c);
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
			drive(c);
		}
	}
}
