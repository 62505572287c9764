#include "vhost/vhost_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "vmm/base/fd.h"

static enum vhost_verdict verdict_of_open(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return VHOST_NO_NODE;
	case ENODEV:
	case ENXIO:
		return VHOST_NO_DRIVER;
	case EACCES:
	case EPERM:
		return VHOST_NOT_PERMITTED;
	case EBUSY:
		return VHOST_BUSY;
	default:
		return VHOST_BROKEN;
	}
}

void vhost_probe(struct vhost_probe *out, const char *path)
{
	uint64_t features = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	*out = (struct vhost_probe){ .verdict = VHOST_WORKS };
	if (fd < 0) {
		out->err = errno;
		out->verdict = verdict_of_open(out->err);
		return;
	}
	if (ioctl(fd, VHOST_GET_FEATURES, &features) < 0) {
		out->err = errno;
		out->verdict = VHOST_BROKEN;
	} else {
		out->features = features;
	}
	/* Newer than vhost itself, and not known to all its devices. */
	if (out->verdict == VHOST_WORKS && ioctl(fd, VHOST_GET_BACKEND_FEATURES, &features) == 0) {
		out->has_backend_features = true;
		out->backend_features = features;
	}
	fd_close(&fd);
}
