/* What is wrong about named ports: config_validate_ports(). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/option.h"

static struct vm_config config;
static struct mistakes mistakes;

static void set_up(void)
{
	cr_assert_eq(config_init(&config), 0);
}

static void tear_down(void)
{
	config_fini(&config);
}

TestSuite(config_ports, .init = set_up, .fini = tear_down);

static struct port_settings *add(const char *name)
{
	struct port_settings *port = config_add_named(&config, option_find_section("ports", 5), name,
						      strlen(name));

	cr_assert(port);
	return port;
}

static void set(struct port_settings *port, const char *key, const char *value)
{
	char why[OPTION_WHY_SIZE];
	const struct option *o = option_find("ports", 5, key, strlen(key));

	cr_assert(o);
	cr_assert_eq(option_set(o, port, value, why), 0, "%s", why);
}

static void expect_mistakes(unsigned n, const char *part)
{
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, n, "%u: %s", mistakes.n, mistakes.n ? mistakes.line[0] : "");
	if (n && mistakes.n)
		cr_expect_not_null(strstr(mistakes.line[0], part), "%s", mistakes.line[0]);
}

Test(config_ports, good_ones_of_each_kind)
{
	set(add("vireo.agent"), "fd", "5");
	set(add("a_b-c.9"), "socket", "/tmp/x");
	set(add("status"), "to", "status");
	set(add("log"), "to", "file=log");
	set(add("nowhere"), "to", "null");
	expect_mistakes(0, NULL);
}

Test(config_ports, one_that_leads_nowhere)
{
	add("x");
	expect_mistakes(1, "port 'x': where does it lead? Give 'fd', 'socket' or 'to'");
}

Test(config_ports, one_that_leads_to_two_places)
{
	struct port_settings *port = add("x");

	set(port, "fd", "5");
	set(port, "to", "null");
	expect_mistakes(1, "exclude each other");
}

Test(config_ports, names_are_file_names)
{
	static const char *const bad[] = { "a b", "a/b", "\xc3\xa4", "..", "a,b" };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		set(add(bad[i]), "to", "null");
		expect_mistakes(1, "the name of a port has letters");
		config_fini(&config);
		memset(&mistakes, 0, sizeof(mistakes));
		cr_assert_eq(config_init(&config), 0);
	}
}

Test(config_ports, two_at_the_same_place)
{
	set(add("a"), "fd", "5");
	set(add("b"), "fd", "5");
	expect_mistakes(1, "ports 'a' and 'b' lead to the same place");
}

Test(config_ports, two_at_the_same_socket)
{
	set(add("a"), "socket", "s");
	set(add("b"), "socket", "s");
	expect_mistakes(1, "ports 'a' and 'b' lead to the same place");
}

Test(config_ports, the_terminal_is_the_consoles)
{
	set(add("a"), "to", "stdio");
	expect_mistakes(1, "standard input and output are those of the console");
}

Test(config_ports, the_terminal_may_be_a_ports)
{
	set(add("a"), "to", "stdio");
	config.console.kind = config.serial.kind = TARGET_NULL;
	expect_mistakes(0, NULL);
}

Test(config_ports, are_of_the_console)
{
	set(add("a"), "to", "null");
	config.console.kind = TARGET_OFF;
	expect_mistakes(1, "ports are of the console device");
}

Test(config_ports, need_their_feature_bit)
{
	set(add("a"), "to", "null");
	features_add(&config.console_device.features.off, VIRTIO_CONSOLE_F_MULTIPORT);
	expect_mistakes(1, "'-multiport' takes the ports away");
}

Test(config_ports, there_are_31_at_most)
{
	char name[8];

	for (unsigned i = 0; i < 31; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		set(add(name), "to", "null");
	}
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
	set(add("last"), "to", "null");
	expect_mistakes(1, "32 ports are too many: 31 are the most");
}

Test(config_ports, a_long_path_is_no_sockets)
{
	char path[109];

	memset(path, 'x', 108);
	path[108] = '\0';
	set(add("a"), "socket", path);
	expect_mistakes(1, "is longer than 107 bytes");
}
