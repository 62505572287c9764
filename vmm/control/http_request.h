/*
 * The head of an HTTP/1.1 request as bytes from a peer, judged once.  Pure: no descriptor, no
 * memory of its own.  RFC 9112; what a client of the control socket has no use for (other versions,
 * chunked bodies, folded lines) is refused with the status that says so.
 */
#ifndef CONTROL_HTTP_REQUEST_H
#define CONTROL_HTTP_REQUEST_H

#include "vmm/base/util.h"

enum {
	HTTP_HEAD_MAX = 8192,		/* bytes, the empty line included */
	HTTP_BODY_MAX = 65536,
	HTTP_PATH_SIZE = 256,
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_METHODS };

struct http_request {
	enum http_method method;
	char path[HTTP_PATH_SIZE];	/* decoded; begins with '/', no control characters */
	char query[HTTP_PATH_SIZE];	/* as it came, without the '?' */
	size_t head_len;
	size_t body_len;		/* HTTP_BODY_MAX at most */
	bool keep_alive;
	bool expects_continue;
};

enum http_verdict { HTTP_INCOMPLETE, HTTP_COMPLETE, HTTP_REFUSED };

/*
 * Judge what has come so far ('len' bytes, HTTP_HEAD_MAX at most).  HTTP_COMPLETE fills in 'rq';
 * HTTP_REFUSED says with which status (400 to 505) in '*status' and why in '*why', a constant.
 */
enum http_verdict http_request_judge(struct http_request *rq, const char *buf, size_t len,
				     unsigned *status, const char **why);

/* "GET". */
const char *http_method_name(enum http_method method);

/* The words behind a status: "Not Found". */
const char *http_status_text(unsigned status);

/*
 * The number that 'key' has in a query ("tail=20&follow=1").  Returns 1; 0 if it is not there;
 * -EINVAL if its value is no number.
 */
MUST_USE int http_query_number(const char *query, const char *key, uint64_t *out);

#endif
