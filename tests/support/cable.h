/*
 * A tap in a network of the test's own, and a socket at its other end.  Nobody else speaks there: the
 * host's own IPv6 is off.
 */
#ifndef SUPPORT_CABLE_H
#define SUPPORT_CABLE_H

enum { CABLE_NET_HEADER = 12 };

/*
 * Both descriptors are the caller's; 'flags' are of the socket: 0 or SOCK_NONBLOCK.  The calling thread
 * is in another network namespace afterwards.
 */
void cable_create(int *tap, int *wire, int flags);

#endif
