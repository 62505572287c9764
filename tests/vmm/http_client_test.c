/* The client of the control socket, with somebody at the other end who does not mean well. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/control/http_client.h"

/* Somebody at the other end of the pair, in a process of his own. */
static int begin_peer(void (*run)(int fd))
{
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	if (fork() == 0) {
		close(fd[0]);
		run(fd[1]);
		_exit(0);
	}
	close(fd[1]);
	return fd[0];
}

static int ask(int fd, unsigned wait_s, struct http_answer *answer)
{
	return http_client_ask(fd, HTTP_GET, "/v1/vm", NULL, wait_s, NULL, answer);
}

TestSuite(http_client, .timeout = 20);

Test(http_client, does_not_wait_for_a_full_queue_for_ever)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/http_client_test.%d", getpid());
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	do {
		r = http_client_connect(AT_FDCWD, address.sun_path);
		if (r >= 0)
			close(r);
	} while (r >= 0);
	unlink(address.sun_path);
	fd_close(&listener);
	cr_expect_eq(r, -ETIMEDOUT);
	error_clear();
}

/* A byte now and then, for 8 seconds. */
static void drip(int fd)
{
	for (unsigned i = 0; i < 80; i++) {
		if (send(fd, "H", 1, MSG_NOSIGNAL) < 0)
			return;
		usleep(100000);
	}
}

Test(http_client, the_answer_is_in_time_as_a_whole)
{
	struct http_answer answer;

	cr_expect_eq(ask(begin_peer(drip), 1, &answer), -ETIMEDOUT);
	cr_expect_null(answer.body);
	error_clear();
}

static void turn_away(int fd)
{
	static const char text[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
}

Test(http_client, who_is_turned_away_reads_why)
{
	struct http_answer answer;
	int fd = begin_peer(turn_away);

	wait(NULL);
	cr_assert_eq(ask(fd, 5, &answer), 0);
	cr_expect_eq(answer.status, 403);
	free(answer.body);
}
