#include "devices/net_capture.h"

#include <errno.h>

#include "vmm/base/error.h"

int net_capture_create(struct net_capture **out, const char *path)
{
	*out = NULL;
	return error_set(ENOTSUP, "capture packets to '%s'", path);
}

void net_capture_destroy(struct net_capture *capture)
{
	(void)capture;
}

void net_capture_frame(struct net_capture *capture, const struct iovec *iov, unsigned n,
		       size_t offset, size_t len)
{
	(void)capture;
	(void)iov;
	(void)n;
	(void)offset;
	(void)len;
}
