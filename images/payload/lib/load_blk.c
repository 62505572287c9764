/*
 * A disk: writes of many sizes, cut anywhere, read back cut elsewhere; flushes and requests that
 * are refused among them, so that some are done sooner than others.
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/load.h"
#include "images/payload/lib/random.h"
#include "virtio/features.h"

enum {
	N_SLOTS = 8,
	N_ROUNDS = 2,
	MAX_SECTORS = 24,
	SLOT_SECTORS = 32,		/* where each writes */
	FIRST_SECTOR = 64,
	N_PLACES = 16,			/* that a round may use, of N_SLOTS * SLOT_SECTORS */
	HEADER = sizeof(struct blk_header),
	MAX_ID = 1024,
	BAD_TYPE = 99,			/* refused at once, before others are done */
};

/* Header, data and status follow each other. */
struct slot {
	uint8_t *at;
	uint32_t type, len;		/* of the data */
	uint64_t sector;
	bool done;
};

static struct slot writes[N_SLOTS], reads[N_SLOTS], others[N_SLOTS];
static struct slot *slot_of_id[MAX_ID];

static void blk_init(void)
{
	size_t size = HEADER + MAX_SECTORS * BLK_SECTOR + 1;

	for (unsigned i = 0; i < N_SLOTS; i++) {
		writes[i].at = heap_alloc(size, 16);
		reads[i].at = heap_alloc(size, 16);
		others[i].at = heap_alloc(HEADER + 1, 16);
	}
}

static uint8_t *status_of(const struct slot *s)
{
	return s->at + HEADER + s->len;
}

static bool is_read(const struct slot *s)
{
	return s->type == BLK_IN;
}

/*
 * Cut the request; before ANY_LAYOUT, only at the borders that old devices insist on.  The device
 * reads 'n_out' pieces of it.
 */
static unsigned frame(const struct driver *d, const struct slot *s, struct piece *p,
		      unsigned *n_out)
{
	uint32_t out = HEADER + (is_read(s) ? 0 : s->len), in = 1 + (is_read(s) ? s->len : 0);
	unsigned n = 0;

	if (d->v.is_legacy && !driver_has(d, VIRTIO_F_ANY_LAYOUT)) {
		p[n++] = (struct piece){ s->at, HEADER };
		if (s->len > 0)
			p[n++] = (struct piece){ s->at + HEADER, s->len };
		p[n++] = (struct piece){ status_of(s), 1 };
		*n_out = is_read(s) ? 1 : n - 1;
		return n;
	}
	*n_out = load_cut(p, s->at, out, LOAD_MAX_PIECES / 2 + 1, 1);
	n = load_cut(p + *n_out, s->at + out, in, LOAD_MAX_PIECES / 2, 1);
	return *n_out + n;
}

static void submit(struct driver *d, struct slot *s)
{
	struct piece p[LOAD_MAX_PIECES];
	unsigned n_out, n;
	int id;

	memcpy(s->at, &(struct blk_header){ .type = s->type, .sector = s->sector }, HEADER);
	*status_of(s) = BLK_PENDING;
	s->done = false;
	n = frame(d, s, p, &n_out);
	id = load_add(d, 0, p, n_out, n - n_out);
	slot_of_id[id % MAX_ID] = s;
	load_maybe_publish(d, 0);
}

static bool complete(struct driver *d)
{
	struct ring *r = &d->ring[0];
	struct slot *s;
	int id = driver_wait(d, 0);

	if (!check(id >= 0, "blk: no completion, %u in flight", r->n_in_flight))
		return false;
	s = slot_of_id[id % MAX_ID];
	check(!s->done, "blk: completed twice");
	s->done = true;
	if (!r->taken_in_batch)
		check_equal(r->taken_len, is_read(s) ? s->len + 1 : 1, "blk: used length");
	check(*status_of(s) == (s->type == BAD_TYPE ? BLK_UNSUPP : BLK_OK), "blk: status %u of type %u",
	      *status_of(s), s->type);
	return true;
}

static bool drain(struct driver *d)
{
	ring_publish(&d->ring[0]);
	while (d->ring[0].n_in_flight > 0) {
		if (!complete(d))
			return false;
	}
	return true;
}

/* With room for it, as soon as there is. */
static bool submit_when_it_fits(struct driver *d, struct slot *s)
{
	while (!load_fits(d, 0, LOAD_MAX_PIECES)) {
		ring_publish(&d->ring[0]);
		if (!complete(d))
			return false;
	}
	submit(d, s);
	return true;
}

static void fill(uint8_t *p, uint32_t len)
{
	uint64_t pattern = random_next(&load_seed);

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)((pattern >> i % 57) + i);
}

static bool round_trip(struct driver *d)
{
	uint64_t first = FIRST_SECTOR + random_below(&load_seed, N_PLACES) * N_SLOTS * SLOT_SECTORS;

	for (unsigned i = 0; i < N_SLOTS; i++) {
		struct slot *w = &writes[i], *o = &others[i];

		w->type = BLK_OUT;
		w->sector = first + i * SLOT_SECTORS;
		w->len = (uint32_t)random_below(&load_seed, i == 0 ? MAX_SECTORS : 8) * BLK_SECTOR +
			 BLK_SECTOR;
		fill(w->at + HEADER, w->len);
		/* A flush takes the host milliseconds. */
		o->type = i == 1 && random_below(&load_seed, 8) == 0 ? BLK_FLUSH : BAD_TYPE;
		if (!submit_when_it_fits(d, w) || (i % 2 == 1 && !submit_when_it_fits(d, o)))
			return false;
	}
	if (!drain(d))
		return false;
	for (unsigned i = 0; i < N_SLOTS; i++) {
		struct slot *r = &reads[i];

		r->type = BLK_IN;
		r->sector = writes[i].sector;
		r->len = writes[i].len;
		memset(r->at + HEADER, LOAD_CANARY, r->len);
		if (!submit_when_it_fits(d, r) || (i == 3 && !submit_when_it_fits(d, &others[i])))
			return false;
	}
	if (!drain(d))
		return false;
	for (unsigned i = 0; i < N_SLOTS; i++)
		check(memcmp(reads[i].at + HEADER, writes[i].at + HEADER, reads[i].len) == 0,
		      "blk: %u bytes of sector %lu are not what was written", reads[i].len,
		      reads[i].sector);
	return true;
}

/* The capacity is where it should be, whatever MSI-X moved. */
static void check_capacity(struct driver *d)
{
	uint32_t sectors = d->v.ops->read_config(&d->v, BLK_CONFIG_CAPACITY, 4);

	check(sectors >= 8192, "blk: capacity %u", sectors);
	check_equal(d->v.ops->read_config(&d->v, BLK_CONFIG_CAPACITY + 1, 1), sectors >> 8 & 0xff,
		    "blk: byte of the capacity");
}

static void blk_run(struct driver *d)
{
	if (!check(d->ring[0].size <= MAX_ID, "blk: queue of %u", d->ring[0].size))
		return;
	check_capacity(d);
	/* Small rings are to go round. */
	for (unsigned i = 0; i < (d->ring[0].size > 128 ? 1 : N_ROUNDS); i++) {
		if (!round_trip(d))
			return;
	}
}

static void blk_leave_in_flight(struct driver *d, unsigned index)
{
	for (unsigned i = 0; i < N_SLOTS && load_fits(d, index, LOAD_MAX_PIECES); i++) {
		reads[i].len = 8 * BLK_SECTOR;
		submit(d, &reads[i]);
	}
	ring_publish(&d->ring[index]);
}

static void blk_check_untouched(struct driver *d, unsigned index)
{
	const size_t len = HEADER + MAX_SECTORS * BLK_SECTOR;

	for (unsigned i = 0; i < N_SLOTS; i++)
		memset(reads[i].at, LOAD_CANARY, len);
	load_check_ring_untouched(d, index, reads[0].at, len);
	for (unsigned i = 1; i < N_SLOTS; i++)
		check(load_is_canary(reads[i].at, len), "blk: written after the queue's reset");
}

const struct load load_blk = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.n_queues = 1,
	.init = blk_init,
	.run = blk_run,
	.leave_in_flight = blk_leave_in_flight,
	.check_untouched = blk_check_untouched,
};
