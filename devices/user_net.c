#include <errno.h>

#include "devices/net_peer.h"
#include "vmm/base/error.h"

int net_user_create(struct net_peer **out, const struct net_user_config *config)
{
	*out = NULL;
	return error_set(ENOTSUP, "network interface '%s': no user-mode network in this build",
			 config->name);
}
