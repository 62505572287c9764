#include "vmm/control/http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

int http_client_connect(int dir, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval wait = { .tv_sec = HTTP_CLIENT_CONNECT_S };
	int at = openat(dir, name, O_PATH | O_CLOEXEC), fd, r;

	if (at < 0)
		return error_set(errno, "open the control socket '%s'", name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = fd < 0 ? -errno : 0;
	/* A VM that is stopped accepts nobody, and its queue fills with those who gave up. */
	if (r == 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", at);
	if (r == 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
	fd_close(&at);
	if (r == 0)
		return fd;
	if (fd >= 0)
		fd_close(&fd);
	return error_set(r, "connect to the control socket '%s'", name);
}

/* Without SIGPIPE. */
static int send_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -errno;
		buf += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int send_request(int fd, enum http_method method, const char *target, const char *body)
{
	char head[1024];
	size_t body_len = body ? strlen(body) : 0;
	int len = snprintf(head, sizeof(head),
			   "%s %s HTTP/1.1\r\nHost: vireo\r\nConnection: close\r\n"
			   "Content-Length: %zu\r\n\r\n", http_method_name(method), target,
			   body_len);
	int r;

	if (len >= (int)sizeof(head))
		return error_set(ENAMETOOLONG, "ask for '%.40s...'", target);
	r = send_all(fd, head, (size_t)len);
	if (r == 0 && body_len)
		r = send_all(fd, body, body_len);
	/* Who turns us away does not wait for what we ask: his answer is there. */
	return r < 0 && r != -EPIPE ? error_set(r, "send the request") : 0;
}

/* --- The answer ------------------------------------------------------------------------------ */

struct receiver {
	int fd;
	uint64_t due_ms;	/* CLOCK_MONOTONIC; 0: there is time */
	FILE *in, *follow;
	struct http_answer *answer;
	size_t room;
	bool chunked;
	size_t length;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* read(2) for 'rc->in': who says a byte now and then does not get more time by that. */
static ssize_t read_in_time(void *cookie, char *buf, size_t size)
{
	const struct receiver *rc = cookie;
	struct pollfd ready = { .fd = rc->fd, .events = POLLIN };

	/* A signal (a terminal changes its size) is no reason to stop looking at the clock. */
	for (int n = 0; rc->due_ms && n <= 0;) {
		uint64_t now = now_ms();
		n = now < rc->due_ms ? poll(&ready, 1, (int)(rc->due_ms - now)) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ETIMEDOUT;
		if (n <= 0)
			return -1;
	}
	return read(rc->fd, buf, size);
}

static int cut_short(const struct receiver *rc)
{
	if (ferror(rc->in) && errno == ETIMEDOUT)
		return error_set(ETIMEDOUT, "no answer came in time");
	return error_set(EPROTO, "the answer ends in the middle");
}

/* A line without its end. */
static int read_line(struct receiver *rc, char *line, size_t size)
{
	if (!fgets(line, (int)size, rc->in))
		return cut_short(rc);
	size_t len = strcspn(line, "\r\n");
	if (!line[len])
		return error_set(EPROTO, "the answer is no HTTP: a line is too long");
	line[len] = '\0';
	return 0;
}

static int read_head(struct receiver *rc)
{
	char line[1024];
	int r = read_line(rc, line, sizeof(line));

	if (r < 0)
		return r;
	if (sscanf(line, "HTTP/1.1 %u", &rc->answer->status) != 1)
		return error_set(EPROTO, "the answer is no HTTP");
	while ((r = read_line(rc, line, sizeof(line))) == 0 && *line) {
		if (!strncasecmp(line, "Content-Length: ", 16))
			rc->length = strtoul(line + 16, NULL, 10);
		else if (!strcasecmp(line, "Transfer-Encoding: chunked"))
			rc->chunked = true;
	}
	return r;
}

static int keep(struct receiver *rc, const char *buf, size_t len)
{
	struct http_answer *a = rc->answer;

	if (rc->follow && a->status == 200) {
		if (fwrite(buf, 1, len, rc->follow) != len || fflush(rc->follow) != 0)
			return error_set(EPIPE, "write the answer");
		return 0;
	}
	if (len > HTTP_CLIENT_BODY_MAX - a->len)
		return error_set(EFBIG, "the answer is too long");
	if (a->len + len + 1 > rc->room) {
		size_t room = 2 * (a->len + len + 1);
		char *grown = realloc(a->body, room);
		if (!grown)
			return error_set(ENOMEM, "read the answer");
		a->body = grown;
		rc->room = room;
	}
	memcpy(a->body + a->len, buf, len);
	a->len += len;
	a->body[a->len] = '\0';
	return 0;
}

static int read_piece(struct receiver *rc, size_t len)
{
	char buf[4096];
	int r = 0;

	while (r == 0 && len > 0) {
		size_t want = min_u64(len, sizeof(buf)), n = fread(buf, 1, want, rc->in);
		if (n < want)
			return cut_short(rc);
		r = keep(rc, buf, n);
		len -= n;
	}
	return r;
}

static int read_chunks(struct receiver *rc)
{
	char line[64], *end;
	size_t len;
	int r;

	do {
		r = read_line(rc, line, sizeof(line));
		if (r < 0)
			return r;
		len = strtoul(line, &end, 16);
		if (end == line || *end)
			return error_set(EPROTO, "the answer is no HTTP: a chunk has no length");
		r = read_piece(rc, len);
		if (r == 0)
			r = read_line(rc, line, sizeof(line));
	} while (r == 0 && len > 0);
	return r;
}

int http_client_ask(int fd, enum http_method method, const char *target, const char *body,
		    unsigned wait_s, FILE *follow, struct http_answer *answer)
{
	const cookie_io_functions_t io = { .read = read_in_time };
	struct receiver rc = { .fd = fd, .follow = follow, .answer = answer };
	int r;

	memset(answer, 0, sizeof(*answer));
	if (wait_s)
		rc.due_ms = now_ms() + (uint64_t)wait_s * 1000;
	r = send_request(fd, method, target, body);
	rc.in = r < 0 ? NULL : fopencookie(&rc, "r", io);
	if (!rc.in) {
		fd_close(&fd);
		return r < 0 ? r : error_set(ENOMEM, "read the answer");
	}
	r = read_head(&rc);
	if (r == 0)
		r = keep(&rc, "", 0);
	if (r == 0)
		r = rc.chunked ? read_chunks(&rc) : read_piece(&rc, rc.length);
	fclose(rc.in);
	fd_close(&fd);
	if (r < 0) {
		free(answer->body);
		answer->body = NULL;
	}
	return r;
}
