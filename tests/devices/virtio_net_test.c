/* The network device's face: what it offers, its configuration bytes, its queues' places. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/net_rig.h"
#include "vmm/base/le.h"

static struct net_rig net;

static void teardown(void)
{
	net_rig_destroy(&net);
}

TestSuite(virtio_net, .fini = teardown);

static void create(struct net_rig_options options)
{
	net_rig_create(&net, &options);
}

static bool has(struct features f, unsigned bit)
{
	return features_has(&f, bit);
}

/* --- features -------------------------------------------------------------------------------- */

static void check_offer(struct features f)
{
	bool csum = has(f, VIRTIO_NET_F_CSUM), guest_csum = has(f, VIRTIO_NET_F_GUEST_CSUM);
	bool ctrl = has(f, VIRTIO_NET_F_CTRL_VQ);
	static const uint8_t guest[] = { VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
					 VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_USO4,
					 VIRTIO_NET_F_GUEST_USO6 };
	static const uint8_t host[] = { VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
					VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_HOST_USO };
	static const uint8_t of_ctrl[] = {
		VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_RX_EXTRA,
		VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_MAC_ADDR,
		VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_RSS, VIRTIO_NET_F_HASH_REPORT,
		VIRTIO_NET_F_NOTF_COAL, VIRTIO_NET_F_VQ_NOTF_COAL,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(guest); i++)
		cr_assert(guest_csum || !has(f, guest[i]));
	for (unsigned i = 0; i < ARRAY_SIZE(host); i++)
		cr_assert(csum || !has(f, host[i]));
	for (unsigned i = 0; i < ARRAY_SIZE(of_ctrl); i++)
		cr_assert(ctrl || !has(f, of_ctrl[i]));
	cr_assert(!has(f, VIRTIO_NET_F_GUEST_ECN) || has(f, VIRTIO_NET_F_GUEST_TSO4) ||
		  has(f, VIRTIO_NET_F_GUEST_TSO6));
	cr_assert(!has(f, VIRTIO_NET_F_HOST_ECN) || has(f, VIRTIO_NET_F_HOST_TSO4) ||
		  has(f, VIRTIO_NET_F_HOST_TSO6));
	/* RSC_EXT, HASH_TUNNEL, STANDBY, GUEST_HDRLEN, DEVICE_STATS, and all from 64 on. */
	cr_assert_not(has(f, 61) || has(f, 51) || has(f, 62) || has(f, 59) || has(f, 50));
	cr_assert_eq(f.word[1], 0);
	/* Legacy GSO, GUEST_RSC4, GUEST_RSC6 */
	cr_assert_not(has(f, 6) || has(f, 41) || has(f, 42));
}

static struct features offer_of(struct features offloads, struct features off, unsigned n_pairs)
{
	struct fake_peer *peer = fake_peer_create(offloads, n_pairs);
	struct virtio_net_config config = {
		.name = "net0", .peer = &peer->base, .n_pairs = n_pairs, .queue_size = 64,
		.loop = &net.rig.io, .n_loops = 1,
	};
	struct virtio_device *dev;

	cr_assert_eq(virtio_net_create(&dev, &config), 0);
	virtio_device_want_features(dev, FEATURES_EMPTY, off);
	cr_assert_eq(virtio_device_settle_features(dev, FEATURE_ANY, FEATURES_EMPTY), 0);
	struct features f = virtio_device_offered(dev);
	dev->ops->destroy(dev);
	return f;
}

/*
 * Whatever the peer can do and the user forbids.
 * covers: NET-FEAT-01 NET-FEAT-02 NET-FEAT-03 NET-FEAT-04 NET-FEAT-05 NET-FEAT-06 NET-FEAT-07
 * covers: NET-FEAT-08 NET-FEAT-09 NET-FEAT-10 NET-CFG-13 NET-CFG-14
 */
Test(virtio_net, offers_nothing_without_what_it_needs)
{
	uint64_t random = 1;

	create((struct net_rig_options){ 0 });
	for (unsigned i = 0; i < 300; i++) {
		struct features offloads = { { random >> 8, 0 } };
		struct features off = FEATURES_EMPTY;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		off.word[0] = i % 3 ? random & random >> 20 & ~(UINT64_C(1) << VIRTIO_F_VERSION_1) :
				      0;
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		check_offer(offer_of(offloads, off, 1 + i % 2));
	}
}

Test(virtio_net, offers_the_offloads_of_its_peer_and_no_others)
{
	static const uint8_t always[] = { VIRTIO_NET_F_MAC, VIRTIO_NET_F_STATUS,
					  VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_SPEED_DUPLEX };

	create((struct net_rig_options){ .no_offloads = true });
	struct features f = fake_driver_offered(&net.rig.driver);
	cr_assert_not(has(f, VIRTIO_NET_F_CSUM) || has(f, VIRTIO_NET_F_GUEST_CSUM));
	cr_assert_not(has(f, VIRTIO_NET_F_MTU));
	for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
		cr_assert(has(f, always[i]));
	net_rig_destroy(&net);
	create((struct net_rig_options){ .mtu = 1400 });
	f = fake_driver_offered(&net.rig.driver);
	cr_assert(has(f, VIRTIO_NET_F_CSUM) && has(f, VIRTIO_NET_F_GUEST_USO6));
	cr_assert(has(f, VIRTIO_NET_F_MTU));
}

/* covers: NET-FEAT-11 */
Test(virtio_net, a_bit_without_what_it_needs_is_refused)
{
	create((struct net_rig_options){ 0 });
	struct features all = fake_driver_offered(&net.rig.driver);
	struct features f = all;

	features_remove(&f, VIRTIO_NET_F_GUEST_CSUM);
	cr_assert_not(fake_driver_negotiate(&net.rig.driver, f));
	f = all;
	features_remove(&f, VIRTIO_NET_F_CSUM);
	cr_assert_not(fake_driver_negotiate(&net.rig.driver, f));
	cr_assert(fake_driver_negotiate(&net.rig.driver, all));
}

/* --- configuration --------------------------------------------------------------------------- */

/*
 * covers: NET-CFG-02 NET-CFG-03 NET-CFG-10 NET-CFG-11 NET-CFG-15 NET-CFG-16 NET-CFG-01
 * covers: NET-LEGACY-01
 */
Test(virtio_net, configuration_has_its_layout_at_every_interface)
{
	for (unsigned t = 0; t < FAKE_TRANSPORTS; t++) {
		struct fake_driver *d = &net.rig.driver;

		create((struct net_rig_options){ .transport = (enum fake_transport)t,
						 .mtu = 1450, .n_pairs = 2 });
		for (unsigned i = 0; i < 6; i++)
			cr_assert_eq(fake_driver_config(d, i, 1), net_rig_mac[i]);
		cr_assert_eq(fake_driver_config(d, 6, 2), 1);
		cr_assert_eq(fake_driver_config(d, 8, 2), 2);
		cr_assert_eq(fake_driver_config(d, 10, 2), 1450);
		cr_assert_eq(fake_driver_config(d, 12, 4), 10000);
		cr_assert_eq(fake_driver_config(d, 16, 1), 1);
		cr_assert_eq(fake_driver_config(d, 17, 1), 40);
		cr_assert_eq(fake_driver_config(d, 18, 2), 128);
		cr_assert_eq(fake_driver_config(d, 20, 4), 0x1ff);
		cr_assert_eq(fake_driver_config(d, 24, 4), 0);
		net_rig_destroy(&net);
	}
}

/* covers: NET-CFG-04 NET-CFG-18 NET-CFG-12 */
Test(virtio_net, a_modern_driver_writes_nothing)
{
	static const enum fake_transport modern[] = { FAKE_PCI, FAKE_MMIO, FAKE_TRANSITIONAL };

	for (unsigned t = 0; t < ARRAY_SIZE(modern); t++) {
		struct fake_driver *d = &net.rig.driver;
		uint8_t before[24], after[24];

		create((struct net_rig_options){ .transport = modern[t], .mtu = 1450 });
		net_rig_start_without(&net, 2, -1);
		for (unsigned i = 0; i < 24; i++)
			before[i] = (uint8_t)fake_driver_config(d, i, 1);
		for (unsigned i = 0; i < 24; i++)
			fake_driver_set_config(d, i, 1, 0xa5);
		net_rig_set_link(&net, false);
		net_rig_set_link(&net, true);
		for (unsigned i = 0; i < 24; i++)
			after[i] = (uint8_t)fake_driver_config(d, i, 1);
		cr_assert_arr_eq(before, after, 24);
		net_rig_destroy(&net);
	}
}

/* covers: NET-LEGACY-02 NET-LEGACY-05 */
Test(virtio_net, a_legacy_driver_writes_the_address)
{
	static const enum fake_transport legacy[] = { FAKE_TRANSITIONAL_LEGACY, FAKE_PCI_LEGACY,
						      FAKE_MMIO_LEGACY };

	for (unsigned t = 0; t < ARRAY_SIZE(legacy); t++) {
		struct fake_driver *d = &net.rig.driver;

		create((struct net_rig_options){ .transport = legacy[t] });
		/* Before its features count, and after. */
		for (unsigned round = 0; round < 2; round++) {
			for (unsigned i = 0; i < 6; i++)
				fake_driver_set_config(d, i, 1, 0x20 + i + round);
			fake_driver_set_config(d, 6, 2, 0);
			fake_driver_set_config(d, 10, 2, 9);
			for (unsigned i = 0; i < 6; i++)
				cr_assert_eq(fake_driver_config(d, i, 1), 0x20 + i + round);
			cr_assert_eq(fake_driver_config(d, 6, 2), 1);
			cr_assert_eq(fake_driver_config(d, 10, 2), 0);
			if (round == 0)
				net_rig_start_without(&net, 2, -1);
		}
		fake_driver_reset(d);
		for (unsigned i = 0; i < 6; i++)
			cr_assert_eq(fake_driver_config(d, i, 1), net_rig_mac[i]);
		net_rig_destroy(&net);
	}
}

/* covers: NET-CFG-17 */
Test(virtio_net, a_change_of_the_link_is_told)
{
	struct fake_driver *d = &net.rig.driver;

	create((struct net_rig_options){ .link_down = true, .transport = FAKE_MMIO });
	cr_assert_eq(fake_driver_config(d, 6, 2), 0);
	net_rig_start_without(&net, 2, -1);
	fake_driver_take_isr(d);
	uint32_t generation = fake_driver_generation(d);
	net_rig_set_link(&net, true);
	cr_assert_eq(fake_driver_take_isr(d), 2);
	cr_assert_eq(fake_driver_config(d, 6, 2), 1);
	cr_assert_neq(fake_driver_generation(d), generation);
	cr_assert(net.peer->link_up);
	net_rig_set_link(&net, true);
	cr_assert_eq(fake_driver_take_isr(d), 0);
	net_rig_set_link(&net, false);
	cr_assert_eq(fake_driver_take_isr(d), 2);
	cr_assert_eq(fake_driver_config(d, 6, 2), 0);
	cr_assert_not(net.peer->link_up);
}

/* covers: NET-CFG-19 */
Test(virtio_net, without_a_link_nothing_passes_whether_the_driver_knows_or_not)
{
	const struct net_header none = { 0 };
	uint8_t frame[100], got[100];
	struct net_header h;

	net_rig_fill(frame, sizeof(frame), 1);
	for (unsigned round = 0; round < 2; round++) {
		create((struct net_rig_options){ .transport = FAKE_MMIO });
		net_rig_start_without(&net, 2, round ? VIRTIO_NET_F_STATUS : -1, -1);
		uint64_t gpa = net_rig_offer(&net, 0, 2048);
		net_rig_set_link(&net, false);
		cr_assert_eq(net_rig_send(&net, 1, &none, frame, sizeof(frame)), 0);
		cr_assert_eq(fake_peer_n_sent(net.peer, 0), 0);
		fake_peer_give(net.peer, 0, &none, frame, sizeof(frame));
		cr_assert(device_rig_is_quiet(&net.rig, 0));
		cr_assert_eq(fake_peer_n_arriving(net.peer, 0), 0);
		/* What comes when it is back is what comes then. */
		net_rig_set_link(&net, true);
		frame[20] ^= 1;
		fake_peer_give(net.peer, 0, &none, frame, sizeof(frame));
		cr_assert_eq(device_rig_wait(&net.rig, 0, NULL), 12 + sizeof(frame));
		cr_assert_arr_eq(device_rig_at(&net.rig, gpa + 12, 100), frame, 100);
		cr_assert_eq(net_rig_send(&net, 1, &none, frame, sizeof(frame)), 0);
		cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), 100);
		net_rig_destroy(&net);
	}
}

/* --- queues and sessions --------------------------------------------------------------------- */

/* covers: NET-VQ-04 NET-CTRL-29 */
Test(virtio_net, queues_beyond_the_layout_are_inert)
{
	const struct net_header none = { 0 };
	uint8_t frame[64];

	net_rig_fill(frame, sizeof(frame), 1);
	create((struct net_rig_options){ .transport = FAKE_MMIO, .n_pairs = 2 });
	net_rig_start_without(&net, 5, VIRTIO_NET_F_MQ, VIRTIO_NET_F_RSS, VIRTIO_NET_F_CTRL_VQ, -1);
	for (unsigned q = 2; q < 5; q++) {
		net_rig_offer(&net, q, 2048);
		cr_assert(device_rig_is_quiet(&net.rig, q), "queue %u", q);
	}
	cr_assert_eq(net.peer->n_pairs, 1);
	/* The pair that there is works on. */
	cr_assert_eq(net_rig_send(&net, 1, &none, frame, sizeof(frame)), 0);
	cr_assert_eq(fake_peer_n_sent(net.peer, 0), 1);
	cr_assert_eq(fake_peer_n_sent(net.peer, 1), 0);
}

/* PROMISC on, to queue 'q'.  Returns whether it was answered with OK. */
static bool is_control_queue(unsigned q)
{
	uint64_t gpa = device_rig_alloc(&net.rig, 16);
	uint8_t *p = device_rig_at(&net.rig, gpa, 16);
	struct fake_buf buf[] = { { gpa, 2, false }, { gpa + 4, 1, false }, { gpa + 8, 1, true } };

	p[0] = 0;
	p[1] = 0;
	p[4] = 1;
	device_rig_add(&net.rig, q, buf, 3);
	for (unsigned i = 0; i < 100; i++) {
		uint32_t head, len;

		fake_machine_pump(net.rig.machine);
		if (fake_ring_reap(&net.rig.ring[q], &head, &len))
			return len == 1 && p[8] == 0;
		usleep(500);
	}
	return false;
}

/* covers: NET-VQ-01 NET-VQ-02 NET-VQ-03 */
Test(virtio_net, the_control_queue_is_behind_the_pairs_that_can_be_used)
{
	create((struct net_rig_options){ .transport = FAKE_MMIO, .n_pairs = 2 });
	net_rig_start_without(&net, 5, -1);
	cr_assert(is_control_queue(4));
	net_rig_start_without(&net, 5, VIRTIO_NET_F_MQ, -1);
	cr_assert(is_control_queue(4));	/* RSS can use all of them, too */
	net_rig_start_without(&net, 5, VIRTIO_NET_F_MQ, VIRTIO_NET_F_RSS, -1);
	cr_assert(is_control_queue(2));
	cr_assert_not(is_control_queue(4));
	net_rig_start_without(&net, 5, VIRTIO_NET_F_CTRL_VQ, -1);
	cr_assert_not(is_control_queue(2));
	cr_assert_not(is_control_queue(4));
	net_rig_destroy(&net);
	create((struct net_rig_options){ .transport = FAKE_MMIO, .n_pairs = 1 });
	net_rig_start_without(&net, 3, -1);
	cr_assert(is_control_queue(2));
}

/* Offloads are what the driver accepted, while it runs; and nothing before and after. */
Test(virtio_net, the_peer_is_told_what_was_accepted_and_nothing_else)
{
	create((struct net_rig_options){ .transport = FAKE_MMIO });
	cr_assert_eq(net.peer->n_starts, 0);
	net_rig_start_without(&net, 2, -1);
	cr_assert(net.peer->is_started);
	cr_assert_eq(net.peer->header_len, net.header_len);
	cr_assert(has(net.peer->offloads, VIRTIO_NET_F_GUEST_TSO4));
	fake_driver_reset(&net.rig.driver);
	cr_assert_not(net.peer->is_started);
	cr_assert(features_is_empty(net.peer->offloads));
	net_rig_start_without(&net, 2, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
			      VIRTIO_NET_F_GUEST_ECN, -1);
	cr_assert_not(has(net.peer->offloads, VIRTIO_NET_F_GUEST_TSO4));
	cr_assert(has(net.peer->offloads, VIRTIO_NET_F_GUEST_CSUM));
	fake_driver_reset(&net.rig.driver);
	cr_assert_eq(net.peer->n_starts, net.peer->n_stops);
}

Test(virtio_net, a_peer_that_does_not_start_is_a_device_that_needs_reset)
{
	struct fake_driver *d = &net.rig.driver;

	create((struct net_rig_options){ .transport = FAKE_MMIO });
	net.peer->start_fails = -5;
	cr_assert(fake_driver_negotiate(d, fake_driver_offered(d)));
	fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_DRIVER_OK);
	cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	net.peer->start_fails = 0;
	net_rig_start_without(&net, 2, -1);
}

/* Not once per look: the guest hears of it, and the loop has peace. */
Test(virtio_net, a_peer_that_is_gone_is_a_device_that_needs_reset)
{
	struct fake_driver *d = &net.rig.driver;

	create((struct net_rig_options){ .transport = FAKE_MMIO });
	net_rig_start_without(&net, 2, -1);
	net_rig_offer(&net, 0, 2048);
	fake_peer_lose(net.peer, -77);
	for (unsigned i = 0; i < 1000 && !(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET); i++) {
		usleep(1000);
		fake_machine_pump(net.rig.machine);
	}
	cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_not(net.peer->is_started);
}

/* A ring alone, while the other goes on; and after it all as before. */
Test(virtio_net, a_queue_can_be_reset_alone)
{
	static const unsigned queues[] = { 1, 0 };
	const struct net_header none = { 0 };
	uint8_t frame[64], got[64];
	struct net_header h;

	net_rig_fill(frame, sizeof(frame), 3);
	create((struct net_rig_options){ .transport = FAKE_MMIO });
	net_rig_start_without(&net, 2, -1);
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
		unsigned q = queues[i];
		struct fake_driver *d = &net.rig.driver;

		fake_driver_reset_queue(d, q);
		cr_assert_not(fake_driver_queue_in_reset(d, q));
		/* Without the receive ring a frame is for nobody, later neither. */
		fake_peer_give(net.peer, 0, &none, frame, sizeof(frame));
		usleep(20000);
		uint64_t at = device_rig_alloc(&net.rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));
		fake_driver_init_ring(d, &net.rig.ring[q], RIG_QUEUE_SIZE, at);
		fake_driver_set_queue(d, q, &net.rig.ring[q]);
		fake_driver_enable_queue(d, q);
		if (q == 0)
			cr_assert_eq(fake_peer_n_arriving(net.peer, 0), 0);
		cr_assert_eq(net_rig_send(&net, 1, &none, frame, sizeof(frame)), 0);
		cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), sizeof(frame));
	}
	net_rig_offer(&net, 0, 2048);
	fake_peer_give(net.peer, 0, &none, frame, sizeof(frame));
	cr_assert_eq(device_rig_wait(&net.rig, 0, NULL), 12 + sizeof(frame));
}

/* Nothing is taken from either ring while suspended, and nothing is lost over it. */
Test(virtio_net, a_suspended_device_holds_frames_back)
{
	const struct net_header none = { 0 };
	struct fake_driver *d = &net.rig.driver;
	struct features f = { { UINT64_MAX, UINT64_MAX } };
	uint8_t frame[64], got[64];
	struct net_header h;

	net_rig_fill(frame, sizeof(frame), 3);
	create((struct net_rig_options){ .transport = FAKE_MMIO, .suspend = true });
	features_remove(&f, VIRTIO_F_EVENT_IDX);
	features_remove(&f, VIRTIO_F_RING_PACKED);
	features_remove(&f, VIRTIO_F_IN_ORDER);
	net_rig_start(&net, f, 2);
	uint64_t gpa = net_rig_offer(&net, 0, 2048);
	cr_assert_eq(net_rig_send(&net, 1, &none, frame, sizeof(frame)), 0);
	cr_assert_eq(fake_peer_take(net.peer, 0, &h, got, sizeof(got)), 64);
	fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_SUSPEND);
	for (unsigned i = 0; i < 1000 && !(fake_driver_status(d) & VIRTIO_STATUS_SUSPEND); i++)
		usleep(1000);
	cr_assert(fake_driver_status(d) & VIRTIO_STATUS_SUSPEND);
	fake_peer_give(net.peer, 0, &none, frame, sizeof(frame));
	cr_assert(device_rig_is_quiet(&net.rig, 0));
	cr_assert_not(net.peer->wants_readable[0]);
	fake_driver_set_status(d, 0xf);
	cr_assert_eq(device_rig_wait(&net.rig, 0, NULL), 12 + 64);
	cr_assert_arr_eq(device_rig_at(&net.rig, gpa + 12, 64), frame, 64);
	cr_assert_eq(net_rig_send(&net, 1, &none, frame, sizeof(frame)), 0);
}

/*
 * A frame that arrives while Bus Master Enable is off comes when it is on again.
 * covers: PCI-BUS-02
 */
Test(virtio_net, without_bus_mastering_frames_wait)
{
	enum { COMMAND = 4, MASTER_OFF = 3, MASTER_ON = 7 };
	const struct net_header none = { 0 };
	struct fake_driver *d = &net.rig.driver;
	struct features f = { { UINT64_MAX, UINT64_MAX } };
	uint8_t frame[64];

	net_rig_fill(frame, sizeof(frame), 3);
	features_remove(&f, VIRTIO_F_EVENT_IDX);
	features_remove(&f, VIRTIO_F_RING_PACKED);
	features_remove(&f, VIRTIO_F_IN_ORDER);
	create((struct net_rig_options){ .transport = FAKE_PCI });
	net_rig_start(&net, f, 2);
	uint64_t gpa = net_rig_offer(&net, 0, 2048);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	fake_peer_give(net.peer, 0, &none, frame, sizeof(frame));
	cr_assert(device_rig_is_quiet(&net.rig, 0));
	for (unsigned i = 0; i < 2048; i++)
		cr_assert_eq(*(uint8_t *)device_rig_at(&net.rig, gpa + i, 1), 0xcc);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_ON);
	cr_assert_eq(device_rig_wait(&net.rig, 0, NULL), 12 + 64);
	cr_assert_arr_eq(device_rig_at(&net.rig, gpa + 12, 64), frame, 64);
}
