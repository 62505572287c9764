#include "devices/virtio_fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum {
	HIPRIO_SIZE = 128,
	/* A request of 1 MiB has 256 pages; libvhost-user's rings have 1024 entries at most. */
	REQUEST_SIZE = 1024,
	PCI_CLASS_STORAGE_OTHER = 0x018000,

	/* virtio-v1.4 5.11.4 "Device configuration layout" */
	CONFIG_TAG = 0,
	CONFIG_NUM_REQUEST_QUEUES = 36,
	/* notify_buf_size follows with NOTIFICATION, which no virtiofsd has. */
	CONFIG_LEN = 40,
};

struct virtio_fs {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' */
};

/* --- A virtiofsd that is only imagined ------------------------------------------------------- */

static struct features imagined_features(struct datapath *dp)
{
	struct features f = FEATURES_EMPTY;

	(void)dp;
	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	features_add(&f, VIRTIO_F_EVENT_IDX);
	features_add(&f, VIRTIO_F_VERSION_1);
	return f;
}

static int imagined_start(struct datapath *dp, const struct datapath_start *start)
{
	(void)dp;
	(void)start;
	return error_set(EOPNOTSUPP, "there is no virtiofsd");
}

static void imagined_destroy(struct datapath *dp)
{
	free(dp);
}

static int imagine(struct datapath **out)
{
	static const struct datapath_ops ops = {
		.features = imagined_features, .start = imagined_start,
		.destroy = imagined_destroy,
	};

	*out = calloc(1, sizeof(**out));
	if (!*out)
		return error_set(ENOMEM, "look at a virtiofsd");
	(*out)->ops = &ops;
	(*out)->name = "virtiofsd, which was not asked";
	return 0;
}

/* --- The device ------------------------------------------------------------------------------ */

static void fs_destroy(struct virtio_device *dev)
{
	struct virtio_fs *fs = container_of(dev, struct virtio_fs, dev);

	virtio_device_fini(dev);
	free(fs);
}

static const struct virtio_device_ops fs_ops = {
	.destroy = fs_destroy,
};

static int check_config(const struct virtio_fs_config *config)
{
	size_t len = strlen(config->tag);

	if (len == 0 || len > VIRTIO_FS_TAG_MAX)
		return error_set(EINVAL, "%s: a tag of %zu bytes: 1 to %d can be", config->name,
				 len, VIRTIO_FS_TAG_MAX);
	if (config->n_queues == 0 || config->n_queues > VIRTIO_FS_MAX_REQUEST_QUEUES)
		return error_set(EINVAL, "%s: %u request queues: 1 to %d can be", config->name,
				 config->n_queues, VIRTIO_FS_MAX_REQUEST_QUEUES);
	return 0;
}

static int init_device(struct virtio_fs *fs, const struct virtio_fs_config *config)
{
	uint16_t queue_size[VIRTIO_FS_FIRST_REQUEST_QUEUE + VIRTIO_FS_MAX_REQUEST_QUEUES];
	uint8_t bytes[CONFIG_LEN] = { 0 };
	struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_FS,
		.pci_class = PCI_CLASS_STORAGE_OTHER,
		.config = bytes,
		.config_len = CONFIG_LEN,
		.n_queues = VIRTIO_FS_FIRST_REQUEST_QUEUE + config->n_queues,
		.queue_size = queue_size,
	};

	queue_size[VIRTIO_FS_HIPRIO_QUEUE] = HIPRIO_SIZE;
	for (unsigned i = VIRTIO_FS_FIRST_REQUEST_QUEUE; i < dev.n_queues; i++)
		queue_size[i] = REQUEST_SIZE;
	/* Padded with zeroes, and not terminated where it has all 36 bytes. */
	memcpy(bytes + CONFIG_TAG, config->tag, strlen(config->tag));
	store_le32(bytes + CONFIG_NUM_REQUEST_QUEUES, config->n_queues);
	return virtio_device_init(&fs->dev, &fs_ops, &dev);
}

static int create_datapath(struct virtio_fs *fs, const struct virtio_fs_config *config)
{
	const struct vhost_user_config user = {
		.name = config->name,
		.id = VIRTIO_ID_FS,
		.dev = &fs->dev,
		.fd = config->fd,
		.path = config->socket,
		.n_rings = fs->dev.n_queues,
		/*
		 * What the driver did is forgotten, but it is told so: each request of its
		 * old session fails, and a new mount works.  Linux drivers do not look at
		 * NEEDS_RESET; they would wait for ever.
		 */
		.forgets = false,
		.loop = config->loop,
		.main = config->main,
		.lost = config->lost,
		.arg = config->arg,
	};
	int fd = config->fd;

	if (config->only_look) {
		fd_close(&fd);
		return imagine(&fs->datapath);
	}
	if (config->connect)
		return config->connect(&fs->datapath, &user);
	return vhost_user_create(&fs->datapath, &user);
}

int virtio_fs_renew(struct virtio_device *dev, int fd)
{
	return vhost_user_renew(container_of(dev, struct virtio_fs, dev)->datapath, fd);
}

int virtio_fs_create(struct virtio_device **out, const struct virtio_fs_config *config)
{
	struct virtio_fs *fs = NULL;
	int r = check_config(config), fd = config->fd;

	*out = NULL;
	if (r == 0) {
		fs = calloc(1, sizeof(*fs));
		if (!fs)
			r = error_set(ENOMEM, "create '%s'", config->name);
	}
	if (r == 0)
		r = init_device(fs, config);
	if (r < 0)
		fd_close(&fd);
	else
		r = create_datapath(fs, config);
	if (r < 0) {
		if (fs)
			fs_destroy(&fs->dev);
		return r;
	}
	virtio_device_add_part(&fs->dev, fs->datapath, 0, fs->dev.n_queues);
	*out = &fs->dev;
	return 0;
}
