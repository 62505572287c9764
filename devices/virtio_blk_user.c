/*
 * A virtio block device that another process serves (vhost-user-blk): it has the disk, and says how
 * large it is and what it can do.  Ours are the queues' registers and the configuration space, in
 * which the driver may choose how writes are cached; the back end is told.
 *
 * virtio-v1.4 5.2 "Block Device"
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio_models.h"
#include "vhost/vhost_user.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

enum {
	QUEUE_SIZE_MIN = 4,
	QUEUE_SIZE_MAX = 256,
	QUEUE_SIZE_DEFAULT = 256,
	PCI_CLASS_STORAGE_OTHER = 0x018000,

	/* virtio-v1.4 5.2.4 "Device configuration layout" */
	CONFIG_CAPACITY = 0,
	CONFIG_WRITEBACK = 32,
	CONFIG_NUM_QUEUES = 34,
	CONFIG_LEN = 60,
};

struct virtio_blk_user {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' once it is a part */
	bool is_part;
	uint8_t writeback;		/* what the back end was told */
	unsigned n_queues;
};

static struct virtio_blk_user *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_blk_user, dev);
}

/* --- configuration space --------------------------------------------------------------------- */

/* How many queues there are is not the back end's to say: it may have more. */
static void say_queues(const struct virtio_blk_user *blk, uint8_t config[CONFIG_LEN])
{
	store_le16(config + CONFIG_NUM_QUEUES, (uint16_t)blk->n_queues);
}

static void tell_writeback(struct virtio_blk_user *blk, uint8_t value)
{
	if (value == blk->writeback)
		return;
	blk->writeback = value;
	if (vhost_user_write_config(blk->datapath, CONFIG_WRITEBACK, &value, 1) < 0)
		error_clear();
}

/* The field is the driver's once it has taken CONFIG_WCE. */
static void blk_sealed(struct virtio_device *dev)
{
	bool is_chosen = features_has(&dev->negotiation.accepted, VIRTIO_BLK_F_CONFIG_WCE);

	dev->config_writable[CONFIG_WRITEBACK] = is_chosen ? 0xff : 0;
}

static void blk_config_written(struct virtio_device *dev, unsigned offset, unsigned len)
{
	struct virtio_blk_user *blk = from_dev(dev);
	uint8_t value = dev->config[CONFIG_WRITEBACK];

	if (!range_inside(CONFIG_WRITEBACK - offset, 1, len))
		return;
	/* Other values mean nothing: the field keeps what it had. */
	if (value > 1)
		dev->config[CONFIG_WRITEBACK] = blk->writeback;
	else
		tell_writeback(blk, value);
}

/* The next driver finds the field as it was, and so shall the back end. */
static void blk_reset(struct virtio_device *dev)
{
	dev->config_writable[CONFIG_WRITEBACK] = 0;
	tell_writeback(from_dev(dev), dev->config[CONFIG_WRITEBACK]);
}

/* Main loop, machine lock held: the disk grew, for example. */
static void on_config(void *arg, const uint8_t *config, unsigned len)
{
	struct virtio_blk_user *blk = arg;
	uint8_t bytes[CONFIG_LEN];

	memcpy(bytes, config, min_u64(len, CONFIG_LEN));
	say_queues(blk, bytes);
	bytes[CONFIG_WRITEBACK] = blk->dev.config[CONFIG_WRITEBACK];
	log_info("%s: the back end's disk has %llu MiB now", blk->dev.name,
		 (unsigned long long)(load_le64(bytes + CONFIG_CAPACITY) >> 11));
	virtio_device_update_config(&blk->dev, 0, bytes, CONFIG_LEN);
}

/* --- life ------------------------------------------------------------------------------------ */

static void blk_destroy(struct virtio_device *dev)
{
	struct virtio_blk_user *blk = from_dev(dev);

	if (dev->ops)	/* not when we failed before there was a device */
		virtio_device_fini(dev);
	if (blk->datapath && !blk->is_part)
		blk->datapath->ops->destroy(blk->datapath);
	free(blk);
}

static const struct virtio_device_ops blk_user_ops = {
	.sealed = blk_sealed,
	.config_written = blk_config_written,
	.reset = blk_reset,
	.destroy = blk_destroy,
};

/* Bits of a block device that the back end has; who has one queue needs no MQ. */
static struct features offered_features(const struct virtio_blk_user *blk)
{
	struct features f = vhost_user_offered(blk->datapath);

	if (blk->n_queues == 1)
		features_remove(&f, VIRTIO_BLK_F_MQ);
	return f;
}

static int create_device(struct virtio_blk_user *blk, const struct virtio_blk_user_config *config,
			 unsigned queue_size)
{
	uint16_t size[VHOST_USER_MAX_RINGS];
	uint8_t bytes[CONFIG_LEN];
	struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_BLOCK,
		.pci_class = PCI_CLASS_STORAGE_OTHER,
		.features = offered_features(blk),
		.config = bytes,
		.config_len = CONFIG_LEN,
		.n_queues = blk->n_queues,
		.queue_size = size,
	};

	for (unsigned i = 0; i < blk->n_queues; i++)
		size[i] = (uint16_t)queue_size;
	vhost_user_read_config(blk->datapath, bytes, CONFIG_LEN);
	say_queues(blk, bytes);
	blk->writeback = bytes[CONFIG_WRITEBACK] = bytes[CONFIG_WRITEBACK] != 0;
	int r = virtio_device_init(&blk->dev, &blk_user_ops, &dev);

	if (r < 0)
		return r;
	virtio_device_add_part(&blk->dev, blk->datapath, 0, blk->n_queues);
	blk->is_part = true;
	log_info("%s: served at '%s', %llu MiB", config->name, config->socket,
		 (unsigned long long)(load_le64(bytes + CONFIG_CAPACITY) >> 11));
	return 0;
}

static int connect_back_end(struct virtio_blk_user *blk,
			    const struct virtio_blk_user_config *config)
{
	const struct vhost_user_config user = {
		.name = config->name,
		.id = VIRTIO_ID_BLOCK,
		.dev = &blk->dev,
		.fd = FD_NONE,
		.path = config->socket,
		.n_rings = blk->n_queues,
		.config_len = CONFIG_LEN,
		.only_look = config->only_look,
		.loop = config->loop,
		.main = config->main,
		.config_changed = on_config,
		.arg = blk,
	};

	return vhost_user_create(&blk->datapath, &user);
}

static int check_config(const struct virtio_blk_user_config *config, unsigned queue_size)
{
	if (config->n_queues < 1 || config->n_queues > VHOST_USER_MAX_RINGS)
		return error_set(EINVAL, "%u queues are not 1 to %d", config->n_queues,
				 VHOST_USER_MAX_RINGS);
	if (!is_power_of_two(queue_size) || queue_size < QUEUE_SIZE_MIN ||
	    queue_size > QUEUE_SIZE_MAX)
		return error_set(EINVAL, "queue size %u is not a power of two from %d to %d",
				 queue_size, QUEUE_SIZE_MIN, QUEUE_SIZE_MAX);
	return 0;
}

int virtio_blk_user_create(struct virtio_device **out, const struct virtio_blk_user_config *config)
{
	struct virtio_blk_user *blk = calloc(1, sizeof(*blk));
	unsigned queue_size = config->queue_size ? config->queue_size : QUEUE_SIZE_DEFAULT;
	int r;

	*out = NULL;
	if (!blk)
		return error_set(ENOMEM, "create disk '%s'", config->name);
	blk->n_queues = config->n_queues;
	r = check_config(config, queue_size);
	if (r == 0)
		r = connect_back_end(blk, config);
	if (r == 0)
		r = create_device(blk, config, queue_size);
	if (r < 0) {
		blk_destroy(&blk->dev);
		return error_add(r, "cannot use disk '%s'", config->name);
	}
	*out = &blk->dev;
	return 0;
}
