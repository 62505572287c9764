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

#include "devices/unix_listener.h"
#include "devices/vsock_packet.h"
#include "vmm/base/util.h"

/* The longest PATH; a socket's address has room for 107 bytes. */
enum { VSOCK_PATH_MAX = 96 };

/*
 * Listen where clients for sockets of 'type' come to.  Returns as unix_listener_open.
 */
MUST_USE int vsock_unix_listen(struct unix_listener *l, const char *path, enum vsock_type type);

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
