/* Every row of the table of faults, in both layouts, with every set of ring features. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/ring_faults.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"

enum { SIZE = 8, RING = 0x10000, SCRATCH = 0x40000, MAX_POPS = 64 };

/* One combination of features. */
struct flavour {
	enum fake_layout layout;
	bool indirect, event_idx, in_order;
};

static struct fake_machine *machine;
static struct fake_ring ring;
static struct virtqueue *q;
static int call_fd = FD_NONE;
static unsigned n_broken;
static enum vq_fault broken_by;

static void setup(void)
{
	machine = fake_machine_create();
	cr_assert_eq(fd_create_event(&call_fd), 0);
}

static void teardown(void)
{
	virtqueue_destroy(q);
	q = NULL;
	fd_close(&call_fd);
	fake_machine_destroy(machine);
}

TestSuite(ring_fault, .init = setup, .fini = teardown);

static void on_broken(void *arg, enum vq_fault fault)
{
	(void)arg;
	n_broken++;
	broken_by = fault;
}

static struct flavour flavour(unsigned i)
{
	return (struct flavour){
		.layout = i & 1 ? FAKE_PACKED : FAKE_SPLIT,
		.indirect = i & 2,
		.event_idx = i & 4,
		.in_order = i & 8,
	};
}

static const char *describe(const char *name, struct flavour f)
{
	static char text[160];

	snprintf(text, sizeof(text), "%s (%s%s%s%s)", name,
		 f.layout == FAKE_PACKED ? "packed" : "split", f.indirect ? ", indirect" : "",
		 f.event_idx ? ", event index" : "", f.in_order ? ", in order" : "");
	return text;
}

static void make_queue(uint16_t size, struct flavour fl)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_VERSION_1);
	if (fl.layout == FAKE_PACKED)
		features_add(&f, VIRTIO_F_RING_PACKED);
	if (fl.indirect)
		features_add(&f, VIRTIO_F_INDIRECT_DESC);
	if (fl.event_idx)
		features_add(&f, VIRTIO_F_EVENT_IDX);
	if (fl.in_order)
		features_add(&f, VIRTIO_F_IN_ORDER);
	virtqueue_destroy(q);
	fake_ring_init_as(&ring, fl.layout, machine, size, RING);
	ring.event_idx = fl.event_idx;
	struct virtqueue_config config = fake_ring_config(&ring, f, call_fd);
	config.broken = on_broken;
	n_broken = 0;
	cr_assert_eq(virtqueue_create(&q, &config), 0, "%s", error_text());
	fd_drain(call_fd);
}

static void expect_inside(const struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct guest_memory *mem = &machine->m.memory;
		bool inside = false;

		for (unsigned k = 0; k < mem->n_regions; k++) {
			uint64_t at = (uint64_t)((uint8_t *)iov[i].iov_base - mem->region[k].host);
			inside = inside || range_inside(at, iov[i].iov_len, mem->region[k].size);
		}
		cr_assert(inside);
	}
}

/* Broken for good, even when the ring is repaired; and nothing is written there. */
static void expect_silence(const char *what, const struct chain *held, unsigned n_held)
{
	size_t bytes = fake_ring_bytes(ring.size);
	uint8_t *memory = fake_machine_driver_at(machine, ring.desc, bytes);
	static uint8_t before[65536];
	struct chain c;

	cr_assert_leq(bytes, sizeof(before));
	memset(memory, 0, bytes);
	memcpy(before, memory, bytes);
	cr_expect_eq(virtqueue_pop(q, &c), VQ_BROKEN, "%s", what);
	cr_expect_not(virtqueue_has_work(q), "%s", what);
	cr_expect_not(virtqueue_rearm(q), "%s", what);
	cr_expect_not(virtqueue_suppress(q), "%s", what);
	cr_expect_eq(virtqueue_in_flight(q), n_held, "%s", what);
	for (unsigned i = 0; i < n_held; i++)
		virtqueue_push(q, held[i].head, 1);
	virtqueue_flush(q);
	cr_expect_eq(n_broken, 1, "%s", what);
	cr_expect_eq(virtqueue_in_flight(q), 0, "%s", what);
	cr_expect_eq(memcmp(before, memory, bytes), 0, "%s: the ring was written", what);
	cr_expect_not(fd_drain(call_fd), "%s", what);
}

static void expect_service(const char *what, const struct chain *held, unsigned n_held)
{
	struct chain c;

	for (unsigned i = 0; i < n_held; i++)
		virtqueue_push(q, held[i].head, 1);
	virtqueue_flush(q);
	cr_expect_eq(virtqueue_in_flight(q), 0, "%s", what);
	cr_expect(n_held == 0 || fake_ring_has_used(&ring), "%s", what);
	cr_expect_eq(virtqueue_pop(q, &c), VQ_EMPTY, "%s", what);
	cr_expect_eq(n_broken, 0, "%s", what);
}

static void run_fault(const struct ring_fault *fault, struct flavour fl)
{
	const char *what = describe(fault->name, fl);
	enum vq_fault expected = ring_fault_expected(fault, fl.indirect);
	unsigned n_good = expected == fault->fault ? fault->n_good : 0, n = 0;
	struct chain held[MAX_POPS];
	enum vq_pop pop;

	make_queue(fault->min_size ? fault->min_size : SIZE, fl);
	fault->apply(&ring, SCRATCH);
	while (n < MAX_POPS && (pop = virtqueue_pop(q, &held[n])) == VQ_CHAIN) {
		expect_inside(held[n].out, held[n].n_out);
		expect_inside(held[n].in, held[n].n_in);
		n++;
	}
	cr_expect_eq(n, n_good, "%s: %u chains", what, n);
	cr_expect_eq(virtqueue_fault(q), expected, "%s: %s", what,
		     vq_fault_text(virtqueue_fault(q)));
	if (expected == VQ_FAULT_NONE) {
		cr_expect_eq(pop, VQ_EMPTY, "%s", what);
		expect_service(what, held, n);
		return;
	}
	cr_expect_eq(pop, VQ_BROKEN, "%s", what);
	cr_expect(n_broken == 1 && broken_by == expected, "%s", what);
	expect_silence(what, held, n);
}

/* A fresh queue over the same memory. */
static void round_trip(struct flavour fl)
{
	struct fake_buf buf[] = { { SCRATCH, 4, false }, { SCRATCH + 0x100, 8, true } };
	struct chain c;
	uint32_t id, len;

	make_queue(SIZE, fl);
	for (unsigned i = 0; i < 3 * SIZE; i++) {
		uint16_t name = fake_ring_add(&ring, buf, 2);
		cr_assert_eq(virtqueue_pop(q, &c), VQ_CHAIN);
		virtqueue_push(q, c.head, 5);
		virtqueue_flush(q);
		cr_assert(fake_ring_reap(&ring, &id, &len));
		cr_assert(id == name && len == 5);
	}
}

/*
 * covers: RING-SPLIT-AVAIL-02 RING-SPLIT-AVAIL-03 RING-SPLIT-AVAIL-04 RING-SPLIT-AVAIL-05
 * covers: RING-SPLIT-DESC-06 RING-SPLIT-DESC-08 RING-SPLIT-DESC-09 RING-SPLIT-DESC-10
 * covers: RING-SPLIT-DESC-11 RING-SPLIT-DESC-12 RING-SPLIT-IND-04 RING-SPLIT-IND-05
 * covers: RING-SPLIT-IND-06 RING-SPLIT-IND-07 RING-SPLIT-IND-08 RING-SPLIT-IND-09
 * covers: RING-SPLIT-FRAME-03 FEAT-19 CORE-STATUS-13
 * covers: RING-PACKED-06 RING-PACKED-19 RING-PACKED-23 RING-PACKED-24 RING-PACKED-25
 * covers: RING-PACKED-36 RING-PACKED-37 RING-PACKED-39
 */
Test(ring_fault, each_breaks_the_queue_by_its_name_and_nothing_else)
{
	unsigned n_run = 0;

	for (unsigned i = 0; i < 16; i++) {
		struct flavour fl = flavour(i);

		for (unsigned k = 0; k < n_ring_faults; k++) {
			if (!(ring_faults[k].layouts & 1u << fl.layout))
				continue;
			run_fault(&ring_faults[k], fl);
			n_run++;
		}
		round_trip(fl);
	}
	cr_assert_gt(n_run, 16 * 30);
}
