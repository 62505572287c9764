#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/control/http_server_impl.h"

/* --- Answers --------------------------------------------------------------------------------- */

void http_conn_reply_free(struct http_reply *reply)
{
	free(reply->body);
	memset(reply, 0, sizeof(*reply));
}

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

	http_conn_reply_free(&c->reply);
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
		http_server_drop(c);
		return false;
	}
	http_conn_reply_free(&c->reply);
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

bool http_conn_drive(struct client *c)
{
	int r = 0;

	if (c->state == CLIENT_READING)
		answer_if_complete(c);
	if (c->state == CLIENT_WRITING || c->state == CLIENT_STREAMING) {
		r = send_out(c);
		if (r == 0 && !finish_answer(c))
			return false;
		if (r < 0 && r != -EAGAIN && r != -EBUSY) {
			http_server_drop(c);
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
		http_server_drop(c);
		return false;
	}
	/* A request's time begins with its first byte. */
	if (!discards && c->in_len == 0 && !c->has_head)
		c->since = c->server->ticks;
	if (!discards)
		c->in_len += (size_t)n;
	return true;
}

void http_conn_event(struct event_source *source, uint32_t events)
{
	struct client *c = container_of(source, struct client, source);

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !(events & EPOLLOUT) && !read_in(c))
		return;
	http_conn_drive(c);
}
