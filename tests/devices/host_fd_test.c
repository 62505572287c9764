#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/host_fd.h"
#include "vmm/base/error.h"

static bool is_nonblocking(int fd)
{
	return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

/* Write until it says "not now"; returns how many bytes went. */
static size_t fill(const struct host_fd *host)
{
	static const uint8_t zeros[3000];
	size_t total = 0;

	for (;;) {
		ssize_t n = host_fd_write(host, zeros, sizeof(zeros));
		if (n == -EAGAIN)
			return total;
		cr_assert_gt(n, 0);
		total += (size_t)n;
	}
}

Test(host_fd, a_blocking_pipe_never_blocks_and_keeps_its_flags, .timeout = 10)
{
	struct host_fd in, out;
	char buf[16];
	int p[2];

	cr_assert_eq(pipe(p), 0);
	cr_assert_eq(host_fd_open(&in, p[0], O_RDONLY), 0);
	cr_assert_eq(host_fd_open(&out, p[1], O_WRONLY), 0);
	cr_expect_eq(host_fd_read(&in, buf, sizeof(buf)), -EAGAIN);
	cr_expect_gt(fill(&out), 0u);
	cr_expect_gt(host_fd_read(&in, buf, sizeof(buf)), 0);
	cr_expect_not(is_nonblocking(p[0]));
	cr_expect_not(is_nonblocking(p[1]));
	host_fd_close(&in);
	host_fd_close(&out);
}

Test(host_fd, a_pipe_that_cannot_be_opened_anew_does_not_block_either, .timeout = 10)
{
	struct host_fd in, out;
	char buf[16];
	int p[2];

	cr_assert_eq(pipe(p), 0);
	in = (struct host_fd){ .fd = p[0], .kind = HOST_FD_SHARED };
	out = (struct host_fd){ .fd = p[1], .kind = HOST_FD_SHARED };
	cr_expect_eq(host_fd_read(&in, buf, sizeof(buf)), -EAGAIN);
	cr_expect_gt(fill(&out), 0u);
	cr_expect_eq(host_fd_read(&in, buf, sizeof(buf)), (ssize_t)sizeof(buf));
}

Test(host_fd, a_terminal_that_nobody_reads_does_not_block, .timeout = 10)
{
	struct host_fd out;
	int master, slave;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	cr_assert_eq(host_fd_open(&out, slave, O_WRONLY), 0);
	cr_expect(out.is_tty);
	cr_expect_gt(fill(&out), 0u);
	cr_expect_not(is_nonblocking(slave));
	host_fd_close(&out);

	out = (struct host_fd){ .fd = slave, .kind = HOST_FD_SHARED, .is_tty = true };
	cr_expect_eq(host_fd_write(&out, "x", 1), -EAGAIN);
}

Test(host_fd, a_socket_does_not_block_and_its_end_is_epipe, .timeout = 10)
{
	struct host_fd host;
	char buf[4];
	int s[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	cr_assert_eq(host_fd_open(&host, s[0], O_WRONLY), 0);
	cr_expect_eq(host_fd_read(&host, buf, sizeof(buf)), -EAGAIN);
	cr_expect_gt(fill(&host), 0u);
	close(s[1]);
	cr_expect_eq(host_fd_write(&host, "x", 1), -EPIPE);
	host_fd_close(&host);
}

Test(host_fd, a_file_keeps_the_position_it_shares)
{
	char path[] = "/tmp/host_fd_XXXXXX", buf[8] = "";
	int fd = mkstemp(path);
	struct host_fd host;

	cr_assert_geq(fd, 0);
	unlink(path);
	cr_assert_eq(write(fd, "one", 3), 3);
	cr_assert_eq(host_fd_open(&host, fd, O_WRONLY), 0);
	cr_expect_eq(host.kind, HOST_FD_FILE);
	cr_assert_eq(host_fd_write(&host, "two", 3), 3);
	cr_assert_eq(pread(fd, buf, sizeof(buf), 0), 6);
	cr_expect_str_eq(buf, "onetwo");
	host_fd_close(&host);
	close(fd);
}

Test(host_fd, a_closed_descriptor_is_an_error)
{
	struct host_fd host;

	cr_expect_eq(host_fd_open(&host, 999, O_RDONLY), -EBADF);
	cr_expect_eq(host.fd, FD_NONE);
	error_clear();
}
