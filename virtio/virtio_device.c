#include "virtio/virtio_device.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { NO_QUEUE = VIRTIO_MAX_QUEUES };

static void stop_parts(struct virtio_device *dev, unsigned n)
{
	while (n-- > 0)
		dev->part[n].datapath->ops->stop(dev->part[n].datapath);
}

/* N10, carried out: on the control path. */
static void needs_reset(struct virtio_device *dev, unsigned queue, const char *reason)
{
	if (dev->state == VIRTIO_BROKEN)
		return;
	if (dev->state == VIRTIO_STARTED)
		stop_parts(dev, dev->n_parts);
	dev->state = VIRTIO_BROKEN;
	if (queue == NO_QUEUE)
		log_guest(&dev->log, LOG_WARNING, "%s: %s; it needs reset now", dev->name, reason);
	else
		log_guest(&dev->log, LOG_WARNING, "%s: queue %u: %s; it needs reset now", dev->name,
			  queue, reason);
	/* The bit first, then the interrupt: the driver finds it set. */
	if (negotiation_needs_reset(&dev->negotiation))
		dev->transport->ops->config_changed(dev->transport);
}

static void fail_posted(struct event_post *post)
{
	struct virtio_device *dev = container_of(post, struct virtio_device, fail_post);

	machine_lock(dev->machine);
	const char *reason = atomic_exchange(&dev->fail_reason, NULL);
	/* NULL: a reset came first, and the failure was of the session that it ended. */
	if (reason)
		needs_reset(dev, atomic_load(&dev->fail_queue), reason);
	machine_unlock(dev->machine);
}

void virtio_device_fail(struct virtio_device *dev, unsigned queue, const char *reason)
{
	/* The first failure says what is wrong; later ones are its consequences. */
	if (atomic_exchange(&dev->fail_claimed, true))
		return;
	atomic_store(&dev->fail_queue, queue);
	atomic_store(&dev->fail_reason, reason);
	event_loop_post(dev->machine->main_loop, &dev->fail_post);
}

static void datapath_failed(void *arg, unsigned queue, const char *reason)
{
	virtio_device_fail(arg, queue, reason);
}

static int start_part(struct virtio_device *dev, const struct virtio_part *part)
{
	for (unsigned i = 0; i < part->n_queues; i++) {
		unsigned index = part->first_queue + i;
		const struct virtio_queue *q = &dev->queue[index];
		dev->start_queue[index] = (struct datapath_queue){
			.index = index,
			.enabled = q->enabled,
			.size = q->size,
			.desc = q->desc,
			.driver = q->driver,
			.device = q->device,
			.kick_fd = q->kick_fd,
			.call = dev->transport->ops->queue_call(dev->transport, index),
		};
	}
	const struct datapath_start start = {
		.features = dev->negotiation.accepted,
		.dma = &dev->machine->dma,
		.queue = dev->start_queue + part->first_queue,
		.n_queues = part->n_queues,
	};
	return part->datapath->ops->start(part->datapath, &start);
}

/* The reasons of a failed start, for the log: the driver brought most of them about. */
static void log_chain(struct virtio_device *dev)
{
	struct error_chain chain;

	error_save(&chain);
	for (unsigned i = chain.n; i-- > 0;)
		log_guest(&dev->log, LOG_WARNING, "%s: %s", dev->name, chain.line[i]);
	error_clear();
}

static void start(struct virtio_device *dev)
{
	/* Also called when a transport allows DMA again. */
	if (dev->state != VIRTIO_STOPPED || !dev->dma_allowed)
		return;
	for (unsigned i = 0; i < dev->n_parts; i++) {
		if (start_part(dev, &dev->part[i]) < 0) {
			log_chain(dev);
			stop_parts(dev, i);
			needs_reset(dev, NO_QUEUE, "it cannot start");
			return;
		}
	}
	dev->state = VIRTIO_STARTED;
}

void virtio_device_allow_dma(struct virtio_device *dev, bool allowed)
{
	bool was = dev->dma_allowed;

	dev->dma_allowed = allowed;
	if (!allowed || was)
		return;
	if (dev->negotiation.status & VIRTIO_STATUS_DRIVER_OK)
		start(dev);
	for (unsigned i = 0; i < dev->n_queues; i++)
		virtio_device_kick(dev, i);
}

static void refused(struct virtio_device *dev)
{
	char why[128];

	negotiation_describe_refusal(&dev->negotiation, why, sizeof(why));
	log_guest(&dev->log, LOG_WARNING, "%s: the driver's features are refused: %s", dev->name,
		  why);
}

void virtio_device_write_status(struct virtio_device *dev, uint8_t value)
{
	bool was_sealed = dev->negotiation.sealed;
	enum negotiation_event event = negotiation_write_status(&dev->negotiation, value);

	if (dev->negotiation.sealed && !was_sealed && dev->ops->sealed)
		dev->ops->sealed(dev);
	switch (event) {
	case NEG_NOTHING:
	case NEG_SEALED:
		break;
	case NEG_REFUSED:
		refused(dev);
		break;
	case NEG_DRIVER_OK:
		start(dev);
		break;
	case NEG_RESET:
		virtio_device_reset(dev);
		break;
	case NEG_FAILED:
		if (dev->state == VIRTIO_STARTED)
			stop_parts(dev, dev->n_parts);
		dev->state = VIRTIO_BROKEN;
		log_guest(&dev->log, LOG_WARNING, "%s: the driver gave up", dev->name);
		break;
	}
}

uint8_t virtio_device_read_status(struct virtio_device *dev)
{
	return negotiation_read_status(&dev->negotiation);
}

static void reset_queue(struct virtio_queue *q)
{
	q->size = q->size_max;
	q->enabled = false;
	q->desc = q->driver = q->device = 0;
	/* A kick or call of the ended session must not reach the next one. */
	fd_drain(q->kick_fd);
	fd_drain(q->call_fd);
}

void virtio_device_reset(struct virtio_device *dev)
{
	if (dev->state == VIRTIO_STARTED)
		stop_parts(dev, dev->n_parts);
	dev->state = VIRTIO_STOPPED;
	/* Nobody can report a failure any more; one that is under way is of the past. */
	atomic_store(&dev->fail_reason, NULL);
	atomic_store(&dev->fail_claimed, false);

	if (dev->transport)
		dev->transport->ops->device_reset(dev->transport);
	for (unsigned i = 0; i < dev->n_queues; i++)
		reset_queue(&dev->queue[i]);
	fd_drain(dev->config_call_fd);
	for (unsigned i = 0; i < dev->config_len; i++) {
		uint8_t mask = dev->config_writable[i];
		dev->config[i] = (uint8_t)((dev->config[i] & ~mask) |
					   (dev->config_initial[i] & mask));
	}
	negotiation_reset_done(&dev->negotiation);
	if (dev->ops->reset)
		dev->ops->reset(dev);
}

static int init_queues(struct virtio_device *dev, const struct virtio_device_config *config)
{
	dev->queue = calloc(config->n_queues, sizeof(*dev->queue));
	dev->start_queue = calloc(config->n_queues, sizeof(*dev->start_queue));
	if (!dev->queue || !dev->start_queue)
		return error_set(ENOMEM, "allocate %u queues", config->n_queues);
	dev->n_queues = config->n_queues;
	for (unsigned i = 0; i < dev->n_queues; i++)
		dev->queue[i] = (struct virtio_queue){ .kick_fd = FD_NONE, .call_fd = FD_NONE };
	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct virtio_queue *q = &dev->queue[i];
		q->size = q->size_max = config->queue_size[i];
		int r = fd_create_event(&q->kick_fd);
		if (r == 0)
			r = fd_create_event(&q->call_fd);
		if (r < 0)
			return error_set(r, "create the event fds of queue %u", i);
	}
	return 0;
}

static int judge_config(const struct virtio_device_config *config)
{
	if (config->n_queues == 0 || config->n_queues > VIRTIO_MAX_QUEUES)
		return error_set(EINVAL, "a device has 1 to %d queues, not %u", VIRTIO_MAX_QUEUES,
				 config->n_queues);
	if (config->config_len > VIRTIO_CONFIG_MAX)
		return error_set(EINVAL, "a config space of %u bytes is too long",
				 config->config_len);
	for (unsigned i = 0; i < config->n_queues; i++)
		if (!is_power_of_two(config->queue_size[i]) ||
		    config->queue_size[i] > VIRTIO_QUEUE_SIZE_LIMIT)
			return error_set(EINVAL, "queue size %u is not a power of two up to %d",
					 config->queue_size[i], VIRTIO_QUEUE_SIZE_LIMIT);
	return 0;
}

/* What every device gets, as far as its datapaths have it. */
static struct features offered_features(const struct virtio_device_config *config)
{
	struct features f = config->features;

	/* Transport bits are added by a transport that has what they promise. */
	f = features_minus(f, features_owned_by(f, config->id, FEATURE_TRANSPORT));
	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	features_add(&f, VIRTIO_F_EVENT_IDX);
	features_add(&f, VIRTIO_F_VERSION_1);
	return f;
}

int virtio_device_init(struct virtio_device *dev, const struct virtio_device_ops *ops,
		       const struct virtio_device_config *config)
{
	struct features required = FEATURES_EMPTY;
	int r;

	*dev = (struct virtio_device){
		.ops = ops,
		.id = config->id,
		.pci_class = config->pci_class,
		.config_call_fd = FD_NONE,
		.dma_allowed = true,
		.fail_post = { .fn = fail_posted },
	};
	features_add(&required, VIRTIO_F_VERSION_1);
	negotiation_init(&dev->negotiation, config->id, offered_features(config), required);

	r = judge_config(config);
	if (r < 0)
		return error_add(r, "create device '%s'", config->name);
	dev->name = strdup(config->name);
	if (!dev->name)
		return error_set(ENOMEM, "create device '%s'", config->name);
	if (config->config_len > 0) {
		memcpy(dev->config, config->config, config->config_len);
		memcpy(dev->config_initial, config->config, config->config_len);
	}
	dev->config_len = config->config_len;
	r = init_queues(dev, config);
	if (r == 0)
		r = fd_create_event(&dev->config_call_fd);
	return r < 0 ? error_add(r, "create device '%s'", config->name) : 0;
}

void virtio_device_fini(struct virtio_device *dev)
{
	assert(dev->state != VIRTIO_STARTED);
	for (unsigned i = 0; i < dev->n_parts; i++)
		dev->part[i].datapath->ops->destroy(dev->part[i].datapath);
	dev->n_parts = 0;
	for (unsigned i = 0; i < dev->n_queues; i++) {
		fd_close(&dev->queue[i].kick_fd);
		fd_close(&dev->queue[i].call_fd);
	}
	dev->n_queues = 0;
	fd_close(&dev->config_call_fd);
	free(dev->start_queue);
	free(dev->queue);
	free((char *)dev->name);
	dev->start_queue = NULL;
	dev->queue = NULL;
	dev->name = NULL;
}

void virtio_device_add_part(struct virtio_device *dev, struct datapath *datapath, unsigned first,
			    unsigned n_queues)
{
	struct features offered = dev->negotiation.offered;
	struct features ring = features_owned_by(offered, dev->id, FEATURE_RING);

	assert(dev->n_parts < VIRTIO_MAX_PARTS && range_inside(first, n_queues, dev->n_queues));
	dev->part[dev->n_parts++] = (struct virtio_part){
		.datapath = datapath,
		.first_queue = first,
		.n_queues = n_queues,
	};
	datapath->fail = datapath_failed;
	datapath->fail_arg = dev;
	/* N13: a ring or header bit is offered only if every part serves it. */
	offered = features_minus(offered, features_minus(ring, datapath->ops->features(datapath)));
	dev->negotiation.offered = features_offerable(offered, dev->id);
}
