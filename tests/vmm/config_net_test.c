/* What can be wrong with the settings of network interfaces. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/config_net.h"
#include "vmm/option_table.h"

static struct vm_config config;
static struct mistakes mistakes;

static void setup(void)
{
	cr_assert_eq(config_init(&config), 0);
	memset(&mistakes, 0, sizeof(mistakes));
}

static void teardown(void)
{
	config_fini(&config);
}

TestSuite(config_net, .init = setup, .fini = teardown);

static struct net_settings *add_net(enum net_backend backend)
{
	struct net_settings *net = NULL;

	for (unsigned i = 0; i < option_sections_len; i++)
		if (!strcmp(option_sections[i].name, "nets"))
			net = config_add(&config, &option_sections[i]);
	cr_assert_not_null(net);
	net->backend = backend;
	return net;
}

/* The only mistake holds 'part'. */
static void expect(const char *part)
{
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 1, "%u: %s | %s", mistakes.n, mistakes.line[0], mistakes.line[1]);
	cr_assert(strstr(mistakes.line[0], part), "%s", mistakes.line[0]);
	teardown();
	setup();
}

Test(config_net, the_defaults_are_fine_and_taps_get_a_name)
{
	add_net(NET_USER);
	add_net(NET_TAP);
	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0);
	cr_assert_null(config.net[0].ifname);
	cr_assert_str_eq(config.net[1].ifname, "vt-net1");
}

Test(config_net, an_address_is_judged)
{
	static const char *const bad[] = { "", "52:54:00:12:34", "52:54:00:12:34:5g",
					   "52:54:00:12:34:56:78", "52540012345", "52:54:00:12:34:5" };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		add_net(NET_USER)->mac = strdup(bad[i]);
		expect("is no address");
	}
	add_net(NET_USER)->mac = strdup("53:54:00:12:34:56");
	expect("a group's address");
	add_net(NET_USER)->mac = strdup("00:00:00:00:00:00");
	expect("nobody's");
	add_net(NET_USER)->mac = strdup("52:54:00:12:34:56");
	add_net(NET_USER)->mac = strdup("52-54-00-12-34-56");
	expect("the same mac");
}

Test(config_net, what_belongs_to_the_other_kind_is_told)
{
	add_net(NET_USER)->queues = 2;
	expect("more than one pair of queues");
	add_net(NET_USER)->ifname = strdup("tap0");
	expect("'ifname' is for backend tap");
	add_net(NET_USER)->fd = 7;
	expect("'fd' is for backend tap");
	add_net(NET_USER)->vhost = VHOST_REQUIRE;
	expect("'require' is for backend tap");
	add_net(NET_USER)->vhost_poll_us = 5;
	expect("'vhost_poll' is for backend tap");
	struct net_settings *net = add_net(NET_USER);
	free(net->vhost_path);
	net->vhost_path = strdup("/dev/other");
	expect("'vhost_path' is for backend tap");
	add_net(NET_TAP)->ipv6 = false;
	expect("'ipv6' is for backend user");
	add_net(NET_TAP)->restrict_guest = true;
	expect("'restrict' is for backend user");
}

Test(config_net, contradictions_are_told)
{
	struct net_settings *net = add_net(NET_TAP);

	net->ifname = strdup("tap0");
	net->fd = 7;
	expect("exclude each other");
	add_net(NET_TAP)->fd = 2;
	expect("no tap");
	net = add_net(NET_TAP);
	net->capture = strdup("x.pcap");
	net->vhost = VHOST_REQUIRE;
	expect("are not seen");
	net = add_net(NET_TAP);
	net->vhost = VHOST_OFF;
	net->vhost_poll_us = 5;
	expect("'vhost_poll' and vhost 'off' exclude each other");
	add_net(NET_USER)->capture = strdup("x.pcap");
	add_net(NET_TAP)->capture = strdup("x.pcap");
	expect("give each its own file");
	add_net(NET_TAP)->fd = 7;
	config.vsock.given = true;
	config.vsock.fd = 7;
	expect("net 'net0' and vsock both have 'fd=7'");
	add_net(NET_TAP)->ifname = strdup("tap0");
	add_net(NET_TAP)->ifname = strdup("tap0");
	expect("both on tap 'tap0'");
	add_net(NET_TAP)->fd = 7;
	add_net(NET_TAP)->fd = 7;
	expect("both have descriptor 7");
	add_net(NET_TAP)->mtu = 67;
	expect("67 is less than 68");
}

Test(config_net, forwards_are_read_before_anything_is_made)
{
	struct net_settings *net = add_net(NET_USER);
	const char *const item[] = { "tcp:80:80", "tpc:81:81" };

	net->forward.item = malloc(sizeof(item));
	cr_assert_not_null(net->forward.item);
	for (unsigned i = 0; i < ARRAY_SIZE(item); i++)
		net->forward.item[i] = strdup(item[i]);
	net->forward.n = ARRAY_SIZE(item);
	expect("net 'net0': forward: forward 'tpc:81:81': it begins with neither");
}

Test(config_net, names_of_taps_are_judged)
{
	static const char *const bad[] = { "", "a/b", "sixteen-letters-", "a b", ".", "..", "t%d" };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		add_net(NET_TAP)->ifname = strdup(bad[i]);
		expect("is no name of an interface");
	}
	add_net(NET_TAP)->name = strdup("thirteen-char");
	expect("give 'ifname'");
}

static const uint8_t *address(unsigned i)
{
	cr_assert_lt(i, config.n_nets);
	return config.net[i].address;
}

static void validate(void)
{
	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0, "%s", mistakes.line[0]);
}

Test(config_net, an_address_is_made_that_stays_and_differs)
{
	uint8_t one[6];

	add_net(NET_TAP);
	add_net(NET_TAP);
	add_net(NET_USER)->mac = strdup("52:54:0A:1b:C3:04");
	validate();
	memcpy(one, address(0), 6);
	cr_assert_neq(memcmp(one, address(1), 6), 0);
	validate();
	cr_assert_arr_eq(one, address(0), 6);
	/* locally administered, of one interface */
	cr_assert_eq(one[0] & 3, 2);
	cr_assert_arr_eq(address(2), ((uint8_t[]){ 0x52, 0x54, 0x0a, 0x1b, 0xc3, 0x04 }), 6);
}

/* Somebody notes the address of one and gives it to another. */
Test(config_net, an_address_that_is_made_is_nobody_elses)
{
	char text[18];
	uint8_t one[6];

	add_net(NET_TAP);
	validate();
	memcpy(one, address(0), 6);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", one[0], one[1], one[2],
		 one[3], one[4], one[5]);
	add_net(NET_USER)->mac = strdup(text);
	add_net(NET_USER);
	validate();
	cr_assert_arr_eq(address(1), one, 6);
	cr_assert_neq(memcmp(address(0), one, 6), 0);
	cr_assert_neq(memcmp(address(2), one, 6), 0);
	cr_assert_neq(memcmp(address(2), address(0), 6), 0);
}

static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		cr_skip_test("cannot make a tap here: %s", strerror(errno));
	return fd;
}

/* The guests of two programs that pass on taps of the same bridge. */
Test(config_net, taps_that_are_passed_on_make_addresses_that_differ)
{
	uint8_t one[6], two[6];
	int a, b;

	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("no network namespace: %s", strerror(errno));
	a = open_tap("vt-a");
	b = open_tap("vt-b");
	add_net(NET_TAP)->fd = (unsigned)a;
	validate();
	memcpy(one, address(0), 6);
	config.net[0].fd = (unsigned)b;
	validate();
	memcpy(two, address(0), 6);
	cr_assert_neq(memcmp(one, two, 6), 0);
	config.net[0].fd = (unsigned)a;
	validate();
	cr_assert_arr_eq(address(0), one, 6);
	/* The same as by its name; and what is no tap is judged later. */
	config.net[0].fd = 0;
	config.net[0].ifname = strdup("vt-a");
	validate();
	cr_assert_arr_eq(address(0), one, 6);
	close(a);
	close(b);
	add_net(NET_TAP)->fd = (unsigned)b;
	validate();
	cr_assert_neq(memcmp(address(1), one, 6), 0);
}
