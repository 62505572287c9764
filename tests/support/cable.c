#include "tests/support/cable.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char name[] = "vhost0";

/* A host without IPv6 has no such file. */
static void silence(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/vhost0/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	cr_assert_eq(write(fd, "1", 1), 1, "%s", strerror(errno));
	close(fd);
}

void cable_create(int *tap, int *wire, int flags)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int size = CABLE_NET_HEADER, s;

	memcpy(ifr.ifr_name, name, sizeof(name));
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "%s", strerror(errno));
	*tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	cr_assert_geq(*tap, 0, "%s", strerror(errno));
	cr_assert_eq(ioctl(*tap, TUNSETIFF, &ifr), 0, "%s", strerror(errno));
	cr_assert_eq(ioctl(*tap, TUNSETVNETHDRSZ, &size), 0);
	silence();
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_flags = IFF_UP;
	cr_assert_eq(ioctl(s, SIOCSIFFLAGS, &ifr), 0, "%s", strerror(errno));
	close(s);
	*wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | flags, htons(ETH_P_ALL));
	cr_assert_geq(*wire, 0);
	link.sll_ifindex = (int)if_nametoindex(name);
	cr_assert_eq(bind(*wire, (struct sockaddr *)&link, sizeof(link)), 0);
}
