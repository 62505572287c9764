/* What can be wrong with the settings of network interfaces. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

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
	add_net(NET_TAP)->ifname = strdup("tap0");
	add_net(NET_TAP)->ifname = strdup("tap0");
	expect("both on tap 'tap0'");
	add_net(NET_TAP)->fd = 7;
	add_net(NET_TAP)->fd = 7;
	expect("both have descriptor 7");
	add_net(NET_TAP)->mtu = 67;
	expect("67 is less than 68");
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

Test(config_net, an_address_is_made_that_stays_and_differs)
{
	uint8_t one[6], two[6], again[6], given[6];

	add_net(NET_TAP);
	add_net(NET_TAP);
	add_net(NET_USER)->mac = strdup("52:54:0A:1b:C3:04");
	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0);
	config_net_mac(&config.net[0], one);
	config_net_mac(&config.net[1], two);
	config_net_mac(&config.net[0], again);
	config_net_mac(&config.net[2], given);
	cr_assert_arr_eq(one, again, 6);
	cr_assert_neq(memcmp(one, two, 6), 0);
	/* locally administered, of one interface */
	cr_assert_eq(one[0] & 3, 2);
	cr_assert_arr_eq(given, ((uint8_t[]){ 0x52, 0x54, 0x0a, 0x1b, 0xc3, 0x04 }), 6);
}
