/* The guest's NUMA nodes: section 'numa', judged and turned into what the machine takes. */
#ifndef VMM_CONFIG_NUMA_H
#define VMM_CONFIG_NUMA_H

#include "vmm/config.h"
#include "vmm/machine/numa.h"

/* Note what is wrong about the nodes, and about all of them together. */
void config_validate_numa(const struct vm_config *config, struct mistakes *mistakes);

/* From a valid configuration; n_nodes 0 if it has none. */
void config_numa(const struct vm_config *config, struct numa *numa);

#endif
