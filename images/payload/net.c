/*
 * A network interface whose other end is tap_peer: frames come back as they were sent, however
 * they are cut into descriptors and buffers; offloads are done by whoever said so; control commands
 * are answered; what no driver should send is dropped and nothing stops.  Options: pairs=N;
 * ring=packed; qemu for what QEMU does differently.  virtio-v1.4 5.1.6 "Device Operation".
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/net.h"
#include "images/payload/lib/print.h"
#include "virtio/features.h"
#include "vmm/machine/layout.h"

#define BIT(x) (1ull << (x))

enum {
	PLAIN = 1514, VECTOR_CONFIG = 0x40, VECTOR_QUEUE, MSS = 1000, TCP_HEADERS = 54,
	WAIT_NONE = WAIT_SHORT,
};

static struct net net;
static uint8_t *out, *in;	/* NET_MAX_FRAME and more each */
static uint64_t base;		/* features of every open */
static bool is_qemu;

static void fill(uint8_t *p, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static void set_echo(bool on)
{
	net_ask(&net, PEER_ECHO, (uint32_t[3]){ on });
}

static void start(uint64_t wanted, unsigned n_pairs)
{
	net_open(&net, base | wanted, n_pairs);
	set_echo(true);
}

/* The next frame that is not an answer. */
static uint32_t receive(unsigned pair, uint64_t wait)
{
	uint32_t len;

	do
		len = net_receive(&net, pair, in, wait);
	while (len > 0 && net_is_answer(in, len));
	return len;
}

/* Is 'in' what 'out' becomes on its way back? */
static bool is_echo(uint32_t len, uint32_t sent)
{
	uint32_t least = sent < 14 ? 14 : sent;

	return len >= least && memcmp(in, out + NET_ADDRESS, NET_ADDRESS) == 0 &&
	       memcmp(in + NET_ADDRESS, out, NET_ADDRESS) == 0 &&
	       memcmp(in + 12, out + 12, sent - 12) == 0;
}

static void expect_echo(uint32_t sent, const char *what)
{
	uint32_t len = receive(0, WAIT_LONG);

	check(len == sent && is_echo(len, sent), "%s: %u bytes came back of %u", what, len, sent);
}

static void make_frame(uint32_t len, uint32_t seed)
{
	fill(out, len, seed);
	net_address(&net, out, NET_TYPE_DATA);
}

/* Does a plain frame still go and come? */
static void works(const char *after)
{
	uint32_t len;

	make_frame(100, 77);
	net_send(&net, 0, NULL, out, 100);
	do
		len = receive(0, WAIT_LONG);
	while (len > 0 && len != 100);
	check(len == 100 && is_echo(len, 100), "no echo after: %s", after);
}

/* covers: NET-CFG-16 NET-CFG-15 */
static void configuration(void)
{
	static const uint8_t zero[NET_ADDRESS];
	uint64_t offered;

	start(~0ull & ~BIT(VIRTIO_F_RING_PACKED) & ~BIT(VIRTIO_F_IN_ORDER) &
	      ~BIT(VIRTIO_NET_F_HASH_REPORT) & ~BIT(VIRTIO_F_NOTIFICATION_DATA) &
	      ~BIT(VIRTIO_F_NOTIF_CONFIG_DATA) & ~BIT(VIRTIO_F_ACCESS_PLATFORM) &
	      ~BIT(VIRTIO_NET_F_RSS), 1);
	check(!(net.mac[0] & 1) && memcmp(net.mac, zero, NET_ADDRESS) != 0, "no address");
	if (net_has(&net, VIRTIO_NET_F_STATUS))
		check(net.v.ops->read_config(&net.v, NET_CONFIG_STATUS, 2) & 1, "the link is down");
	if (net_has(&net, VIRTIO_NET_F_MTU))
		check(net.v.ops->read_config(&net.v, NET_CONFIG_MTU, 2) >= 1280, "MTU");
	offered = virtio_offered(&net.v);
	print("net: features %lx of %lx, %u pairs, ring of %u\n", net.features, offered,
	      net.n_pairs_max, net.rx[0].size);
	works("everything accepted");
}

/* Frames of all sizes; the header and the frame in one piece, two, or many. */
static void sizes_and_framing(void)
{
	static const uint32_t size[] = { 14, 15, 59, 60, 61, 64, 100, 127, 512, 1499, PLAIN };
	uint8_t *both = in + NET_MAX_FRAME - 2048;

	start(0, 1);
	for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		make_frame(size[i], i);
		net_send(&net, 0, NULL, out, size[i]);
		expect_echo(size[i], "two pieces");
		check_equal(net.header.flags, 0, "flags without offloads");
		check_equal(net.header.gso_type, NET_GSO_NONE, "segments without offloads");
		if (net_has(&net, VIRTIO_F_VERSION_1) && !is_qemu)
			check_equal(net.header.n_buffers, 1, "num_buffers");
	}
	if (!net_has(&net, VIRTIO_F_VERSION_1) && !net_has(&net, VIRTIO_F_ANY_LAYOUT))
		return;
	make_frame(600, 5);
	memset(both, 0, net.header_len);
	memcpy(both + net.header_len, out, 600);
	ring_add(&net.tx[0], &(struct piece){ both, net.header_len + 600 }, 1, 0);
	ring_publish(&net.tx[0]);
	check(ring_wait(&net.tx[0]) >= 0, "a frame in one piece");
	check_equal(net.tx[0].taken_len, 0, "used length of a sent frame");
	expect_echo(600, "one piece");
	make_frame(600, 6);
	memcpy(both + net.header_len, out, 600);
	ring_add(&net.tx[0], (struct piece[]){
		{ both, 1 }, { both + 1, net.header_len - 2 }, { both + net.header_len - 1, 3 },
		{ both + net.header_len + 2, 11 }, { both + net.header_len + 13, 1 },
		{ both + net.header_len + 14, 586 } }, 6, 0);
	ring_publish(&net.tx[0]);
	check(ring_wait(&net.tx[0]) >= 0, "a frame in six pieces");
	expect_echo(600, "six pieces");
}

/* A table of descriptors, and rings as others have them. */
static void kinds_of_rings(uint64_t feature, const char *what)
{
	struct net_header header = { 0 };

	start(feature, 1);
	if ((net.features & feature) != feature)
		return;
	for (unsigned i = 0; i < 300; i++) {
		struct piece p[] = { { &header, net.header_len }, { out, 200 + i } };

		make_frame(200 + i, i);
		if (feature & BIT(VIRTIO_F_INDIRECT_DESC))
			ring_add_indirect(&net.tx[0], p, 2, 0, 0);
		else
			ring_add(&net.tx[0], p, 2, 0);
		ring_publish(&net.tx[0]);
		check(ring_wait(&net.tx[0]) >= 0, "%s: frame %u was not taken", what, i);
		expect_echo(200 + i, what);
	}
}

/* covers: NET-RX-01 NET-RX-04 NET-RX-05 NET-RX-06 */
static void merged_buffers(void)
{
	net.buffer_size = 200;
	start(BIT(VIRTIO_NET_F_MRG_RXBUF), 1);
	net.buffer_size = 0;
	if (!net_has(&net, VIRTIO_NET_F_MRG_RXBUF))
		return;
	for (uint32_t len = 60; len <= PLAIN; len += 101) {
		make_frame(len, len);
		net_send(&net, 0, NULL, out, len);
		expect_echo(len, "merged buffers");
		check_equal(net.n_buffers, (len + net.header_len + 199) / 200, "num_buffers");
	}
}

/* covers: NET-RX-02 */
static void buffers_that_are_too_small(void)
{
	net.buffer_size = 300;
	start(0, 1);
	net.buffer_size = 0;
	make_frame(PLAIN, 1);
	net_send(&net, 0, NULL, out, PLAIN);
	make_frame(100, 2);
	net_send(&net, 0, NULL, out, 100);
	expect_echo(100, "behind a frame that did not fit");
}

static uint16_t sum(const uint8_t *p, uint32_t len, uint32_t s)
{
	for (uint32_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* IPv4 and TCP, its checksum only begun; the header that says so. */
static struct net_header make_tcp(uint32_t len)
{
	uint8_t *ip = out + 14, *tcp = ip + 20;

	fill(out, len, len);
	net_address(&net, out, NET_TYPE_IPV4);
	memset(ip, 0, 40);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(len - 14));
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, "\x0a\0\0\x02\x0a\0\0\x01", 8);
	put16(ip + 10, (uint16_t)~sum(ip, 20, 0));
	put16(tcp, 2000);
	put16(tcp + 2, 1000);
	tcp[12] = 5 << 4;
	tcp[13] = 0x10;
	put16(tcp + 14, 0xffff);
	put16(tcp + 16, sum(ip + 12, 8, 6 + len - 34));
	return (struct net_header){
		.flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
	};
}

static uint16_t tcp_sum(uint32_t len)
{
	return sum(in + 34, len - 34, (uint32_t)sum(in + 26, 8, 6 + len - 34));
}

/* covers: NET-TX-14 NET-RX-07 NET-RX-08 */
static void checksums(void)
{
	struct net_header h;
	uint32_t len;

	start(BIT(VIRTIO_NET_F_CSUM), 1);
	if (!net_has(&net, VIRTIO_NET_F_CSUM))
		return;
	for (uint32_t size = 60; size < PLAIN; size += 157) {
		h = make_tcp(size);
		net_send(&net, 0, &h, out, size);
		len = receive(0, WAIT_LONG);
		check(len == size, "%u bytes came back of %u to be summed", len, size);
		check_equal(tcp_sum(len), 0xffff, "checksum");
		check_equal(net.header.flags, 0, "flags of a frame for a driver without checksums");
	}
	/* covers: NET-RX-22 NET-RX-21 */
	start(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM), 1);
	h = make_tcp(1000);
	net_send(&net, 0, &h, out, 1000);
	len = receive(0, WAIT_LONG);
	check(len == 1000, "%u bytes came back of a frame to be summed", len);
	if (net.header.flags & NET_NEEDS_CSUM) {
		check_equal(net.header.csum_start, 34, "csum_start");
		check_equal(net.header.csum_offset, 16, "csum_offset");
		put16(in + 50, (uint16_t)~sum(in + 34, len - 34, 0));
	}
	check_equal(tcp_sum(len), 0xffff, "checksum that the driver completes");
}

/*
 * One large segment out; in it comes as one where the driver takes that, else cut.
 * covers: NET-TX-15 NET-RX-09
 */
static void segments(bool guest_takes_them)
{
	enum { LEN = TCP_HEADERS + 20 * MSS };
	uint64_t wanted = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
			  BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_GUEST_CSUM);
	uint32_t got = 0, len;
	struct net_header h;

	start(wanted | (guest_takes_them ? BIT(VIRTIO_NET_F_GUEST_TSO4) : 0), 1);
	if (!net_has(&net, VIRTIO_NET_F_HOST_TSO4) ||
	    (guest_takes_them && !net_has(&net, VIRTIO_NET_F_GUEST_TSO4)))
		return;
	h = make_tcp(LEN);
	h.gso_type = NET_GSO_TCPV4;
	h.gso_size = MSS;
	h.hdr_len = TCP_HEADERS;
	net_send(&net, 0, &h, out, LEN);
	while (got < 20 * MSS && (len = receive(0, WAIT_LONG)) > TCP_HEADERS) {
		uint32_t at = get32(in + 38), n = len - TCP_HEADERS;

		if (guest_takes_them) {
			check_equal(net.header.gso_type, NET_GSO_TCPV4, "kind of segments");
			check_equal(net.header.gso_size, MSS, "gso_size");
		} else {
			check_equal(net.header.gso_type, NET_GSO_NONE, "kind of segments");
			check(n <= MSS, "a piece of %u bytes", n);
		}
		if (!check(at == got && at + n <= 20 * MSS, "piece at %u, not %u", at, got))
			return;
		check(memcmp(in + TCP_HEADERS, out + TCP_HEADERS + at, n) == 0, "data at %u", at);
		got += n;
	}
	check_equal(got, 20 * MSS, "bytes that came back of a segment");
}

/* covers: NET-VQ-02 */
static void control(void)
{
	uint8_t mac[NET_ADDRESS], other[] = { 2, 'o', 't', 'h', 'e', 'r' };
	uint8_t table[8] = { 0 };
	uint32_t number[3];

	start(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
	      BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_VLAN), 1);
	if (!net_has(&net, VIRTIO_NET_F_CTRL_VQ))
		return;
	check_equal(net_control(&net, 0xfe00, NULL, 0), NET_CTRL_ERROR, "an unknown class");
	check_equal(net_control(&net, 0x0063, &(uint8_t){ 1 }, 1), NET_CTRL_ERROR,
		    "an unknown command");
	check_equal(net_control(&net, NET_CTRL_PROMISC, NULL, 0), NET_CTRL_ERROR,
		    "a command without its data");
	if (net_has(&net, VIRTIO_NET_F_CTRL_RX)) {
		check_equal(net_control(&net, NET_CTRL_PROMISC, &(uint8_t){ 0 }, 1), NET_CTRL_OK,
			    "promiscuous off");
		check_equal(net_control(&net, NET_CTRL_MAC_TABLE, table, 8), NET_CTRL_OK,
			    "no further addresses");
		memcpy(number, (uint32_t[]){ 3, 200, PEER_SEND_TO_OTHER }, sizeof(number));
		net_tell(&net, PEER_SEND, number);
		check_equal(receive(0, WAIT_NONE), 0, "length of a frame for others");
		check_equal(net_control(&net, NET_CTRL_PROMISC, &(uint8_t){ 1 }, 1), NET_CTRL_OK,
			    "promiscuous on");
		net_tell(&net, PEER_SEND, number);
		check_equal(receive(0, WAIT_LONG), 200, "length of a frame for others");
		while (receive(0, WAIT_NONE) > 0)
			;
		net_control(&net, NET_CTRL_PROMISC, &(uint8_t){ 0 }, 1);
	}
	if (net_has(&net, VIRTIO_NET_F_CTRL_MAC_ADDR)) {
		memcpy(mac, net.mac, NET_ADDRESS);
		check_equal(net_control(&net, NET_CTRL_MAC_ADDR, other, NET_ADDRESS), NET_CTRL_OK,
			    "another address");
		check_equal(net.v.ops->read_config(&net.v, NET_CONFIG_MAC + 1, 1), 'o',
			    "second byte of the address");
		memcpy(number, (uint32_t[]){ 1, 200, PEER_SEND_TO_OTHER }, sizeof(number));
		net_tell(&net, PEER_SEND, number);
		check_equal(receive(0, WAIT_LONG), 200, "length of a frame for the new address");
		net_control(&net, NET_CTRL_MAC_ADDR, mac, NET_ADDRESS);
	}
	works("control commands");
}

/* covers: NET-VQ-01 */
static void pairs(unsigned n)
{
	start(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ), 1);
	if (n < 2)
		return;
	check(net_has(&net, VIRTIO_NET_F_MQ) && net.n_pairs_max >= n, "only %u pairs",
	      net.n_pairs_max);
	check_equal(net_control(&net, NET_CTRL_PAIRS, &(uint16_t){ 0 }, 2), NET_CTRL_ERROR,
		    "no pairs");
	check_equal(net_control(&net, NET_CTRL_PAIRS, &(uint16_t){ 0x7fff }, 2), NET_CTRL_ERROR,
		    "more pairs than there are");
	start(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ), n);
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = 0;

		make_frame(300 + i, i);
		net_send(&net, i, NULL, out, 300 + i);
		/* Which pair it comes back to is the host's to choose. */
		WAIT_UNTIL((len = receive(0, 1)) || (len = receive(1 % n, 1)) ||
			   (len = receive(2 % n, 1)) || (len = receive(3 % n, 1)), WAIT_LONG);
		check(len == 300 + i && is_echo(len, len), "echo of pair %u: %u bytes", i, len);
	}
}

static bool broken(void)
{
	return virtio_status(&net.v) & VIRTIO_STATUS_NEEDS_RESET;
}

/* One chain on the transmit queue that comes back, or not. */
static void send_bad(const char *what, const struct piece *p, unsigned n_out, unsigned n_in)
{
	ring_add(&net.tx[0], p, n_out, n_in);
	ring_publish(&net.tx[0]);
	check(WAIT_UNTIL(ring_take(&net.tx[0]) >= 0 || broken(), WAIT_LONG), "%s: no answer", what);
	if (broken())
		start(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4), 1);
	works(what);
}

/* Headers that lie, one after the other.  covers: NET-TX-16 NET-TX-17 NET-TX-01 NET-TX-02 */
static void bad_headers(void)
{
	static const struct net_header bad[] = {
		{ .flags = NET_NEEDS_CSUM, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .flags = NET_NEEDS_CSUM, .csum_start = 99, .csum_offset = 0 },
		{ .flags = NET_NEEDS_CSUM, .csum_start = 100, .csum_offset = 2 },
		{ .gso_type = NET_GSO_TCPV4, .gso_size = 100 },
		{ .flags = NET_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4, .csum_start = 34,
		  .csum_offset = 16 },
		{ .flags = NET_NEEDS_CSUM, .gso_type = NET_GSO_TCPV6, .gso_size = 1,
		  .csum_start = 34, .csum_offset = 16 },
		{ .gso_type = 0x7f, .gso_size = 10 },
		{ .gso_type = NET_GSO_UDP, .gso_size = 10, .hdr_len = 0xffff },
		{ .flags = 0xff, .gso_type = 0xff, .hdr_len = 0xffff, .gso_size = 0xffff,
		  .csum_start = 0xffff, .csum_offset = 0xffff, .n_buffers = 0xffff },
		{ .csum_start = 0xffff, .csum_offset = 0xffff, .hdr_len = 0xffff, .flags = 0 },
		{ .flags = 0x80 },
	};

	start(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4), 1);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct net_header h = bad[i];

		make_frame(102, i);
		send_bad("a bad header", (struct piece[]){ { &h, net.header_len }, { out, 102 } },
			 2, 0);
	}
}

/* covers: NET-TX-18 NET-TX-19 */
static void bad_frames(void)
{
	struct net_header h = { 0 };
	uint8_t canary[16];

	start(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4), 1);
	send_bad("half a header", (struct piece[]){ { &h, 5 } }, 1, 0);
	send_bad("a header alone", (struct piece[]){ { &h, net.header_len } }, 1, 0);
	make_frame(200, 0);
	send_bad("13 bytes", (struct piece[]){ { &h, net.header_len }, { out, 13 } }, 2, 0);
	send_bad("70000 bytes", (struct piece[]){ { &h, net.header_len }, { out, 40000 },
						  { out, 30000 } }, 3, 0);
	memset(canary, 0x5a, sizeof(canary));
	send_bad("only writable", (struct piece[]){ { canary, 16 } }, 0, 1);
	send_bad("writable behind", (struct piece[]){ { &h, net.header_len }, { out, 200 },
						      { canary, 16 } }, 2, 1);
	for (unsigned i = 0; i < sizeof(canary); i++)
		check(canary[i] == 0x5a, "a writable byte of a sent chain was written");
}

/* Receive buffers that cannot hold anything: without room, and to be read only. */
static void bad_buffers(void)
{
	struct ring *rx = &net.rx[0];

	net.size = 4;
	start(0, 1);
	net.size = 0;
	while (receive(0, WAIT_NONE) > 0)
		;
	if (rx->n_free == 0) {
		/* Use the buffers up: four frames, whose buffers do not go back. */
		for (unsigned i = 0; i < 4; i++) {
			make_frame(80, i);
			net_send(&net, 0, NULL, out, 80);
		}
		for (unsigned i = 0; i < 4; i++)
			check(ring_wait(rx) >= 0, "frame %u of 4", i);
	}
	ring_add(rx, &(struct piece){ in, 3 }, 0, 1);
	ring_add(rx, &(struct piece){ out, 2048 }, 1, 0);
	ring_publish(rx);
	make_frame(80, 9);
	net_send(&net, 0, NULL, out, 80);
	WAIT_UNTIL(broken(), WAIT_SHORT);
	start(0, 1);
	works("bad receive buffers");
}

/* covers: PCI-COMMON-25 */
static void queue_reset(void)
{
	start(BIT(VIRTIO_F_RING_RESET), 1);
	if (!net_has(&net, VIRTIO_F_RING_RESET))
		return;
	for (unsigned i = 0; i < 6; i++) {
		net_tell(&net, PEER_SEND, (uint32_t[3]){ 100, 500 });
		if (i & 1) {
			check(ring_stop(&net.rx[0]), "the receive queue does not stop");
			check(ring_init(&net.rx[0], &net.v, 0, 0, net.features), "a new ring");
			net_refill(&net, 0);
		} else {
			check(ring_stop(&net.tx[0]), "the transmit queue does not stop");
			check(ring_init(&net.tx[0], &net.v, 1, 0, net.features), "a new ring");
		}
		works("a queue was reset");
	}
}

static void reset_under_traffic(void)
{
	for (unsigned i = 0; i < 10; i++) {
		start(0, 1);
		net_tell(&net, PEER_SEND, (uint32_t[3]){ 300, 700 });
		for (uint64_t until = cycles() + i * 100000; cycles() < until;)
			pause();
		check(virtio_reset(&net.v), "no reset under traffic");
	}
	start(0, 1);
	works("resets under traffic");
}

static void interrupts(void)
{
	uint32_t gsi = (uint32_t)option_number("gsi", net.v.is_pci ?
		GSI_PCI_INTA + net.v.function.slot % (uint32_t)GSI_PCI_LINES : net.v.gsi);
	struct msix msix;
	bool has_msix = net.v.is_pci && msix_init(&msix, net.v.function);
	uint32_t before;

	lapic_enable();
	if (has_msix) {
		msix_enable(&msix, true, false);
		msix_set(&msix, 0, VECTOR_CONFIG);
		msix_set(&msix, 1, VECTOR_QUEUE);
		net.v.vector = 1;
	} else {
		ioapic_route(gsi, VECTOR_QUEUE, IOAPIC_EDGE);
	}
	start(0, 1);
	while (receive(0, WAIT_NONE) > 0)
		;
	for (unsigned i = 0; i < 20; i++) {
		make_frame(90 + i, i);
		if (!has_msix)
			net.v.ops->take_isr(&net.v);
		before = interrupt_counts[VECTOR_QUEUE];
		ring_want_interrupt(&net.rx[0], true);
		net_send(&net, 0, NULL, out, 90 + i);
		check(interrupt_wait(VECTOR_QUEUE, before, WAIT_LONG), "no interrupt for a frame");
		expect_echo(90 + i, "by interrupt");
	}
	ring_want_interrupt(&net.rx[0], false);
	if (!has_msix)
		net.v.ops->take_isr(&net.v);
	before = interrupt_counts[VECTOR_QUEUE];
	works("no interrupts wanted");
	check(!interrupt_wait(VECTOR_QUEUE, before, WAIT_SHORT), "an interrupt that nobody wanted");
	virtio_reset(&net.v);
	if (has_msix)
		msix_enable(&msix, false, false);
	else
		ioapic_mask(gsi);
	net.v.vector = VIRTIO_NO_VECTOR;
}

int main(void)
{
	net_find(&net);
	net.v.vector = VIRTIO_NO_VECTOR;
	is_qemu = option_given("qemu");
	base = option_is("ring", "packed") ? BIT(VIRTIO_F_RING_PACKED) : 0;
	out = heap_alloc(NET_MAX_FRAME + 8192, 16);
	in = heap_alloc(NET_MAX_FRAME + 8192, 16);
	net.heap = heap_mark();
	configuration();
	sizes_and_framing();
	kinds_of_rings(BIT(VIRTIO_F_INDIRECT_DESC), "indirect");
	kinds_of_rings(BIT(VIRTIO_F_EVENT_IDX), "event index");
	kinds_of_rings(BIT(VIRTIO_F_IN_ORDER), "in order");
	merged_buffers();
	buffers_that_are_too_small();
	checksums();
	segments(true);
	segments(false);
	control();
	pairs((unsigned)option_number("pairs", 1));
	bad_headers();
	bad_frames();
	if (!is_qemu)		/* 7.2 ends itself */
		bad_buffers();
	queue_reset();
	reset_under_traffic();
	interrupts();
	return check_result("net");
}
