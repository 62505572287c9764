#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config_numa.h"
#include "vmm/option.h"

static struct vm_config config;
static struct mistakes mistakes;

/* A machine of 4 CPUs and 1 GiB. */
static void setup(void)
{
	cr_assert_eq(config_init(&config), 0);
	config.kernel = strdup("vmlinuz");
	config.cpus = 4;
	config.memory = GIB(1);
}

static void teardown(void)
{
	config_fini(&config);
}

TestSuite(config_numa, .init = setup, .fini = teardown);

static struct numa_settings *add(const char *memory, const char *cpus, const char *host_node)
{
	const struct option_section *section = option_find_section("numa", 4);
	static const char *const key[] = { "memory", "cpus", "host_node" };
	const char *value[] = { memory, cpus, host_node };
	void *node = config_add(&config, section);
	char why[OPTION_WHY_SIZE];

	cr_assert_not_null(node);
	for (unsigned i = 0; i < 3; i++)
		if (value[i])
			cr_assert_eq(option_set(option_find("numa", 4, key[i], strlen(key[i])),
						node, value[i], why), 0, "%s", why);
	return node;
}

static void expect_mistake(const char *sentence)
{
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 1);
	cr_expect(strstr(mistakes.line[0], sentence), "%s", mistakes.line[0]);
}

Test(config_numa, nodes_have_their_cpus_and_memory)
{
	struct numa numa;
	char why[OPTION_WHY_SIZE];

	add("256M", "0-1", NULL);
	add("768M", "3", "1");
	cr_assert_eq(option_set(option_find("numa", 4, "cpus", 4), &config.numa[1], "2", why), 0);
	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0, "%s", mistakes.line[0]);
	config_numa(&config, &numa);
	cr_expect_eq(numa.n_nodes, 2);
	cr_expect_eq(numa.memory[1], MIB(768));
	cr_expect_eq(numa.host_node[0], NUMA_ANY);
	cr_expect_eq(numa.host_node[1], 1);
	cr_expect_arr_eq(numa.node_of, ((uint8_t[]){ 0, 0, 1, 1 }), 4);
}

Test(config_numa, a_cpu_has_one_node)
{
	add("512M", "0-2", NULL);
	add("512M", "2-3", NULL);
	expect_mistake("CPU 2 belongs to node 'node0' already");
}

Test(config_numa, every_cpu_has_one)
{
	add("512M", "0-1", NULL);
	add("512M", "3", NULL);
	expect_mistake("CPU 2 belongs to no node");
}

Test(config_numa, memory_adds_up)
{
	add("512M", "0-3", NULL);
	add("256M", NULL, NULL);
	expect_mistake("the nodes have 768M of memory together, and the machine ('vm.memory') "
		       "has 1G");
}

Test(config_numa, a_node_without_memory_is_refused)
{
	add(NULL, "0-3", NULL);
	expect_mistake("how much memory?");
}

Test(config_numa, what_is_no_cpu_or_no_node_is_refused)
{
	struct numa_settings *node = add("1G", "0-4", NULL);
	char why[OPTION_WHY_SIZE];

	expect_mistake("'0-4' is no list of CPUs from 0 to 3");
	option_clear(option_find("numa", 4, "cpus", 4), node);
	cr_assert_eq(option_set(option_find("numa", 4, "cpus", 4), node, "0-3", why), 0);
	node->host_node = strdup("1024");
	expect_mistake("'1024' is no number of a node");
}

Test(config_numa, more_nodes_than_the_machine_has_are_refused)
{
	for (unsigned i = 0; i < 17; i++)
		add("64M", NULL, NULL);
	expect_mistake("17 nodes are too many: 16 are the most");
}

Test(config_numa, device_trees_know_no_nodes)
{
	add("1G", "0-3", NULL);
	config.mmio_discovery = MMIO_DISCOVERY_DTB;
	config.transport = 3;
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_expect(strstr(mistakes.line[0], "learn of nodes from ACPI") ||
		  strstr(mistakes.line[1], "learn of nodes from ACPI"));
}
