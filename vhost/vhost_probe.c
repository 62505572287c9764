#include "vhost/vhost_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdio.h>
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

/* Append "NUMBER NAME", or the number alone where 'name' is NULL. */
static unsigned bit_print(char *buf, unsigned len, unsigned bit, const char *name)
{
	int n = snprintf(buf + len, VHOST_BITS_SIZE - len, "%s%u%s%s", len ? ", " : "", bit,
			 name ? " " : "", name ? name : "");

	return (unsigned)min_u64(len + (unsigned)n, VHOST_BITS_SIZE - 1);
}

const char *vhost_feature_bits(char buf[VHOST_BITS_SIZE], uint64_t features,
			       enum virtio_device_id device)
{
	unsigned len = 0;

	buf[0] = '\0';
	for (unsigned bit = 0; bit < 64; bit++) {
		const struct feature_info *info = feature_info((enum feature_bit)bit, device);
		const char *name = info ? info->name : NULL;

		if (device == VIRTIO_ID_NET && bit == VHOST_NET_F_VIRTIO_NET_HDR)
			name = "VHOST_NET_F_VIRTIO_NET_HDR";
		if (features >> bit & 1)
			len = bit_print(buf, len, bit, name);
	}
	return buf;
}

const char *vhost_backend_bits(char buf[VHOST_BITS_SIZE], uint64_t features)
{
	static const char *const name[64] = {
		[VHOST_BACKEND_F_IOTLB_MSG_V2] = "IOTLB_MSG_V2",
		[VHOST_BACKEND_F_IOTLB_BATCH] = "IOTLB_BATCH",
		[VHOST_BACKEND_F_IOTLB_ASID] = "IOTLB_ASID",
		[4] = "SUSPEND",
		[5] = "RESUME",
		[6] = "ENABLE_AFTER_DRIVER_OK",
	};
	unsigned len = 0;

	buf[0] = '\0';
	for (unsigned bit = 0; bit < 64; bit++)
		if (features >> bit & 1)
			len = bit_print(buf, len, bit, name[bit]);
	return buf;
}
