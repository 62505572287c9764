/*
 * The virtio block device: identity, features and configuration space.  What a request means is in
 * blk_request.c, how it is served in blk_queue.c, what a disk is in disk.h, who does the work in
 * disk_engine.h.
 *
 * virtio-v1.4 5.2 "Block Device"
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/blk_queue.h"
#include "devices/virtio_models.h"
#include "virtio/datapath_local.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

enum {
	MAX_QUEUES = 64,
	QUEUE_SIZE_MIN = 4,
	QUEUE_SIZE_MAX = 256,
	QUEUE_SIZE_DEFAULT = 256,
	PCI_CLASS_STORAGE_OTHER = 0x018000,
};

/* virtio-v1.4 5.2.4 "Device configuration layout" */
enum {
	CONFIG_CAPACITY = 0,
	CONFIG_SIZE_MAX = 8,
	CONFIG_SEG_MAX = 12,
	CONFIG_BLK_SIZE = 20,
	CONFIG_PHYSICAL_BLOCK_EXP = 24,
	CONFIG_MIN_IO_SIZE = 26,
	CONFIG_WRITEBACK = 32,
	CONFIG_NUM_QUEUES = 34,
	CONFIG_MAX_DISCARD_SECTORS = 36,
	CONFIG_MAX_DISCARD_SEG = 40,
	CONFIG_DISCARD_SECTOR_ALIGNMENT = 44,
	CONFIG_MAX_WRITE_ZEROES_SECTORS = 48,
	CONFIG_MAX_WRITE_ZEROES_SEG = 52,
	CONFIG_WRITE_ZEROES_MAY_UNMAP = 56,
	CONFIG_LEN = 60,
};

struct virtio_blk {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' once it is a part */
	struct blk_shared shared;
	struct disk_pool *pool;
	struct event_loop *loop[MAX_QUEUES];
	struct blk_queue queue[MAX_QUEUES];
	unsigned n_queues;
	unsigned n_active;		/* queues that the driver negotiated */
	uint8_t writeback;		/* the configuration field, as it stands */
};

static bool accepted(const struct virtio_blk *blk, unsigned feature)
{
	return features_has(&blk->dev.negotiation.accepted, feature);
}

/* --- configuration space -------------------------------------------------- */

/* The field is the driver's once CONFIG_WCE is negotiated, and else tells what is the case. */
static void set_writeback(struct virtio_blk *blk, uint8_t value)
{
	blk->writeback = value;
	if (blk->dev.config[CONFIG_WRITEBACK] != value)
		virtio_device_update_config(&blk->dev, CONFIG_WRITEBACK, &value, 1);
	atomic_store_explicit(&blk->shared.writethrough, value == 0, memory_order_release);
}

/*
 * virtio-v1.4 5.2.5.2, 5.2.6.2: a driver that can flush gets a write-back cache.  One that knows
 * neither FLUSH nor CONFIG_WCE gets writes that are stable at completion; so does one with
 * CONFIG_WCE alone, until it asks for something else.
 *
 * A legacy driver with CONFIG_WCE may have written the field before anything else, and what it
 * chose stays.  virtio-v1.4 5.2.5.3 "Legacy Interface: Device Initialization"
 */
static void blk_sealed(struct virtio_device *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);
	bool is_chosen = accepted(blk, VIRTIO_BLK_F_CONFIG_WCE);

	dev->config_writable[CONFIG_WRITEBACK] = is_chosen ? 0xff : 0;
	if (!is_chosen || accepted(blk, VIRTIO_F_VERSION_1))
		set_writeback(blk, accepted(blk, VIRTIO_BLK_F_FLUSH) ? 1 : 0);
}

/*
 * Before features are known the field takes what is written: a legacy driver may do that, and of
 * any other nothing stays.
 */
static void open_writeback(struct virtio_blk *blk)
{
	struct features offered = virtio_device_offered(&blk->dev);
	bool is_offered = features_has(&offered, VIRTIO_BLK_F_CONFIG_WCE);

	blk->dev.config_writable[CONFIG_WRITEBACK] = is_offered ? 0xff : 0;
	set_writeback(blk, 1);
}

static void blk_config_written(struct virtio_device *dev, unsigned offset, unsigned len)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);
	uint8_t value = dev->config[CONFIG_WRITEBACK];

	if (!range_inside(CONFIG_WRITEBACK - offset, 1, len))
		return;
	/* Other values mean nothing: the field keeps what it had. */
	if (value > 1)
		dev->config[CONFIG_WRITEBACK] = blk->writeback;
	else
		set_writeback(blk, value);
}

static void blk_reset(struct virtio_device *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);

	open_writeback(blk);
}

static void fill_config(uint8_t config[CONFIG_LEN], const struct disk *disk, unsigned n_queues,
			unsigned queue_size)
{
	uint32_t physical_blocks = disk->physical_block_size / disk->block_size;

	memset(config, 0, CONFIG_LEN);
	store_le64(config + CONFIG_CAPACITY, disk->size / BLK_SECTOR);
	/* The largest segment times the most segments stays below what one system call takes. */
	store_le32(config + CONFIG_SIZE_MAX, DISK_PIECE);
	/* Header and status take a descriptor each. */
	store_le32(config + CONFIG_SEG_MAX, queue_size - 2);
	store_le32(config + CONFIG_BLK_SIZE, disk->block_size);
	config[CONFIG_PHYSICAL_BLOCK_EXP] = (uint8_t)__builtin_ctz(physical_blocks);
	store_le16(config + CONFIG_MIN_IO_SIZE, (uint16_t)physical_blocks);
	config[CONFIG_WRITEBACK] = 1;
	store_le16(config + CONFIG_NUM_QUEUES, (uint16_t)n_queues);
	if (disk->readonly)	/* neither discard nor write zeroes is offered */
		return;
	store_le32(config + CONFIG_MAX_DISCARD_SECTORS, BLK_MAX_SEGMENT_SECTORS);
	store_le32(config + CONFIG_MAX_DISCARD_SEG, BLK_MAX_SEGMENTS);
	store_le32(config + CONFIG_DISCARD_SECTOR_ALIGNMENT,
		   disk->physical_block_size / BLK_SECTOR);
	store_le32(config + CONFIG_MAX_WRITE_ZEROES_SECTORS, BLK_MAX_SEGMENT_SECTORS);
	store_le32(config + CONFIG_MAX_WRITE_ZEROES_SEG, BLK_MAX_SEGMENTS);
	config[CONFIG_WRITE_ZEROES_MAY_UNMAP] = disk->can_unmap;
}

static struct features offered_features(const struct disk *disk, unsigned n_queues)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_BLK_F_SIZE_MAX);
	features_add(&f, VIRTIO_BLK_F_SEG_MAX);
	features_add(&f, VIRTIO_BLK_F_BLK_SIZE);
	features_add(&f, VIRTIO_BLK_F_TOPOLOGY);
	features_add(&f, VIRTIO_BLK_F_FLUSH);
	features_add(&f, VIRTIO_BLK_F_CONFIG_WCE);
	if (n_queues > 1)
		features_add(&f, VIRTIO_BLK_F_MQ);
	if (disk->readonly) {
		features_add(&f, VIRTIO_BLK_F_RO);
	} else {
		features_add(&f, VIRTIO_BLK_F_DISCARD);
		features_add(&f, VIRTIO_BLK_F_WRITE_ZEROES);
	}
	return f;
}

/* --- data path ------------------------------------------------------------ */

static int blk_start(void *model, const struct datapath_start *start)
{
	struct virtio_blk *blk = model;

	blk->n_active = features_has(&start->features, VIRTIO_BLK_F_MQ) ? blk->n_queues : 1;
	blk->shared.limits.discard = features_has(&start->features, VIRTIO_BLK_F_DISCARD);
	blk->shared.limits.write_zeroes = features_has(&start->features, VIRTIO_BLK_F_WRITE_ZEROES);
	blk->shared.limits.legacy = !features_has(&start->features, VIRTIO_F_VERSION_1);
	return 0;
}

static int blk_queue_open(void *model, unsigned index, const struct datapath_queue *dq)
{
	struct virtio_blk *blk = model;

	return blk_queue_start(&blk->queue[index], dq->size);
}

static void blk_queue_close(void *model, unsigned index)
{
	struct virtio_blk *blk = model;

	blk_queue_stop(&blk->queue[index]);
}

static void blk_queue_started(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_blk *blk = model;

	if (blk_queue_attach(&blk->queue[index], q, blk->loop[index]) < 0) {
		error_clear();
		virtio_device_fail(&blk->dev, index, "the disk engine did not start");
	}
}

static void blk_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_blk *blk = model;
	struct blk_queue *bq = &blk->queue[index];

	(void)q;
	/* Queues beyond those that were negotiated exist but do nothing. */
	if (bq->vq && index < blk->n_active)
		blk_queue_serve(bq);
}

static void blk_queue_stopping(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_blk *blk = model;

	(void)q;
	blk_queue_detach(&blk->queue[index]);
}

static void blk_cancel(void *model, unsigned index)
{
	struct virtio_blk *blk = model;
	struct blk_queue *bq = &blk->queue[index];

	if (bq->vq)
		bq->engine->ops->cancel(bq->engine);
}

static bool blk_waits(void *model, unsigned index)
{
	const struct virtio_blk *blk = model;
	const struct blk_queue *bq = &blk->queue[index];

	return bq->vq && bq->engine->ops->is_busy(bq->engine);
}

static const struct local_ops blk_local_ops = {
	.start = blk_start,
	.queue_open = blk_queue_open,
	.queue_start = blk_queue_started,
	.handle = blk_handle,
	.queue_stop = blk_queue_stopping,
	.queue_close = blk_queue_close,
	.cancel = blk_cancel,
	.waits = blk_waits,
};

/* --- life ----------------------------------------------------------------- */

static void do_nothing(void *arg)
{
	(void)arg;
}

static void blk_destroy(struct virtio_device *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);

	if (dev->ops)	/* not when we failed before there was a device */
		virtio_device_fini(dev);
	for (unsigned i = 0; i < blk->n_queues; i++) {
		/* An engine may still have a post in its loop's list: let it pass. */
		event_loop_call(blk->loop[i], do_nothing, NULL);
		if (blk->queue[i].engine)
			blk->queue[i].engine->ops->destroy(blk->queue[i].engine);
	}
	disk_pool_destroy(blk->pool);
	disk_destroy(blk->shared.disk);
	free(blk);
}

static const struct virtio_device_ops blk_ops = {
	.sealed = blk_sealed,
	.config_written = blk_config_written,
	.reset = blk_reset,
	.destroy = blk_destroy,
};

static int create_rings(struct virtio_blk *blk, unsigned queue_size)
{
	for (unsigned i = 0; i < blk->n_queues; i++) {
		struct disk_client client = blk_queue_client(&blk->queue[i]);
		int r = disk_uring_create(&blk->queue[i].engine, &client, blk->shared.disk,
					  blk->pool, queue_size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int create_thread_engines(struct virtio_blk *blk)
{
	int r = disk_pool_grow(blk->pool, DISK_POOL_THREADS);

	for (unsigned i = 0; i < blk->n_queues && r == 0; i++) {
		struct disk_client client = blk_queue_client(&blk->queue[i]);

		if (blk->queue[i].engine)	/* a ring from before the kernel refused one */
			blk->queue[i].engine->ops->destroy(blk->queue[i].engine);
		r = disk_threads_create(&blk->queue[i].engine, &client, blk->pool);
	}
	return r;
}

static int create_engines(struct virtio_blk *blk, const struct virtio_blk_config *config,
			  unsigned queue_size)
{
	bool has_overlay = blk->shared.disk->fd == FD_NONE;
	int r = disk_pool_create(&blk->pool, blk->shared.disk);

	if (r < 0)
		return r;
	if (config->engine == BLK_ENGINE_URING ||
	    (config->engine == BLK_ENGINE_AUTO && !has_overlay)) {
		r = create_rings(blk, queue_size);
		if (r == 0)
			return 0;
		if (config->engine == BLK_ENGINE_URING) {
			error_hint("engine 'auto' uses threads where io_uring cannot be had");
			return error_add(r, "use engine 'io_uring'");
		}
		log_info("%s: served by threads: %s (%s)", config->name, error_text(),
			 error_name(-r));
		error_clear();
	}
	return create_thread_engines(blk);
}

static int create_device(struct virtio_blk *blk, const struct virtio_blk_config *config,
			 unsigned queue_size)
{
	uint8_t bytes[CONFIG_LEN];
	uint16_t size[MAX_QUEUES];
	struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_BLOCK,
		.pci_class = PCI_CLASS_STORAGE_OTHER,
		.features = offered_features(blk->shared.disk, blk->n_queues),
		.config = bytes,
		.config_len = CONFIG_LEN,
		.n_queues = blk->n_queues,
		.queue_size = size,
	};
	int r;

	for (unsigned i = 0; i < blk->n_queues; i++)
		size[i] = (uint16_t)queue_size;
	fill_config(bytes, blk->shared.disk, blk->n_queues, queue_size);
	r = virtio_device_init(&blk->dev, &blk_ops, &dev);
	if (r < 0)
		return r;
	r = local_create(&blk->datapath, &blk_local_ops, blk, blk->loop, blk->n_queues);
	if (r < 0)
		return r;
	virtio_device_add_part(&blk->dev, blk->datapath, 0, blk->n_queues);
	open_writeback(blk);
	return 0;
}

static int check_config(const struct virtio_blk_config *config, unsigned queue_size)
{
	if (config->n_queues < 1 || config->n_queues > MAX_QUEUES)
		return error_set(EINVAL, "%u queues are not 1 to %d", config->n_queues, MAX_QUEUES);
	if (!is_power_of_two(queue_size) || queue_size < QUEUE_SIZE_MIN ||
	    queue_size > QUEUE_SIZE_MAX)
		return error_set(EINVAL, "queue size %u is not a power of two from %d to %d",
				 queue_size, QUEUE_SIZE_MIN, QUEUE_SIZE_MAX);
	if (config->serial && strlen(config->serial) > BLK_ID_LEN)
		return error_set(EINVAL, "serial '%s' is longer than %d characters",
				 config->serial, BLK_ID_LEN);
	return 0;
}

/* Everything that needs more rights than serving requests does happens here, before the sandbox. */
static int prepare(struct virtio_blk *blk, const struct virtio_blk_config *config)
{
	unsigned queue_size = config->queue_size ? config->queue_size : QUEUE_SIZE_DEFAULT;
	const char *serial = config->serial ? config->serial : config->name;
	struct disk_config disk = {
		.path = config->path,
		.readonly = config->readonly,
		.ephemeral = config->ephemeral,
		.direct = config->direct,
		.block_size = config->block_size,
		.only_look = config->only_look,
	};
	int r = check_config(config, queue_size);

	if (r == 0)
		r = disk_open(&blk->shared.disk, &disk);
	if (r < 0)
		return r;
	blk->shared.limits.capacity = blk->shared.disk->size / BLK_SECTOR;
	blk->shared.limits.align = blk->shared.disk->io_align;
	blk->shared.limits.readonly = blk->shared.disk->readonly;
	memcpy(blk->shared.id, serial, strnlen(serial, BLK_ID_LEN));
	blk->n_queues = config->n_queues;
	for (unsigned i = 0; i < blk->n_queues; i++) {
		blk->loop[i] = config->loop[i % config->n_loops];
		blk->queue[i].shared = &blk->shared;
	}
	r = create_engines(blk, config, queue_size);
	if (r == 0)
		r = create_device(blk, config, queue_size);
	if (r < 0)
		return r;
	blk->shared.name = blk->dev.name;
	log_info("%s: '%s', %llu MiB%s, blocks of %u bytes, engine %s", blk->dev.name, config->path,
		 (unsigned long long)(blk->shared.disk->size >> 20),
		 blk->shared.disk->readonly ? ", read-only"
		 : config->ephemeral	    ? ", ephemeral"
					    : "",
		 blk->shared.disk->block_size, blk->queue[0].engine->ops->name);
	return 0;
}

int virtio_blk_create(struct virtio_device **out, const struct virtio_blk_config *config)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	int r;

	*out = NULL;
	if (!blk)
		return error_set(ENOMEM, "create disk '%s'", config->name);
	r = prepare(blk, config);
	if (r < 0) {
		blk_destroy(&blk->dev);
		return error_add(r, "cannot use disk '%s'", config->name);
	}
	*out = &blk->dev;
	return 0;
}
