/*
 * What a device reaches of the guest's memory and when it sees what the driver wrote there.
 * virtio-v1.4 6 "Reserved Feature Bits".
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"

enum { ROUNDS = 3000, SPINS = 200000000 };

/* A ring and its buffers above 4 GiB, as any guest address. */
static void use_high_memory(struct echo_rig *rig, struct features f)
{
	struct fake_driver *d = &rig->driver;

	cr_assert(fake_driver_negotiate(d, f));
	fake_driver_init_ring(d, &rig->ring[0], ECHO_QUEUE_SIZE, FAKE_HIGH_RAM_BASE);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	fake_driver_enable_queue(d, 0);
	echo_rig_driver_ok(rig);
	for (uint64_t i = 0; i < 40; i++) {
		uint64_t at = FAKE_HIGH_RAM_BASE + 0x10000 + 64 * i;
		const struct fake_buf buf[] = { { at, 8, false }, { 0x100000 + 64 * i, 8, true } };
		uint8_t *out = fake_machine_driver_at(rig->machine, buf[0].addr, 8);
		uint8_t *in = fake_machine_driver_at(rig->machine, buf[1].addr, 8);
		uint32_t id, len;

		memset(out, (int)i + 1, 8);
		fake_ring_add(&rig->ring[0], buf, 2);
		fake_driver_kick(d, 0);
		echo_rig_pump(rig);
		cr_assert(fake_ring_reap(&rig->ring[0], &id, &len));
		cr_assert_eq(len, 8);
		cr_assert_arr_eq(out, in, 8);
	}
}

/* covers: FEAT-12 */
OVER_ALL(reach, guest_addresses_are_taken_as_they_are)
{
	/* A legacy driver's page number has 32 bits, which is enough. */
	use_high_memory(rig, echo_rig_ring_features());
}

/*
 * Without an IOMMU the platform's addresses are the guest's; what cannot be translated is an error
 * and nothing else is tried.
 */
static void with_access_platform(struct echo_rig *rig)
{
	use_high_memory(rig, echo_rig_features_with(VIRTIO_F_ACCESS_PLATFORM));
	/* The low 32 bits of this one are RAM. */
	const struct fake_buf buf = { GIB(8) + 0x200000, 8, true };
	uint8_t *low = fake_machine_driver_at(rig->machine, 0x200000, 8);

	memset(low, 0x5a, 8);
	fake_ring_add(&rig->ring[0], &buf, 1);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	cr_assert_eq(fake_driver_status(&rig->driver), 0x4f);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(low[i], 0x5a);
}

/* covers: FEAT-12 FEAT-14 */
Test(reach, what_cannot_be_translated_is_an_error)
{
	struct features on = FEATURES_EMPTY;

	features_add(&on, VIRTIO_F_ACCESS_PLATFORM);
	echo_rig_over_with(FAKE_PCI, FAKE_TRANSITIONAL, on, with_access_platform);
}

/*
 * Driver and device on two threads, ordered by nothing but the ring itself: no message comes back
 * other than it was written.
 * covers: FEAT-18
 */
Test(reach, two_threads_need_no_more_than_the_ring)
{
	struct echo_rig *rig = echo_rig_create(FAKE_MMIO);

	cr_assert_eq(event_loop_thread_start(rig->loop), 0);
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	for (unsigned i = 0; i < ROUNDS; i++) {
		const struct fake_ring *ring = &rig->ring[i % ECHO_QUEUES];

		echo_rig_ask(rig, i % ECHO_QUEUES);
		fake_driver_kick(&rig->driver, i % ECHO_QUEUES);
		for (unsigned k = 0; fake_ring_used_idx(ring) == ring->used_seen; k++)
			cr_assert_lt(k, SPINS);
		echo_rig_expect_answer(rig, i % ECHO_QUEUES);
	}
	fake_driver_reset(&rig->driver);
	event_loop_thread_stop(rig->loop);
	echo_rig_destroy(rig);
}
