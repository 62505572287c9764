/*
 * A real tap in a network namespace of the test's own, with a packet socket as the rest of the
 * network.  Skipped, naming what is missing, where such a namespace or /dev/net/tun cannot be had.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/net_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum { ETHER_TYPE = 0x88b5, WAIT_MS = 10000 };

static struct net_rig net;
static int wire = FD_NONE;	/* packet socket on the tap's host side */

/* All of it happens in a namespace that goes with the test's process. */
static void setup(void)
{
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		cr_skip_test("no /dev/net/tun");
	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("no network namespace: %s", strerror(errno));
}

static void teardown(void)
{
	net_rig_destroy(&net);
	fd_close(&wire);
}

TestSuite(tap, .init = setup, .fini = teardown);

/* --- taps that somebody made before ---------------------------------------------------------- */

static int open_tap(const char *name, unsigned flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	cr_assert_eq(ioctl(fd, TUNSETIFF, &ifr), 0, "%s", strerror(errno));
	return fd;
}

/* As 'ip tuntap add' does. */
static void make_persistent(const char *name, unsigned flags)
{
	int fd = open_tap(name, flags);

	cr_assert_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
}

static int create(const char *ifname, int fd, unsigned n_pairs, struct net_peer **peer)
{
	const struct net_tap_config config = {
		.name = "net0", .ifname = ifname, .fd = fd, .n_pairs = n_pairs,
	};

	return net_tap_create(peer, &config);
}

/* The whole chain and its hint hold 'part'. */
static void expect_error(int r, int err, const char *part)
{
	struct error_chain chain;
	bool found = false;

	cr_assert_eq(r, -err, "%d, not '%s'", r, part);
	error_save(&chain);
	for (unsigned i = 0; i < chain.n; i++)
		found |= strstr(chain.line[i], part) != NULL;
	cr_assert(found || strstr(chain.hint, part), "'%s' not in '%s' (%s)", part, chain.line[0],
		  chain.hint);
	error_clear();
}

static void destroy(struct net_peer *peer)
{
	peer->ops->destroy(peer);
}

static unsigned flags_of(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	cr_assert_eq(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	close(fd);
	return (unsigned short)ifr.ifr_flags;
}

/* --- opening --------------------------------------------------------------------------------- */

Test(tap, is_made_up_and_goes_with_its_peer)
{
	struct net_peer *peer;

	cr_assert_eq(create("vt-new", FD_NONE, 1, &peer), 0);
	cr_assert_neq(if_nametoindex("vt-new"), 0);
	cr_assert(flags_of("vt-new") & IFF_UP);
	cr_assert_str_eq(peer->describe, "tap vt-new");
	cr_assert(features_has(&peer->offloads, VIRTIO_NET_F_CSUM));
	cr_assert(features_has(&peer->offloads, VIRTIO_NET_F_GUEST_TSO6));
	cr_assert_geq(peer->ops->vhost_fd(peer, 0), 0);
	cr_assert_eq(peer->ops->vhost_fd(peer, 1), FD_NONE);
	destroy(peer);
	cr_assert_eq(if_nametoindex("vt-new"), 0);
}

Test(tap, that_exists_is_used_as_it_is)
{
	struct net_peer *peer;

	make_persistent("vt-old", IFF_TAP | IFF_NO_PI);
	make_persistent("vt-many", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
	cr_assert_eq(create("vt-old", FD_NONE, 1, &peer), 0);
	/* It is somebody else's to switch on. */
	cr_assert_not(flags_of("vt-old") & IFF_UP);
	destroy(peer);
	cr_assert_eq(create("vt-many", FD_NONE, 1, &peer), 0);
	destroy(peer);
	cr_assert_eq(create("vt-many", FD_NONE, 4, &peer), 0);
	destroy(peer);
	cr_assert_neq(if_nametoindex("vt-old"), 0);
	cr_assert_neq(if_nametoindex("vt-many"), 0);
}

Test(tap, that_does_not_fit_is_told_with_the_reason)
{
	struct net_peer *peer;

	make_persistent("vt-one", IFF_TAP | IFF_NO_PI);
	expect_error(create("vt-one", FD_NONE, 2, &peer), EINVAL, "without multi_queue");
	cr_assert_null(peer);
	make_persistent("vt-tun", IFF_TUN | IFF_NO_PI);
	expect_error(create("vt-tun", FD_NONE, 1, &peer), EINVAL, "is a tun");
	expect_error(create("lo", FD_NONE, 1, &peer), EINVAL, "is not a tap");
	int fd = open_tap("vt-one", IFF_TAP | IFF_NO_PI);
	expect_error(create("vt-one", FD_NONE, 1, &peer), EBUSY, "in use by another program");
	close(fd);
	cr_assert_eq(create("vt-one", FD_NONE, 1, &peer), 0);
	destroy(peer);
}

Test(tap, without_the_right_to_it_is_told_with_the_command)
{
	struct net_peer *peer;
	struct stat node;

	cr_assert_eq(stat("/dev/net/tun", &node), 0);
	make_persistent("vt-root", IFF_TAP | IFF_NO_PI);
	int fd = open_tap("vt-root", IFF_TAP | IFF_NO_PI);
	cr_assert_eq(ioctl(fd, TUNSETOWNER, 1), 0);
	close(fd);
	if (seteuid(65534) < 0)
		cr_skip_test("cannot become another user");
	if (access("/dev/net/tun", F_OK) == 0 && !(node.st_mode & 2)) {
		expect_error(create("vt-x", FD_NONE, 1, &peer), EACCES, "--net user");
		return;
	}
	expect_error(create("vt-x", FD_NONE, 1, &peer), EPERM, "ip tuntap add vt-x mode tap");
	expect_error(create("vt-root", FD_NONE, 2, &peer), EPERM, "multi_queue user");
}

Test(tap, that_was_opened_before_is_judged)
{
	struct net_peer *peer;

	expect_error(create(NULL, open("/dev/null", O_RDWR), 1, &peer), ENOTTY, "not an open tap");
	expect_error(create(NULL, open_tap("a0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR), 1, &peer),
		     EINVAL, "IFF_TAP");
	expect_error(create(NULL, open_tap("a1", IFF_TAP | IFF_VNET_HDR), 1, &peer), EINVAL,
		     "IFF_NO_PI");
	expect_error(create(NULL, open_tap("a2", IFF_TAP | IFF_NO_PI), 1, &peer), EINVAL,
		     "IFF_VNET_HDR");
	unsigned good = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	expect_error(create(NULL, open_tap("a3", good), 2, &peer), EINVAL, "IFF_MULTI_QUEUE");
	cr_assert_eq(create(NULL, open_tap("a4", good), 1, &peer), 0);
	cr_assert_str_eq(peer->describe, "tap a4");
	destroy(peer);
	cr_assert_eq(create(NULL, open_tap("a5", good | IFF_MULTI_QUEUE), 3, &peer), 0);
	cr_assert_neq(peer->ops->vhost_fd(peer, 2), FD_NONE);
	destroy(peer);
	/* Consumed, also on failure. */
	for (unsigned i = 0; i < 6; i++) {
		char name[3] = { 'a', (char)('0' + i), '\0' };
		cr_assert_eq(if_nametoindex(name), 0, "%s", name);
	}
}

Test(tap, only_looked_at_leaves_nothing_behind)
{
	struct net_tap_config config = {
		.name = "net0", .ifname = "vt-look", .fd = FD_NONE, .n_pairs = 4, .only_look = true,
	};
	struct net_peer *peer;

	cr_assert_eq(net_tap_create(&peer, &config), 0);
	cr_assert(features_has(&peer->offloads, VIRTIO_NET_F_CSUM));
	cr_assert_eq(if_nametoindex("vt-look"), 0);
	cr_assert_eq(peer->n_pairs_max, 4);
	destroy(peer);
	make_persistent("vt-look", IFF_TAP | IFF_NO_PI);
	int fd = open_tap("vt-look", IFF_TAP | IFF_NO_PI);
	cr_assert_eq(net_tap_create(&peer, &config), 0);
	destroy(peer);
	close(fd);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void plug(unsigned n_pairs)
{
	struct virtio_net_config config = {
		.name = "net0", .n_pairs = n_pairs, .queue_size = RIG_QUEUE_SIZE, .link_up = true,
		.speed_mbit = UINT32_MAX, .duplex = 0xff, .n_loops = 1, .loop = &net.rig.io,
	};

	memset(&net, 0, sizeof(net));
	device_rig_create(&net.rig);
	cr_assert_eq(create("vt0", FD_NONE, n_pairs, &config.peer), 0);
	memcpy(config.mac, net_rig_mac, sizeof(config.mac));
	cr_assert_eq(virtio_net_create(&net.dev, &config), 0);
	device_rig_plug(&net.rig, net.dev, FAKE_MMIO);
	net.scratch = device_rig_alloc(&net.rig, KIB(128));
}

static void open_wire(void)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("vt0"),
	};

	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	cr_assert_geq(wire, 0);
	cr_assert_eq(bind(wire, (struct sockaddr *)&at, sizeof(at)), 0);
}

/* The next frame of our own type that the host sees; its length. */
static size_t from_wire(uint8_t *bytes, size_t size)
{
	for (;;) {
		struct pollfd p = { wire, POLLIN, 0 };

		cr_assert_eq(poll(&p, 1, WAIT_MS), 1, "no frame");
		ssize_t n = recv(wire, bytes, size, 0);
		if (n >= 14 && bytes[12] == ETHER_TYPE >> 8 && bytes[13] == (ETHER_TYPE & 0xff))
			return (size_t)n;
	}
}

static void to_wire(const uint8_t *bytes, size_t len)
{
	cr_assert_eq(send(wire, bytes, len, 0), (ssize_t)len);
}

/* The host's kernel sends frames of its own (IPv6): the next of ours, at 'gpa' if it was there. */
static uint64_t receive(unsigned queue, size_t *len)
{
	for (;;) {
		uint64_t gpa = net_rig_offer(&net, queue, 2048);
		uint32_t used = device_rig_wait(&net.rig, queue, NULL);
		const uint8_t *p = device_rig_at(&net.rig, gpa + net.header_len, 14);

		*len = used - net.header_len;
		if (p[12] == ETHER_TYPE >> 8 && p[13] == (ETHER_TYPE & 0xff))
			return gpa + net.header_len;
	}
}

Test(tap, carries_frames_both_ways_session_after_session)
{
	const struct net_header none = { 0 };
	uint8_t frame[1500], got[2000];
	size_t len;

	plug(1);
	open_wire();
	for (unsigned i = 0; i < 5; i++) {
		net_rig_start_without(&net, 2, i % 2 ? VIRTIO_NET_F_MRG_RXBUF : -1, -1);
		net_rig_fill(frame, sizeof(frame), (uint8_t)i);
		cr_assert_eq(net_rig_send(&net, 1, &none, frame, sizeof(frame)), 0);
		cr_assert_eq(from_wire(got, sizeof(got)), sizeof(frame));
		cr_assert_arr_eq(frame, got, sizeof(frame));
		frame[20] ^= 0xff;
		to_wire(frame, sizeof(frame));
		uint64_t gpa = receive(0, &len);
		cr_assert_eq(len, sizeof(frame));
		cr_assert_arr_eq(device_rig_at(&net.rig, gpa, len), frame, len);
		/* What arrives for nobody is not there for the next driver. */
		fake_driver_reset(&net.rig.driver);
		frame[20] ^= 0x55;
		to_wire(frame, sizeof(frame));
	}
}

/* A UDP packet with its checksum left to the device. */
static size_t make_udp(uint8_t *f, size_t payload)
{
	size_t udp = 8 + payload, ip = 20 + udp;
	uint32_t sum = 0;

	memset(f, 0x5a, 14 + ip);
	memcpy(f, net_rig_mac, 6);
	f[12] = 0x08;
	f[13] = 0x00;
	uint8_t *p = f + 14;
	memset(p, 0, 28);
	p[0] = 0x45;
	p[2] = (uint8_t)(ip >> 8);
	p[3] = (uint8_t)ip;
	p[8] = 64;
	p[9] = 17;
	memcpy(p + 12, (uint8_t[]){ 10, 0, 0, 1, 10, 0, 0, 2 }, 8);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	p[10] = (uint8_t)(~sum >> 8);
	p[11] = (uint8_t)~sum;
	p[21] = 7;
	p[23] = 9;
	p[24] = (uint8_t)(udp >> 8);
	p[25] = (uint8_t)udp;
	/* Of the pseudo header, not inverted. */
	sum = 10 << 8 | 0;
	sum += 1 + (10 << 8) + 2 + 17 + (uint32_t)udp;
	sum = (sum & 0xffff) + (sum >> 16);
	p[26] = (uint8_t)(sum >> 8);
	p[27] = (uint8_t)sum;
	return 14 + ip;
}

/* The sum over pseudo header and datagram of a correct one is 0xffff. */
static uint32_t udp_sum(const uint8_t *f, size_t len)
{
	const uint8_t *p = f + 14;
	size_t udp = len - 34;
	uint32_t sum = 17 + (uint32_t)udp;

	for (unsigned i = 12; i < 20; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	for (size_t i = 0; i < udp; i++)
		sum += (uint32_t)(p[20 + i] << (i % 2 ? 0 : 8));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* covers: NET-TX-14 NET-RX-08 */
Test(tap, completes_checksums_for_who_cannot)
{
	struct net_header partial = { .flags = NET_HEADER_NEEDS_CSUM, .csum_start = 34,
				      .csum_offset = 6 };
	uint8_t frame[600];
	size_t len = make_udp(frame, 101), got_len;

	plug(1);
	open_wire();
	net_rig_start_without(&net, 2, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
			      VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,
			      VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_USO4,
			      VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, -1);
	/* The socket writes a header too, and asks for the sum to be completed. */
	int one = 1;
	uint8_t with_header[700];
	cr_assert_eq(setsockopt(wire, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	net_header_store(&partial, with_header, 10);
	memcpy(with_header + 10, frame, len);
	to_wire(with_header, 10 + len);
	for (;;) {
		uint64_t gpa = net_rig_offer(&net, 0, 2048);
		got_len = device_rig_wait(&net.rig, 0, NULL) - net.header_len;
		const uint8_t *p = device_rig_at(&net.rig, gpa, 2048);
		if (got_len != len || memcmp(p + net.header_len, frame, 34))
			continue;
		cr_assert_eq(p[0], 0);
		cr_assert_eq(udp_sum(p + net.header_len, len), 0xffff);
		break;
	}
	cr_assert_neq(udp_sum(frame, len), 0xffff);
	/* Who can is given the rest to do. */
	net_rig_start_without(&net, 2, -1);
	to_wire(with_header, 10 + len);
	for (;;) {
		uint64_t gpa = net_rig_offer(&net, 0, 2048);
		got_len = device_rig_wait(&net.rig, 0, NULL) - net.header_len;
		const uint8_t *p = device_rig_at(&net.rig, gpa, 2048);
		if (got_len != len || memcmp(p + net.header_len, frame, 34))
			continue;
		cr_assert_eq(p[0], NET_HEADER_NEEDS_CSUM);
		cr_assert_eq(load_le16(p + 6), 34);
		cr_assert_eq(load_le16(p + 8), 6);
		cr_assert_arr_eq(p + net.header_len, frame, len);
		break;
	}
}

static void delete_tap(const char *name)
{
	char command[64];

	snprintf(command, sizeof(command), "ip link del %s", name);
	cr_assert_eq(system(command), 0);
}

/*
 * Found out when a frame could arrive, when there is room for one again, and when one is sent;
 * the VM goes on.
 */
Test(tap, that_is_deleted_is_a_device_that_needs_reset)
{
	struct fake_driver *d = &net.rig.driver;

	if (system("ip link >/dev/null 2>&1") != 0)
		cr_skip_test("no ip(8)");
	for (unsigned round = 0; round < 3; round++) {
		plug(1);
		net_rig_start_without(&net, 2, -1);
		/* The host's kernel sends a few frames of its own, too. */
		for (unsigned i = 0; round == 1 && i < 30; i++)
			net_rig_offer(&net, 0, 2048);
		delete_tap("vt0");
		if (round == 0) {
			usleep(20000);
			net_rig_offer(&net, 0, 2048);
		}
		if (round == 2) {
			uint64_t gpa = device_rig_alloc(&net.rig, 112);
			memset(device_rig_at(&net.rig, gpa, 112), 0, 112);
			device_rig_add(&net.rig, 1, &(struct fake_buf){ gpa, 112, false }, 1);
		}
		for (unsigned i = 0; i < 3000; i++) {
			if (fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET)
				break;
			usleep(1000);
			fake_machine_pump(net.rig.machine);
		}
		cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET, "round %u", round);
		fake_driver_reset(d);
		/* Nor does it start again. */
		cr_assert(fake_driver_negotiate(d, fake_driver_offered(d)));
		fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_DRIVER_OK);
		cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
		device_rig_destroy(&net.rig);
	}
}

Test(tap, without_a_cable_has_no_carrier)
{
	plug(1);
	net_rig_start_without(&net, 2, -1);
	cr_assert(flags_of("vt0") & IFF_RUNNING);
	net_rig_set_link(&net, false);
	for (unsigned i = 0; i < 2000 && flags_of("vt0") & IFF_RUNNING; i++)
		usleep(1000);
	cr_assert_not(flags_of("vt0") & IFF_RUNNING);
	net_rig_set_link(&net, true);
	for (unsigned i = 0; i < 2000 && !(flags_of("vt0") & IFF_RUNNING); i++)
		usleep(1000);
	cr_assert(flags_of("vt0") & IFF_RUNNING);
}
