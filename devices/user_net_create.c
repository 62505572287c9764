/*
 * How a user-mode network is made: libslirp loaded and told who it is, the forwards bound, and what
 * it would read from files later read now, as the sandbox will not let it.
 */
#include "devices/user_net.h"

#include <errno.h>
#include <stdio.h>

#include "devices/net_peer.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"

#if HAVE_SLIRP

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>

#include "devices/net_checksum.h"
#include "devices/net_forward.h"
#include "vmm/base/fd.h"

enum {
	NETWORK = 0x0a000200,		/* 10.0.2.0 */
	MASK = 0xffffff00,
	HOST_ROUTER = 2,
	HOST_NAMES = 3,
	HOST_GUEST = 15,
	PREFIX_LEN = 64,
	MTU_DEFAULT = 1500,
	MTU_MIN = 576,
	MTU_MIN_IPV6 = 1280,
	MTU_MAX = 65521,		/* libslirp's */
	ETHERNET_LEN = 14,
};
static const uint8_t prefix[16] = { 0xfe, 0xc0 };

/* --- What libslirp calls --------------------------------------------------------------------- */

static void on_guest_error(const char *message, void *opaque)
{
	struct user_net *u = opaque;

	log_guest(&u->log, LOG_INFO, "%s: %s", u->name, message);
}

static int64_t on_clock(void *opaque)
{
	(void)opaque;
	return (int64_t)clock_now_ns();
}

static void *on_timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
	struct user_net *u = opaque;

	for (unsigned i = 0; i < USER_NET_TIMERS; i++) {
		if (!u->timer[i].fn) {
			u->timer[i] = (struct user_net_timer){ .fn = fn, .arg = arg };
			return &u->timer[i];
		}
	}
	return NULL;
}

static void on_timer_free(void *timer, void *opaque)
{
	(void)opaque;
	if (timer)
		*(struct user_net_timer *)timer = (struct user_net_timer){ 0 };
}

/* It is asked for between turns, or in one: each ends by setting the clock. */
static void on_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	struct user_net_timer *t = timer;

	(void)opaque;
	if (!t)
		return;
	t->is_set = true;
	t->expire_ns = expire_ms > 0 ? (uint64_t)expire_ms * 1000000u : 0;
}

/* Sockets that were never told of are gone, too: not all are counted. */
static void count_socket(struct user_net *u, int fd, bool is_open)
{
	unsigned bit = (unsigned)fd;

	if (bit >= USER_NET_FDS || (u->is_open[bit / 64] >> (bit % 64) & 1) == is_open)
		return;
	u->is_open[bit / 64] ^= UINT64_C(1) << (bit % 64);
	u->n_open += is_open ? 1u : -1u;
}

static void on_socket(int fd, void *opaque)
{
	struct user_net *u = opaque;

	count_socket(u, fd, true);
	if (u->is_listening && u->n_listeners < USER_NET_FORWARDS)
		u->listener[u->n_listeners++] = fd;
}

static void on_socket_gone(int fd, void *opaque)
{
	struct user_net *u = opaque;

	count_socket(u, fd, false);
	user_sockets_forget(&u->sockets, fd);
}

static void on_notify(void *opaque)
{
	struct user_net *u = opaque;

	if (u->is_running)
		event_loop_post(u->loop, &u->turn);
}

static const SlirpCb callbacks = {
	.send_packet = user_net_on_frame,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_socket,
	.unregister_poll_fd = on_socket_gone,
	.notify = on_notify,
};

/* --- The network ----------------------------------------------------------------------------- */

static struct in_addr host_ipv4(uint32_t host)
{
	return (struct in_addr){ .s_addr = htonl(NETWORK | host) };
}

static struct in6_addr host_ipv6(uint8_t host)
{
	struct in6_addr address;

	memcpy(&address, prefix, sizeof(address));
	address.s6_addr[15] = host;
	return address;
}

static int create_slirp(struct user_net *u, const struct net_user_config *config, size_t mtu)
{
	const SlirpConfig slirp = {
		.version = 3,
		.restricted = config->restrict_guest,
		.in_enabled = true,
		.vnetwork = host_ipv4(0),
		.vnetmask = { .s_addr = htonl(MASK) },
		.vhost = host_ipv4(HOST_ROUTER),
		.in6_enabled = config->ipv6,
		.vprefix_addr6 = host_ipv6(0),
		.vprefix_len = PREFIX_LEN,
		.vhost6 = host_ipv6(HOST_ROUTER),
		.vhostname = "vireo-guest",
		.vdhcp_start = host_ipv4(HOST_GUEST),
		.vnameserver = host_ipv4(HOST_NAMES),
		.vnameserver6 = host_ipv6(HOST_NAMES),
		.if_mtu = mtu,
		.if_mru = mtu,
	};

	u->slirp = u->library->create(&slirp, &callbacks, u);
	return u->slirp ? 0 : error_set(EINVAL, "libslirp refuses its settings");
}

static int check_mtu(const struct net_user_config *config, size_t mtu)
{
	size_t least = config->ipv6 ? MTU_MIN_IPV6 : MTU_MIN;

	if (mtu >= least && mtu <= MTU_MAX)
		return 0;
	error_set(EINVAL, "the user network cannot have an MTU of %zu", mtu);
	error_hint("from %zu to %d bytes are possible%s", least, MTU_MAX,
		   mtu < least && config->ipv6 ? ", from 576 with 'ipv6=no'" : "");
	return -EINVAL;
}

/* --- Forwards -------------------------------------------------------------------------------- */

static int fail_forward(int err, const char *text)
{
	error_set(err, "forward '%s': listen on the host", text);
	switch (err) {
	case EADDRINUSE:
		error_hint("another program listens there ('ss -lntup' shows which): take another "
			   "port");
		break;
	case EACCES:
		error_hint("ports below 1024 need a right: take a port from 1024 on, or "
			   "sudo sysctl net.ipv4.ip_unprivileged_port_start=80");
		break;
	case EADDRNOTAVAIL:
		error_hint("the host has no such address ('ip address' shows those that it has)");
		break;
	case EAFNOSUPPORT:
		error_hint("the host has no IPv6: forward from an IPv4 address");
		break;
	}
	return -err;
}

/* libslirp shares UDP ports with whoever has them, and would take another's packets. */
static int check_udp_port(const struct net_forward *f)
{
	int fd = socket(f->host.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 || bind(fd, &f->host.any, f->len) < 0 ? errno : 0;

	fd_close(&fd);
	return r;
}

static int add_forward(struct user_net *u, const struct net_user_config *config, const char *text)
{
	struct net_forward f;
	int flags = SLIRP_HOSTFWD_V6ONLY;
	int r = net_forward_parse(&f, text);

	if (r < 0)
		return r;
	if (f.host.any.sa_family == AF_INET6 && !config->ipv6) {
		error_set(EINVAL, "forward '%s': the network has no IPv6", text);
		error_hint("leave 'ipv6=no' out, or forward from an IPv4 address");
		return -EINVAL;
	}
	if (f.is_udp) {
		r = check_udp_port(&f);
		if (r)
			return fail_forward(r, text);
		flags |= SLIRP_HOSTFWD_UDP;
	}
	errno = 0;
	u->is_listening = !f.is_udp;
	r = u->library->add_forward(u->slirp, &f.host.any, f.len, &f.guest.any, f.len, flags);
	u->is_listening = false;
	return r < 0 ? fail_forward(errno ? errno : EIO, text) : 0;
}

static int add_forwards(struct user_net *u, const struct net_user_config *config)
{
	int r = 0;

	if (config->n_forwards > USER_NET_FORWARDS)
		return error_set(E2BIG, "%u forwards: %d are the most", config->n_forwards,
				 USER_NET_FORWARDS);
	for (unsigned i = 0; r == 0 && i < config->n_forwards; i++)
		r = add_forward(u, config, config->forward[i]);
	return r;
}

/* --- Before the sandbox ---------------------------------------------------------------------- */

/*
 * libslirp looks up the host's name servers in /etc/resolv.conf when it first needs them, which is
 * too late.  For the one of IPv6, it is as it says its first hello; for that of IPv4, when the
 * guest has something to ask: here for "localhost", which name servers know without asking others
 * (RFC 6761 6.3).  Nobody is there yet for the answer.
 */
static void learn_name_servers(struct user_net *u, const struct net_user_config *config)
{
	enum { QUESTION_LEN = 12 + 11 + 4, UDP_LEN = 8 + QUESTION_LEN, IP_LEN = 20 + UDP_LEN };
	uint8_t frame[ETHERNET_LEN + IP_LEN] = {
		[0] = 0x52, 0x55, [6] = 0x52, 0x55, [12] = 0x08,
		/* IPv4: header of 20 bytes, length, time to live, UDP */
		[14] = 0x45, [17] = IP_LEN, [22] = 64, [23] = IPPROTO_UDP,
		[26] = 10, 0, 2, HOST_GUEST, 10, 0, 2, HOST_NAMES,
		/* UDP: port 1024 to 53, length, no checksum */
		[34] = 4, [37] = 53, [39] = UDP_LEN,
		/* Recursion, one question: the address of a name of one label */
		[44] = 1, [47] = 1, [54] = 9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't',
		[66] = 1, [68] = 1,
	};

	for (unsigned i = 0; i < USER_NET_TIMERS; i++)
		if (u->timer[i].fn)
			u->timer[i].fn(u->timer[i].arg);
	net_checksum(frame + 24, frame + 14, 20);
	if (!config->restrict_guest)
		u->library->input(u->slirp, frame, sizeof(frame));
}

/* Others need descriptors, too. */
static unsigned count_sockets(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return USER_SOCKETS_MAX;
	return (unsigned)min_u64(limit.rlim_cur / 2, USER_SOCKETS_MAX);
}

static int create_parts(struct user_net *u, const struct net_user_config *config, size_t mtu)
{
	int r = slirp_library_load(&u->library);

	if (r < 0)
		return r;
	if (frame_queue_init(&u->queue, USER_NET_QUEUE_SIZE) < 0)
		return error_set(ENOMEM, "allocate room for packets");
	u->clock.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (u->clock.fd < 0)
		return error_set(errno, "create a timer");
	r = create_slirp(u, config, mtu);
	if (r == 0)
		r = add_forwards(u, config);
	if (r == 0)
		learn_name_servers(u, config);
	return r;
}

static void set_up(struct user_net *u, const struct net_user_config *config, size_t mtu)
{
	u->peer = (struct net_peer){
		.ops = &user_net_ops,
		.n_pairs_max = 1,
		.describe = "user network",
	};
	/* Checksums we finish; a TCP segment of any size is fine for libslirp, of IPv4 only. */
	features_add(&u->peer.offloads, VIRTIO_NET_F_CSUM);
	features_add(&u->peer.offloads, VIRTIO_NET_F_HOST_TSO4);
	u->turn.fn = user_net_turn;
	u->clock = (struct event_source){ .fd = FD_NONE, .fn = user_net_clock };
	u->sockets_max = count_sockets();
	user_sockets_init(&u->sockets, &u->turn);
	u->gate = (struct user_gate){
		.frame_max = ETHERNET_LEN + mtu,
		.network = NETWORK,
		.mask = MASK,
		.has_ipv6 = config->ipv6,
	};
	memcpy(u->gate.prefix, prefix, sizeof(u->gate.prefix));
}

void user_net_destroy(struct net_peer *peer)
{
	struct user_net *u = container_of(peer, struct user_net, peer);

	peer->ops->stop(peer);
	if (u->slirp)
		u->library->cleanup(u->slirp);
	fd_close(&u->clock.fd);
	frame_queue_fini(&u->queue);
	free(u->name);
	free(u);
}

int net_user_create(struct net_peer **out, const struct net_user_config *config)
{
	size_t mtu = config->mtu ? config->mtu : MTU_DEFAULT;
	struct user_net *u;
	int r = check_mtu(config, mtu);

	*out = NULL;
	if (r < 0)
		return error_add(r, "connect '%s' to the user network", config->name);
	u = calloc(1, sizeof(*u));
	if (!u)
		return error_set(ENOMEM, "connect '%s' to the user network", config->name);
	set_up(u, config, mtu);
	u->name = strdup(config->name);
	r = u->name ? 0 : -ENOMEM;
	if (r == 0 && !config->only_look)
		r = create_parts(u, config, mtu);
	if (r < 0) {
		user_net_destroy(&u->peer);
		return error_add(r, "connect '%s' to the user network", config->name);
	}
	*out = &u->peer;
	return 0;
}

#else

int net_user_create(struct net_peer **out, const struct net_user_config *config)
{
	const struct slirp_library *library;

	*out = NULL;
	return error_add(slirp_library_load(&library), "connect '%s' to the user network",
			 config->name);
}

#endif
