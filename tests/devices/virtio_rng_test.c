/* The entropy device as a driver sees it. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"

static struct device_rig rig;

/* What the system does the next times it is asked for random bytes; then what it always does. */
enum source { SOURCE_FINE, SOURCE_INTERRUPTED, SOURCE_SHORT, SOURCE_FAILS };
static atomic_int source;
static atomic_uint n_faults;

/* The C library's own, past what else this program puts in the way of system calls. */
static ssize_t real_getrandom(void *buf, size_t len, unsigned flags)
{
	ssize_t (*real)(void *, size_t, unsigned);

	*(void **)&real = dlsym(RTLD_NEXT, "getrandom");
	return real(buf, len, flags);
}

ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	unsigned left = atomic_load(&n_faults);

	if (left == 0)
		return real_getrandom(buf, len, flags);
	atomic_store(&n_faults, left - 1);
	switch ((enum source)atomic_load(&source)) {
	case SOURCE_FINE:
		break;
	case SOURCE_INTERRUPTED:
		errno = EINTR;
		return -1;
	case SOURCE_SHORT:
		return real_getrandom(buf, min_u64(len, 3), flags);
	case SOURCE_FAILS:
		errno = EIO;
		return -1;
	}
	return real_getrandom(buf, len, flags);
}

static void setup(void)
{
	struct virtio_rng_config config = { .name = "rng0" };
	struct virtio_device *dev;

	device_rig_create(&rig);
	config.loop = rig.io;
	cr_assert_eq(virtio_rng_create(&dev, &config), 0);
	device_rig_plug(&rig, dev, FAKE_MMIO);
}

static void teardown(void)
{
	device_rig_destroy(&rig);
}

TestSuite(virtio_rng, .init = setup, .fini = teardown);

/* How many of the bytes still are what device_rig_alloc put there. */
static unsigned untouched(uint64_t gpa, uint64_t len)
{
	const uint8_t *p = device_rig_at(&rig, gpa, len);
	unsigned n = 0;

	for (uint64_t i = 0; i < len; i++)
		n += p[i] == 0xcc;
	return n;
}

/* covers: RNG-03 */
Test(virtio_rng, has_one_queue_and_no_features_of_its_own)
{
	struct features f = fake_driver_offered(&rig.driver);

	cr_assert_eq(f.word[0] & 0xffffff, 0);
	cr_assert_gt(fake_driver_queue_max(&rig.driver, 0), 0);
	cr_assert_eq(fake_driver_queue_max(&rig.driver, 1), 0);
	cr_assert_eq(fake_driver_config(&rig.driver, 0, 4), 0);
}

/* covers: RNG-01 RNG-02 RNG-04 */
Test(virtio_rng, fills_what_fits)
{
	static const uint32_t len[] = { 1, 7, 64, 4096 };

	device_rig_start_all(&rig, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		uint64_t gpa = device_rig_alloc(&rig, len[i] + 64);

		device_rig_add(&rig, 0, &(struct fake_buf){ gpa, len[i], true }, 1);
		uint32_t used = device_rig_wait(&rig, 0, NULL);
		cr_assert_geq(used, 1);
		cr_assert_leq(used, len[i]);
		cr_assert_eq(untouched(gpa + len[i], 64), 64);
		if (len[i] >= 64)
			cr_assert_lt(untouched(gpa, used), used / 4);
	}
}

/* covers: RNG-05 */
Test(virtio_rng, readable_buffers_come_back_untouched)
{
	uint64_t gpa = device_rig_alloc(&rig, 8192);
	struct fake_buf mixed[] = { { gpa, 100, false }, { gpa + 4096, 100, true } };

	device_rig_start_all(&rig, 1);
	device_rig_add(&rig, 0, mixed, 1);
	cr_assert_eq(device_rig_wait(&rig, 0, NULL), 0);
	device_rig_add(&rig, 0, mixed, 2);
	cr_assert_eq(device_rig_wait(&rig, 0, NULL), 100);
	cr_assert_eq(untouched(gpa, 4096), 4096);
}

/* covers: RNG-06 */
Test(virtio_rng, work_for_one_request_is_bounded)
{
	uint64_t gpa = device_rig_alloc(&rig, MIB(2));
	struct fake_buf buf[32];

	for (unsigned i = 0; i < ARRAY_SIZE(buf); i++)
		buf[i] = (struct fake_buf){ gpa, MIB(2), true };
	device_rig_start_all(&rig, 1);
	for (unsigned i = 0; i < 200; i++) {
		device_rig_add(&rig, 0, buf, ARRAY_SIZE(buf));
		uint32_t used = device_rig_wait(&rig, 0, NULL);
		cr_assert_geq(used, 1);
		cr_assert_leq(used, KIB(64));
	}
}

static void set_source(enum source what, unsigned times)
{
	atomic_store(&source, (int)what);
	atomic_store(&n_faults, times);
}

/* covers: RNG-07 */
Test(virtio_rng, a_source_that_hesitates_is_asked_again)
{
	static const enum source what[] = { SOURCE_INTERRUPTED, SOURCE_SHORT };
	uint64_t gpa = device_rig_alloc(&rig, 256);

	device_rig_start_all(&rig, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(what); i++) {
		memset(device_rig_at(&rig, gpa, 256), 0xcc, 256);
		set_source(what[i], 5);
		device_rig_add(&rig, 0, &(struct fake_buf){ gpa, 256, true }, 1);
		uint32_t used = device_rig_wait(&rig, 0, NULL);
		cr_assert(used >= 1 && used <= 256);
		cr_assert_lt(untouched(gpa, used), 16);
		cr_assert_eq(untouched(gpa + used, 256 - used), 256 - used);
	}
}

/*
 * No answer is better than one that can be guessed; with the next kick there is one.
 * covers: RNG-07
 */
Test(virtio_rng, a_source_that_fails_gives_nothing)
{
	uint64_t gpa = device_rig_alloc(&rig, 256);

	device_rig_start_all(&rig, 1);
	set_source(SOURCE_FAILS, UINT32_MAX);
	device_rig_add(&rig, 0, &(struct fake_buf){ gpa, 64, true }, 1);
	cr_assert(device_rig_is_quiet(&rig, 0));
	cr_assert_eq(untouched(gpa, 256), 256);
	set_source(SOURCE_FINE, 0);
	device_rig_add(&rig, 0, &(struct fake_buf){ gpa + 64, 64, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, 0, NULL), 64);
	cr_assert_eq(device_rig_wait(&rig, 0, NULL), 64);
	cr_assert_lt(untouched(gpa, 128), 16);
	cr_assert_not(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
	/* Held while the driver resets: the buffer is the driver's again. */
	set_source(SOURCE_FAILS, UINT32_MAX);
	device_rig_add(&rig, 0, &(struct fake_buf){ gpa + 128, 64, true }, 1);
	cr_assert(device_rig_is_quiet(&rig, 0));
	fake_driver_reset(&rig.driver);
	set_source(SOURCE_FINE, 0);
	cr_assert_eq(untouched(gpa + 128, 128), 128);
	device_rig_start_all(&rig, 1);
	device_rig_add(&rig, 0, &(struct fake_buf){ gpa + 128, 64, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, 0, NULL), 64);
}

/* covers: RNG-08 */
Test(virtio_rng, bytes_are_not_given_twice)
{
	uint64_t one = device_rig_alloc(&rig, 64), two = device_rig_alloc(&rig, 64);

	device_rig_start_all(&rig, 1);
	device_rig_add(&rig, 0, &(struct fake_buf){ one, 64, true }, 1);
	device_rig_add(&rig, 0, &(struct fake_buf){ two, 64, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, 0, NULL), 64);
	cr_assert_eq(device_rig_wait(&rig, 0, NULL), 64);
	cr_assert_neq(memcmp(device_rig_at(&rig, one, 64), device_rig_at(&rig, two, 64), 64), 0);
}

Test(virtio_rng, serves_again_after_reset)
{
	uint64_t gpa = device_rig_alloc(&rig, 64);

	for (unsigned i = 0; i < 3; i++) {
		device_rig_start_all(&rig, 1);
		device_rig_add(&rig, 0, &(struct fake_buf){ gpa, 64, true }, 1);
		cr_assert_eq(device_rig_wait(&rig, 0, NULL), 64);
		fake_driver_reset(&rig.driver);
	}
}
