/* Each test is the service manager: a socket of its own, and what arrives there. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/notify.h"

static char address[64];

/* 'abstract' or in /tmp; its name is in 'address'. */
static int manager(bool abstract)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t size = offsetof(struct sockaddr_un, sun_path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(address, sizeof(address), "%s-%d", abstract ? "@vireo-notify" : "/tmp/vireo-notify",
		 (int)getpid());
	memcpy(at.sun_path, address, strlen(address));
	if (abstract)
		at.sun_path[0] = '\0';
	size += (socklen_t)strlen(address) + !abstract;
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	return fd;
}

static void expect_message(int fd, const char *text)
{
	char got[1024];
	ssize_t len = read(fd, got, sizeof(got) - 1);

	cr_assert_geq(len, 0, "there is no message");
	got[len] = '\0';
	cr_assert_str_eq(got, text);
}

static void tell(bool abstract)
{
	struct notify n = NOTIFY_INIT;
	int fd = manager(abstract);

	cr_assert_eq(notify_open(&n, address), 0);
	notify_say(&n, "READY=1", "the guest runs");
	notify_say(&n, NULL, "status %d", 3);
	expect_message(fd, "READY=1\nSTATUS=the guest runs\n");
	expect_message(fd, "STATUS=status 3\n");
	notify_close(&n);
	close(fd);
	unlink(address);
}

Test(notify, tells_at_a_path) { tell(false); }
Test(notify, tells_at_an_abstract_name) { tell(true); }

Test(notify, is_silent_when_nobody_asked)
{
	struct notify n = NOTIFY_INIT;

	cr_assert_eq(notify_open(&n, NULL), 0);
	cr_assert_eq(notify_open(&n, ""), 0);
	cr_assert_eq(n.fd, FD_NONE);
	notify_say(&n, "READY=1", "nobody hears that");
	notify_close(&n);
}

Test(notify, refuses_what_is_no_address)
{
	static const struct { const char *address; int error; } bad[] = {
		{ "vsock:2:1234", -EAFNOSUPPORT }, { "relative/path", -EAFNOSUPPORT },
		{ "@", -EINVAL }, { "/", -EINVAL }, { "/nowhere/at/all", -ENOENT },
		{ "@vireo-nobody-listens-here", -ECONNREFUSED },
	};
	struct notify n = NOTIFY_INIT;
	char name[109] = "/";

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_eq(notify_open(&n, bad[i].address), bad[i].error, "%s", bad[i].address);
		cr_expect_eq(n.fd, FD_NONE);
		cr_expect_not_null(strstr(error_text(), bad[i].address));
	}
	memset(name + 1, 'x', sizeof(name) - 2);
	cr_expect_eq(notify_open(&n, name), -ENAMETOOLONG);
	name[sizeof(name) - 2] = '\0';
	cr_expect_eq(notify_open(&n, name), -ENOENT);	/* the longest that fits */
	error_clear();
}

/* A guest that panics says why: that must not be another message to the manager. */
Test(notify, what_a_guest_says_stays_in_its_line)
{
	struct notify n = NOTIFY_INIT;
	int fd = manager(true);
	char longest[2 * NOTIFY_TEXT_MAX], wanted[sizeof(longest)];

	cr_assert_eq(notify_open(&n, address), 0);
	notify_say(&n, "STOPPING=1", "%s", "panic\nMAINPID=1\r\x1b[2J\x7f");
	expect_message(fd, "STOPPING=1\nSTATUS=panic?MAINPID=1??[2J?\n");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	notify_say(&n, NULL, "%s", longest);
	snprintf(wanted, sizeof(wanted), "STATUS=%.*s\n", NOTIFY_TEXT_MAX, longest);
	expect_message(fd, wanted);
	notify_close(&n);
	close(fd);
}

Test(notify, does_not_wait_for_a_manager_that_sleeps)
{
	struct notify n = NOTIFY_INIT;
	int fd = manager(true), flood;
	struct timespec from, to;

	cr_assert_eq(notify_open(&n, address), 0);
	for (flood = 0; write(n.fd, "x", 1) == 1; flood++)
		cr_assert_lt(flood, 1000000);
	clock_gettime(CLOCK_MONOTONIC, &from);
	notify_say(&n, "READY=1", "nobody reads");
	clock_gettime(CLOCK_MONOTONIC, &to);
	cr_expect_leq(to.tv_sec - from.tv_sec, 10);
	/* And not for one that is gone. */
	close(fd);
	notify_say(&n, NULL, "nobody is there");
	notify_close(&n);
}
