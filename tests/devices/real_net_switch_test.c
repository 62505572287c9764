/*
 * The network device on a tap with the vhost-net of a real kernel: frames both ways, and the way
 * from the kernel to this process and back while they flow.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/real_vhost.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum {
	RX = 0, TX = 1, HEADER = 12, FRAME = 100, BUFFER = 2048,
	N_BUFFERS = 32,			/* of the receive ring */
	ETHERTYPE = 0x88b5,
	ROUNDS = 200,
	WAIT_MS = 20000,
};

static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x01, 0x02, 0x03 };
static struct device_rig rig;
static struct virtio_device *dev;
static uint64_t rx_at, tx_at;
static int wire = FD_NONE;

static void open_wire(void)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq ifr = { .ifr_name = "real0", .ifr_flags = IFF_UP };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(ioctl(s, SIOCSIFFLAGS, &ifr), 0, "%s", strerror(errno));
	close(s);
	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	cr_assert_geq(wire, 0, "%s", strerror(errno));
	link.sll_ifindex = (int)if_nametoindex("real0");
	cr_assert_eq(bind(wire, (struct sockaddr *)&link, sizeof(link)), 0);
}

static void setup(void)
{
	struct net_tap_config tap = {
		.name = "net0", .ifname = "real0", .fd = FD_NONE, .n_pairs = 1,
	};
	struct virtio_net_config config = {
		.name = "net0",
		.n_pairs = 1,
		.queue_size = RIG_QUEUE_SIZE,
		.link_up = true,
		.speed_mbit = UINT32_MAX,
		.duplex = 0xff,
		.vhost = VIRTIO_OFFLOAD_AUTO,
		.vhost_path = "/dev/vhost-net",
		.loop = &rig.io,
		.n_loops = 1,
	};

	real_vhost_need("/dev/vhost-net");
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "%s", strerror(errno));
	device_rig_create(&rig);
	cr_assert_eq(net_tap_create(&config.peer, &tap), 0, "%s", error_text());
	memcpy(config.mac, mac, sizeof(mac));
	cr_assert_eq(virtio_net_create(&dev, &config), 0, "%s", error_text());
	cr_assert_str_eq(dev->part[0].datapath->name, "/dev/vhost-net");
	device_rig_plug(&rig, dev, FAKE_PCI);
	rx_at = device_rig_alloc(&rig, N_BUFFERS * BUFFER);
	tx_at = device_rig_alloc(&rig, N_BUFFERS * BUFFER);
	open_wire();
}

static void teardown(void)
{
	device_rig_destroy(&rig);
	fd_close(&wire);
}

TestSuite(real_net_switch, .init = setup, .fini = teardown, .timeout = 120);

static void fill(uint8_t frame[FRAME], const uint8_t to[6], unsigned number)
{
	memset(frame, (int)number, FRAME);
	memcpy(frame, to, 6);
	memcpy(frame + 6, mac, 6);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	frame[14] = (uint8_t)(number >> 8);
	frame[15] = (uint8_t)number;
}

static void start(void)
{
	struct features f = fake_driver_offered(&rig.driver);

	/* Neither side has to tell the other when to notify: this driver looks and kicks always. */
	features_remove(&f, VIRTIO_F_EVENT_IDX);
	/* In process there is more to the header. */
	features_remove(&f, VIRTIO_NET_F_HASH_REPORT);
	device_rig_start(&rig, f, 3);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		device_rig_add(&rig, RX, &(struct fake_buf){ rx_at + i * BUFFER, BUFFER, true }, 1);
}

static void send_frame(unsigned number)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint64_t at = tx_at + number % N_BUFFERS * BUFFER;
	uint8_t *p = device_rig_at(&rig, at, HEADER + FRAME);

	memset(p, 0, HEADER);
	fill(p + HEADER, all, number);
	device_rig_add(&rig, TX, &(struct fake_buf){ at, HEADER + FRAME, false }, 1);
}

/* The next of our frames at the host's end: the one with this number. */
static void expect_at_wire(unsigned number)
{
	uint8_t got[2048];
	ssize_t n;

	do {
		struct pollfd p = { .fd = wire, .events = POLLIN };
		cr_assert_eq(poll(&p, 1, WAIT_MS), 1, "frame %u did not come", number);
		n = read(wire, got, sizeof(got));
	} while (n != FRAME || got[12] != ETHERTYPE >> 8 || got[0] != 0xff);
	cr_assert_eq((unsigned)(got[14] << 8 | got[15]), number);
}

static void give_to_wire(unsigned number)
{
	uint8_t frame[FRAME];

	fill(frame, mac, number);
	cr_assert_eq(write(wire, frame, FRAME), FRAME, "%s", strerror(errno));
}

/* The next of our frames in the receive ring is the one with this number. */
static void expect_in_ring(unsigned number)
{
	for (;;) {
		uint32_t head, len = device_rig_wait(&rig, RX, &head);
		uint64_t at = rx_at + head % N_BUFFERS * BUFFER;
		const uint8_t *p = device_rig_at(&rig, at, BUFFER);
		bool is_ours = len == HEADER + FRAME && p[HEADER + 12] == ETHERTYPE >> 8;
		unsigned got = (unsigned)p[HEADER + 14] << 8 | p[HEADER + 15];

		device_rig_add(&rig, RX, &(struct fake_buf){ at, BUFFER, true }, 1);
		if (!is_ours)
			continue;
		cr_assert_eq(got, number, "frame %u came, not %u; %s", got, number,
			     dev->part[0].datapath->name);
		return;
	}
}

static void change(void)
{
	machine_lock(&rig.machine->m);
	int r = virtio_device_switch(dev, 0);

	machine_unlock(&rig.machine->m);
	cr_assert_eq(r, 0, "%s", error_text());
}

Test(real_net_switch, frames_pass_the_kernel)
{
	start();
	for (unsigned i = 0; i < 50; i++) {
		send_frame(i);
		expect_at_wire(i);
		give_to_wire(i);
		expect_in_ring(i);
		device_rig_wait(&rig, TX, NULL);
	}
	cr_assert_str_eq(dev->part[0].datapath->name, "/dev/vhost-net");
}

/* Some frames are under way in both directions at each change: none is lost, none comes twice. */
Test(real_net_switch, changes_while_frames_flow)
{
	enum { AT_ONCE = 8 };

	start();
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned k = 0; k < AT_ONCE; k++) {
			send_frame(i * AT_ONCE + k);
			give_to_wire(i * AT_ONCE + k);
			if (k == i % AT_ONCE)
				change();
		}
		for (unsigned k = 0; k < AT_ONCE; k++) {
			expect_at_wire(i * AT_ONCE + k);
			expect_in_ring(i * AT_ONCE + k);
			device_rig_wait(&rig, TX, NULL);
		}
	}
}

/* A reset in either of them, and a driver that comes anew. */
Test(real_net_switch, sessions_follow_each_other)
{
	for (unsigned i = 0; i < 10; i++) {
		start();
		for (unsigned k = 0; k < 8; k++) {
			send_frame(k);
			expect_at_wire(k);
			device_rig_wait(&rig, TX, NULL);
		}
		fake_driver_set_status(&rig.driver, 0);
		cr_assert_eq(fake_driver_status(&rig.driver), 0);
		rig.next = tx_at + N_BUFFERS * BUFFER;
		change();
	}
}
