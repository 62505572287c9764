/*
 * The forwards of a user-mode network as people write them:
 *
 *   tcp:8080:80                      port 8080 of the host's 127.0.0.1 to port 80 of the guest
 *   udp:0.0.0.0:5353:53              of all the host's addresses
 *   tcp:[::1]:8080:80                over IPv6, on both sides
 *   tcp:127.0.0.1:8080:10.0.2.20:80  to another address than the one that DHCP gives out
 */
#ifndef DEVICES_NET_FORWARD_H
#define DEVICES_NET_FORWARD_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "vmm/base/util.h"

union net_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Both ends are of one family.  An unspecified guest address is that of the guest. */
struct net_forward {
	bool is_udp;
	union net_address host, guest;
	socklen_t len;			/* of either */
};

/*
 * Read one.  Pure; any thread.  Returns 0, or -EINVAL with an error chain that names what is wrong
 * and how to write it.
 */
MUST_USE int net_forward_parse(struct net_forward *out, const char *text);

#endif
