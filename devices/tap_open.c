/*
 * How a tap is opened: by name, made if there is none, or as a descriptor that somebody else
 * opened.  Each way in which it does not fit is a sentence of its own with what to do about it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "devices/tap_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

#define TUN_NODE "/dev/net/tun"

/* Since Linux 6.2; the headers of older systems lack them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* --- what it can do -------------------------------------------------------------------------- */

struct offload {
	unsigned flag;			/* TUN_F_... */
	uint8_t guest, host;		/* what it lets us offer; FEATURE_NONE: nothing */
};

static const struct offload offloads[] = {
	{ TUN_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_CSUM },
	{ TUN_F_TSO4, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_HOST_TSO4 },
	{ TUN_F_TSO6, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_HOST_TSO6 },
	{ TUN_F_TSO_ECN, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_HOST_ECN },
	{ TUN_F_UFO, VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_HOST_UFO },
	{ TUN_F_USO4, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_HOST_USO },
	{ TUN_F_USO6, VIRTIO_NET_F_GUEST_USO6, FEATURE_NONE },
};

unsigned tap_offload_flags(struct features features)
{
	unsigned flags = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(offloads); i++)
		if (features_has(&features, offloads[i].guest))
			flags |= offloads[i].flag;
	/* Nothing is segmented without a checksum to complete, and ECN says how. */
	if (!(flags & TUN_F_CSUM))
		return 0;
	if (!(flags & (TUN_F_TSO4 | TUN_F_TSO6)))
		flags &= ~(unsigned)TUN_F_TSO_ECN;
	/* The host's kernel takes the two only together. */
	if (!(flags & TUN_F_USO4) || !(flags & TUN_F_USO6))
		flags &= ~(unsigned)(TUN_F_USO4 | TUN_F_USO6);
	return flags;
}

static bool takes(int fd, unsigned flags)
{
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags) == 0;
}

static void add_offloads(struct tap *tap, unsigned flags)
{
	for (unsigned i = 0; i < ARRAY_SIZE(offloads); i++) {
		if (!(offloads[i].flag & flags))
			continue;
		features_add(&tap->base.offloads, offloads[i].guest);
		if (offloads[i].host != FEATURE_NONE)
			features_add(&tap->base.offloads, offloads[i].host);
	}
}

/* Kernels differ in UFO and USO, and say so only when asked for them. */
static void probe_offloads(struct tap *tap)
{
	static const unsigned steps[] = {
		TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN, TUN_F_UFO,
		TUN_F_USO4 | TUN_F_USO6,
	};
	int fd = tap->queue[0].fd;
	unsigned flags = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
		if (takes(fd, flags | steps[i]))
			flags |= steps[i];
	/* Nobody accepted anything yet. */
	(void)takes(fd, 0);
	add_offloads(tap, flags);
}

/* --- opening --------------------------------------------------------------------------------- */

static int open_node(int *fd)
{
	*fd = open(TUN_NODE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	*fd = FD_NONE;
	int r = error_set(errno, "open '" TUN_NODE "'");
	if (r == -ENOENT || r == -ENODEV)
		error_hint("the host's kernel has no taps: try 'modprobe tun', or '--net user'");
	else if (r == -EACCES || r == -EPERM)
		error_hint("this user may not use '" TUN_NODE "'; '--net user' needs no rights");
	return r;
}

static bool exists(const char *ifname)
{
	return if_nametoindex(ifname) != 0;
}

/* Ask for queue 'flags' of interface 'ifname'; an empty name, or one with %d, is filled in. */
static int attach(int fd, char ifname[NET_TAP_NAME_SIZE], unsigned flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags) };

	memcpy(ifr.ifr_name, ifname, NET_TAP_NAME_SIZE);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	memcpy(ifname, ifr.ifr_name, NET_TAP_NAME_SIZE);
	return 0;
}

/*
 * Does it open another way?  Then the interface is of another kind than was asked for.  0, or
 * -EPERM: it would, but belongs to another user; -EINVAL: nor that.
 */
static int open_as(const char *ifname, unsigned flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_NO_PI | flags) };
	int fd, r = open_node(&fd);

	if (r < 0) {
		error_clear();
		return r;
	}
	memcpy(ifr.ifr_name, ifname, NET_TAP_NAME_SIZE);
	r = ioctl(fd, TUNSETIFF, &ifr) == 0 ? 0 : -errno;
	fd_close(&fd);
	return r;
}

static int refuse_existing(int err, const char *ifname, bool many)
{
	int r, as_tap = err == EINVAL && many ? open_as(ifname, IFF_TAP) : -EINVAL;

	/* The kernel looks at the kind first, and then at whose it is. */
	if (as_tap == -EPERM)
		err = EPERM;

	if (err == EBUSY) {
		r = error_set(EBUSY, "tap '%s' is in use by another program", ifname);
		error_hint("end it, or give this interface another 'ifname'");
		return r;
	}
	if (err == EPERM) {
		r = error_set(EPERM, "tap '%s' belongs to another user", ifname);
		error_hint("make it for this one: 'ip tuntap add %s mode tap%s user NAME'",
			   ifname, many ? " multi_queue" : "");
		return r;
	}
	if (err == E2BIG)
		return error_set(E2BIG, "tap '%s' has no more queues", ifname);
	if (err == EINVAL && open_as(ifname, IFF_TUN) != -EINVAL) {
		r = error_set(EINVAL, "'%s' is a tun, which has no Ethernet", ifname);
		error_hint("make a tap: 'ip tuntap add NAME mode tap'");
		return r;
	}
	if (err == EINVAL && as_tap == 0) {
		r = error_set(EINVAL, "tap '%s' was made without multi_queue", ifname);
		error_hint("make it anew: 'ip tuntap del %s mode tap; ip tuntap add %s mode tap "
			   "multi_queue', or take 'queues=1'", ifname, ifname);
		return r;
	}
	if (err == EINVAL) {
		r = error_set(EINVAL, "network interface '%s' is not a tap", ifname);
		error_hint("give 'ifname' the name of a tap, or of nothing that exists");
		return r;
	}
	return error_set(err, "open tap '%s'", ifname);
}

static int refuse_new(int err, const char *ifname, bool many)
{
	int r = error_set(err, "make tap '%s'", ifname);

	if (err == EPERM)
		error_hint("this user may not make one; as root: 'ip tuntap add %s mode tap%s user "
			   "NAME && ip link set %s up', or take '--net user'",
			   ifname, many ? " multi_queue" : "", ifname);
	else if (err == EINVAL)
		error_hint("is '%s' a name that a network interface can have?", ifname);
	return r;
}

static int open_by_name(struct tap *tap, unsigned n)
{
	bool there = exists(tap->ifname);
	unsigned many = n > 1 ? IFF_MULTI_QUEUE : 0;

	tap->is_ours = !there;
	for (unsigned i = tap->n_queues; i < n; i++) {
		int r = open_node(&tap->queue[i].fd);
		if (r < 0)
			return r;
		tap->n_queues++;
		r = attach(tap->queue[i].fd, tap->ifname, many);
		/* One queue of a tap that could have many is a tap with one queue. */
		if (r == -EINVAL && there && n == 1 &&
		    attach(tap->queue[i].fd, tap->ifname, IFF_MULTI_QUEUE) == 0) {
			many = IFF_MULTI_QUEUE;
			r = 0;
		}
		if (r < 0)
			return there || i > 0 ? refuse_existing(-r, tap->ifname, n > 1) :
						refuse_new(-r, tap->ifname, n > 1);
	}
	tap->is_multi_queue = many;
	return 0;
}

/* --- a descriptor that was given ------------------------------------------------------------- */

/*
 * TUNGETIFF says IFF_NO_PI also of a tap that has no packet filter (the kernel gave the two one
 * value): the flag is true only while there is one.
 */
static bool has_packet_information(int fd)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	struct sock_fprog program = { .len = 1, .filter = &all };
	struct ifreq ifr = { 0 };
	bool has = false;

	if (ioctl(fd, TUNATTACHFILTER, &program) < 0)
		return false;
	if (ioctl(fd, TUNGETIFF, &ifr) == 0)
		has = !(ifr.ifr_flags & IFF_NO_PI);
	(void)ioctl(fd, TUNDETACHFILTER, &program);
	return has;
}

void net_tap_name(int fd, char name[NET_TAP_NAME_SIZE])
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		ifr.ifr_name[0] = '\0';
	snprintf(name, NET_TAP_NAME_SIZE, "%.*s", NET_TAP_NAME_SIZE - 1, ifr.ifr_name);
}

static int judge_given(struct tap *tap, unsigned n)
{
	struct ifreq ifr = { 0 };
	int fd = tap->queue[0].fd;
	int r;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0) {
		r = error_set(errno, "descriptor %d is not an open tap", fd);
		error_hint("the program that starts Vireo opens " TUN_NODE ", attaches it with "
			   "TUNSETIFF, and passes the descriptor on");
		return r;
	}
	unsigned flags = (unsigned short)ifr.ifr_flags;
	memcpy(tap->ifname, ifr.ifr_name, NET_TAP_NAME_SIZE);
	tap->ifname[NET_TAP_NAME_SIZE - 1] = '\0';
	if (!(flags & IFF_TAP))
		return error_set(EINVAL, "descriptor %d is a tun, which has no Ethernet; open it "
					 "with IFF_TAP", fd);
	if (has_packet_information(fd))
		return error_set(EINVAL, "tap '%s' (descriptor %d) puts packet information before "
					 "each packet; open it with IFF_NO_PI", tap->ifname, fd);
	if (!(flags & IFF_VNET_HDR))
		return error_set(EINVAL, "tap '%s' (descriptor %d) has no virtio headers; open it "
					 "with IFF_VNET_HDR", tap->ifname, fd);
	if (n > 1 && !(flags & IFF_MULTI_QUEUE))
		return error_set(EINVAL, "tap '%s' (descriptor %d) has one queue; open it with "
					 "IFF_MULTI_QUEUE, or take 'queues=1'", tap->ifname, fd);
	tap->is_multi_queue = flags & IFF_MULTI_QUEUE;
	/* Whoever opened it may not have thought of either. */
	int mode = fcntl(fd, F_GETFL);
	if (mode < 0 || fcntl(fd, F_SETFL, mode | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(errno, "prepare descriptor %d", fd);
	return 0;
}

/* --- the interface --------------------------------------------------------------------------- */

/* A tap that we made is ours to switch on; of another's we only say that it is off. */
static void look_whether_up(const struct tap *tap)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	if (fd < 0)
		return;
	memcpy(ifr.ifr_name, tap->ifname, NET_TAP_NAME_SIZE);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_UP)) {
		ifr.ifr_flags |= IFF_UP;
		if (!tap->is_ours || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
			log_warning("%s: tap '%s' is down and passes nothing; 'ip link set %s up'",
				    tap->name, tap->ifname, tap->ifname);
	}
	fd_close(&fd);
}

/* What nearly every kernel's tap can, where none may be opened to ask. */
static void guess_offloads(struct tap *tap)
{
	add_offloads(tap, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO);
}

/* The tap that there is, or else one that is gone at once. */
static int look(struct tap *tap, const struct net_tap_config *config)
{
	char ifname[NET_TAP_NAME_SIZE] = "vt-look%d";
	int *fd = &tap->queue[0].fd;
	unsigned many = config->n_pairs > 1 ? IFF_MULTI_QUEUE : 0;

	if (*fd == FD_NONE) {
		int r = open_node(fd);
		if (r < 0)
			return r;
		tap->n_queues = 1;
		/* It may be another program's just now. */
		if ((!exists(tap->ifname) || attach(*fd, tap->ifname, many) < 0) &&
		    attach(*fd, ifname, many) < 0) {
			guess_offloads(tap);
			return 0;
		}
	}
	probe_offloads(tap);
	return 0;
}

int net_tap_probe(bool *may_make, const char **fix)
{
	char ifname[NET_TAP_NAME_SIZE] = "vt-probe%d";
	int fd = open(TUN_NODE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	*may_make = r == 0 && attach(fd, ifname, 0) == 0;
	fd_close(&fd);
	if (r == -EACCES || r == -EPERM)
		*fix = "sudo setfacl -m u:$USER:rw " TUN_NODE;
	else if (r == -ENODEV || r == -ENXIO)
		*fix = "sudo modprobe tun; if there is no such module, the kernel needs CONFIG_TUN";
	else
		*fix = "sudo modprobe tun; in a container, pass --device " TUN_NODE;
	return r;
}

int tap_open(struct tap *tap, const struct net_tap_config *config)
{
	int r = 0;

	if (config->ifname)
		snprintf(tap->ifname, sizeof(tap->ifname), "%s", config->ifname);
	if (config->fd != FD_NONE) {
		tap->queue[0].fd = config->fd;
		tap->n_queues = 1;
		r = judge_given(tap, config->n_pairs);
	}
	if (r == 0 && config->only_look)
		return look(tap, config);
	if (r == 0)
		r = open_by_name(tap, config->n_pairs);
	if (r < 0)
		return r;
	probe_offloads(tap);
	look_whether_up(tap);
	return 0;
}
