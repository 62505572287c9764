/*
 * The filter as a program for the host's kernel: for any filter and frame it says what
 * net_filter_passes says.  The program is run by a small interpreter, and where the system lets
 * us by the kernel's own check and run, on a pair of sockets.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net_filter_bpf.h"

static struct net_filter f;
static struct sock_filter prog[NET_BPF_MAX];
static unsigned n_prog;
static bool exact;

static const uint8_t own[] = { 0x52, 0x54, 0, 1, 2, 3 };

/* The tag of a frame that the kernel keeps beside it. */
struct beside {
	bool present;
	unsigned tpid, tci;
};

static uint32_t load_abs(unsigned size, uint32_t k, const uint8_t *frame, size_t len,
			 const struct beside *tag, bool *inside)
{
	uint32_t value = 0;

	if (k == (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT))
		return tag->present;
	if (k == (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TPID))
		return tag->tpid;
	if (k == (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG))
		return tag->tci;
	*inside = range_inside(k, size, len);
	for (unsigned i = 0; *inside && i < size; i++)
		value = value << 8 | frame[k + i];
	return value;
}

/* As the kernel does it: a load beyond the end drops.  Every jump stays inside and goes forward. */
static bool run(const uint8_t *frame, size_t len, const struct beside *tag)
{
	uint32_t a = 0;

	for (unsigned pc = 0; pc < n_prog; pc++) {
		const struct sock_filter *i = &prog[pc];
		bool inside = true;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load_abs(4, i->k, frame, len, tag, &inside);
			break;
		case BPF_LD | BPF_H | BPF_ABS:
			a = load_abs(2, i->k, frame, len, tag, &inside);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k != 0;
		default:
			cr_assert_fail("unexpected instruction 0x%x", i->code);
		}
		if (!inside)
			return false;
	}
	cr_assert_fail("the program has no end");
	return false;
}

static uint32_t random_state;

static unsigned any(unsigned limit)
{
	random_state = random_state * 1103515245u + 12345u;
	return (random_state >> 12) % limit;
}

/* One of few addresses, so that they meet. */
static void any_mac(uint8_t mac[6])
{
	static const uint8_t first[] = { 0x52, 0x33, 0xff, 0x02 };

	memset(mac, first[any(4)], 6);
	if (any(4) > 0)
		mac[any(6)] ^= (uint8_t)(any(3) * 2);
	if (any(4) == 0)
		memcpy(mac, own, 6);
}

static void any_filter(void)
{
	struct features features = FEATURES_EMPTY;
	unsigned n = any(4) == 0 ? NET_FILTER_MACS + 4 : any(20);

	for (unsigned i = 0; i < 3; i++)
		if (any(4) > 0)
			features_add(&features, (unsigned[]){ VIRTIO_NET_F_CTRL_RX,
							      VIRTIO_NET_F_CTRL_VLAN,
							      VIRTIO_NET_F_MAC }[i]);
	net_filter_init(&f, features, own);
	for (unsigned mode = 0; mode < NET_FILTER_MODES; mode++)
		net_filter_set_mode(&f, mode, any(6) == 0);
	for (unsigned i = 0; i < n; i++) {
		uint8_t mac[6];
		struct net_mac_table *table;

		any_mac(mac);
		table = mac[0] & 1 ? &f.multi : &f.uni;
		if (table->n < NET_FILTER_MACS)
			table->mac[table->n++] = net_mac_load(mac);
		else
			table->is_all = true;
	}
	for (unsigned i = any(200); i > 0; i--)
		cr_assert(net_filter_set_vlan(&f, any(4) ? any(40) : any(NET_VLANS), true));
}

static void compare_frame(void)
{
	uint8_t frame[64] = { 0 }, inside[64];
	struct beside tag = { .present = any(3) == 0, .tpid = any(4) ? 0x8100 : 0x88a8,
			      .tci = any(8) << 13 | any(50) };
	size_t len = any(10) ? sizeof(frame) : any(20);
	bool pass;

	any_mac(frame);
	frame[12] = any(2) ? 0x81 : 8;
	frame[14] = (uint8_t)(any(8) << 5 | any(2));
	frame[15] = (uint8_t)any(50);
	/* With the tag inside, where the filter in process finds it. */
	memcpy(inside, frame, 12);
	inside[12] = 0x81;
	inside[13] = 0;
	inside[14] = (uint8_t)(tag.tci >> 8);
	inside[15] = (uint8_t)tag.tci;
	if (tag.present && tag.tpid == 0x8100 && len >= 14)
		pass = net_filter_passes(&f, inside, sizeof(inside));
	else
		pass = net_filter_passes(&f, frame, len);
	if (n_prog == 0)
		cr_assert(pass);
	else if (exact && len >= 14)
		cr_assert_eq(run(frame, len, &tag), pass);
	else if (len >= 14 && pass)
		cr_assert(run(frame, len, &tag), "passes no less");
}

Test(net_filter_bpf, program_says_what_the_filter_says)
{
	for (unsigned round = 0; round < 2000; round++) {
		random_state = round;
		any_filter();
		n_prog = net_filter_compile(&f, prog, &exact);
		cr_assert(exact);
		cr_assert_leq(n_prog, NET_BPF_MAX);
		for (unsigned i = 0; i < 50; i++)
			compare_frame();
	}
}

/* The longest that can be, and what is too much: every second VLAN, full tables. */
Test(net_filter_bpf, filter_that_is_too_long_passes_every_tag)
{
	struct features features = FEATURES_EMPTY;

	features_add(&features, VIRTIO_NET_F_CTRL_RX);
	features_add(&features, VIRTIO_NET_F_CTRL_VLAN);
	features_add(&features, VIRTIO_NET_F_MAC);
	net_filter_init(&f, features, own);
	for (unsigned i = 0; i < NET_FILTER_MACS; i++) {
		f.uni.mac[f.uni.n++] = i * 2;
		f.multi.mac[f.multi.n++] = i * 2 + 1;
	}
	for (unsigned i = 0; i < NET_BPF_VLAN_RANGES; i++)
		cr_assert(net_filter_set_vlan(&f, i * 2, true));
	n_prog = net_filter_compile(&f, prog, &exact);
	cr_assert(exact);
	cr_assert_leq(n_prog, NET_BPF_MAX);
	random_state = 1;
	for (unsigned i = 0; i < 1000; i++)
		compare_frame();

	cr_assert(net_filter_set_vlan(&f, 4095, true));
	n_prog = net_filter_compile(&f, prog, &exact);
	cr_assert_not(exact);
	for (unsigned i = 0; i < 1000; i++)
		compare_frame();
}

Test(net_filter_bpf, open_filter_needs_no_program)
{
	net_filter_init(&f, FEATURES_EMPTY, own);
	cr_assert_eq(net_filter_compile(&f, prog, &exact), 0);
	cr_assert(exact);
}

/* The kernel's verifier and interpreter have the last word. */
Test(net_filter_bpf, kernel_runs_the_program)
{
	struct sock_fprog fprog = { .filter = prog };
	uint8_t frame[64] = { 0 }, buf[64];
	int fd[2];

	for (unsigned round = 0; round < 50; round++) {
		random_state = round;
		any_filter();
		fprog.len = (unsigned short)net_filter_compile(&f, prog, &exact);
		if (fprog.len == 0)
			continue;
		cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fd), 0);
		cr_assert_eq(setsockopt(fd[1], SOL_SOCKET, SO_ATTACH_FILTER, &fprog,
					sizeof(fprog)), 0);
		for (unsigned i = 0; i < 20; i++) {
			ssize_t n;

			any_mac(frame);
			frame[12] = any(2) ? 0x81 : 8;
			frame[15] = (uint8_t)any(50);
			(void)!send(fd[0], frame, sizeof(frame), 0);
			n = recv(fd[1], buf, sizeof(buf), 0);
			cr_assert_eq(n == sizeof(frame), net_filter_passes(&f, frame, sizeof(frame)));
		}
		close(fd[0]);
		close(fd[1]);
	}
}
