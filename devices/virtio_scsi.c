/*
 * The SCSI host device: the model of a datapath that is always the kernel's, a target of its own
 * (vhost/vhost_scsi.h).  Here are identity, configuration and the event queue (scsi_events.h).
 *
 * The kernel's target knows command and sense data of one length only, 32 and 96 bytes; a driver
 * that sets others is stopped rather than misunderstood.
 *
 * virtio-v1.4 5.6 "SCSI Host Device"
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/scsi_events.h"
#include "devices/virtio_models.h"
#include "vhost/vhost_scsi.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"

enum {
	CONTROL_SIZE = 64,
	EVENT_SIZE = 64,
	REQUEST_SIZE = 128,
	PCI_CLASS_SCSI = 0x010000,

	/* virtio-v1.4 5.6.4 "Device configuration layout" */
	CONFIG_NUM_QUEUES = 0,
	CONFIG_SEG_MAX = 4,
	CONFIG_MAX_SECTORS = 8,
	CONFIG_CMD_PER_LUN = 12,
	CONFIG_EVENT_INFO_SIZE = 16,
	CONFIG_SENSE_SIZE = 20,
	CONFIG_CDB_SIZE = 24,
	CONFIG_MAX_CHANNEL = 28,
	CONFIG_MAX_TARGET = 30,
	CONFIG_MAX_LUN = 32,
	CONFIG_LEN = 36,

	SENSE_SIZE = 96,
	CDB_SIZE = 32,
	/* A request has a descriptor for its header and one for its answer. */
	SEG_MAX = REQUEST_SIZE - 2,
	MAX_SECTORS = 0xffff,
	CMD_PER_LUN = REQUEST_SIZE,
	MAX_TARGET = 255,
	MAX_LUN = 16383,
};

struct virtio_scsi {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' once it is a part */
	struct scsi_events events;
};

static bool sizes_fit(const struct virtio_device *dev)
{
	return load_le32(dev->config + CONFIG_SENSE_SIZE) == SENSE_SIZE &&
	       load_le32(dev->config + CONFIG_CDB_SIZE) == CDB_SIZE;
}

static int may_start(void *arg)
{
	const struct virtio_scsi *scsi = arg;

	if (sizes_fit(&scsi->dev))
		return 0;
	return error_set(EINVAL, "sense_size and cdb_size are %u and %u: the kernel's targets have "
				 "%d and %d", load_le32(scsi->dev.config + CONFIG_SENSE_SIZE),
			 load_le32(scsi->dev.config + CONFIG_CDB_SIZE), SENSE_SIZE, CDB_SIZE);
}

/* Before the start a driver may write byte by byte; may_start judges the result. */
static void scsi_config_written(struct virtio_device *dev, unsigned offset, unsigned len)
{
	(void)offset;
	(void)len;
	if (dev->state == VIRTIO_STARTED && !sizes_fit(dev))
		virtio_device_fail(dev, 0, "the kernel's target has other sizes of sense and CDB");
}

static void target_event(void *arg, const uint8_t event[VHOST_SCSI_EVENT_SIZE])
{
	scsi_events_report(arg, event);
}

static void scsi_destroy(struct virtio_device *dev)
{
	struct virtio_scsi *scsi = container_of(dev, struct virtio_scsi, dev);

	virtio_device_fini(dev);
	free(scsi);
}

static const struct virtio_device_ops scsi_ops = {
	.config_written = scsi_config_written,
	.destroy = scsi_destroy,
};

static int init_device(struct virtio_scsi *scsi, const struct virtio_scsi_config *config)
{
	uint16_t queue_size[VHOST_MAX_RINGS];
	uint8_t bytes[CONFIG_LEN] = { 0 };
	struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_SCSI,
		.pci_class = PCI_CLASS_SCSI,
		.config = bytes,
		.config_len = CONFIG_LEN,
		.n_queues = VHOST_SCSI_FIRST_REQUEST_QUEUE + config->n_queues,
		.queue_size = queue_size,
	};

	for (unsigned i = 0; i < dev.n_queues; i++)
		queue_size[i] = REQUEST_SIZE;
	queue_size[VHOST_SCSI_CONTROL_QUEUE] = CONTROL_SIZE;
	queue_size[VHOST_SCSI_EVENT_QUEUE] = EVENT_SIZE;
	/* Protection information is not served: no test of ours has a disk that keeps it (N18). */
	features_add(&dev.features, VIRTIO_SCSI_F_HOTPLUG);
	store_le32(bytes + CONFIG_NUM_QUEUES, config->n_queues);
	store_le32(bytes + CONFIG_SEG_MAX, SEG_MAX);
	store_le32(bytes + CONFIG_MAX_SECTORS, MAX_SECTORS);
	store_le32(bytes + CONFIG_CMD_PER_LUN, CMD_PER_LUN);
	store_le32(bytes + CONFIG_EVENT_INFO_SIZE, SCSI_EVENT_SIZE);
	store_le32(bytes + CONFIG_SENSE_SIZE, SENSE_SIZE);
	store_le32(bytes + CONFIG_CDB_SIZE, CDB_SIZE);
	store_le16(bytes + CONFIG_MAX_TARGET, MAX_TARGET);
	store_le32(bytes + CONFIG_MAX_LUN, MAX_LUN);
	int r = virtio_device_init(&scsi->dev, &scsi_ops, &dev);

	for (unsigned i = CONFIG_SENSE_SIZE; i < CONFIG_CDB_SIZE + 4; i++)
		scsi->dev.config_writable[i] = 0xff;
	return r;
}

static int create_datapath(struct virtio_scsi *scsi, const struct virtio_scsi_config *config)
{
	struct vhost_scsi_config vc = {
		.path = config->vhost_path,
		.wwpn = config->wwpn,
		.n_request_queues = config->n_queues,
		.only_look = config->only_look,
		.on_event = target_event,
		.on_event_arg = &scsi->events,
		.loop = config->loop,
		.open = config->open,
		.configfs = config->configfs,
	};
	int r = scsi_events_init(&scsi->events, config->loop);

	if (r < 0)
		return r;
	vc.event = scsi->events.datapath;
	r = vhost_scsi_create(&scsi->datapath, &vc);
	if (r < 0)
		return r;
	scsi->events.may_start = may_start;
	scsi->events.may_start_arg = scsi;
	return 0;
}

int virtio_scsi_create(struct virtio_device **out, const struct virtio_scsi_config *config)
{
	struct virtio_scsi *scsi;
	int r;

	*out = NULL;
	if (config->n_queues == 0 || config->n_queues > VHOST_SCSI_MAX_REQUEST_QUEUES)
		return error_set(EINVAL, "%s: %u request queues: 1 to %d can be", config->name,
				 config->n_queues, VHOST_SCSI_MAX_REQUEST_QUEUES);
	scsi = calloc(1, sizeof(*scsi));
	if (!scsi)
		return error_set(ENOMEM, "create '%s'", config->name);
	r = init_device(scsi, config);
	if (r == 0)
		r = create_datapath(scsi, config);
	if (r < 0) {
		scsi_destroy(&scsi->dev);
		return error_add(r, "create '%s'", config->name);
	}
	virtio_device_add_part(&scsi->dev, scsi->datapath, 0, scsi->dev.n_queues);
	*out = &scsi->dev;
	return 0;
}
