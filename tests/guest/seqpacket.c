/*
 * Messages over AF_VSOCK, which keep their boundaries (SOCK_SEQPACKET), as systemd's notify protocol
 * sends them.  Usage: seqpacket listen PORT: print what comes, one per line, until the other end closes;
 * seqpacket send CID PORT MESSAGE...
 */
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int failed(const char *what)
{
	perror(what);
	return 1;
}

static int listen_at(unsigned port)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port,
	};
	char buf[65536];
	int fd = socket(AF_VSOCK, SOCK_SEQPACKET, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		return failed("listen");
	puts("listening");
	fflush(stdout);
	int peer = accept(fd, NULL, NULL);

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

static int send_to(unsigned cid, unsigned port, char **message)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_SEQPACKET, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return failed("connect");
	for (; *message; message++)
		if (send(fd, *message, strlen(*message), MSG_EOR) < 0)
			return failed("send");
	return close(fd) < 0 ? failed("close") : 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "listen"))
		return listen_at((unsigned)atoi(argv[2]));
	if (argc > 4 && !strcmp(argv[1], "send"))
		return send_to((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), argv + 4);
	fprintf(stderr, "usage: seqpacket listen PORT | send CID PORT MESSAGE...\n");
	return 2;
}
