#include "devices/virtio_models.h"
#include "virtio/transport.h"
#include "virtio/virtio_ids.h"
#include "vmm/export/qemu_impl.h"

static void put_drive(struct qemu_export *x, const struct disk_settings *disk, unsigned index)
{
	static const char *const aio[] = {
		[BLK_ENGINE_URING] = "io_uring", [BLK_ENGINE_THREADS] = "threads",
	};

	qemu_begin(&x->line, "-drive", "if=none,id=drive%u,format=raw", index);
	qemu_put_path(&x->line, "file", disk->path);
	if (disk->readonly)
		qemu_put(&x->line, ",readonly=on");
	if (disk->ephemeral)
		qemu_put(&x->line, ",snapshot=on");
	if (disk->direct)
		qemu_put(&x->line, ",cache.direct=on");
	if (disk->engine != BLK_ENGINE_AUTO)
		qemu_put(&x->line, ",aio=%s", aio[disk->engine]);
	qemu_put(&x->line, ",discard=unmap");
	qemu_end(&x->line);
}

/* QEMU has its memory as a file for that, as ours is. */
static void put_served_disk(struct qemu_export *x, const struct disk_settings *disk, unsigned index)
{
	qemu_begin(&x->line, "-chardev", "socket,id=disk%u", index);
	qemu_put_path(&x->line, "path", disk->socket);
	qemu_end(&x->line);
	qemu_device(x, "vhost-user-blk", VIRTIO_ID_BLOCK, disk->name);
	qemu_put(&x->line, ",chardev=disk%u,num-queues=%u", index, disk->queues);
	if (disk->queue_size)
		qemu_put(&x->line, ",queue-size=%u", disk->queue_size);
	qemu_end(&x->line);
}

static void put_disk(struct qemu_export *x, const struct disk_settings *disk, unsigned index)
{
	if (disk->socket) {
		put_served_disk(x, disk, index);
		return;
	}
	int transport = config_device_transport(x->config, x->n_devices);

	put_drive(x, disk, index);
	qemu_device(x, "virtio-blk", VIRTIO_ID_BLOCK, disk->name);
	qemu_put(&x->line, ",drive=drive%u,num-queues=%u", index, disk->queues);
	if (!virtio_transport_is_mmio((enum virtio_transport_kind)transport))
		qemu_put(&x->line, ",iothread=io%u", index % x->config->io_threads);
	if (disk->queue_size)
		qemu_put(&x->line, ",queue-size=%u", disk->queue_size);
	if (disk->block_size)
		qemu_put(&x->line, ",logical_block_size=%u", disk->block_size);
	qemu_put_text(&x->line, "serial", disk->serial ? disk->serial : disk->name);
	qemu_end(&x->line);
}

/* QEMU makes no such disk; the line names a file that the user has to make. */
static void put_seed(struct qemu_export *x)
{
	char name[] = "cidata", path[] = "cidata.img";
	struct disk_settings seed = { .name = name, .path = path, .readonly = true, .queues = 1 };

	qemu_remark(&x->line, "cloud_init: QEMU makes no disk of it: write one to cidata.img, as "
			      "with 'cloud-localds cidata.img USER_DATA META_DATA'");
	put_disk(x, &seed, x->config->n_disks);
}

void qemu_disks(struct qemu_export *x)
{
	for (unsigned i = 0; i < x->config->n_disks; i++)
		put_disk(x, &x->config->disk[i], i);
	if (x->config->cloud_init.given)
		put_seed(x);
}
