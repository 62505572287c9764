#include "vmm/config_numa.h"

#include <string.h>

#include "vmm/affinity.h"
#include "vmm/base/text.h"
#include "vmm/config_mistake.h"

enum { MAX_HOST_NODES = 1024, NO_NODE = UINT8_MAX };

#define NUMA_MISTAKE(key, ...) config_mistake(config, mistakes, "numa", i, key, __VA_ARGS__)

/* NUMA_ANY if there is none; -2 if it is no number of a node. */
static int host_node(const struct numa_settings *node)
{
	uint64_t n;

	if (!node->host_node)
		return NUMA_ANY;
	return text_parse_u64(node->host_node, &n) < 0 || n >= MAX_HOST_NODES ? -2 : (int)n;
}

static void validate_node_cpus(const struct vm_config *config, unsigned i, uint8_t *node_of,
			       struct mistakes *mistakes)
{
	const struct text_list *list = &config->numa[i].cpus;
	cpu_set_t cpus;

	for (unsigned k = 0; k < list->n; k++) {
		const char *text = list->item[k];

		if (affinity_parse_cpus(text, strlen(text), config->cpus, &cpus) < 0) {
			NUMA_MISTAKE("cpus", "'%.40s' is no list of CPUs from 0 to %u, as '0-1'",
				     text, config->cpus - 1);
			return;
		}
		for (unsigned cpu = 0; cpu < config->cpus; cpu++) {
			if (!CPU_ISSET(cpu, &cpus))
				continue;
			if (node_of[cpu] != NO_NODE && node_of[cpu] != i)
				NUMA_MISTAKE("cpus", "CPU %u belongs to node '%s' already", cpu,
					     config->numa[node_of[cpu]].name);
			node_of[cpu] = (uint8_t)i;
		}
	}
}

static void validate_node(const struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	const struct numa_settings *node = &config->numa[i];
	uint64_t page = config_huge_page(config) ? config_huge_page(config) : KIB(4);
	char size[24], page_size[24];

	if (!node->memory)
		NUMA_MISTAKE(NULL, "how much memory? Give its 'memory'");
	else if (node->memory % page)
		NUMA_MISTAKE("memory", "%s is not a multiple of %s",
			     text_format_size(size, node->memory),
			     text_format_size(page_size, page));
	if (host_node(node) < NUMA_ANY)
		NUMA_MISTAKE("host_node", "'%.40s' is no number of a node, from 0",
			     node->host_node);
}

void config_validate_numa(const struct vm_config *config, struct mistakes *mistakes)
{
	unsigned before = mistakes->n, n = config->n_numas, i = 0;
	uint8_t node_of[LAYOUT_MAX_VCPUS];
	char together[24], all[24];
	uint64_t memory = 0;

	if (n == 0)
		return;
	if (n > NUMA_MAX_NODES) {
		config_mistake(config, mistakes, "numa", NUMA_MAX_NODES, NULL,
			       "%u nodes are too many: %d are the most", n, NUMA_MAX_NODES);
		return;
	}
	memset(node_of, NO_NODE, sizeof(node_of));
	for (i = 0; i < n; i++) {
		validate_node(config, i, mistakes);
		validate_node_cpus(config, i, node_of, mistakes);
		memory += config->numa[i].memory;	/* 16 times 4 TiB at most */
	}
	i = 0;
	if (config->mmio_discovery == MMIO_DISCOVERY_DTB)
		NUMA_MISTAKE(NULL, "guests learn of nodes from ACPI: 'vm.mmio_discovery' is dtb");
	if (mistakes->n > before)
		return;
	for (unsigned cpu = 0; cpu < config->cpus; cpu++)
		if (node_of[cpu] == NO_NODE) {
			NUMA_MISTAKE(NULL, "CPU %u belongs to no node: name it in the 'cpus' of "
				     "one", cpu);
			return;
		}
	if (memory != config->memory)
		NUMA_MISTAKE(NULL, "the nodes have %s of memory together, and the machine "
			     "('vm.memory') has %s", text_format_size(together, memory),
			     text_format_size(all, config->memory));
}

void config_numa(const struct vm_config *config, struct numa *numa)
{
	cpu_set_t cpus;

	memset(numa, 0, sizeof(*numa));
	numa->n_nodes = config->n_numas;
	for (unsigned i = 0; i < config->n_numas; i++) {
		const struct numa_settings *node = &config->numa[i];

		numa->memory[i] = node->memory;
		numa->host_node[i] = host_node(node);
		for (unsigned k = 0; k < node->cpus.n; k++) {
			const char *text = node->cpus.item[k];

			if (affinity_parse_cpus(text, strlen(text), config->cpus, &cpus) < 0)
				continue;	/* config_validate_numa saw to that */
			for (unsigned cpu = 0; cpu < config->cpus; cpu++)
				if (CPU_ISSET(cpu, &cpus))
					numa->node_of[cpu] = (uint8_t)i;
		}
	}
}
