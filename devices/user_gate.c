#include "devices/user_gate.h"

#include <string.h>

enum {
	ETHERNET_LEN = 14,
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_IPV6 = 0x86dd,
	ARP_LEN = 28,
	IPV4_LEN = 20,
	IPV6_LEN = 40,
	PORT_DHCP_SERVER = 67,
	PORT_TFTP = 69,
	TCP_FLAGS_AT = 13,
	TCP_SYN = 2,
	TCP_ACK = 16,
	FRAGMENT_BITS = 0x3fff,		/* more fragments; the offset */
	ICMPV6_ROUTER_SOLICITATION = 133,
	ICMPV6_NEIGHBOUR_SOLICITATION = 135,
	FRAME_SEGMENTED_MAX = ETHERNET_LEN + 65535,
};

static uint16_t load_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)load_be16(p) << 16 | load_be16(p + 2);
}

/* What carries data over IP: 'p' has 'len' bytes. */
static enum user_gate_verdict judge_payload(uint8_t protocol, const uint8_t *p, size_t len)
{
	switch (protocol) {
	case IPPROTO_TCP:
		if (len <= TCP_FLAGS_AT)
			return USER_GATE_DROP;
		if ((p[TCP_FLAGS_AT] & (TCP_SYN | TCP_ACK)) == TCP_SYN)
			return USER_GATE_OPENS;
		return USER_GATE_PASS;
	case IPPROTO_UDP:
		/* Files are served to nobody. */
		if (len < 8 || load_be16(p + 2) == PORT_TFTP)
			return USER_GATE_DROP;
		return USER_GATE_OPENS;
	case IPPROTO_ICMP:
		return USER_GATE_OPENS;
	case IPPROTO_ICMPV6:
		return USER_GATE_PASS;
	default:
		return USER_GATE_DROP;
	}
}

/* Nobody but the guest's own addresses, and who has none yet and asks for one. */
static bool may_be_source_ipv4(const struct user_gate *gate, uint32_t source, const uint8_t *p,
			       size_t len, uint8_t protocol)
{
	uint32_t host = source & ~gate->mask;

	if (source == 0)
		return protocol == IPPROTO_UDP && len >= 8 && load_be16(p + 2) == PORT_DHCP_SERVER;
	return (source & gate->mask) == gate->network && host > 3 && host != ~gate->mask;
}

/* By libslirp itself: pings of its own hosts, and DHCP. */
static bool is_answered_here(const struct user_gate *gate, uint32_t to, uint8_t protocol,
			     const uint8_t *p, size_t len)
{
	bool is_ours = (to & gate->mask) == gate->network && (to & ~gate->mask) <= 3;

	if (protocol == IPPROTO_ICMP)
		return is_ours;
	return protocol == IPPROTO_UDP && len >= 8 && (is_ours || to == UINT32_MAX) &&
	       load_be16(p + 2) == PORT_DHCP_SERVER;
}

static enum user_gate_verdict judge_ipv4(const struct user_gate *gate, const uint8_t *ip,
					 size_t len)
{
	if (len < IPV4_LEN || ip[0] >> 4 != 4)
		return USER_GATE_DROP;

	size_t header = (ip[0] & 15u) * 4u, total = load_be16(ip + 2);
	if (header < IPV4_LEN || total < header || total > len ||
	    load_be16(ip + 6) & FRAGMENT_BITS || ip[9] == IPPROTO_ICMPV6)
		return USER_GATE_DROP;
	if (!may_be_source_ipv4(gate, load_be32(ip + 12), ip + header, total - header, ip[9]))
		return USER_GATE_DROP;
	if (is_answered_here(gate, load_be32(ip + 16), ip[9], ip + header, total - header))
		return USER_GATE_PASS;
	return judge_payload(ip[9], ip + header, total - header);
}

static bool may_be_source_ipv6(const struct user_gate *gate, const uint8_t *source,
			       uint8_t protocol, uint8_t type)
{
	static const uint8_t none[16];

	if (memcmp(source, none, sizeof(none)) == 0)
		return protocol == IPPROTO_ICMPV6 && (type == ICMPV6_ROUTER_SOLICITATION ||
						      type == ICMPV6_NEIGHBOUR_SOLICITATION);
	if (source[0] == 0xfe && (source[1] & 0xc0) == 0x80)
		return true;
	return memcmp(source, gate->prefix, sizeof(gate->prefix)) == 0;
}

static enum user_gate_verdict judge_ipv6(const struct user_gate *gate, const uint8_t *ip,
					 size_t len)
{
	if (!gate->has_ipv6 || len <= IPV6_LEN || ip[0] >> 4 != 6)
		return USER_GATE_DROP;

	size_t payload = load_be16(ip + 4);
	uint8_t protocol = ip[6];
	if (payload == 0 || payload > len - IPV6_LEN || protocol == IPPROTO_ICMP ||
	    !may_be_source_ipv6(gate, ip + 8, protocol, ip[IPV6_LEN]))
		return USER_GATE_DROP;
	return judge_payload(protocol, ip + IPV6_LEN, payload);
}

/* Large frames are TCP over IPv4, as the device offers no others: what says so must be that. */
static size_t frame_max_of(const struct user_gate *gate, const uint8_t *frame, size_t len)
{
	bool is_tcp = len >= ETHERNET_LEN + IPV4_LEN && load_be16(frame + 12) == TYPE_IPV4 &&
		      frame[ETHERNET_LEN + 9] == IPPROTO_TCP;

	return is_tcp ? FRAME_SEGMENTED_MAX : gate->frame_max;
}

enum user_gate_verdict user_gate_judge(const struct user_gate *gate, const uint8_t *frame,
				       size_t len, bool is_segmented)
{
	if (len < ETHERNET_LEN ||
	    len > (is_segmented ? frame_max_of(gate, frame, len) : gate->frame_max))
		return USER_GATE_DROP;
	switch (load_be16(frame + 12)) {
	case TYPE_ARP:
		/* libslirp believes that it is whole. */
		return len < ETHERNET_LEN + ARP_LEN ? USER_GATE_DROP : USER_GATE_PASS;
	case TYPE_IPV4:
		return judge_ipv4(gate, frame + ETHERNET_LEN, len - ETHERNET_LEN);
	case TYPE_IPV6:
		return judge_ipv6(gate, frame + ETHERNET_LEN, len - ETHERNET_LEN);
	default:
		return USER_GATE_DROP;
	}
}
