/*
 * vsock in this process: between the packets of a guest and the Unix sockets of the host
 * (vsock_unix.h).  It knows nothing of rings: whoever has them hands packets in (take) and asks for
 * packets when there is room for one (give).
 *
 *   vsock_hub.c    the table of connections, listeners, the clock
 *   vsock_guest.c  what a packet of the guest means, and which one it gets next
 *   vsock_conn.c   a connection's socket: reading, writing, the two halves of an end
 *   vsock_hello.c  how a program of the host asks for a port of the guest
 *
 * Bounded: connections, those that are not settled yet, bytes in each and in all, replies to what
 * belongs to no connection.  A connection whose socket takes nothing waits for itself alone: the
 * guest has no credit to send more, and if it does all the same the connection is reset.
 *
 * Owner loop, except create and destroy.  virtio-v1.4 5.10.6 "Device Operation"
 */
#ifndef DEVICES_VSOCK_HUB_H
#define DEVICES_VSOCK_HUB_H

#include <sys/uio.h>

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

struct vsock_hub;

enum {
	VSOCK_MAX_CONNS = 1024,		/* of all kinds together */
	VSOCK_MAX_HELLOS = 32,		/* clients that have not said what they want */
	VSOCK_MAX_REPLIES = 128,	/* resets that wait for a buffer of the guest's */
	VSOCK_MAX_PAYLOAD = 64 << 10,	/* of one packet to the guest */
	VSOCK_MAX_IOV = 1024,
	VSOCK_MAX_MESSAGE = 128 << 10,	/* SEQPACKET; as VSOCK_BUF_ALLOC says for the guest's */
};

struct vsock_hub_config {
	const char *name;		/* of the device, for messages; keeps */
	const char *path;		/* VSOCK_PATH_MAX at most; copied */
	uint64_t cid;			/* the guest's */
	struct event_loop *loop;	/* keeps */
	/* There is something to give, or to take again.  Owner loop; not from within a call. */
	void (*ready)(void *arg);
	void *arg;
};

struct vsock_hub_stats {
	unsigned conns, hellos, replies;	/* now */
	uint64_t buffered;			/* bytes allocated for what waits */
};

/* Bind the sockets.  Returns 0 and an owned hub, or -errno with an error chain.  Control path. */
MUST_USE int vsock_hub_create(struct vsock_hub **out, const struct vsock_hub_config *config);
/* Stopped, or never started.  NULL is fine.  Control path. */
void vsock_hub_destroy(struct vsock_hub *hub);

/*
 * Let clients in and connections begin.  'types' are bits of 1 << enum vsock_type: what the
 * driver has.  Returns 0 or -errno with an error chain.
 */
MUST_USE int vsock_hub_start(struct vsock_hub *hub, unsigned types);
/* Close all connections.  What the host's sockets have room for is still delivered. */
void vsock_hub_stop(struct vsock_hub *hub);
/* Close all connections and go on without: the guest was told in another way. */
void vsock_hub_forget(struct vsock_hub *hub);

/* May another packet be taken?  Not while too many replies wait for the guest to read them. */
bool vsock_hub_has_room(const struct vsock_hub *hub);
/* A packet of the guest's, 'len' bytes in all.  Only while there is room. */
void vsock_hub_take(struct vsock_hub *hub, const struct iovec *iov, unsigned n, size_t len);

/* May there be something to give? */
bool vsock_hub_has(const struct vsock_hub *hub);
/*
 * Write the next packet for the guest into 'iov': 'len' bytes, more than a header.  Returns its
 * length; 0: nothing was there after all.
 */
size_t vsock_hub_give(struct vsock_hub *hub, const struct iovec *iov, unsigned n, size_t len);

struct vsock_hub_stats vsock_hub_stats(const struct vsock_hub *hub);

#endif
