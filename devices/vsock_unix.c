#include "devices/vsock_unix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static int socket_type(enum vsock_type type)
{
	return type == VSOCK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
}

int vsock_unix_listen(struct unix_listener *l, const char *path, enum vsock_type type)
{
	char full[VSOCK_PATH_MAX + 12];

	*l = (struct unix_listener)UNIX_LISTENER_INIT;
	if (strlen(path) == 0 || strlen(path) > VSOCK_PATH_MAX)
		return error_set(ENAMETOOLONG,
				 "the path of a vsock's socket has 1 to %d characters: '%s'",
				 VSOCK_PATH_MAX, path);
	snprintf(full, sizeof(full), "%.*s%s", VSOCK_PATH_MAX, path,
		 type == VSOCK_STREAM ? "" : ".seqpacket");
	return unix_listener_open(l, full, socket_type(type), "vsock.socket");
}

int vsock_unix_connect(const char *path, uint32_t port, enum vsock_type type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = unix_socket_open(socket_type(type));

	if (fd < 0)
		return fd;
	snprintf(address.sun_path, sizeof(address.sun_path), "%.*s_%u", VSOCK_PATH_MAX, path,
		 port);
	int r = unix_socket_connect(fd, &address);
	if (r < 0)
		fd_close(&fd);
	return r < 0 ? r : fd;
}

int vsock_unix_mark_messages(int fd)
{
	const int on = 1;

	/* Credentials, of which nothing is used but that they come with each message. */
	return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? -errno : 0;
}
