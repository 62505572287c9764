#include "vmm/config_vsock.h"

#include <string.h>

#include "devices/vsock_unix.h"
#include "vmm/base/text.h"

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

void config_validate_vsock(const struct vsock_settings *vsock, struct mistakes *mistakes)
{
	uint64_t cid;

	if (!vsock->given)
		return;
	if (!is_auto(vsock->cid) && !parse_cid(vsock->cid, &cid))
		mistakes_add(mistakes, "vsock.cid: '%.80s' is not 'auto' or a number, %d to %llu",
			     vsock->cid, CID_MIN, (unsigned long long)CID_MAX);
	if (vsock->socket && strlen(vsock->socket) > VSOCK_PATH_MAX)
		mistakes_add(mistakes, "vsock.socket: '%.80s...' has more than %d characters; the "
				       "address of a Unix socket has room for 107, with '_PORT'",
			     vsock->socket, VSOCK_PATH_MAX);
	if (vsock->socket && !*vsock->socket)
		mistakes_add(mistakes, "vsock.socket: it has no name");
	if (vsock->vhost == VHOST_OFF && !vsock->socket)
		mistakes_add(mistakes, "vsock.vhost=off needs 'socket=PATH': programs of the host "
				       "reach the guest there");
	if (vsock->vhost == VHOST_OFF && vsock->fd)
		mistakes_add(mistakes, "vsock.fd is a vhost-vsock device, and vsock.vhost=off does "
				       "not want one");
	if (vsock->vhost == VHOST_REQUIRE && vsock->socket)
		mistakes_add(mistakes, "vsock.socket is for vsock in this process, which "
				       "vsock.vhost=require excludes: leave one of them away");
	if (vsock->vhost_path && strcmp(vsock->vhost_path, CONFIG_VHOST_VSOCK) &&
	    (vsock->fd || vsock->vhost == VHOST_OFF))
		mistakes_add(mistakes, "vsock.vhost_path and vsock.%s exclude each other",
			     vsock->fd ? "fd" : "vhost=off");
	if (vsock->fd && vsock->fd < 3)
		mistakes_add(mistakes, "vsock.fd: %u is standard input or output", vsock->fd);
}

uint64_t config_vsock_cid(const struct vsock_settings *vsock)
{
	uint64_t cid;

	return !is_auto(vsock->cid) && parse_cid(vsock->cid, &cid) ? cid : 0;
}
