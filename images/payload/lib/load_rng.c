/* An entropy source: what it says it wrote is what it wrote, to the byte. */
#include "images/payload/lib/check.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/load.h"
#include "images/payload/lib/random.h"

enum { N_BUFFERS = 4, N_ROUNDS = 2, MAX_LEN = 600, MAX_ID = 1024 };

static uint8_t *buffer[N_BUFFERS];
static uint32_t len[N_BUFFERS];
static unsigned buffer_of_id[MAX_ID];

static void rng_init(void)
{
	for (unsigned i = 0; i < N_BUFFERS; i++)
		buffer[i] = heap_alloc(MAX_LEN + 1, 1);
}

static void submit(struct driver *d, unsigned i)
{
	struct piece p[LOAD_MAX_PIECES];
	unsigned n;

	len[i] = (uint32_t)random_below(&load_seed, MAX_LEN) + 1;
	memset(buffer[i], LOAD_CANARY, MAX_LEN + 1);
	n = load_cut(p, buffer[i], len[i], LOAD_MAX_PIECES, 1);
	buffer_of_id[load_add(d, 0, p, 0, n) % MAX_ID] = i;
	load_maybe_publish(d, 0);
}

static void check_buffer(const struct ring *r, unsigned i)
{
	uint32_t n = r->taken_len, n_canary = 0;

	if (!check(n >= 1 && n <= len[i], "rng: %u of %u bytes", n, len[i]))
		return;
	check(load_is_canary(buffer[i] + n, MAX_LEN + 1 - n), "rng: more than %u bytes", n);
	/* One in 256 is what is expected. */
	for (uint32_t at = 0; at < n; at++)
		n_canary += buffer[i][at] == LOAD_CANARY;
	check(n_canary <= 4 + n / 16, "rng: %u of %u bytes are not written", n_canary, n);
}

static void rng_run(struct driver *d)
{
	for (unsigned round = 0; round < N_ROUNDS; round++) {
		for (unsigned i = 0; i < N_BUFFERS && load_fits(d, 0, LOAD_MAX_PIECES); i++)
			submit(d, i);
		ring_publish(&d->ring[0]);
		while (d->ring[0].n_in_flight > 0) {
			int id = driver_wait(d, 0);

			if (!check(id >= 0, "rng: no completion"))
				return;
			check_buffer(&d->ring[0], buffer_of_id[id % MAX_ID]);
		}
	}
}

static void rng_leave_in_flight(struct driver *d, unsigned index)
{
	for (unsigned i = 0; i < N_BUFFERS && load_fits(d, index, LOAD_MAX_PIECES); i++)
		submit(d, i);
	ring_publish(&d->ring[index]);
}

static void rng_check_untouched(struct driver *d, unsigned index)
{
	for (unsigned i = 0; i < N_BUFFERS; i++)
		memset(buffer[i], LOAD_CANARY, MAX_LEN);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		load_check_ring_untouched(d, index, buffer[i], MAX_LEN);
}

const struct load load_rng = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.n_queues = 1,
	.init = rng_init,
	.run = rng_run,
	.leave_in_flight = rng_leave_in_flight,
	.check_untouched = rng_check_untouched,
};
