/*
 * The balloon's control path: identity, configuration space, what is decided when a driver is
 * ready.  The queues are in balloon_queue.c.
 *
 * virtio-v1.4 5.5.4 "Device configuration layout", 5.5.5 "Device Initialization"
 */
#include "devices/virtio_balloon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

#include "devices/balloon_device.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"

enum {
	QUEUE_SIZE = 128,
	PCI_CLASS_UNCLASSIFIED = 0x00ff00,
	/* Fields, le32 each; for a legacy driver too, whatever its byte order. */
	CONFIG_NUM_PAGES = 0,
	CONFIG_ACTUAL = 4,
	CONFIG_HINT_ID = 8,
	CONFIG_POISON = 12,
	FIELD = 4,
};

static struct virtio_balloon *to_balloon(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_balloon, dev);
}

static void set_field(struct virtio_balloon *b, unsigned offset, uint32_t value)
{
	uint8_t bytes[FIELD];

	store_le32(bytes, value);
	virtio_device_update_config(&b->dev, offset, bytes, sizeof(bytes));
}

static uint64_t bytes_of(uint32_t pages)
{
	return (uint64_t)pages << BALLOON_PAGE_SHIFT;
}

/* --- What the driver writes ------------------------------------------------------------------ */

static bool covers(unsigned offset, unsigned len, unsigned at)
{
	return offset <= at && at - offset < len;
}

static void actual_written(struct virtio_balloon *b)
{
	uint64_t all = guest_memory_size(&b->dev.machine->memory) >> BALLOON_PAGE_SHIFT;
	uint32_t pages = (uint32_t)min_u64(load_le32(b->dev.config + CONFIG_ACTUAL), all);
	char size[24];

	if (pages != b->actual_pages && pages == load_le32(b->dev.config + CONFIG_NUM_PAGES))
		log_guest(&b->log, LOG_INFO, "%s: the guest has given %s back", b->dev.name,
			  text_format_size(size, bytes_of(pages)));
	b->actual_pages = pages;
}

static void config_written(struct virtio_device *dev, unsigned offset, unsigned len)
{
	struct virtio_balloon *b = to_balloon(dev);

	/* A driver that writes byte by byte (legacy) is not done before the last of them. */
	if (covers(offset, len, CONFIG_ACTUAL + FIELD - 1))
		actual_written(b);
	/*
	 * Should be written before DRIVER_OK only.  Whoever writes it later, or bytewise, changes
	 * what happens to the pages that come next.
	 */
	if (dev->config_len > CONFIG_POISON)
		atomic_store(&b->poison, load_le32(dev->config + CONFIG_POISON));
}

static void device_reset(struct virtio_device *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	/* Ballooned pages are plain memory again; nothing was remembered of them. */
	b->actual_pages = 0;
	atomic_store(&b->poison, 0);
	balloon_hints_reset(&b->hints);
	if (dev->config_len > CONFIG_HINT_ID)
		set_field(b, CONFIG_HINT_ID, HINT_STOP);
}

/* --- Hinting --------------------------------------------------------------------------------- */

static bool has_role(const struct virtio_balloon *b, enum balloon_role role)
{
	for (unsigned i = 0; i < BALLOON_QUEUES; i++)
		if (b->role[i] == role)
			return true;
	return false;
}

static int begin_hinting(struct virtio_balloon *b)
{
	uint32_t id = balloon_hints_begin(&b->hints);

	if (id == 0)
		return error_set(EBUSY, "begin a hinting session on '%s': the driver is in the "
				 "one with the same number", b->dev.name);
	set_field(b, CONFIG_HINT_ID, id);
	return 0;
}

int virtio_balloon_begin_hinting(struct virtio_device *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	if (dev->state != VIRTIO_STARTED || !has_role(b, BALLOON_HINTING))
		return error_set(EOPNOTSUPP, "begin a hinting session on '%s': no driver that does "
				 "it is running", dev->name);
	return begin_hinting(b);
}

void virtio_balloon_end_hinting(struct virtio_device *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	if (atomic_load(&b->hints.wanted) != HINT_STOP)
		set_field(b, CONFIG_HINT_ID, balloon_hints_end(&b->hints));
}

static void hints_ended(struct event_post *post)
{
	struct virtio_balloon *b = container_of(post, struct virtio_balloon, hints_post);
	char size[24];

	machine_lock(b->dev.machine);
	if (balloon_hints_settle(&b->hints)) {
		set_field(b, CONFIG_HINT_ID, HINT_DONE);
		log_guest(&b->log, LOG_INFO, "%s: the guest has named %s as free", b->dev.name,
			  text_format_size(size, atomic_load(&b->hints.bytes)));
	}
	machine_unlock(b->dev.machine);
}

/* --- Start ----------------------------------------------------------------------------------- */

static void log_roles(const struct virtio_balloon *b)
{
	for (unsigned i = 0; i < BALLOON_QUEUES; i++)
		log_debug("%s: queue %u: %s", b->dev.name, i, balloon_role_name(b->role[i]));
}

static int balloon_start(void *model, const struct datapath_start *start)
{
	struct virtio_balloon *b = model;
	struct features offered = virtio_device_offered(&b->dev);
	unsigned enabled = 0;

	for (unsigned i = 0; i < BALLOON_QUEUES && i < start->n_queues; i++)
		enabled |= (unsigned)start->queue[i].enabled << i;
	balloon_roles_assign(b->role, &offered, &start->features, enabled);
	log_roles(b);
	b->discard.memory = start->dma->memory;
	b->poison_accepted = features_has(&start->features, VIRTIO_BALLOON_F_PAGE_POISON);
	balloon_stats_forget(&b->stats);
	/*
	 * virtio-v1.4 5.5.6.3.3 "Legacy Interface: Memory Statistics": the first buffer of a legacy
	 * driver holds nothing yet.
	 */
	b->poll.skip = !features_has(&start->features, VIRTIO_F_VERSION_1);
	if (b->hint_at_start && has_role(b, BALLOON_HINTING) && begin_hinting(b) < 0)
		error_clear();
	return 0;
}

/*
 * A legacy driver may add queues after it has used others: what this one does then follows from
 * all that there are now.  Those that run keep what they do.
 */
static int balloon_queue_open(void *model, unsigned index, const struct datapath_queue *dq)
{
	struct virtio_balloon *b = model;
	struct features offered = virtio_device_offered(&b->dev);
	enum balloon_role role[BALLOON_QUEUES];
	unsigned enabled = 0;

	(void)dq;
	for (unsigned i = 0; i < BALLOON_QUEUES; i++)
		enabled |= (unsigned)b->dev.queue[i].enabled << i;
	balloon_roles_assign(role, &offered, &b->dev.negotiation.accepted, enabled);
	if (b->role[index] == BALLOON_INERT && !has_role(b, role[index]))
		b->role[index] = role[index];
	return 0;
}

static const struct local_ops balloon_local_ops = {
	.start = balloon_start,
	.queue_open = balloon_queue_open,
	.queue_start = balloon_queue_start,
	.handle = balloon_queue_handle,
	.queue_stop = balloon_queue_stop,
};

/* --- For the host ---------------------------------------------------------------------------- */

int virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes)
{
	struct virtio_balloon *b = to_balloon(dev);
	uint64_t all = guest_memory_size(&dev->machine->memory), pages = bytes / BALLOON_PAGE;
	char size[24], all_size[24];

	if (bytes % BALLOON_PAGE || bytes >= all || pages > UINT32_MAX)
		return error_set(EINVAL, "ask the guest for %s of its %s",
				 text_format_size(size, bytes), text_format_size(all_size, all));
	set_field(b, CONFIG_NUM_PAGES, (uint32_t)pages);
	return 0;
}

void virtio_balloon_poll(struct virtio_device *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	if (dev->state == VIRTIO_STARTED && has_role(b, BALLOON_STATS))
		balloon_poll_now(&b->poll);
}

void virtio_balloon_stats(struct virtio_device *dev, struct balloon_stats *stats)
{
	balloon_stats_get(&to_balloon(dev)->stats, stats);
}

void virtio_balloon_info(struct virtio_device *dev, struct virtio_balloon_info *info)
{
	struct virtio_balloon *b = to_balloon(dev);

	*info = (struct virtio_balloon_info){
		.target = bytes_of(load_le32(dev->config + CONFIG_NUM_PAGES)),
		.actual = bytes_of(b->actual_pages),
		.discarded = atomic_load(&b->discard.bytes),
		.hinted = atomic_load(&b->hints.bytes),
	};
}

/* --- Life ------------------------------------------------------------------------------------ */

static void balloon_destroy(struct virtio_device *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	/* Nobody posts any more, but the main loop may not have come to it. */
	if (dev->machine)
		event_loop_unpost(dev->machine->main_loop, &b->hints_post);
	virtio_device_fini(dev);
	fd_close(&b->poll.timer.fd);
	free(b);
}

static const struct virtio_device_ops balloon_ops = {
	.config_written = config_written,
	.reset = device_reset,
	.destroy = balloon_destroy,
};

static struct features offered(const struct virtio_balloon_config *config)
{
	const struct {
		bool wanted;
		enum feature_bit bit;
	} table[] = {
		{ config->must_tell_host, VIRTIO_BALLOON_F_MUST_TELL_HOST },
		{ config->stats, VIRTIO_BALLOON_F_STATS_VQ },
		{ config->deflate_on_oom, VIRTIO_BALLOON_F_DEFLATE_ON_OOM },
		{ config->hinting, VIRTIO_BALLOON_F_FREE_PAGE_HINT },
		{ config->poison, VIRTIO_BALLOON_F_PAGE_POISON },
		{ config->reporting, VIRTIO_BALLOON_F_PAGE_REPORTING },
	};
	struct features f = FEATURES_EMPTY;

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].wanted)
			features_add(&f, table[i].bit);
	return f;
}

static int init_device(struct virtio_balloon *b, const struct virtio_balloon_config *config)
{
	static const uint16_t queue_size[BALLOON_QUEUES] = {
		QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE,
	};
	uint8_t bytes[CONFIG_POISON + FIELD] = { 0 };
	const struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_BALLOON,
		.pci_class = PCI_CLASS_UNCLASSIFIED,
		.features = offered(config),
		.config = bytes,
		/* As long as the last field that there is. */
		.config_len = config->poison ? CONFIG_POISON + FIELD :
			      config->hinting ? CONFIG_HINT_ID + FIELD : CONFIG_ACTUAL + FIELD,
		.n_queues = BALLOON_QUEUES,
		.queue_size = queue_size,
	};

	store_le32(bytes + CONFIG_NUM_PAGES, (uint32_t)(config->target / BALLOON_PAGE));
	int r = virtio_device_init(&b->dev, &balloon_ops, &dev);
	if (r < 0)
		return r;
	memset(b->dev.config_writable + CONFIG_ACTUAL, 0xff, FIELD);
	if (config->poison)
		memset(b->dev.config_writable + CONFIG_POISON, 0xff, FIELD);
	b->discard.name = b->dev.name;
	return 0;
}

/* Made with the device: in the sandbox, and at start, is late for it to fail. */
static int create_timer(struct virtio_balloon *b, const struct virtio_balloon_config *config)
{
	b->poll.period_ms = config->stats_period_ms;
	if (!config->stats)
		return 0;
	b->poll.timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->poll.timer.fd < 0)
		return error_set(errno, "create the timer of '%s'", config->name);
	return 0;
}

int virtio_balloon_create(struct virtio_device **out, const struct virtio_balloon_config *config)
{
	struct event_loop *loop[BALLOON_QUEUES];
	struct virtio_balloon *b = calloc(1, sizeof(*b));
	int r;

	*out = NULL;
	if (!b)
		return error_set(ENOMEM, "create '%s'", config->name);
	for (unsigned i = 0; i < BALLOON_QUEUES; i++)
		loop[i] = config->loop;
	b->loop = config->loop;
	b->hint_at_start = config->hint_at_start;
	b->hints_post.fn = hints_ended;
	b->poll.timer = (struct event_source){ .fd = FD_NONE, .fn = balloon_poll_due };
	r = init_device(b, config);
	if (r == 0)
		r = create_timer(b, config);
	if (r == 0)
		r = local_create(&b->datapath, &balloon_local_ops, b, loop, BALLOON_QUEUES);
	if (r < 0) {
		balloon_destroy(&b->dev);
		return r;
	}
	virtio_device_add_part(&b->dev, b->datapath, 0, BALLOON_QUEUES);
	*out = &b->dev;
	return 0;
}
