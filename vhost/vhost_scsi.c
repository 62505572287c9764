#include "vhost/vhost_scsi.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhost/vhost_kernel.h"
#include "vhost/vhost_scsi_target.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { ABI_KNOWN = 1 };

struct vhost_scsi {
	struct datapath base;
	struct datapath *rings;		/* vhost's; ring 1 of it is never up */
	struct datapath *event;
	struct vhost_scsi_target target;
	char name[40];
	struct vhost *vhost;		/* owned by 'rings' */
	struct vhost_scsi_events events;
	bool has_events;		/* while it runs: the kernel has their ring */
	unsigned n_queues;
	struct datapath_queue queue[VHOST_MAX_RINGS];	/* as vhost shall see them */
};

static struct vhost_scsi *from_base(const struct datapath *dp)
{
	return container_of(dp, struct vhost_scsi, base);
}

/* --- running the node ------------------------------------------------------------------------ */

static int scsi_run(struct vhost *v)
{
	struct vhost_scsi *s = v->arg;
	struct error_chain chain;
	int r = 0;

	s->has_events = features_has(&v->told, VIRTIO_SCSI_F_HOTPLUG);
	if (s->has_events)
		r = vhost_scsi_events_up(&s->events, v, VHOST_SCSI_EVENT_QUEUE);
	if (r < 0)
		return r;
	r = vhost_scsi_target_take(&s->target, v);
	if (r < 0 && s->has_events) {
		error_save(&chain);
		vhost_scsi_events_down(&s->events, v, VHOST_SCSI_EVENT_QUEUE);
		error_restore(&chain);
	}
	return r;
}

static void scsi_begin_halt(struct vhost *v)
{
	struct vhost_scsi *s = v->arg;

	vhost_scsi_target_begin_release(&s->target, v);
}

static bool scsi_is_halted(const struct vhost *v)
{
	const struct vhost_scsi *s = v->arg;

	return vhost_scsi_target_is_released(&s->target);
}

static int scsi_halt(struct vhost *v)
{
	struct vhost_scsi *s = v->arg;
	int r = vhost_scsi_target_release(&s->target, v);

	if (s->has_events)
		vhost_scsi_events_down(&s->events, v, VHOST_SCSI_EVENT_QUEUE);
	/* The administrator took the target away under us: nothing uses the rings any more. */
	return r == -ENODEV ? 0 : r;
}

static void scsi_doubt(struct vhost_ring *ring)
{
	struct vhost_scsi *s = ring->vhost->arg;

	vhost_scsi_target_doubt(&s->target, ring->index);
}

static const struct vhost_type scsi_type = {
	.kind = VHOST_KIND_SCSI,
	.run = scsi_run,
	.begin_halt = scsi_begin_halt,
	.is_halted = scsi_is_halted,
	.halt = scsi_halt,
	.runs_in_part = true,
	/* Linux 5.0 to 6.15 even of each target that a scan does not find. */
	.doubt = scsi_doubt,
};

/* --- the datapath ---------------------------------------------------------------------------- */

static struct features scsi_features(struct datapath *dp)
{
	const struct vhost_scsi *s = from_base(dp);

	return features_and(s->rings->ops->features(s->rings),
			    s->event->ops->features(s->event));
}

static struct features scsi_tell(struct datapath *dp, struct features accepted,
				 const struct dma *dma)
{
	const struct vhost_scsi *s = from_base(dp);

	return s->rings->ops->tell(s->rings, accepted, dma);
}

static const char *scsi_untold(struct datapath *dp, unsigned bit)
{
	const struct vhost_scsi *s = from_base(dp);

	return s->rings->ops->untold(s->rings, bit);
}

static void scsi_account(struct datapath *dp, struct datapath_account *out)
{
	const struct vhost_scsi *s = from_base(dp);

	s->rings->ops->account(s->rings, out);
}

/* What the event queue's datapath, and vhost, is told of a start. */
static struct datapath_start event_start(const struct datapath_start *start)
{
	struct datapath_start s = *start;

	s.queue = &start->queue[VHOST_SCSI_EVENT_QUEUE];
	s.n_queues = 1;
	return s;
}

static struct datapath_start rings_start(struct vhost_scsi *s, const struct datapath_start *start)
{
	struct datapath_start r = *start;

	assert(start->n_queues == s->n_queues);
	memcpy(s->queue, start->queue, s->n_queues * sizeof(s->queue[0]));
	s->queue[VHOST_SCSI_EVENT_QUEUE].enabled = false;
	r.queue = s->queue;
	return r;
}

static int scsi_start(struct datapath *dp, const struct datapath_start *start)
{
	struct vhost_scsi *s = from_base(dp);
	const struct datapath_start event = event_start(start);
	const struct datapath_start rings = rings_start(s, start);
	struct error_chain chain;
	int r;

	s->rings->fail = s->event->fail = dp->fail;
	s->rings->fail_arg = s->event->fail_arg = dp->fail_arg;
	r = s->event->ops->start(s->event, &event);
	if (r < 0)
		return r;
	r = s->rings->ops->start(s->rings, &rings);
	if (r < 0) {
		error_save(&chain);
		s->event->ops->stop(s->event);
		error_restore(&chain);
	}
	return r;
}

static void scsi_stop(struct datapath *dp)
{
	const struct vhost_scsi *s = from_base(dp);

	s->rings->ops->stop(s->rings);
	s->event->ops->stop(s->event);
}

/* Who has 'queue', and as which one. */
static struct datapath *owner_of(const struct vhost_scsi *s, unsigned *queue)
{
	if (*queue != VHOST_SCSI_EVENT_QUEUE)
		return s->rings;
	*queue = 0;
	return s->event;
}

static void scsi_prepare_stop(struct datapath *dp, unsigned queue)
{
	struct datapath *owner = owner_of(from_base(dp), &queue);

	if (owner->ops->prepare_stop)
		owner->ops->prepare_stop(owner, queue);
}

static bool scsi_can_stop(struct datapath *dp, unsigned queue)
{
	struct datapath *owner = owner_of(from_base(dp), &queue);

	return !owner->ops->can_stop || owner->ops->can_stop(owner, queue);
}

static int scsi_start_queue(struct datapath *dp, const struct datapath_start *start,
			    unsigned queue)
{
	struct vhost_scsi *s = from_base(dp);

	if (queue == VHOST_SCSI_EVENT_QUEUE) {
		const struct datapath_start event = event_start(start);
		return s->event->ops->start_queue(s->event, &event, 0);
	}
	const struct datapath_start rings = rings_start(s, start);

	return s->rings->ops->start_queue(s->rings, &rings, queue);
}

static void scsi_stop_queue(struct datapath *dp, unsigned queue)
{
	struct datapath *owner = owner_of(from_base(dp), &queue);

	owner->ops->stop_queue(owner, queue);
}

static bool scsi_position(struct datapath *dp, unsigned queue, struct virtqueue_position *out)
{
	struct datapath *owner = owner_of(from_base(dp), &queue);

	return owner->ops->position && owner->ops->position(owner, queue, out);
}

static void scsi_suspend(struct datapath *dp)
{
	const struct vhost_scsi *s = from_base(dp);

	s->rings->ops->suspend(s->rings);
	s->event->ops->suspend(s->event);
}

static bool scsi_is_quiet(struct datapath *dp)
{
	const struct vhost_scsi *s = from_base(dp);

	return s->rings->ops->is_quiet(s->rings) && s->event->ops->is_quiet(s->event);
}

static void scsi_resume(struct datapath *dp)
{
	const struct vhost_scsi *s = from_base(dp);

	s->rings->ops->resume(s->rings);
	s->event->ops->resume(s->event);
}

static void scsi_destroy(struct datapath *dp)
{
	struct vhost_scsi *s = from_base(dp);

	if (s->rings)
		s->rings->ops->destroy(s->rings);
	if (s->event)
		s->event->ops->destroy(s->event);
	vhost_scsi_events_fini(&s->events);
	vhost_scsi_target_fini(&s->target);
	free(s);
}

static const struct datapath_ops scsi_ops = {
	.features = scsi_features,
	.tell = scsi_tell,
	.untold = scsi_untold,
	.start = scsi_start,
	.stop = scsi_stop,
	.prepare_stop = scsi_prepare_stop,
	.can_stop = scsi_can_stop,
	.start_queue = scsi_start_queue,
	.stop_queue = scsi_stop_queue,
	.position = scsi_position,
	.suspend = scsi_suspend,
	.is_quiet = scsi_is_quiet,
	.resume = scsi_resume,
	.account = scsi_account,
	.destroy = scsi_destroy,
};

/* --- making it ------------------------------------------------------------------------------- */

static int judge_abi(struct vhost_node *node, const char *path)
{
	int abi = 0;
	int r = node->ops->scsi_get_abi(node, &abi);

	if (r < 0)
		return error_set(r, "%s: VHOST_SCSI_GET_ABI_VERSION", path);
	if (abi > ABI_KNOWN)
		return error_set(ENOTSUP, "%s speaks version %d of its interface, not %d", path,
				 abi, ABI_KNOWN);
	return 0;
}

static int open_rings(struct vhost_scsi *s, const struct vhost_scsi_config *config)
{
	struct vhost_config vc = {
		.name = config->path,
		.type = &scsi_type,
		.arg = s,
		.n_rings = s->n_queues,
		.loop = config->loop,
		.only_look = config->only_look,
	};
	int r = config->open ? config->open(&vc.node, config->path) :
			       vhost_kernel_open(&vc.node, config->path);

	if (r < 0)
		return r;
	r = judge_abi(vc.node, config->path);
	if (r < 0) {
		vc.node->ops->close(vc.node);
		return r;
	}
	r = vhost_create(&s->vhost, &vc);
	if (r < 0)
		return r;
	return vhost_datapath_create(&s->rings, &(struct vhost_datapath_config){
		.name = config->path,
		.node = &s->vhost,
		.n_nodes = 1,
	});
}

int vhost_scsi_create(struct datapath **out, const struct vhost_scsi_config *config)
{
	struct vhost_scsi *s = calloc(1, sizeof(*s));
	int r = 0;

	*out = NULL;
	assert(config->n_request_queues <= VHOST_SCSI_MAX_REQUEST_QUEUES);
	if (!s) {
		config->event->ops->destroy(config->event);
		return error_set(ENOMEM, "use %s", config->path);
	}
	s->event = config->event;
	s->events = (struct vhost_scsi_events)VHOST_SCSI_EVENTS_INIT;
	s->target = (struct vhost_scsi_target)VHOST_SCSI_TARGET_INIT;
	s->events.event = config->on_event;
	s->events.arg = config->on_event_arg;
	s->n_queues = VHOST_SCSI_FIRST_REQUEST_QUEUE + config->n_request_queues;
	snprintf(s->name, sizeof(s->name), "%s", config->path);
	s->base.ops = &scsi_ops;
	s->base.name = s->name;
	r = vhost_scsi_events_init(&s->events, config->loop);
	if (r == 0)
		r = open_rings(s, config);
	if (r == 0 && !config->only_look)
		r = vhost_scsi_target_find(config->configfs ? config->configfs :
				"/sys/kernel/config", config->wwpn);
	if (r == 0 && !config->only_look)
		r = vhost_scsi_target_init(&s->target, config->wwpn);
	if (r < 0) {
		scsi_destroy(&s->base);
		return error_add(r, "use SCSI target '%s'", config->wwpn);
	}
	*out = &s->base;
	return 0;
}
