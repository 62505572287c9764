/* Which frames the driver wants: modes, tables, VLANs. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/net_filter.h"
#include "vmm/base/le.h"

static const uint8_t own[] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t foreign[] = { 0x52, 0x54, 0, 9, 9, 9 };
static const uint8_t group[] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t broadcast[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static struct net_filter f;

/* For a driver that accepted MAC, which every driver does, and two more. */
static void init(unsigned bit, unsigned other)
{
	struct features features = FEATURES_EMPTY;

	features_add(&features, VIRTIO_NET_F_MAC);
	features_add(&features, bit);
	features_add(&features, other);
	net_filter_init(&f, features, own);
}

static void setup(void)
{
	init(VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX_EXTRA);
}

TestSuite(net_filter, .init = setup);

static bool passes(const uint8_t mac[6])
{
	uint8_t head[NET_FILTER_HEAD] = { 0 };

	memcpy(head, mac, NET_MAC_LEN);
	head[12] = 8;
	return net_filter_passes(&f, head, sizeof(head));
}

static bool passes_vlan(unsigned tci)
{
	uint8_t head[NET_FILTER_HEAD] = { 0 };

	memcpy(head, own, NET_MAC_LEN);
	head[12] = 0x81;
	head[14] = (uint8_t)(tci >> 8);
	head[15] = (uint8_t)tci;
	return net_filter_passes(&f, head, sizeof(head));
}

/* The two lists of a MAC_TABLE_SET, cut into pieces of 'piece' bytes; 'n' says what it claims. */
static bool set_tables(uint32_t n_uni, uint32_t n_multi, size_t len, size_t piece)
{
	static uint8_t data[8 + 2 * 256 * NET_MAC_LEN];
	static struct iovec iov[sizeof(data)];
	unsigned n = 0;
	uint8_t *p = data;

	cr_assert(len <= sizeof(data));
	store_le32(p, n_uni);
	p += 4;
	for (uint32_t i = 0; i < n_uni && i < 256; i++, p += NET_MAC_LEN) {
		memcpy(p, foreign, NET_MAC_LEN);
		p[4] = (uint8_t)(9 + (i >> 8));
		p[5] = (uint8_t)(9 + i);
	}
	store_le32(p, n_multi);
	p += 4;
	for (uint32_t i = 0; i < n_multi && i < 256; i++, p += NET_MAC_LEN) {
		memcpy(p, group, NET_MAC_LEN);
		p[5] = (uint8_t)(1 + i);
	}
	for (size_t at = 0; at < len; at += piece)
		iov[n++] = (struct iovec){ data + at, min_u64(piece, len - at) };
	return net_filter_set_tables(&f, iov, n, 0, len);
}

static bool set_good_tables(uint32_t n_uni, uint32_t n_multi)
{
	return set_tables(n_uni, n_multi, 8 + (n_uni + n_multi) * (size_t)NET_MAC_LEN, 5);
}

Test(net_filter, without_ctrl_rx_all_pass)
{
	init(VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_VQ);
	cr_assert(f.is_open);
	cr_assert(passes(own) && passes(foreign) && passes(group) && passes(broadcast));
	cr_assert(passes_vlan(5));
}

/* covers: NET-CTRL-19 NET-CTRL-22 */
Test(net_filter, after_reset_own_address_and_broadcast_pass)
{
	cr_assert(passes(own));
	cr_assert(passes(broadcast));
	cr_assert_not(passes(foreign));
	cr_assert_not(passes(group));
}

Test(net_filter, driver_whose_address_is_not_known_gets_all_unicast)
{
	struct features features = FEATURES_EMPTY;

	features_add(&features, VIRTIO_NET_F_CTRL_RX);
	net_filter_init(&f, features, own);
	cr_assert(passes(own) && passes(foreign));
	cr_assert_not(passes(group));
	net_filter_set_mac(&f, own);
	cr_assert(passes(own));
	cr_assert_not(passes(foreign));
}

Test(net_filter, set_address_replaces_the_old_one)
{
	net_filter_set_mac(&f, foreign);
	cr_assert(passes(foreign));
	cr_assert_not(passes(own));
}

/* covers: NET-CTRL-06 NET-CTRL-07 */
Test(net_filter, promiscuous_wins_over_everything)
{
	init(VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VLAN);
	for (unsigned mode = NET_FILTER_ALLMULTI; mode < NET_FILTER_MODES; mode++)
		net_filter_set_mode(&f, mode, true);
	cr_assert_not(passes(foreign));
	net_filter_set_mode(&f, NET_FILTER_PROMISC, true);
	cr_assert(passes(own) && passes(foreign) && passes(group) && passes(broadcast));
	cr_assert(passes_vlan(7));
	net_filter_set_mode(&f, NET_FILTER_PROMISC, false);
	cr_assert_not(passes(foreign));
	cr_assert_not(passes_vlan(7));
}

/* covers: NET-CTRL-09 */
Test(net_filter, all_multicast_takes_groups_only)
{
	net_filter_set_mode(&f, NET_FILTER_ALLMULTI, true);
	cr_assert(passes(group));
	cr_assert_not(passes(foreign));
}

/* covers: NET-CTRL-11 */
Test(net_filter, all_unicast_takes_foreign_addresses_only)
{
	net_filter_set_mode(&f, NET_FILTER_ALLUNI, true);
	cr_assert(passes(foreign));
	cr_assert_not(passes(group));
}

/* covers: NET-CTRL-12 NET-CTRL-13 NET-CTRL-14 */
Test(net_filter, no_multicast_wins_over_all_multicast_and_spares_broadcast)
{
	cr_assert(set_good_tables(0, 1));
	cr_assert(passes(group));
	net_filter_set_mode(&f, NET_FILTER_NOMULTI, true);
	cr_assert_not(passes(group));
	net_filter_set_mode(&f, NET_FILTER_ALLMULTI, true);
	cr_assert_not(passes(group));
	cr_assert(passes(broadcast) && passes(own));
}

/* covers: NET-CTRL-15 NET-CTRL-16 */
Test(net_filter, no_unicast_wins_over_all_unicast)
{
	net_filter_set_mode(&f, NET_FILTER_NOUNI, true);
	cr_assert_not(passes(own));
	net_filter_set_mode(&f, NET_FILTER_ALLUNI, true);
	cr_assert_not(passes(own));
	cr_assert(passes(broadcast));
}

/* covers: NET-CTRL-17 NET-CTRL-18 */
Test(net_filter, no_broadcast_wins_over_all_multicast)
{
	net_filter_set_mode(&f, NET_FILTER_NOBCAST, true);
	cr_assert_not(passes(broadcast));
	net_filter_set_mode(&f, NET_FILTER_ALLMULTI, true);
	cr_assert_not(passes(broadcast));
	cr_assert(passes(group));
}

Test(net_filter, tables_add_to_the_own_address)
{
	cr_assert(set_good_tables(2, 2));
	cr_assert(passes(own) && passes(foreign) && passes(group));
	cr_assert(set_good_tables(0, 0));
	cr_assert(passes(own));
	cr_assert_not(passes(foreign));
	cr_assert_not(passes(group));
}

Test(net_filter, any_framing_of_the_tables_means_the_same)
{
	for (size_t piece = 1; piece < 40; piece++) {
		setup();
		cr_assert(set_tables(3, 2, 8 + 5 * NET_MAC_LEN, piece));
		cr_assert(passes(foreign) && passes(group));
		cr_assert_eq(f.uni.n, 3);
		cr_assert_eq(f.multi.n, 2);
	}
}

/* covers: NET-CTRL-23 */
Test(net_filter, tables_that_are_too_long_stand_for_all)
{
	uint8_t other[] = { 0x02, 7, 7, 7, 7, 7 }, other_group[] = { 0x03, 7, 7, 7, 7, 7 };

	cr_assert(set_good_tables(NET_FILTER_MACS, NET_FILTER_MACS));
	cr_assert_not(passes(other));
	cr_assert_not(passes(other_group));
	cr_assert(set_good_tables(NET_FILTER_MACS + 1, 1));
	cr_assert(passes(other));
	cr_assert_not(passes(other_group));
	cr_assert(set_good_tables(1, NET_FILTER_MACS + 1));
	cr_assert_not(passes(other));
	cr_assert(passes(other_group));
}

/* covers: NET-CTRL-23 */
Test(net_filter, counts_that_do_not_fit_are_refused)
{
	cr_assert(set_good_tables(1, 1));
	cr_assert_not(set_tables(1, 1, 8 + 2 * NET_MAC_LEN + 1, 64));
	cr_assert_not(set_tables(1, 1, 8 + 2 * NET_MAC_LEN - 1, 64));
	cr_assert_not(set_tables(UINT32_MAX, 0, 8, 64));
	cr_assert_not(set_tables(0, UINT32_MAX, 8, 64));
	cr_assert_not(set_tables(0x2aaaaaab, 0, 8 + 2, 64));
	for (size_t len = 0; len < 8; len++)
		cr_assert_not(set_tables(0, 0, len, 64));
	cr_assert(passes(foreign) && passes(group));
	cr_assert_eq(f.uni.n, 1);
}

Test(net_filter, address_belongs_where_its_group_bit_says)
{
	uint8_t data[8 + 2 * NET_MAC_LEN] = { 1 };
	struct iovec iov = { data, sizeof(data) };

	memcpy(data + 4, group, NET_MAC_LEN);
	store_le32(data + 10, 1);
	memcpy(data + 14, foreign, NET_MAC_LEN);
	cr_assert(net_filter_set_tables(&f, &iov, 1, 0, sizeof(data)));
	cr_assert(passes(group) && passes(foreign));
}

/* covers: NET-CTRL-24 */
Test(net_filter, without_ctrl_vlan_every_tag_passes)
{
	cr_assert(passes_vlan(0) && passes_vlan(5) && passes_vlan(4095));
}

/* covers: NET-CTRL-25 NET-CTRL-26 */
Test(net_filter, only_listed_vlans_pass)
{
	init(VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ);
	cr_assert_not(passes_vlan(5));
	cr_assert(net_filter_set_vlan(&f, 5, true));
	cr_assert(passes_vlan(5));
	cr_assert(passes_vlan(0xe005), "priority is no part of the id");
	cr_assert_not(passes_vlan(6));
	cr_assert(passes(own) && passes(foreign), "without a tag");
	cr_assert(net_filter_set_vlan(&f, 5, false));
	cr_assert_not(passes_vlan(5));
}

/* covers: NET-CTRL-27 */
Test(net_filter, vlan_beyond_4095_is_refused)
{
	struct net_filter before;

	init(VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ);
	before = f;
	cr_assert_not(net_filter_set_vlan(&f, 4096, true));
	cr_assert_not(net_filter_set_vlan(&f, 0xffff, true));
	cr_assert_not(net_filter_set_vlan(&f, 0xffff, false));
	cr_assert_eq(memcmp(&before, &f, sizeof(f)), 0);
	cr_assert(net_filter_set_vlan(&f, 4095, true));
	cr_assert(passes_vlan(4095));
}

Test(net_filter, frame_without_a_whole_header_does_not_pass_a_filter)
{
	uint8_t head[NET_FILTER_HEAD] = { 0 };

	memcpy(head, own, NET_MAC_LEN);
	head[12] = 0x81;
	cr_assert_not(net_filter_passes(&f, head, NET_ETHERNET_LEN - 1));
	init(VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ);
	cr_assert_not(net_filter_passes(&f, head, NET_ETHERNET_LEN + 1));
}
