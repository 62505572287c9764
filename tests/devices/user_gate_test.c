/* What a guest can say to the user-mode network, and how often. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "devices/user_gate.h"

enum { TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58, ETHERNET = 14 };

static struct user_gate gate;
static uint8_t frame[70000];

static void set_up(void)
{
	gate = (struct user_gate){
		.frame_max = 1514, .network = 0x0a000200, .mask = 0xffffff00, .has_ipv6 = true,
		.prefix = { 0xfe, 0xc0 },
	};
}

TestSuite(user_gate, .init = set_up, .timeout = 20);

static uint8_t *ipv4(uint8_t protocol, uint32_t source, size_t payload)
{
	uint8_t *ip = frame + ETHERNET;
	size_t total = 20 + payload;

	memset(frame, 0, sizeof(frame));
	frame[12] = 8;
	ip[0] = 0x45;
	ip[2] = (uint8_t)(total >> 8);
	ip[3] = (uint8_t)total;
	ip[9] = protocol;
	for (unsigned i = 0; i < 4; i++)
		ip[12 + i] = (uint8_t)(source >> (24 - 8 * i));
	return ip + 20;
}

static uint8_t *ipv6(uint8_t protocol, const uint8_t source[16], size_t payload)
{
	uint8_t *ip = frame + ETHERNET;

	memset(frame, 0, sizeof(frame));
	frame[12] = 0x86;
	frame[13] = 0xdd;
	ip[0] = 0x60;
	ip[4] = (uint8_t)(payload >> 8);
	ip[5] = (uint8_t)payload;
	ip[6] = protocol;
	memcpy(ip + 8, source, 16);
	return ip + 40;
}

static enum user_gate_verdict judge(size_t len)
{
	return user_gate_judge(&gate, frame, len, false);
}

static const uint32_t guest = 0x0a00020f;

Test(user_gate, only_arp_and_ip_pass)
{
	for (unsigned type = 0; type < 65536; type++) {
		memset(frame, 0, 64);
		frame[12] = (uint8_t)(type >> 8);
		frame[13] = (uint8_t)type;
		cr_assert_eq(judge(64), type == 0x0806 ? USER_GATE_PASS : USER_GATE_DROP);
	}
}

Test(user_gate, a_frame_is_no_longer_than_the_mtu_allows_unless_it_was_to_be_segmented)
{
	ipv4(TCP, guest, 1480);
	cr_expect_eq(judge(1514), USER_GATE_PASS);
	cr_expect_eq(judge(1515), USER_GATE_DROP);
	ipv4(TCP, guest, 60000);
	cr_expect_eq(judge(60034), USER_GATE_DROP);
	cr_expect_eq(user_gate_judge(&gate, frame, 60034, true), USER_GATE_PASS);
	cr_expect_eq(user_gate_judge(&gate, frame, 65550, true), USER_GATE_DROP);
}

Test(user_gate, only_tcp_over_ipv4_is_segmented)
{
	static const uint8_t ours[16] = { 0xfe, 0xc0, [15] = 15 };

	ipv4(UDP, guest, 60000);
	cr_expect_eq(user_gate_judge(&gate, frame, 60034, true), USER_GATE_DROP);
	ipv6(TCP, ours, 60000);
	cr_expect_eq(user_gate_judge(&gate, frame, 60054, true), USER_GATE_DROP);
	ipv6(TCP, ours, 1000);
	cr_expect_eq(user_gate_judge(&gate, frame, 1054, true), USER_GATE_PASS, "it is not large");
}

Test(user_gate, an_arp_packet_that_is_cut_off_does_not_pass)
{
	memset(frame, 0, 64);
	frame[12] = 0x08;
	frame[13] = 0x06;
	cr_expect_eq(judge(41), USER_GATE_DROP);
	cr_expect_eq(judge(42), USER_GATE_PASS);
}

Test(user_gate, what_can_take_a_socket_is_told_from_what_cannot)
{
	uint8_t *tcp = ipv4(TCP, guest, 20);

	tcp[13] = 2;
	cr_expect_eq(judge(54), USER_GATE_OPENS);
	tcp[13] = 2 | 16;
	cr_expect_eq(judge(54), USER_GATE_PASS);
	tcp[13] = 16;
	cr_expect_eq(judge(54), USER_GATE_PASS);
	ipv4(UDP, guest, 8);
	cr_expect_eq(judge(42), USER_GATE_OPENS);
	ipv4(ICMP, guest, 8);
	cr_expect_eq(judge(42), USER_GATE_OPENS);
	memcpy(frame + ETHERNET + 16, "\x0a\0\2\2", 4);
	cr_expect_eq(judge(42), USER_GATE_PASS, "a ping of the router");
	ipv4(47, guest, 8);
	cr_expect_eq(judge(42), USER_GATE_DROP);
	ipv4(ICMPV6, guest, 8);
	cr_expect_eq(judge(42), USER_GATE_DROP);
	ipv4(UDP, guest, 8)[3] = 69;
	cr_expect_eq(judge(42), USER_GATE_DROP, "TFTP");
}

Test(user_gate, nobody_speaks_for_the_router_or_for_other_networks)
{
	static const uint32_t others[] = {
		0x0a000200, 0x0a000201, 0x0a000202, 0x0a000203, 0x0a0002ff, 0x0a00030f, 0x7f000001,
		0xe0000001, 0xffffffff, 1, 0,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		ipv4(UDP, others[i], 8);
		cr_expect_eq(judge(42), USER_GATE_DROP, "%#x", others[i]);
	}
	ipv4(UDP, 0, 8)[3] = 67;
	cr_expect_eq(judge(42), USER_GATE_OPENS);
	memset(frame + ETHERNET + 16, 0xff, 4);
	cr_expect_eq(judge(42), USER_GATE_PASS, "DHCP");
	ipv4(TCP, 0, 20)[3] = 67;
	cr_expect_eq(judge(54), USER_GATE_DROP);
}

Test(user_gate, who_has_no_ipv6_address_asks_for_one_and_nothing_else)
{
	static const uint8_t none[16], local[16] = { 0xfe, 0x80, [15] = 1 };
	static const uint8_t ours[16] = { 0xfe, 0xc0, [15] = 9 }, other[16] = { 0x20, 1 };

	for (unsigned type = 0; type < 256; type++) {
		ipv6(ICMPV6, none, 8)[0] = (uint8_t)type;
		cr_expect_eq(judge(62), type == 133 || type == 135 ? USER_GATE_PASS :
			     USER_GATE_DROP, "%u", type);
	}
	ipv6(UDP, none, 8)[0] = 133;
	cr_expect_eq(judge(62), USER_GATE_DROP);
	ipv6(ICMPV6, local, 8);
	cr_expect_eq(judge(62), USER_GATE_PASS);
	ipv6(UDP, ours, 8);
	cr_expect_eq(judge(62), USER_GATE_OPENS);
	ipv6(UDP, other, 8);
	cr_expect_eq(judge(62), USER_GATE_DROP);
	ipv6(0, ours, 8);
	cr_expect_eq(judge(62), USER_GATE_DROP, "a hop-by-hop header");
	gate.has_ipv6 = false;
	ipv6(UDP, ours, 8);
	cr_expect_eq(judge(62), USER_GATE_DROP);
}

Test(user_gate, a_length_that_is_more_than_there_is_is_not_believed)
{
	static const uint8_t ours[16] = { 0xfe, 0xc0, [15] = 9 };

	for (size_t len = 0; len < 54; len++) {
		ipv4(TCP, guest, 20);
		cr_expect_eq(judge(len), USER_GATE_DROP, "%zu", len);
	}
	for (size_t len = 0; len < 62; len++) {
		ipv6(UDP, ours, 8);
		cr_expect_eq(judge(len), USER_GATE_DROP, "%zu", len);
	}
	for (unsigned words = 0; words < 5; words++) {
		ipv4(TCP, guest, 20);
		frame[ETHERNET] = (uint8_t)(0x40 | words);
		cr_expect_eq(judge(54), USER_GATE_DROP);
	}
}

Test(user_gate, fragments_do_not_pass)
{
	ipv4(UDP, guest, 100);
	frame[ETHERNET + 6] = 0x40;
	cr_expect_eq(judge(134), USER_GATE_OPENS, "a packet that must not be cut is whole");
	for (unsigned bit = 0; bit < 14; bit++) {
		frame[ETHERNET + 6] = (uint8_t)((1u << bit) >> 8);
		frame[ETHERNET + 7] = (uint8_t)(1u << bit);
		cr_expect_eq(judge(134), USER_GATE_DROP, "bit %u", bit);
	}
}

/* The sanitizers watch: nothing beyond 'len' is read. */
Test(user_gate, anything_is_judged_within_its_length)
{
	unsigned seed = 1;

	for (unsigned i = 0; i < 200000; i++) {
		size_t len = (size_t)rand_r(&seed) % 80;
		uint8_t *copy = malloc(len + 1);
		for (size_t k = 0; k < len; k++)
			copy[k] = (uint8_t)rand_r(&seed);
		if (len > 14) {
			static const uint8_t types[][2] = { { 8, 0 }, { 0x86, 0xdd }, { 8, 6 } };
			memcpy(copy + 12, types[i % 3], 2);
			copy[14] = i % 3 == 0 ? 0x45 : 0x60;
		}
		(void)user_gate_judge(&gate, copy, len, false);
		free(copy);
	}
}
