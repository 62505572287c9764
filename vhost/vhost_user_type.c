/*
 * The rungs of the vhost ladder (struct vhost_type) that are a vhost-user back end's: how it runs,
 * and how it is stopped without losing what it has in progress.
 */
#include <errno.h>
#include <unistd.h>

#include "vhost/vhost_user_ask.h"
#include "vhost/vhost_user_impl.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum {
	HALT_PATIENCES = 2,		/* for a stop that cannot be put off */
	HALT_LIMIT_MS = 10000,		/* for one whose end is only looked for */
	/* What is offered may be answered first: for a driver that offers nothing more, or does. */
	DRAIN_MS = 1000, DRAIN_SUSPENDED_MS = 50,
	LATE_MS = 2000,			/* answers that come after a back end said it stopped */
};

static int prepare(struct vhost *v, const struct datapath_start *start)
{
	struct vhost_user *u = v->arg;
	struct vhost_user_node *n = vhost_user_node(u);
	int r = 0;

	if (!vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	if (u->inflight.fd == FD_NONE) {
		u->inflight.n_rings = (uint16_t)u->n_rings;
		u->inflight.ring_size = 0;
		for (unsigned i = 0; i < start->n_queues; i++)
			if (start->queue[i].size > u->inflight.ring_size)
				u->inflight.ring_size = start->queue[i].size;
		r = vhost_user_node_get_inflight(n, &u->inflight);
	}
	return r == 0 ? vhost_user_node_set_inflight(n, &u->inflight) : r;
}

static int run(struct vhost *v)
{
	struct vhost_user_node *n = vhost_user_node(v->arg);
	int r = vhost_user_node_running(n);

	for (unsigned i = 0; i < v->n_rings && r == 0; i++)
		if (v->ring[i].up && !v->ring[i].ends)
			r = vhost_user_node_run(n, i);
	return r < 0 ? error_add(r, "%s: run", v->name) : 0;
}

/* Is everything that the driver offered answered? */
static bool is_idle(const struct vhost *v)
{
	for (unsigned i = 0; i < v->n_rings; i++) {
		const uint8_t *avail = v->ring[i].hold[1].host, *used = v->ring[i].hold[2].host;
		if (v->ring[i].up && avail && used && load_le16(avail + 2) != load_le16(used + 2))
			return false;
	}
	return true;
}

static void stop_all(struct vhost_user *u)
{
	u->drains = false;
	vhost_user_hurry(u);
	for (unsigned i = 0; i < u->n_rings; i++)
		vhost_user_node_begin_stop(vhost_user_node(u), i);
}

/*
 * There are back ends (QEMU 7.2) that stop at once when they are told to, lose what they have in
 * progress, and never say so.  So they are told when nothing is, if that comes soon.
 */
static void begin_halt(struct vhost *v)
{
	struct vhost_user *u = v->arg;
	uint64_t now = clock_now_ms();

	u->halt_by_ms = now + HALT_LIMIT_MS;
	u->drain_by_ms = now + (v->suspended ? DRAIN_SUSPENDED_MS : DRAIN_MS);
	u->drains = true;
	if (is_idle(v))
		stop_all(u);
}

/*
 * What a back end has taken it answers before it says that it stopped; there are some that do so a
 * little later.
 */
static bool is_drained(const struct vhost *v)
{
	const struct vhost_user_node *n = vhost_user_node(v->arg);

	for (unsigned i = 0; i < v->n_rings; i++) {
		const uint8_t *used = v->ring[i].hold[2].host;
		if (v->ring[i].up && used && load_le16(used + 2) != (uint16_t)n->ring[i].base)
			return false;
	}
	return true;
}

static bool is_halted(const struct vhost *v)
{
	struct vhost_user *u = v->arg;
	struct vhost_user_node *n = vhost_user_node(u);

	if (u->drains && !n->broken) {
		if (!is_idle(v) && clock_now_ms() < min_u64(u->drain_by_ms, u->halt_by_ms))
			return false;
		stop_all(u);
	}
	bool was_awaited = n->n_awaited > 0;

	if (vhost_user_node_is_stopped(n)) {
		if (n->broken || is_drained(v))
			return true;
		if (was_awaited)
			u->halt_by_ms = min_u64(u->halt_by_ms, clock_now_ms() + LATE_MS);
	}
	if (clock_now_ms() < u->halt_by_ms)
		return false;
	vhost_user_break(n, -ETIMEDOUT);
	return true;
}

static int halt(struct vhost *v)
{
	struct vhost_user *u = v->arg;
	const unsigned wait_ms = HALT_PATIENCES * u->patience_ms;

	if (!v->halting)
		begin_halt(v);
	u->halt_by_ms = min_u64(u->halt_by_ms, clock_now_ms() + wait_ms);
	u->drain_by_ms = min_u64(u->drain_by_ms, u->halt_by_ms - wait_ms / 2);
	while (!is_halted(v))
		usleep(1000);
	return vhost_user_node(u)->broken;
}

const struct vhost_type *vhost_user_type(enum virtio_device_id id)
{
	static const struct vhost_type blk = {
		.kind = VHOST_KIND_USER_BLK, .prepare = prepare, .run = run,
		.begin_halt = begin_halt, .is_halted = is_halted, .halt = halt,
		.runs_in_part = true, .comes_back = true,
	};
	static const struct vhost_type fs = {
		.kind = VHOST_KIND_USER_FS, .prepare = prepare, .run = run,
		.begin_halt = begin_halt, .is_halted = is_halted, .halt = halt,
		.runs_in_part = true, .comes_back = true,
	};

	return id == VIRTIO_ID_FS ? &fs : id == VIRTIO_ID_BLOCK ? &blk : NULL;
}
