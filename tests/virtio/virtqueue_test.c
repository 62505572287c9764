/* The ring around the chains: areas, indexes, used entries, and who notifies whom. */
#include "virtio/virtqueue.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/queue_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { SIZE = 8, RING = 0x10000, DATA = 0x30000 };

static struct queue_rig rig;

static struct features ring_features(bool event_idx)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_VERSION_1);
	if (event_idx)
		features_add(&f, VIRTIO_F_EVENT_IDX);
	return f;
}

/* What virtqueue_create is told of the ring that is there. */
static struct virtqueue_config config_of(bool event_idx)
{
	return fake_ring_config(&rig.ring, ring_features(event_idx), rig.call_fd);
}

static void make_queue_as(enum fake_layout layout, uint16_t size, bool event_idx)
{
	queue_rig_make(&rig, layout, size, ring_features(event_idx), RING);
}

static void make_queue(uint16_t size, bool event_idx)
{
	make_queue_as(FAKE_SPLIT, size, event_idx);
}

static void setup(void)
{
	queue_rig_init(&rig);
	make_queue(SIZE, false);
}

static void teardown(void)
{
	queue_rig_fini(&rig);
}

TestSuite(virtqueue, .init = setup, .fini = teardown);

static void add_one(void)
{
	struct fake_buf buf = { DATA, 16, true };

	fake_ring_add(&rig.ring, &buf, 1);
}

/* The device takes a chain and answers it; not yet visible. */
static uint16_t use_one(uint32_t written)
{
	struct chain c = queue_rig_pop(&rig);

	virtqueue_push(rig.q, c.head, written);
	return c.head;
}

static void use_and_flush(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		use_one(0);
	virtqueue_flush(rig.q);
}

/* covers: RING-SPLIT-LAYOUT-02 CORE-VQ-05 MMIO-REG-35 */
Test(virtqueue, size_must_be_a_power_of_two)
{
	static const uint16_t good[] = { 1, 2, 4, 256, 1024, 32768 };
	static const uint16_t bad[] = { 0, 3, 6, 255, 32767, 32769, 65535 };
	struct virtqueue_config config = config_of(false);

	config.desc = 0x100000;
	config.driver = 0x200000;
	config.device = 0x300000;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		config.size = good[i];
		cr_expect_eq(queue_rig_try(&config), 0, "%u: %s", good[i], error_text());
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		config.size = bad[i];
		cr_expect_eq(queue_rig_try(&config), -EINVAL, "%u", bad[i]);
	}
}

/* covers: RING-SPLIT-LAYOUT-01 RING-SPLIT-LAYOUT-04 CORE-VQ-05 */
Test(virtqueue, areas_must_be_aligned_and_may_be_anywhere)
{
	struct virtqueue_config config = config_of(false);

	/* Descending, each at its smallest alignment. */
	config.desc = 0x500010;
	config.driver = 0x400002;
	config.device = 0x300004;
	cr_assert_eq(queue_rig_try(&config), 0);
	config.desc += 8;
	cr_assert_eq(queue_rig_try(&config), -EINVAL);
	config.desc -= 8;
	config.driver += 1;
	cr_assert_eq(queue_rig_try(&config), -EINVAL);
	config.driver -= 1;
	config.device += 2;
	cr_assert_eq(queue_rig_try(&config), -EINVAL);
	cr_assert_str_eq(error_text(), "used ring at 0x300006 is not aligned to 4");
}

/* covers: RING-SPLIT-AVAIL-07 CORE-VQ-05 */
Test(virtqueue, areas_may_end_at_the_last_byte_of_memory)
{
	uint64_t end = FAKE_LOW_RAM_SIZE;
	uint64_t bytes[] = { 16 * SIZE, 6 + 2 * SIZE, 6 + 8 * SIZE };
	uint64_t align[] = { 16, 2, 4 };

	for (unsigned i = 0; i < 3; i++) {
		struct virtqueue_config config = config_of(true);
		uint64_t *area = i == 0 ? &config.desc : i == 1 ? &config.driver : &config.device;

		*area = (end - bytes[i]) & ~(align[i] - 1);
		cr_expect_eq(queue_rig_try(&config), 0, "area %u", i);
		*area += align[i];
		cr_expect_eq(queue_rig_try(&config), -EINVAL, "area %u", i);
		*area = UINT64_MAX & ~(align[i] - 1);
		cr_expect_eq(queue_rig_try(&config), -EINVAL, "area %u", i);
		*area = 0xc0000000;
		cr_expect_eq(queue_rig_try(&config), -EINVAL, "area %u", i);
	}
}

/* covers: RING-SPLIT-USED-04 RING-SPLIT-USED-06 RING-SPLIT-USED-08 CORE-VQ-03 */
Test(virtqueue, used_entries_tell_head_and_length)
{
	struct fake_buf out = { DATA, 16, false };
	struct chain a, b, c;
	uint32_t id, len;

	add_one();
	fake_ring_add(&rig.ring, &out, 1);
	add_one();
	cr_assert_eq(virtqueue_pop(rig.q, &a), VQ_CHAIN);
	cr_assert_eq(virtqueue_pop(rig.q, &b), VQ_CHAIN);
	cr_assert_eq(virtqueue_pop(rig.q, &c), VQ_CHAIN);
	cr_assert_eq(virtqueue_in_flight(rig.q), 3);
	/* In any order; never more bytes than there were. */
	virtqueue_push(rig.q, c.head, 1000);
	virtqueue_push(rig.q, b.head, 7);
	virtqueue_push(rig.q, a.head, 5);
	cr_assert_not(fake_ring_reap(&rig.ring, &id, &len), "nothing before the flush");
	virtqueue_flush(rig.q);
	cr_assert(fake_ring_reap(&rig.ring, &id, &len));
	cr_assert(id == 2 && len == 16);
	cr_assert(fake_ring_reap(&rig.ring, &id, &len));
	cr_assert(id == 1 && len == 0);
	cr_assert(fake_ring_reap(&rig.ring, &id, &len));
	cr_assert(id == 0 && len == 5);
	cr_assert_not(fake_ring_reap(&rig.ring, &id, &len));
	cr_assert_eq(virtqueue_stats(rig.q)->chains, 3);
}

/* covers: RING-SPLIT-USED-05 RING-SPLIT-USED-07 RING-SPLIT-USEDNOTIF-07 CORE-KICK-03 */
Test(virtqueue, indexes_wrap_at_65536)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		uint32_t id, len;

		make_queue(SIZE, event_idx);
		for (unsigned i = 0; i < 150000; i++) {
			unsigned batch = 1 + i % SIZE;
			fake_ring_set_used_event(&rig.ring, rig.ring.used_seen);
			for (unsigned k = 0; k < batch; k++)
				add_one();
			cr_assert(virtqueue_has_work(rig.q));
			for (unsigned k = 0; k < batch; k++)
				use_one(k);
			virtqueue_flush(rig.q);
			cr_assert(fd_drain(rig.call_fd), "interrupt of batch %u", i);
			for (unsigned k = 0; k < batch; k++) {
				cr_assert(fake_ring_reap(&rig.ring, &id, &len));
				cr_assert_eq(len, k);
			}
			cr_assert_not(virtqueue_rearm(rig.q));
			i += batch;
		}
		cr_assert_gt(virtqueue_stats(rig.q)->chains, 65536);
	}
}

Test(virtqueue, unpop_gives_the_chain_again)
{
	struct chain a, b;

	add_one();
	add_one();
	cr_assert_eq(virtqueue_pop(rig.q, &a), VQ_CHAIN);
	virtqueue_unpop(rig.q, &a);
	cr_assert_eq(virtqueue_in_flight(rig.q), 0);
	cr_assert_eq(virtqueue_avail_index(rig.q), 0);
	cr_assert_eq(virtqueue_pop(rig.q, &b), VQ_CHAIN);
	cr_assert_eq(b.head, a.head);
	virtqueue_push(rig.q, b.head, 0);
	cr_assert_eq(use_one(0), 1);
	cr_assert_eq(virtqueue_pop(rig.q, &a), VQ_EMPTY);
}

/* covers: RING-SPLIT-USEDNOTIF-01 RING-SPLIT-USEDNOTIF-02 RING-SPLIT-USEDNOTIF-03 */
/* covers: RING-SPLIT-USEDNOTIF-10 */
Test(virtqueue, without_event_index_the_drivers_flag_decides)
{
	static const struct {
		uint16_t flags;
		bool call;
	} cases[] = { { 0, true }, { 1, false }, { 0xfffe, true }, { 0xffff, false } };

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_ring_set_avail_flags(&rig.ring, cases[i].flags);
		/* Would suppress, if it were looked at. */
		fake_ring_set_used_event(&rig.ring, (uint16_t)(rig.ring.used_seen + 1000));
		add_one();
		use_and_flush(1);
		cr_expect_eq(fd_drain(rig.call_fd), cases[i].call, "flags 0x%x", cases[i].flags);
	}
	virtqueue_flush(rig.q);
	cr_assert_not(fd_drain(rig.call_fd), "nothing new, no interrupt");
}

/* covers: RING-SPLIT-USEDNOTIF-04 RING-SPLIT-USEDNOTIF-05 RING-SPLIT-USEDNOTIF-06 */
/* covers: RING-SPLIT-USEDNOTIF-09 */
Test(virtqueue, with_event_index_the_drivers_index_decides)
{
	make_queue(SIZE, true);
	fake_ring_set_avail_flags(&rig.ring, 1);
	add_one();
	use_and_flush(1);
	cr_assert(fd_drain(rig.call_fd), "entry 0 is what used_event 0 waits for");
	add_one();
	use_and_flush(1);
	cr_assert_not(fd_drain(rig.call_fd), "and that is past");

	fake_ring_set_used_event(&rig.ring, 4);
	for (unsigned i = 2; i < 4; i++) {
		add_one();
		use_and_flush(1);
		cr_assert_not(fd_drain(rig.call_fd), "entry %u", i);
	}
	add_one();
	use_and_flush(1);
	cr_assert(fd_drain(rig.call_fd), "entry 4");

	/* A batch: [5, 8) does not hold 8, [8, 12) holds 10. */
	fake_ring_set_used_event(&rig.ring, 8);
	for (int i = 0; i < 3; i++)
		add_one();
	use_and_flush(3);
	cr_assert_not(fd_drain(rig.call_fd));
	fake_ring_set_used_event(&rig.ring, 10);
	for (int i = 0; i < 4; i++)
		add_one();
	use_and_flush(4);
	cr_assert(fd_drain(rig.call_fd));
	cr_assert_eq(virtqueue_stats(rig.q)->calls, 3);
}

/* covers: RING-SPLIT-AVAILNOTIF-01 RING-SPLIT-AVAILNOTIF-02 RING-SPLIT-AVAILNOTIF-07 */
Test(virtqueue, without_event_index_kicks_are_suppressed_by_a_flag)
{
	uint8_t *event = fake_machine_driver_at(rig.machine, rig.ring.device + 4 + 8 * SIZE, 2);

	memset(event, 0xa5, 2);
	cr_assert_not(virtqueue_suppress(rig.q), "there is no work");
	cr_assert_eq(fake_ring_used_flags(&rig.ring), 1);
	virtqueue_suppress(rig.q);
	cr_assert_not(virtqueue_rearm(rig.q));
	cr_assert_eq(fake_ring_used_flags(&rig.ring), 0);
	add_one();
	use_and_flush(1);
	cr_assert(event[0] == 0xa5 && event[1] == 0xa5, "there is no avail_event");
}

/* covers: RING-SPLIT-AVAILNOTIF-03 RING-SPLIT-AVAILNOTIF-04 */
Test(virtqueue, with_event_index_kicks_are_suppressed_by_an_index)
{
	make_queue(SIZE, true);
	cr_assert_not(virtqueue_rearm(rig.q));
	cr_assert_eq(fake_ring_avail_event(&rig.ring), 0);
	virtqueue_suppress(rig.q);
	cr_assert_eq(fake_ring_used_flags(&rig.ring), 0);
	for (int i = 0; i < 3; i++)
		add_one();
	use_and_flush(3);
	cr_assert_eq(fake_ring_avail_event(&rig.ring), 0, "moves when kicks are wanted");
	cr_assert_not(virtqueue_rearm(rig.q));
	cr_assert_eq(fake_ring_avail_event(&rig.ring), 3);
	cr_assert_eq(fake_ring_used_flags(&rig.ring), 0);
}

/* covers: RING-SPLIT-AVAILNOTIF-06 */
Test(virtqueue, rearm_tells_of_what_came_meanwhile)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct chain c;

		make_queue(SIZE, event_idx);
		virtqueue_suppress(rig.q);
		cr_assert_eq(virtqueue_pop(rig.q, &c), VQ_EMPTY);
		add_one();
		cr_assert(virtqueue_rearm(rig.q));
		cr_assert(virtqueue_rearm(rig.q), "as long as it is there");
		use_and_flush(1);
		cr_assert_not(virtqueue_rearm(rig.q));
	}
}

Test(virtqueue, interrupt_status_is_set_before_the_signal)
{
	_Atomic uint32_t isr = 4;
	struct virtqueue_config config = config_of(false);

	config.call.isr = &isr;
	config.call.isr_bits = 1;
	virtqueue_destroy(rig.q);
	cr_assert_eq(virtqueue_create(&rig.q, &config), 0);
	add_one();
	use_and_flush(1);
	cr_assert_eq(isr, 5);
	cr_assert(fd_drain(rig.call_fd));
}

Test(virtqueue, can_go_on_at_other_indexes)
{
	struct virtqueue_config config = config_of(true);
	uint32_t id, len;

	config.resume = true;
	config.avail_base = config.used_base = 0xfffe;
	virtqueue_destroy(rig.q);
	cr_assert_eq(virtqueue_create(&rig.q, &config), 0);
	rig.ring.avail_idx = rig.ring.used_seen = 0xfffe;
	fake_ring_set_avail_idx(&rig.ring, 0xfffe);
	fake_ring_set_used_event(&rig.ring, 0xfffe);
	for (unsigned i = 0; i < 4; i++)
		add_one();
	use_and_flush(4);
	cr_assert(fd_drain(rig.call_fd));
	cr_assert_eq(fake_ring_used_idx(&rig.ring), 2);
	while (fake_ring_reap(&rig.ring, &id, &len))
		;
	cr_assert_eq(rig.ring.used_seen, 2);
}

/*
 * A driver that does not wait for used entries gets no more than a ring's length out of the
 * device between two flushes.  covers: CORE-VQ-09 RING-SPLIT-AVAIL-03
 */
Test(virtqueue, work_between_flushes_is_bounded)
{
	struct chain c;
	unsigned n = 0;
	enum vq_pop pop;

	add_one();
	while ((pop = virtqueue_pop(rig.q, &c)) == VQ_CHAIN) {
		virtqueue_push(rig.q, c.head, 0);
		n++;
		/* At once the same head again. */
		fake_ring_offer(&rig.ring, c.head);
		fake_ring_publish(&rig.ring);
	}
	cr_assert_eq(pop, VQ_BROKEN);
	cr_assert_eq(n, SIZE);
}

enum { STRESS = 200000 };

/* A second is for ever. */
static bool wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 1000) == 1 && fd_drain(fd);
}

/* A driver on another thread that obeys every suppression.  Returns a complaint or NULL. */
static void *stress_driver(void *arg)
{
	int kick_fd = *(int *)arg;
	uint32_t id, len;

	for (unsigned done = 0; done < STRESS;) {
		unsigned out = rig.ring.size - fake_ring_room(&rig.ring);
		if (done + out < STRESS && out < rig.ring.size) {
			add_one();
			if (fake_ring_must_kick(&rig.ring))
				fd_signal(kick_fd);
			continue;
		}
		if (fake_ring_reap(&rig.ring, &id, &len)) {
			if (len != 4)
				return (void *)(uintptr_t)"a length is torn";
			done++;
			continue;
		}
		/* Sleep until the call, having asked for it. */
		fake_ring_want_call(&rig.ring, 0);
		if (fake_ring_has_used(&rig.ring))
			continue;
		if (!wait_for(rig.call_fd))
			return (void *)(uintptr_t)"the call never came";
	}
	return NULL;
}

static void stress(void)
{
	int kick_fd = FD_NONE;
	void *complaint = NULL;
	pthread_t thread;

	cr_assert_eq(fd_create_event(&kick_fd), 0);
	cr_assert_eq(pthread_create(&thread, NULL, stress_driver, &kick_fd), 0);
	while (virtqueue_stats(rig.q)->chains < STRESS) {
		struct chain c;
		enum vq_pop pop;

		virtqueue_suppress(rig.q);
		while ((pop = virtqueue_pop(rig.q, &c)) == VQ_CHAIN)
			virtqueue_push(rig.q, c.head, 4);
		cr_assert_eq(pop, VQ_EMPTY);
		virtqueue_flush(rig.q);
		if (virtqueue_rearm(rig.q) || virtqueue_stats(rig.q)->chains == STRESS)
			continue;
		cr_assert(wait_for(kick_fd), "the kick never came");
	}
	pthread_join(thread, &complaint);
	cr_assert_null(complaint, "%s", (char *)complaint);
	fd_close(&kick_fd);
}

/*
 * covers: RING-SPLIT-USEDNOTIF-08 RING-SPLIT-AVAILNOTIF-06 RING-SPLIT-USED-01
 * covers: RING-SPLIT-AVAIL-06
 */
Test(virtqueue, no_wake_up_is_lost_between_threads)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		make_queue(SIZE, event_idx);
		stress();
	}
}

/* covers: RING-PACKED-31 RING-PACKED-35 */
Test(virtqueue, no_wake_up_is_lost_between_threads_on_a_packed_ring)
{
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		make_queue_as(FAKE_PACKED, SIZE - 1, event_idx);
		stress();
	}
}
