/*
 * Any frame at the gate of the user-mode network.  The frame is memory of its own, so that the
 * sanitizer sees a byte too far.  The oracle is the list of what libslirp must never see, of how
 * much a frame can make it keep, and of what has to pass for a network to work at all, each read
 * from the frame anew and by field.
 */
#include <string.h>

#include "devices/user_gate.h"
#include "tests/fuzz/fuzz_input.h"

enum {
	ARP = 0x806, IPV4 = 0x800, IPV6 = 0x86dd, TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58,
	MAX_FRAME = 70000,
};

struct world {
	struct user_gate gate;
	uint8_t *frame;
	size_t len;
	bool is_segmented;
};

/* Bytes of the frame as a number, the first highest; what is beyond its end reads 0. */
static uint64_t field(const struct world *w, size_t at, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value = value << 8 | (at + i < w->len ? w->frame[at + i] : 0);
	return value;
}

/* --- frames ---------------------------------------------------------------------------------- */

static void put(struct world *w, size_t at, unsigned size, uint64_t value)
{
	for (unsigned i = size; i-- > 0; value >>= 8)
		if (at + i < w->len)
			w->frame[at + i] = (uint8_t)value;
}

/* One of these, mostly. */
static uint64_t one_of(struct fuzz_input *in, const uint64_t *value, unsigned n, unsigned size)
{
	uint8_t how = fuzz_u8(in);

	return how & 0x80 ? fuzz_value(in, size) : value[how % n];
}

static const uint64_t protocols[] = { TCP, UDP, ICMP, ICMPV6, 0, 44, 132 };

static void fill_transport(struct world *w, struct fuzz_input *in, size_t at)
{
	static const uint64_t ports[] = { 67, 69, 53, 80, 68, 547 };
	static const uint64_t types[] = { 133, 135, 134, 136, 128, 8 };

	/* The first byte is ICMP's type, too. */
	put(w, at, 2, fuzz_u8(in) & 1 ? one_of(in, types, 6, 1) << 8 : one_of(in, ports, 6, 2));
	put(w, at + 2, 2, one_of(in, ports, 6, 2));
	put(w, at + 13, 1, fuzz_u8(in));
}

static void fill_ipv4(struct world *w, struct fuzz_input *in)
{
	uint64_t header, hosts[] = { 0, 1, 2, 3, 4, 15, 254, 255, 256 };
	uint8_t how = fuzz_u8(in);

	header = how & 1 ? 4u * (how >> 4) : 20;
	put(w, 14, 1, (how & 2 ? fuzz_u8(in) & 0xf0u : 0x40u) | header / 4);
	put(w, 16, 2, how & 4 ? fuzz_u16(in) : w->len - min_u64(w->len, 14));
	put(w, 20, 2, how & 8 ? fuzz_u16(in) : 0x4000);
	put(w, 23, 1, one_of(in, protocols, 7, 1));
	for (unsigned i = 0; i < 2; i++) {
		uint64_t address = w->gate.network + one_of(in, hosts, 9, 4);
		uint8_t other = fuzz_u8(in);

		put(w, 26 + 4 * i, 4, other == 0xff ? UINT32_MAX : other == 0xfe ? 0 : address);
	}
	fill_transport(w, in, 14 + header);
}

static void fill_ipv6(struct world *w, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in), source = fuzz_u8(in);

	put(w, 14, 1, how & 1 ? fuzz_u8(in) : 0x60);
	put(w, 18, 2, how & 2 ? fuzz_u16(in) : w->len - min_u64(w->len, 54));
	put(w, 20, 1, one_of(in, protocols, 7, 1));
	if (source & 1)
		put(w, 22, 2, source & 2 ? fuzz_u16(in) : 0xfe80);
	if (source & 4)
		for (unsigned i = 0; i < 8; i++)
			put(w, 22 + i, 1, w->gate.prefix[i]);
	if (source & 8)
		put(w, 30 + (source >> 5), 1, fuzz_u8(in));
	fill_transport(w, in, 54);
}

static void create(struct world *w, struct fuzz_input *in)
{
	static const uint64_t types[] = { IPV4, IPV6, ARP, 0x8100 };
	uint8_t how = fuzz_u8(in);

	*w = (struct world){ .is_segmented = how & 1 };
	w->gate.frame_max = how & 2 ? fuzz_u16(in) : 1514;
	w->gate.mask = how & 4 ? UINT32_MAX << (2 + fuzz_u8(in) % 29) : 0xffffff00;
	w->gate.network = (how & 8 ? fuzz_u32(in) : 0x0a000200) & w->gate.mask;
	w->gate.has_ipv6 = !(how & 16);
	for (unsigned i = 0; i < 8; i++)
		w->gate.prefix[i] = how & 32 ? fuzz_u8(in) : (uint8_t[8]){ 0xfe, 0xc0 }[i];
	w->len = how & 64 ? fuzz_u32(in) % MAX_FRAME : fuzz_u8(in);
	w->frame = calloc(1, w->len > 0 ? w->len : 1);
	CHECK(w->frame);
	put(w, 12, 2, one_of(in, types, 4, 2));
	if (how & 128)
		for (size_t i = 14; i < w->len && in->len > 0; i++)
			w->frame[i] = fuzz_u8(in);
	else if (field(w, 12, 2) == IPV4)
		fill_ipv4(w, in);
	else if (field(w, 12, 2) == IPV6)
		fill_ipv6(w, in);
}

/* --- the oracle ------------------------------------------------------------------------------ */

struct packet {
	uint64_t protocol, source_port, port, type, flags;
	size_t payload;			/* bytes behind the IP header */
	bool is_own, is_nobodys;	/* the source: the guest's, or the unspecified address */
	bool is_for_slirp;		/* the target: a host that libslirp itself is */
};

/* Returns false for what is no whole packet. */
static bool read_ipv4(const struct world *w, struct packet *p)
{
	uint64_t header = field(w, 14, 1) % 16 * 4, total = field(w, 16, 2);
	uint64_t source = field(w, 26, 4), to = field(w, 30, 4), host = source & ~w->gate.mask;
	uint64_t to_host = to & (uint32_t)~w->gate.mask;

	host &= UINT32_MAX;
	if (w->len < 34 || field(w, 14, 1) / 16 != 4 || header < 20 || total < header ||
	    total > w->len - 14)
		return false;
	/* More fragments, or an offset. */
	if (field(w, 20, 2) % 0x4000 != 0)
		return false;
	*p = (struct packet){
		.protocol = field(w, 23, 1),
		.payload = total - header,
		.source_port = field(w, 14 + header, 2),
		.port = field(w, 16 + header, 2),
		.flags = field(w, 27 + header, 1),
		.is_nobodys = source == 0,
		.is_own = source != 0 && source - host == w->gate.network && host > 3 &&
			  host != (uint32_t)~w->gate.mask,
		.is_for_slirp = to - to_host == w->gate.network && to_host <= 3,
	};
	return p->protocol != ICMPV6;
}

static bool read_ipv6(const struct world *w, struct packet *p)
{
	uint64_t payload = field(w, 18, 2), high = field(w, 22, 8), prefix = 0;

	if (!w->gate.has_ipv6 || w->len < 55 || field(w, 14, 1) / 16 != 6 || payload == 0 ||
	    payload > w->len - 54)
		return false;
	for (unsigned i = 0; i < 8; i++)
		prefix = prefix << 8 | w->gate.prefix[i];
	*p = (struct packet){
		.protocol = field(w, 20, 1),
		.payload = payload,
		.port = field(w, 56, 2),
		.type = field(w, 54, 1),
		.flags = field(w, 67, 1),
		.is_nobodys = high == 0 && field(w, 30, 8) == 0,
		.is_own = high >> 54 == 0xfe80 >> 6 || high == prefix,
	};
	p->is_own &= !p->is_nobodys;
	return p->protocol != ICMP;
}

static enum user_gate_verdict expect_ip(const struct world *w, bool is_ipv4)
{
	struct packet p;
	bool is_dhcp;

	if (!(is_ipv4 ? read_ipv4(w, &p) : read_ipv6(w, &p)))
		return USER_GATE_DROP;
	is_dhcp = is_ipv4 && p.protocol == UDP && p.payload >= 8 && p.port == 67;
	/* Who has no address yet may ask for one: by DHCP, for a router, for a neighbour. */
	if (!p.is_own && !(p.is_nobodys && (is_dhcp || (p.protocol == ICMPV6 &&
							(p.type == 133 || p.type == 135)))))
		return USER_GATE_DROP;
	switch (p.protocol) {
	case TCP:
		/* SYN without ACK begins a connection. */
		return p.payload < 14 ? USER_GATE_DROP :
		       p.flags & 2 && !(p.flags & 16) ? USER_GATE_OPENS : USER_GATE_PASS;
	case UDP:
		if (p.payload < 8 || p.port == 69)
			return USER_GATE_DROP;
		return is_dhcp && (p.is_for_slirp || field(w, 30, 4) == UINT32_MAX) ?
			       USER_GATE_PASS : USER_GATE_OPENS;
	case ICMP:
		return p.is_for_slirp ? USER_GATE_PASS : USER_GATE_OPENS;
	case ICMPV6:
		return USER_GATE_PASS;
	default:
		return USER_GATE_DROP;
	}
}

static enum user_gate_verdict expect(const struct world *w)
{
	uint64_t type = field(w, 12, 2);
	bool may_be_large = w->is_segmented && type == IPV4 && w->len >= 34 &&
			    field(w, 23, 1) == TCP;

	if (w->len < 14 || w->len > (may_be_large ? 65549 : w->gate.frame_max))
		return USER_GATE_DROP;
	if (type == ARP)
		return w->len >= 42 ? USER_GATE_PASS : USER_GATE_DROP;
	return type == IPV4 || type == IPV6 ? expect_ip(w, type == IPV4) : USER_GATE_DROP;
}

/* --- check ----------------------------------------------------------------------------------- */

static enum user_gate_verdict judge(const struct world *w)
{
	return user_gate_judge(&w->gate, w->frame, w->len, w->is_segmented);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	enum user_gate_verdict verdict;
	struct world w;
	uint8_t *copy;

	create(&w, &in);
	copy = malloc(w.len + 1);
	CHECK(copy);
	memcpy(copy, w.frame, w.len);
	verdict = judge(&w);
	CHECK(verdict == expect(&w));
	CHECK(memcmp(copy, w.frame, w.len) == 0);
	/* What the sender is called, and who it is for, is not the gate's. */
	for (unsigned i = 0; i < 12; i++)
		put(&w, i, 1, 0xa5);
	CHECK(judge(&w) == verdict);
	free(copy);
	free(w.frame);
	return 0;
}
