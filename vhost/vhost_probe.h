/*
 * Looking at a vhost node of the host: does it open, and what does it offer?  For 'vireo doctor'
 * and for messages; nothing here starts a device.
 */
#ifndef VHOST_VHOST_PROBE_H
#define VHOST_VHOST_PROBE_H

#include "virtio/features.h"
#include "virtio/virtio_ids.h"
#include "vmm/base/util.h"

enum vhost_verdict {
	VHOST_WORKS,
	VHOST_NO_NODE,		/* ENOENT: module not loaded, or not passed into the container */
	VHOST_NO_DRIVER,	/* ENODEV, ENXIO: the node is there, nothing is behind it */
	VHOST_NOT_PERMITTED,	/* EACCES, EPERM */
	VHOST_BUSY,		/* EBUSY: another process has it (vDPA) */
	VHOST_BROKEN,		/* it opens, and does not answer as vhost */
};

struct vhost_probe {
	enum vhost_verdict verdict;
	int err;			/* positive errno, 0 for VHOST_WORKS */
	uint64_t features;		/* VHOST_GET_FEATURES */
	bool has_backend_features;	/* the kernel knows VHOST_GET_BACKEND_FEATURES here */
	uint64_t backend_features;
};

/* What a failed open(2) says. */
enum vhost_verdict vhost_verdict_of(int err);

/* The command that most likely helps: "sudo modprobe vhost_net".  Written to 'buf' and returned. */
const char *vhost_advice(char buf[160], enum vhost_verdict verdict, const char *path);

/* The error chain for a node that did not open, a sentence and a hint per verdict; returns -err. */
int vhost_open_failed(int err, const char *path);

/* Open 'path', ask, close.  Always fills 'out'; no error chain.  Any thread. */
void vhost_probe(struct vhost_probe *out, const char *path);

enum { VHOST_BITS_SIZE = 320 };

/*
 * The set bits as "15 VIRTIO_NET_F_MRG_RXBUF, 26 VHOST_F_LOG_ALL, ...", as VHOST_GET_FEATURES of a
 * vhost for this type of device means them (there 27 of a network is not ANY_LAYOUT); cut off
 * where 'buf' ends.  / The same for VHOST_GET_BACKEND_FEATURES.  Pure.  Return 'buf'.
 */
const char *vhost_feature_bits(char buf[VHOST_BITS_SIZE], uint64_t features,
			       enum virtio_device_id device);
const char *vhost_backend_bits(char buf[VHOST_BITS_SIZE], uint64_t features);

#endif
