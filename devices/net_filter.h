/*
 * Which received frames the driver wants: modes, a table of unicast and one of multicast addresses,
 * VLANs, the device's own address.  Pure state and a verdict on the first bytes of a frame; each
 * queue pair has a copy, so that the data path takes no lock.  net_filter_bpf.h says the same to a
 * host kernel that moves the frames.
 *
 * virtio-v1.4 5.1.6.5.1 "Packet Receive Filtering", 5.1.6.5.2 "Setting MAC Address Filtering",
 * 5.1.6.5.3 "VLAN Filtering"
 */
#ifndef DEVICES_NET_FILTER_H
#define DEVICES_NET_FILTER_H

#include <sys/uio.h>

#include "virtio/features.h"
#include "vmm/base/util.h"

enum {
	NET_MAC_LEN = 6,
	NET_ETHERNET_LEN = 14,		/* header without a VLAN tag; what is shorter is no frame */
	NET_FILTER_HEAD = 16,		/* bytes of a frame that the verdict looks at */
	NET_FILTER_MACS = 64,		/* entries of each table; more stand for "all" */
	NET_VLANS = 4096,
};

/* The modes of class RX, in the order of their commands. */
enum net_filter_mode {
	NET_FILTER_PROMISC,
	NET_FILTER_ALLMULTI,
	NET_FILTER_ALLUNI,
	NET_FILTER_NOMULTI,
	NET_FILTER_NOUNI,
	NET_FILTER_NOBCAST,
	NET_FILTER_MODES,
};

struct net_mac_table {
	uint64_t mac[NET_FILTER_MACS];	/* as net_mac_load */
	unsigned n;
	bool is_all;			/* there were more than it holds */
};

struct net_filter {
	bool is_open;			/* every frame passes: follows from the rest */
	bool by_mac, by_vlan;		/* the driver accepted CTRL_RX, CTRL_VLAN */
	bool own_unknown;		/* the driver may have an address that it never told */
	uint8_t modes;			/* bits by enum net_filter_mode */
	uint64_t own;			/* the device's address */
	struct net_mac_table uni, multi;
	uint32_t vlan[NET_VLANS / 32];
};

/* Six bytes of an address as a number, for comparing. */
uint64_t net_mac_load(const uint8_t mac[NET_MAC_LEN]);
void net_mac_store(uint8_t mac[NET_MAC_LEN], uint64_t value);
static inline bool net_mac_is_group(uint64_t mac)
{
	return mac & 1;
}

/*
 * As after reset, for a driver that accepted 'features': tables empty, modes off, no VLAN.  Without
 * CTRL_RX there is no filter by address, without CTRL_VLAN none by VLAN.
 */
void net_filter_init(struct net_filter *f, struct features features,
		     const uint8_t mac[NET_MAC_LEN]);

void net_filter_set_mode(struct net_filter *f, enum net_filter_mode mode, bool on);

/* The address that the device answers to. */
void net_filter_set_mac(struct net_filter *f, const uint8_t mac[NET_MAC_LEN]);

/*
 * Take over both tables of a MAC_TABLE_SET: 'len' bytes at 'offset' of 'iov'.  Returns false, and
 * nothing changed, if the counts do not agree with 'len'.  Work is bounded by NET_FILTER_MACS.
 */
MUST_USE bool net_filter_set_tables(struct net_filter *f, const struct iovec *iov, unsigned n_iov,
				    size_t offset, size_t len);

/* Returns false, and nothing changed, if there is no such VLAN. */
MUST_USE bool net_filter_set_vlan(struct net_filter *f, unsigned vlan, bool on);

static inline bool net_filter_has_mode(const struct net_filter *f, enum net_filter_mode mode)
{
	return f->modes & 1u << mode;
}

static inline bool net_filter_has_vlan(const struct net_filter *f, unsigned vlan)
{
	return f->vlan[vlan / 32] & UINT32_C(1) << vlan % 32;
}

/* The verdict where 'is_open' did not decide. */
bool net_filter_judge(const struct net_filter *f, const uint8_t *head, size_t len);

/*
 * Does the driver want the frame?  'head' are its first bytes (Ethernet header first), 'len' how
 * many there are: at least NET_FILTER_HEAD of a frame that has so many.
 */
static inline bool net_filter_passes(const struct net_filter *f, const uint8_t *head, size_t len)
{
	return f->is_open || net_filter_judge(f, head, len);
}

#endif
