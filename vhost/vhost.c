#include "vhost/vhost.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "vhost/vhost_impl.h"
#include "vhost/vhost_memory.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

/* How long a request that came with others in progress keeps the vCPU that asked for it. */
enum { HALT_PATIENCE_MS = 100 };

bool vhost_translates(const struct vhost *v, const struct dma *dma)
{
	return dma_is_translated(dma) &&
	       v->backend & UINT64_C(1) << VHOST_BACKEND_IOTLB_MSG_V2;
}

struct features vhost_served(const struct vhost *v)
{
	return vhost_features_served(v->type->kind, v->kernel);
}

static struct vhost_terms terms_of(const struct vhost *v, const struct dma *dma)
{
	return (struct vhost_terms){ .translates = vhost_translates(v, dma) };
}

struct features vhost_tell(const struct vhost *v, struct features accepted, const struct dma *dma)
{
	return vhost_features_told(v->type->kind, v->kernel, accepted, terms_of(v, dma));
}

const char *vhost_untold(const struct vhost *v, unsigned bit, const struct dma *dma)
{
	return vhost_features_untold(v->type->kind, v->kernel, bit, terms_of(v, dma));
}

void vhost_abandon(struct vhost *v)
{
	if (!v->node)
		return;
	/* Who looks after another one says so himself. */
	if (!v->type->comes_back)
		log_error("%s: it cannot be stopped: closed for good", v->name);
	vhost_iotlb_stop(&v->iotlb);
	v->node->ops->close(v->node);
	v->node = NULL;
}

/* --- running --------------------------------------------------------------------------------- */

static void halt(struct vhost *v)
{
	if (v->running && v->node && v->type->halt(v) < 0)
		vhost_abandon(v);
	v->running = v->halting = false;
}

static void begin_halt(struct vhost *v)
{
	if (v->halting)
		return;
	if (!v->running || !v->node || !v->type->begin_halt) {
		halt(v);
		return;
	}
	v->type->begin_halt(v);
	v->halting = true;
}

bool vhost_is_quiet(struct vhost *v)
{
	if (v->halting && v->type->is_halted(v))
		halt(v);
	return !v->halting;
}

/* As halt, but a moment only: false if it takes longer. */
static bool halt_soon(struct vhost *v)
{
	uint64_t deadline = clock_now_ms() + HALT_PATIENCE_MS;

	begin_halt(v);
	while (!vhost_is_quiet(v)) {
		if (clock_now_ms() >= deadline)
			return false;
		usleep(1000);
	}
	return true;
}

static void detach(struct vhost_ring *ring)
{
	struct vhost *v = ring->vhost;

	if (ring->attached && v->node && v->type->detach(v, ring->index) < 0)
		vhost_abandon(v);
	ring->attached = false;
}

/* Have it take no more buffers; nothing of it is in flight then.  It is still up. */
static void quiesce(struct vhost *v, unsigned ring)
{
	if (v->type->attach)
		detach(&v->ring[ring]);
	else
		halt(v);
}

/* The same without a wait: it is over when the node is quiet. */
static void begin_quiesce(struct vhost *v, unsigned ring)
{
	if (v->type->attach)
		detach(&v->ring[ring]);
	else
		begin_halt(v);
}

void vhost_end_ring(struct vhost *v, unsigned ring)
{
	if (ring >= v->n_rings)
		return;
	v->ring[ring].ends = v->ring[ring].up;
	begin_quiesce(v, ring);
}

static bool may_run(const struct vhost_ring *ring)
{
	return ring->up && !ring->ends;
}

static int attach(struct vhost_ring *ring)
{
	int r = may_run(ring) ? ring->vhost->type->attach(ring->vhost, ring->index) : 0;

	if (r == 0)
		ring->attached = may_run(ring);
	return r;
}

static bool all_up(const struct vhost *v)
{
	for (unsigned i = 0; i < v->n_rings; i++)
		if (!may_run(&v->ring[i]))
			return false;
	return true;
}

static bool any_up(const struct vhost *v)
{
	for (unsigned i = 0; i < v->n_rings; i++)
		if (may_run(&v->ring[i]))
			return true;
	return false;
}

static bool any_ends(const struct vhost *v)
{
	for (unsigned i = 0; i < v->n_rings; i++)
		if (v->ring[i].up && v->ring[i].ends)
			return true;
	return false;
}

/* Have what is up run, as far as the type can. */
static int run(struct vhost *v)
{
	int r = 0;

	if (v->paused || v->suspended || !v->node)
		return 0;
	if (!vhost_is_quiet(v))
		return error_set(EBUSY, "%s: requests are still in progress", v->name);
	if (v->type->attach) {
		for (unsigned i = 0; i < v->n_rings && r == 0; i++)
			if (!v->ring[i].attached)
				r = attach(&v->ring[i]);
		return r;
	}
	/* All at once: it waits for the last ring, or for none but those that would run again. */
	if (any_ends(v) || !(v->type->runs_in_part ? any_up(v) : all_up(v)))
		return 0;
	r = v->running ? 0 : v->type->run(v);
	if (r == 0)
		v->running = true;
	return r;
}

/* What came while nobody looked came without a kick that the kernel would have seen. */
static void kick(const struct vhost *v)
{
	for (unsigned i = 0; i < v->n_rings; i++)
		if (v->ring[i].up)
			fd_signal(v->ring[i].kick_fd);
}

/* Run, unless there is another reason not to. */
static int go_on(struct vhost *v)
{
	if (!v->started)
		return 0;
	if (!v->node)
		return error_set(EIO, "%s was closed", v->name);
	int r = run(v);

	kick(v);
	return r;
}

static void take_down(struct vhost *v)
{
	/* All are quiet before the first is asked where it stands. */
	for (unsigned i = 0; i < v->n_rings; i++)
		quiesce(v, i);
	for (unsigned i = 0; i < v->n_rings; i++)
		vhost_ring_down(&v->ring[i]);
	vhost_iotlb_stop(&v->iotlb);
	v->started = v->suspended = false;
	v->terms.logs = false;
}

/* --- the ladder ------------------------------------------------------------------------------ */

static unsigned device_of(enum vhost_kind kind)
{
	switch (kind) {
	case VHOST_KIND_NET: return 1;
	case VHOST_KIND_SCSI: return 8;
	case VHOST_KIND_VSOCK: return 19;
	case VHOST_KIND_USER_BLK: return 2;
	case VHOST_KIND_USER_FS: return 26;
	}
	return 0;
}

/* What driver and vhost must agree on is never dropped.  Another process has it all. */
int vhost_judge_features(const struct vhost *v, struct features accepted)
{
	const unsigned device = device_of(v->type->kind);
	struct features left = features_minus(accepted, vhost_served(v));
	char buf[24];

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
		const struct feature_info *info = feature_info((enum feature_bit)bit, device);
		if (features_has(&left, bit) && info &&
		    (info->owner == FEATURE_RING || vhost_features_knows(v->type->kind, bit)))
			return error_set(EOPNOTSUPP, "%s does not serve %s", v->name,
					 feature_name(buf, bit, device));
	}
	return 0;
}

int vhost_set_features(struct vhost *v, struct features f)
{
	/*
	 * N15: this bit leaked means that the kernel takes ring addresses for I/O virtual ones, and
	 * waits for translations that never come.  The bit lost means that it takes what the guest
	 * chose for addresses of this process.
	 */
	assert(vhost_features_are_safe(v->type->kind, f, v->terms));
	int r = v->node->ops->set_features(v->node, &f);

	return r < 0 ? error_set(r, "%s: VHOST_SET_FEATURES %#llx", v->name,
				 (unsigned long long)f.word[0]) : 0;
}

/* N15, N16: can the node go by what stands between the device and memory? */
static int judge_dma(const struct vhost *v, const struct datapath_start *start)
{
	if (!dma_is_translated(start->dma))
		return 0;
	if (!vhost_translates(v, start->dma))
		return error_set(EOPNOTSUPP, "%s knows no IOMMU in front of it: its kernel does "
				 "not ask for translations", v->name);
	const struct features told = vhost_tell(v, start->features, start->dma);

	if (features_has(&told, VIRTIO_F_ACCESS_PLATFORM))
		return 0;
	return error_set(EOPNOTSUPP, "%s is behind an IOMMU, and %s", v->name,
			 features_has(&start->features, VIRTIO_F_ACCESS_PLATFORM) ?
			 "its kernel does not know ACCESS_PLATFORM" :
			 "the driver did not take ACCESS_PLATFORM");
}

static int give_memory(struct vhost *v)
{
	struct vhost_memory_table table = vhost_memory_describe(v->dma->memory);
	int r = v->node->ops->set_memory(v->node, &table);

	return r < 0 ? error_set(r, "%s: VHOST_SET_MEM_TABLE of %u regions", v->name, table.n) : 0;
}

/* What concerns the node as a whole. */
static int prepare(struct vhost *v, const struct datapath_start *start)
{
	int r = vhost_judge_features(v, start->features);

	if (r == 0)
		r = judge_dma(v, start);
	if (r < 0)
		return r;
	v->dma = start->dma;
	v->terms = terms_of(v, start->dma);
	v->told = vhost_tell(v, start->features, start->dma);
	v->packed = features_has(&start->features, VIRTIO_F_RING_PACKED);
	r = vhost_set_features(v, v->told);
	if (r == 0)
		r = give_memory(v);
	if (r == 0 && v->type->prepare)
		r = v->type->prepare(v, start);
	if (r == 0 && v->terms.translates)
		r = vhost_iotlb_start(&v->iotlb, v->node,
				      v->backend & UINT64_C(1) << VHOST_BACKEND_IOTLB_BATCH,
				      start->dma);
	return r;
}

int vhost_start(struct vhost *v, const struct datapath_start *start)
{
	struct error_chain chain;
	int r;

	if (!v->node)
		return error_set(EIO, "%s failed before: nothing but a new VM brings it back",
				 v->name);
	vhost_log_stop(v);
	r = prepare(v, start);
	for (unsigned i = 0; i < v->n_rings && i < start->n_queues && r == 0; i++)
		if (start->queue[i].enabled)
			r = vhost_ring_up(&v->ring[i], &start->queue[i]);
	if (r == 0)
		r = run(v);
	if (r < 0) {
		error_save(&chain);
		take_down(v);
		error_restore(&chain);
		return r;
	}
	v->started = true;
	kick(v);
	return 0;
}

void vhost_stop(struct vhost *v)
{
	if (v->started)
		take_down(v);
}

void vhost_lose(struct vhost *v)
{
	if (v->node) {
		vhost_iotlb_stop(&v->iotlb);
		v->node->ops->close(v->node);
		v->node = NULL;
	}
	v->running = v->halting = false;
	for (unsigned i = 0; i < v->n_rings; i++)
		v->ring[i].attached = false;
	vhost_stop(v);
}

int vhost_start_ring(struct vhost *v, const struct datapath_start *start, unsigned ring)
{
	struct error_chain chain;

	if (!v->started || ring >= v->n_rings || ring >= start->n_queues || v->ring[ring].up)
		return 0;
	/* All run at once: a ring that joins them finds them halted. */
	if (!halt_soon(v))
		return error_set(EBUSY, "%s: requests of its other rings are still in progress",
				 v->name);
	/* Or cannot be halted any more. */
	if (!v->node)
		return error_set(EIO, "%s failed before", v->name);
	int r = vhost_ring_up(&v->ring[ring], &start->queue[ring]);

	if (r == 0)
		r = run(v);
	if (r < 0) {
		error_save(&chain);
		quiesce(v, ring);
		vhost_ring_down(&v->ring[ring]);
		error_restore(&chain);
		return r;
	}
	kick(v);
	return 0;
}

void vhost_stop_ring(struct vhost *v, unsigned ring)
{
	int r = 0;

	if (ring >= v->n_rings || !v->ring[ring].up)
		return;
	quiesce(v, ring);
	vhost_ring_down(&v->ring[ring]);
	/* The others go on, if they can without it, and if it was let go. */
	if (any_up(v) && (!v->node || v->type->runs_in_part))
		r = go_on(v);
	if (r == 0)
		return;
	log_error("%s: it does not go on: %s", v->name, error_text());
	error_clear();
	if (v->fail)
		v->fail(v->fail_arg, v->ring[ring].device_index,
			"vhost does not go on without the ring");
}

static void quiesce_all(struct vhost *v)
{
	for (unsigned i = 0; i < v->n_rings; i++)
		quiesce(v, i);
}

int vhost_pause(struct vhost *v, bool paused)
{
	v->paused = paused;
	if (!paused)
		return go_on(v);
	quiesce_all(v);
	return v->started && !v->node ? error_set(EIO, "%s was closed", v->name) : 0;
}

void vhost_suspend(struct vhost *v)
{
	v->suspended = v->started;
	for (unsigned i = 0; i < v->n_rings; i++)
		begin_quiesce(v, i);
}

int vhost_resume(struct vhost *v)
{
	v->suspended = false;
	return go_on(v);
}

bool vhost_position(const struct vhost *v, unsigned ring, struct virtqueue_position *out)
{
	if (ring >= v->n_rings || v->ring[ring].up || !v->ring[ring].has_position)
		return false;
	*out = v->ring[ring].position;
	return true;
}
