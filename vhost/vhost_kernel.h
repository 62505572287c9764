/* The kernel's vhost: a node of /dev, asked by ioctl(2). */
#ifndef VHOST_VHOST_KERNEL_H
#define VHOST_VHOST_KERNEL_H

#include "vhost/vhost_ops.h"

/*
 * Open 'path', a vhost node.
 *
 * Returns 0 and an owned node (ops->close ends it); -errno with an error chain: what is wrong with
 * the node, and in the hint what to do about it.
 */
MUST_USE int vhost_kernel_open(struct vhost_node **out, const char *path);

/*
 * The same for a node that somebody else opened: 'fd' is consumed, also on failure, and becomes
 * non-blocking.  -EINVAL: it is none.
 */
MUST_USE int vhost_kernel_adopt(struct vhost_node **out, int fd);

/* The requests that a running VM makes, for the sandbox. */
extern const unsigned long vhost_requests_running[];
extern const unsigned vhost_requests_running_len;

#endif
