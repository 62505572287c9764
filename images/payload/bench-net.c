/*
 * Cycles for one frame of 64, 1500 and 64 KiB bytes, sent and received, by polling.  One line each:
 * "tx SIZE cycles C best B kicks K of N", the median and the best of N_SLICES slices.  The other
 * end is tap_peer, whose tap must hold QUEUE frames: what is to be received lies there already
 * when the clock starts, so that only the way from the tap to the guest is measured.  Options:
 * only=tx or rx, size=64, 1500 or 65214, packed=1, slices=N.
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/net.h"
#include "images/payload/lib/print.h"
#include "virtio/features.h"

#define BIT(x) (1ull << (x))

enum {
	MAX_SLICES = 31, DEPTH = 128, QUEUE = 4096, MSS = 1448, HEADERS = 54,
	LARGE = HEADERS + 45 * MSS,
	PIECE = 4096, BUFFER = 1536, N_RING = 256,
	FILL_WAIT = 400 * 1000 * 1000,	/* cycles that the peer gets to fill the tap */
};

struct load {
	uint32_t size;
	uint32_t n_frames;		/* of a slice */
	bool is_large;
};

static const struct load loads[] = {
	{ 64, 3000, false }, { 1500, 3000, false }, { LARGE, 400, true },
};

static struct net net;
static uint8_t *frame;		/* header and frame, LARGE and more */
static uint64_t packed;

static void sort(uint64_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		for (unsigned j = i; j > 0 && v[j] < v[j - 1]; j--) {
			uint64_t swap = v[j];

			v[j] = v[j - 1];
			v[j - 1] = swap;
		}
	}
}

static void start(const struct load *load)
{
	uint64_t wanted = packed | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC) |
			  BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM) |
			  BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
			  BIT(VIRTIO_NET_F_GUEST_TSO4);

	net.buffer_size = load->is_large ? PIECE : BUFFER;
	net_open(&net, wanted, 1);
	check(net_has(&net, VIRTIO_NET_F_MRG_RXBUF), "no MRG_RXBUF");
	check(!load->is_large || net_has(&net, VIRTIO_NET_F_HOST_TSO4), "no HOST_TSO4");
	check_equal(net.features & packed, packed, "packed ring");
}

static void make_frame(const struct load *load)
{
	struct net_header *h = (struct net_header *)frame;
	uint8_t *p = frame + net.header_len;

	memset(frame, 0, PIECE);
	net_address(&net, p, load->is_large ? NET_TYPE_IPV4 : NET_TYPE_DATA);
	if (!load->is_large)
		return;
	*h = (struct net_header){ .flags = NET_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4,
				  .hdr_len = HEADERS, .gso_size = MSS, .csum_start = 34,
				  .csum_offset = 16 };
	memcpy(p + 14, "\x45\0\xfe\xb0\0\0\x40\0\x40\x06", 10);
	memcpy(p + 26, "\x0a\0\0\x02\x0a\0\0\x01\x07\xd0\x03\xe8", 12);
	p[46] = 5 << 4;
	p[47] = 0x10;
}

static void add_frame(const struct load *load)
{
	uint32_t len = net.header_len + load->size, n = 0;
	struct piece p[RING_MAX_INDIRECT];

	if (!load->is_large) {
		ring_add(&net.tx[0], &(struct piece){ frame, len }, 1, 0);
		return;
	}
	for (uint32_t at = 0; at < len; at += PIECE)
		p[n++] = (struct piece){ frame + at, len - at < PIECE ? len - at : PIECE };
	ring_add_indirect(&net.tx[0], p, n, 0, 0);
}

static uint64_t send(const struct load *load)
{
	struct ring *r = &net.tx[0];
	uint32_t n_sent = 0, n_done = 0;
	uint64_t begin = cycles();

	while (n_done < load->n_frames) {
		bool any = false;

		while (ring_take(r) >= 0)
			n_done++;
		while (n_sent < load->n_frames && n_sent - n_done < DEPTH) {
			add_frame(load);
			n_sent++;
			any = true;
		}
		if (any)
			ring_publish(r);
		else
			pause();
	}
	return (cycles() - begin) / load->n_frames;
}

/* Buffers that are ours for the moment. */
static uint8_t *spare[N_RING];
static unsigned n_spare;

/* Take what is there, without giving buffers back; returns the frames that are complete. */
static unsigned take(unsigned *n_missing)
{
	struct net_buffers *b = &net.buffers[0];
	unsigned n = 0;
	int id;

	while ((id = ring_take(&net.rx[0])) >= 0) {
		if (*n_missing == 0)
			*n_missing = ((struct net_header *)b->at[id])->n_buffers;
		if (*n_missing > 0 && --*n_missing == 0)
			n++;
		spare[n_spare++] = b->at[id];
	}
	return n;
}

static void give(void)
{
	struct net_buffers *b = &net.buffers[0];

	if (n_spare == 0)
		return;
	while (n_spare > 0) {
		uint8_t *at = spare[--n_spare];

		b->at[ring_add(&net.rx[0], &(struct piece){ at, b->size }, 0, 1)] = at;
	}
	ring_publish(&net.rx[0]);
}

static uint64_t receive(const struct load *load)
{
	unsigned missing = 0, n = 0, all;
	uint64_t begin;

	/* All buffers are with the device; the peer fills them and then the tap. */
	net_tell(&net, PEER_SEND, (uint32_t[3]){ load->n_frames, load->size,
						 load->is_large ? PEER_SEND_SEGMENTS : 0 });
	WAIT_UNTIL(false, FILL_WAIT);
	/* The rest, and the peer's answer. */
	all = load->n_frames - take(&missing) + 1;
	begin = cycles();
	while (n < all) {
		give();
		n += take(&missing);
		if (cycles() - begin > WAIT_LONG) {
			check(false, "only %u of %u frames came", n, all);
			break;
		}
	}
	begin = cycles() - begin;
	give();
	return begin / all;
}

static void measure(const char *what, const struct load *load, uint64_t (*one)(const struct load *),
		    const struct ring *r)
{
	unsigned n = (unsigned)option_number("slices", 9);
	uint64_t took[MAX_SLICES], kicks;

	if (n > MAX_SLICES)
		n = MAX_SLICES;
	one(load);		/* touch everything once */
	kicks = r->n_kicks;
	for (unsigned i = 0; i < n; i++)
		took[i] = one(load);
	sort(took, n);
	print("%s %u cycles %lu best %lu kicks %lu of %u\n", what, load->size, took[n / 2], took[0],
	      r->n_kicks - kicks, load->n_frames * n);
}

int main(void)
{
	uint64_t size = option_number("size", 0);

	net_find(&net);
	net.v.vector = VIRTIO_NO_VECTOR;
	packed = option_number("packed", 0) ? BIT(VIRTIO_F_RING_PACKED) : 0;
	frame = heap_alloc(LARGE + PIECE, PIECE);
	net.heap = heap_mark();
	for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		const struct load *load = &loads[i];

		if (size != 0 && size != load->size)
			continue;
		start(load);
		make_frame(load);
		if (!option_is("only", "rx"))
			measure("tx", load, send, &net.tx[0]);
		if (!option_is("only", "tx"))
			measure("rx", load, receive, &net.rx[0]);
	}
	return check_result("bench-net");
}
