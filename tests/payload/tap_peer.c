/*
 * The other end of a payload's network cable.  Makes a network namespace with a tap in it, runs a
 * command there (a VMM that opens the tap by its name) and answers what the guest asks for in
 * frames of a type of its own, until the command ends; its exit status is passed on.
 *
 *   tap_peer [--pairs N] [--queue FRAMES] [--name TAP] COMMAND [ARGUMENT]...
 *
 * --pairs above 1 makes the tap multi_queue; --queue says how many frames it holds.  A request is
 * an Ethernet frame of type 0x88b5 with: operation (1 byte), three bytes of nothing, three numbers
 * (4 bytes each, little-endian).  It is answered by the same with bit 7 of the operation set and
 * numbers of ours:
 *
 *   1 hello
 *   2 count      how many frames the tap took from the guest / bytes / frames it had no room for
 *   3 echo       A not 0: from now on every frame of another type comes back, addresses swapped,
 *                with the offloads that it came with; 0: no more
 *   4 send       A frames of B bytes, numbered from 0 in the 4 bytes behind the Ethernet header; C
 *                bit 0: as one TCP segment to be cut into pieces of 1448 bytes (numbered in the TCP
 *                sequence number); bit 1: to an address that is not the guest's; bit 2: of VLAN
 *                C >> 16
 *
 * virtio-v1.4 5.1.6 "Device Operation" for the header that the packet socket uses too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	REQUEST_TYPE = 0x88b5, DATA_TYPE = 0x88b6,
	HELLO = 1, COUNT, ECHO, SEND,
	ANSWER = 0x80,
	MAX_FRAME = 65550, MSS = 1448,
};

struct request {
	struct ethhdr eth;
	uint8_t op, nothing[3];
	uint32_t number[3];
} __attribute__((packed));

/* What a packet socket reads and writes. */
struct packet {
	struct virtio_net_hdr vnet;
	uint8_t frame[MAX_FRAME];
} __attribute__((packed));

static const char *tap = "tap0";
static int control = -1, echo = -1, index_of_tap;

static void quit(const char *what)
{
	fprintf(stderr, "tap_peer: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void write_file(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), name, tap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;		/* no IPv6: nothing to switch off */
	if (write(fd, value, strlen(value)) < 0)
		perror("tap_peer: write");
	close(fd);
}

/* Columns of /proc/net/dev: what the host received is what the guest sent. */
enum { RX_BYTES = 0, RX_PACKETS = 1, TX_DROPPED = 11, N_COLUMNS = 16 };

static void read_statistics(unsigned long column[N_COLUMNS])
{
	char text[4096], want[IFNAMSIZ + 2];
	int fd = open("/proc/net/dev", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *p;

	memset(column, 0, N_COLUMNS * sizeof(*column));
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	snprintf(want, sizeof(want), "%s:", tap);
	p = strstr(text, want);
	if (!p)
		return;
	p += strlen(want);
	for (unsigned i = 0; i < N_COLUMNS; i++)
		column[i] = strtoul(p, &p, 10);
}

/* The tap stays when nobody has it open, until the namespace goes. */
static void make_tap(int n_pairs, int queue)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), s = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || s < 0)
		quit("/dev/net/tun");
	if (n_pairs > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", tap);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0)
		quit("make a tap");
	write_file("/proc/sys/net/ipv6/conf/%s/disable_ipv6", "1");
	ifr.ifr_qlen = queue;
	if (ioctl(s, SIOCSIFTXQLEN, &ifr) < 0)
		quit("queue length");
	ifr.ifr_flags = IFF_UP | IFF_PROMISC;
	if (ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		quit("set the tap up");
	close(s);
	close(fd);
}

/* A packet socket on the tap for frames of 'type'. */
static int packet_socket(uint16_t type)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(type),
		.sll_ifindex = index_of_tap,
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	int big = 16 << 20;

	if (fd < 0)
		quit("packet socket");
	/* Before it is bound, so that no frame comes without a header. */
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
		quit("PACKET_VNET_HDR");
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0)
		quit("PACKET_IGNORE_OUTGOING");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		quit("bind a packet socket");
	return fd;
}

static void send_packet(int fd, const struct packet *p, size_t frame_len)
{
	/* Offloads need the frame's own type here, not the socket's. */
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons((uint16_t)(p->frame[12] << 8 | p->frame[13])),
		.sll_ifindex = index_of_tap,
	};

	/* A tap without room, or without a reader, is the test's business. */
	while (sendto(fd, p, sizeof(p->vnet) + frame_len, 0, (struct sockaddr *)&to,
		      sizeof(to)) < 0 && errno == EINTR)
		;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint16_t sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

/* IPv4 and TCP around len - 54 bytes of payload, to be checksummed and cut by whoever can. */
static void make_segment(struct packet *p, uint32_t len, uint32_t number)
{
	uint8_t *ip = p->frame + 14, *tcp = ip + 20;

	put16(p->frame + 12, ETH_P_IP);
	memset(ip, 0, 40);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(len - 14));
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, "\x0a\0\0\x01\x0a\0\0\x02", 8);
	put16(ip + 10, (uint16_t)~sum(ip, 20, 0));
	put16(tcp, 1000);
	put16(tcp + 2, 2000);
	put16(tcp + 4, (uint16_t)(number >> 16));
	put16(tcp + 6, (uint16_t)number);
	tcp[12] = 5 << 4;
	tcp[13] = 0x10;
	put16(tcp + 14, 0xffff);
	put16(tcp + 16, sum(ip + 12, 8, 6 + len - 34));
	p->vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	p->vnet.csum_start = 34;
	p->vnet.csum_offset = 16;
	if (len > 1514) {
		p->vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		p->vnet.gso_size = MSS;
		p->vnet.hdr_len = 54;
	}
}

static void send_frames(const struct request *r, const uint8_t *guest)
{
	static struct packet p;
	uint32_t len = r->number[1], how = r->number[2];

	memset(&p.vnet, 0, sizeof(p.vnet));
	if (len < 18 || len > MAX_FRAME)
		return;
	for (uint32_t i = 0; i < len; i++)
		p.frame[i] = (uint8_t)(i * 7 + (i >> 8));
	memcpy(p.frame, how & 2 ? (const uint8_t *)"\x02other" : guest, ETH_ALEN);
	memcpy(p.frame + 6, "\x02peer!", ETH_ALEN);
	for (uint32_t i = 0; i < r->number[0]; i++) {
		uint8_t *type = p.frame + 12;

		if (how & 1) {
			make_segment(&p, len, i);
		} else {
			if (how & 4) {
				put16(type, ETH_P_8021Q);
				put16(type + 2, (uint16_t)(how >> 16));
				type += 4;
			}
			put16(type, DATA_TYPE);
			memcpy(type + 2, &i, sizeof(i));
		}
		send_packet(control, &p, len);
	}
}

static void answer(void)
{
	static struct packet p;
	struct request *r = (struct request *)p.frame;
	ssize_t n;

	while ((n = recv(control, &p, sizeof(p), 0)) > 0) {
		uint8_t guest[ETH_ALEN];

		if ((size_t)n < sizeof(p.vnet) + sizeof(*r) || r->op & ANSWER)
			continue;
		memcpy(guest, r->eth.h_source, ETH_ALEN);
		if (r->op == COUNT) {
			unsigned long column[N_COLUMNS];

			read_statistics(column);
			r->number[0] = (uint32_t)column[RX_PACKETS];
			r->number[1] = (uint32_t)column[RX_BYTES];
			r->number[2] = (uint32_t)column[TX_DROPPED];
		} else if (r->op == ECHO) {
			if (echo >= 0)
				close(echo);
			echo = r->number[0] ? packet_socket(ETH_P_ALL) : -1;
		} else if (r->op == SEND) {
			send_frames(r, guest);
		}
		r->op |= ANSWER;
		memcpy(r->eth.h_dest, guest, ETH_ALEN);
		memcpy(r->eth.h_source, "\x02peer!", ETH_ALEN);
		memset(&p.vnet, 0, sizeof(p.vnet));
		send_packet(control, &p, 60);
	}
}

static void send_back(void)
{
	static struct packet p;
	uint8_t address[ETH_ALEN];
	ssize_t n;

	while ((n = recv(echo, &p, sizeof(p), 0)) > 0) {
		if ((size_t)n < sizeof(p.vnet) + 14 || (p.frame[12] == 0x88 && p.frame[13] == 0xb5))
			continue;
		memcpy(address, p.frame, ETH_ALEN);
		memcpy(p.frame, p.frame + 6, ETH_ALEN);
		memcpy(p.frame + 6, address, ETH_ALEN);
		send_packet(echo, &p, (size_t)n - sizeof(p.vnet));
	}
}

static int serve(pid_t pid)
{
	sigset_t mask;
	int status, ended;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	ended = signalfd(-1, &mask, SFD_CLOEXEC);
	for (;;) {
		struct pollfd fds[] = {
			{ control, POLLIN, 0 }, { ended, POLLIN, 0 }, { echo, POLLIN, 0 },
		};

		if (poll(fds, echo >= 0 ? 3 : 2, -1) < 0 && errno != EINTR)
			quit("poll");
		if (fds[1].revents) {
			if (waitpid(pid, &status, 0) != pid)
				quit("wait");
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		if (echo >= 0 && fds[2].revents)
			send_back();
		if (fds[0].revents)
			answer();
	}
}

int main(int argc, char **argv)
{
	int n_pairs = 1, queue = 1000, i = 1;
	sigset_t mask;
	pid_t pid;

	for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		if (strcmp(argv[i], "--pairs") == 0)
			n_pairs = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--queue") == 0)
			queue = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--name") == 0)
			tap = argv[i + 1];
		else
			break;
	}
	if (i >= argc || n_pairs < 1 || queue < 1) {
		fprintf(stderr, "Usage: tap_peer [--pairs N] [--queue FRAMES] [--name TAP] COMMAND...\n");
		return 125;
	}
	if (unshare(CLONE_NEWNET) < 0)
		quit("a network namespace");
	make_tap(n_pairs, queue);
	index_of_tap = (int)if_nametoindex(tap);
	control = packet_socket(REQUEST_TYPE);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	pid = fork();
	if (pid < 0)
		quit("fork");
	if (pid == 0) {
		sigprocmask(SIG_UNBLOCK, &mask, NULL);
		execvp(argv[i], &argv[i]);
		fprintf(stderr, "tap_peer: %s: %s\n", argv[i], strerror(errno));
		_exit(127);
	}
	return serve(pid);
}
