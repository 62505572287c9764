/*
 * Feature bits: a set of 128, and the table that knows each bit's number, name, owner, what it
 * needs and since when it exists.  virtio-v1.4 2.2 "Feature Bits", 6 "Reserved Feature Bits".
 */
#ifndef VIRTIO_FEATURES_H
#define VIRTIO_FEATURES_H

#include "vmm/base/util.h"

enum { FEATURES_WORDS = 2, FEATURES_BITS = 128, FEATURE_NONE = 255 };

struct features {
	uint64_t word[FEATURES_WORDS];
};

#define FEATURES_EMPTY ((struct features){ { 0, 0 } })

/* Who answers for a bit (NEGOTIATION.md N12). */
enum feature_owner {
	FEATURE_DEVICE,		/* the device model */
	FEATURE_TRANSPORT,	/* the transport */
	FEATURE_RING,		/* whoever runs the ring or writes the header */
	FEATURE_INTERNAL,	/* between VMM and back end; never shown to a guest (N17) */
};

/* The register interfaces at which a bit means something.  A transitional device has two. */
enum {
	FEATURE_ON_PCI = 1,
	FEATURE_ON_MMIO = 2,
	FEATURE_ON_PCI_LEGACY = 4,
	FEATURE_ON_MMIO_LEGACY = 8,
	FEATURE_MODERN = FEATURE_ON_PCI | FEATURE_ON_MMIO,
	FEATURE_LEGACY = FEATURE_ON_PCI_LEGACY | FEATURE_ON_MMIO_LEGACY,
	FEATURE_ANY = FEATURE_MODERN | FEATURE_LEGACY,
};

/*
 * X(symbol, bit, device id or 0 for all, owner, needs or FEATURE_NONE, first version as 10 * x.y,
 *   interfaces); owner and interfaces without their FEATURE_
 *
 * 'needs' is the one bit without which this one must not be accepted; rules with alternatives are
 * in features.c.  A bit without a row is not offered to anybody (N18).
 */
#define FEATURE_TABLE(X)                                                                           \
	/* virtio-v1.4 6 "Reserved Feature Bits" */                                                \
	X(VIRTIO_F_NOTIFY_ON_EMPTY, 24, 0, RING, FEATURE_NONE, 9, LEGACY)                          \
	X(VIRTIO_F_ANY_LAYOUT, 27, 0, RING, FEATURE_NONE, 9, LEGACY)                               \
	X(VIRTIO_F_INDIRECT_DESC, 28, 0, RING, FEATURE_NONE, 9, ANY)                               \
	X(VIRTIO_F_EVENT_IDX, 29, 0, RING, FEATURE_NONE, 9, ANY)                                   \
	X(VIRTIO_F_VERSION_1, 32, 0, RING, FEATURE_NONE, 10, MODERN)                               \
	X(VIRTIO_F_ACCESS_PLATFORM, 33, 0, RING, FEATURE_NONE, 10, MODERN)                         \
	X(VIRTIO_F_RING_PACKED, 34, 0, RING, FEATURE_NONE, 11, MODERN)                             \
	X(VIRTIO_F_IN_ORDER, 35, 0, RING, FEATURE_NONE, 11, MODERN)                                \
	X(VIRTIO_F_ORDER_PLATFORM, 36, 0, RING, FEATURE_NONE, 11, MODERN)                          \
	X(VIRTIO_F_SR_IOV, 37, 0, TRANSPORT, FEATURE_NONE, 11, ON_PCI)                             \
	X(VIRTIO_F_NOTIFICATION_DATA, 38, 0, TRANSPORT, FEATURE_NONE, 11, MODERN)                  \
	X(VIRTIO_F_NOTIF_CONFIG_DATA, 39, 0, TRANSPORT, FEATURE_NONE, 12, ON_PCI)                  \
	X(VIRTIO_F_RING_RESET, 40, 0, RING, FEATURE_NONE, 12, MODERN)                              \
	X(VIRTIO_F_ADMIN_VQ, 41, 0, TRANSPORT, FEATURE_NONE, 13, ON_PCI)                           \
	X(VIRTIO_F_SUSPEND, 43, 0, RING, FEATURE_NONE, 14, MODERN)                                 \
	/* VMM-internal meanings (linux/vhost.h, the vhost-user protocol) */                       \
	X(VHOST_F_LOG_ALL, 26, 0, INTERNAL, FEATURE_NONE, 0, ANY)                                  \
	X(VHOST_USER_F_PROTOCOL_FEATURES, 30, 0, INTERNAL, FEATURE_NONE, 0, ANY)                   \
	/* virtio-v1.4 5.2.3 "Block Device", Feature bits */                                       \
	X(VIRTIO_BLK_F_BARRIER, 0, 2, DEVICE, FEATURE_NONE, 9, LEGACY)                             \
	X(VIRTIO_BLK_F_SIZE_MAX, 1, 2, DEVICE, FEATURE_NONE, 9, ANY)                               \
	X(VIRTIO_BLK_F_SEG_MAX, 2, 2, DEVICE, FEATURE_NONE, 9, ANY)                                \
	X(VIRTIO_BLK_F_GEOMETRY, 4, 2, DEVICE, FEATURE_NONE, 9, ANY)                               \
	X(VIRTIO_BLK_F_RO, 5, 2, DEVICE, FEATURE_NONE, 9, ANY)                                     \
	X(VIRTIO_BLK_F_BLK_SIZE, 6, 2, DEVICE, FEATURE_NONE, 9, ANY)                               \
	X(VIRTIO_BLK_F_SCSI, 7, 2, DEVICE, FEATURE_NONE, 9, LEGACY)                                \
	X(VIRTIO_BLK_F_FLUSH, 9, 2, DEVICE, FEATURE_NONE, 9, ANY)                                  \
	X(VIRTIO_BLK_F_TOPOLOGY, 10, 2, DEVICE, FEATURE_NONE, 9, ANY)                              \
	X(VIRTIO_BLK_F_CONFIG_WCE, 11, 2, DEVICE, FEATURE_NONE, 9, ANY)                            \
	X(VIRTIO_BLK_F_MQ, 12, 2, DEVICE, FEATURE_NONE, 10, ANY)                                   \
	X(VIRTIO_BLK_F_DISCARD, 13, 2, DEVICE, FEATURE_NONE, 11, ANY)                              \
	X(VIRTIO_BLK_F_WRITE_ZEROES, 14, 2, DEVICE, FEATURE_NONE, 11, ANY)                         \
	X(VIRTIO_BLK_F_LIFETIME, 15, 2, DEVICE, FEATURE_NONE, 12, ANY)                             \
	X(VIRTIO_BLK_F_SECURE_ERASE, 16, 2, DEVICE, FEATURE_NONE, 12, ANY)                         \
	X(VIRTIO_BLK_F_ZONED, 17, 2, DEVICE, FEATURE_NONE, 12, ANY)                                \
	/* virtio-v1.4 5.3.3 "Console Device", Feature bits */                                     \
	X(VIRTIO_CONSOLE_F_SIZE, 0, 3, DEVICE, FEATURE_NONE, 9, ANY)                               \
	X(VIRTIO_CONSOLE_F_MULTIPORT, 1, 3, DEVICE, FEATURE_NONE, 9, ANY)                          \
	X(VIRTIO_CONSOLE_F_EMERG_WRITE, 2, 3, DEVICE, FEATURE_NONE, 9, ANY)                        \
	/* virtio-v1.4 5.5.3 "Traditional Memory Balloon Device", Feature bits */                  \
	X(VIRTIO_BALLOON_F_MUST_TELL_HOST, 0, 5, DEVICE, FEATURE_NONE, 9, ANY)                     \
	X(VIRTIO_BALLOON_F_STATS_VQ, 1, 5, DEVICE, FEATURE_NONE, 9, ANY)                           \
	X(VIRTIO_BALLOON_F_DEFLATE_ON_OOM, 2, 5, DEVICE, FEATURE_NONE, 10, ANY)                    \
	X(VIRTIO_BALLOON_F_FREE_PAGE_HINT, 3, 5, DEVICE, FEATURE_NONE, 11, ANY)                    \
	X(VIRTIO_BALLOON_F_PAGE_POISON, 4, 5, DEVICE, FEATURE_NONE, 11, ANY)                       \
	X(VIRTIO_BALLOON_F_PAGE_REPORTING, 5, 5, DEVICE, FEATURE_NONE, 12, ANY)                    \
	/* virtio-v1.4 5.1.3 "Network Device", Feature bits */                                     \
	X(VIRTIO_NET_F_CSUM, 0, 1, DEVICE, FEATURE_NONE, 9, ANY)                                   \
	X(VIRTIO_NET_F_GUEST_CSUM, 1, 1, DEVICE, FEATURE_NONE, 9, ANY)                             \
	X(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, 2, 1, DEVICE, VIRTIO_NET_F_CTRL_VQ, 10, ANY)           \
	X(VIRTIO_NET_F_MTU, 3, 1, DEVICE, FEATURE_NONE, 11, ANY)                                   \
	X(VIRTIO_NET_F_MAC, 5, 1, DEVICE, FEATURE_NONE, 9, ANY)                                    \
	X(VIRTIO_NET_F_GUEST_TSO4, 7, 1, DEVICE, VIRTIO_NET_F_GUEST_CSUM, 9, ANY)                  \
	X(VIRTIO_NET_F_GUEST_TSO6, 8, 1, DEVICE, VIRTIO_NET_F_GUEST_CSUM, 9, ANY)                  \
	X(VIRTIO_NET_F_GUEST_ECN, 9, 1, DEVICE, FEATURE_NONE, 9, ANY)                              \
	X(VIRTIO_NET_F_GUEST_UFO, 10, 1, DEVICE, VIRTIO_NET_F_GUEST_CSUM, 9, ANY)                  \
	X(VIRTIO_NET_F_HOST_TSO4, 11, 1, DEVICE, VIRTIO_NET_F_CSUM, 9, ANY)                        \
	X(VIRTIO_NET_F_HOST_TSO6, 12, 1, DEVICE, VIRTIO_NET_F_CSUM, 9, ANY)                        \
	X(VIRTIO_NET_F_HOST_ECN, 13, 1, DEVICE, FEATURE_NONE, 9, ANY)                              \
	X(VIRTIO_NET_F_HOST_UFO, 14, 1, DEVICE, VIRTIO_NET_F_CSUM, 9, ANY)                         \
	X(VIRTIO_NET_F_MRG_RXBUF, 15, 1, RING, FEATURE_NONE, 9, ANY)                               \
	X(VIRTIO_NET_F_STATUS, 16, 1, DEVICE, FEATURE_NONE, 9, ANY)                                \
	X(VIRTIO_NET_F_CTRL_VQ, 17, 1, DEVICE, FEATURE_NONE, 9, ANY)                               \
	X(VIRTIO_NET_F_CTRL_RX, 18, 1, DEVICE, VIRTIO_NET_F_CTRL_VQ, 9, ANY)                       \
	X(VIRTIO_NET_F_CTRL_VLAN, 19, 1, DEVICE, VIRTIO_NET_F_CTRL_VQ, 9, ANY)                     \
	X(VIRTIO_NET_F_CTRL_RX_EXTRA, 20, 1, DEVICE, VIRTIO_NET_F_CTRL_VQ, 9, ANY)                 \
	X(VIRTIO_NET_F_GUEST_ANNOUNCE, 21, 1, DEVICE, VIRTIO_NET_F_CTRL_VQ, 9, ANY)                \
	X(VIRTIO_NET_F_MQ, 22, 1, DEVICE, VIRTIO_NET_F_CTRL_VQ, 10, ANY)                           \
	X(VIRTIO_NET_F_CTRL_MAC_ADDR, 23, 1, DEVICE, VIRTIO_NET_F_CTRL_VQ, 10, ANY)                \
	X(VIRTIO_NET_F_VQ_NOTF_COAL, 52, 1, RING, VIRTIO_NET_F_CTRL_VQ, 13, ANY)                   \
	X(VIRTIO_NET_F_NOTF_COAL, 53, 1, RING, VIRTIO_NET_F_CTRL_VQ, 12, ANY)                      \
	X(VIRTIO_NET_F_GUEST_USO4, 54, 1, DEVICE, VIRTIO_NET_F_GUEST_CSUM, 12, ANY)                \
	X(VIRTIO_NET_F_GUEST_USO6, 55, 1, DEVICE, VIRTIO_NET_F_GUEST_CSUM, 12, ANY)                \
	X(VIRTIO_NET_F_HOST_USO, 56, 1, DEVICE, VIRTIO_NET_F_CSUM, 12, ANY)                        \
	X(VIRTIO_NET_F_HASH_REPORT, 57, 1, RING, VIRTIO_NET_F_CTRL_VQ, 12, ANY)                    \
	X(VIRTIO_NET_F_RSS, 60, 1, RING, VIRTIO_NET_F_CTRL_VQ, 12, ANY)                            \
	X(VIRTIO_NET_F_SPEED_DUPLEX, 63, 1, DEVICE, FEATURE_NONE, 12, ANY)                         \
	/* virtio-v1.4 5.6.3 "SCSI Host Device", Feature bits: who runs the requests has them */   \
	X(VIRTIO_SCSI_F_INOUT, 0, 8, RING, FEATURE_NONE, 9, ANY)                                   \
	X(VIRTIO_SCSI_F_HOTPLUG, 1, 8, RING, FEATURE_NONE, 9, ANY)                                 \
	X(VIRTIO_SCSI_F_CHANGE, 2, 8, RING, FEATURE_NONE, 9, ANY)                                  \
	X(VIRTIO_SCSI_F_T10_PI, 3, 8, RING, FEATURE_NONE, 10, ANY)                                 \
	/* virtio-v1.4 5.10.3 "Socket Device", Feature bits */                                     \
	X(VIRTIO_VSOCK_F_STREAM, 0, 19, RING, FEATURE_NONE, 12, ANY)                               \
	X(VIRTIO_VSOCK_F_SEQPACKET, 1, 19, RING, FEATURE_NONE, 12, ANY)                            \
	X(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM, 2, 19, RING, FEATURE_NONE, 13, ANY)                    \
	/* virtio-v1.4 5.13.3 "IOMMU Device", Feature bits */                                      \
	X(VIRTIO_IOMMU_F_INPUT_RANGE, 0, 23, DEVICE, FEATURE_NONE, 12, ANY)                        \
	X(VIRTIO_IOMMU_F_DOMAIN_RANGE, 1, 23, DEVICE, FEATURE_NONE, 12, ANY)                       \
	X(VIRTIO_IOMMU_F_MAP_UNMAP, 2, 23, DEVICE, FEATURE_NONE, 12, ANY)                          \
	X(VIRTIO_IOMMU_F_BYPASS, 3, 23, DEVICE, FEATURE_NONE, 12, ANY)                             \
	X(VIRTIO_IOMMU_F_PROBE, 4, 23, DEVICE, FEATURE_NONE, 12, ANY)                              \
	X(VIRTIO_IOMMU_F_MMIO, 5, 23, DEVICE, FEATURE_NONE, 12, ANY)                               \
	X(VIRTIO_IOMMU_F_BYPASS_CONFIG, 6, 23, DEVICE, FEATURE_NONE, 12, ANY)

#define FEATURE_ENUM(symbol, bit, device, owner, needs, since, interfaces) symbol = bit,
enum feature_bit { FEATURE_TABLE(FEATURE_ENUM) };
#undef FEATURE_ENUM

struct feature_info {
	const char *name;	/* "VIRTIO_F_EVENT_IDX" */
	uint8_t bit;
	uint8_t device;		/* 0: every device */
	enum feature_owner owner;
	uint8_t needs;		/* or FEATURE_NONE */
	uint8_t since;		/* 10 * version; 9 is legacy, 0 is not of the specification */
	uint8_t interfaces;	/* FEATURE_ON_... */
};

/* The row for 'bit' of device type 'device', or NULL for a bit that we do not know. */
const struct feature_info *feature_info(enum feature_bit bit, unsigned device);

/* The name of 'bit', or "bit N"; 'buf' is used for the latter. */
const char *feature_name(char buf[24], unsigned bit, unsigned device);

static inline bool features_has(const struct features *f, unsigned bit)
{
	return bit < FEATURES_BITS && (f->word[bit / 64] >> (bit % 64) & 1);
}

static inline void features_add(struct features *f, unsigned bit)
{
	f->word[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void features_remove(struct features *f, unsigned bit)
{
	f->word[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

struct features features_and(struct features a, struct features b);
struct features features_or(struct features a, struct features b);
struct features features_minus(struct features a, struct features b);
bool features_equal(struct features a, struct features b);
bool features_is_empty(struct features f);

/* Does any bit of 'f' miss what it needs?  Then 'bit' and 'needs' name the first such pair. */
bool features_find_unmet(const struct features *f, unsigned device, uint8_t *bit, uint8_t *needs);

/*
 * What of 'f' a device of type 'device' may offer at 'interfaces': bits with a row that says so,
 * none that are internal (N17), and none whose needs are not offered too.
 */
struct features features_offerable(struct features f, unsigned device, unsigned interfaces);

/* The lowest bit of 'f', or FEATURES_BITS if there is none. */
unsigned features_first(const struct features *f);

/* The 32-bit half 'index' as feature select registers show it; 0 beyond the end (N19). */
uint32_t features_half(const struct features *f, uint32_t index);
void features_set_half(struct features *f, uint32_t index, uint32_t value);

#endif
