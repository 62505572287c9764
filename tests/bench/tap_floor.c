/*
 * What the host's kernel alone takes for a frame through a tap: the loop that a device would have
 * if it did nothing but one writev(2) or readv(2) for each.  Prints what images/payload/bench-net.c
 * prints.  Run by tap_peer, of whom it asks what the payload asks.
 *
 *   tap_floor TAP
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	N_SLICES = 9, HEADER = 12, MSS = 1448, HEADERS = 54, LARGE = HEADERS + 45 * MSS,
	PIECE = 4096, N_PIECES = LARGE / PIECE + 1, N_BUFFERS = 256,
};

static uint8_t frame[HEADER + LARGE + PIECE], header[HEADER];
/* One after the other, as a driver's come: what is copied to was not there just now. */
static uint8_t buffer[N_BUFFERS][PIECE];
static int tap;

static uint64_t cycles(void)
{
	return __builtin_ia32_rdtsc();
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Header and frame apart, a large one page by page. */
static int pieces(struct iovec *v, uint8_t *at, uint32_t len)
{
	int n = 0;

	v[n++] = (struct iovec){ at, HEADER };
	for (uint32_t i = 0; i < len; i += PIECE)
		v[n++] = (struct iovec){ at + HEADER + i, len - i < PIECE ? len - i : PIECE };
	return n;
}

static void make_frame(uint32_t len)
{
	uint8_t *p = frame + HEADER;
	int is_large = len == LARGE;

	memset(frame, 0, sizeof(frame));
	memcpy(p, "\x02peer!\x02\0\0\0\0\x07\x88\xb6", 14);
	if (!is_large)
		return;
	memcpy(frame, "\x01\x01\x36\0\xa8\x05\x22\0\x10\0", 10);
	memcpy(p + 12, "\x08\0\x45\0\xfe\xb0\0\0\x40\0\x40\x06", 12);
	memcpy(p + 26, "\x0a\0\0\x02\x0a\0\0\x01\x07\xd0\x03\xe8", 12);
	p[46] = 5 << 4;
	p[47] = 0x10;
}

static uint64_t send_frames(uint32_t len, unsigned n)
{
	struct iovec v[24];
	uint64_t begin = cycles();

	for (unsigned i = 0; i < n; i++)
		if (writev(tap, v, pieces(v, frame, len)) < 0)
			exit(1);
	return (cycles() - begin) / n;
}

static void ask(uint32_t n, uint32_t len)
{
	uint8_t request[HEADER + 60] = { 0 };
	uint32_t number[3] = { n, len, len == LARGE };

	memcpy(request + HEADER, "\x02peer!\x02\0\0\0\0\x07\x88\xb5\x04", 15);
	memcpy(request + HEADER + 18, number, sizeof(number));
	if (write(tap, request, sizeof(request)) < 0)
		exit(1);
	usleep(300 * 1000);
}

/* Room for the largest frame from buffer 'first' on. */
static int room(struct iovec *v, unsigned first)
{
	int n = 0;

	v[n++] = (struct iovec){ header, HEADER };
	for (unsigned i = 0; i < N_PIECES; i++)
		v[n++] = (struct iovec){ buffer[(first + i) % N_BUFFERS], PIECE };
	return n;
}

static uint64_t receive_frames(uint32_t len, unsigned n)
{
	struct iovec v[24];
	unsigned first = 0;
	uint64_t begin;

	ask(n, len);
	begin = cycles();
	/* And the answer. */
	for (unsigned i = 0; i <= n; i++) {
		ssize_t got = readv(tap, v, room(v, first));

		if (got < 0)
			exit(1);
		first += (unsigned)got / PIECE + 1;
	}
	return (cycles() - begin) / (n + 1);
}

static void measure(const char *what, uint32_t len, unsigned n, uint64_t (*one)(uint32_t, unsigned))
{
	uint64_t took[N_SLICES];

	one(len, n);
	for (unsigned i = 0; i < N_SLICES; i++)
		took[i] = one(len, n);
	qsort(took, N_SLICES, sizeof(took[0]), compare);
	printf("%s %u cycles %llu best %llu kicks 0 of %u\n", what, len,
	       (unsigned long long)took[N_SLICES / 2], (unsigned long long)took[0], n * N_SLICES);
}

int main(int argc, char **argv)
{
	static const uint32_t size[] = { 64, 1500, LARGE };
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = HEADER;

	if (argc != 2)
		return 2;
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", argv[1]);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &ifr) < 0 || ioctl(tap, TUNSETVNETHDRSZ, &header) < 0 ||
	    ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) < 0) {
		perror("tap_floor");
		return 1;
	}
	for (unsigned i = 0; i < 3; i++) {
		unsigned n = size[i] == LARGE ? 400 : 3000;

		make_frame(size[i]);
		measure("tx", size[i], n, send_frames);
		measure("rx", size[i], n, receive_frames);
	}
	return 0;
}
