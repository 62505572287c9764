#include "vhost/vhost_scsi_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum {
	TPGT = 1,		/* not looked at by the kernel: all groups of the target are used */
	PATH_SIZE = 512,
	MAX_TPGS = 256,
};

/* --- before it is used ----------------------------------------------------------------------- */

static int hint_target(int r, const char *wwpn)
{
	error_hint("make a target (as root: targetcli /vhost create %s, then create a LUN below "
		   "its tpg1), or end the VM that uses it", wwpn);
	return r;
}

/* Does the group have an initiator's nexus?  The kernel uses no other. */
static bool has_nexus(const char *dir, unsigned tpgt)
{
	char path[PATH_SIZE], text[8];
	int fd;

	if (snprintf(path, sizeof(path), "%s/tpgt_%u/nexus", dir, tpgt) >= PATH_SIZE)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* Without one the file cannot be read. */
	ssize_t n = read(fd, text, sizeof(text));

	fd_close(&fd);
	return n > 1;
}

int vhost_scsi_target_find(const char *configfs, const char *wwpn)
{
	char dir[PATH_SIZE];
	struct stat st;

	snprintf(dir, sizeof(dir), "%s/target", configfs);
	if (stat(dir, &st) < 0)
		return 0;
	snprintf(dir, sizeof(dir), "%s/target/vhost/%s", configfs, wwpn);
	if (stat(dir, &st) < 0 && errno == ENOENT)
		return hint_target(error_set(ENODEV, "no vhost-scsi target is called '%s'", wwpn),
				   wwpn);
	for (unsigned tpgt = 0; tpgt < MAX_TPGS; tpgt++)
		if (has_nexus(dir, tpgt))
			return 0;
	/* It may be that only root can look. */
	if (access(dir, R_OK | X_OK) < 0)
		return 0;
	error_set(ENODEV, "target '%s' has no port group with a nexus", wwpn);
	error_hint("as root: echo naa.6001405000000001 > %s/tpgt_1/nexus", dir);
	return -ENODEV;
}

/* --- taken and let go ------------------------------------------------------------------------ */

int vhost_scsi_target_take(struct vhost_scsi_target *t, struct vhost *v)
{
	int r = v->node->ops->scsi_set_endpoint(v->node, t->wwpn, TPGT);

	if (r == 0)
		return 0;
	error_set(r, "%s: VHOST_SCSI_SET_ENDPOINT '%s'", v->name, t->wwpn);
	/* The kernel has one answer for a target that is not there and for one that is taken. */
	if (r == -EEXIST || r == -ENODEV || r == -ENOENT)
		hint_target(r, t->wwpn);
	return r;
}

/* The thread: this waits for the commands that are in progress. */
static void release(struct event_post *post)
{
	struct vhost_scsi_target *t = container_of(post, struct vhost_scsi_target, post);

	t->result = t->node->ops->scsi_clear_endpoint(t->node, t->wwpn, TPGT);
	atomic_store(&t->is_released, true);
}

void vhost_scsi_target_begin_release(struct vhost_scsi_target *t, struct vhost *v)
{
	if (t->node)
		return;
	t->node = v->node;
	atomic_store(&t->is_released, false);
	event_loop_post(t->releaser, &t->post);
}

bool vhost_scsi_target_is_released(const struct vhost_scsi_target *t)
{
	return atomic_load(&t->is_released);
}

static void nothing(void *arg)
{
	(void)arg;
}

int vhost_scsi_target_release(struct vhost_scsi_target *t, struct vhost *v)
{
	vhost_scsi_target_begin_release(t, v);
	/* It comes behind the post. */
	event_loop_call(t->releaser, nothing, NULL);
	t->node = NULL;
	return t->result;
}

int vhost_scsi_target_init(struct vhost_scsi_target *t, const char *wwpn)
{
	snprintf(t->wwpn, sizeof(t->wwpn), "%s", wwpn);
	t->post.fn = release;
	int r = event_loop_create(&t->releaser, "scsi-release");

	return r == 0 ? event_loop_thread_start(t->releaser) : r;
}

void vhost_scsi_target_fini(struct vhost_scsi_target *t)
{
	event_loop_destroy(t->releaser);
	t->releaser = NULL;
}
