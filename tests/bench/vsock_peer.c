/*
 * How fast bytes go between a guest and its host over vsock, seen from the guest.
 *
 *   vsock_peer serve PORT         on the host, for the kernel's vhost-vsock
 *   vsock_peer serve PATH         the same at a Unix socket, for vsock in user space
 *   vsock_peer run PORT SECONDS   in the guest: prints 'vsock WHAT VALUE UNIT' for tx, rx and turns
 *
 * The first byte of a connection says what its server does: 't': take all, then say how much that was
 * (8 bytes); 'r': send until nobody listens; 'p': give back each message of TURN bytes.
 */
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536, TURN = 64 };

static char buf[CHUNK];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool take(int fd, char *to, size_t len)
{
	for (ssize_t n; len > 0; to += n, len -= (size_t)n)
		if ((n = read(fd, to, len)) <= 0)
			return false;
	return true;
}

static bool give(int fd, const char *from, size_t len)
{
	for (ssize_t n; len > 0; from += n, len -= (size_t)n)
		if ((n = write(fd, from, len)) <= 0)
			return false;
	return true;
}

/* --- the host's side ------------------------------------------------------------------------- */

static int listen_at(const char *where)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY,
		.svm_port = (unsigned)strtoul(where, NULL, 10),
	};
	bool is_path = strchr(where, '/');
	int fd = socket(is_path ? AF_UNIX : AF_VSOCK, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", where);
	if (fd < 0 ||
	    bind(fd, is_path ? (struct sockaddr *)&un : (struct sockaddr *)&vm,
		 is_path ? sizeof(un) : sizeof(vm)) < 0 ||
	    listen(fd, 8) < 0)
		die(where);
	return fd;
}

static void serve_one(int fd)
{
	uint64_t sum = 0;
	char what;

	if (!take(fd, &what, 1))
		return;
	if (what == 't') {
		for (ssize_t n; (n = read(fd, buf, CHUNK)) > 0;)
			sum += (uint64_t)n;
		give(fd, (char *)&sum, sizeof(sum));
	}
	while (what == 'r' && give(fd, buf, CHUNK))
		;
	while (what == 'p' && take(fd, buf, TURN) && give(fd, buf, TURN))
		;
}

static int serve(const char *where)
{
	int listener = listen_at(where);

	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) {
		if (fork() == 0) {
			serve_one(fd);
			_exit(0);
		}
	}
	die("accept");
	return 1;
}

/* --- the guest's side ------------------------------------------------------------------------ */

static int connect_as(unsigned port, char what)
{
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&vm, sizeof(vm)) < 0 || !give(fd, &what, 1))
		die("connect");
	return fd;
}

static void run_tx(unsigned port, double seconds)
{
	int fd = connect_as(port, 't');
	double begin = now();
	uint64_t sum;

	while (now() < begin + seconds)
		if (!give(fd, buf, CHUNK))
			die("write");
	shutdown(fd, SHUT_WR);
	if (!take(fd, (char *)&sum, sizeof(sum)) || sum == 0)
		die("the sum");
	printf("vsock tx %.3f ms/MB\n", (now() - begin) * 1e9 / (double)sum);
	close(fd);
}

static void run_rx(unsigned port, double seconds)
{
	int fd = connect_as(port, 'r');
	double begin = now();
	uint64_t sum = 0;

	for (ssize_t n; now() < begin + seconds; sum += (uint64_t)n)
		if ((n = read(fd, buf, CHUNK)) <= 0)
			die("read");
	printf("vsock rx %.3f ms/MB\n", (now() - begin) * 1e9 / (double)sum);
	close(fd);
}

static void run_turns(unsigned port, double seconds)
{
	int fd = connect_as(port, 'p');
	double begin = now();
	unsigned n = 0;

	for (; now() < begin + seconds; n++)
		if (!give(fd, buf, TURN) || !take(fd, buf, TURN))
			die("a turn");
	printf("vsock turn %.3f us\n", (now() - begin) * 1e6 / n);
	close(fd);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc != 4 || strcmp(argv[1], "run") != 0) {
		fprintf(stderr, "usage: vsock_peer serve PORT|PATH; vsock_peer run PORT SECONDS\n");
		return 2;
	}
	unsigned port = (unsigned)strtoul(argv[2], NULL, 10);
	double seconds = strtod(argv[3], NULL);

	run_tx(port, seconds);
	run_rx(port, seconds);
	run_turns(port, seconds);
	return 0;
}
