#include "vhost/vhost_scsi_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum {
	TPGT = 1,		/* not looked at by the kernel: all groups of the target are used */
	PATH_SIZE = 512,
	MAX_TPGS = 256,
	LOOKS = 3,		/* that find a ring at the same place, until it is broken */
	LOOK_PAUSE_US = 5000,
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

/* --- doubted --------------------------------------------------------------------------------- */

/* virtio-v1.4 2.7.6 "The Virtqueue Available Ring": the index is behind the flags. */
static bool has_more(const struct vhost_ring *ring, uint32_t base)
{
	const uint8_t *avail = ring->hold[1].host;

	return avail && load_le16(avail + 2) != (uint16_t)base;
}

/*
 * What was signalled before the kernel said where it is counts no more: a complaint that comes
 * after it, while the ring stands there still, is not about a request.  One may have been on its
 * way to us meanwhile; two were not.
 */
static bool is_broken(const struct vhost_ring *ring, struct vhost_scsi_doubt *doubt)
{
	struct vhost_node *node = ring->vhost->node;
	uint32_t base;

	if (node->ops->get_ring_base(node, ring->index, &base) < 0)
		return false;
	atomic_store(&doubt->is_new, false);
	fd_drain(ring->err_fd);
	bool same = doubt->n_same > 0 && doubt->base == base;

	doubt->base = base;
	doubt->n_same = !has_more(ring, base) ? 0 : same ? doubt->n_same + 1 : 1;
	if (doubt->n_same >= LOOKS)
		return true;
	if (doubt->n_same > 0)
		fd_signal(ring->kick_fd);
	return false;
}

/* The thread. */
static void look(struct event_post *post)
{
	struct vhost_scsi_target *t = container_of(post, struct vhost_scsi_target, look);

	pthread_mutex_lock(&t->lock);
	struct vhost *v = t->serves;

	for (unsigned i = 0; v && i < v->n_rings; i++)
		if (v->ring[i].up && atomic_load(&t->doubt[i].is_new) &&
		    is_broken(&v->ring[i], &t->doubt[i]))
			v->fail(v->fail_arg, v->ring[i].device_index,
				"vhost finds the ring broken");
	pthread_mutex_unlock(&t->lock);
	/* A driver can have the kernel complain as often as it likes. */
	usleep(LOOK_PAUSE_US);
}

void vhost_scsi_target_doubt(struct vhost_scsi_target *t, unsigned ring)
{
	atomic_store(&t->doubt[ring].is_new, true);
	event_loop_post(t->thread, &t->look);
}

/* --- taken and let go ------------------------------------------------------------------------ */

int vhost_scsi_target_take(struct vhost_scsi_target *t, struct vhost *v)
{
	int r = v->node->ops->scsi_set_endpoint(v->node, t->wwpn, TPGT);

	if (r == 0) {
		pthread_mutex_lock(&t->lock);
		for (unsigned i = 0; i < ARRAY_SIZE(t->doubt); i++)
			t->doubt[i].n_same = 0;
		t->serves = v;
		pthread_mutex_unlock(&t->lock);
		return 0;
	}
	error_set(r, "%s: VHOST_SCSI_SET_ENDPOINT '%s'", v->name, t->wwpn);
	/* The kernel has one answer for a target that is not there and for one that is taken. */
	if (r == -EEXIST || r == -ENODEV || r == -ENOENT)
		hint_target(r, t->wwpn);
	return r;
}

/* The thread: this waits for the commands that are in progress. */
static void release(struct event_post *post)
{
	struct vhost_scsi_target *t = container_of(post, struct vhost_scsi_target, release);

	t->result = t->node->ops->scsi_clear_endpoint(t->node, t->wwpn, TPGT);
	atomic_store(&t->is_released, true);
}

void vhost_scsi_target_begin_release(struct vhost_scsi_target *t, struct vhost *v)
{
	if (t->node)
		return;
	pthread_mutex_lock(&t->lock);
	t->serves = NULL;
	pthread_mutex_unlock(&t->lock);
	t->node = v->node;
	atomic_store(&t->is_released, false);
	event_loop_post(t->thread, &t->release);
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
	event_loop_call(t->thread, nothing, NULL);
	t->node = NULL;
	return t->result;
}

int vhost_scsi_target_init(struct vhost_scsi_target *t, const char *wwpn)
{
	snprintf(t->wwpn, sizeof(t->wwpn), "%s", wwpn);
	t->release.fn = release;
	t->look.fn = look;
	int r = event_loop_create(&t->thread, "scsi-target");

	return r == 0 ? event_loop_thread_start(t->thread) : r;
}

void vhost_scsi_target_fini(struct vhost_scsi_target *t)
{
	event_loop_destroy(t->thread);
	t->thread = NULL;
}
