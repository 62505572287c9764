#include "vhost/vhost_user.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

int vhost_user_create(struct datapath **out, const struct vhost_user_config *config)
{
	int fd = config->fd;

	*out = NULL;
	fd_close(&fd);
	return error_set(EOPNOTSUPP, "%s: this build has no vhost-user", config->name);
}

struct features vhost_user_offered(const struct datapath *dp)
{
	(void)dp;
	return FEATURES_EMPTY;
}

unsigned vhost_user_rings(const struct datapath *dp)
{
	(void)dp;
	return 0;
}

void vhost_user_read_config(const struct datapath *dp, uint8_t *buf, unsigned len)
{
	(void)dp;
	memset(buf, 0, len);
}

int vhost_user_write_config(struct datapath *dp, unsigned offset, const uint8_t *buf, unsigned len)
{
	(void)dp;
	(void)offset;
	(void)buf;
	(void)len;
	return error_set(EOPNOTSUPP, "this build has no vhost-user");
}

int vhost_user_renew(struct datapath *dp, int fd)
{
	(void)dp;
	fd_close(&fd);
	return error_set(EOPNOTSUPP, "this build has no vhost-user");
}

bool vhost_user_is_connected(const struct datapath *dp)
{
	(void)dp;
	return false;
}
