#include "devices/net_filter_bpf.h"

enum {
	AT_DESTINATION = 0,
	AT_ETHERTYPE = 12,
	AT_TCI = 14,
	ETHERTYPE_VLAN = 0x8100,
	VLAN_MASK = 0xfff,
	PASS = 0x7fffffff,		/* how much of the frame is kept */
	DROP = 0,
};

struct program {
	struct sock_filter *insn;
	unsigned n;
};

/* Jumps count from the next instruction on. */
static unsigned emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	p->insn[p->n] = (struct sock_filter){ code, jt, jf, k };
	return p->n++;
}

static void load(struct program *p, uint16_t size, uint32_t at)
{
	emit(p, (uint16_t)(BPF_LD | size | BPF_ABS), at, 0, 0);
}

static unsigned jump_if(struct program *p, uint16_t test, uint32_t k, uint8_t jt, uint8_t jf)
{
	return emit(p, (uint16_t)(BPF_JMP | test | BPF_K), k, jt, jf);
}

static void answer(struct program *p, uint32_t verdict)
{
	emit(p, BPF_RET | BPF_K, verdict, 0, 0);
}

/* --- VLANs ----------------------------------------------------------------------------------- */

/* The first VLAN from 'from' on that is listed or not, as wanted; NET_VLANS if there is none. */
static unsigned next_vlan(const struct net_filter *f, unsigned from, bool listed)
{
	while (from < NET_VLANS && net_filter_has_vlan(f, from) != listed)
		from++;
	return from;
}

static unsigned count_ranges(const struct net_filter *f)
{
	unsigned n = 0, vlan = next_vlan(f, 0, true);

	for (; vlan < NET_VLANS; n++)
		vlan = next_vlan(f, next_vlan(f, vlan, false), true);
	return n;
}

/*
 * Drop what has a tag that is not listed and go on with everything else.  Ranges are in order, so
 * an id below one is in none.
 */
static void check_vlan(struct program *p, const struct net_filter *f)
{
	unsigned untagged, ranges[NET_BPF_VLAN_RANGES], n = 0;

	/* The tag beside the frame, of the kind that counts here ... */
	load(p, BPF_H, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
	jump_if(p, BPF_JEQ, 0, 4, 0);
	load(p, BPF_H, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TPID));
	jump_if(p, BPF_JEQ, ETHERTYPE_VLAN, 0, 2);
	load(p, BPF_H, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG));
	emit(p, BPF_JMP | BPF_JA, 4, 0, 0);
	/* ... or the one inside. */
	load(p, BPF_H, AT_ETHERTYPE);
	jump_if(p, BPF_JEQ, ETHERTYPE_VLAN, 1, 0);
	untagged = emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
	load(p, BPF_H, AT_TCI);

	emit(p, BPF_ALU | BPF_AND | BPF_K, VLAN_MASK, 0, 0);
	for (unsigned vlan = next_vlan(f, 0, true); vlan < NET_VLANS;) {
		unsigned end = next_vlan(f, vlan, false);

		jump_if(p, BPF_JGE, end, 3, 0);
		jump_if(p, BPF_JGE, vlan, 1, 0);
		answer(p, DROP);
		ranges[n++] = emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
		vlan = next_vlan(f, end, true);
	}
	answer(p, DROP);
	p->insn[untagged].k = p->n - untagged - 1;
	for (unsigned i = 0; i < n; i++)
		p->insn[ranges[i]].k = p->n - ranges[i] - 1;
}

/* --- Addresses ------------------------------------------------------------------------------- */

static uint32_t first_word(const uint8_t mac[NET_MAC_LEN])
{
	return (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 | (uint32_t)mac[2] << 8 | mac[3];
}

/* With the first four bytes loaded, before and after: decide if the destination is 'mac'. */
static void decide_mac(struct program *p, uint64_t value, uint32_t verdict)
{
	uint8_t mac[NET_MAC_LEN];

	net_mac_store(mac, value);
	jump_if(p, BPF_JEQ, first_word(mac), 0, 4);
	load(p, BPF_H, AT_DESTINATION + 4);
	jump_if(p, BPF_JEQ, (uint32_t)mac[4] << 8 | mac[5], 0, 1);
	answer(p, verdict);
	load(p, BPF_W, AT_DESTINATION);
}

/* What is left passes as 'rest' says, or if the table has it. */
static void decide_table(struct program *p, const struct net_mac_table *table, bool rest)
{
	for (unsigned i = 0; i < table->n && !rest; i++)
		decide_mac(p, table->mac[i], PASS);
	answer(p, rest ? PASS : DROP);
}

static void decide_group(struct program *p, const struct net_filter *f)
{
	static const uint64_t broadcast = UINT64_C(0xffffffffffff);

	decide_mac(p, broadcast, net_filter_has_mode(f, NET_FILTER_NOBCAST) ? DROP : PASS);
	if (net_filter_has_mode(f, NET_FILTER_NOMULTI))
		answer(p, DROP);
	else
		decide_table(p, &f->multi,
			     f->multi.is_all || net_filter_has_mode(f, NET_FILTER_ALLMULTI));
}

static void decide_unicast(struct program *p, const struct net_filter *f)
{
	if (net_filter_has_mode(f, NET_FILTER_NOUNI)) {
		answer(p, DROP);
		return;
	}
	decide_mac(p, f->own, PASS);
	decide_table(p, &f->uni,
		     f->own_unknown || f->uni.is_all || net_filter_has_mode(f, NET_FILTER_ALLUNI));
}

static void decide(struct program *p, const struct net_filter *f)
{
	unsigned single;

	load(p, BPF_W, AT_DESTINATION);
	/* The group bit is the lowest of the first byte.  The way may be too long for 'jf'. */
	jump_if(p, BPF_JSET, UINT32_C(1) << 24, 1, 0);
	single = emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
	decide_group(p, f);
	p->insn[single].k = p->n - single - 1;
	decide_unicast(p, f);
}

unsigned net_filter_compile(const struct net_filter *f, struct sock_filter prog[NET_BPF_MAX],
			    bool *exact)
{
	struct program p = { .insn = prog };
	bool by_vlan = f->by_vlan && count_ranges(f) <= NET_BPF_VLAN_RANGES;

	*exact = f->is_open || by_vlan == f->by_vlan;
	if (f->is_open || (!by_vlan && !f->by_mac))
		return 0;
	if (by_vlan)
		check_vlan(&p, f);
	if (f->by_mac)
		decide(&p, f);
	else
		answer(&p, PASS);
	return p.n;
}
