/* A Unix socket at a path of the user's, where clients come to.  Nothing here waits. */
#ifndef DEVICES_UNIX_LISTENER_H
#define DEVICES_UNIX_LISTENER_H

#include <sys/types.h>

#include "vmm/base/fd.h"
#include "vmm/base/util.h"

struct sockaddr_un;

enum { UNIX_PATH_MAX_LEN = 107 };

struct unix_listener {
	int fd;
	int type;			/* SOCK_STREAM, SOCK_SEQPACKET */
	char path[UNIX_PATH_MAX_LEN + 1];	/* "": not bound */
	dev_t dev;			/* which file that is */
	ino_t ino;
};

#define UNIX_LISTENER_INIT { .fd = FD_NONE }

/*
 * Listen for sockets of 'type'.  The file is its owner's alone (0600).  One that was left behind is
 * replaced; -EADDRINUSE if somebody listens there, -EEXIST if it is no socket, -ENAMETOOLONG, ...
 * with an error chain that names 'setting' as what to change.
 */
MUST_USE int unix_listener_open(struct unix_listener *l, const char *path, int type,
				const char *setting);

/* Close it and remove the file, unless another one is there by now. */
void unix_listener_close(struct unix_listener *l);

/* The next client: a non-blocking owned fd, -EAGAIN if there is none, or another -errno. */
MUST_USE int unix_listener_accept(const struct unix_listener *l);

/* A non-blocking owned fd / 0, or -errno without an error chain. */
MUST_USE int unix_socket_open(int type);
MUST_USE int unix_socket_connect(int fd, const struct sockaddr_un *address);

#endif
