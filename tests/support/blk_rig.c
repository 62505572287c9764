#include "tests/support/blk_rig.h"

#include <criterion/criterion.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"

struct blk_rig blk_rig;

void blk_rig_setup(void)
{
	device_rig_create(&blk_rig.device);
	temp_disk_create(&blk_rig.file, NULL, BLK_RIG_SIZE);
	blk_rig.config = (struct virtio_blk_config){
		.name = "disk0",
		.path = blk_rig.file.path,
		.serial = "serial-of-20-letters",
		.n_queues = 1,
		.queue_size = RIG_QUEUE_SIZE,
		.loop = &blk_rig.device.io,
		.n_loops = 1,
	};
}

void blk_rig_teardown(void)
{
	device_rig_destroy(&blk_rig.device);
	temp_disk_remove(&blk_rig.file);
}

void blk_rig_plug_over(enum fake_transport transport)
{
	struct virtio_device *dev;
	int r = virtio_blk_create(&dev, &blk_rig.config);

	if (r < 0 && blk_rig.config.engine == BLK_ENGINE_URING) {
		blk_rig_teardown();
		cr_skip_test("io_uring: the kernel or the build has none");
	}
	cr_assert_eq(r, 0, "%s", error_text());
	device_rig_plug(&blk_rig.device, dev, transport);
}

void blk_rig_plug(void)
{
	blk_rig_plug_over(FAKE_MMIO);
}

bool blk_rig_offers(unsigned bit)
{
	struct features f = fake_driver_offered(&blk_rig.device.driver);

	return features_has(&f, bit);
}

void blk_rig_offer(unsigned queue, struct blk_rig_request *r)
{
	struct fake_buf buf[3];
	unsigned n = 0;
	uint8_t *h;

	r->header = device_rig_alloc(&blk_rig.device, 17);
	r->status = r->header + 16;
	h = device_rig_at(&blk_rig.device, r->header, 16);
	store_le32(h, r->type);
	store_le64(h + 8, r->sector);
	buf[n++] = (struct fake_buf){ r->header, 16, false };
	if (r->out_len)
		buf[n++] = (struct fake_buf){ r->data, r->out_len, false };
	if (r->in_len)
		buf[n++] = (struct fake_buf){ r->data, r->in_len, true };
	buf[n++] = (struct fake_buf){ r->status, 1, true };
	device_rig_add(&blk_rig.device, queue, buf, n);
}

uint8_t blk_rig_status(const struct blk_rig_request *r)
{
	return *(uint8_t *)device_rig_at(&blk_rig.device, r->status, 1);
}

uint8_t blk_rig_do(struct blk_rig_request r)
{
	blk_rig_offer(0, &r);
	uint32_t used = device_rig_wait(&blk_rig.device, 0, NULL);
	uint8_t status = blk_rig_status(&r);

	if (r.type == BLK_T_IN && status == BLK_S_OK)
		cr_assert_eq(used, r.in_len + 1);
	else if (r.type != BLK_T_GET_ID)
		cr_assert_eq(used, 1);
	return status;
}

uint8_t blk_rig_read(uint64_t sector, uint64_t gpa, uint32_t len)
{
	return blk_rig_do((struct blk_rig_request){ BLK_T_IN, sector, gpa, 0, len, 0, 0 });
}

uint8_t blk_rig_write(uint64_t sector, uint64_t gpa, uint32_t len)
{
	return blk_rig_do((struct blk_rig_request){ BLK_T_OUT, sector, gpa, len, 0, 0, 0 });
}

uint8_t blk_rig_flush(void)
{
	return blk_rig_do((struct blk_rig_request){ .type = BLK_T_FLUSH });
}

uint8_t blk_rig_segments(uint32_t type, const uint64_t (*segment)[3], unsigned n)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, n * 16);
	uint8_t *p = device_rig_at(&blk_rig.device, gpa, n * 16);

	for (unsigned i = 0; i < n; i++) {
		store_le64(p + i * 16, segment[i][0]);
		store_le32(p + i * 16 + 8, (uint32_t)segment[i][1]);
		store_le32(p + i * 16 + 12, (uint32_t)segment[i][2]);
	}
	return blk_rig_do((struct blk_rig_request){ type, 0, gpa, n * 16, 0, 0, 0 });
}

bool blk_rig_is_pattern(uint64_t gpa, uint64_t offset, uint32_t len)
{
	const uint8_t *p = device_rig_at(&blk_rig.device, gpa, len);

	for (uint32_t i = 0; i < len; i++)
		if (p[i] != temp_disk_byte(offset + i))
			return false;
	return true;
}

bool blk_rig_is_all(uint64_t gpa, uint8_t byte, uint32_t len)
{
	const uint8_t *p = device_rig_at(&blk_rig.device, gpa, len);

	for (uint32_t i = 0; i < len; i++)
		if (p[i] != byte)
			return false;
	return true;
}

void blk_rig_assert_alive(void)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 1024);

	cr_assert_not(fake_driver_status(&blk_rig.device.driver) & VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_eq(blk_rig_read(BLK_RIG_SECTORS - 2, gpa, 1024), BLK_S_OK);
	cr_assert(blk_rig_is_pattern(gpa, BLK_RIG_SIZE - 1024, 1024));
}
