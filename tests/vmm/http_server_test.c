#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "vmm/base/fd.h"
#include "vmm/control/http_server.h"

enum { LARGE = 3 << 20 };

static struct event_loop *loop;
static struct http_server *server;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_len;
static char got[LARGE + 4096];
static unsigned n_handled;
static unsigned pieces_left;

/* "/echo" gives the body back, "/large" a lot, "/stream" pieces, "/never" a stream without end. */
static size_t fill(struct http_stream *stream, char *buf, size_t size, bool *end)
{
	if (stream->follow)
		return 0;
	if (stream->value == 1) {
		memset(buf, 'x', size);
		return size;
	}
	if (pieces_left > 0)
		memcpy(buf, "piece", 5);
	else
		*end = true;
	return pieces_left > 0 ? (pieces_left--, 5) : 0;
}

static void handle(void *arg, const struct http_request *rq, const char *body,
		   struct http_reply *reply)
{
	cr_assert_eq(arg, &loop);
	n_handled++;
	reply->status = 200;
	reply->type = "text/plain";
	if (!strcmp(rq->path, "/echo")) {
		reply->body = malloc(rq->body_len + 1);
		memcpy(reply->body, body ? body : "", rq->body_len);
		reply->len = rq->body_len;
	} else if (!strcmp(rq->path, "/large")) {
		reply->body = malloc(LARGE);
		memset(reply->body, 'l', LARGE);
		reply->len = LARGE;
	} else if (!strcmp(rq->path, "/stream")) {
		reply->stream.fill = fill;
	} else if (!strcmp(rq->path, "/flood")) {
		reply->stream.fill = fill;
		reply->stream.value = 1;
	} else if (!strcmp(rq->path, "/never")) {
		reply->stream.fill = fill;
		reply->stream.follow = true;
	} else {
		reply->constant = "hello";
		reply->len = 5;
	}
}

static void refuse(void *arg, unsigned status, const char *why, struct http_reply *reply)
{
	cr_assert_eq(arg, &loop);
	reply->status = status;
	reply->type = "text/plain";
	reply->constant = why;
	reply->len = strlen(why);
}

static void set_up(void)
{
	struct http_server_config config = { .handle = handle, .refuse = refuse, .arg = &loop };

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	config.loop = loop;
	config.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	/* An address that the kernel picks, in no directory. */
	cr_assert_eq(bind(config.listen_fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	address_len = sizeof(address);
	getsockname(config.listen_fd, (struct sockaddr *)&address, &address_len);
	cr_assert_eq(listen(config.listen_fd, 64), 0);
	cr_assert_eq(http_server_create(&server, &config), 0);
}

static void tear_down(void)
{
	http_server_destroy(server);
	event_loop_destroy(loop);
}

TestSuite(http_server, .init = set_up, .fini = tear_down, .timeout = 60);

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, address_len), 0);
	loop_pump(loop);
	return fd;
}

static void say(int fd, const char *text)
{
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	loop_pump(loop);
}

/* What has come until now; "<end>" behind it if that was all. */
static const char *hear(int fd)
{
	size_t len = 0;
	ssize_t n;

	for (;;) {
		loop_pump(loop);
		n = read(fd, got + len, sizeof(got) - 8 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	strcpy(got + len, n == 0 ? "<end>" : "");
	return got;
}

static void expect(int fd, const char *part)
{
	const char *text = hear(fd);

	cr_expect_not_null(strstr(text, part), "no '%s' in: %.500s", part, text);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

Test(http_server, answers_again_and_again_on_one_connection)
{
	int fd = dial();

	for (unsigned i = 0; i < 3; i++) {
		say(fd, GET("/"));
		expect(fd, "HTTP/1.1 200 OK\r\n");
		cr_expect_not_null(strstr(got, "Content-Length: 5\r\n\r\nhello"));
		cr_expect_null(strstr(got, "<end>"));
	}
	close(fd);
}

Test(http_server, takes_requests_in_pieces_and_in_a_row)
{
	const char *text = "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
	int fd = dial();

	for (const char *p = text; *p; p++)
		say(fd, (char[]){ *p, '\0' });
	expect(fd, "\r\n\r\nbody");
	n_handled = 0;
	say(fd, GET("/") GET("/") "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
				  GET("/"));
	expect(fd, "abc");
	cr_expect_eq(n_handled, 4);
	close(fd);
}

Test(http_server, ends_the_connection_where_it_is_to_end)
{
	int fd = dial();

	say(fd, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	expect(fd, "hello<end>");
	close(fd);
	fd = dial();
	say(fd, "GET / HTTP/1.0\r\n\r\n");
	expect(fd, "hello<end>");
	close(fd);
}

Test(http_server, gives_the_head_alone_to_who_asks_for_that)
{
	int fd = dial();

	say(fd, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(fd, "Content-Length: 5\r\n\r\n");
	cr_expect_null(strstr(got, "hello"));
	close(fd);
}

Test(http_server, tells_who_waits_to_go_on_with_his_body)
{
	int fd = dial();

	say(fd, "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	expect(fd, "HTTP/1.1 100 Continue\r\n\r\n");
	say(fd, "ok");
	expect(fd, "\r\n\r\nok");
	close(fd);
}

Test(http_server, refuses_a_large_body_and_reads_it_away)
{
	static char piece[65536];
	size_t sent = 0;
	int fd = dial();
	ssize_t n;

	say(fd, "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n");
	for (unsigned i = 0; sent < 10000000 && i < 100000; i++) {
		n = write(fd, piece, min_u64(sizeof(piece), 10000000 - sent));
		sent += n > 0 ? (size_t)n : 0;
		loop_pump(loop);
	}
	/* Who reads only when he has sent all of it reads why, and no reset. */
	cr_expect_eq(sent, 10000000);
	expect(fd, "HTTP/1.1 413 ");
	cr_expect_eq(n_handled, 0);
	close(fd);
	loop_pump(loop);
}

Test(http_server, waits_for_a_slow_reader_without_standing_still)
{
	int slow = dial(), fd = dial();

	say(slow, GET("/large"));
	say(fd, GET("/"));
	expect(fd, "hello");
	expect(slow, "lllll");
	cr_expect_geq(strlen(got), LARGE);
	close(slow);
	close(fd);
}

Test(http_server, minds_no_client_that_goes_away)
{
	int fd = dial();

	say(fd, GET("/large"));
	close(fd);
	loop_pump(loop);
	fd = dial();
	say(fd, "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1");
	close(fd);
	loop_pump(loop);
	fd = dial();
	say(fd, GET("/never"));
	close(fd);
	loop_pump(loop);
	http_server_poke(server);
	fd = dial();
	say(fd, GET("/"));
	expect(fd, "hello");
	close(fd);
}

Test(http_server, streams_pieces_as_they_come)
{
	int fd = dial();

	pieces_left = 2;
	say(fd, GET("/stream"));
	expect(fd, "Transfer-Encoding: chunked\r\n\r\n000005\r\npiece\r\n000005\r\npiece\r\n0\r\n\r\n"
		   "<end>");
	close(fd);
}

Test(http_server, lets_no_stream_keep_others_waiting)
{
	int flood = dial(), fd;

	say(flood, GET("/flood"));
	for (unsigned i = 0; i < 20; i++) {
		cr_assert_gt(read(flood, got, 100000), 0);
		fd = dial();
		say(fd, GET("/"));
		expect(fd, "hello");
		close(fd);
	}
	close(flood);
}

Test(http_server, has_a_limit_of_streams)
{
	int fd[HTTP_MAX_STREAMS + 1];

	for (unsigned i = 0; i <= HTTP_MAX_STREAMS; i++) {
		fd[i] = dial();
		say(fd[i], GET("/never"));
		expect(fd[i], i < HTTP_MAX_STREAMS ? "200 OK" : "503 Service");
	}
	for (unsigned i = 0; i <= HTTP_MAX_STREAMS; i++)
		close(fd[i]);
}

Test(http_server, makes_room_for_who_comes_when_there_are_too_many)
{
	int fd[300];

	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = dial();
		say(fd[i], "GET /half");
	}
	/* The last 64 are there, and the one before them has gone. */
	cr_expect_str_eq(hear(fd[ARRAY_SIZE(fd) - HTTP_MAX_CLIENTS - 1]), "<end>");
	say(fd[ARRAY_SIZE(fd) - 1], " HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(fd[ARRAY_SIZE(fd) - 1], "hello");
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
}

Test(http_server, drops_who_does_not_come_to_the_end_of_a_request)
{
	int fd = dial(), slow = dial();

	say(fd, "GET / HTTP/1.1\r\n");
	say(slow, "GET / HTTP/1.1\r\n");
	/* A byte now and then does not help. */
	for (unsigned i = 0; i < 13; i++) {
		loop_pump_for(loop, 1000);
		if (i < 8)
			say(slow, "a");
	}
	cr_expect_str_eq(hear(fd), "<end>");
	cr_expect_str_eq(hear(slow), "<end>");
	close(fd);
	close(slow);
}

Test(http_server, lets_its_last_answers_leave)
{
	int fd = dial(), stream = dial();

	pieces_left = 0;
	say(stream, GET("/never"));
	say(fd, GET("/"));
	http_server_flush(server);
	http_server_destroy(server);
	server = NULL;
	expect(fd, "hello<end>");
	expect(stream, "\r\n0\r\n\r\n<end>");
	close(fd);
	close(stream);
}
