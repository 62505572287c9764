#include "vmm/config_share.h"

#include <string.h>
#include <sys/un.h>

#include "devices/virtio_fs.h"
#include "vmm/config_mistake.h"

enum { SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

/* Somebody else started that virtiofsd, and decided about these. */
static void validate_socket(const struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	const struct share_settings *share = &config->share[i];

	if (!*share->socket)
		config_mistake(config, mistakes, "shares", i, "socket", "it has no name");
	if (strlen(share->socket) > SOCKET_PATH_MAX)
		config_mistake(config, mistakes, "shares", i, "socket",
			       "'%.80s...' has more than %d characters, which the address of a "
			       "Unix socket has room for", share->socket, SOCKET_PATH_MAX);
	if (share->path)
		config_mistake(config, mistakes, "shares", i, "socket",
			       "'path' is for a virtiofsd of Vireo's own, which 'socket' excludes: "
			       "leave one of them away");
	if (share->program)
		config_mistake(config, mistakes, "shares", i, "program",
			       "nothing is started where 'socket' is given");
	if (share->readonly)
		config_mistake(config, mistakes, "shares", i, "readonly",
			       "the virtiofsd at 'socket' decides what the guest may do: have it "
			       "started with --readonly");
}

/* Whoever serves it is another process, ours or not. */
static void validate_memory(const struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	if (config->share[i].device.iommu)
		config_mistake(config, mistakes, "shares", i, "iommu",
			       "a share cannot be behind the IOMMU: its virtiofsd is another "
			       "process, which asks for no translations");
	if (config->merge)
		config_mistake(config, mistakes, "shares", i, NULL,
			       "a virtiofsd serves it, to which memory that the host may merge "
			       "cannot be given: leave 'merge' away");
}

void config_validate_shares(const struct vm_config *config, bool whole, struct mistakes *mistakes)
{
	for (unsigned i = 0; i < config->n_shares; i++) {
		const struct share_settings *share = &config->share[i];
		size_t len = share->name ? strlen(share->name) : 0;

		if (!share->path && !share->socket && whole)
			config_mistake(config, mistakes, "shares", i, NULL,
				       "which folder? Give its 'path'");
		if (share->path && !*share->path)
			config_mistake(config, mistakes, "shares", i, "path", "it has no name");
		if (share->program && !*share->program)
			config_mistake(config, mistakes, "shares", i, "program", "it has no name");
		if (share->socket)
			validate_socket(config, i, mistakes);
		validate_memory(config, i, mistakes);
		/* What is too long for a name was said already. */
		if (len > VIRTIO_FS_TAG_MAX && len <= CONFIG_NAME_MAX)
			config_mistake(config, mistakes, "shares", i, NULL,
				       "the guest mounts it by this name, which has 1 to %d bytes",
				       VIRTIO_FS_TAG_MAX);
	}
}
