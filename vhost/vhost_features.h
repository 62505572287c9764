/*
 * Which feature bits vhost serves for each type of device, and what it is told: an
 * allow-list per bit, for each bit has an owner of its own (N12, N13).  Pure.
 *
 *   served   in the list and in VHOST_GET_FEATURES.  A bit that a newer kernel starts to advertise
 *            is not served before it has a row here, and a test (N18).
 *   told     accepted by the driver, served, and meant for vhost.  What others answer for (MAC,
 *            STATUS, CSUM, MQ ...: the model, the tap) is not, and three numbers mean something
 *            else to vhost than to a driver:
 *              26  VHOST_F_LOG_ALL: only while a dirty bitmap is kept
 *              27  VIRTIO_F_ANY_LAYOUT for a legacy driver; "make up the header" for vhost-net.
 *                  The tap has it, so that is never told.
 *              33  VIRTIO_F_ACCESS_PLATFORM, "use the DMA API", for a driver; "translate, and ask
 *                  me for each address" for vhost.  Told only behind our IOMMU (N15).
 */
#ifndef VHOST_VHOST_FEATURES_H
#define VHOST_VHOST_FEATURES_H

#include "virtio/features.h"

/*
 * Which vhost: the values can be added.  Those of another process (vhost_user.h) have the whole
 * device, not its rings alone, and are told of the bits of its type, too.
 */
enum vhost_kind {
	VHOST_KIND_NET = 1, VHOST_KIND_VSOCK = 2, VHOST_KIND_SCSI = 4,
	VHOST_KIND_USER_BLK = 8, VHOST_KIND_USER_FS = 16,
};

/* Is there a row for 'bit' here? */
bool vhost_features_knows(enum vhost_kind kind, unsigned bit);

/* What it serves of 'kernel', the answer to VHOST_GET_FEATURES. */
struct features vhost_features_served(enum vhost_kind kind, struct features kernel);

/* What is between us and vhost when it starts. */
struct vhost_terms {
	bool translates;		/* our IOMMU is in front, and misses are answered */
	bool logs;			/* a dirty bitmap is kept */
};

/* What it is told of 'accepted'. */
struct features vhost_features_told(enum vhost_kind kind, struct features kernel,
				    struct features accepted, struct vhost_terms terms);

/* Why vhost is not told of 'bit', which the driver took; a constant.  NULL: it is told. */
const char *vhost_features_untold(enum vhost_kind kind, struct features kernel, unsigned bit,
				  struct vhost_terms terms);

/*
 * May vhost be told this?  What is asserted right before VHOST_SET_FEATURES: none of the bits whose
 * number means something else, unless that is meant.
 */
bool vhost_features_are_safe(enum vhost_kind kind, struct features told, struct vhost_terms terms);

/* What of 'kernel', the answer to VHOST_GET_BACKEND_FEATURES, we know and ask for. */
uint64_t vhost_backend_features_known(uint64_t kernel);

#endif
