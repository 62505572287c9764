#include "vhost/vhost_features.h"

#include "vhost/vhost_ops.h"

enum {
	NET = VHOST_KIND_NET,
	VSOCK = VHOST_KIND_VSOCK,
	SCSI = VHOST_KIND_SCSI,
	BLK = VHOST_KIND_USER_BLK,
	FS = VHOST_KIND_USER_FS,
	USER = BLK | FS,
	ALL = NET | VSOCK | SCSI | USER,
	KERNEL = NET | VSOCK | SCSI,
};

/*
 * Bits, by who serves them if his kernel does, and who of these is told when a
 * driver takes one.  No row: not served.
 */
static const struct row {
	uint8_t bit;
	uint8_t served, told;
} rows[] = {
	{ VIRTIO_F_ANY_LAYOUT, ALL, VSOCK | SCSI | USER },
	{ VIRTIO_F_INDIRECT_DESC, ALL, ALL },
	{ VIRTIO_F_EVENT_IDX, ALL, ALL },
	{ VIRTIO_F_VERSION_1, ALL, ALL },
	/* Of another process we do not serve the misses. */
	{ VIRTIO_F_ACCESS_PLATFORM, KERNEL, KERNEL },
	/* Nor could we tell where its packed ring stood when it went away. */
	{ VIRTIO_F_RING_PACKED, NET, NET },
	{ VIRTIO_F_IN_ORDER, NET | USER, NET | USER },
	{ VIRTIO_F_RING_RESET, NET | USER, NET | USER },
	{ VIRTIO_NET_F_MRG_RXBUF, NET, NET },
	{ VIRTIO_VSOCK_F_SEQPACKET, VSOCK, VSOCK },
	{ VIRTIO_SCSI_F_HOTPLUG, SCSI, SCSI },
	{ VIRTIO_SCSI_F_T10_PI, SCSI, SCSI },
	{ VIRTIO_BLK_F_SIZE_MAX, BLK, BLK },
	{ VIRTIO_BLK_F_SEG_MAX, BLK, BLK },
	{ VIRTIO_BLK_F_GEOMETRY, BLK, BLK },
	{ VIRTIO_BLK_F_RO, BLK, BLK },
	{ VIRTIO_BLK_F_BLK_SIZE, BLK, BLK },
	{ VIRTIO_BLK_F_FLUSH, BLK, BLK },
	{ VIRTIO_BLK_F_TOPOLOGY, BLK, BLK },
	{ VIRTIO_BLK_F_CONFIG_WCE, BLK, BLK },
	{ VIRTIO_BLK_F_MQ, BLK, BLK },
	{ VIRTIO_BLK_F_DISCARD, BLK, BLK },
	{ VIRTIO_BLK_F_WRITE_ZEROES, BLK, BLK },
};

/* Device bits of different types share numbers; each type's own has a row with it. */
static const struct row *find_row(enum vhost_kind kind, unsigned bit)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].bit == bit && rows[i].served & kind)
			return &rows[i];
	return NULL;
}

bool vhost_features_knows(enum vhost_kind kind, unsigned bit)
{
	return find_row(kind, bit) != NULL;
}

struct features vhost_features_served(enum vhost_kind kind, struct features kernel)
{
	struct features f = FEATURES_EMPTY;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].served & kind && features_has(&kernel, rows[i].bit))
			features_add(&f, rows[i].bit);
	return f;
}

const char *vhost_features_untold(enum vhost_kind kind, struct features kernel, unsigned bit,
				  struct vhost_terms terms)
{
	const struct row *row = find_row(kind, bit);

	if (!row)
		return "others answer for it";
	if (bit == VIRTIO_F_ACCESS_PLATFORM && !terms.translates)
		return "vhost: no IOMMU in front";
	if (!(row->told & kind))
		return "vhost: means another thing there";
	return features_has(&kernel, bit) ? NULL : "vhost: not in its features";
}

struct features vhost_features_told(enum vhost_kind kind, struct features kernel,
				    struct features accepted, struct vhost_terms terms)
{
	struct features f = FEATURES_EMPTY;

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		if (features_has(&accepted, bit) &&
		    !vhost_features_untold(kind, kernel, bit, terms))
			features_add(&f, bit);
	if (terms.logs)
		features_add(&f, VHOST_F_LOG_ALL);
	return f;
}

bool vhost_features_are_safe(enum vhost_kind kind, struct features told, struct vhost_terms terms)
{
	if (features_has(&told, VIRTIO_F_ACCESS_PLATFORM) != terms.translates)
		return false;
	if (features_has(&told, VHOST_F_LOG_ALL) != terms.logs)
		return false;
	if (kind == VHOST_KIND_NET && features_has(&told, VIRTIO_F_ANY_LAYOUT))
		return false;
	return !features_has(&told, VHOST_USER_F_PROTOCOL_FEATURES);
}

uint64_t vhost_backend_features_known(uint64_t kernel)
{
	/* ASID belongs to vDPA: a kernel vhost of one address space has no use for it. */
	uint64_t known = UINT64_C(1) << VHOST_BACKEND_IOTLB_MSG_V2 |
			 UINT64_C(1) << VHOST_BACKEND_IOTLB_BATCH;

	return kernel & known;
}
