/*
 * A guest that does nothing any more: every device it has is set up and was used once, then it
 * sleeps for ever with interrupts on.  What the VMM takes then is what it takes.
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/print.h"

static void use_console(void)
{
	static struct virtio v;
	static struct ring in, out;
	static char text[] = "console\n";
	uint64_t features;

	if (!virtio_find(&v, VIRTIO_ID_CONSOLE, 0) || !virtio_negotiate(&v, ~2ull, &features))
		return;
	check(ring_init(&in, &v, 0, 0, features), "console input");
	check(ring_init(&out, &v, 1, 0, features), "console output");
	virtio_driver_ok(&v);
	ring_add(&in, &(struct piece){ heap_alloc(64, 1), 64 }, 0, 1);
	ring_publish(&in);
	ring_add(&out, &(struct piece){ text, sizeof(text) - 1 }, 1, 0);
	ring_publish(&out);
	check(ring_wait(&out) >= 0, "console output");
}

static void use_rng(void)
{
	static struct virtio v;
	static struct ring r;
	uint64_t features;

	if (!virtio_find(&v, VIRTIO_ID_RNG, 0) || !virtio_negotiate(&v, ~0ull, &features))
		return;
	check(ring_init(&r, &v, 0, 0, features), "rng queue");
	virtio_driver_ok(&v);
	ring_add(&r, &(struct piece){ heap_alloc(64, 1), 64 }, 0, 1);
	ring_publish(&r);
	check(ring_wait(&r) >= 0, "entropy");
}

int main(void)
{
	static struct blk disk;
	uint8_t *buf = heap_alloc(4096, 4096);

	use_console();
	use_rng();
	blk_find(&disk, 0);
	blk_open(&disk, ~0ull, 0);
	for (unsigned i = 0; i < 64; i++)
		check_equal(blk_request(&disk, BLK_IN, i * 8, buf, 4096), BLK_OK, "read");
	check_result("idle");
	lapic_enable();
	for (;;)
		call_kernel(kernel_halt);
}
