/*
 * What the host's kernel does for us at a real tap, in a network of the test's own: the receive
 * filter, automatic steering.  Without the right to make one the tests are skipped.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/net_filter_bpf.h"
#include "devices/net_peer.h"
#include "devices/tap_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { HEADER = 12, FRAME = 64, ETHERTYPE = 0x88b5, N_PAIRS = 2 };

static const uint8_t own[] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t foreign[] = { 0x52, 0x54, 0, 9, 9, 9 };

static struct event_loop *loop;
static struct net_peer *peer;
static int wire = FD_NONE;
static struct net_filter filter;

/* The C library's, counted. */
static unsigned n_reads;
ssize_t readv(int fd, const struct iovec *iov, int n)
{
	n_reads++;
	return syscall(SYS_readv, fd, iov, n);
}

static void nothing(void *arg, unsigned pair)
{
	(void)arg;
	(void)pair;
}

/* The host's end of the tap. */
static void open_wire(void)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET };
	struct ifreq ifr = { .ifr_name = "vireo0", .ifr_flags = IFF_UP };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(ioctl(s, SIOCSIFFLAGS, &ifr), 0, "%s", strerror(errno));
	close(s);
	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	cr_assert_geq(wire, 0);
	link.sll_ifindex = (int)if_nametoindex("vireo0");
	cr_assert_eq(bind(wire, (struct sockaddr *)&link, sizeof(link)), 0);
}

static void start_peer(void)
{
	struct event_loop *loops[N_PAIRS] = { loop, loop };
	const struct net_peer_start start = {
		.header_len = HEADER, .n_pairs = N_PAIRS, .loop = loops, .readable = nothing,
		.writable = nothing,
	};

	cr_assert_eq(peer->ops->start(peer, &start), 0, "%s", error_text());
}

static void setup(void)
{
	const struct net_tap_config config = {
		.name = "net0", .ifname = "vireo0", .fd = FD_NONE, .n_pairs = N_PAIRS,
	};
	struct features features = FEATURES_EMPTY;

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0 ||
	    net_tap_create(&peer, &config) < 0)
		cr_skip_test("cannot make a tap here: %s", strerror(errno));
	cr_assert_eq(event_loop_create(&loop, "io"), 0);
	open_wire();
	start_peer();
	features_add(&features, VIRTIO_NET_F_CTRL_RX);
	features_add(&features, VIRTIO_NET_F_CTRL_VLAN);
	features_add(&features, VIRTIO_NET_F_MAC);
	net_filter_init(&filter, features, own);
}

static void teardown(void)
{
	if (!peer)
		return;
	peer->ops->stop(peer);
	peer->ops->destroy(peer);
	fd_close(&wire);
	event_loop_destroy(loop);
}

TestSuite(tap_host, .init = setup, .fini = teardown);

static void use_filter(void)
{
	static struct sock_filter prog[NET_BPF_MAX];
	bool exact;
	unsigned n = net_filter_compile(&filter, prog, &exact);

	cr_assert(exact);
	cr_assert_eq(peer->ops->set_filter(peer, prog, n), 0, "%s", error_text());
	/* The kernel may read the program later: not in our hands, but in the tap's. */
	memset(prog, 0xff, sizeof(prog));
}

/*
 * How often the frame is in the tap's queues.  What the host itself says on a new network
 * (neighbour discovery) is passed over.
 */
static unsigned take(const uint8_t frame[FRAME])
{
	uint8_t header[HEADER], got[2048];
	const struct iovec iov[] = { { header, sizeof(header) }, { got, sizeof(got) } };
	unsigned n = 0;

	for (unsigned pair = 0; pair < N_PAIRS; pair++)
		for (;;) {
			ssize_t len = peer->ops->receive(peer, pair, iov, 2);

			if (len <= 0)
				break;
			n += len == HEADER + FRAME && memcmp(got, frame, FRAME) == 0;
		}
	return n;
}

/* Send a frame from the host; does it come out of any of the tap's queues? */
static bool arrives(const uint8_t mac[6], int vlan)
{
	uint8_t frame[FRAME] = { 0 };
	unsigned at = 12;

	memcpy(frame, mac, 6);
	if (vlan >= 0) {
		frame[at] = 0x81;
		frame[at + 2] = (uint8_t)(vlan >> 8);
		frame[at + 3] = (uint8_t)vlan;
		at += 4;
	}
	frame[at] = ETHERTYPE >> 8;
	frame[at + 1] = ETHERTYPE & 0xff;
	cr_assert_eq(send(wire, frame, sizeof(frame), 0), sizeof(frame), "%s", strerror(errno));
	return take(frame) > 0;
}

Test(tap_host, all_that_came_for_nobody_is_gone_at_a_start)
{
	uint8_t frame[FRAME] = { [12] = ETHERTYPE >> 8, [13] = ETHERTYPE & 0xff };

	peer->ops->stop(peer);
	for (unsigned i = 0; i < 20; i++)
		cr_assert_eq(send(wire, frame, sizeof(frame), 0), sizeof(frame));
	start_peer();
	cr_assert_eq(take(frame), 0);
	cr_assert_eq(send(wire, frame, sizeof(frame), 0), sizeof(frame));
	cr_assert_eq(take(frame), 1);
}

Test(tap_host, kernel_drops_what_the_driver_does_not_want)
{
	cr_assert(arrives(foreign, -1));
	use_filter();
	cr_assert(arrives(own, -1));
	cr_assert_not(arrives(foreign, -1));
	cr_assert_not(arrives(own, 5));
	cr_assert(net_filter_set_vlan(&filter, 5, true));
	use_filter();
	cr_assert(arrives(own, 5));
	cr_assert_not(arrives(own, 6));
	net_filter_set_mode(&filter, NET_FILTER_PROMISC, true);
	use_filter();
	cr_assert(arrives(foreign, -1));
	cr_assert(arrives(own, 6));
}

Test(tap_host, queue_that_is_attached_later_has_the_filter_too)
{
	use_filter();
	for (unsigned i = 0; i < 10; i++) {
		cr_assert_eq(peer->ops->set_pairs(peer, 2), 0, "%s", error_text());
		for (uint8_t k = 0; k < 8; k++) {
			uint8_t mac[] = { 0x52, 0x54, 0, 9, 9, k };

			cr_assert_not(arrives(mac, -1));
		}
		cr_assert(arrives(own, -1));
		cr_assert_eq(peer->ops->set_pairs(peer, 1), 0, "%s", error_text());
	}
}

static void store_be16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* A UDP packet of flow 'flow', as the guest sends it or as it comes back. */
static void udp_frame(uint8_t frame[FRAME], unsigned flow, bool is_reply)
{
	static const uint8_t address[2][4] = { { 10, 0, 0, 1 }, { 10, 0, 0, 2 } };
	uint8_t *ip = frame + 14, *udp = ip + 20;
	unsigned sum = 0;

	memset(frame, 0, FRAME);
	memcpy(frame + (is_reply ? 0 : 6), own, 6);
	memcpy(frame + (is_reply ? 6 : 0), foreign, 6);
	store_be16(frame + 12, 0x0800);
	ip[0] = 0x45;
	store_be16(ip + 2, FRAME - 14);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, address[is_reply], 4);
	memcpy(ip + 16, address[!is_reply], 4);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (unsigned)ip[i] << 8 | ip[i + 1];
	store_be16(ip + 10, ~(sum + (sum >> 16)));
	store_be16(udp + (is_reply ? 2 : 0), 1000 + flow);
	store_be16(udp + (is_reply ? 0 : 2), 53);
	store_be16(udp + 4, FRAME - 34);
}

/* Returns the pair at which it came out. */
static int arrives_at(const uint8_t frame[FRAME])
{
	uint8_t header[HEADER], got[2048];
	const struct iovec iov[] = { { header, sizeof(header) }, { got, sizeof(got) } };
	int at = -1;

	cr_assert_eq(send(wire, frame, FRAME, 0), FRAME, "%s", strerror(errno));
	for (int pair = 0; pair < N_PAIRS; pair++)
		for (;;) {
			ssize_t len = peer->ops->receive(peer, (unsigned)pair, iov, 2);

			if (len <= 0)
				break;
			if (len == HEADER + FRAME && memcmp(got, frame, FRAME) == 0)
				at = pair;
		}
	return at;
}

/* covers: NET-CTRL-34 NET-CTRL-33 */
Test(tap_host, replies_come_to_the_pair_that_sent)
{
	uint8_t header[HEADER] = { 0 }, frame[FRAME];
	const struct iovec iov[] = { { header, sizeof(header) }, { frame, sizeof(frame) } };

	cr_assert_eq(peer->ops->set_pairs(peer, 2), 0, "%s", error_text());
	for (unsigned flow = 0; flow < 32; flow++) {
		unsigned pair = flow % 3 % 2;

		udp_frame(frame, flow, false);
		cr_assert_eq(peer->ops->send(peer, pair, iov, 2), 0);
		udp_frame(frame, flow, true);
		cr_assert_eq(arrives_at(frame), (int)pair, "flow %u", flow);
	}
}

/* Where the kernel does not read several at once (a tap's before Linux 6.4) none is looked for in vain. */
Test(tap_host, that_is_empty_is_looked_at_once)
{
	enum { N = 16 };
	uint8_t frame[FRAME] = { 0 }, header[N][HEADER], got[N][2048];
	struct iovec iov[N][2];
	struct net_peer_frame many[N];
	ssize_t result[N];
	struct tap_queue *q = &container_of(peer, struct tap, base)->queue[0];

	io_batch_destroy(q->batch);
	q->batch = NULL;
	for (unsigned i = 0; i < N; i++) {
		iov[i][0] = (struct iovec){ header[i], HEADER };
		iov[i][1] = (struct iovec){ got[i], sizeof(got[i]) };
		many[i] = (struct net_peer_frame){ iov[i], 2 };
	}
	memcpy(frame, own, 6);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	/* What the host says on a new network. */
	peer->ops->receive_many(peer, 0, many, result, N);
	for (unsigned round = 0; round < 2; round++) {
		bool came = false;

		cr_assert_eq(send(wire, frame, sizeof(frame), 0), sizeof(frame));
		n_reads = 0;
		peer->ops->receive_many(peer, 0, many, result, N);
		for (unsigned i = 0; i < N; i++)
			came |= result[i] == HEADER + FRAME && memcmp(got[i], frame, FRAME) == 0;
		cr_assert(came);
		/* It, perhaps a word of the host, and nothing. */
		cr_assert_leq(n_reads, 3, "%u reads", n_reads);
	}
}
