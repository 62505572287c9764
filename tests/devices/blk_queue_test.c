/* Queues of a block device: engines, several queues, stopping under load, life in the sandbox. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if HAVE_SECCOMP
#include <seccomp.h>
#endif

#include "tests/support/blk_rig.h"
#include "vmm/base/error.h"

enum { NO_ANSWER = 0xcc };

TestSuite(blk_queue, .init = blk_rig_setup, .fini = blk_rig_teardown);

/* --- engines -------------------------------------------------------------- */

/* The same life of a disk on each engine, over both transports. */
static void live(enum fake_transport transport)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 65536);
	uint64_t back = device_rig_alloc(&blk_rig.device, 65536);

	blk_rig_plug_over(transport);
	for (unsigned round = 0; round < 3; round++) {
		device_rig_start_all(&blk_rig.device, 1);
		cr_assert_eq(blk_rig_read(round, back, 65536), BLK_S_OK);
		memset(device_rig_at(&blk_rig.device, gpa, 65536), (int)(7 + round), 65536);
		cr_assert_eq(blk_rig_write(100, gpa, 65536), BLK_S_OK);
		cr_assert_eq(blk_rig_write(101, gpa, 512), BLK_S_OK);
		cr_assert_eq(blk_rig_flush(), BLK_S_OK);
		cr_assert_eq(blk_rig_read(100, back, 65536), BLK_S_OK);
		cr_assert(blk_rig_is_all(back, (uint8_t)(7 + round), 65536));
		cr_assert_eq(blk_rig_segments(BLK_T_WRITE_ZEROES,
					      (const uint64_t[][3]){ { 100, 3, 0 }, { 110, 1, 1 } },
					      2),
			     BLK_S_OK);
		cr_assert_eq(blk_rig_read(100, back, 6144), BLK_S_OK);
		cr_assert(blk_rig_is_all(back, 0, 1536));
		cr_assert(blk_rig_is_all(back + 1536, (uint8_t)(7 + round), 7 * 512));
		cr_assert(blk_rig_is_all(back + 5120, 0, 512));
		cr_assert_eq(blk_rig_segments(BLK_T_DISCARD,
					      (const uint64_t[][3]){ { 104, 8, 0 }, { 120, 0, 0 } },
					      2),
			     BLK_S_OK);
		blk_rig_assert_alive();
		fake_driver_reset(&blk_rig.device.driver);
	}
}

/* Each answer's used length is checked on the way.
 * covers: BLK-REQ-02 BLK-REQ-03 BLK-REQ-04 BLK-REQ-06 BLK-OP-09 */
Test(blk_queue, lives_on_uring_over_mmio)
{
	blk_rig.config.engine = BLK_ENGINE_URING;
	live(FAKE_MMIO);
}

Test(blk_queue, lives_on_uring_over_pci)
{
	blk_rig.config.engine = BLK_ENGINE_URING;
	live(FAKE_PCI);
}

Test(blk_queue, lives_on_threads)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	live(FAKE_MMIO);
	cr_assert_not(temp_disk_has_pattern(&blk_rig.file, 51200, 512));
}

Test(blk_queue, lives_on_an_overlay_that_leaves_the_file_alone)
{
	blk_rig.config.ephemeral = true;
	live(FAKE_MMIO);
	cr_assert(temp_disk_has_pattern(&blk_rig.file, 0, BLK_RIG_SIZE));
}

Test(blk_queue, overlay_is_kept_over_a_reset_of_the_device)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 512);

	blk_rig.config.ephemeral = true;
	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(blk_rig_write(5, gpa, 512), BLK_S_OK);
	fake_driver_reset(&blk_rig.device.driver);
	device_rig_start_all(&blk_rig.device, 1);
	memset(device_rig_at(&blk_rig.device, gpa, 512), 0, 512);
	cr_assert_eq(blk_rig_read(5, gpa, 512), BLK_S_OK);
	cr_assert(blk_rig_is_all(gpa, 0xcc, 512));
}

/* --- queues and stop ------------------------------------------------------ */

/* covers: BLK-VQ-01 BLK-VQ-02 */
Test(blk_queue, queues_beyond_the_negotiated_number_are_inert)
{
	struct blk_rig_request r = { .type = BLK_T_FLUSH };
	struct features f;

	blk_rig.config.n_queues = 2;
	blk_rig_plug();
	cr_assert(blk_rig_offers(VIRTIO_BLK_F_MQ));
	f = fake_driver_offered(&blk_rig.device.driver);
	features_remove(&f, VIRTIO_BLK_F_MQ);
	device_rig_start(&blk_rig.device, f, 2);
	blk_rig_offer(1, &r);
	cr_assert(device_rig_is_quiet(&blk_rig.device, 1));
	cr_assert_eq(blk_rig_status(&r), NO_ANSWER);
	blk_rig_assert_alive();

	fake_driver_reset(&blk_rig.device.driver);
	device_rig_start_all(&blk_rig.device, 2);
	blk_rig_offer(1, &r);
	cr_assert_eq(device_rig_wait(&blk_rig.device, 1, NULL), 1);
	cr_assert_eq(blk_rig_status(&r), BLK_S_OK);
}

static void reset_under_load(void)
{
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 262144);

	blk_rig_plug();
	for (unsigned round = 0; round < 8; round++) {
		uint64_t next = blk_rig.device.next;

		device_rig_start_all(&blk_rig.device, 1);
		for (unsigned i = 0; i < 20; i++) {
			struct blk_rig_request r = { BLK_T_OUT, i, gpa, 262144, 0, 0, 0 };

			blk_rig_offer(0, &r);
		}
		if (round % 2)
			device_rig_wait(&blk_rig.device, 0, NULL);
		fake_driver_reset(&blk_rig.device.driver);
		/* Nothing moves after a reset: the memory is the driver's again. */
		uint16_t used = fake_ring_used_idx(&blk_rig.device.ring[0]);
		usleep(3000);
		cr_assert_eq(fake_ring_used_idx(&blk_rig.device.ring[0]), used);
		blk_rig.device.next = next;
	}
	device_rig_start_all(&blk_rig.device, 1);
	blk_rig_assert_alive();
}

Test(blk_queue, reset_with_requests_in_flight_on_uring)
{
	blk_rig.config.engine = BLK_ENGINE_URING;
	reset_under_load();
}

Test(blk_queue, reset_with_requests_in_flight_on_threads)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	reset_under_load();
}

Test(blk_queue, full_queue_completes)
{
	enum { N = RIG_QUEUE_SIZE / 3 };
	uint64_t gpa = device_rig_alloc(&blk_rig.device, N * 4096);
	struct blk_rig_request r[N];

	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	for (unsigned round = 0; round < 20; round++) {
		uint64_t next = blk_rig.device.next;

		for (unsigned i = 0; i < N; i++) {
			r[i] = (struct blk_rig_request){ BLK_T_IN, i * 8, gpa + i * 4096, 0, 4096,
							 0,	   0 };
			blk_rig_offer(0, &r[i]);
		}
		for (unsigned i = 0; i < N; i++)
			cr_assert_eq(device_rig_wait(&blk_rig.device, 0, NULL), 4097);
		for (unsigned i = 0; i < N; i++) {
			cr_assert_eq(blk_rig_status(&r[i]), BLK_S_OK);
			cr_assert(blk_rig_is_pattern(gpa + i * 4096, i * 4096, 4096));
		}
		blk_rig.device.next = next;
	}
}

Test(blk_queue, direct_takes_unaligned_guest_memory)
{
	struct virtio_device *dev;
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 16384);
	uint8_t *p = device_rig_at(&blk_rig.device, gpa, 16384);

	blk_rig.config.direct = true;
	if (virtio_blk_create(&dev, &blk_rig.config) < 0) {
		blk_rig_teardown();
		cr_skip_test("O_DIRECT: the file system for temporary files has none");
	}
	device_rig_plug(&blk_rig.device, dev, FAKE_MMIO);
	device_rig_start_all(&blk_rig.device, 1);
	for (unsigned i = 0; i < 8192; i++)
		p[13 + i] = (uint8_t)(i * 3 + i / 256);
	cr_assert_eq(blk_rig_write(16, gpa + 13, 8192), BLK_S_OK);
	cr_assert_eq(blk_rig_read(16, gpa + 8192 + 1, 4096), BLK_S_OK);
	for (unsigned i = 0; i < 4096; i++)
		cr_assert_eq(p[8193 + i], (uint8_t)(i * 3 + i / 256));
	blk_rig_assert_alive();
}

Test(blk_queue, uring_and_an_overlay_do_not_go_together)
{
	struct virtio_device *dev;

	blk_rig.config.engine = BLK_ENGINE_URING;
	blk_rig.config.ephemeral = true;
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), -ENOTSUP);
}

/* --- under a sandbox ------------------------------------------------------ */

static void forbid(const int *call, unsigned n)
{
#if HAVE_SECCOMP
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call[i], 0), 0);
	cr_assert_eq(seccomp_load(ctx), 0);
	seccomp_release(ctx);
#else
	(void)call;
	(void)n;
	blk_rig_teardown();
	cr_skip_test("seccomp: built without libseccomp");
#endif
}

Test(blk_queue, threads_serve_where_io_uring_is_not_permitted)
{
	static const int call[] = { SYS_io_uring_setup };
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 512);
	struct virtio_device *dev;

	forbid(call, 1);
	blk_rig.config.engine = BLK_ENGINE_URING;
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), HAVE_URING ? -EPERM : -ENOTSUP);
	blk_rig.config.engine = BLK_ENGINE_AUTO;
	blk_rig_plug();
	device_rig_start_all(&blk_rig.device, 1);
	cr_assert_eq(blk_rig_write(0, gpa, 512), BLK_S_OK);
	blk_rig_assert_alive();
}

/* What needs rights is done when the device is made; serving and starting again need none. */
static void serve_without_rights(void)
{
	static const int call[] = {
		SYS_open,   SYS_openat, SYS_clone3,	 SYS_io_uring_setup, SYS_io_uring_register,
		SYS_socket, SYS_execve, SYS_memfd_create
	};
	uint64_t gpa = device_rig_alloc(&blk_rig.device, 4096);

	blk_rig_plug();
	forbid(call, ARRAY_SIZE(call));
	for (unsigned i = 0; i < 3; i++) {
		device_rig_start_all(&blk_rig.device, 1);
		cr_assert_eq(blk_rig_write(3, gpa, 4096), BLK_S_OK);
		cr_assert_eq(blk_rig_flush(), BLK_S_OK);
		cr_assert_eq(blk_rig_read(3, gpa, 4096), BLK_S_OK);
		cr_assert_eq(blk_rig_segments(BLK_T_WRITE_ZEROES,
					      (const uint64_t[][3]){ { 0, 8, 1 } }, 1),
			     BLK_S_OK);
		cr_assert_eq(
			blk_rig_segments(BLK_T_DISCARD, (const uint64_t[][3]){ { 0, 8, 0 } }, 1),
			BLK_S_OK);
		blk_rig_assert_alive();
		fake_driver_reset(&blk_rig.device.driver);
	}
}

Test(blk_queue, uring_serves_inside_the_sandbox)
{
	blk_rig.config.engine = BLK_ENGINE_URING;
	serve_without_rights();
}

Test(blk_queue, threads_serve_inside_the_sandbox)
{
	blk_rig.config.engine = BLK_ENGINE_THREADS;
	serve_without_rights();
}

Test(blk_queue, overlay_serves_inside_the_sandbox)
{
	blk_rig.config.ephemeral = true;
	serve_without_rights();
}
