/* The settings of network interfaces: judged, and completed where they say nothing. */
#ifndef VMM_CONFIG_NET_H
#define VMM_CONFIG_NET_H

#include "vmm/config.h"

/*
 * Note what contradicts itself or cannot be; a tap gets a name, and each interface an address: the
 * one that was given, or one made of the names of this host, of the tap (also of one that was
 * passed on) and of the interface.  That is locally administered, the same each time, and no other
 * interface of this guest has it.  Names are settled.
 */
void config_validate_nets(struct vm_config *config, struct mistakes *mistakes);

#endif
