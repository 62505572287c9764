/*
 * The way of a block request as tests/bench/path counts it: a driver's 4 KiB reads, one at a time,
 * from kick to call, through the whole of a block device behind virtio-pci in a machine without
 * KVM, all on one thread.  The file is in the page cache, and the driver wants each interrupt.
 *
 *   blk_path CASE READS     CASE: split, split-indirect, packed, packed-indirect,
 *                         split-iommu (behind an IOMMU, with a mapping for each page)
 *
 * The counting begins at measured().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/blk_request.h"
#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/loop_pump.h"
#include "tests/support/temp_disk.h"
#include "vmm/base/cycles.h"
#include "vmm/base/error.h"
#include "vmm/machine/iommu.h"

enum {
	SIZE = 64,
	BLOCK = 4096,
	N_BLOCKS = 16,
	RING = 0x10000, HEADER = 0x20000, STATUS = 0x20010, TABLE = 0x21000, DATA = 0x22000,
};

struct path {
	const char *name;
	bool packed, indirect, iommu;
};

static const struct path paths[] = {
	{ "split", false, false, false },
	{ "split-indirect", false, true, false },
	{ "packed", true, false, false },
	{ "packed-indirect", true, true, false },
	{ "split-iommu", false, false, true },
};

static struct device_rig rig;
static struct iommu *iommu;

static void give_up(const char *what)
{
	fprintf(stderr, "blk_path: %s: %s\n", what, error_text());
	exit(1);
}

/* Pages are where they are in memory, and each has a mapping; the ring is one. */
static void put_behind(struct virtio_device *dev)
{
	const struct iommu_config config = { .n_endpoints = 1, .n_mappings = 64 };
	const uint32_t both = IOMMU_READ | IOMMU_WRITE;
	struct iommu_ticket ticket;
	int r = iommu_create(&iommu, &config);

	if (r < 0)
		give_up("no IOMMU");
	iommu_set_memory(iommu, &rig.machine->m.memory);
	if (virtio_device_put_behind(dev, iommu, 1) < 0)
		give_up("not behind it");
	r = iommu_attach(iommu, 1, 1, false, &ticket);
	if (r == 0)
		r = iommu_map(iommu, 1, RING, HEADER - 1, RING, both);
	for (uint64_t at = HEADER; r == 0 && at < DATA + BLOCK; at += BLOCK)
		r = iommu_map(iommu, 1, at, at + BLOCK - 1, at, both);
	if (r < 0)
		give_up("nothing is mapped");
}

static void plug(const struct path *path, const struct temp_disk *file)
{
	struct features on = FEATURES_EMPTY;
	struct virtio_device *dev;
	struct virtio_blk_config config = {
		.name = "disk0",
		.path = file->path,
		.readonly = true,
		.n_queues = 1,
		.queue_size = SIZE,
		.loop = &rig.io,
		.n_loops = 1,
	};

	if (path->packed)
		features_add(&on, VIRTIO_F_RING_PACKED);
	if (virtio_blk_create(&dev, &config) < 0)
		give_up("no disk");
	virtio_device_want_features(dev, on, FEATURES_EMPTY);
	if (path->iommu)
		virtio_device_require_platform(dev);
	device_rig_plug(&rig, dev, FAKE_PCI);
	if (path->iommu)
		put_behind(dev);
}

static void start(const struct path *path)
{
	struct fake_driver *d = &rig.driver;

	if (!fake_driver_negotiate(d, fake_driver_offered(d))) {
		fprintf(stderr, "blk_path: the device refuses what it offers\n");
		exit(1);
	}
	fake_ring_init_as(&rig.ring[0], path->packed ? FAKE_PACKED : FAKE_SPLIT, rig.machine, SIZE,
			  RING);
	rig.ring[0].event_idx = true;
	fake_driver_set_queue(d, 0, &rig.ring[0]);
	fake_driver_enable_queue(d, 0);
	fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_DRIVER_OK);
	/* The look at what was there before. */
	loop_pump(rig.io);
}

/* One request and its answer, which must be there once the kick was handled. */
static bool read_block(const struct path *path, unsigned block)
{
	const struct fake_buf buf[] = {
		{ HEADER, 16, false }, { DATA, BLOCK, true }, { STATUS, 1, true },
	};
	struct fake_ring *ring = &rig.ring[0];
	uint8_t *header = device_rig_at(&rig, HEADER, 17);
	uint8_t *data = device_rig_at(&rig, DATA, BLOCK);
	uint8_t want[BLOCK];
	uint32_t id, len;

	memset(header, 0, 16);
	header[8] = (uint8_t)(block * (BLOCK / BLK_SECTOR));
	header[16] = 0xcc;
	memset(data, 0, BLOCK);
	fake_ring_want_call(ring, 0);
	if (path->indirect)
		fake_ring_add_indirect(ring, TABLE, buf, ARRAY_SIZE(buf));
	else
		fake_ring_add(ring, buf, ARRAY_SIZE(buf));
	fake_driver_kick(&rig.driver, 0);
	loop_pump(rig.io);
	fake_machine_pump(rig.machine);
	temp_disk_fill(want, (uint64_t)block * BLOCK, BLOCK);
	return fake_ring_reap(ring, &id, &len) && len == BLOCK + 1 && header[16] == BLK_S_OK &&
	       memcmp(data, want, BLOCK) == 0 && fake_driver_take_isr(&rig.driver) == 1;
}

/* Known to callgrind by its name. */
__attribute__((noinline)) bool measured(const struct path *path, unsigned n);
bool measured(const struct path *path, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!read_block(path, i % N_BLOCKS))
			return false;
	return true;
}

/* What a program knows some milliseconds after its start is not found out on the path. */
static void settle_clock(void)
{
	cycles_begin();
	while (cycles_rate() == 0)
		;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	const struct path *path = NULL;
	struct temp_disk file;
	int status = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(paths) && argc == 3; i++)
		if (strcmp(argv[1], paths[i].name) == 0)
			path = &paths[i];
	if (!path || n == 0) {
		fprintf(stderr, "usage: blk_path CASE READS\n");
		return 2;
	}
	temp_disk_create(&file, NULL, N_BLOCKS * BLOCK);
	settle_clock();
	rig.machine = fake_machine_create();
	/* Nobody runs it: it is pumped here. */
	if (event_loop_create(&rig.io, "io") < 0)
		return 1;
	plug(path, &file);
	start(path);
	/* The first round takes what is taken once. */
	if (!read_block(path, 0)) {
		fprintf(stderr, "blk_path: the file system cannot tell what is cached\n");
		status = 1;
	} else if (!measured(path, n)) {
		fprintf(stderr, "blk_path: a read went wrong\n");
		status = 1;
	}
	device_rig_destroy(&rig);
	iommu_destroy(iommu);
	temp_disk_remove(&file);
	return status;
}
