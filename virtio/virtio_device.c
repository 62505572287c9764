#include "virtio/virtio_device.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/virtio_device_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/iommu.h"

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

/* The offer changed: a device without a transport yet is looked at as a modern one. */
void virtio_device_make_offer(struct virtio_device *dev)
{
	unsigned modern = dev->offer.interfaces & FEATURE_MODERN;
	unsigned legacy = dev->offer.interfaces & FEATURE_LEGACY;

	dev->negotiation.offered = feature_offer_at(&dev->offer, modern);
	negotiation_offer_legacy(&dev->negotiation, feature_offer_at(&dev->offer, legacy));
}

int virtio_device_init(struct virtio_device *dev, const struct virtio_device_ops *ops,
		       const struct virtio_device_config *config)
{
	static const struct features all = { { UINT64_MAX, UINT64_MAX } };
	struct features required = FEATURES_EMPTY;
	int r;

	*dev = (struct virtio_device){
		.ops = ops,
		.id = config->id,
		.pci_class = config->pci_class,
		.config_call_fd = FD_NONE,
		.dma_allowed = true,
		.fail_post = { .fn = virtio_device_fail_posted },
		.offer = {
			.device_id = config->id,
			.interfaces = FEATURE_MODERN,
			.model = config->features,
			.backend = all,
		},
	};
	features_add(&required, VIRTIO_F_VERSION_1);
	negotiation_init(&dev->negotiation, config->id, FEATURES_EMPTY, required);
	virtio_device_make_offer(dev);

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
	assert(!virtio_device_has_rings(dev));
	if (dev->machine)
		event_loop_unpost(dev->machine->main_loop, &dev->fail_post);
	for (unsigned i = 0; i < dev->n_parts; i++) {
		struct datapath *other = dev->part[i].other;
		dev->part[i].datapath->ops->destroy(dev->part[i].datapath);
		if (other)
			other->ops->destroy(other);
	}
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
	assert(dev->n_parts < VIRTIO_MAX_PARTS && range_inside(first, n_queues, dev->n_queues));
	dev->part[dev->n_parts++] = (struct virtio_part){
		.datapath = datapath,
		.first_queue = first,
		.n_queues = n_queues,
	};
	datapath->fail = virtio_device_datapath_failed;
	datapath->fail_arg = dev;
	/* N13: a ring or header bit is offered only if every part serves it. */
	dev->offer.backend = features_and(dev->offer.backend, datapath->ops->features(datapath));
	virtio_device_make_offer(dev);
}

void virtio_device_want_features(struct virtio_device *dev, struct features on,
				 struct features off)
{
	dev->offer.on = on;
	dev->offer.off = off;
	virtio_device_make_offer(dev);
}

void virtio_device_require_platform(struct virtio_device *dev)
{
	features_add(&dev->offer.on, VIRTIO_F_ACCESS_PLATFORM);
	features_add(&dev->negotiation.required, VIRTIO_F_ACCESS_PLATFORM);
	virtio_device_make_offer(dev);
}

static void lost(void *arg, const char *reason)
{
	struct virtio_device *dev = arg;

	virtio_device_fail(dev, VIRTIO_NO_QUEUE, reason);
	/* Also if it failed before: somebody waits until it has given its rings back. */
	event_loop_post(dev->machine->main_loop, &dev->fail_post);
}

int virtio_device_put_behind(struct virtio_device *dev, struct iommu *iommu, uint32_t endpoint)
{
	dev->dma = iommu_add_endpoint(iommu, endpoint, lost, dev);
	if (!dev->dma)
		return error_set(ENOSPC, "put '%s' behind the IOMMU as 0x%x", dev->name, endpoint);
	return 0;
}

void virtio_device_add_shm(struct virtio_device *dev, const struct virtio_shm *shm)
{
	assert(dev->n_shm < VIRTIO_MAX_SHM && shm->len > 0 && shm->len % 4096 == 0);
	for (unsigned i = 0; i < dev->n_shm; i++)
		assert(dev->shm[i].id != shm->id);
	dev->shm[dev->n_shm++] = *shm;
}

int virtio_device_settle_features(struct virtio_device *dev, unsigned interfaces,
				  struct features transport)
{
	dev->offer.interfaces = interfaces;
	dev->offer.transport = transport;
	virtio_device_make_offer(dev);
	int r = feature_offer_check(&dev->offer);

	return r < 0 ? virtio_device_choose(dev) : 0;
}

struct features virtio_device_offered(const struct virtio_device *dev)
{
	return features_or(dev->negotiation.offered, dev->negotiation.offered_legacy);
}

void virtio_device_mistake(struct virtio_device *dev, enum driver_mistake kind)
{
	driver_mistakes_count(&dev->negotiation.mistakes, kind);
}
