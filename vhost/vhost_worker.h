/*
 * The kernel threads that serve vhost nodes of this process: for reports.  Nobody watches them.
 * Before Linux 6.4 they are the kernel's own, which no signal ends; since then they are threads of
 * this process and end with it, as any other thread of it does.
 */
#ifndef VHOST_VHOST_WORKER_H
#define VHOST_VHOST_WORKER_H

#include <sys/types.h>

#include "vmm/base/util.h"

enum { VHOST_WORKERS_SEEN = 256 };

struct vhost_workers {
	pid_t id[VHOST_WORKERS_SEEN];
	unsigned n;
};

/*
 * List them: threads of this process, or of the kernel before Linux 6.4.  What cannot be read is
 * not there.  Before the sandbox closes.
 */
void vhost_workers_list(struct vhost_workers *out);

/* Those of 'now' that are not in 'before', 'max' at most, into 'out'; returns how many. */
unsigned vhost_workers_new(const struct vhost_workers *before, const struct vhost_workers *now,
			   pid_t *out, unsigned max);

#endif
