/* The settings of network interfaces: judged, and completed where they say nothing. */
#ifndef VMM_CONFIG_NET_H
#define VMM_CONFIG_NET_H

#include "vmm/config.h"

/* Note what contradicts itself or cannot be; a tap gets a name.  Names are settled. */
void config_validate_nets(struct vm_config *config, struct mistakes *mistakes);

/*
 * The address of the guest's side: the one that was given, or one made of the names of this host
 * and of the interface, locally administered, the same each time.  After config_validate.
 */
void config_net_mac(const struct net_settings *net, uint8_t mac[6]);

#endif
