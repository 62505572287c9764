#include "devices/net_filter.h"

#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum {
	ETHERTYPE_AT = 12,
	ETHERTYPE_VLAN = 0x8100,
	VLAN_MASK = 0xfff,
};

static const uint64_t broadcast = UINT64_C(0xffffffffffff);

uint64_t net_mac_load(const uint8_t mac[NET_MAC_LEN])
{
	uint64_t value = 0;

	memcpy(&value, mac, NET_MAC_LEN);
	return le64toh(value);
}

void net_mac_store(uint8_t mac[NET_MAC_LEN], uint64_t value)
{
	value = htole64(value);
	memcpy(mac, &value, NET_MAC_LEN);
}

/* Promiscuous is every frame, whatever else is set. */
static void settle(struct net_filter *f)
{
	f->is_open = net_filter_has_mode(f, NET_FILTER_PROMISC) || (!f->by_mac && !f->by_vlan);
}

void net_filter_init(struct net_filter *f, struct features features,
		     const uint8_t mac[NET_MAC_LEN])
{
	memset(f, 0, sizeof(*f));
	f->by_mac = features_has(&features, VIRTIO_NET_F_CTRL_RX);
	f->by_vlan = features_has(&features, VIRTIO_NET_F_CTRL_VLAN);
	f->own_unknown = !features_has(&features, VIRTIO_NET_F_MAC);
	f->own = net_mac_load(mac);
	settle(f);
}

void net_filter_set_mode(struct net_filter *f, enum net_filter_mode mode, bool on)
{
	uint8_t bit = (uint8_t)(1u << mode);

	f->modes = (uint8_t)(on ? f->modes | bit : f->modes & ~bit);
	settle(f);
}

void net_filter_set_mac(struct net_filter *f, const uint8_t mac[NET_MAC_LEN])
{
	f->own = net_mac_load(mac);
	f->own_unknown = false;
}

/* --- Tables ---------------------------------------------------------------------------------- */

struct mac_list {
	size_t at;			/* of the first address in the stream */
	uint32_t n;
};

/* Find the list at 'at' of a command that ends at 'end'.  Returns false if it does not fit. */
static bool find_list(struct mac_list *list, const struct iovec *iov, unsigned n_iov, size_t at,
		      size_t end)
{
	uint8_t raw[4];

	if (end - at < sizeof(raw) || iov_read(iov, n_iov, at, raw, sizeof(raw)) != sizeof(raw))
		return false;
	list->at = at + sizeof(raw);
	/* Little-endian; also from a legacy driver, on x86. */
	list->n = load_le32(raw);
	return list->n <= (end - list->at) / NET_MAC_LEN;
}

/* Where an address belongs is what it says itself, whichever list it came in. */
static void add_list(struct net_filter *f, const struct mac_list *list, struct net_mac_table *own,
		     const struct iovec *iov, unsigned n_iov)
{
	uint8_t raw[NET_FILTER_MACS][NET_MAC_LEN];

	if (list->n > NET_FILTER_MACS) {
		own->is_all = true;
		return;
	}
	iov_read(iov, n_iov, list->at, raw, list->n * sizeof(raw[0]));
	for (unsigned i = 0; i < list->n; i++) {
		uint64_t mac = net_mac_load(raw[i]);
		struct net_mac_table *table = net_mac_is_group(mac) ? &f->multi : &f->uni;

		if (table->n < NET_FILTER_MACS)
			table->mac[table->n++] = mac;
		else
			table->is_all = true;
	}
}

bool net_filter_set_tables(struct net_filter *f, const struct iovec *iov, unsigned n_iov,
			   size_t offset, size_t len)
{
	const size_t end = offset + len;
	struct mac_list uni, multi;

	if (!find_list(&uni, iov, n_iov, offset, end) ||
	    !find_list(&multi, iov, n_iov, uni.at + (size_t)uni.n * NET_MAC_LEN, end) ||
	    multi.at + (size_t)multi.n * NET_MAC_LEN != end)
		return false;
	memset(&f->uni, 0, sizeof(f->uni));
	memset(&f->multi, 0, sizeof(f->multi));
	add_list(f, &uni, &f->uni, iov, n_iov);
	add_list(f, &multi, &f->multi, iov, n_iov);
	return true;
}

bool net_filter_set_vlan(struct net_filter *f, unsigned vlan, bool on)
{
	if (vlan >= NET_VLANS)
		return false;
	if (on)
		f->vlan[vlan / 32] |= UINT32_C(1) << vlan % 32;
	else
		f->vlan[vlan / 32] &= ~(UINT32_C(1) << vlan % 32);
	return true;
}

/* --- Verdict --------------------------------------------------------------------------------- */

static bool has_mac(const struct net_mac_table *table, uint64_t mac)
{
	for (unsigned i = 0; i < table->n; i++)
		if (table->mac[i] == mac)
			return true;
	return table->is_all;
}

static bool passes_mac(const struct net_filter *f, uint64_t mac)
{
	if (mac == broadcast)
		return !net_filter_has_mode(f, NET_FILTER_NOBCAST);
	if (net_mac_is_group(mac))
		return !net_filter_has_mode(f, NET_FILTER_NOMULTI) &&
		       (net_filter_has_mode(f, NET_FILTER_ALLMULTI) || has_mac(&f->multi, mac));
	if (net_filter_has_mode(f, NET_FILTER_NOUNI))
		return false;
	return mac == f->own || f->own_unknown || net_filter_has_mode(f, NET_FILTER_ALLUNI) ||
	       has_mac(&f->uni, mac);
}

static bool passes_vlan(const struct net_filter *f, const uint8_t *head, size_t len)
{
	unsigned type = head[ETHERTYPE_AT] << 8 | head[ETHERTYPE_AT + 1];

	if (type != ETHERTYPE_VLAN)
		return true;
	if (len < NET_FILTER_HEAD)
		return false;
	return net_filter_has_vlan(f, (head[14] << 8 | head[15]) & VLAN_MASK);
}

bool net_filter_judge(const struct net_filter *f, const uint8_t *head, size_t len)
{
	if (len < NET_ETHERNET_LEN)
		return false;
	if (f->by_vlan && !passes_vlan(f, head, len))
		return false;
	return !f->by_mac || passes_mac(f, net_mac_load(head));
}
