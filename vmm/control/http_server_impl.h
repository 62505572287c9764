/*
 * The inside of the HTTP server, shared by http_server.c (clients come and go) and http_conn.c
 * (what is said on one connection).  Nobody else includes it.
 */
#ifndef CONTROL_HTTP_SERVER_IMPL_H
#define CONTROL_HTTP_SERVER_IMPL_H

#include <sys/types.h>

#include "vmm/control/http_server.h"

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

/* Something happened on the connection: the form of event_source.fn. */
void http_conn_event(struct event_source *source, uint32_t events);

/* Do what can be done without waiting.  Returns false if the client is gone with it. */
bool http_conn_drive(struct client *client);

/* Forget what was answered. */
void http_conn_reply_free(struct http_reply *reply);

/* Drop the client (http_server.c). */
void http_server_drop(struct client *client);

#endif
