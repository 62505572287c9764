/* A pcap file of what goes through an interface, both ways, without the virtio header. */
#ifndef DEVICES_NET_CAPTURE_H
#define DEVICES_NET_CAPTURE_H

#include <sys/uio.h>

#include "vmm/base/util.h"

struct net_capture;

/*
 * Create the file, or empty it; it is locked as long as it is written.  Control path, before the
 * sandbox.
 *
 * Returns 0 and an owned capture; -EINVAL (not a regular file), -EWOULDBLOCK (another interface
 * captures to it), ... with an error chain.
 */
MUST_USE int net_capture_create(struct net_capture **out, const char *path);

/* NULL is fine. */
void net_capture_destroy(struct net_capture *capture);

/*
 * Take 'len' bytes at 'offset' of 'iov': one frame, Ethernet header first.  Written when it
 * returns, by one system call; when that fails the capture ends with one message.  Any thread, at
 * any time.
 */
void net_capture_frame(struct net_capture *capture, const struct iovec *iov, unsigned n,
		       size_t offset, size_t len);

#endif
