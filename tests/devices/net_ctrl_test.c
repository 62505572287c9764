/* The control queue of a network device, as a driver sees it: commands and what follows. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include "devices/net_impl.h"
#include "tests/support/ctrl_rig.h"
#include "vmm/base/le.h"

enum { OK = 0, ERR = 1 };
enum { RX = 0, MAC = 1, VLAN = 2, ANNOUNCE = 3, MQ = 4, OFFLOADS = 5, COAL = 6 };
enum { PROMISC, ALLMULTI, ALLUNI, NOMULTI, NOUNI, NOBCAST };
enum { TX_SET, RX_SET, VQ_SET, VQ_GET };

static const uint8_t foreign[] = { 0x52, 0x54, 0, 9, 9, 9 };
static const uint8_t group[] = { 0x33, 0x33, 0, 0, 0, 1 };

static struct ctrl_rig rig;

static void setup(void)
{
	ctrl_rig_create(&rig, CTRL_RIG_PAIRS, FAKE_MMIO);
}

static void teardown(void)
{
	ctrl_rig_destroy(&rig);
}

TestSuite(net_ctrl, .init = setup, .fini = teardown);

static uint8_t run(uint8_t class, uint8_t command, const void *data, size_t len)
{
	return ctrl_rig_command(&rig, class, command, data, len);
}

static uint8_t run_u8(uint8_t class, uint8_t command, uint8_t value)
{
	return run(class, command, &value, 1);
}

static uint8_t run_u16(uint8_t class, uint8_t command, uint16_t value)
{
	uint8_t raw[2];

	store_le16(raw, value);
	return run(class, command, raw, sizeof(raw));
}

static void start(void)
{
	ctrl_rig_start_without(&rig, FEATURE_NONE);
}

static struct virtio_net *net(void)
{
	return container_of(rig.net.dev, struct virtio_net, dev);
}

Test(net_ctrl, offers_what_it_serves)
{
	static const uint8_t served[] = {
		VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX_EXTRA,
		VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_GUEST_ANNOUNCE,
		VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_HASH_REPORT, VIRTIO_NET_F_NOTF_COAL,
		VIRTIO_NET_F_VQ_NOTF_COAL, VIRTIO_NET_F_MQ, VIRTIO_NET_F_RSS,
	};
	/* DEVICE_STATS, HASH_TUNNEL, RSS_CONTEXT, UDP tunnels, OUT_NET_HEADER, IPSEC. */
	static const uint8_t others[] = { 50, 51, 64, 65, 66, 67, 68, 69, 70 };
	struct features offered = ctrl_rig_features(&rig, FEATURE_NONE);

	for (unsigned i = 0; i < ARRAY_SIZE(served); i++)
		cr_assert(features_has(&offered, served[i]), "bit %u", served[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		cr_assert_not(features_has(&offered, others[i]), "bit %u", others[i]);
}

/* --- the queue ------------------------------------------------------------------------------- */

/* covers: NET-CTRL-01 NET-CTRL-05 NET-CTRL-08 NET-CTRL-10 */
Test(net_ctrl, modes_are_switched_on_and_off)
{
	start();
	for (uint8_t mode = PROMISC; mode <= NOBCAST; mode++) {
		cr_assert_eq(run_u8(RX, mode, 1), OK);
		cr_assert_eq(run_u8(RX, mode, 0), OK);
	}
	cr_assert_not(ctrl_rig_gets(&rig, foreign));
	cr_assert_eq(run_u8(RX, PROMISC, 1), OK);
	cr_assert(ctrl_rig_gets(&rig, foreign));
	cr_assert_eq(run_u8(RX, PROMISC, 0), OK);
	cr_assert_not(ctrl_rig_gets(&rig, foreign));
	cr_assert_eq(run_u8(RX, PROMISC, 2), ERR);
}

/* covers: NET-CTRL-02 */
Test(net_ctrl, what_cannot_be_is_answered_with_an_error)
{
	uint8_t long_data[64] = { 0 };

	start();
	cr_assert_eq(run_u8(0xff, 0, 0), ERR);
	cr_assert_eq(run_u8(7, 0, 0), ERR);
	cr_assert_eq(run_u8(8, 0, 0), ERR);
	cr_assert_eq(run_u8(9, 0, 0), ERR);
	cr_assert_eq(run_u8(RX, NOBCAST + 1, 0), ERR);
	cr_assert_eq(run_u8(RX, 0xff, 1), ERR);
	cr_assert_eq(run_u8(MAC, 2, 1), ERR);
	for (size_t len = 0; len < sizeof(long_data); len++) {
		for (uint8_t mode = PROMISC; mode <= NOBCAST; mode++)
			cr_assert_eq(run(RX, mode, long_data, len), len == 1 ? OK : ERR);
		cr_assert_eq(run(MAC, 0, long_data, len), len == 8 ? OK : ERR);
		cr_assert_eq(run(MAC, 1, long_data, len), len == 6 ? OK : ERR);
		cr_assert_eq(run(VLAN, 0, long_data, len), len == 2 ? OK : ERR);
		cr_assert_eq(run(VLAN, 1, long_data, len), len == 2 ? OK : ERR);
		cr_assert_eq(run(ANNOUNCE, 0, long_data, len), len == 0 ? OK : ERR);
		cr_assert_eq(run(MQ, 0, long_data, len), ERR, "0 pairs, or another length");
		cr_assert_eq(run(MQ, 1, long_data, len), ERR);
		cr_assert_eq(run(MQ, 2, long_data, len), len == 13 ? OK : ERR);
		cr_assert_eq(run(OFFLOADS, 0, long_data, len), len == 8 ? OK : ERR);
		cr_assert_eq(run(COAL, TX_SET, long_data, len), len == 8 ? OK : ERR);
		cr_assert_eq(run(COAL, VQ_SET, long_data, len), len == 12 ? OK : ERR);
	}
}

/* covers: NET-CTRL-02 */
Test(net_ctrl, command_of_a_feature_that_was_not_accepted_is_an_error)
{
	static const struct {
		uint8_t bit, class, command, len;
	} cases[] = {
		{ VIRTIO_NET_F_CTRL_RX, RX, PROMISC, 1 },
		{ VIRTIO_NET_F_CTRL_RX, RX, ALLMULTI, 1 },
		{ VIRTIO_NET_F_CTRL_RX_EXTRA, RX, ALLUNI, 1 },
		{ VIRTIO_NET_F_CTRL_RX_EXTRA, RX, NOMULTI, 1 },
		{ VIRTIO_NET_F_CTRL_RX_EXTRA, RX, NOUNI, 1 },
		{ VIRTIO_NET_F_CTRL_RX_EXTRA, RX, NOBCAST, 1 },
		{ VIRTIO_NET_F_CTRL_RX, MAC, 0, 8 },
		{ VIRTIO_NET_F_CTRL_MAC_ADDR, MAC, 1, 6 },
		{ VIRTIO_NET_F_CTRL_VLAN, VLAN, 0, 2 },
		{ VIRTIO_NET_F_CTRL_VLAN, VLAN, 1, 2 },
		{ VIRTIO_NET_F_GUEST_ANNOUNCE, ANNOUNCE, 0, 0 },
		{ VIRTIO_NET_F_HASH_REPORT, MQ, 2, 13 },
		{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, OFFLOADS, 0, 8 },
		{ VIRTIO_NET_F_NOTF_COAL, COAL, TX_SET, 8 },
		{ VIRTIO_NET_F_NOTF_COAL, COAL, RX_SET, 8 },
		{ VIRTIO_NET_F_VQ_NOTF_COAL, COAL, VQ_SET, 12 },
	};
	static const uint8_t zero[16];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		start();
		cr_assert_eq(run(cases[i].class, cases[i].command, zero, cases[i].len), OK);
		ctrl_rig_start_without(&rig, cases[i].bit);
		cr_assert_eq(run(cases[i].class, cases[i].command, zero, cases[i].len), ERR,
			     "class %u command %u", cases[i].class, cases[i].command);
	}
}

/* covers: NET-CTRL-03 */
Test(net_ctrl, command_without_room_for_the_answer_is_not_carried_out)
{
	struct fake_buf buf = { 0, 3, false };
	uint8_t *p;

	start();
	buf.addr = rig.command;
	p = device_rig_at(&rig.net.rig, rig.command, 3);
	memcpy(p, (uint8_t[]){ RX, PROMISC, 1 }, 3);
	cr_assert_eq(ctrl_rig_chain(&rig, &buf, 1), 0);
	cr_assert_not(ctrl_rig_gets(&rig, foreign));
}

/* covers: NET-CTRL-04 */
Test(net_ctrl, framing_does_not_matter)
{
	const uint8_t bytes[] = { COAL, VQ_GET, 1, 0, 0xa5, 0xa5 };
	uint8_t *p, *ack;
	uint8_t set[12] = { 1, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0 };

	start();
	cr_assert_eq(run(COAL, VQ_SET, set, sizeof(set)), OK);
	p = device_rig_at(&rig.net.rig, rig.command, 4096);
	ack = device_rig_at(&rig.net.rig, rig.ack, 4096);
	memcpy(p, bytes, sizeof(bytes));
	for (unsigned in_piece = 1; in_piece <= 10; in_piece++)
		for (unsigned out_piece = 1; out_piece <= sizeof(bytes); out_piece++) {
			struct fake_buf buf[20];
			unsigned n = 0;

			for (unsigned at = 0; at < sizeof(bytes); at += out_piece)
				buf[n++] = (struct fake_buf){
					rig.command + at,
					(uint32_t)min_u64(out_piece, sizeof(bytes) - at), false
				};
			for (unsigned at = 0; at < 10; at += in_piece)
				buf[n++] = (struct fake_buf){
					rig.ack + at, (uint32_t)min_u64(in_piece, 10 - at), true
				};
			memset(ack, 0xee, 16);
			cr_assert_eq(ctrl_rig_chain(&rig, buf, n), 9);
			cr_assert_eq(ack[0], OK);
			cr_assert_eq(load_le32(ack + 1), 7);
			cr_assert_eq(load_le32(ack + 5), 9);
			cr_assert_eq(ack[9], 0xee);
		}
}

Test(net_ctrl, chain_with_nothing_to_read_is_an_error)
{
	struct fake_buf buf = { 0, 1, true };
	uint8_t *ack;

	start();
	buf.addr = rig.ack;
	ack = device_rig_at(&rig.net.rig, rig.ack, 1);
	cr_assert_eq(ctrl_rig_chain(&rig, &buf, 1), 1);
	cr_assert_eq(*ack, ERR);
}

Test(net_ctrl, reset_while_commands_are_on_their_way)
{
	for (unsigned i = 0; i < 50; i++) {
		struct fake_buf buf[] = { { 0, 3, false }, { 0, 1, true } };

		start();
		buf[0].addr = rig.command;
		buf[1].addr = rig.ack;
		memset(device_rig_at(&rig.net.rig, rig.command, 3), 0, 3);
		for (unsigned k = 0; k < 5; k++)
			device_rig_add(&rig.net.rig, rig.ctrl, buf, 2);
		if (i % 2)
			fake_machine_pump(rig.net.rig.machine);
		fake_driver_reset(&rig.net.rig.driver);
	}
	start();
	cr_assert_eq(run_u8(RX, PROMISC, 1), OK);
}

static atomic_bool is_over;

static void *run_main_loop(void *arg)
{
	while (!atomic_load(&is_over))
		fake_machine_pump(arg);
	return NULL;
}

/*
 * The main loop may be about to carry out a command of a session that ends, and finds one of the
 * next session that its queue's loop writes just then: of interest to the thread sanitizer.
 */
Test(net_ctrl, sessions_change_while_the_main_loop_carries_out)
{
	pthread_t main_thread;

	cr_assert_eq(pthread_create(&main_thread, NULL, run_main_loop, rig.net.rig.machine), 0);
	for (unsigned i = 0; i < 300; i++) {
		struct fake_buf buf[] = { { 0, 3, false }, { 0, 1, true } };
		uint8_t *command;

		start();
		buf[0].addr = rig.command;
		buf[1].addr = rig.ack;
		/* RX, PROMISC, off and on. */
		command = device_rig_at(&rig.net.rig, rig.command, 3);
		memset(command, 0, 3);
		command[2] = i % 2;
		for (unsigned k = 0; k <= i % 5; k++)
			device_rig_add(&rig.net.rig, rig.ctrl, buf, 2);
		fake_driver_reset(&rig.net.rig.driver);
	}
	atomic_store(&is_over, true);
	pthread_join(main_thread, NULL);
	start();
	cr_assert_eq(run_u8(RX, PROMISC, 1), OK);
}

/* --- filters --------------------------------------------------------------------------------- */

static uint8_t set_tables(const uint8_t *uni, const uint8_t *multi)
{
	uint8_t data[20] = { 0 };
	size_t len = 0;

	store_le32(data, uni ? 1 : 0);
	len += 4;
	if (uni)
		memcpy(data + len, uni, 6);
	len += uni ? 6 : 0;
	store_le32(data + len, multi ? 1 : 0);
	len += 4;
	if (multi)
		memcpy(data + len, multi, 6);
	len += multi ? 6 : 0;
	return run(MAC, 0, data, len);
}

/* covers: NET-CTRL-20 NET-CTRL-22 */
Test(net_ctrl, tables_are_in_effect_when_the_command_is_used)
{
	start();
	for (unsigned i = 0; i < 20; i++) {
		cr_assert_eq(set_tables(foreign, group), OK);
		cr_assert(ctrl_rig_gets(&rig, foreign));
		cr_assert(ctrl_rig_gets(&rig, group));
		cr_assert_eq(set_tables(NULL, NULL), OK);
		cr_assert_not(ctrl_rig_gets(&rig, foreign));
		cr_assert_not(ctrl_rig_gets(&rig, group));
		cr_assert(ctrl_rig_gets(&rig, net_rig_mac));
	}
}

/* covers: NET-CTRL-19 */
Test(net_ctrl, filters_are_as_new_after_reset)
{
	start();
	cr_assert_eq(set_tables(foreign, group), OK);
	cr_assert_eq(run_u8(RX, PROMISC, 1), OK);
	cr_assert_eq(run_u16(VLAN, 0, 5), OK);
	start();
	cr_assert_not(ctrl_rig_gets(&rig, foreign));
	cr_assert_not(ctrl_rig_gets(&rig, group));
	cr_assert_eq(net()->ctrl.rules.filter.vlan[0], 0);
	cr_assert(ctrl_rig_gets(&rig, net_rig_mac));
}

/* covers: NET-CTRL-23 */
Test(net_ctrl, table_that_does_not_fit_its_count_changes_nothing)
{
	uint8_t data[14] = { 0xff, 0xff, 0xff, 0xff };

	start();
	cr_assert_eq(set_tables(foreign, NULL), OK);
	cr_assert_eq(run(MAC, 0, data, sizeof(data)), ERR);
	cr_assert(ctrl_rig_gets(&rig, foreign));
}

/* covers: NET-CTRL-21 */
Test(net_ctrl, set_address_is_in_config_space_when_the_command_is_used)
{
	start();
	cr_assert_eq(run(MAC, 1, foreign, 6), OK);
	for (unsigned i = 0; i < 6; i++)
		cr_assert_eq(fake_driver_config(&rig.net.rig.driver, i, 1), foreign[i]);
	cr_assert(ctrl_rig_gets(&rig, foreign));
	cr_assert_not(ctrl_rig_gets(&rig, net_rig_mac));
	cr_assert_eq(run(MAC, 1, group, 6), ERR, "no address of one device");
	cr_assert(ctrl_rig_gets(&rig, foreign));
	/* And it is the old one again for the next driver. */
	start();
	for (unsigned i = 0; i < 6; i++)
		cr_assert_eq(fake_driver_config(&rig.net.rig.driver, i, 1), net_rig_mac[i]);
	cr_assert(ctrl_rig_gets(&rig, net_rig_mac));
}

static int vlan_frame(unsigned vlan)
{
	uint8_t frame[64] = { 0 };

	memcpy(frame, net_rig_mac, 6);
	frame[12] = 0x81;
	frame[14] = (uint8_t)(vlan >> 8);
	frame[15] = (uint8_t)vlan;
	return ctrl_rig_receive(&rig, 0, frame, sizeof(frame));
}

/* covers: NET-CTRL-25 NET-CTRL-26 NET-CTRL-27 */
Test(net_ctrl, vlans_are_added_and_removed)
{
	start();
	cr_assert_eq(vlan_frame(5), CTRL_RIG_LOST);
	cr_assert_eq(run_u16(VLAN, 0, 5), OK);
	cr_assert_eq(vlan_frame(5), 0);
	cr_assert_eq(vlan_frame(6), CTRL_RIG_LOST);
	cr_assert_eq(run_u16(VLAN, 1, 5), OK);
	cr_assert_eq(vlan_frame(5), CTRL_RIG_LOST);
	cr_assert_eq(run_u16(VLAN, 0, 4096), ERR);
	cr_assert_eq(run_u16(VLAN, 1, 0xffff), ERR);
	cr_assert_eq(run_u16(VLAN, 0, 4095), OK);
}

/* covers: NET-CTRL-24 */
Test(net_ctrl, without_ctrl_vlan_all_tags_arrive)
{
	ctrl_rig_start_without(&rig, VIRTIO_NET_F_CTRL_VLAN);
	cr_assert_eq(vlan_frame(5), 0);
}

Test(net_ctrl, filter_goes_to_a_peer_that_moves_the_frames_itself)
{
	start();
	machine_lock(&rig.net.rig.machine->m);
	cr_assert_eq(net_ctrl_filter_in_peer(net(), true), 0);
	machine_unlock(&rig.net.rig.machine->m);
	cr_assert_gt(rig.net.peer->n_prog, 0);
	cr_assert_eq(run_u8(RX, PROMISC, 1), OK);
	cr_assert_eq(rig.net.peer->n_prog, 0);
	cr_assert_eq(run_u8(RX, PROMISC, 0), OK);
	cr_assert_gt(rig.net.peer->n_prog, 0);
	/* What the peer refuses is not done. */
	rig.net.peer->set_fails = EIO;
	cr_assert_eq(run_u8(RX, ALLMULTI, 1), ERR);
	rig.net.peer->set_fails = 0;
	cr_assert_not(ctrl_rig_gets(&rig, group));
	fake_driver_reset(&rig.net.rig.driver);
	cr_assert_eq(rig.net.peer->n_prog, 0);
	cr_assert_not(net()->ctrl.filters_in_peer);
}

/* --- announcement and link ------------------------------------------------------------------- */

static unsigned status(void)
{
	return (unsigned)fake_driver_config(&rig.net.rig.driver, NET_CONFIG_STATUS, 2);
}

static void announce(void)
{
	machine_lock(&rig.net.rig.machine->m);
	virtio_net_announce(rig.net.dev);
	machine_unlock(&rig.net.rig.machine->m);
	fake_machine_pump(rig.net.rig.machine);
}

/* covers: NET-CTRL-28 */
Test(net_ctrl, announcement_is_taken_back_when_acknowledged)
{
	start();
	fake_driver_take_isr(&rig.net.rig.driver);
	announce();
	cr_assert(fake_driver_take_isr(&rig.net.rig.driver) & 2);
	cr_assert_eq(status(), NET_STATUS_LINK_UP | NET_STATUS_ANNOUNCE);
	cr_assert_eq(run(ANNOUNCE, 0, NULL, 0), OK);
	cr_assert_eq(status(), NET_STATUS_LINK_UP);
	announce();
	fake_driver_reset(&rig.net.rig.driver);
	start();
	cr_assert_eq(status(), NET_STATUS_LINK_UP, "the next driver was not asked");
}

Test(net_ctrl, driver_without_announce_is_not_asked)
{
	ctrl_rig_start_without(&rig, VIRTIO_NET_F_GUEST_ANNOUNCE);
	announce();
	cr_assert_eq(status(), NET_STATUS_LINK_UP);
}

/* --- queues ---------------------------------------------------------------------------------- */

/* covers: NET-CTRL-29 NET-CTRL-30 NET-CTRL-33 */
Test(net_ctrl, pairs_receive_when_the_driver_uses_them)
{
	uint8_t frame[64] = { 0 };

	memcpy(frame, net_rig_mac, 6);
	start();
	cr_assert_eq(rig.net.peer->n_active, 1);
	cr_assert_eq(ctrl_rig_receive(&rig, 0, frame, sizeof(frame)), 0);
	cr_assert_eq(ctrl_rig_receive(&rig, 1, frame, sizeof(frame)), CTRL_RIG_LOST);
	cr_assert_eq(run_u16(MQ, 0, 2), OK);
	cr_assert_eq(rig.net.peer->n_active, 2);
	cr_assert_eq(ctrl_rig_receive(&rig, 0, frame, sizeof(frame)), 0);
	cr_assert_eq(ctrl_rig_receive(&rig, 1, frame, sizeof(frame)), 1);
	cr_assert_eq(run_u16(MQ, 0, 1), OK);
	cr_assert_eq(rig.net.peer->n_active, 1);
	cr_assert_eq(ctrl_rig_receive(&rig, 1, frame, sizeof(frame)), CTRL_RIG_LOST);
	/* Reset: one pair again. */
	cr_assert_eq(run_u16(MQ, 0, 2), OK);
	start();
	cr_assert_eq(rig.net.peer->n_active, 1);
	cr_assert_eq(ctrl_rig_receive(&rig, 1, frame, sizeof(frame)), CTRL_RIG_LOST);
}

/* covers: NET-CTRL-36 */
Test(net_ctrl, number_of_pairs_that_cannot_be_changes_nothing)
{
	start();
	cr_assert_eq(run_u16(MQ, 0, 2), OK);
	cr_assert_eq(run_u16(MQ, 0, 0), ERR);
	cr_assert_eq(run_u16(MQ, 0, 3), ERR);
	cr_assert_eq(run_u16(MQ, 0, 0x8001), ERR);
	rig.net.peer->set_fails = EIO;
	cr_assert_eq(run_u16(MQ, 0, 1), ERR, "the host does not");
	rig.net.peer->set_fails = 0;
	cr_assert_eq(rig.net.peer->n_active, 2);
	ctrl_rig_start_without(&rig, VIRTIO_NET_F_MQ);
	cr_assert_eq(run_u16(MQ, 0, 1), ERR);
}

/* An RSS_CONFIG of 'entries' entries, all of pair 'pair', but the first 'n_other' of the other. */
static size_t fill_rss(uint8_t *p, uint32_t types, unsigned entries, unsigned n_other)
{
	memset(p, 0, 400);
	store_le32(p, types);
	store_le16(p + 4, (uint16_t)(entries - 1));
	store_le16(p + 6, 1);
	for (unsigned i = 0; i < entries; i++)
		store_le16(p + 8 + 2 * i, i < n_other ? 0 : 1);
	p += 8 + 2 * entries;
	store_le16(p, 2);
	p[2] = 40;
	for (unsigned i = 0; i < 40; i++)
		p[3 + i] = (uint8_t)(i * 37 + 11);
	return 8 + 2 * entries + 3 + 40;
}

static void udp_frame(uint8_t frame[64], unsigned flow)
{
	memset(frame, 0, 64);
	memcpy(frame, net_rig_mac, 6);
	frame[12] = 8;
	frame[14] = 0x45;
	frame[23] = 17;
	store_le32(frame + 26, 0x0100000a);
	store_le32(frame + 30, 0x0200000a);
	store_le16(frame + 34, (uint16_t)flow);
	store_le16(frame + 36, 53);
}

/* covers: NET-CTRL-37 NET-CTRL-40 NET-HASH-05 */
Test(net_ctrl, frames_go_where_the_table_says_wherever_they_arrive)
{
	uint8_t config[400], frame[64];
	struct net_rss reference;
	unsigned seen = 0;

	start();
	size_t len = fill_rss(config, NET_RSS_TYPES, 128, 64);
	struct iovec iov = { config, len };

	net_rss_init(&reference);
	cr_assert(net_rss_configure(&reference, &iov, 1, 0, len, 2));
	cr_assert_eq(run(MQ, 1, config, len), OK);
	for (unsigned flow = 0; flow < 64; flow++) {
		struct net_hash hash;

		udp_frame(frame, flow);
		hash = net_rss_hash(&reference, frame, sizeof(frame));
		for (unsigned at = 0; at < 2; at++) {
			int to = ctrl_rig_receive(&rig, at, frame, sizeof(frame));

			cr_assert_eq(to, (hash.value & 127) < 64 ? 0 : 1);
			cr_assert_eq(load_le32(rig.received + 12), hash.value);
			cr_assert_eq(load_le16(rig.received + 16), NET_HASH_UDPV4);
			seen |= 1u << to;
		}
	}
	cr_assert_eq(seen, 3);
	/* No hash: the unclassified queue. */
	frame[12] = 9;
	for (unsigned at = 0; at < 2; at++) {
		cr_assert_eq(ctrl_rig_receive(&rig, at, frame, sizeof(frame)), 1);
		cr_assert_eq(load_le16(rig.received + 16), NET_HASH_NONE);
	}
	/* Automatic steering again. */
	cr_assert_eq(run_u16(MQ, 0, 2), OK);
	for (unsigned at = 0; at < 2; at++)
		cr_assert_eq(ctrl_rig_receive(&rig, at, frame, sizeof(frame)), (int)at);
}

static void stop_queue(unsigned index)
{
	fake_driver_reset_queue(&rig.net.rig.driver, index);
	while (fake_driver_queue_in_reset(&rig.net.rig.driver, index))
		fake_machine_pump(rig.net.rig.machine);
}

/* After stop_queue. */
static void enable_queue(unsigned index)
{
	struct fake_driver *d = &rig.net.rig.driver;
	struct fake_ring *ring = &rig.net.rig.ring[index];
	uint64_t at = device_rig_alloc(&rig.net.rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));

	fake_driver_init_ring(d, ring, RIG_QUEUE_SIZE, at);
	fake_driver_set_queue(d, index, ring);
	fake_driver_enable_queue(d, index);
}

static void restart_queue(unsigned index)
{
	stop_queue(index);
	enable_queue(index);
}

/* Does a receive queue that starts anew find nothing of what came before? */
static bool starts_empty(unsigned index)
{
	struct fake_buf buf = { device_rig_alloc(&rig.net.rig, 2048), 2048, true };

	enable_queue(index);
	device_rig_add(&rig.net.rig, index, &buf, 1);
	return device_rig_is_quiet(&rig.net.rig, index);
}

/* covers: NET-CTRL-38 */
Test(net_ctrl, frame_for_a_queue_in_reset_is_dropped)
{
	uint8_t config[400], frame[64];

	start();
	cr_assert_eq(run(MQ, 1, config, fill_rss(config, NET_RSS_TYPES, 1, 0)), OK);
	udp_frame(frame, 1);
	cr_assert_eq(ctrl_rig_receive(&rig, 0, frame, sizeof(frame)), 1);
	stop_queue(2);
	for (unsigned at = 0; at < 2; at++)
		fake_peer_inject(rig.net.peer, at, frame, sizeof(frame));
	cr_assert(device_rig_is_quiet(&rig.net.rig, 0));
	cr_assert(starts_empty(2));
	cr_assert_not(fake_driver_status(&rig.net.rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
}

/* covers: NET-CTRL-32 */
Test(net_ctrl, frame_is_dropped_when_all_receive_queues_are_in_reset)
{
	uint8_t frame[64];

	start();
	cr_assert_eq(run_u16(MQ, 0, 2), OK);
	for (unsigned pair = 0; pair < 2; pair++)
		stop_queue(2 * pair);
	udp_frame(frame, 1);
	for (unsigned at = 0; at < 2; at++)
		fake_peer_inject(rig.net.peer, at, frame, sizeof(frame));
	for (unsigned pair = 0; pair < 2; pair++)
		cr_assert(starts_empty(2 * pair), "pair %u", pair);
	cr_assert_not(fake_driver_status(&rig.net.rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
}

/* covers: NET-CTRL-39 */
Test(net_ctrl, rss_configuration_that_cannot_be_changes_nothing)
{
	uint8_t config[400], bad[400], frame[64];
	size_t len;

	start();
	len = fill_rss(config, NET_RSS_TYPES, 4, 0);
	cr_assert_eq(run(MQ, 1, config, len), OK);
	for (unsigned variant = 0; variant < 9; variant++) {
		size_t bad_len = fill_rss(bad, NET_RSS_TYPES, 4, 4);

		switch (variant) {
		case 0: bad_len = fill_rss(bad, NET_RSS_TYPES, 3, 3); break;
		case 1: store_le16(bad + 4, 255); break;
		case 2: store_le16(bad + 6, 2); break;
		case 3: store_le16(bad + 8, 2); break;
		case 4: store_le16(bad + 16, 3); break;
		case 5: bad[18] = 41; break;
		case 6: store_le32(bad, 1 << 9); break;
		case 7: bad_len--; break;
		case 8: bad_len++; break;
		}
		cr_assert_eq(run(MQ, 1, bad, bad_len), ERR, "variant %u", variant);
	}
	udp_frame(frame, 1);
	cr_assert_eq(ctrl_rig_receive(&rig, 0, frame, sizeof(frame)), 1);
}

/* covers: NET-HASH-04 NET-HASH-07 NET-HASH-06 */
Test(net_ctrl, hash_is_reported_without_rss)
{
	uint8_t config[12 + 1 + 40] = { 0 }, frame[64];

	ctrl_rig_destroy(&rig);
	ctrl_rig_create(&rig, 1, FAKE_MMIO);
	struct features offered = ctrl_rig_features(&rig, FEATURE_NONE);

	cr_assert_not(features_has(&offered, VIRTIO_NET_F_RSS));
	start();
	udp_frame(frame, 9);
	cr_assert_eq(ctrl_rig_receive(&rig, 0, frame, sizeof(frame)), 0);
	cr_assert_eq(load_le16(rig.received + 16), NET_HASH_NONE);
	cr_assert_eq(load_le32(rig.received + 12), 0);
	store_le32(config, NET_RSS_TYPES);
	config[12] = 40;
	memset(config + 13, 0x55, 40);
	cr_assert_eq(run(MQ, 2, config, sizeof(config)), OK);
	cr_assert_eq(ctrl_rig_receive(&rig, 0, frame, sizeof(frame)), 0);
	cr_assert_eq(load_le16(rig.received + 16), NET_HASH_UDPV4);
	store_le32(config, NET_HASH_TYPE(NET_HASH_TCPV4));
	cr_assert_eq(run(MQ, 2, config, sizeof(config)), OK);
	cr_assert_eq(ctrl_rig_receive(&rig, 0, frame, sizeof(frame)), 0);
	cr_assert_eq(load_le16(rig.received + 16), NET_HASH_NONE);
}

/* covers: NET-CFG-07 NET-CFG-08 */
Test(net_ctrl, config_space_tells_what_rss_can_do)
{
	cr_assert_geq(fake_driver_config(&rig.net.rig.driver, NET_CONFIG_RSS_KEY_SIZE, 1), 40);
	cr_assert_geq(fake_driver_config(&rig.net.rig.driver, NET_CONFIG_RSS_TABLE_LEN, 2), 128);
	cr_assert_eq(fake_driver_config(&rig.net.rig.driver, NET_CONFIG_HASH_TYPES, 4), 0x1ff);
}

/* --- offloads -------------------------------------------------------------------------------- */

static uint8_t set_offloads(uint64_t mask)
{
	uint8_t raw[8];

	store_le64(raw, mask);
	return run(OFFLOADS, 0, raw, sizeof(raw));
}

static uint64_t bit(unsigned feature)
{
	return UINT64_C(1) << feature;
}

/* covers: NET-CTRL-43 */
Test(net_ctrl, offloads_are_on_at_first_and_follow_the_mask)
{
	uint64_t all = bit(VIRTIO_NET_F_GUEST_CSUM) | bit(VIRTIO_NET_F_GUEST_TSO4) |
		       bit(VIRTIO_NET_F_GUEST_TSO6) | bit(VIRTIO_NET_F_GUEST_ECN) |
		       bit(VIRTIO_NET_F_GUEST_UFO) | bit(VIRTIO_NET_F_GUEST_USO4) |
		       bit(VIRTIO_NET_F_GUEST_USO6);
	uint64_t few = bit(VIRTIO_NET_F_GUEST_CSUM) | bit(VIRTIO_NET_F_GUEST_TSO6);

	start();
	cr_assert_eq(rig.net.peer->offloads.word[0] & all, all);
	cr_assert_eq(set_offloads(0), OK);
	cr_assert_eq(rig.net.peer->offloads.word[0], 0);
	cr_assert_eq(set_offloads(few), OK);
	cr_assert_eq(rig.net.peer->offloads.word[0], few);
	cr_assert_eq(net()->pair[1].guest.word[0], few);
	cr_assert_eq(set_offloads(all), OK);
	cr_assert_eq(rig.net.peer->offloads.word[0], all);
	start();
	cr_assert_eq(rig.net.peer->offloads.word[0] & all, all);
}

/* covers: NET-CTRL-44 NET-CTRL-45 */
Test(net_ctrl, offload_that_was_not_accepted_is_an_error)
{
	uint64_t few = bit(VIRTIO_NET_F_GUEST_CSUM);

	ctrl_rig_start_without(&rig, VIRTIO_NET_F_GUEST_TSO4);
	cr_assert_eq(set_offloads(few), OK);
	cr_assert_eq(set_offloads(few | bit(VIRTIO_NET_F_GUEST_TSO4)), ERR);
	for (unsigned i = 0; i < 64; i++)
		if (i != VIRTIO_NET_F_GUEST_CSUM && i != VIRTIO_NET_F_GUEST_TSO6 &&
		    i != VIRTIO_NET_F_GUEST_ECN && i != VIRTIO_NET_F_GUEST_UFO &&
		    i != VIRTIO_NET_F_GUEST_USO4 && i != VIRTIO_NET_F_GUEST_USO6)
			cr_assert_eq(set_offloads(few | bit(i)),
				     i == VIRTIO_NET_F_GUEST_CSUM ? OK : ERR, "bit %u", i);
	cr_assert_eq(set_offloads(bit(VIRTIO_NET_F_GUEST_TSO6)), ERR, "segments need checksums");
	cr_assert_eq(rig.net.peer->offloads.word[0], few);
	rig.net.peer->set_fails = EIO;
	cr_assert_eq(set_offloads(0), ERR);
	rig.net.peer->set_fails = 0;
	cr_assert_eq(rig.net.peer->offloads.word[0], few);
	cr_assert_eq(set_offloads(few | bit(VIRTIO_NET_F_GUEST_ECN)), OK, "ECN of nothing");
	cr_assert_eq(rig.net.peer->offloads.word[0], few);
}

/* --- coalescing ------------------------------------------------------------------------------ */

static uint8_t set_all(uint8_t command, uint32_t max_packets, uint32_t max_usecs)
{
	uint8_t raw[8];

	store_le32(raw, max_packets);
	store_le32(raw + 4, max_usecs);
	return run(COAL, command, raw, sizeof(raw));
}

static uint8_t set_queue(unsigned index, uint32_t max_packets, uint32_t max_usecs)
{
	uint8_t raw[12];

	store_le16(raw, (uint16_t)index);
	store_le16(raw + 2, 0xa5a5);
	store_le32(raw + 4, max_packets);
	store_le32(raw + 8, max_usecs);
	return run(COAL, VQ_SET, raw, sizeof(raw));
}

static bool get_queue(unsigned index, uint32_t *max_packets, uint32_t *max_usecs)
{
	struct fake_buf buf[] = { { rig.command, 6, false }, { rig.ack, 9, true } };
	uint8_t *p = device_rig_at(&rig.net.rig, rig.command, 6);
	uint8_t *in = device_rig_at(&rig.net.rig, rig.ack, 9);
	uint32_t len;

	memcpy(p, (uint8_t[]){ COAL, VQ_GET, (uint8_t)index, (uint8_t)(index >> 8), 0xa5, 0xa5 }, 6);
	memset(in, 0xee, 9);
	len = ctrl_rig_chain(&rig, buf, 2);
	*max_packets = load_le32(in + 1);
	*max_usecs = load_le32(in + 5);
	cr_assert_eq(len, in[0] == OK ? 9 : 1);
	return in[0] == OK;
}

static void expect_params(unsigned index, uint32_t max_packets, uint32_t max_usecs)
{
	uint32_t packets, usecs;

	cr_assert(get_queue(index, &packets, &usecs), "queue %u", index);
	cr_assert_eq(packets, max_packets, "queue %u", index);
	cr_assert_eq(usecs, max_usecs, "queue %u", index);
}

/* covers: NET-CTRL-46 */
Test(net_ctrl, last_parameters_that_were_set_count)
{
	start();
	for (unsigned i = 0; i < 4; i++)
		expect_params(i, 0, 0);
	cr_assert_eq(set_all(RX_SET, 10, 100), OK);
	expect_params(0, 10, 100);
	expect_params(1, 0, 0);
	expect_params(2, 10, 100);
	cr_assert_eq(set_queue(0, 5, 50), OK);
	expect_params(0, 5, 50);
	expect_params(2, 10, 100);
	cr_assert_eq(set_queue(1, 6, 60), OK);
	expect_params(3, 0, 0);
	cr_assert_eq(set_all(TX_SET, 7, 70), OK);
	expect_params(1, 7, 70);
	expect_params(3, 7, 70);
	expect_params(0, 5, 50);
}

/* covers: NET-CTRL-54 */
Test(net_ctrl, reset_forgets_all_coalescing)
{
	start();
	cr_assert_eq(set_all(RX_SET, 10, 100), OK);
	cr_assert_eq(set_all(TX_SET, 10, 100), OK);
	cr_assert_eq(set_queue(3, 5, 50), OK);
	start();
	for (unsigned i = 0; i < 4; i++)
		expect_params(i, 0, 0);
}

/* covers: NET-CTRL-49 */
Test(net_ctrl, coalescing_of_a_queue_that_is_none_is_an_error)
{
	static const unsigned none[] = { 4, 5, 6, 0xffff };
	uint32_t packets, usecs;

	start();
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
		cr_assert_eq(set_queue(none[i], 1, 1), ERR);
		cr_assert_not(get_queue(none[i], &packets, &usecs));
	}
	stop_queue(2);
	cr_assert_eq(set_queue(2, 1, 1), ERR);
	cr_assert_not(get_queue(2, &packets, &usecs));
	expect_params(0, 0, 0);
}

/* covers: NET-CTRL-47 NET-CTRL-48 */
Test(net_ctrl, coalescing_without_a_timer_is_an_error_and_changes_nothing)
{
	struct rlimit before, none;

	start();
	cr_assert_eq(set_all(RX_SET, 10, 100), OK);
	cr_assert_eq(set_queue(0, 11, 110), OK);
	/* No descriptor can be made any more; the second pair's queue would need one. */
	cr_assert_eq(set_queue(2, 0, 0), OK);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_assert_eq(set_all(TX_SET, 20, 200), ERR);
	cr_assert_eq(set_queue(1, 20, 200), ERR);
	cr_assert_eq(set_all(RX_SET, 30, 300), ERR);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	expect_params(0, 11, 110);
	expect_params(1, 0, 0);
	expect_params(2, 0, 0);
	expect_params(3, 0, 0);
	restart_queue(0);
	expect_params(0, 10, 100);
}

/* covers: NET-CTRL-50 NET-CTRL-51 */
Test(net_ctrl, queue_that_starts_anew_gets_what_all_have)
{
	start();
	restart_queue(2);
	expect_params(2, 0, 0);
	cr_assert_eq(set_all(RX_SET, 10, 100), OK);
	cr_assert_eq(set_all(TX_SET, 20, 200), OK);
	cr_assert_eq(set_queue(2, 1, 1), OK);
	cr_assert_eq(set_queue(3, 2, 2), OK);
	restart_queue(2);
	restart_queue(3);
	expect_params(2, 10, 100);
	expect_params(3, 20, 200);
	/* Also when it was set while the queue did not run. */
	fake_driver_reset_queue(&rig.net.rig.driver, 2);
	cr_assert_eq(set_all(RX_SET, 11, 110), OK);
	restart_queue(2);
	expect_params(2, 11, 110);
}

Test(net_ctrl, get_without_room_for_the_result_is_an_error)
{
	struct fake_buf buf[] = { { 0, 6, false }, { 0, 8, true } };
	uint8_t *in;

	start();
	buf[0].addr = rig.command;
	buf[1].addr = rig.ack;
	memcpy(device_rig_at(&rig.net.rig, rig.command, 6),
	       (uint8_t[]){ COAL, VQ_GET, 0, 0, 0, 0 }, 6);
	in = device_rig_at(&rig.net.rig, rig.ack, 8);
	memset(in, 0xee, 8);
	cr_assert_eq(ctrl_rig_chain(&rig, buf, 2), 1);
	cr_assert_eq(in[0], ERR);
	cr_assert_eq(in[1], 0xee);
}

/* --- legacy ---------------------------------------------------------------------------------- */

/*
 * Guests of this machine are little-endian.
 * covers: NET-LEGACY-04 NET-LEGACY-06 NET-LEGACY-07 NET-LEGACY-08
 */
Test(net_ctrl, legacy_driver_sends_commands_too)
{
	ctrl_rig_destroy(&rig);
	ctrl_rig_create(&rig, CTRL_RIG_PAIRS, FAKE_PCI_LEGACY);
	start();
	cr_assert_eq(run_u8(RX, PROMISC, 1), OK);
	cr_assert(ctrl_rig_gets(&rig, foreign));
	cr_assert_eq(run_u8(RX, PROMISC, 0), OK);
	cr_assert_not(ctrl_rig_gets(&rig, foreign));
	cr_assert_eq(run_u16(MQ, 0, 2), OK);
	cr_assert_eq(run_u16(VLAN, 0, 4095), OK);
	cr_assert_eq(set_tables(foreign, group), OK);
	cr_assert_eq(set_offloads(0), OK);
}

/* A driver that knows no MAC_ADDR_SET writes its address, first byte to last. */
Test(net_ctrl, filter_follows_the_address_that_a_legacy_driver_writes)
{
	ctrl_rig_destroy(&rig);
	ctrl_rig_create(&rig, 1, FAKE_PCI_LEGACY);
	ctrl_rig_start_without(&rig, VIRTIO_NET_F_CTRL_MAC_ADDR);
	for (unsigned i = 0; i < 6; i++)
		fake_driver_set_config(&rig.net.rig.driver, i, 1, foreign[i]);
	cr_assert(ctrl_rig_gets(&rig, foreign));
	cr_assert_not(ctrl_rig_gets(&rig, net_rig_mac));
}
