/*
 * Messages over AF_VSOCK, which keep their boundaries (SOCK_SEQPACKET), as systemd's notify protocol
 * sends them.  Usage: seqpacket listen PORT: print what comes, one per line, until the other end closes;
 * seqpacket send CID PORT MESSAGE...; and for the host's side of vsock in user space, over Unix sockets,
 * seqpacket unix-listen PATH; seqpacket unix-send PATH PORT MESSAGE...
 */
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int failed(const char *what)
{
	perror(what);
	return 1;
}

static int print_messages(int listener)
{
	char buf[65536];

	puts("listening");
	fflush(stdout);
	int peer = accept(listener, NULL, NULL);

	if (peer < 0)
		return failed("accept");
	for (;;) {
		ssize_t n = recv(peer, buf, sizeof(buf), 0);
		if (n < 0)
			return failed("recv");
		if (n == 0)
			return 0;
		printf("message of %zd: %.*s\n", n, (int)(n < 60 ? n : 60), buf);
		fflush(stdout);
	}
}

static int listen_at(unsigned port)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port,
	};
	int fd = socket(AF_VSOCK, SOCK_SEQPACKET, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		return failed("listen");
	return print_messages(fd);
}

static int listen_at_path(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		return failed("listen");
	return print_messages(fd);
}

static int send_messages(int fd, char **message)
{
	for (; *message; message++)
		if (send(fd, *message, strlen(*message), MSG_EOR) < 0)
			return failed("send");
	return close(fd) < 0 ? failed("close") : 0;
}

static int send_to_path(const char *path, const char *port, char **message)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	char line[64];

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return failed("connect");
	int len = snprintf(line, sizeof(line), "CONNECT %s\n", port);
	if (send(fd, line, (size_t)len, 0) < 0 || recv(fd, line, sizeof(line), 0) < 3 ||
	    memcmp(line, "OK ", 3) != 0)
		return failed("CONNECT");
	return send_messages(fd, message);
}

static int send_to(unsigned cid, unsigned port, char **message)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_SEQPACKET, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return failed("connect");
	return send_messages(fd, message);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "listen"))
		return listen_at((unsigned)atoi(argv[2]));
	if (argc > 4 && !strcmp(argv[1], "send"))
		return send_to((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), argv + 4);
	if (argc == 3 && !strcmp(argv[1], "unix-listen"))
		return listen_at_path(argv[2]);
	if (argc > 4 && !strcmp(argv[1], "unix-send"))
		return send_to_path(argv[2], argv[3], argv + 4);
	fprintf(stderr, "usage: seqpacket listen PORT | send CID PORT MESSAGE... |\n"
			"       unix-listen PATH | unix-send PATH PORT MESSAGE...\n");
	return 2;
}
