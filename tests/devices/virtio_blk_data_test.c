/* The block device's promises on data: when it is there, and what is never there. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/blk_rig.h"

enum { WRITEBACK = 32, NO_ANSWER = 0xcc };

TestSuite(virtio_blk_data, .init = blk_rig_setup, .fini = blk_rig_teardown);

static uint8_t status_now(const struct blk_rig_request *r)
{
	volatile uint8_t *p = device_rig_at(&blk_rig.device, r->status, 1);
	uint8_t status = *p;

	atomic_thread_fence(memory_order_acquire);
	return status;
}

/* Have the host forget the file's pages, so that reads take their time. */
static void drop_cache(void)
{
	int fd = open(blk_rig.file.path, O_RDONLY | O_CLOEXEC);

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

/* Look at the data the moment the status is there, before the used ring says so. */
static void watch_reads(enum virtio_blk_engine engine)
{
	enum { LEN = 256 << 10, ROUNDS = 40 };
	uint64_t gpa = device_rig_alloc(&blk_rig.device, LEN);

	blk_rig.config.engine = engine;
	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct blk_rig_request r = { BLK_T_IN, i, gpa, 0, LEN, 0, 0 };
		uint64_t next = blk_rig.device.next;

		memset(device_rig_at(&blk_rig.device, gpa, LEN), 0xcc, LEN);
		if (i % 4 == 0)
			drop_cache();
		blk_rig_offer(0, &r);
		while (status_now(&r) == NO_ANSWER)
			;
		cr_assert(blk_rig_is_pattern(gpa, i * 512, LEN), "round %u", i);
		cr_assert_eq(blk_rig_status(&r), BLK_S_OK);
		cr_assert_eq(device_rig_wait(&blk_rig.device, 0, NULL), LEN + 1);
		blk_rig.device.next = next;
	}
}

/* covers: BLK-REQ-20 RING-SPLIT-USED-02 */
Test(virtio_blk_data, is_there_when_the_status_is_on_uring, .timeout = 60)
{
	watch_reads(BLK_ENGINE_URING);
}

/* covers: BLK-REQ-20 RING-SPLIT-USED-02 */
Test(virtio_blk_data, is_there_when_the_status_is_on_threads, .timeout = 60)
{
	watch_reads(BLK_ENGINE_THREADS);
}

/* A read that fails half way leaves what is on the disk, what was there before, and nothing else. */
static void fail_half_way(void)
{
	enum { END = 65536, LEN = 16384 };
	/* Not aligned, so that O_DIRECT goes through memory of our own. */
	uint64_t gpa = device_rig_alloc(&blk_rig.device, LEN + 8) + 4;
	const uint8_t *p = device_rig_at(&blk_rig.device, gpa, LEN);

	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(blk_rig_read(1000, gpa, LEN), BLK_S_OK);
	cr_assert_eq(truncate(blk_rig.file.path, END), 0);
	for (unsigned back = 0; back <= 16; back += 4) {
		uint64_t sector = END / 512 - back;

		memset(device_rig_at(&blk_rig.device, gpa, LEN), 0xcc, LEN);
		/* This also sees that the used length is that of the status alone. */
		cr_assert_eq(blk_rig_read(sector, gpa, LEN), BLK_S_IOERR);
		for (unsigned i = 0; i < LEN; i++)
			cr_assert(p[i] == 0xcc || (i < back * 512 &&
						   p[i] == temp_disk_byte(sector * 512 + i)),
				  "byte %u", i);
	}
	cr_assert_eq(blk_rig_read(0, gpa, LEN), BLK_S_OK);
	cr_assert(blk_rig_is_pattern(gpa, 0, LEN));
}

/* covers: BLK-REQ-21 RING-SPLIT-USED-09 */
Test(virtio_blk_data, of_others_does_not_leak_from_a_failed_read_on_uring)
{
	blk_rig.config.engine = BLK_ENGINE_URING;
	blk_rig_plug();
	fail_half_way();
}

/* covers: BLK-REQ-21 RING-SPLIT-USED-09 */
Test(virtio_blk_data, of_others_does_not_leak_from_a_failed_read_on_threads)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	blk_rig_plug();
	fail_half_way();
}

/* covers: BLK-REQ-21 RING-SPLIT-USED-09 */
Test(virtio_blk_data, of_others_does_not_leak_from_a_failed_direct_read)
{
	struct virtio_device *dev;

	blk_rig.config.direct = true;
	if (virtio_blk_create(&dev, &blk_rig.config) < 0) {
		blk_rig_teardown();
		cr_skip_test("O_DIRECT: the file system for temporary files has none");
	}
	device_rig_plug(&blk_rig.device, dev, FAKE_MMIO);
	fail_half_way();
}

static bool file_has(uint8_t byte, uint64_t offset, size_t len)
{
	uint8_t *buf = malloc(len);
	int fd = open(blk_rig.file.path, O_RDONLY | O_CLOEXEC);
	bool same = pread(fd, buf, len, (off_t)offset) == (ssize_t)len;

	for (size_t i = 0; same && i < len; i++)
		same = buf[i] == byte;
	close(fd);
	free(buf);
	return same;
}

static void switch_under_load(enum virtio_blk_engine engine)
{
	enum { N = 16, LEN = 32768 };
	struct fake_driver *d = &blk_rig.device.driver;
	uint64_t gpa = device_rig_alloc(&blk_rig.device, LEN);
	struct blk_rig_request r[N];

	blk_rig.config.engine = engine;
	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	for (unsigned round = 1; round <= 8; round++) {
		uint64_t next = blk_rig.device.next;

		memset(device_rig_at(&blk_rig.device, gpa, LEN), (int)round, LEN);
		fake_driver_set_config(d, WRITEBACK, 1, 1);
		for (unsigned i = 0; i < N; i++) {
			r[i] = (struct blk_rig_request){ BLK_T_OUT, i * (LEN / 512), gpa, LEN, 0,
							 0, 0 };
			blk_rig_offer(0, &r[i]);
			if (i == N / 2)
				fake_driver_set_config(d, WRITEBACK, 1, 0);
		}
		for (unsigned i = 0; i < N; i++)
			cr_assert_eq(device_rig_wait(&blk_rig.device, 0, NULL), 1);
		for (unsigned i = 0; i < N; i++)
			cr_assert_eq(blk_rig_status(&r[i]), BLK_S_OK);
		cr_assert_eq(blk_rig_flush(), BLK_S_OK);
		cr_assert(file_has((uint8_t)round, 0, N * LEN), "round %u", round);
		blk_rig.device.next = next;
	}
	blk_rig_assert_alive();
}

/* covers: BLK-WCE-03 */
Test(virtio_blk_data, survives_a_change_of_the_cache_mode_on_uring)
{
	switch_under_load(BLK_ENGINE_URING);
}

/* covers: BLK-WCE-03 */
Test(virtio_blk_data, survives_a_change_of_the_cache_mode_on_threads)
{
	switch_under_load(BLK_ENGINE_THREADS);
}
