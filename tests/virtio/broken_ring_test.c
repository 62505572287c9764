/*
 * A driver breaks a ring, over every transport: the device needs reset and says so once, nothing
 * else suffers, and a reset cures it.  What is judged of a ring is in chain_test.c and
 * ring_fault_test.c; here it is what follows.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "tests/support/ring_faults.h"
#include "vmm/base/le.h"

enum {
	BROKEN_QUEUE = 1,
	SCRATCH = 0x300000,
	OTHER_RING = 0x400000,		/* of another device */
	OTHER_PLACE = 5,		/* virtio-mmio */
	CONFIG_CAUSE = 2,
};

static void head_beyond(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	fake_ring_offer(ring, ring->size);
	fake_ring_publish(ring);
}

static void head_again(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	/* The one that is out. */
	fake_ring_offer(ring, (uint16_t)((ring->next_head + ring->size - 2) % ring->size));
	fake_ring_publish(ring);
}

static void index_far(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	fake_ring_set_avail_idx(ring, (uint16_t)(ring->avail_idx + ring->size + 1));
}

static void index_backwards(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	fake_ring_set_avail_idx(ring, (uint16_t)(ring->avail_idx - 1));
}

/* One descriptor as it is given, offered. */
static void one(struct fake_ring *ring, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	uint16_t head = ring->next_head;

	fake_ring_desc(ring, ring->desc, head, addr, len, flags, next);
	fake_ring_offer(ring, head);
	fake_ring_publish(ring);
}

static void next_beyond(struct fake_ring *ring, uint64_t scratch)
{
	one(ring, scratch, 8, DESC_NEXT, ring->size);
}

static void loop(struct fake_ring *ring, uint64_t scratch)
{
	one(ring, scratch, 8, DESC_NEXT, ring->next_head);
}

static void outside(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, FAKE_LOW_RAM_SIZE - 4, 8, DESC_WRITE, 0);
}

static void wraps(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, UINT64_MAX - 3, 8, DESC_WRITE, 0);
}

static void order(struct fake_ring *ring, uint64_t scratch)
{
	const struct fake_buf buf[] = { { scratch, 8, true }, { scratch, 8, false } };

	fake_ring_add(ring, buf, 2);
}

static void half_a_table(struct fake_ring *ring, uint64_t scratch)
{
	one(ring, scratch, 8, DESC_INDIRECT, 0);
}

static void nested_table(struct fake_ring *ring, uint64_t scratch)
{
	fake_ring_desc(ring, scratch, 0, scratch, 16, DESC_INDIRECT, 0);
	one(ring, scratch, 16, DESC_INDIRECT, 0);
}

static void table_outside(struct fake_ring *ring, uint64_t scratch)
{
	(void)scratch;
	one(ring, FAKE_LOW_RAM_SIZE, 16, DESC_INDIRECT, 0);
}

struct ring_break {
	const char *name;
	void (*apply)(struct fake_ring *ring, uint64_t scratch);
	enum driver_mistake kind;
	bool held;			/* a chain is out when it happens */
};

static const struct ring_break breaks[] = {
	{ "head beyond the queue", head_beyond, MISTAKE_RING_HEAD, false },
	{ "head in flight", head_again, MISTAKE_RING_HEAD_IN_FLIGHT, true },
	{ "index too far", index_far, MISTAKE_RING_AVAIL_INDEX, false },
	{ "index too far, chains out", index_far, MISTAKE_RING_AVAIL_INDEX, true },
	{ "index backwards", index_backwards, MISTAKE_RING_AVAIL_INDEX, false },
	{ "next beyond the table", next_beyond, MISTAKE_RING_NEXT, false },
	{ "loop", loop, MISTAKE_RING_LOOP, false },
	{ "loop, chains out", loop, MISTAKE_RING_LOOP, true },
	{ "buffer outside of memory", outside, MISTAKE_RING_ADDRESS, false },
	{ "buffer that wraps", wraps, MISTAKE_RING_ADDRESS, false },
	{ "table outside of memory", table_outside, MISTAKE_RING_ADDRESS, false },
	{ "readable behind writable", order, MISTAKE_RING_ORDER, false },
	{ "half an indirect descriptor", half_a_table, MISTAKE_RING_INDIRECT, false },
	{ "nested tables", nested_table, MISTAKE_RING_INDIRECT, false },
};

/* Another device of the same machine, with one queue that works. */
struct neighbour {
	struct echo_rig rig;
};

static void neighbour_init(struct neighbour *n, struct echo_rig *rig)
{
	struct fake_driver *d = &n->rig.driver;

	n->rig = (struct echo_rig){ .machine = rig->machine, .loop = rig->loop };
	n->rig.n_echoed = 32;		/* buffers of its own */
	n->rig.echo = echo_device_create(rig->loop);
	n->rig.dev = &n->rig.echo->dev;
	n->rig.transport = fake_driver_plug(d, rig->machine, n->rig.dev, FAKE_MMIO, OTHER_PLACE);
	cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
	fake_driver_init_ring(d, &n->rig.ring[0], ECHO_QUEUE_SIZE, OTHER_RING);
	fake_driver_set_queue(d, 0, &n->rig.ring[0]);
	fake_driver_enable_queue(d, 0);
	echo_rig_driver_ok(&n->rig);
	echo_rig_pump(rig);
}

static void neighbour_works(struct neighbour *n)
{
	echo_rig_round_trip(&n->rig, 0);
	cr_assert_eq(fake_driver_status(&n->rig.driver), 0xf);
}

static void neighbour_fini(struct neighbour *n)
{
	machine_lock(&n->rig.machine->m);
	virtio_transport_destroy(n->rig.transport);
	machine_unlock(&n->rig.machine->m);
}

static void break_it(struct echo_rig *rig, const struct ring_break *b)
{
	struct fake_ring *ring = &rig->ring[BROKEN_QUEUE];

	if (b->held) {
		rig->echo->hold = true;
		echo_rig_ask(rig, BROKEN_QUEUE);
		fake_driver_kick(&rig->driver, BROKEN_QUEUE);
		echo_rig_pump(rig);
		rig->echo->hold = false;
	}
	echo_rig_take_interrupts(rig);
	fake_driver_take_isr(&rig->driver);
	b->apply(ring, SCRATCH);
	fake_driver_kick(&rig->driver, BROKEN_QUEUE);
	echo_rig_pump(rig);
}

/* Nothing is asked of the device any more, and it touches nothing. */
static void expect_dead(struct echo_rig *rig, const char *name)
{
	uint16_t used[ECHO_QUEUES];

	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		used[i] = fake_ring_used_idx(&rig->ring[i]);
		cr_expect_null(rig->echo->queue[i].vq, "%s", name);
		fake_driver_kick(&rig->driver, i);
	}
	echo_rig_ask(rig, 0);
	fake_driver_kick(&rig->driver, 0);
	echo_rig_pump(rig);
	fake_driver_set_status(&rig->driver, echo_rig_running(rig));
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		cr_expect_eq(fake_ring_used_idx(&rig->ring[i]), used[i], "%s", name);
	cr_expect_eq(fake_driver_status(&rig->driver),
		     echo_rig_running(rig) | VIRTIO_STATUS_NEEDS_RESET, "%s", name);
	cr_expect_eq(echo_rig_take_interrupts(rig), 0, "%s: told once", name);
}

static void try_fault(struct echo_rig *rig, struct neighbour *n, const struct ring_break *b)
{
	const struct driver_mistakes *m = &rig->dev->negotiation.mistakes;

	echo_rig_start(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
	uint16_t used = fake_ring_used_idx(&rig->ring[BROKEN_QUEUE]);
	uint64_t total = driver_mistakes_total(m);
	uint32_t of_kind = m->n[b->kind];

	break_it(rig, b);
	cr_expect_eq(fake_driver_status(&rig->driver),
		     echo_rig_running(rig) | VIRTIO_STATUS_NEEDS_RESET, "%s", b->name);
	cr_expect_eq(echo_rig_take_interrupts(rig), 1, "%s", b->name);
	cr_expect_eq(fake_driver_take_isr(&rig->driver), CONFIG_CAUSE, "%s", b->name);
	cr_expect_eq(fake_ring_used_idx(&rig->ring[BROKEN_QUEUE]), used, "%s", b->name);
	cr_expect_eq(m->n[b->kind], of_kind + 1, "%s", b->name);
	cr_expect_eq(driver_mistakes_total(m), total + 1, "%s: as nothing else", b->name);
	neighbour_works(n);
	echo_rig_take_interrupts(rig);
	expect_dead(rig, b->name);

	/* A reset, and it is as if nothing had been. */
	echo_rig_start(rig);
	for (unsigned i = 0; i < 2 * ECHO_QUEUE_SIZE; i++)
		echo_rig_round_trip(rig, i % ECHO_QUEUES);
	cr_expect_eq(fake_driver_status(&rig->driver), echo_rig_running(rig));
	neighbour_works(n);
}

static void over_all_faults(struct echo_rig *rig, const struct ring_break *table, unsigned n_rows)
{
	struct neighbour n;

	neighbour_init(&n, rig);
	for (unsigned i = 0; i < n_rows; i++)
		try_fault(rig, &n, &table[i]);
	neighbour_fini(&n);
}

/*
 * N10.
 * covers: CORE-STATUS-03 CORE-STATUS-04 CORE-STATUS-13 CORE-NOTIF-02 CORE-RESET-06
 */
OVER_ALL(broken_ring, n10_needs_reset_hurts_nobody_else_and_is_cured)
{
	over_all_faults(rig, breaks, ARRAY_SIZE(breaks));
}

/* A fresh ring of 'layout' for one queue of a device that runs. */
static void start_one(struct echo_rig *rig, enum fake_layout layout)
{
	struct features f = echo_rig_ring_features();
	struct fake_ring *ring = &rig->ring[BROKEN_QUEUE];

	if (layout == FAKE_PACKED)
		features_add(&f, VIRTIO_F_RING_PACKED);
	cr_assert(fake_driver_negotiate(&rig->driver, f));
	if (layout == FAKE_PACKED)
		fake_ring_init_as(ring, layout, rig->machine, ECHO_QUEUE_SIZE, RIG_RINGS);
	else
		fake_driver_init_ring(&rig->driver, ring, ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(&rig->driver, BROKEN_QUEUE, ring);
	fake_driver_enable_queue(&rig->driver, BROKEN_QUEUE);
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	echo_rig_take_interrupts(rig);
	fake_driver_take_isr(&rig->driver);
}

static void try_row(struct echo_rig *rig, const struct ring_fault *row, enum fake_layout layout)
{
	const struct driver_mistakes *m = &rig->dev->negotiation.mistakes;
	unsigned bad = ring_fault_expected(row, true) != VQ_FAULT_NONE;
	unsigned status = echo_rig_running(rig) | (bad ? VIRTIO_STATUS_NEEDS_RESET : 0u);

	start_one(rig, layout);
	uint64_t total = driver_mistakes_total(m);
	rig->echo->hold = row->held;
	row->apply(&rig->ring[BROKEN_QUEUE], SCRATCH);
	fake_driver_kick(&rig->driver, BROKEN_QUEUE);
	echo_rig_pump(rig);
	rig->echo->hold = false;
	cr_expect_eq(fake_driver_status(&rig->driver), status, "%s, transport %d", row->name,
		     rig->driver.transport);
	cr_expect_eq(driver_mistakes_total(m), total + bad, "%s", row->name);
	cr_expect(ring_fault_expected(row, true) != VQ_FAULT_NOT_AVAILABLE ||
			  m->n[MISTAKE_RING_NOT_AVAILABLE] > 0, "%s", row->name);
	cr_expect_eq(rig->echo->queue[BROKEN_QUEUE].vq == NULL, bad, "%s", row->name);
	cr_expect(!bad || fake_driver_take_isr(&rig->driver) & CONFIG_CAUSE, "%s", row->name);
}

static void every_row(struct echo_rig *rig)
{
	bool legacy = fake_transport_is_legacy(rig->driver.transport);
	unsigned n = 0;

	for (unsigned i = 0; i < n_ring_faults; i++) {
		for (unsigned k = 0; k < (legacy ? 1 : FAKE_LAYOUTS); k++) {
			if (!(ring_faults[i].layouts & 1u << k) ||
			    ring_faults[i].min_size > ECHO_QUEUE_SIZE)
				continue;
			try_row(rig, &ring_faults[i], (enum fake_layout)k);
			n++;
		}
		echo_rig_start(rig);
		echo_rig_round_trip(rig, BROKEN_QUEUE);
	}
	cr_assert_gt(n, legacy ? 20 : 40);
}

/* N10: the whole table of faults, in both layouts.  covers: CORE-STATUS-03 CORE-VQ-04 */
Test(broken_ring, n10_every_fault_over_every_transport)
{
	struct features packed = FEATURES_EMPTY;

	features_add(&packed, VIRTIO_F_RING_PACKED);
	echo_rig_over_with(FAKE_PCI, FAKE_TRANSITIONAL, packed, every_row);
	echo_rig_over(FAKE_TRANSITIONAL_LEGACY, FAKE_MMIO_LEGACY, every_row);
}

/*
 * The length that is reported is what was written: the reply is longer than the message, and the
 * rest of it keeps its filling (echo_rig_expect_answer).
 * covers: CORE-VQ-02 CORE-VQ-04
 */
OVER_ALL(broken_ring, a_whole_ring_reports_what_was_written)
{
	echo_rig_start(rig);
	for (unsigned i = 0; i < 5 * ECHO_QUEUE_SIZE; i++)
		echo_rig_round_trip(rig, i % ECHO_QUEUES);
}
