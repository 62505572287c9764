/* The network that needs no rights, as its guest and as the host see it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "devices/net_checksum.h"
#include "devices/net_header.h"
#include "devices/user_sockets.h"
#include "tests/support/fault.h"
#include "tests/support/loop_pump.h"
#include "tests/support/user_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

#if HAVE_SLIRP

enum { WAIT_MS = 5000, A_MOMENT_MS = 30, N_FRAMES = 60000 };

static struct user_rig rig;
static uint8_t frame[70000];

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
}

static void tear_down(void)
{
	user_rig_close(&rig);
}

TestSuite(user_net, .init = set_up, .fini = tear_down, .timeout = 60);

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* --- What the guest finds -------------------------------------------------------------------- */

Test(user_net, a_guest_that_asks_gets_an_address_a_router_and_a_name_server)
{
	uint8_t dhcp[8 + 300] = { [1] = 68, [3] = 67, [4] = 308 >> 8, [5] = 308 & 255 };
	static const uint8_t discover[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 };

	user_rig_open(&rig, NULL, false);
	dhcp[8] = 1;
	dhcp[9] = 1;
	dhcp[10] = 6;
	memcpy(dhcp + 8 + 28, "\x52\x54\0\0\0\1", 6);
	memcpy(dhcp + 8 + 236, discover, sizeof(discover));
	user_rig_send(&rig, frame, user_rig_ipv4(frame, IPPROTO_UDP, 0, 0xffffffff, dhcp,
						 sizeof(dhcp)));
	cr_assert(user_rig_await(&rig, IPPROTO_UDP, WAIT_MS));
	const uint8_t *answer = rig.frame + 14 + 20 + 8;
	cr_expect_eq(be32(answer + 16), (uint32_t)USER_RIG_GUEST);
	cr_expect(memmem(answer + 240, 60, "\x03\x04\x0a\x00\x02\x02", 6), "the router");
	cr_expect(memmem(answer + 240, 60, "\x06\x04\x0a\x00\x02\x03", 6), "the name server");
	cr_expect_geq(rig.readable, 1u);
}

static size_t echo_request(uint32_t to, uint8_t fill)
{
	uint8_t icmp[64];

	memset(icmp, fill, sizeof(icmp));
	icmp[0] = 8;
	icmp[1] = icmp[2] = icmp[3] = 0;
	net_checksum(icmp + 2, icmp, sizeof(icmp));
	return user_rig_ipv4(frame, IPPROTO_ICMP, USER_RIG_GUEST, to, icmp, sizeof(icmp));
}

Test(user_net, the_router_answers_a_ping_behind_an_empty_header)
{
	user_rig_open(&rig, NULL, false);
	user_rig_announce(&rig);
	user_rig_send(&rig, frame, echo_request(USER_RIG_HOST, 7));
	memset(rig.header, 0xff, sizeof(rig.header));
	cr_assert(user_rig_await(&rig, IPPROTO_ICMP, WAIT_MS));
	cr_expect_eq(rig.frame[34], 0, "an echo reply");
	cr_expect_eq(be32(rig.frame + 30), (uint32_t)USER_RIG_GUEST);
	for (unsigned i = 0; i < USER_RIG_HEADER; i++)
		cr_expect_eq(rig.header[i], 0);
}

Test(user_net, the_router_of_ipv6_advertises_its_prefix)
{
	uint8_t *ip = frame + 14;
	uint8_t sum[40 + 8] = { 0 };

	user_rig_open(&rig, NULL, false);
	memset(frame, 0, 14 + 40 + 8);
	memcpy(frame, "\x33\x33\0\0\0\2\x52\x54\0\0\0\1\x86\xdd", 14);
	ip[0] = 0x60;
	ip[5] = 8;
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 255;
	memcpy(ip + 8, "\xfe\x80\0\0\0\0\0\0\x50\x54\0\xff\xfe\0\0\1", 16);
	memcpy(ip + 24, "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	ip[40] = 133;
	memcpy(sum, ip + 8, 32);
	sum[35] = 8;
	sum[39] = IPPROTO_ICMPV6;
	memcpy(sum + 40, ip + 40, 8);
	net_checksum(ip + 42, sum, sizeof(sum));
	user_rig_send(&rig, frame, 14 + 40 + 8);
	do
		cr_assert(user_rig_receive(&rig, WAIT_MS));
	while (rig.frame[12] != 0x86 || rig.frame[54] != 134);
	cr_expect(memmem(rig.frame, rig.len, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16));
}

/* --- Data ------------------------------------------------------------------------------------ */

static size_t udp(uint32_t to, uint16_t from_port, uint16_t to_port, const char *text)
{
	uint8_t datagram[8 + 64] = { (uint8_t)(from_port >> 8), (uint8_t)from_port,
				     (uint8_t)(to_port >> 8), (uint8_t)to_port };

	datagram[5] = (uint8_t)(8 + strlen(text));
	memcpy(datagram + 8, text, strlen(text));
	return user_rig_ipv4(frame, IPPROTO_UDP, USER_RIG_GUEST, to, datagram, 8 + strlen(text));
}

Test(user_net, datagrams_reach_the_host_and_come_back)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	uint16_t port;
	char text[16] = "";
	int fd = user_rig_socket(SOCK_DGRAM, &port);

	user_rig_open(&rig, NULL, false);
	user_rig_announce(&rig);
	user_rig_send(&rig, frame, udp(USER_RIG_HOST, 1234, port, "to the host"));
	cr_assert_eq(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &from_len), 11);
	cr_expect_str_eq(text, "to the host");
	cr_assert_eq(sendto(fd, "back", 4, 0, (struct sockaddr *)&from, from_len), 4);
	cr_assert(user_rig_await(&rig, IPPROTO_UDP, WAIT_MS));
	cr_expect_eq(be16(rig.frame + 36), 1234);
	cr_expect_arr_eq(rig.frame + 42, "back", 4);
	close(fd);
}

/* Our side of a connection that 't' describes is open afterwards. */
static void shake_hands(struct user_tcp *t)
{
	t->flags = TCP_SYN;
	t->window = 65535;
	user_rig_send(&rig, frame, user_rig_tcp(frame, t, "", 0));
	cr_assert(user_rig_await(&rig, IPPROTO_TCP, WAIT_MS));
	cr_assert_eq(rig.frame[34 + 13] & 0x3f, TCP_SYN | TCP_ACK);
	t->seq++;
	t->ack = be32(rig.frame + 34 + 4) + 1;
	t->flags = TCP_ACK;
	user_rig_send(&rig, frame, user_rig_tcp(frame, t, "", 0));
}

static int accept_one(int listener)
{
	int fd = FD_NONE;

	fcntl(listener, F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; i < WAIT_MS && fd < 0; i++) {
		loop_pump(rig.loop);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			usleep(1000);
	}
	cr_assert_geq(fd, 0);
	return fd;
}

Test(user_net, a_connection_to_the_host_carries_data_both_ways)
{
	uint16_t port;
	int listener = user_rig_socket(SOCK_STREAM, &port);
	struct user_tcp t = { .to = USER_RIG_HOST, .seq = 100, .from_port = 4000, .to_port = port };
	char text[16] = "";

	user_rig_open(&rig, NULL, false);
	user_rig_announce(&rig);
	shake_hands(&t);
	int fd = accept_one(listener);
	user_rig_send(&rig, frame, user_rig_tcp(frame, &t, "hello", 5));
	loop_pump(rig.loop);
	cr_assert_eq(read(fd, text, sizeof(text)), 5);
	cr_expect_str_eq(text, "hello");
	cr_assert_eq(write(fd, "answer", 6), 6);
	do
		cr_assert(user_rig_await(&rig, IPPROTO_TCP, WAIT_MS));
	while (be16(rig.frame + 16) < 46);
	cr_expect_arr_eq(rig.frame + 54, "answer", 6);
	close(fd);
	close(listener);
}

/* virtio-v1.4 5.1.6.2: what CSUM and HOST_TSO4 leave to the device. */
Test(user_net, a_large_segment_without_checksum_arrives_whole)
{
	uint16_t port, pseudo_sum;
	int listener = user_rig_socket(SOCK_STREAM, &port);
	struct user_tcp t = { .to = USER_RIG_HOST, .seq = 100, .from_port = 4000, .to_port = port };
	uint8_t header[USER_RIG_HEADER] = {
		[0] = NET_HEADER_NEEDS_CSUM, [1] = NET_GSO_TCPV4, [4] = 0xb4, [5] = 5,
		[6] = 34, [8] = 16,
	};
	static uint8_t sent[60000], got[60000];

	user_rig_open(&rig, NULL, false);
	cr_expect(features_has(&rig.peer->offloads, VIRTIO_NET_F_CSUM));
	cr_expect(features_has(&rig.peer->offloads, VIRTIO_NET_F_HOST_TSO4));
	user_rig_announce(&rig);
	shake_hands(&t);
	int fd = accept_one(listener);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	size_t len = user_rig_tcp(frame, &t, sent, sizeof(sent));
	/* The driver leaves the sum of the pseudo header, not complemented. */
	uint8_t pseudo[12];
	memcpy(pseudo, frame + 26, 8);
	pseudo[8] = 0;
	pseudo[9] = IPPROTO_TCP;
	pseudo[10] = (uint8_t)((20 + sizeof(sent)) >> 8);
	pseudo[11] = (uint8_t)(20 + sizeof(sent));
	net_checksum((uint8_t *)&pseudo_sum, pseudo, sizeof(pseudo));
	pseudo_sum = (uint16_t)~pseudo_sum;
	memcpy(frame + 34 + 16, &pseudo_sum, 2);
	user_rig_send_with(&rig, header, frame, len);
	loop_pump(rig.loop);
	for (size_t at = 0; at < sizeof(got);) {
		ssize_t n = read(fd, got + at, sizeof(got) - at);
		cr_assert_gt(n, 0);
		at += (size_t)n;
		loop_pump(rig.loop);
	}
	cr_expect_arr_eq(got, sent, sizeof(sent));
	close(fd);
	close(listener);
}

static uint16_t free_port(int type)
{
	uint16_t port;
	int fd = user_rig_socket(type, &port);

	close(fd);
	return port;
}

static void connect_to(int fd, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

Test(user_net, a_forward_leads_to_the_guest)
{
	uint16_t port = free_port(SOCK_STREAM);
	char text[32];
	const char *forward[] = { text, NULL };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(text, sizeof(text), "tcp:%u:80", port);
	user_rig_open(&rig, forward, false);
	connect_to(fd, port);
	cr_assert(user_rig_await(&rig, IPPROTO_TCP, WAIT_MS));
	cr_expect_eq(rig.frame[34 + 13] & 0x3f, TCP_SYN);
	cr_expect_eq(be16(rig.frame + 36), 80);
	cr_expect_eq(be32(rig.frame + 30), (uint32_t)USER_RIG_GUEST);
	cr_expect_eq(be32(rig.frame + 26), (uint32_t)USER_RIG_HOST);
	close(fd);
}

static void expect_refusal(const char *text, int err, const char *hint)
{
	const struct net_user_config config = { .name = "net0", .forward = &text, .n_forwards = 1 };
	struct net_peer *peer;
	struct error_chain chain;

	cr_expect_eq(net_user_create(&peer, &config), -err, "%s", text);
	cr_expect_null(peer);
	error_save(&chain);
	cr_expect(strstr(chain.line[0], text), "%s: %s", text, chain.line[0]);
	cr_expect(strstr(chain.hint, hint), "%s: %s", text, chain.hint);
	error_clear();
}

Test(user_net, a_port_that_cannot_be_had_is_a_sentence_with_a_fix)
{
	uint16_t tcp_port, udp_port;
	int tcp = user_rig_socket(SOCK_STREAM, &tcp_port), other = user_rig_socket(SOCK_DGRAM,
										    &udp_port);
	unsigned fds = count_fds();
	char text[32];

	snprintf(text, sizeof(text), "tcp:%u:80", tcp_port);
	expect_refusal(text, EADDRINUSE, "another");
	snprintf(text, sizeof(text), "udp:%u:80", udp_port);
	expect_refusal(text, EADDRINUSE, "another");
	expect_refusal("tcp:192.0.2.77:8080:80", EADDRNOTAVAIL, "ip address");
	expect_refusal("tcp:[::1]:8080:80", EINVAL, "ipv6=no");
	expect_refusal("tcp:80", EINVAL, "tcp:8080:80");
	cr_expect_leq(count_fds(), fds);
	close(tcp);
	close(other);
}

Test(user_net, an_mtu_that_cannot_be_is_refused)
{
	static const uint16_t wrong[] = { 1, 575, 1279, 65522 };
	struct net_peer *peer;

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct net_user_config config = { .name = "net0", .mtu = wrong[i],
							.ipv6 = true };
		cr_expect_eq(net_user_create(&peer, &config), -EINVAL);
	}
	error_clear();
}

Test(user_net, a_restricted_guest_reaches_nobody_but_may_be_reached)
{
	uint16_t udp_port, port = free_port(SOCK_STREAM);
	char text[32], byte;
	const char *forward[] = { text, NULL };
	int host = user_rig_socket(SOCK_DGRAM, &udp_port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(text, sizeof(text), "tcp:%u:80", port);
	user_rig_open(&rig, forward, true);
	user_rig_announce(&rig);
	user_rig_send(&rig, frame, udp(USER_RIG_HOST, 1234, udp_port, "x"));
	user_rig_receive(&rig, A_MOMENT_MS);
	cr_expect_lt(recv(host, &byte, 1, MSG_DONTWAIT), 0);
	connect_to(fd, port);
	cr_expect(user_rig_await(&rig, IPPROTO_TCP, WAIT_MS));
	close(fd);
	close(host);
}

/* --- Guests that mean harm ------------------------------------------------------------------- */

Test(user_net, connections_are_as_many_as_are_allowed_and_end_with_the_network)
{
	uint16_t port;
	int listener = user_rig_socket(SOCK_STREAM, &port);
	struct rlimit limit;
	unsigned before = count_fds();

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	user_rig_open(&rig, NULL, false);
	for (unsigned i = 0; i < 5000; i++) {
		struct user_tcp t = { .to = USER_RIG_HOST, .seq = 1, .to_port = port,
				      .from_port = (uint16_t)(1024 + i), .flags = TCP_SYN };
		user_rig_send(&rig, frame, user_rig_tcp(frame, &t, "", 0));
		if (i % 64 == 0)
			loop_pump(rig.loop);
	}
	loop_pump(rig.loop);
	cr_expect_leq(count_fds(), before + USER_SOCKETS_MAX + 16);
	cr_expect_geq(count_fds(), before + 200, "some were opened");
	user_rig_close(&rig);
	cr_expect_leq(count_fds(), before);
	close(listener);
}

Test(user_net, a_guest_that_takes_nothing_costs_no_memory)
{
	user_rig_open(&rig, NULL, false);
	user_rig_announce(&rig);
	rig.peer->ops->want_readable(rig.peer, 0, false);
	struct mallinfo2 before = mallinfo2();
	for (unsigned i = 0; i < 100000; i++) {
		user_rig_send(&rig, frame, echo_request(USER_RIG_HOST, (uint8_t)i));
		if (i % 256 == 0)
			loop_pump(rig.loop);
	}
	loop_pump(rig.loop);
	cr_expect_leq(mallinfo2().uordblks, before.uordblks + MIB(4));
	/* What fitted is there, and what comes then. */
	cr_expect(user_rig_await(&rig, IPPROTO_ICMP, WAIT_MS));
	while (user_rig_receive(&rig, 0))
		;
	user_rig_send(&rig, frame, echo_request(USER_RIG_HOST, 1));
	cr_expect(user_rig_await(&rig, IPPROTO_ICMP, WAIT_MS));
}

/* Neighbours that never say who they are: their packets wait for a second. */
Test(user_net, packets_for_unknown_neighbours_are_bounded)
{
	struct mallinfo2 before;

	user_rig_open(&rig, NULL, false);
	before = mallinfo2();
	for (unsigned i = 0; i < 20000; i++) {
		size_t len = echo_request(USER_RIG_HOST, 1);
		frame[14 + 15] = (uint8_t)(20 + i % 200);
		frame[14 + 10] = frame[14 + 11] = 0;
		net_checksum(frame + 24, frame + 14, 20);
		user_rig_send(&rig, frame, len);
		if (i % 256 == 0)
			loop_pump(rig.loop);
	}
	cr_expect_leq(mallinfo2().uordblks, before.uordblks + MIB(64));
	usleep(1100000);
	user_rig_send(&rig, frame, echo_request(USER_RIG_HOST, 1));
	loop_pump(rig.loop);
	cr_expect_leq(mallinfo2().uordblks, before.uordblks + MIB(64));
}

/* A network of our own, where nobody hears what comes out.  Returns false if that may not be. */
static bool be_alone(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, r;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return r == 0;
}

/* The host's resolv.conf is ours, for this process. */
static bool bring_name_server(const char *text)
{
	char path[] = "/tmp/vireo-resolv-XXXXXX";
	int fd = mkstemp(path);
	bool ok;

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	ok = unshare(CLONE_NEWNS) == 0 &&
	     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	     mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
	unlink(path);
	return ok;
}

Test(user_net, names_are_asked_of_the_host_s_name_server)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53),
				       .sin_addr.s_addr = htonl(0x7f000035) };
	char text[16] = "";

	if (!be_alone() || !bring_name_server("search example\nnameserver 127.0.0.53\n"))
		cr_skip_test("no namespaces here");
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	user_rig_open(&rig, NULL, false);
	/* It was learned at once, by a question that is well-formed. */
	uint8_t first[64] = { 0 };
	cr_expect_eq(recv(fd, first, sizeof(first), MSG_DONTWAIT), 27);
	cr_expect_arr_eq(first, "\0\0\1\0\0\1\0\0\0\0\0\0\011localhost\0\0\1\0\1", 27);
	user_rig_send(&rig, frame, udp(0x0a000203, 1234, 53, "question"));
	cr_expect_eq(recv(fd, text, sizeof(text), MSG_DONTWAIT), 8);
	cr_expect_str_eq(text, "question");
	close(fd);
}

/* A neighbour solicitation, an echo, a datagram or a segment. */
static size_t ipv6(unsigned kind, uint16_t port, unsigned *seed)
{
	static const uint8_t type[] = { 135, 128, 133, 136 };
	uint8_t *ip = frame + 14, sum[40 + 64] = { 0 };
	bool is_icmp = kind % 3 == 0;

	memset(frame, 0, 14 + 40 + 64);
	frame[12] = 0x86;
	frame[13] = 0xdd;
	ip[0] = 0x60;
	ip[5] = 32;
	ip[6] = is_icmp ? IPPROTO_ICMPV6 : kind % 3 == 1 ? IPPROTO_UDP : IPPROTO_TCP;
	ip[7] = 255;
	memcpy(ip + 8, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0f", 16);
	memcpy(ip + 24, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	ip[40] = is_icmp ? type[kind / 3 % 4] : 4;
	ip[42] = is_icmp ? 0 : (uint8_t)(port >> 8);
	ip[43] = is_icmp ? 0 : (uint8_t)port;
	ip[45] = kind % 3 == 1 ? 32 : 0;
	ip[52] = 0x50;
	ip[53] = (uint8_t)kind;
	memcpy(ip + 48, is_icmp ? ip + 24 : ip + 48, is_icmp ? 16 : 0);
	for (unsigned n = (unsigned)rand_r(seed) % 4; n > 0; n--)
		ip[4 + rand_r(seed) % 68] = (uint8_t)rand_r(seed);
	memset(ip + (is_icmp ? 42 : kind % 3 == 1 ? 46 : 56), 0, 2);
	memcpy(sum, ip + 8, 32);
	sum[35] = ip[5];
	sum[39] = ip[6];
	memcpy(sum + 40, ip + 40, min_u64(ip[5], 64));
	net_checksum(ip + (is_icmp ? 42 : kind % 3 == 1 ? 46 : 56), sum,
		     40 + min_u64(ip[5], 64));
	return 14 + 40 + 32 + kind % 2;
}

static size_t ipv4(unsigned i, uint16_t port, unsigned *seed)
{
	struct user_tcp t = { .to = USER_RIG_HOST, .seq = 1, .to_port = port, .window = 1000,
			      .from_port = (uint16_t)(i % 7), .flags = (uint8_t)i };
	size_t len;

	switch (i % 3) {
	case 0: len = echo_request(USER_RIG_HOST + i % 2, (uint8_t)i); break;
	case 1: len = udp(USER_RIG_HOST, (uint16_t)i, (uint16_t)(i % 128), "text"); break;
	default: len = user_rig_tcp(frame, &t, "data", i % 5); break;
	}
	for (unsigned n = (unsigned)rand_r(seed) % 4; n > 0; n--)
		frame[12 + (size_t)rand_r(seed) % (len - 12)] = (uint8_t)rand_r(seed);
	frame[14 + 10] = frame[14 + 11] = 0;
	net_checksum(frame + 24, frame + 14, min_u64((frame[14] & 15) * 4, len - 14));
	return len - (size_t)rand_r(seed) % 3;
}

/* What a guest could say, each a bit wrong, with checksums that are right. */
Test(user_net, no_frame_brings_it_down)
{
	unsigned seed = 3;
	uint16_t port;
	bool alone = be_alone();
	int host = user_rig_socket(SOCK_STREAM, &port);

	user_rig_open(&rig, NULL, !alone);
	user_rig_announce(&rig);
	for (unsigned i = 0; i < N_FRAMES; i++) {
		size_t len = i % 2 ? ipv4(i / 2, port, &seed) : ipv6(i / 2, port, &seed);

		user_rig_send(&rig, frame, len);
		if (i % 64 == 0)
			while (user_rig_receive(&rig, 0))
				;
	}
	user_rig_announce(&rig);
	user_rig_send(&rig, frame, echo_request(USER_RIG_HOST, 1));
	cr_expect(user_rig_await(&rig, IPPROTO_ICMP, WAIT_MS));
	close(host);
}

/* --- Sessions -------------------------------------------------------------------------------- */

Test(user_net, a_stopped_network_is_silent_and_starts_again)
{
	user_rig_open(&rig, NULL, false);
	for (unsigned i = 0; i < 50; i++) {
		const struct net_peer_start start = {
			.header_len = USER_RIG_HEADER, .n_pairs = 1, .loop = &rig.loop,
			.readable = NULL, .arg = &rig,
		};
		unsigned fds = count_fds();

		user_rig_announce(&rig);
		user_rig_send(&rig, frame, echo_request(USER_RIG_HOST, 1));
		rig.peer->ops->stop(rig.peer);
		rig.peer->ops->stop(rig.peer);
		loop_pump(rig.loop);
		cr_assert_eq(rig.peer->ops->start(rig.peer, &start), 0);
		cr_expect_leq(count_fds(), fds);
	}
}

static int life(void *arg)
{
	const char *forward = arg;
	const struct net_user_config config = { .name = "net0", .forward = &forward,
						.n_forwards = 1, .ipv6 = true };
	struct net_peer_start start = { .header_len = USER_RIG_HEADER, .n_pairs = 1,
					.loop = &rig.loop };
	int r = event_loop_create(&rig.loop, "user");

	if (r < 0)
		return r;
	r = net_user_create(&rig.peer, &config);
	if (r == 0)
		r = rig.peer->ops->start(rig.peer, &start);
	user_rig_close(&rig);
	return r;
}

Test(user_net, each_call_that_fails_is_an_error_and_leaves_nothing)
{
	char text[32];
	unsigned fds, n;

	snprintf(text, sizeof(text), "tcp:%u:80", free_port(SOCK_STREAM));
	cr_assert_eq(life(text), 0);
	fds = count_fds();
	n = fault_each(life, text);
	cr_expect_geq(n, 8u);
	cr_expect_eq(count_fds(), fds);
}

Test(user_net, to_look_at_one_takes_nothing_of_the_host)
{
	uint16_t port;
	int tcp = user_rig_socket(SOCK_STREAM, &port);
	char text[32];
	const char *forward = text;
	const struct net_user_config config = { .name = "net0", .forward = &forward,
						.n_forwards = 1, .only_look = true };
	unsigned fds = count_fds();
	struct net_peer *peer;

	snprintf(text, sizeof(text), "tcp:%u:80", port);
	cr_assert_eq(net_user_create(&peer, &config), 0);
	cr_expect_eq(count_fds(), fds);
	cr_expect(features_has(&peer->offloads, VIRTIO_NET_F_CSUM));
	peer->ops->destroy(peer);
	close(tcp);
}

#endif
