#include "devices/net_rss.h"

#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum {
	ETHERNET_LEN = 14,
	VLAN_LEN = 4,
	MAX_VLANS = 2,
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_QINQ = 0x88a8,

	PROTO_HOP_BY_HOP = 0,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AUTH = 51,
	PROTO_DESTINATION = 60,
	MAX_EXTENSIONS = 8,
	ROUTING_TYPE_2 = 2,		/* RFC 6275: the mobile node's home address */
	OPTION_PAD1 = 0,
	OPTION_HOME_ADDRESS = 0xc9,	/* RFC 6275 */
	IPV6_LEN = 40,
	ADDRESS_LEN = 16,
	PORTS_LEN = 4,
};

/* What of a frame is hashed.  Offsets are of the frame; 0: not there. */
struct parsed {
	bool is_ipv6;
	uint8_t proto;			/* with ports: PROTO_TCP or PROTO_UDP */
	unsigned source, destination, ports;
	/* IPv6 extension headers: there is one / addresses that they bring. */
	bool is_extended;
	unsigned home, routed;
};

static unsigned load_be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

void net_rss_init(struct net_rss *rss)
{
	memset(rss, 0, sizeof(*rss));
}

/* --- Configuration --------------------------------------------------------------------------- */

/* 32 bits of the key from bit 'at' on. */
static uint32_t key_window(const uint8_t key[NET_RSS_KEY_SIZE], unsigned at)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < 5; i++) {
		unsigned byte = at / 8 + i;

		bits = bits << 8 | (byte < NET_RSS_KEY_SIZE ? key[byte] : 0);
	}
	return (uint32_t)(bits >> (8 - at % 8));
}

static void set_key(struct net_rss *rss, const uint8_t key[NET_RSS_KEY_SIZE])
{
	for (unsigned i = 0; i < NET_RSS_INPUT * 2; i++)
		for (unsigned v = 0; v < 16; v++) {
			rss->share[i][v] = 0;
			for (unsigned bit = 0; bit < 4; bit++)
				if (v & 8u >> bit)
					rss->share[i][v] ^= key_window(key, i * 4 + bit);
		}
}

/* Both commands begin with le32 types and end with u8 length and the key. */
enum {
	AT_MASK = 4,
	AT_UNCLASSIFIED = 6,
	AT_TABLE = 8,
	KEY_HEADER_LEN = 1,
	MAX_TX_LEN = 2,
	CONFIG_SIZE = AT_TABLE + 2 * NET_RSS_TABLE_SIZE + MAX_TX_LEN + KEY_HEADER_LEN +
		      NET_RSS_KEY_SIZE,
	HASH_CONFIG_KEY = 12,
};

/* Judge the length byte at 'at' and the key behind it, which ends the command. */
static bool load_key(uint8_t key[NET_RSS_KEY_SIZE], const uint8_t *raw, size_t at, size_t len)
{
	if (at >= len || raw[at] > NET_RSS_KEY_SIZE || len != at + KEY_HEADER_LEN + raw[at])
		return false;
	/* A shorter key goes on with zeros. */
	memset(key, 0, NET_RSS_KEY_SIZE);
	memcpy(key, raw + at + KEY_HEADER_LEN, raw[at]);
	return true;
}

static bool load_types(uint32_t *types, const uint8_t *raw, size_t len)
{
	if (len < AT_MASK)
		return false;
	*types = load_le32(raw);
	return (*types & ~(uint32_t)NET_RSS_TYPES) == 0;
}

/* A queue's id is its index without the lowest bit: the number of its pair. */
static bool load_pair(uint16_t *pair, const uint8_t *raw, unsigned n_pairs)
{
	*pair = load_le16(raw);
	return *pair < n_pairs;
}

static bool load_table(struct net_rss *rss, const uint8_t *raw, size_t len, unsigned n_pairs)
{
	if (len < AT_TABLE)
		return false;
	rss->mask = load_le16(raw + AT_MASK);
	if (rss->mask >= NET_RSS_TABLE_SIZE || !is_power_of_two(rss->mask + 1u) ||
	    len < AT_TABLE + 2 * (rss->mask + 1u) + MAX_TX_LEN ||
	    !load_pair(&rss->unclassified, raw + AT_UNCLASSIFIED, n_pairs))
		return false;
	for (unsigned i = 0; i <= rss->mask; i++)
		if (!load_pair(&rss->table[i], raw + AT_TABLE + 2 * i, n_pairs))
			return false;
	rss->max_tx = load_le16(raw + AT_TABLE + 2 * (rss->mask + 1u));
	return rss->max_tx >= 1 && rss->max_tx <= n_pairs;
}

bool net_rss_configure(struct net_rss *rss, const struct iovec *iov, unsigned n_iov,
		       size_t offset, size_t len, unsigned n_pairs)
{
	uint8_t raw[CONFIG_SIZE], key[NET_RSS_KEY_SIZE];
	struct net_rss next;

	if (len > sizeof(raw) || iov_read(iov, n_iov, offset, raw, len) != len)
		return false;
	net_rss_init(&next);
	if (!load_types(&next.types, raw, len) || !load_table(&next, raw, len, n_pairs) ||
	    !load_key(key, raw, AT_TABLE + 2 * (next.mask + 1u) + MAX_TX_LEN, len))
		return false;
	next.steers = true;
	set_key(&next, key);
	*rss = next;
	return true;
}

bool net_rss_configure_hash(struct net_rss *rss, const struct iovec *iov, unsigned n_iov,
			    size_t offset, size_t len)
{
	uint8_t raw[HASH_CONFIG_KEY + KEY_HEADER_LEN + NET_RSS_KEY_SIZE];
	uint8_t key[NET_RSS_KEY_SIZE];
	uint32_t types;

	if (len > sizeof(raw) || iov_read(iov, n_iov, offset, raw, len) != len)
		return false;
	if (!load_types(&types, raw, len) || !load_key(key, raw, HASH_CONFIG_KEY, len))
		return false;
	net_rss_init(rss);
	rss->types = types;
	set_key(rss, key);
	return true;
}

/* --- Parsing --------------------------------------------------------------------------------- */

static void parse_ports(struct parsed *p, uint8_t proto, unsigned at, size_t len)
{
	if ((proto != PROTO_TCP && proto != PROTO_UDP) || !range_inside(at, PORTS_LEN, len))
		return;
	p->proto = proto;
	p->ports = at;
}

static bool parse_ipv4(struct parsed *p, const uint8_t *frame, unsigned at, size_t len)
{
	if (!range_inside(at, 20, len) || frame[at] >> 4 != 4 || (frame[at] & 15) < 5)
		return false;
	p->source = at + 12;
	p->destination = at + 16;
	/* No fragment has ports that all of its fragments have: neither MF nor an offset. */
	if ((load_be16(frame + at + 6) & 0x3fff) == 0)
		parse_ports(p, frame[at + 9], at + (frame[at] & 15) * 4u, len);
	return true;
}

/* The home address among the options of 'len' bytes at 'at', or 0. */
static unsigned find_home(const uint8_t *frame, unsigned at, unsigned len)
{
	const unsigned end = at + len;

	while (at + 2 <= end) {
		if (frame[at] == OPTION_PAD1) {
			at++;
			continue;
		}
		unsigned option = 2u + frame[at + 1];
		if (option > end - at)
			return 0;
		if (frame[at] == OPTION_HOME_ADDRESS && option == 2 + ADDRESS_LEN)
			return at + 2;
		at += option;
	}
	return 0;
}

/* How long the extension header at 'at' is; 0: none that we know, or cut off. */
static unsigned extension_len(uint8_t type, const uint8_t *frame, unsigned at, size_t len)
{
	unsigned size;

	if (!range_inside(at, 8, len))
		return 0;
	switch (type) {
	case PROTO_HOP_BY_HOP:
	case PROTO_ROUTING:
	case PROTO_DESTINATION:
		size = (frame[at + 1] + 1u) * 8;
		break;
	case PROTO_FRAGMENT:
		size = 8;
		break;
	case PROTO_AUTH:
		size = (frame[at + 1] + 2u) * 4;
		break;
	default:
		return 0;
	}
	return range_inside(at, size, len) ? size : 0;
}

static bool is_extension(uint8_t type)
{
	return type == PROTO_HOP_BY_HOP || type == PROTO_ROUTING || type == PROTO_DESTINATION ||
	       type == PROTO_FRAGMENT || type == PROTO_AUTH;
}

/* Does the fragment header at 'at' belong to a packet in several pieces? */
static bool is_fragment(const uint8_t *frame, unsigned at)
{
	return (load_be16(frame + at + 2) & 0xfff9) != 0;
}

static bool parse_ipv6(struct parsed *p, const uint8_t *frame, unsigned at, size_t len)
{
	if (!range_inside(at, IPV6_LEN, len) || frame[at] >> 4 != 6)
		return false;
	uint8_t type = frame[at + 6];

	p->is_ipv6 = true;
	p->source = at + 8;
	p->destination = at + 24;
	at += IPV6_LEN;
	for (unsigned i = 0; is_extension(type); i++) {
		unsigned size = extension_len(type, frame, at, len);

		p->is_extended = true;
		if (size == 0 || i == MAX_EXTENSIONS ||
		    (type == PROTO_FRAGMENT && is_fragment(frame, at)))
			return true;
		if (type == PROTO_DESTINATION && p->home == 0)
			p->home = find_home(frame, at + 2, size - 2);
		if (type == PROTO_ROUTING && frame[at + 2] == ROUTING_TYPE_2 &&
		    size == 8 + ADDRESS_LEN)
			p->routed = at + 8;
		type = frame[at];
		at += size;
	}
	parse_ports(p, type, at, len);
	return true;
}

static bool parse_frame(struct parsed *p, const uint8_t *frame, size_t len)
{
	unsigned at = ETHERNET_LEN;

	memset(p, 0, sizeof(*p));
	if (len < ETHERNET_LEN)
		return false;
	for (unsigned i = 0; i <= MAX_VLANS; i++, at += VLAN_LEN) {
		if (at > len)
			return false;
		switch (load_be16(frame + at - 2)) {
		case ETHERTYPE_IPV4:
			return parse_ipv4(p, frame, at, len);
		case ETHERTYPE_IPV6:
			return parse_ipv6(p, frame, at, len);
		case ETHERTYPE_VLAN:
		case ETHERTYPE_QINQ:
			break;
		default:
			return false;
		}
	}
	return false;
}

/* --- Hash ------------------------------------------------------------------------------------ */

static enum net_hash_report first_enabled(uint32_t types, enum net_hash_report with_ports,
					  enum net_hash_report addresses)
{
	if (with_ports != NET_HASH_NONE && types & NET_HASH_TYPE(with_ports))
		return with_ports;
	return types & NET_HASH_TYPE(addresses) ? addresses : NET_HASH_NONE;
}

/* Reports of one kind are in this order: addresses, TCP, UDP. */
static enum net_hash_report choose(uint32_t types, uint8_t proto, enum net_hash_report addresses)
{
	enum net_hash_report with_ports = NET_HASH_NONE;

	if (proto == PROTO_TCP)
		with_ports = addresses + 1;
	else if (proto == PROTO_UDP)
		with_ports = addresses + 2;
	return first_enabled(types, with_ports, addresses);
}

static enum net_hash_report choose_report(uint32_t types, const struct parsed *p)
{
	enum net_hash_report report = NET_HASH_NONE;

	if (!p->is_ipv6)
		return choose(types, p->proto, NET_HASH_IPV4);
	if (p->is_extended)
		report = choose(types, p->proto, NET_HASH_IPV6_EX);
	return report != NET_HASH_NONE ? report : choose(types, p->proto, NET_HASH_IPV6);
}

static uint32_t add_bytes(const struct net_rss *rss, uint32_t hash, unsigned *n,
			  const uint8_t *bytes, unsigned len)
{
	for (unsigned i = 0; i < len; i++, (*n)++)
		hash ^= rss->share[*n * 2][bytes[i] >> 4] ^ rss->share[*n * 2 + 1][bytes[i] & 15];
	return hash;
}

struct net_hash net_rss_hash(const struct net_rss *rss, const uint8_t *frame, size_t len)
{
	struct net_hash hash = { 0, NET_HASH_NONE };
	struct parsed p;
	unsigned n = 0;

	if (rss->types == 0 || !parse_frame(&p, frame, min_u64(len, NET_RSS_HEAD)))
		return hash;
	hash.report = choose_report(rss->types, &p);
	if (hash.report == NET_HASH_NONE)
		return hash;

	unsigned address_len = p.is_ipv6 ? ADDRESS_LEN : 4;
	unsigned source = p.source, destination = p.destination;

	if (hash.report >= NET_HASH_IPV6_EX && p.home)
		source = p.home;
	if (hash.report >= NET_HASH_IPV6_EX && p.routed)
		destination = p.routed;
	hash.value = add_bytes(rss, hash.value, &n, frame + source, address_len);
	hash.value = add_bytes(rss, hash.value, &n, frame + destination, address_len);
	if ((hash.report - NET_HASH_IPV4) % 3 != 0)
		hash.value = add_bytes(rss, hash.value, &n, frame + p.ports, PORTS_LEN);
	return hash;
}
