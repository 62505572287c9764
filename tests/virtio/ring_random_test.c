/*
 * A driver and a device that take random, legal steps on one ring, beside a reference model that
 * knows only lists: what was offered comes out, in that order; what was pushed is used, in the
 * order of the pushes or, with VIRTIO_F_IN_ORDER, of the offers; and there is no state in which one
 * side sleeps while the other one has something for it and has not said so.
 */
#include <criterion/criterion.h>

#include "tests/support/fake_ring.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"

enum { RING = 0x100000, TABLES = 0x200000, DATA = 0x400000, MAX_SIZE = 40, STEPS = 30000 };

/* A chain from its offer to its end. */
struct request {
	uint16_t name;			/* what the used entry will say */
	unsigned n_out, n_in, first, n_desc;	/* split: its descriptors in 'desc' */
	uint64_t addr;
	uint32_t written;
	bool pushed;
	struct chain c;
};

/* A queue of requests, oldest first. */
struct list {
	struct request *r[MAX_SIZE];
	unsigned n;
};

static struct fake_machine *machine;
static struct fake_ring ring;
static struct virtqueue *q;
static int call_fd = FD_NONE;
static uint64_t seed;
static bool in_order, indirect;
static bool desc_busy[MAX_SIZE];	/* split: in the driver's eyes */
static uint16_t desc_of[MAX_SIZE][MAX_SIZE];	/* split: descriptors of the chain with this head */
static struct request pool[MAX_SIZE];
static bool pool_busy[MAX_SIZE];
static struct list offered, out, used;	/* out: popped; used: to be seen by the driver, in order */
static bool driver_sleeps, device_sleeps;
static uint64_t n_offered, n_reaped;

static unsigned roll(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

static void list_add(struct list *l, struct request *r)
{
	cr_assert_lt(l->n, MAX_SIZE);
	l->r[l->n++] = r;
}

static struct request *list_take(struct list *l, unsigned i)
{
	struct request *r = l->r[i];

	l->n--;
	for (; i < l->n; i++)
		l->r[i] = l->r[i + 1];
	return r;
}

static struct request *new_request(void)
{
	for (unsigned i = 0; i < MAX_SIZE; i++) {
		if (pool_busy[i])
			continue;
		pool_busy[i] = true;
		pool[i] = (struct request){ .addr = DATA + 0x1000ull * i };
		return &pool[i];
	}
	cr_assert_fail("more requests than descriptors");
	return NULL;
}

static unsigned free_descs(void)
{
	unsigned n = 0;

	if (ring.layout == FAKE_PACKED)
		return fake_ring_room(&ring);
	for (unsigned i = 0; i < ring.size; i++)
		n += !desc_busy[i];
	return n;
}

/* Split: free descriptors from anywhere, linked in any order. */
static uint16_t offer_split(struct request *r, const struct fake_buf *buf, unsigned n)
{
	uint16_t d[MAX_SIZE];

	for (unsigned i = 0; i < n; i++) {
		unsigned k = roll(ring.size);
		while (desc_busy[k])
			k = (k + 1) % ring.size;
		desc_busy[k] = true;
		d[i] = (uint16_t)k;
	}
	r->n_desc = n;
	for (unsigned i = 0; i < n; i++) {
		desc_of[d[0]][i] = d[i];
		fake_ring_desc(&ring, ring.desc, d[i], buf[i].addr, buf[i].len,
			       (uint16_t)((buf[i].write ? DESC_WRITE : 0) |
					  (i + 1 < n ? DESC_NEXT : 0)),
			       i + 1 < n ? d[i + 1] : 0xffff);
	}
	fake_ring_offer(&ring, d[0]);
	fake_ring_publish(&ring);
	return d[0];
}

static void driver_adds(void)
{
	unsigned room = free_descs();
	struct fake_buf buf[MAX_SIZE];

	if (room == 0)
		return;
	bool table = indirect && roll(3) == 0;
	unsigned n = 1 + roll(table ? ring.size : room), n_out = roll(n + 1);
	struct request *r = new_request();

	if (roll(2))
		n = 1, n_out = roll(2);
	for (unsigned i = 0; i < n; i++)
		buf[i] = (struct fake_buf){ r->addr + 32 * i, 1 + i, i >= n_out };
	r->n_out = n_out;
	r->n_in = n - n_out;
	if (table && ring.layout == FAKE_SPLIT) {
		uint64_t at = TABLES + 0x1000 * (r->addr - DATA) / 0x1000;
		struct fake_buf one = { at, 16 * n, false };

		fake_ring_chain(&ring, at, n, 0, buf, n);
		r->name = offer_split(r, &one, 1);
		/* The flag before the device looks: there is only one thread. */
		fake_ring_desc(&ring, ring.desc, r->name, at, 16 * n, DESC_INDIRECT, 0);
	} else if (table) {
		r->name = fake_ring_add_indirect(
			&ring, TABLES + 0x1000 * (r->addr - DATA) / 0x1000, buf, n);
	} else if (ring.layout == FAKE_SPLIT) {
		r->name = offer_split(r, buf, n);
	} else {
		r->name = fake_ring_add(&ring, buf, n);
	}
	list_add(&offered, r);
	n_offered++;
	/* Several at once and one look, or one look each. */
	if (roll(3) > 0 && fake_ring_must_kick(&ring))
		device_sleeps = false;
}

static void driver_kicks(void)
{
	if (fake_ring_must_kick(&ring))
		device_sleeps = false;
	cr_assert(!device_sleeps || offered.n == 0, "the device sleeps and nobody wakes it");
}

static void driver_reaps(unsigned most)
{
	uint32_t id, len;

	for (; most > 0 && fake_ring_reap(&ring, &id, &len); most--) {
		cr_assert_gt(used.n, 0, "nothing was pushed");
		struct request *r = list_take(&used, 0);
		cr_assert_eq(id, r->name);
		cr_assert_eq(len, r->written);
		for (unsigned i = 0; i < r->n_desc; i++)
			desc_busy[desc_of[r->name][i]] = false;
		pool_busy[r - pool] = false;
		n_reaped++;
	}
}

static void driver_goes_to_sleep(void)
{
	/* Not before all is reaped. */
	driver_reaps(MAX_SIZE);
	fake_ring_want_call(&ring, 0);
	driver_sleeps = !fake_ring_has_used(&ring);
}

static void check_chain(const struct request *r)
{
	const struct chain *c = &r->c;
	const uint8_t *base = guest_memory_at(&machine->m.memory, r->addr, 1);

	cr_assert_eq(c->n_out, r->n_out);
	cr_assert_eq(c->n_in, r->n_in);
	cr_assert_eq(c->in, c->out + c->n_out);
	for (unsigned i = 0; i < r->n_out + r->n_in; i++) {
		cr_assert_eq(c->out[i].iov_base, base + 32 * i);
		cr_assert_eq(c->out[i].iov_len, 1 + i);
	}
}

static void device_pops(void)
{
	struct chain c;
	enum vq_pop pop = virtqueue_pop(q, &c);

	cr_assert_eq(pop, offered.n > 0 ? VQ_CHAIN : VQ_EMPTY, "%s",
		     vq_fault_text(virtqueue_fault(q)));
	if (pop == VQ_EMPTY)
		return;
	if (roll(8) == 0) {
		virtqueue_unpop(q, &c);
		return;
	}
	struct request *r = list_take(&offered, 0);
	r->c = c;
	check_chain(r);
	list_add(&out, r);
}

static void device_pushes(void)
{
	if (out.n == 0)
		return;
	/* Mostly the oldest; with IN_ORDER the ones behind it wait. */
	unsigned i = roll(3) ? 0 : roll(out.n);
	while (out.r[i]->pushed)
		if (++i == out.n)
			return;
	struct request *r = out.r[i];
	check_chain(r);
	r->written = roll((unsigned)r->c.in_len + 1);
	virtqueue_push(q, r->c.head, roll(4) || r->written < r->c.in_len ? r->written : UINT32_MAX);
	r->pushed = true;
	if (!in_order) {
		list_add(&used, list_take(&out, i));
		return;
	}
	while (out.n > 0 && out.r[0]->pushed)
		list_add(&used, list_take(&out, 0));
}

static void device_flushes(void)
{
	virtqueue_flush(q);
	if (fd_drain(call_fd))
		driver_sleeps = false;
	cr_assert(!driver_sleeps || used.n == 0, "the driver sleeps and nobody wakes it");
	cr_assert(used.n == 0 || fake_ring_has_used(&ring));
}

static void device_goes_to_sleep(void)
{
	device_flushes();
	bool more = virtqueue_rearm(q);

	cr_assert_eq(more, offered.n > 0);
	cr_assert_eq(virtqueue_has_work(q), more);
	device_sleeps = !more;
}

static void step(void)
{
	switch (roll(driver_sleeps ? 4 : 10)) {
	case 0:
		if (!device_sleeps)
			cr_assert_eq(virtqueue_suppress(q), offered.n > 0, "tells whether there is work");
		break;
	case 1:
		if (!device_sleeps)
			device_pops();
		break;
	case 2:
		device_pushes();	/* completions come while the queue sleeps, too */
		if (roll(2))
			device_flushes();
		break;
	case 3:
		if (!device_sleeps)
			device_goes_to_sleep();
		break;
	case 4: case 5: case 6:
		driver_adds();
		break;
	case 7:
		driver_kicks();
		break;
	case 8:
		driver_reaps(1 + roll(4));
		break;
	case 9:
		driver_kicks();
		if (roll(2))
			driver_goes_to_sleep();
		else
			fake_ring_refuse_calls(&ring);
		break;
	}
	/* A sleeping driver and a sleeping device with nothing out: somebody wants something. */
	if (driver_sleeps && device_sleeps && out.n == 0)
		driver_sleeps = false;
}

static void run(enum fake_layout layout, unsigned size, unsigned features)
{
	struct features f = FEATURES_EMPTY;

	in_order = features & 1;
	indirect = features & 2;
	features_add(&f, VIRTIO_F_VERSION_1);
	if (layout == FAKE_PACKED)
		features_add(&f, VIRTIO_F_RING_PACKED);
	if (in_order)
		features_add(&f, VIRTIO_F_IN_ORDER);
	if (indirect)
		features_add(&f, VIRTIO_F_INDIRECT_DESC);
	if (features & 4)
		features_add(&f, VIRTIO_F_EVENT_IDX);
	fake_ring_init_as(&ring, layout, machine, (uint16_t)size, RING);
	ring.event_idx = features & 4;
	struct virtqueue_config config = fake_ring_config(&ring, f, call_fd);
	cr_assert_eq(virtqueue_create(&q, &config), 0, "%s", error_text());
	fd_drain(call_fd);
	offered.n = out.n = used.n = 0;
	driver_sleeps = device_sleeps = false;
	n_offered = n_reaped = 0;
	for (unsigned i = 0; i < MAX_SIZE; i++)
		desc_busy[i] = pool_busy[i] = false;

	for (unsigned i = 0; i < STEPS; i++) {
		step();
		cr_assert_eq(virtqueue_fault(q), VQ_FAULT_NONE);
	}
	/* All of it comes home. */
	while (offered.n > 0)
		device_pops();
	while (virtqueue_in_flight(q) > 0)
		device_pushes();
	device_flushes();
	driver_reaps(MAX_SIZE);
	cr_assert_eq(n_reaped, n_offered);
	cr_assert_gt(n_offered, STEPS / 100);
	cr_assert_eq(free_descs(), size);
	virtqueue_destroy(q);
	q = NULL;
}

/*
 * covers: RING-PACKED-02 RING-PACKED-40 RING-INORDER-01 RING-SPLIT-USED-07 RING-SPLIT-USED-08
 * covers: RING-SPLIT-AVAILNOTIF-06 RING-PACKED-28
 */
Test(ring_random, nothing_is_lost_or_invented_and_nobody_sleeps_for_ever)
{
	static const unsigned split[] = { 1, 2, 8, 32 }, packed[] = { 1, 2, 3, 7, 32, 37 };

	machine = fake_machine_create();
	cr_assert_eq(fd_create_event(&call_fd), 0);
	for (unsigned features = 0; features < 8; features++) {
		seed = 0x5eed + features;
		for (unsigned i = 0; i < ARRAY_SIZE(split); i++)
			run(FAKE_SPLIT, split[i], features);
		for (unsigned i = 0; i < ARRAY_SIZE(packed); i++)
			run(FAKE_PACKED, packed[i], features);
	}
	fd_close(&call_fd);
	fake_machine_destroy(machine);
}
