/* The entropy source.  virtio-v1.4 5.4 "Entropy Device". */
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/ring.h"

enum { CANARY = 0x5a };

static struct virtio device;
static struct ring ring;

/* Returns how many bytes came. */
static uint32_t request(void *buf, uint32_t len)
{
	ring_add(&ring, &(struct piece){ buf, len }, 0, 1);
	ring_publish(&ring);
	check(ring_wait(&ring) >= 0, "no answer");
	return ring.taken_len;
}

/* covers: RNG-01 RNG-03 RNG-04 RNG-08 */
static void bytes_are_random(void)
{
	uint8_t *first = heap_alloc(64, 1), *second = heap_alloc(64, 1);
	uint32_t n = request(first, 64), m = request(second, 64), n_different = 0;

	check(n >= 1 && n <= 64, "%u of 64 bytes", n);
	check(m >= 1 && m <= 64, "%u of 64 bytes", m);
	for (uint32_t i = 1; i < n; i++)
		n_different += first[i] != first[0];
	check(n < 16 || n_different > 4, "all bytes are alike");
	check(memcmp(first, second, n < m ? n : m) != 0, "the same bytes twice");
}

/* covers: RNG-02 RNG-06 */
static void large_buffer(void)
{
	enum { LEN = 1 << 20 };
	uint8_t *big = memset(heap_alloc(LEN + 1, 1), CANARY, LEN + 1);
	uint32_t n = request(big, LEN);

	check(n >= 1 && n <= LEN, "%u bytes of 1 MiB", n);
	check_equal(big[LEN], CANARY, "byte behind the buffer");
	for (uint32_t i = n; i < LEN; i++) {
		if (!check(big[i] == CANARY, "byte %u is written, %u were reported", i, n))
			break;
	}
}

/* covers: RNG-05 */
static void readable_buffer(void)
{
	uint8_t *p = memset(heap_alloc(32, 1), CANARY, 32);

	ring_add(&ring, &(struct piece){ p, 32 }, 1, 0);
	ring_publish(&ring);
	if (!check(WAIT_UNTIL(ring_take(&ring) >= 0 ||
			      (virtio_status(&device) & VIRTIO_STATUS_NEEDS_RESET), WAIT_LONG),
		   "a readable buffer is ignored"))
		return;
	for (unsigned i = 0; i < 32; i++)
		check(p[i] == CANARY, "readable byte %u was written", i);
}

int main(void)
{
	uint64_t features;

	if (!virtio_find(&device, VIRTIO_ID_RNG, 0))
		check_skip("no entropy source");
	check(virtio_negotiate(&device, ~0ull, &features), "FEATURES_OK does not stand");
	check(ring_init(&ring, &device, 0, 0, features), "no queue 0");
	virtio_driver_ok(&device);
	bytes_are_random();
	large_buffer();
	readable_buffer();
	return check_result("rng");
}
