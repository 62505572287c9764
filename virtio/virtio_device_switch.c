/*
 * Changing who moves the buffers of a part, also while a driver uses it: the one datapath gives its
 * rings back, the other goes on where they stand.  Both know the same kick and call descriptors, so
 * nobody outside hears of it.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "virtio/virtio_device_impl.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

/* How long the host may take to finish what it has in progress. */
enum { QUIET_PATIENCE_MS = 100 };

void virtio_device_add_datapath(struct virtio_device *dev, unsigned part, struct datapath *other)
{
	assert(part < dev->n_parts && !dev->part[part].other);
	other->fail = virtio_device_datapath_failed;
	other->fail_arg = dev;
	dev->part[part].other = other;
}

/* What the parts would serve together if 'dp' moved the buffers of 'part'. */
static struct features served_with(const struct virtio_device *dev, unsigned part,
				   struct datapath *dp)
{
	struct features f = dp->ops->features(dp);

	for (unsigned i = 0; i < dev->n_parts; i++) {
		struct datapath *one = dev->part[i].datapath;
		if (i != part)
			f = features_and(f, one->ops->features(one));
	}
	return f;
}

/* Ring and header bits of 'f' that 'dp' does not serve: the first, or FEATURES_BITS. */
static unsigned first_unserved(const struct virtio_device *dev, struct datapath *dp,
			       struct features f)
{
	struct features left = features_minus(f, dp->ops->features(dp));

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
		const struct feature_info *info = feature_info((enum feature_bit)bit, dev->id);
		if (features_has(&left, bit) && info && info->owner == FEATURE_RING)
			return bit;
	}
	return FEATURES_BITS;
}

/* N14: can 'dp' do what driver and configuration rely on? */
static int judge(const struct virtio_device *dev, unsigned part, struct datapath *dp)
{
	const struct negotiation *n = &dev->negotiation;
	struct feature_offer next = dev->offer;
	/* Before FEATURES_OK a driver relies on what it was shown. */
	struct features relied = n->sealed ? n->accepted :
				 n->status ? virtio_device_offered(dev) : FEATURES_EMPTY;
	unsigned bit = first_unserved(dev, dp, relied);
	char buf[24];

	if (bit < FEATURES_BITS)
		return error_set(EOPNOTSUPP, "%s does not serve %s, which the driver %s", dp->name,
				 feature_name(buf, bit, dev->id), n->sealed ? "took" : "may take");
	next.backend = served_with(dev, part, dp);
	return feature_offer_check(&next);
}

/* The offer follows who moves the buffers, but never under a driver that has seen it. */
void virtio_device_follow_datapaths(struct virtio_device *dev)
{
	if (!dev->offer_is_old || dev->negotiation.status != 0)
		return;
	dev->offer_is_old = false;
	dev->offer.backend = served_with(dev, 0, dev->part[0].datapath);
	virtio_device_make_offer(dev);
}

static void exchange(struct virtio_device *dev, struct virtio_part *part)
{
	struct datapath *was = part->datapath;

	part->datapath = part->other;
	part->other = was;
	dev->offer_is_old = true;
	virtio_device_follow_datapaths(dev);
}

/* --- while it runs --------------------------------------------------------------------------- */

static bool may_stop(const struct virtio_device *dev, const struct virtio_part *part)
{
	const struct negotiation *n = &dev->negotiation;

	if (negotiation_is_suspended(n) || n->suspending || n->resetting)
		return false;
	for (unsigned i = 0; i < part->n_queues; i++)
		if (dev->queue[part->first_queue + i].ending != VIRTIO_QUEUE_STAYS)
			return false;
	return true;
}

/* Have all that was taken answered: what is dropped by a stop nobody finds again. */
static int make_quiet(struct datapath *dp)
{
	uint64_t deadline = clock_now_ms() + QUIET_PATIENCE_MS;

	dp->ops->suspend(dp);
	while (!dp->ops->is_quiet(dp)) {
		if (clock_now_ms() >= deadline) {
			dp->ops->resume(dp);
			return error_set(EBUSY, "the host still has buffers in progress");
		}
		usleep(1000);
	}
	return 0;
}

/* Fill in where each ring of 'part' stood in 'from'.  False if that is not known of one. */
static bool take_positions(struct virtio_device *dev, const struct virtio_part *part,
			   struct datapath *from)
{
	for (unsigned i = 0; i < part->n_queues; i++) {
		struct datapath_queue *dq = &dev->start_queue[part->first_queue + i];
		/* One that waits for DMA was never started. */
		dq->enabled &= !dev->queue[part->first_queue + i].start_waits;
		if (!dq->enabled)
			continue;
		dq->resume = from->ops->position(from, i, &dq->position);
		if (!dq->resume)
			return false;
	}
	return true;
}

/* A failure of this part that was not carried out yet: the stop was the answer to it. */
static void forget_failure(struct virtio_device *dev, const struct virtio_part *part)
{
	unsigned queue = atomic_load(&dev->fail_queue);

	if (!atomic_load(&dev->fail_claimed) || queue < part->first_queue ||
	    queue - part->first_queue >= part->n_queues)
		return;
	atomic_store(&dev->fail_reason, NULL);
	atomic_store(&dev->fail_claimed, false);
}

/* What was answered just before may have gone without a call; one too many does no harm. */
static void call_driver(const struct virtio_device *dev, const struct virtio_part *part)
{
	for (unsigned i = 0; i < part->n_queues; i++) {
		const struct datapath_queue *dq = &dev->start_queue[part->first_queue + i];
		if (!dq->enabled)
			continue;
		if (dq->call.isr)
			atomic_fetch_or(dq->call.isr, dq->call.isr_bits);
		fd_signal(dq->call.fd);
	}
}

static int hand_over(struct virtio_device *dev, struct virtio_part *part)
{
	struct datapath *from = part->datapath, *to = part->other;
	struct error_chain chain;

	from->ops->stop(from);
	forget_failure(dev, part);
	exchange(dev, part);
	const struct datapath_start start = virtio_device_describe_part(dev, part);

	if (!take_positions(dev, part, from)) {
		virtio_device_needs_reset(dev, part->first_queue, "a ring's position is lost");
		return error_set(EIO, "where a ring stands is not known");
	}
	int r = to->ops->start(to, &start);

	if (r == 0) {
		call_driver(dev, part);
		if (dev->ops->switched)
			dev->ops->switched(dev);
		return 0;
	}
	error_save(&chain);
	exchange(dev, part);
	part->told = virtio_device_tell(dev, from);
	if (from->ops->start(from, &start) < 0)
		virtio_device_needs_reset(dev, part->first_queue, "it can neither go on nor back");
	else
		call_driver(dev, part);
	error_restore(&chain);
	return r;
}

int virtio_device_switch(struct virtio_device *dev, unsigned index)
{
	struct virtio_part *part = index < dev->n_parts ? &dev->part[index] : NULL;
	int r;

	if (!part || !part->other)
		return error_set(ENOTSUP, "%s: nobody else can move its buffers", dev->name);
	r = judge(dev, index, part->other);
	if (r < 0)
		return error_add(r, "%s: switch to %s", dev->name, part->other->name);
	if (!virtio_device_has_rings(dev)) {
		exchange(dev, part);
		virtio_device_note_datapath(dev, index);
		return 0;
	}
	if (dev->state != VIRTIO_STARTED || !may_stop(dev, part))
		return error_set(EBUSY, "%s: it is about to stop", dev->name);
	if (!dev->dma_allowed)
		return error_set(EBUSY, "%s: it may not reach memory", dev->name);
	r = make_quiet(part->datapath);
	if (r == 0)
		r = hand_over(dev, part);
	if (r == 0)
		virtio_device_note_datapath(dev, index);
	return r < 0 ? error_add(r, "%s: switch to another datapath", dev->name) : 0;
}

/* --- on its own ------------------------------------------------------------------------------ */

static int part_index(const struct virtio_device *dev, unsigned queue)
{
	for (unsigned i = 0; i < dev->n_parts; i++)
		if (queue >= dev->part[i].first_queue &&
		    queue - dev->part[i].first_queue < dev->part[i].n_queues)
			return (int)i;
	return -1;
}

bool virtio_device_recover(struct virtio_device *dev, unsigned queue, const char *reason)
{
	int index = part_index(dev, queue);

	if (index < 0 || dev->state != VIRTIO_STARTED || dev->recovered || !dev->part[index].other)
		return false;
	/* Once in a session: two that both cannot do not take turns. */
	dev->recovered = true;
	if (virtio_device_switch(dev, (unsigned)index) < 0) {
		error_clear();
		return false;
	}
	log_guest(&dev->log, LOG_WARNING, "%s: queue %u: %s; it goes on %s", dev->name, queue,
		  reason, dev->part[index].datapath->name);
	return true;
}

int virtio_device_start_other(struct virtio_device *dev, unsigned index, int r)
{
	struct virtio_part *part = &dev->part[index];
	struct error_chain chain;

	if (dev->recovered || !part->other)
		return r;
	error_save(&chain);
	if (judge(dev, index, part->other) < 0) {
		error_restore(&chain);
		return r;
	}
	exchange(dev, part);
	const struct datapath_start start = virtio_device_describe_part(dev, part);
	int other = part->datapath->ops->start(part->datapath, &start);

	if (other < 0) {
		exchange(dev, part);
		part->told = virtio_device_tell(dev, part->datapath);
		if (other != -EINVAL)
			error_restore(&chain);
		return other == -EINVAL ? other : r;
	}
	dev->recovered = true;
	error_clear();
	log_guest(&dev->log, LOG_NOTICE, "%s: %s cannot start (%s%s%s): it goes on %s", dev->name,
		  part->other->name, chain.n ? chain.line[0] : "", chain.n ? ": " : "",
		  strerror(-r), part->datapath->name);
	return 0;
}

int virtio_device_choose(struct virtio_device *dev)
{
	struct error_chain chain;

	error_save(&chain);
	for (unsigned i = 0; i < dev->n_parts; i++) {
		struct virtio_part *part = &dev->part[i];
		if (!part->other || judge(dev, i, part->other) < 0)
			continue;
		exchange(dev, part);
		error_clear();
		log_info("%s: %s, for the features that were asked for", dev->name,
			 part->datapath->name);
		return 0;
	}
	error_restore(&chain);
	return -chain.err;
}
