/*
 * The kernel's SCSI target that a node serves: looked for, taken, doubted, let go.
 *
 * The kernel signals "ring error" for single requests that it answers, too: a scan for disks that
 * are not there, a wrong header.  But it has then taken the request from the ring, and goes on; of
 * a ring that is broken it takes nothing more, and says so again with each kick.  So whoever doubts
 * a ring notes where it stands, kicks, and looks again when the kernel complains again.  A thread
 * of the target's own does that.
 *
 * To let it go (VHOST_SCSI_CLEAR_ENDPOINT) the kernel waits for all commands that are in progress,
 * for as long as a disk takes, and cannot be interrupted.  The same thread asks for that, so that a
 * driver's reset waits a moment only and learns by its status when it is over (N6).  Meanwhile the
 * node answers nothing else.
 *
 * Control path, machine lock held, unless it says otherwise.
 */
#ifndef VHOST_VHOST_SCSI_TARGET_H
#define VHOST_VHOST_SCSI_TARGET_H

#include <pthread.h>
#include <stdatomic.h>

#include "vhost/vhost.h"

enum { VHOST_SCSI_WWPN_SIZE = 224 };	/* with the zero behind it */

/* What is known of a ring that is doubted. */
struct vhost_scsi_doubt {
	atomic_bool is_new;
	uint32_t base;
	unsigned n_same;		/* looks that found it there, with more to take */
};

struct vhost_scsi_target {
	char wwpn[VHOST_SCSI_WWPN_SIZE];
	struct event_loop *thread;	/* NULL: not made */

	struct event_post release;
	struct vhost_node *node;	/* borrowed, while it is being let go */
	atomic_bool is_released;
	int result;			/* of that, once it is released */

	struct event_post look;
	pthread_mutex_t lock;
	struct vhost *serves;		/* under 'lock': while it is taken */
	struct vhost_scsi_doubt doubt[VHOST_MAX_RINGS];
};
#define VHOST_SCSI_TARGET_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }

/*
 * Better before the guest runs than at DRIVER_OK: is there such a target below 'configfs', with
 * something that could be used?  Where configfs cannot be seen (a container), the kernel is the
 * first to say so.  Returns 0, or -ENODEV with an error chain.
 */
MUST_USE int vhost_scsi_target_find(const char *configfs, const char *wwpn);

/*
 * Make it / free it, when it is not taken; one that was not made is fine.  Returns 0 or -errno
 * with an error chain; vhost_scsi_target_fini is then still to be called.
 */
MUST_USE int vhost_scsi_target_init(struct vhost_scsi_target *t, const char *wwpn);
void vhost_scsi_target_fini(struct vhost_scsi_target *t);

/* Have the node serve it from now on.  Returns 0 or -errno with an error chain. */
MUST_USE int vhost_scsi_target_take(struct vhost_scsi_target *t, struct vhost *v);

/*
 * The kernel complained of 'ring': if the ring is broken the node's 'fail' says so soon, unless it
 * is let go before.  I/O loop.
 */
void vhost_scsi_target_doubt(struct vhost_scsi_target *t, unsigned ring);

/*
 * Begin to let it go / is that over? / do so and wait.  The last one ends what the first began, and
 * returns 0 or the kernel's -errno, without a chain.
 */
void vhost_scsi_target_begin_release(struct vhost_scsi_target *t, struct vhost *v);
bool vhost_scsi_target_is_released(const struct vhost_scsi_target *t);
MUST_USE int vhost_scsi_target_release(struct vhost_scsi_target *t, struct vhost *v);

#endif
