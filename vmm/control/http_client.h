/* The other end of the control socket: one request, one answer, blocking.  For commands. */
#ifndef CONTROL_HTTP_CLIENT_H
#define CONTROL_HTTP_CLIENT_H

#include <stdio.h>

#include "vmm/base/util.h"
#include "vmm/control/http_request.h"

enum { HTTP_CLIENT_CONNECT_S = 2, HTTP_CLIENT_WAIT_S = 10, HTTP_CLIENT_BODY_MAX = 64 << 20 };

struct http_answer {
	unsigned status;
	char *body;		/* owned, from malloc; a NUL is behind its 'len' bytes */
	size_t len;
};

/*
 * Connect to the socket 'name' in directory 'dir' (AT_FDCWD: a path), however long its path is.
 * Returns the descriptor; -ETIMEDOUT if nobody has accepted for so long that the socket's queue is
 * full, or another -errno; with an error chain.
 */
MUST_USE int http_client_connect(int dir, const char *name);

/*
 * Send a request on 'fd' (consumed, also on failure) and wait for its answer: 'wait_s' seconds for
 * all of it at most, 0: as long as it takes.  'body' may be NULL.  With 'follow' the body of an
 * answer 200 is written to it piece by piece instead, and flushed.
 *
 * Returns 0 and an answer to be freed; -ETIMEDOUT, -EPROTO (that is no HTTP of Vireo's), -ENOMEM,
 * -EPIPE ('follow' takes no more) or another -errno, with an error chain.
 */
MUST_USE int http_client_ask(int fd, enum http_method method, const char *target, const char *body,
			     unsigned wait_s, FILE *follow, struct http_answer *answer);

#endif
