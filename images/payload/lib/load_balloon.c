/*
 * A balloon: pages go in by queue 0 and come out by queue 1, and are memory again then.
 * virtio-v1.4 5.5.6 "Device Operation"
 */
#include "images/payload/lib/check.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/load.h"

enum { INFLATE, DEFLATE, N_PAGES = 12, N_LISTS = 3, PAGE = 4096, CONFIG_ACTUAL = 4 };

static uint8_t *pages;
static uint32_t *list[N_LISTS];

static void balloon_init(void)
{
	pages = heap_alloc(N_PAGES * PAGE, PAGE);
	for (unsigned i = 0; i < N_LISTS; i++)
		list[i] = heap_alloc(N_PAGES * sizeof(uint32_t), sizeof(uint32_t));
}

static void submit(struct driver *d, unsigned index, unsigned i)
{
	const unsigned n_pages = N_PAGES / N_LISTS;
	struct piece p[LOAD_MAX_PIECES];
	unsigned n;

	for (unsigned j = 0; j < n_pages; j++)
		list[i][j] = (uint32_t)((uintptr_t)pages / PAGE + i * n_pages + j);
	n = load_cut(p, list[i], n_pages * sizeof(uint32_t), 3, sizeof(uint32_t));
	load_add(d, index, p, n, 0);
	load_maybe_publish(d, index);
}

/* All pages, in several buffers at once. */
static bool move_pages(struct driver *d, unsigned index)
{
	struct ring *r = &d->ring[index];

	for (unsigned i = 0; i < N_LISTS; i++)
		submit(d, index, i);
	ring_publish(r);
	while (r->n_in_flight > 0) {
		if (!check(driver_wait(d, index) >= 0, "balloon: no completion of queue %u", index))
			return false;
		check_equal(r->taken_len, 0, "balloon: used length");
	}
	d->v.ops->write_config(&d->v, CONFIG_ACTUAL, 4, index == INFLATE ? N_PAGES : 0);
	check_equal(d->v.ops->read_config(&d->v, CONFIG_ACTUAL, 4), index == INFLATE ? N_PAGES : 0,
		    "balloon: actual");
	return true;
}

static void balloon_run(struct driver *d)
{
	memset(pages, LOAD_CANARY, N_PAGES * PAGE);
	if (!move_pages(d, INFLATE) || !move_pages(d, DEFLATE))
		return;
	memset(pages, LOAD_CANARY, N_PAGES * PAGE);
	check(load_is_canary(pages, N_PAGES * PAGE), "balloon: a page came back that is no memory");
}

static void balloon_leave_in_flight(struct driver *d, unsigned index)
{
	/* Deflating what is not in the balloon is harmless at any time. */
	if (index != DEFLATE)
		return;
	submit(d, index, 0);
	ring_publish(&d->ring[index]);
}

static void balloon_check_untouched(struct driver *d, unsigned index)
{
	memset(list[0], LOAD_CANARY, N_PAGES * sizeof(uint32_t));
	load_check_ring_untouched(d, index, list[0], N_PAGES * sizeof(uint32_t));
}

const struct load load_balloon = {
	.name = "balloon",
	.id = VIRTIO_ID_BALLOON,
	.n_queues = 2,
	.init = balloon_init,
	.run = balloon_run,
	.leave_in_flight = balloon_leave_in_flight,
	.check_untouched = balloon_check_untouched,
};
