/*
 * An HTTP/1.1 server on a Unix stream socket, for a few local clients, on one event loop.  It never
 * waits: a client that sends or reads slowly has buffers of bounded size and a bounded time.
 * Clients of other users (root excepted) are refused by their credentials.
 *
 * This is not libmicrohttpd: that one brings a TLS library along, which takes 3 MiB of memory and
 * 2 ms at the start, and is more than a local socket needs.
 *
 * All calls: on the loop's thread, or while the loop does not run.
 */
#ifndef CONTROL_HTTP_SERVER_H
#define CONTROL_HTTP_SERVER_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/control/http_request.h"

struct http_server;
struct http_stream;

enum {
	HTTP_MAX_CLIENTS = 64,
	HTTP_MAX_STREAMS = 16,
	HTTP_CHUNK_SIZE = 4096,		/* what a stream is asked for at once */
};

/* A body that goes on as long as there is something to say. */
struct http_stream {
	/*
	 * Put up to 'size' bytes into 'buf'; returns how many, 0 for nothing at present (until
	 * http_server_poke).  '*end': there is no more, ever.  NULL: no stream.
	 */
	size_t (*fill)(struct http_stream *stream, char *buf, size_t size, bool *end);
	void *arg;
	uint64_t next, lost, value;	/* the filler's: how far this client is */
	bool follow;
};

struct http_reply {
	unsigned status;
	const char *type;		/* media type; keeps */
	char allow[32];			/* of 405 */
	char *body;			/* owned, from malloc; NULL: empty */
	const char *constant;		/* or instead: keeps */
	size_t len;
	struct http_stream stream;	/* or instead */
};

/* Answer 'rq'; its body ('rq->body_len' bytes) is borrowed and not terminated. */
typedef void (*http_handle_fn)(void *arg, const struct http_request *rq, const char *body,
			       struct http_reply *reply);

struct http_server_config {
	struct event_loop *loop;	/* keeps */
	int listen_fd;			/* consumed, also on failure; non-blocking */
	http_handle_fn handle;
	/* Make 'reply' say that a request was refused with 'status' because of 'why'. */
	void (*refuse)(void *arg, unsigned status, const char *why, struct http_reply *reply);
	void *arg;
};

/* Serve.  Returns 0 and an owned server, or -errno with an error chain. */
MUST_USE int http_server_create(struct http_server **out, const struct http_server_config *config);

/* Drop every client.  NULL is fine. */
void http_server_destroy(struct http_server *server);

/* Streams may have something to say: ask them. */
void http_server_poke(struct http_server *server);

/* Let what was answered leave, as far as it does without waiting; streams end. */
void http_server_flush(struct http_server *server);

#endif
