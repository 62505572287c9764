/* The block device as a driver sees it, over real files. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/blk_rig.h"

/* Offsets in the configuration space. */
enum {
	CAPACITY = 0,
	SEGMENT_MAX = 8,
	SEG_MAX = 12,
	BLOCK = 20,
	TOPOLOGY = 24,
	WRITEBACK = 32,
	N_QUEUES = 34,
	MAY_UNMAP = 56,
};

/*
 * The writes that ask for stable storage are counted on their way to the kernel: no power cut can
 * be had here, but what was asked of the host can be seen.
 */
static atomic_uint n_stable_writes, n_syncs;
static atomic_bool host_hangs;		/* no sync ends meanwhile */

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	if (flags & RWF_DSYNC)
		atomic_fetch_add(&n_stable_writes, 1);
	return syscall(SYS_pwritev2, fd, iov, (long)n, (long)offset, 0L, flags);
}

int fdatasync(int fd)
{
	atomic_fetch_add(&n_syncs, 1);
	while (atomic_load(&host_hangs))
		usleep(1000);
	return (int)syscall(SYS_fdatasync, fd);
}

TestSuite(virtio_blk, .init = blk_rig_setup, .fini = blk_rig_teardown);

/* --- what is offered ------------------------------------------------------ */

/* covers: BLK-FEAT-01 BLK-FEAT-02 BLK-INIT-01 BLK-INIT-02 BLK-INIT-05 BLK-INIT-06 BLK-OP-18 */
/* covers: BLK-LEGACY-01 */
Test(virtio_blk, offers_what_it_serves)
{
	blk_rig_plug();
	cr_assert(blk_rig_offers(VIRTIO_BLK_F_SIZE_MAX) && blk_rig_offers(VIRTIO_BLK_F_SEG_MAX));
	cr_assert(blk_rig_offers(VIRTIO_BLK_F_BLK_SIZE) && blk_rig_offers(VIRTIO_BLK_F_TOPOLOGY));
	cr_assert(blk_rig_offers(VIRTIO_BLK_F_FLUSH) && blk_rig_offers(VIRTIO_BLK_F_CONFIG_WCE));
	cr_assert(blk_rig_offers(VIRTIO_BLK_F_DISCARD) &&
		  blk_rig_offers(VIRTIO_BLK_F_WRITE_ZEROES));
	cr_assert_not(blk_rig_offers(VIRTIO_BLK_F_RO));
	cr_assert_not(blk_rig_offers(VIRTIO_BLK_F_MQ));
	cr_assert_not(blk_rig_offers(VIRTIO_BLK_F_GEOMETRY));
	cr_assert_not(blk_rig_offers(VIRTIO_BLK_F_LIFETIME));
	cr_assert_not(blk_rig_offers(VIRTIO_BLK_F_SECURE_ERASE));
	cr_assert_not(blk_rig_offers(VIRTIO_BLK_F_ZONED));
	cr_assert_not(blk_rig_offers(0)); /* BARRIER of old */
	cr_assert_not(blk_rig_offers(7)); /* SCSI of old */
}

/* Guests are little-endian, so legacy drivers find the same.
 * covers: BLK-CFG-01 BLK-CFG-02 BLK-CFG-06 BLK-INIT-04 BLK-LEGACY-02 */
Test(virtio_blk, configuration_space_has_its_layout)
{
	struct fake_driver *d = &blk_rig.device.driver;

	blk_rig.config.n_queues = 3;
	blk_rig_plug();
	cr_assert_eq(fake_driver_config(d, CAPACITY, 4), BLK_RIG_SECTORS);
	cr_assert_eq(fake_driver_config(d, CAPACITY + 4, 4), 0);
	cr_assert_geq(fake_driver_config(d, SEGMENT_MAX, 4), 4096);
	cr_assert_eq(fake_driver_config(d, SEG_MAX, 4), RIG_QUEUE_SIZE - 2);
	cr_assert_eq(fake_driver_config(d, BLOCK, 4), 512);
	cr_assert_leq(fake_driver_config(d, TOPOLOGY, 1), 7);
	cr_assert_eq(fake_driver_config(d, TOPOLOGY + 1, 1), 0);
	cr_assert_eq(fake_driver_config(d, WRITEBACK, 1), 1);
	cr_assert_eq(fake_driver_config(d, WRITEBACK + 1, 1), 0);
	cr_assert_eq(fake_driver_config(d, N_QUEUES, 2), 3);
	cr_assert_gt(fake_driver_config(d, 36, 4), 0);
	cr_assert_eq(fake_driver_config(d, 40, 4), BLK_MAX_SEGMENTS);
	cr_assert_gt(fake_driver_config(d, 44, 4), 0);
	cr_assert_gt(fake_driver_config(d, 48, 4), 0);
	cr_assert_eq(fake_driver_config(d, 52, 4), BLK_MAX_SEGMENTS);
	cr_assert_eq(fake_driver_config(d, 56, 1), 1);
	cr_assert_eq(fake_driver_config(d, 57, 1), 0);
	cr_assert_eq(fake_driver_config(d, 58, 2), 0);
	cr_assert_eq(fake_driver_config(d, 60, 4), 0);
}

/* Nothing is zoned, nothing securely erased: the fields of both are nothing but zeroes.
 * covers: BLK-INIT-07 BLK-INIT-18 */
Test(virtio_blk, fields_of_what_is_not_offered_are_zero)
{
	struct fake_driver *d = &blk_rig.device.driver;

	blk_rig.config.readonly = true;
	blk_rig_plug();
	for (unsigned round = 0; round < 2; round++) {
		cr_assert_eq(fake_driver_config(d, 16, 4), 0); /* geometry */
		for (unsigned i = 36; i < 96; i += 4)
			cr_assert_eq(fake_driver_config(d, i, 4), 0, "offset %u", i);
		device_rig_start_all(&blk_rig.device, 1);
	}
	blk_rig_assert_alive();
}

/* covers: BLK-CFG-04 */
Test(virtio_blk, units_are_512_bytes_whatever_the_block_size)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 4096);

	blk_rig.config.block_size = 4096;
	blk_rig_plug();
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, CAPACITY, 4), BLK_RIG_SECTORS);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, BLOCK, 4), 4096);
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(blk_rig_read(8, gpa, 4096), BLK_S_OK);
	cr_assert(blk_rig_is_pattern(gpa, 4096, 4096));
	cr_assert_eq(blk_rig_read(3, gpa, 512), BLK_S_OK);
	cr_assert(blk_rig_is_pattern(gpa, 3 * 512, 512));
}

Test(virtio_blk, bad_settings_are_refused)
{
	struct virtio_device *dev;

	blk_rig.config.queue_size = 100;
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), -EINVAL);
	blk_rig.config.queue_size = 512;
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), -EINVAL);
	blk_rig.config.queue_size = 0;
	blk_rig.config.n_queues = 0;
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), -EINVAL);
	blk_rig.config.n_queues = 65;
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), -EINVAL);
	blk_rig.config.n_queues = 1;
	blk_rig.config.serial = "a serial that is too long";
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), -EINVAL);
	blk_rig.config.serial = NULL;
	blk_rig.config.path = "/nowhere/disk.img";
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), -ENOENT);
	cr_assert_null(dev);
}

/* --- requests ------------------------------------------------------------- */

/* The second row is the only framing of old.  covers: BLK-REQ-01 BLK-LEGACY-11 */
Test(virtio_blk, framing_is_arbitrary)
{
	/* How the 16 readable and 1025 writable bytes of a read are cut. */
	static const struct {
		uint32_t out[4], in[4];
	} row[] = {
		{ { 16 }, { 1025 } },
		{ { 16 }, { 1024, 1 } },
		{ { 1, 15 }, { 1, 1023, 1 } },
		{ { 4, 4, 8 }, { 513, 512 } },
		{ { 15, 1 }, { 511, 1, 512, 1 } },
		{ { 8, 8 }, { 1000, 25 } },
	};
	uint64_t out = device_rig_alloc(&blk_rig.device, 16),
		 in = device_rig_alloc(&blk_rig.device, 2048);

	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		struct fake_buf buf[8];
		unsigned n = 0;
		uint64_t at = 0;

		memset(device_rig_at(&blk_rig.device, out, 16), 0, 16);
		*(uint8_t *)device_rig_at(&blk_rig.device, out + 8, 1) = (uint8_t)(i + 1);
		memset(device_rig_at(&blk_rig.device, in, 2048), 0xcc, 2048);
		for (unsigned k = 0; k < 4 && row[i].out[k]; at += row[i].out[k++])
			buf[n++] = (struct fake_buf){ out + at, row[i].out[k], false };
		at = 0;
		for (unsigned k = 0; k < 4 && row[i].in[k]; at += row[i].in[k++])
			buf[n++] = (struct fake_buf){ in + at, row[i].in[k], true };
		device_rig_add(&blk_rig.device, 0, buf, n);
		cr_assert_eq(device_rig_wait(&blk_rig.device, 0, NULL), 1025);
		cr_assert(blk_rig_is_pattern(in, (i + 1) * 512, 1024), "row %u", i);
		cr_assert_eq(*(uint8_t *)device_rig_at(&blk_rig.device, in + 1024, 1), BLK_S_OK);
		cr_assert(blk_rig_is_all(in + 1025, 0xcc, 1023));
	}
}

/* covers: BLK-REQ-07 BLK-REQ-08 BLK-REQ-09 BLK-REQ-10 BLK-REQ-13 */
Test(virtio_blk, bad_requests_are_answered_and_harm_nothing)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 4096);

	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(blk_rig_do((struct blk_rig_request){ .type = 0x1234 }), BLK_S_UNSUPP);
	cr_assert_eq(blk_rig_do((struct blk_rig_request){ .type = BLK_T_IN }), BLK_S_IOERR);
	cr_assert_eq(blk_rig_do((struct blk_rig_request){ .type = BLK_T_OUT }), BLK_S_IOERR);
	cr_assert_eq(blk_rig_do((struct blk_rig_request){ BLK_T_OUT, 0, gpa, 0, 512, 0, 0 }),
		     BLK_S_IOERR);
	cr_assert_eq(blk_rig_read(BLK_RIG_SECTORS, gpa, 512), BLK_S_IOERR);
	cr_assert_eq(blk_rig_read(BLK_RIG_SECTORS - 1, gpa, 1024), BLK_S_IOERR);
	cr_assert_eq(blk_rig_read(UINT64_C(1) << 55, gpa, 512), BLK_S_IOERR);
	cr_assert_eq(blk_rig_write(UINT64_MAX, gpa, 512), BLK_S_IOERR);
	cr_assert_eq(blk_rig_read(0, gpa, 513), BLK_S_IOERR);
	cr_assert_eq(blk_rig_segments(BLK_T_DISCARD, (const uint64_t[][3]){ { 0, 1, 1 } }, 1),
		     BLK_S_UNSUPP);
	cr_assert_eq(blk_rig_segments(BLK_T_DISCARD,
				      (const uint64_t[][3]){ { BLK_RIG_SECTORS, 1, 0 } }, 1),
		     BLK_S_IOERR);
	cr_assert(blk_rig_is_all(gpa, 0xcc, 4096));
	blk_rig_assert_alive();
	cr_assert(temp_disk_has_pattern(&blk_rig.file, 0, BLK_RIG_SIZE));
}

/* covers: BLK-REQ-11 BLK-REQ-12 */
Test(virtio_blk, header_too_short_or_no_status_byte)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 64);
	struct fake_buf short_header[] = { { gpa, 8, false }, { gpa + 32, 1, true } };
	struct fake_buf no_status[] = { { gpa, 16, false } };

	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	device_rig_add(&blk_rig.device, 0, short_header, 2);
	cr_assert_eq(device_rig_wait(&blk_rig.device, 0, NULL), 1);
	cr_assert_eq(*(uint8_t *)device_rig_at(&blk_rig.device, gpa + 32, 1), BLK_S_IOERR);
	device_rig_add(&blk_rig.device, 0, no_status, 1);
	cr_assert_eq(device_rig_wait(&blk_rig.device, 0, NULL), 0);
	blk_rig_assert_alive();
}

/* covers: BLK-REQ-05 BLK-REQ-16 */
Test(virtio_blk, id_fills_what_there_is_room_for)
{
	static const uint32_t len[] = { 1, 19, 20, 21, 100 };
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 128);

	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		uint32_t n = (uint32_t)min_u64(len[i], 20);
		struct blk_rig_request r = { BLK_T_GET_ID, 0, gpa, 0, len[i], 0, 0 };

		memset(device_rig_at(&blk_rig.device, gpa, 128), 0xcc, 128);
		blk_rig_offer(0, &r);
		cr_assert_eq(device_rig_wait(&blk_rig.device, 0, NULL), n + 1);
		cr_assert_eq(blk_rig_status(&r), BLK_S_OK);
		cr_assert_eq(
			memcmp(device_rig_at(&blk_rig.device, gpa, 20), blk_rig.config.serial, n),
			0);
		cr_assert(blk_rig_is_all(gpa + n, 0xcc, 128 - n));
	}
}

/* covers: BLK-OP-03 BLK-OP-04 BLK-REQ-18 */
Test(virtio_blk, readonly_disk_is_not_written)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 512);
	struct features none = FEATURES_EMPTY;

	blk_rig.config.readonly = true;
	blk_rig_plug();
	cr_assert(blk_rig_offers(VIRTIO_BLK_F_RO));
	cr_assert(blk_rig_offers(VIRTIO_BLK_F_FLUSH));
	cr_assert_not(blk_rig_offers(VIRTIO_BLK_F_DISCARD));
	features_add(&none, VIRTIO_F_VERSION_1);
	device_rig_start(&blk_rig.device, none, 1); /* does not accept RO */
	cr_assert_eq(blk_rig_write(0, gpa, 512), BLK_S_IOERR);
	cr_assert_eq(blk_rig_segments(BLK_T_DISCARD, (const uint64_t[][3]){ { 0, 1, 0 } }, 1),
		     BLK_S_IOERR);
	cr_assert_eq(blk_rig_segments(BLK_T_WRITE_ZEROES, (const uint64_t[][3]){ { 0, 1, 0 } }, 1),
		     BLK_S_IOERR);
	cr_assert_eq(blk_rig_flush(), BLK_S_OK);
	blk_rig_assert_alive();
	cr_assert(temp_disk_has_pattern(&blk_rig.file, 0, BLK_RIG_SIZE));
}

/* Who does not offer LIFETIME has no values to make up.  covers: BLK-OP-19 */
Test(virtio_blk, lifetime_is_unsupported)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 6);

	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(blk_rig_do((struct blk_rig_request){ 10, 0, gpa, 0, 6, 0, 0 }),
		     BLK_S_UNSUPP);
	cr_assert(blk_rig_is_all(gpa, 0xcc, 6));
	blk_rig_assert_alive();
}

/* covers: BLK-REQ-07 */
Test(virtio_blk, discard_that_was_not_accepted_is_unsupported)
{
	struct features f;

	blk_rig_plug();
	f = fake_driver_offered(&blk_rig.device.driver);
	features_remove(&f, VIRTIO_BLK_F_DISCARD);
	device_rig_start(&blk_rig.device, f, 1);
	cr_assert_eq(blk_rig_segments(BLK_T_DISCARD, (const uint64_t[][3]){ { 0, 1, 0 } }, 1),
		     BLK_S_UNSUPP);
}

/* covers: BLK-REQ-19 BLK-REQ-22 */
Test(virtio_blk, file_that_shrinks_is_an_io_error)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 4096);

	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(truncate(blk_rig.file.path, 65536), 0);
	cr_assert_eq(blk_rig_read(BLK_RIG_SECTORS - 8, gpa, 4096), BLK_S_IOERR);
	cr_assert_eq(blk_rig_read(127, gpa, 1024), BLK_S_IOERR);
	cr_assert_eq(blk_rig_read(0, gpa, 512), BLK_S_OK);
}

static int64_t blocks_on_host(void)
{
	struct stat st;

	cr_assert_eq(stat(blk_rig.file.path, &st), 0);
	return st.st_blocks;
}

/* covers: BLK-OP-10 */
Test(virtio_blk, may_unmap_tells_whether_space_comes_back)
{
	int64_t before;

	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(blk_rig_flush(), BLK_S_OK);
	before = blocks_on_host();
	cr_assert_eq(blk_rig_segments(BLK_T_WRITE_ZEROES, (const uint64_t[][3]){ { 0, 1024, 1 } },
				      1),
		     BLK_S_OK);
	cr_assert_eq(blk_rig_flush(), BLK_S_OK);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, MAY_UNMAP, 1),
		     blocks_on_host() < before);
}

/* --- stability ------------------------------------------------------------ */

static void start_without(unsigned one, unsigned other)
{
	struct features f = fake_driver_offered(&blk_rig.device.driver);

	features_remove(&f, one);
	features_remove(&f, other);
	device_rig_start(&blk_rig.device, f, 1);
}

static unsigned stable_writes_of(unsigned n)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 512);

	atomic_store(&n_stable_writes, 0);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(blk_rig_write(i, gpa, 512), BLK_S_OK);
	return atomic_load(&n_stable_writes);
}

/* covers: BLK-OP-13 */
Test(virtio_blk, driver_that_knows_no_cache_gets_stable_writes)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	blk_rig_plug();
	start_without(VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE);
	cr_assert_eq(stable_writes_of(3), 3);
	atomic_store(&n_syncs, 0);
	cr_assert_eq(blk_rig_segments(BLK_T_WRITE_ZEROES, (const uint64_t[][3]){ { 0, 8, 0 } }, 1),
		     BLK_S_OK);
	cr_assert_eq(atomic_load(&n_syncs), 1);
	fake_driver_reset(&blk_rig.device.driver);
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(stable_writes_of(3), 0);
}

/* covers: BLK-OP-15 */
Test(virtio_blk, driver_that_flushes_gets_a_write_back_cache)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	blk_rig_plug();
	start_without(VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_MQ);
	cr_assert_eq(stable_writes_of(3), 0);
	atomic_store(&n_syncs, 0);
	cr_assert_eq(blk_rig_flush(), BLK_S_OK);
	cr_assert_eq(atomic_load(&n_syncs), 1);
}

/* covers: BLK-INIT-03 BLK-OP-14 */
Test(virtio_blk, config_wce_without_flush_starts_writing_through)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	blk_rig_plug();
	start_without(VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 0);
	cr_assert_eq(stable_writes_of(2), 2);
	fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, 1);
	cr_assert_eq(stable_writes_of(2), 0);
}

/* covers: BLK-WCE-01 BLK-WCE-02 BLK-OP-14 */
Test(virtio_blk, writeback_is_the_drivers_to_choose)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 1);
	fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, 0);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 0);
	cr_assert_eq(stable_writes_of(2), 2);
	fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, 0xff);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 0);
	fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, 1);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 1);
	cr_assert_eq(stable_writes_of(2), 0);
	fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, 0);
	fake_driver_reset(&blk_rig.device.driver);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 1);
}

/*
 * What a driver writes before its features are known is forgotten, unless it is a legacy one.
 * covers: BLK-WCE-02
 */
Test(virtio_blk, writeback_written_too_early_is_forgotten)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	blk_rig_plug();
	for (unsigned value = 0; value < 2; value++) {
		fake_driver_reset(&blk_rig.device.driver);
		fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, value);
		start_without(VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_MQ);
		cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 1);
		cr_assert_eq(stable_writes_of(2), 0);
		fake_driver_reset(&blk_rig.device.driver);
		fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, value);
		start_without(VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ);
		cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 0);
		cr_assert_eq(stable_writes_of(2), 2);
	}
}

/* covers: BLK-WCE-02 */
Test(virtio_blk, writeback_is_fixed_without_config_wce)
{
	blk_rig_plug();
	start_without(VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_MQ);
	fake_driver_set_config(&blk_rig.device.driver, WRITEBACK, 1, 0);
	cr_assert_eq(fake_driver_config(&blk_rig.device.driver, WRITEBACK, 1), 1);
}

/* The host's disk may take minutes to write everything; a driver that resets does not. */
Test(virtio_blk, reset_does_not_wait_for_a_flush, .timeout = 30)
{
	struct blk_rig_request r = { .type = BLK_T_FLUSH };
	time_t begun;

	blk_rig.config.engine = BLK_ENGINE_THREADS;
	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	atomic_store(&host_hangs, true);
	atomic_store(&n_syncs, 0);
	blk_rig_offer(0, &r);
	while (atomic_load(&n_syncs) == 0)
		usleep(100);
	begun = time(NULL);
	fake_driver_reset(&blk_rig.device.driver);
	cr_assert_eq(fake_driver_status(&blk_rig.device.driver), 0);
	cr_assert_lt(time(NULL) - begun, 3);
	device_rig_start_all(&blk_rig.device, 1);
	blk_rig_assert_alive();
	atomic_store(&host_hangs, false);
	cr_assert_eq(blk_rig_flush(), BLK_S_OK);
	/* Whoever asked before the reset gets no answer any more. */
	cr_assert_eq(blk_rig_status(&r), 0xcc);
	blk_rig_assert_alive();
}
