/* The named ports of the console device: what is missing or contradicts itself about them. */
#ifndef VMM_CONFIG_PORTS_H
#define VMM_CONFIG_PORTS_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/* Part of config_validate(); names are given already.  With 'whole' what is missing is noted. */
void config_validate_ports(const struct vm_config *config, bool whole, struct mistakes *mistakes);

#endif
