/*
 * The other end of a network interface's cable: a tap of the host (tap.c) or the user-mode network
 * (user_net.c).  The model moves frames between rings and the peer; a frame is always preceded by
 * a virtio-net header of the length that net_peer_ops.start was told (little-endian fields).
 *
 * Calls that say "owner loop" come from the loop that owns the queue pair; all others are control
 * path, machine lock held.
 */
#ifndef DEVICES_NET_PEER_H
#define DEVICES_NET_PEER_H

#include <sys/uio.h>

#include "virtio/features.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

struct net_peer;
struct sock_filter;

/* A frame that is sent or received together with others. */
struct net_peer_frame {
	const struct iovec *iov;	/* header first; as it is until the call returns */
	unsigned n;
};
enum { NET_PEER_BATCH = 32 };

/* What start is told: all of it follows from the features that the driver accepted. */
struct net_peer_start {
	unsigned header_len;		/* 10, 12 or 20 */
	unsigned n_pairs;		/* queue pairs that may be used, up to n_pairs_max */
	struct event_loop *const *loop;	/* n_pairs; borrowed: who owns pair i */
	bool resume;			/* what waits in the host is for this driver */
	/*
	 * Owner loop: receive may find something again / send may be tried again.  NULL, both:
	 * somebody else moves the frames (vhost_fd), and only the peer's end is of interest.
	 */
	void (*readable)(void *arg, unsigned pair);
	void (*writable)(void *arg, unsigned pair);
	/* Owner loop: the peer is gone, seen without a send or receive. */
	void (*lost)(void *arg, unsigned pair);
	void *arg;
};

struct net_peer_ops {
	/*
	 * Begin to move frames; nothing is lost that arrives from now on (up to what the host
	 * buffers).  Returns 0 or -errno with an error chain: nothing has started then.
	 */
	int (*start)(struct net_peer *peer, const struct net_peer_start *start);
	/* No 'readable' or 'writable' after return.  Offloads are off.  Fine when stopped. */
	void (*stop)(struct net_peer *peer);
	/*
	 * What the driver takes in received frames (GUEST_CSUM, GUEST_TSO4, ... of 'features'):
	 * frames that need more are finished before they are handed over.  After start and whenever
	 * the driver changes it (CTRL_GUEST_OFFLOADS).  Returns 0 or -errno with an error chain.
	 */
	int (*set_offloads)(struct net_peer *peer, struct features features);
	/*
	 * How many pairs the driver uses now (MQ), 1 to n_pairs; the others receive nothing.
	 * Returns 0, or -errno with an error chain: nothing has changed then.
	 */
	int (*set_pairs)(struct net_peer *peer, unsigned n);
	/*
	 * Optional: drop what the program of the classic packet filter ('n' instructions, borrowed)
	 * returns 0 for, before anybody can receive it; the frame begins with its Ethernet header.
	 * n of 0: drop nothing.  Returns 0 or -errno with an error chain.
	 */
	int (*set_filter)(struct net_peer *peer, const struct sock_filter *prog, unsigned n);
	/*
	 * Owner loop.  Send one frame, header first.  Returns 0: it was taken, or dropped as not
	 * deliverable; -EAGAIN: 'writable' will be called; another -errno: the peer is gone (a tap
	 * that was deleted).
	 */
	int (*send)(struct net_peer *peer, unsigned pair, const struct iovec *iov, unsigned n);
	/*
	 * Owner loop.  Optional: send 'n' frames (up to NET_PEER_BATCH) in their order, each as
	 * 'send' does.  Returns how many of them it said 0 for; fewer than 'n': -EAGAIN for the
	 * next; or -errno: the peer is gone.
	 */
	int (*send_many)(struct net_peer *peer, unsigned pair, const struct net_peer_frame *frame,
			 unsigned n);
	/*
	 * Owner loop.  Receive one frame, header first, into 'iov'.  Returns its length with the
	 * header; 0: nothing is there, 'readable' will be called; -EMSGSIZE: it did not fit and is
	 * lost; another -errno: the peer is gone.
	 */
	ssize_t (*receive)(struct net_peer *peer, unsigned pair, const struct iovec *iov,
			   unsigned n);
	/*
	 * Owner loop.  Optional: receive up to 'n' frames (NET_PEER_BATCH), one after the other,
	 * into 'frame'; each has its result, as of 'receive'.  There may be one behind a 0.
	 */
	void (*receive_many)(struct net_peer *peer, unsigned pair,
			     const struct net_peer_frame *frame, ssize_t *result, unsigned n);
	/*
	 * Owner loop.  Optional: call 'readable' (only) when there is something to receive: off
	 * while the ring has no buffers.  Without it the model just does not look.
	 */
	void (*want_readable)(struct net_peer *peer, unsigned pair, bool want);
	/* Optional: the cable is plugged in or out.  Frames are stopped by the model, too. */
	void (*set_link)(struct net_peer *peer, bool up);
	/* The descriptor that kernel vhost takes over for pair i, or FD_NONE.  May be NULL. */
	int (*vhost_fd)(struct net_peer *peer, unsigned pair);
	void (*destroy)(struct net_peer *peer);
};

struct net_peer {
	const struct net_peer_ops *ops;
	/*
	 * Which offload bits of the device type it can serve: CSUM, HOST_TSO4, GUEST_TSO4, ...;
	 * the model offers no others.
	 */
	struct features offloads;
	unsigned n_pairs_max;
	bool is_vhost_capable;
	char describe[80];		/* "tap vt-net0", "user network": for reports */
};

struct net_tap_config {
	const char *name;		/* of the device, for messages */
	const char *ifname;		/* made if it does not exist and the right is there */
	int fd;				/* an open tap (consumed), or FD_NONE */
	unsigned n_pairs;
	bool only_look;			/* at what it could do: nothing is made or left behind */
};

/*
 * Open or create the tap, or judge the one that was given: each way in which it does not fit
 * (multi_queue, vnet_hdr, packet information, no rights, busy) is a sentence of its own with the
 * fix.  Returns 0 and an owned peer, or -errno with an error chain.
 */
MUST_USE int net_tap_create(struct net_peer **out, const struct net_tap_config *config);

/* The name of the interface behind 'fd', an open tap; empty if it is none.  Any thread. */
enum { NET_TAP_NAME_SIZE = 16 };
void net_tap_name(int fd, char name[NET_TAP_NAME_SIZE]);

/*
 * Does this host have taps for this user, and may he make one ('may_make'; it is gone at once)?
 * Returns 0, or the -errno of opening /dev/net/tun with the fix in 'fix', which is never NULL then;
 * no error chain.
 */
MUST_USE int net_tap_probe(bool *may_make, const char **fix);

/* The ioctl requests of a tap that runs, for the sandbox. */
extern const unsigned long net_tap_requests[];
extern const unsigned net_tap_requests_len;

struct net_user_config {
	const char *name;
	const char *const *forward;	/* "tcp:8080:80", "udp:127.0.0.1:5353:53"; n_forwards */
	unsigned n_forwards;
	bool restrict_guest, ipv6;
	uint16_t mtu;			/* 0: 1500 */
	bool only_look;			/* at what it could do: nothing is loaded or bound */
};

/*
 * A network without any privilege: DHCP, DNS and a router that only this process knows.  One pair.
 * Forwards are bound at once; from start on all of it runs on the loop of pair 0, which must be the
 * same for all user networks of a process (libslirp has variables that they share).
 *
 * Returns 0 and an owned peer; -ENOTSUP when built without libslirp, -ENOENT when it is not
 * installed; -EINVAL (a forward, the MTU), -EADDRINUSE, ... with an error chain.
 */
MUST_USE int net_user_create(struct net_peer **out, const struct net_user_config *config);

#endif
