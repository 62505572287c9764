#include "vhost/vhost_probe.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum vhost_verdict vhost_verdict_of(int err)
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

/* "vhost_net" for "/dev/vhost-net", "vhost_vdpa" for "/dev/vhost-vdpa-0". */
static void name_module(char buf[32], const char *path)
{
	memset(buf, 0, 32);
	const char *base = strrchr(path, '/');
	unsigned n = 0;

	base = base ? base + 1 : path;
	for (const char *p = base; *p && n < 31; p++) {
		if (*p == '-' && (p[1] < 'a' || p[1] > 'z'))
			break;
		buf[n++] = *p == '-' ? '_' : *p;
	}
	buf[n] = '\0';
}

const char *vhost_advice(char buf[160], enum vhost_verdict verdict, const char *path)
{
	char module[32], option[32];

	name_module(module, path);
	for (unsigned i = 0; i < sizeof(option); i++)
		option[i] = (char)toupper((unsigned char)module[i]);
	switch (verdict) {
	case VHOST_WORKS:
		buf[0] = '\0';
		break;
	case VHOST_NO_NODE:
		snprintf(buf, 160, "sudo modprobe %s; in a container, pass --device %.70s", module,
			 path);
		break;
	case VHOST_NO_DRIVER:
		/* VMware's module has the only bus for sockets, if it was first. */
		if (!strcmp(module, "vhost_vsock"))
			snprintf(buf, 160, "sudo modprobe vhost_vsock; if that is busy, sudo "
					   "modprobe -r vmw_vsock_vmci_transport first");
		else
			snprintf(buf, 160, "sudo modprobe %s; if there is no such module, the "
					   "kernel needs CONFIG_%s", module, option);
		break;
	case VHOST_NOT_PERMITTED:
		snprintf(buf, 160, "sudo setfacl -m u:$USER:rw %.100s", path);
		break;
	case VHOST_BUSY:
		snprintf(buf, 160, "end the process that uses it (sudo fuser -v %.100s)", path);
		break;
	case VHOST_BROKEN:
		snprintf(buf, 160, "sudo modprobe -r %s; sudo modprobe %s", module, module);
		break;
	}
	return buf;
}

int vhost_open_failed(int err, const char *path)
{
	enum vhost_verdict verdict = vhost_verdict_of(err);
	char advice[160];

	switch (verdict) {
	case VHOST_NO_NODE:
		error_set(err, "open %s: the host does not have it, or this container was not "
			       "given it", path);
		break;
	case VHOST_NO_DRIVER:
		error_set(err, "open %s: the node is there, but no driver is behind it", path);
		break;
	case VHOST_NOT_PERMITTED:
		error_set(err, "open %s: it may not be opened by this user", path);
		break;
	case VHOST_BUSY:
		error_set(err, "open %s: another process has it", path);
		break;
	case VHOST_WORKS:
	case VHOST_BROKEN:
		error_set(err, "open %s", path);
		break;
	}
	error_hint("%s", vhost_advice(advice, verdict, path));
	return -err;
}

void vhost_probe(struct vhost_probe *out, const char *path)
{
	uint64_t features = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	*out = (struct vhost_probe){ .verdict = VHOST_WORKS };
	if (fd < 0) {
		out->err = errno;
		out->verdict = vhost_verdict_of(out->err);
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
