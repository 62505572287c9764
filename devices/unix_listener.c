#include "devices/unix_listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { BACKLOG = 64, SOCKET_MODE = 0600 };

int unix_socket_open(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int unix_socket_connect(int fd, const struct sockaddr_un *address)
{
	int r;

	do
		r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int socket_bind(int fd, const struct sockaddr_un *address)
{
	return bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
}

/* Somebody bound the address.  Returns 0 when the file was a leftover and is gone. */
static int remove_stale(const struct sockaddr_un *address, int type, const char *setting)
{
	struct stat st;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : error_set(errno, "look at '%s'", address->sun_path);
	if (!S_ISSOCK(st.st_mode)) {
		error_set(EEXIST, "'%s' is there and is not a socket", address->sun_path);
		error_hint("it is left alone: give '%s' another name", setting);
		return -EEXIST;
	}
	int fd = unix_socket_open(type);
	if (fd < 0)
		return error_set(-fd, "create a socket");
	int r = unix_socket_connect(fd, address);
	fd_close(&fd);
	if (r == -ENOENT)
		return 0;
	if (r == -EACCES || r == -EPERM) {
		error_set(-r, "'%s' is there, a socket of another user", address->sun_path);
		error_hint("give '%s' another name", setting);
		return r;
	}
	if (r != -ECONNREFUSED) {
		error_set(EADDRINUSE, "somebody else listens at '%s'", address->sun_path);
		error_hint("does another VM use this socket? Give each its own '%s'", setting);
		return -EADDRINUSE;
	}
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return error_set(errno, "remove '%s', at which nobody listens any more",
				 address->sun_path);
	return 0;
}

static int bind_and_listen(struct unix_listener *l, const struct sockaddr_un *address,
			   const char *setting)
{
	struct stat st;
	int r;

	/* The file takes its mode over from the socket: there is no moment when others may. */
	if (fchmod(l->fd, SOCKET_MODE) < 0)
		return error_set(errno, "make a socket that is its owner's alone");
	r = socket_bind(l->fd, address);
	if (r == -EADDRINUSE) {
		r = remove_stale(address, l->type, setting);
		if (r < 0)
			return r;
		r = socket_bind(l->fd, address);
	}
	if (r < 0)
		return error_set(-r, "bind a socket to '%s'", address->sun_path);
	snprintf(l->path, sizeof(l->path), "%s", address->sun_path);
	if (lstat(l->path, &st) < 0)
		return error_set(errno, "look at '%s'", l->path);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	if (listen(l->fd, BACKLOG) < 0)
		return error_set(errno, "listen at '%s'", l->path);
	return 0;
}

int unix_listener_open(struct unix_listener *l, const char *path, int type, const char *setting)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	*l = (struct unix_listener)UNIX_LISTENER_INIT;
	if (strlen(path) == 0 || strlen(path) >= sizeof(address.sun_path))
		return error_set(ENAMETOOLONG, "the path of a socket has 1 to %zu characters: '%s'",
				 sizeof(address.sun_path) - 1, path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	r = unix_socket_open(type);
	if (r < 0)
		return error_set(-r, "create a socket");
	l->fd = r;
	l->type = type;
	r = bind_and_listen(l, &address, setting);
	if (r < 0)
		unix_listener_close(l);
	return r;
}

void unix_listener_close(struct unix_listener *l)
{
	struct stat st;

	/* Before it is closed: while it is bound nobody else gets its inode. */
	if (l->path[0] && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	l->path[0] = '\0';
	fd_close(&l->fd);
}

int unix_listener_accept(const struct unix_listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		return fd;
	/* One that went away, or a signal: the listener is looked at again if there are more. */
	return errno == EINTR || errno == ECONNABORTED ? -EAGAIN : -errno;
}
