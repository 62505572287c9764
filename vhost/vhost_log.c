/*
 * The dirty bitmap: what vhost has written to guest memory, for whoever copies that (a snapshot).
 */
#include <errno.h>
#include <sys/mman.h>

#include "vhost/vhost_impl.h"
#include "vhost/vhost_memory.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static int set_addresses(struct vhost *v, bool log)
{
	int r = 0;

	for (unsigned i = 0; i < v->n_rings && r == 0; i++)
		if (v->ring[i].up)
			r = vhost_ring_set_addr(&v->ring[i], log);
	return r;
}

static int set_features(struct vhost *v, bool log)
{
	struct features f = v->told;

	if (log)
		features_add(&f, VHOST_F_LOG_ALL);
	return vhost_set_features(v, f);
}

static int switch_on(struct vhost *v, int fd)
{
	const struct vhost_ops *ops = v->node->ops;
	int r = ops->set_log_base(v->node, v->log);

	if (r < 0)
		return error_set(r, "%s: VHOST_SET_LOG_BASE", v->name);
	/* Taken away again on failure as well as at the end. */
	r = ops->set_log_fd(v->node, fd);
	if (r < 0)
		return error_set(r, "%s: VHOST_SET_LOG_FD", v->name);
	/* The used rings first: from the moment that all is noted nothing shall be missed. */
	r = set_addresses(v, true);
	return r == 0 ? set_features(v, true) : r;
}

static void switch_off(struct vhost *v)
{
	v->terms.logs = false;
	if (v->node && v->started) {
		if (set_features(v, false) < 0 || set_addresses(v, false) < 0)
			vhost_abandon(v);
		else
			(void)v->node->ops->set_log_fd(v->node, FD_NONE);
		error_clear();
	} else if (v->node) {
		/* It was left with the eventfd. */
		(void)v->node->ops->set_log_fd(v->node, FD_NONE);
	}
	munmap(v->log, v->log_bytes);
	v->log = NULL;
}

int vhost_log_start(struct vhost *v, int fd, uint64_t **bitmap, uint64_t *n_words)
{
	struct error_chain chain;
	void *p;

	if (!v->started || !v->node)
		return error_set(EINVAL, "%s: it does not run", v->name);
	/* It writes events beside the guest's memory, where the bitmap would need a bit. */
	if (v->type->kind == VHOST_KIND_SCSI)
		return error_set(ENOTSUP, "%s keeps no dirty bitmap", v->name);
	if (v->log)
		return error_set(EBUSY, "%s: a dirty bitmap is kept already", v->name);
	v->log_bytes = vhost_memory_log_bytes(v->dma->memory);
	p = mmap(NULL, v->log_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return error_set(ENOMEM, "%s: allocate a dirty bitmap", v->name);
	v->log = p;
	v->terms.logs = true;
	int r = switch_on(v, fd);

	if (r < 0) {
		error_save(&chain);
		switch_off(v);
		error_restore(&chain);
		return r;
	}
	*bitmap = p;
	*n_words = v->log_bytes / sizeof(**bitmap);
	return 0;
}

void vhost_log_stop(struct vhost *v)
{
	if (v->log)
		switch_off(v);
}
