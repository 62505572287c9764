/* Programs of the host that come to the device's socket, and the files of its sockets. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/vsock_hub.h"
#include "devices/vsock_unix.h"
#include "tests/support/vsock_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static char payload[VSOCK_RIG_PAYLOAD];

static void setup(void)
{
	vsock_rig_setup();
	vsock_rig_start();
}

TestSuite(vsock_host, .init = setup, .fini = vsock_rig_teardown);

static void say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* A client came, the guest is asked for 'port' and accepts. */
static struct vsock_guest accept_client(int fd, enum vsock_type type, uint32_t port)
{
	struct vsock_guest g = { .type = type, .guest_port = port, .buf_alloc = 65536 };
	struct vsock_packet p = vsock_rig_receive(NULL);
	char line[32], expect[32];

	g.host_port = p.src_port;
	cr_assert_eq(p.op, VSOCK_OP_REQUEST);
	cr_assert_eq(p.type, type);
	cr_assert_eq(p.dst_port, port);
	vsock_rig_say(&g, VSOCK_OP_RESPONSE, 0);
	int n = snprintf(expect, sizeof(expect), "OK %u\n", g.host_port);
	vsock_rig_read_all(fd, line, (size_t)n);
	cr_assert_eq(memcmp(line, expect, (size_t)n), 0);
	return g;
}

Test(vsock_host, a_client_is_led_to_a_port_of_the_guest)
{
	int fd = vsock_rig_client(VSOCK_STREAM);
	char got[8];

	/* What comes behind the line is the guest's. */
	say(fd, "CONNECT 1234\nhello");
	struct vsock_guest g = accept_client(fd, VSOCK_STREAM, 1234);
	cr_assert_eq(vsock_rig_receive(payload).len, 5);
	cr_assert_eq(memcmp(payload, "hello", 5), 0);
	vsock_rig_write(&g, "back", 4, 0);
	vsock_rig_read_all(fd, got, 4);
	close(fd);
	vsock_rig_await(&g, VSOCK_OP_SHUTDOWN);
}

Test(vsock_host, a_client_may_speak_slowly)
{
	int fd = vsock_rig_client(VSOCK_STREAM);

	for (const char *p = "CONNECT 7\n"; *p; p++) {
		cr_assert_eq(write(fd, p, 1), 1);
		usleep(2000);
	}
	accept_client(fd, VSOCK_STREAM, 7);
	close(fd);
}

Test(vsock_host, a_client_for_messages)
{
	int fd = vsock_rig_client(VSOCK_SEQPACKET);

	say(fd, "CONNECT 1234");
	struct vsock_guest g = accept_client(fd, VSOCK_SEQPACKET, 1234);
	say(fd, "message");
	struct vsock_packet p = vsock_rig_receive(payload);
	cr_assert_eq(p.len, 7);
	cr_assert_eq(p.flags, (uint32_t)VSOCK_SEQ_EOM);
	vsock_rig_write(&g, "answer", 6, VSOCK_SEQ_EOM);
	cr_assert_eq(recv(fd, payload, 100, 0), 6);
	close(fd);
}

Test(vsock_host, a_client_whom_the_guest_refuses_is_at_its_end)
{
	int fd = vsock_rig_client(VSOCK_STREAM);
	struct vsock_guest g = { .type = VSOCK_STREAM, .guest_port = 99 };

	say(fd, "CONNECT 99\n");
	g.host_port = vsock_rig_receive(NULL).src_port;
	vsock_rig_say(&g, VSOCK_OP_RST, 0);
	cr_assert(vsock_rig_at_end(fd));
	close(fd);
}

/* covers: VSOCK-STREAM-04 */
Test(vsock_host, nothing_goes_over_a_connection_that_the_guest_has_not_accepted)
{
	int fd = vsock_rig_client(VSOCK_STREAM);
	struct vsock_guest g = { .type = VSOCK_STREAM, .guest_port = 99, .buf_alloc = 4096 };

	say(fd, "CONNECT 99\n");
	g.host_port = vsock_rig_receive(NULL).src_port;
	vsock_rig_write(&g, "early", 5, 0);
	vsock_rig_expect(&g, VSOCK_OP_RST);
	cr_assert(vsock_rig_at_end(fd));
	close(fd);
}

Test(vsock_host, a_client_that_goes_takes_its_request_along)
{
	int fd = vsock_rig_client(VSOCK_STREAM);
	struct vsock_guest g = { .type = VSOCK_STREAM, .guest_port = 99 };

	say(fd, "CONNECT 99\n");
	g.host_port = vsock_rig_receive(NULL).src_port;
	close(fd);
	vsock_rig_expect(&g, VSOCK_OP_RST);
	vsock_rig_say(&g, VSOCK_OP_RESPONSE, 0);
	vsock_rig_expect(&g, VSOCK_OP_RST);
}

Test(vsock_host, a_client_that_says_something_else_is_dropped)
{
	static const char *const wrong[] = {
		"\n", "HELLO\n", "CONNECT\n", "CONNECT \n", "CONNECT x\n", "CONNECT 1 2\n",
		"CONNECT -1\n", "CONNECT 4294967295\n", "CONNECT 99999999999999999999\n",
		"connect 5\n", "CONNECT 000000000000000000000000000000000000005\n",
		"0123456789012345678901234567890123456789",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		int fd = vsock_rig_client(VSOCK_STREAM);
		say(fd, wrong[i]);
		cr_assert(vsock_rig_at_end(fd), "%s", wrong[i]);
		close(fd);
		fd = vsock_rig_client(VSOCK_SEQPACKET);
		say(fd, wrong[i]);
		cr_assert(vsock_rig_at_end(fd), "%s", wrong[i]);
		close(fd);
	}
	cr_assert(vsock_rig_is_silent());
}

/* Clients that say nothing keep others out for 2 s at most; nobody is turned away. */
Test(vsock_host, silent_clients_do_not_stay)
{
	int silent[VSOCK_MAX_HELLOS];

	for (unsigned i = 0; i < ARRAY_SIZE(silent); i++)
		silent[i] = vsock_rig_client(VSOCK_STREAM);
	int fd = vsock_rig_client(VSOCK_STREAM);
	say(fd, "CONNECT 5\n");
	cr_assert(vsock_rig_is_silent());
	for (unsigned i = 0; i < ARRAY_SIZE(silent); i++) {
		cr_assert(vsock_rig_at_end(silent[i]));
		close(silent[i]);
	}
	accept_client(fd, VSOCK_STREAM, 5);
	close(fd);
}

/* Whoever comes before the guest's driver waits for it. */
Test(vsock_host, clients_wait_for_the_driver)
{
	fake_driver_reset(&vsock_rig.rig.driver);
	int fd = vsock_rig_client(VSOCK_STREAM);
	say(fd, "CONNECT 5\n");
	usleep(50000);
	vsock_rig_start();
	accept_client(fd, VSOCK_STREAM, 5);
	close(fd);
}

Test(vsock_host, each_client_has_its_own_port)
{
	uint32_t port[20];
	int fd[20];

	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = vsock_rig_client(VSOCK_STREAM);
		say(fd[i], "CONNECT 5\n");
		port[i] = accept_client(fd[i], VSOCK_STREAM, 5).host_port;
		for (unsigned k = 0; k < i; k++)
			cr_assert_neq(port[i], port[k]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
}

/* --- Files ----------------------------------------------------------------------------------- */

static char dir[32], path[128];

static void setup_files(void)
{
	strcpy(dir, "/tmp/vireo-vsock-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
}

static void teardown_files(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(vsock_unix, .init = setup_files, .fini = teardown_files);

Test(vsock_unix, sockets_are_their_owners_alone_and_vanish)
{
	struct unix_listener l;
	struct stat st;

	cr_assert_eq(vsock_unix_listen(&l, path, VSOCK_SEQPACKET), 0);
	cr_assert_not_null(strstr(l.path, "/s.seqpacket"));
	cr_assert_eq(stat(l.path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600u);
	unix_listener_close(&l);
	snprintf(path, sizeof(path), "%s/s.seqpacket", dir);
	cr_assert_eq(stat(path, &st), -1);
	unix_listener_close(&l);
}

Test(vsock_unix, one_that_was_left_behind_is_replaced)
{
	struct unix_listener l, left;

	cr_assert_eq(vsock_unix_listen(&left, path, VSOCK_STREAM), 0);
	fd_close(&left.fd);
	cr_assert_eq(vsock_unix_listen(&l, path, VSOCK_STREAM), 0);
	unix_listener_close(&l);
	cr_assert_eq(access(path, F_OK), -1);
}

Test(vsock_unix, the_end_of_one_leaves_the_file_of_another_alone)
{
	struct unix_listener l, other;

	cr_assert_eq(vsock_unix_listen(&other, path, VSOCK_STREAM), 0);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(vsock_unix_listen(&l, path, VSOCK_STREAM), 0);
	unix_listener_close(&other);
	cr_assert_eq(access(path, F_OK), 0);
	unix_listener_close(&l);
	cr_assert_eq(access(path, F_OK), -1);
}

Test(vsock_unix, one_at_which_somebody_listens_is_not)
{
	struct unix_listener l, other;

	cr_assert_eq(vsock_unix_listen(&other, path, VSOCK_STREAM), 0);
	cr_assert_eq(vsock_unix_listen(&l, path, VSOCK_STREAM), -EADDRINUSE);
	cr_assert_not_null(strstr(error_text(), path));
	error_clear();
	cr_assert_eq(access(path, F_OK), 0);
	unix_listener_close(&other);
}

Test(vsock_unix, what_is_no_socket_stays)
{
	struct unix_listener l;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	cr_assert_eq(vsock_unix_listen(&l, path, VSOCK_STREAM), -EEXIST);
	error_clear();
	cr_assert_eq(access(path, F_OK), 0);
}

Test(vsock_unix, paths_that_cannot_be_are_explained)
{
	struct unix_listener l;
	char file[256];

	memset(file, 'a', sizeof(file));
	file[VSOCK_PATH_MAX + 1] = '\0';
	cr_assert_eq(vsock_unix_listen(&l, file, VSOCK_STREAM), -ENAMETOOLONG);
	cr_assert_not_null(strstr(error_text(), "96"));
	cr_assert_eq(vsock_unix_listen(&l, "", VSOCK_STREAM), -ENAMETOOLONG);
	cr_assert_eq(vsock_unix_listen(&l, "/nowhere/at/all", VSOCK_STREAM), -ENOENT);
	error_clear();
	/* The longest one, with the highest port. */
	file[VSOCK_PATH_MAX] = '\0';
	memcpy(file, dir, strlen(dir));
	file[strlen(dir)] = '/';
	cr_assert_eq(vsock_unix_listen(&l, file, VSOCK_STREAM), 0);
	cr_assert_eq(vsock_unix_connect(file, UINT32_MAX, VSOCK_STREAM), -ENOENT);
	unix_listener_close(&l);
}
