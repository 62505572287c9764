/*
 * The Unix sockets behind a vsock device.  With PATH from the configuration:
 *
 *   PATH             the way to the guest's ports, for stream sockets: a program connects, writes
 *                    "CONNECT 1234\n" and reads "OK 1073741824\n" (the port that it has on the
 *                    host's side), or the end, if nobody in the guest listens
 *   PATH.seqpacket   the same for SOCK_SEQPACKET; the two lines are messages
 *   PATH_1234        where a program of the host listens to be reached by the guest at port 1234
 *                    of the host: SOCK_STREAM or SOCK_SEQPACKET, as the guest's socket is
 *
 * Nothing here waits.  What needs a hint for people sets an error chain; what a guest or a peer
 * causes does not.
 */
#ifndef DEVICES_VSOCK_UNIX_H
#define DEVICES_VSOCK_UNIX_H

#include <sys/types.h>

#include "devices/vsock_packet.h"
#include "vmm/base/util.h"

/* The longest PATH; a socket's address has room for 107 bytes. */
enum { VSOCK_PATH_MAX = 96 };

struct vsock_listener {
	int fd;
	char path[VSOCK_PATH_MAX + 12];	/* "": not bound */
	dev_t dev;			/* which file that is */
	ino_t ino;
};

#define VSOCK_LISTENER_INIT { .fd = FD_NONE }

/*
 * Listen where clients for sockets of 'type' come to.  The file is its owner's alone (0600).  One
 * that was left behind is replaced; -EADDRINUSE if somebody listens there, -EEXIST if it is no
 * socket, -ENAMETOOLONG, ... with an error chain.
 */
MUST_USE int vsock_unix_listen(struct vsock_listener *l, const char *path, enum vsock_type type);

/* Close it and remove the file, unless another one is there by now. */
void vsock_unix_unlisten(struct vsock_listener *l);

/* The next client: a non-blocking owned fd, -EAGAIN if there is none, or another -errno. */
MUST_USE int vsock_unix_accept(const struct vsock_listener *l);

/*
 * Connect to the program that listens for 'port'.  Returns a non-blocking owned fd; -EAGAIN if the
 * program has too many clients that wait, -ECONNREFUSED, -ENOENT, -EPROTOTYPE, ...
 */
MUST_USE int vsock_unix_connect(const char *path, uint32_t port, enum vsock_type type);

/*
 * Let each message that is received bring something beside it: a message of no bytes is then told
 * from the end.
 */
MUST_USE int vsock_unix_mark_messages(int fd);

#endif
