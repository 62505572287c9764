/* The hash of received frames and what follows from it, against published vectors. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net_rss.h"
#include "vmm/base/le.h"

enum { N_PAIRS = 4 };

/* The key and the vectors of Microsoft's "Verifying the RSS Hash Calculation". */
static const uint8_t key[] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

struct vector {
	const char *source, *destination;
	uint16_t source_port, destination_port;
	uint32_t addresses, with_ports;
};

static const struct vector ipv4[] = {
	{ "66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178 },
	{ "199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea },
	{ "24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a },
	{ "38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f },
	{ "153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2 },
};

static const struct vector ipv6[] = {
	{ "3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d },
	{ "3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf },
	{ "3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024,
	  0x4b61e985, 0x02d1feef },
};

enum { TCP = 6, UDP = 17, ICMP = 1 };

static struct net_rss rss;
static uint8_t frame[256];
static unsigned frame_len;

static void put(const void *bytes, unsigned len)
{
	memcpy(frame + frame_len, bytes, len);
	frame_len += len;
}

static void put_be16(unsigned value)
{
	uint8_t raw[] = { (uint8_t)(value >> 8), (uint8_t)value };

	put(raw, 2);
}

static void begin(unsigned n_tags, unsigned ethertype)
{
	memset(frame, 0, sizeof(frame));
	frame_len = 12;
	for (unsigned i = 0; i < n_tags; i++) {
		put_be16(i + 1 < n_tags ? 0x88a8 : 0x8100);
		put_be16(7);
	}
	put_be16(ethertype);
}

static void put_address(int family, const char *text)
{
	uint8_t raw[16];

	cr_assert_eq(inet_pton(family, text, raw), 1);
	put(raw, family == AF_INET ? 4 : 16);
}

static void put_ports(const struct vector *v)
{
	put_be16(v->source_port);
	put_be16(v->destination_port);
	frame_len += 16;
}

/* 'words' is the length of the header in 32-bit words, 'piece' the fragment field. */
static void ipv4_frame(const struct vector *v, uint8_t proto, unsigned words, unsigned piece)
{
	unsigned start;

	begin(0, 0x0800);
	start = frame_len;
	frame[start] = (uint8_t)(0x40 | words);
	frame[start + 6] = (uint8_t)(piece >> 8);
	frame[start + 7] = (uint8_t)piece;
	frame[start + 9] = proto;
	frame_len += 12;
	put_address(AF_INET, v->source);
	put_address(AF_INET, v->destination);
	frame_len = start + words * 4;
	put_ports(v);
}

/* Up to the end of the fixed header. */
static void ipv6_begin(const struct vector *v, uint8_t next)
{
	begin(0, 0x86dd);
	frame[frame_len] = 0x60;
	frame[frame_len + 6] = next;
	frame_len += 8;
	put_address(AF_INET6, v->source);
	put_address(AF_INET6, v->destination);
}

static void ipv6_frame(const struct vector *v, uint8_t proto)
{
	ipv6_begin(v, proto);
	put_ports(v);
}

static bool configure_hash(uint32_t types)
{
	uint8_t raw[12 + 1 + 40] = { 0 };
	struct iovec iov = { raw, sizeof(raw) };

	store_le32(raw, types);
	raw[12] = 40;
	memcpy(raw + 13, key, 40);
	return net_rss_configure_hash(&rss, &iov, 1, 0, sizeof(raw));
}

static void assert_hash(enum net_hash_report report, uint32_t value)
{
	struct net_hash hash = net_rss_hash(&rss, frame, frame_len);

	cr_assert_eq(hash.report, report, "%d is not %d", hash.report, report);
	cr_assert_eq(hash.value, value, "0x%x is not 0x%x", hash.value, value);
}

static void setup(void)
{
	net_rss_init(&rss);
	cr_assert(configure_hash(NET_RSS_TYPES));
}

TestSuite(net_rss, .init = setup);

/* covers: NET-HASH-05 */
Test(net_rss, ipv4_vectors)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ipv4); i++) {
		ipv4_frame(&ipv4[i], TCP, 5, 0);
		assert_hash(NET_HASH_TCPV4, ipv4[i].with_ports);
		ipv4_frame(&ipv4[i], UDP, 5, 0x4000);
		assert_hash(NET_HASH_UDPV4, ipv4[i].with_ports);
		ipv4_frame(&ipv4[i], ICMP, 5, 0);
		assert_hash(NET_HASH_IPV4, ipv4[i].addresses);
	}
}

Test(net_rss, ipv6_vectors)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ipv6); i++) {
		ipv6_frame(&ipv6[i], TCP);
		assert_hash(NET_HASH_TCPV6, ipv6[i].with_ports);
		ipv6_frame(&ipv6[i], UDP);
		assert_hash(NET_HASH_UDPV6, ipv6[i].with_ports);
		ipv6_frame(&ipv6[i], 58);
		assert_hash(NET_HASH_IPV6, ipv6[i].addresses);
	}
}

Test(net_rss, type_that_is_not_enabled_falls_back_to_addresses)
{
	cr_assert(configure_hash(NET_HASH_TYPE(NET_HASH_IPV4) | NET_HASH_TYPE(NET_HASH_IPV6)));
	ipv4_frame(&ipv4[0], TCP, 5, 0);
	assert_hash(NET_HASH_IPV4, ipv4[0].addresses);
	ipv6_frame(&ipv6[0], UDP);
	assert_hash(NET_HASH_IPV6, ipv6[0].addresses);
	cr_assert(configure_hash(NET_HASH_TYPE(NET_HASH_UDPV4)));
	ipv4_frame(&ipv4[0], TCP, 5, 0);
	assert_hash(NET_HASH_NONE, 0);
	ipv6_frame(&ipv6[0], UDP);
	assert_hash(NET_HASH_NONE, 0);
}

/* covers: NET-HASH-06 */
Test(net_rss, nothing_is_hashed_before_it_is_configured)
{
	net_rss_init(&rss);
	cr_assert_not(net_rss_is_on(&rss));
	ipv4_frame(&ipv4[0], TCP, 5, 0);
	assert_hash(NET_HASH_NONE, 0);
}

Test(net_rss, ipv4_options_are_skipped)
{
	ipv4_frame(&ipv4[1], TCP, 15, 0);
	assert_hash(NET_HASH_TCPV4, ipv4[1].with_ports);
}

Test(net_rss, fragments_have_no_ports)
{
	uint8_t first[] = { TCP, 0, 0, 1, 1, 2, 3, 4 }, whole[] = { TCP, 0, 0, 0, 1, 2, 3, 4 };

	ipv4_frame(&ipv4[1], TCP, 5, 0x2000);
	assert_hash(NET_HASH_IPV4, ipv4[1].addresses);
	ipv4_frame(&ipv4[1], TCP, 5, 0x0007);
	assert_hash(NET_HASH_IPV4, ipv4[1].addresses);

	ipv6_begin(&ipv6[0], 44);
	put(first, sizeof(first));
	put_ports(&ipv6[0]);
	assert_hash(NET_HASH_IPV6_EX, ipv6[0].addresses);
	ipv6_begin(&ipv6[0], 44);
	put(whole, sizeof(whole));
	put_ports(&ipv6[0]);
	assert_hash(NET_HASH_TCPV6_EX, ipv6[0].with_ports);
}

Test(net_rss, vlan_tags_are_skipped)
{
	for (unsigned n = 1; n <= 3; n++) {
		uint8_t inner[128];
		unsigned len;

		ipv4_frame(&ipv4[2], UDP, 5, 0);
		len = frame_len - 14;
		memcpy(inner, frame + 14, len);
		begin(n, 0x0800);
		put(inner, len);
		if (n <= 2)
			assert_hash(NET_HASH_UDPV4, ipv4[2].with_ports);
		else
			assert_hash(NET_HASH_NONE, 0);
	}
}

/* The home address of the source, the routing header's of the destination: RFC 6275. */
Test(net_rss, extension_headers_bring_addresses)
{
	const struct vector away = { "2001:db8::1", "2001:db8::2", ipv6[2].source_port,
				     ipv6[2].destination_port, 0, 0 };
	uint8_t hop[] = { 60, 0, 1, 4, 0, 0, 0, 0 };
	uint8_t options[] = { 43, 2, 0, 1, 0, 0, 0xc9, 16 };
	uint8_t routing[] = { TCP, 2, 2, 1, 0, 0, 0, 0 };

	ipv6_begin(&away, 0);
	put(hop, sizeof(hop));
	put(options, sizeof(options));
	put_address(AF_INET6, ipv6[2].source);
	put(routing, sizeof(routing));
	put_address(AF_INET6, ipv6[2].destination);
	put_ports(&away);
	assert_hash(NET_HASH_TCPV6_EX, ipv6[2].with_ports);
	cr_assert(configure_hash(NET_HASH_TYPE(NET_HASH_IPV6_EX)));
	assert_hash(NET_HASH_IPV6_EX, ipv6[2].addresses);
	/* Without the _EX types the headers are only skipped. */
	cr_assert(configure_hash(NET_HASH_TYPE(NET_HASH_TCPV6)));
	cr_assert_eq(net_rss_hash(&rss, frame, frame_len).report, NET_HASH_TCPV6);
	cr_assert_neq(net_rss_hash(&rss, frame, frame_len).value, ipv6[2].with_ports);
}

Test(net_rss, plain_ipv6_is_not_of_an_ex_type)
{
	cr_assert(configure_hash(NET_HASH_TYPE(NET_HASH_TCPV6_EX)));
	ipv6_frame(&ipv6[0], TCP);
	assert_hash(NET_HASH_NONE, 0);
}

/* Every frame that is cut off is parsed in bounds: the copy has no byte behind its end. */
Test(net_rss, frames_that_are_cut_off_are_hashed_by_less)
{
	const struct vector *v = &ipv6[0];
	uint8_t options[] = { TCP, 1, 0xc9, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

	for (unsigned kind = 0; kind < 3; kind++) {
		if (kind == 0) {
			ipv4_frame(&ipv4[0], TCP, 15, 0);
		} else {
			ipv6_begin(v, kind == 1 ? TCP : 60);
			if (kind == 2)
				put(options, sizeof(options));
			put_ports(v);
		}
		for (unsigned len = 0; len <= frame_len; len++) {
			uint8_t *copy = malloc(len + 1);
			struct net_hash hash;

			memcpy(copy, frame, len);
			hash = net_rss_hash(&rss, copy, len);
			free(copy);
			cr_assert(len >= (kind ? 54 : 34) || hash.report == NET_HASH_NONE);
		}
	}
}

Test(net_rss, endless_extension_headers_end)
{
	ipv6_begin(&ipv6[0], 60);
	for (unsigned i = 0; i < 20; i++)
		put((uint8_t[]){ 60, 0, 0, 0, 0, 0, 0, 0 }, 8);
	assert_hash(NET_HASH_IPV6_EX, ipv6[0].addresses);
}

/* --- Configuration --------------------------------------------------------------------------- */

static uint8_t config[8 + 2 * 256 + 3 + 41];

/* Returns the length of a command with that many entries, entry i naming pair i % N_PAIRS. */
static size_t fill_config(unsigned entries, unsigned key_len)
{
	uint8_t *p = config + 8;

	memset(config, 0, sizeof(config));
	store_le32(config, NET_RSS_TYPES);
	store_le16(config + 4, (uint16_t)(entries - 1));
	store_le16(config + 6, 2);
	for (unsigned i = 0; i < entries; i++, p += 2)
		store_le16(p, (uint16_t)(i % N_PAIRS));
	store_le16(p, N_PAIRS);
	p[2] = (uint8_t)key_len;
	memcpy(p + 3, key, min_u64(key_len, sizeof(key)));
	return (size_t)(p + 3 + key_len - config);
}

/* In pieces of three bytes. */
static bool configure(size_t len)
{
	static struct iovec iov[sizeof(config)];
	unsigned n = 0;

	for (size_t at = 0; at < len; at += 3)
		iov[n++] = (struct iovec){ config + at, min_u64(3, len - at) };
	return net_rss_configure(&rss, iov, n, 0, len, N_PAIRS);
}

/* covers: NET-CTRL-37 NET-CTRL-40 */
Test(net_rss, table_chooses_the_pair)
{
	for (unsigned entries = 1; entries <= NET_RSS_TABLE_SIZE; entries *= 2) {
		cr_assert(configure(fill_config(entries, 40)));
		cr_assert(rss.steers);
		for (unsigned i = 0; i < ARRAY_SIZE(ipv4); i++) {
			ipv4_frame(&ipv4[i], TCP, 5, 0);
			cr_assert_eq(net_rss_pair(&rss, net_rss_hash(&rss, frame, frame_len)),
				     ipv4[i].with_ports % entries % N_PAIRS);
		}
		begin(0, 0x0806);
		frame_len = 60;
		cr_assert_eq(net_rss_pair(&rss, net_rss_hash(&rss, frame, frame_len)), 2,
			     "what has no hash goes to the unclassified queue");
	}
}

/* covers: NET-CTRL-39 */
Test(net_rss, configuration_that_cannot_be_changes_nothing)
{
	struct net_rss before;
	size_t len = fill_config(8, 40);

	cr_assert(configure(len));
	before = rss;
	cr_assert_not(configure(len - 1), "truncated");
	cr_assert_not(configure(len + 1), "too long");
	for (size_t n = 0; n < 29; n++)
		cr_assert_not(configure(n));
	cr_assert_not(configure(fill_config(3, 40)), "not a power of two");
	cr_assert_not(configure(fill_config(256, 40)), "too many entries");
	cr_assert_not(configure(fill_config(8, 41)), "key too long");

	len = fill_config(8, 40);
	store_le16(config + 4, 0xffff);
	cr_assert_not(configure(len), "65536 entries");
	len = fill_config(8, 40);
	store_le32(config, NET_RSS_TYPES + 1);
	cr_assert_not(configure(len), "unknown type");
	len = fill_config(8, 40);
	store_le16(config + 6, N_PAIRS);
	cr_assert_not(configure(len), "unclassified queue that is not there");
	len = fill_config(8, 40);
	store_le16(config + 8 + 14, 0x8000);
	cr_assert_not(configure(len), "queue that is not there");
	len = fill_config(8, 40);
	store_le16(config + 8 + 16, N_PAIRS + 1);
	cr_assert_not(configure(len), "transmit queue that is not there");
	len = fill_config(8, 40);
	store_le16(config + 8 + 16, 0);
	cr_assert_not(configure(len), "no transmit queue");
	cr_assert_eq(memcmp(&before, &rss, sizeof(rss)), 0);
}

Test(net_rss, short_key_goes_on_with_zeros)
{
	cr_assert(configure(fill_config(1, 0)));
	ipv4_frame(&ipv4[0], TCP, 5, 0);
	assert_hash(NET_HASH_TCPV4, 0);
	cr_assert(configure(fill_config(1, 12)));
	ipv4_frame(&ipv4[0], ICMP, 5, 0);
	assert_hash(NET_HASH_IPV4, ipv4[0].addresses);
}

Test(net_rss, hash_configuration_that_cannot_be_changes_nothing)
{
	uint8_t raw[12 + 1 + 41] = { 0 };
	struct iovec iov = { raw, sizeof(raw) };
	struct net_rss before = rss;

	raw[12] = 40;
	cr_assert_not(net_rss_configure_hash(&rss, &iov, 1, 0, 52));
	cr_assert_not(net_rss_configure_hash(&rss, &iov, 1, 0, 54));
	cr_assert_not(net_rss_configure_hash(&rss, &iov, 1, 0, 12));
	cr_assert_not(net_rss_configure_hash(&rss, &iov, 1, 0, 0));
	raw[12] = 41;
	cr_assert_not(net_rss_configure_hash(&rss, &iov, 1, 0, 54));
	raw[12] = 40;
	store_le32(raw, UINT32_C(1) << 31);
	cr_assert_not(net_rss_configure_hash(&rss, &iov, 1, 0, 53));
	cr_assert_eq(memcmp(&before, &rss, sizeof(rss)), 0);
}
