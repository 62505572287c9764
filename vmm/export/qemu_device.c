/* What every virtio device of QEMU has: a transport and properties for its feature bits. */
#include <string.h>

#include "devices/virtio_models.h"
#include "virtio/features.h"
#include "virtio/transport.h"
#include "vmm/export/qemu_impl.h"

/* The property that switches a bit of device type 'device' (0: of all). */
static const struct property {
	unsigned device;
	enum feature_bit bit;
	const char *name;
} properties[] = {
	{ 0, VIRTIO_F_NOTIFY_ON_EMPTY, "notify_on_empty" },
	{ 0, VIRTIO_F_ANY_LAYOUT, "any_layout" },
	{ 0, VIRTIO_F_INDIRECT_DESC, "indirect_desc" },
	{ 0, VIRTIO_F_EVENT_IDX, "event_idx" },
	{ 0, VIRTIO_F_ACCESS_PLATFORM, "iommu_platform" },
	{ 0, VIRTIO_F_RING_PACKED, "packed" },
	{ 0, VIRTIO_F_RING_RESET, "queue_reset" },
	{ VIRTIO_ID_BLOCK, VIRTIO_BLK_F_CONFIG_WCE, "config-wce" },
	{ VIRTIO_ID_BLOCK, VIRTIO_BLK_F_DISCARD, "discard" },
	{ VIRTIO_ID_BLOCK, VIRTIO_BLK_F_WRITE_ZEROES, "write-zeroes" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_CSUM, "csum" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_CSUM, "guest_csum" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, "ctrl_guest_offloads" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_TSO4, "guest_tso4" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_TSO6, "guest_tso6" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ECN, "guest_ecn" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_UFO, "guest_ufo" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_TSO4, "host_tso4" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_TSO6, "host_tso6" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_ECN, "host_ecn" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_UFO, "host_ufo" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_STATUS, "status" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VQ, "ctrl_vq" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX, "ctrl_rx" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VLAN, "ctrl_vlan" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX_EXTRA, "ctrl_rx_extra" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ANNOUNCE, "guest_announce" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_MAC_ADDR, "ctrl_mac_addr" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_HASH_REPORT, "hash" },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_RSS, "rss" },
	{ VIRTIO_ID_CONSOLE, VIRTIO_CONSOLE_F_EMERG_WRITE, "emergency-write" },
};

/*
 * Bits that follow from other properties.  The first two choose the transport; "iommu" and the
 * balloon's own settings name theirs, too.
 */
static const struct property implied[] = {
	{ 0, VIRTIO_F_VERSION_1, NULL },
	{ VIRTIO_ID_BLOCK, VIRTIO_BLK_F_MQ, NULL },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_MQ, NULL },
	{ VIRTIO_ID_NET, VIRTIO_NET_F_MAC, NULL },
};

static const struct property *find(const struct property *list, unsigned n, unsigned bit,
				   unsigned type)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i].bit == bit && (list[i].device == 0 || list[i].device == type))
			return &list[i];
	return NULL;
}

static void put_features(struct qemu_export *x, unsigned type, const char *name, bool iommu)
{
	struct feature_wishes wishes = config_device_features(x->config, x->n_devices);

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
		bool on = features_has(&wishes.on, bit), off = features_has(&wishes.off, bit);
		const struct property *p = find(properties, ARRAY_SIZE(properties), bit, type);
		const struct feature_info *info = feature_info((enum feature_bit)bit, type);

		if (bit == VIRTIO_F_ACCESS_PLATFORM && iommu && !off)
			on = true;
		if (!on && !off)
			continue;
		if (p)
			qemu_put(&x->line, ",%s=%s", p->name, on ? "on" : "off");
		else if (on && find(implied, ARRAY_SIZE(implied), bit, type))
			continue;
		else
			qemu_remark(&x->line, "%s: no switch for feature bit %s%s", name,
				    on ? "+" : "-", info ? info->name : "?");
	}
}

/* QEMU has these with the modern interface only. */
static bool is_modern_only(unsigned type)
{
	return type == VIRTIO_ID_VSOCK || type == VIRTIO_ID_IOMMU || type == VIRTIO_ID_FS;
}

static void put_pci(struct qemu_export *x, int transport, unsigned type, const char *name)
{
	bool legacy = transport == VIRTIO_PCI_LEGACY || transport == VIRTIO_PCI_TRANSITIONAL;

	if (legacy && is_modern_only(type))
		qemu_remark(&x->line, "%s: it has no legacy interface there", name);
	if (!legacy || is_modern_only(type))
		qemu_put(&x->line, ",disable-legacy=on");
	else
		qemu_put(&x->line, ",disable-legacy=off,disable-modern=%s",
			 transport == VIRTIO_PCI_LEGACY ? "on" : "off");
}

void qemu_device(struct qemu_export *x, const char *model, unsigned type, const char *name)
{
	int transport = config_device_transport(x->config, x->n_devices);
	const struct device_settings *device = config_device(x->config, x->n_devices);
	bool mmio = virtio_transport_is_mmio((enum virtio_transport_kind)transport);

	if (mmio && type == VIRTIO_ID_IOMMU) {
		qemu_remark(&x->line, "%s: QEMU's virtio-iommu is on PCI", name);
		mmio = false;
		transport = VIRTIO_PCI;
	}
	qemu_begin(&x->line, "-device", "%s%s", model, mmio ? "-device" : "-pci");
	/* The place decides about the order, and so about the names that a guest gives. */
	if (mmio)
		qemu_put(&x->line, ",bus=virtio-mmio-bus.%u", x->n_mmio++);
	else
		put_pci(x, transport, type, name);
	put_features(x, type, name, device && device->iommu);
	x->n_devices++;
}
