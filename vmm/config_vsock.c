#include "vmm/config_vsock.h"

#include <string.h>

#include "devices/vsock_unix.h"
#include "vmm/base/text.h"
#include "vmm/config_mistake.h"

/* 0 to 2 are nobody's or the host's, the last one is anybody's. */
enum { CID_MIN = 3 };
#define CID_MAX UINT64_C(0xfffffffe)

static bool is_auto(const char *cid)
{
	return !cid || strcmp(cid, "auto") == 0;
}

static bool parse_cid(const char *text, uint64_t *cid)
{
	return text_parse_u64(text, cid) == 0 && *cid >= CID_MIN && *cid <= CID_MAX;
}

void config_validate_vsock(const struct vm_config *config, struct mistakes *mistakes)
{
	const struct vsock_settings *vsock = &config->vsock;
	uint64_t cid;

	if (!vsock->given)
		return;
	if (!is_auto(vsock->cid) && !parse_cid(vsock->cid, &cid))
		config_mistake(config, mistakes, "vsock", 0, "cid",
			       "'%.80s' is not 'auto' or a number, %d to %llu", vsock->cid, CID_MIN,
			       (unsigned long long)CID_MAX);
	if (vsock->socket && strlen(vsock->socket) > VSOCK_PATH_MAX)
		config_mistake(config, mistakes, "vsock", 0, "socket",
			       "'%.80s...' has more than %d characters; the address of a Unix "
			       "socket has room for 107, with '_PORT'",
			       vsock->socket, VSOCK_PATH_MAX);
	if (vsock->socket && !*vsock->socket)
		config_mistake(config, mistakes, "vsock", 0, "socket", "it has no name");
	if (vsock->vhost == VHOST_OFF && !vsock->socket)
		config_mistake(config, mistakes, "vsock", 0, "vhost",
			       "'off' needs 'socket': programs of the host reach the guest there");
	if (vsock->vhost == VHOST_OFF && vsock->fd)
		config_mistake(config, mistakes, "vsock", 0, "fd",
			       "it is a vhost-vsock device, and vsock.vhost 'off' does not want "
			       "one");
	if (vsock->fd && vsock->fd < 3)
		config_mistake(config, mistakes, "vsock", 0, "fd",
			       "%u is standard input or output", vsock->fd);
}

uint64_t config_vsock_cid(const struct vsock_settings *vsock)
{
	uint64_t cid;

	return !is_auto(vsock->cid) && parse_cid(vsock->cid, &cid) ? cid : 0;
}
