/*
 * A guest that attacks its disk in one way after the other.  The classes are those of bugs that
 * other device models had: A state changed after it was judged, B ranges, C memory that changes
 * while it is read, D buffers after their end, E walks without end, F what no driver does, G
 * registers as memory, H indexes out of range, M order of memory accesses, N one who keeps the
 * device busy.
 *
 * After each: a broken rule of the ring has made the device ask for a reset (status 0x40), and
 * after a reset the disk reads what was written.  Options: class=X for one of them, ring=packed for
 * that ring instead of the split one.  C, M and N want two processors.
 */
#include "images/payload/lib/bad_chain.h"
#include "images/payload/lib/blk.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/load.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/random.h"
#include "images/payload/lib/second_cpu.h"
#include "virtio/features.h"

enum {
	RING = 16,
	BLOCK = 4096,
	KNOWN = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER,
	INDIRECT = 1,
	EVENT_IDX = 2,
	RING_RESET = 4,
};

static struct driver disk;
static struct virtio *v = &disk.v;
static struct ring *ring = &disk.ring[0];
static uint64_t ring_feature;		/* RING_PACKED, or none */
static uint8_t *a, *b;
static struct blk_header *header;
static volatile uint8_t *status_byte;
static uintptr_t mark;
static uint64_t seed = 0x2545f4914f6cdd1dull;
static unsigned n_cases;

/* Reset and start again with a fresh ring; 'bits' are INDIRECT, EVENT_IDX and RING_RESET. */
static bool start(unsigned bits)
{
	uint64_t wanted = ring_feature;

	if (bits & INDIRECT)
		wanted |= 1ull << VIRTIO_F_INDIRECT_DESC;
	if (bits & EVENT_IDX)
		wanted |= 1ull << VIRTIO_F_EVENT_IDX;
	if (bits & RING_RESET)
		wanted |= 1ull << VIRTIO_F_RING_RESET;
	if (!virtio_reset(v))
		return check(false, "no reset");
	heap_release(mark);
	disk.size = RING;
	return check(driver_open(&disk, wanted, 0, 1, false), "the disk cannot be opened");
}

/* One request; returns its status byte, BLK_PENDING when it does not come. */
static uint8_t request(uint32_t type, uint64_t sector, void *data, uint32_t len)
{
	struct piece p[] = { { header, 16 }, { data, len }, { (void *)status_byte, 1 } };

	*header = (struct blk_header){ .type = type, .sector = sector };
	*status_byte = BLK_PENDING;
	ring_add(ring, p, type == BLK_IN ? 1 : 2, type == BLK_IN ? 2 : 1);
	ring_publish(ring);
	ring_wait(ring);
	return *status_byte;
}

static bool io_works(void)
{
	uint64_t sector = 64 + random_below(&seed, 500) * 8;

	for (unsigned i = 0; i < BLOCK; i += 8) {
		uint64_t word = random_next(&seed);

		memcpy(a + i, &word, 8);
	}
	memset(b, LOAD_CANARY, BLOCK);
	return request(BLK_OUT, sector, a, BLOCK) == BLK_OK &&
	       request(BLK_IN, sector, b, BLOCK) == BLK_OK && memcmp(a, b, BLOCK) == 0;
}

static void works_after(const char *what)
{
	n_cases++;
	start(0);
	check(io_works(), "no I/O after: %s", what);
}

static void must_need_reset(const char *what)
{
	check(driver_needs_reset(&disk, WAIT_LONG), "no NEEDS_RESET: %s", what);
	works_after(what);
}

static void chains(char class)
{
	uint8_t layout = ring_feature != 0 ? IN_PACKED : IN_SPLIT;

	for (const struct bad_chain *c = bad_chains; c < bad_chains + n_bad_chains; c++) {
		if (c->class != class || !(c->layouts & layout))
			continue;
		start(c->without_indirect ? 0 : INDIRECT);
		bad_chain_submit(&disk, c);
		if (c->breaks) {
			must_need_reset(c->name);
		} else {
			WAIT_UNTIL(false, WAIT_SHORT / 16);
			works_after(c->name);
		}
	}
}

/*
 * The queue's registers while it runs.  A legacy driver may move its queue, or take it away.
 * covers: PCI-COMMON-25
 */
static void class_a(void)
{
	start(0);
	virtio_write_features(v, ~0ull);
	v->ops->select_queue(v, 0);
	v->ops->set_queue(v, 8, 0xdead0000, 0xdead1000, 0xdead2000);
	if (!v->is_legacy) {
		v->ops->enable_queue(v);
		for (unsigned i = 0; i < RING; i++)
			check(io_works(), "I/O after the registers of a live queue were written");
	}
	works_after("registers of a live queue");
	start(0);
	v->ops->set_queue(v, 0xffff, ~0ull, ~0ull, ~0ull);
	ring_kick(ring);
	v->ops->write_features(v, 0, 0xffffffff);
	v->ops->write_status(v, KNOWN);
	works_after("status of a live device taken back");
}

/* Requests in flight at a reset: their memory is ours afterwards.  covers: CORE-RESET-02 */
static void class_d(void)
{
	for (unsigned i = 0; i < 6; i++) {
		start(i % 2 ? INDIRECT : 0);
		load_blk.leave_in_flight(&disk, 0);
		for (uint64_t until = cycles() + i * 20000; cycles() < until;)
			pause();
		check(virtio_reset(v), "reset with requests in flight");
		load_blk.check_untouched(&disk, 0);
	}
	works_after("resets with requests in flight");
}

/* More than fits: the index is far ahead of what the ring can hold.  covers: RING-SPLIT-AVAIL-03 */
static void index_jumps(uint16_t to)
{
	start(0);
	if (ring->packed)
		return;
	ring->avail_idx = to;
	ring_publish_quietly(ring);
	ring_kick(ring);
	must_need_reset("available index too far ahead");
}

/*
 * The same head in two entries, and an index that goes back: what becomes of it is the driver's
 * affair, as long as it ends.  covers: RING-SPLIT-AVAIL-04 RING-SPLIT-AVAIL-05
 */
static void odd_entries(void)
{
	struct piece p[] = { { header, 16 }, { b, 512 }, { (void *)status_byte, 1 } };

	start(0);
	if (ring->packed)
		return;
	*header = (struct blk_header){ .type = BLK_IN };
	ring_add(ring, p, 1, 2);
	ring->avail->ring[1] = ring->avail->ring[0];
	ring->avail_idx = 2;
	ring_publish_quietly(ring);
	ring_kick(ring);
	WAIT_UNTIL(false, WAIT_SHORT / 16);
	ring->avail_idx = 1;
	ring_publish_quietly(ring);
	ring_kick(ring);
	WAIT_UNTIL(false, WAIT_SHORT / 16);
	works_after("a head twice, and an index that goes back");
}

static void class_e(void)
{
	odd_entries();
	index_jumps((uint16_t)(disk.ring[0].size + 1));
	index_jumps(0x8000);
	index_jumps(0xffff);
}

/*
 * Queue resets of what does not exist or does not run, before DRIVER_OK, and cut short by a reset
 * of the device.  covers: CORE-QRESET-07 CORE-QRESET-09
 */
static void queue_resets(void)
{
	if (v->is_legacy || option_given("qemu") ||
	    !(virtio_offered(v) >> VIRTIO_F_RING_RESET & 1))
		return;
	start(RING_RESET);
	v->ops->select_queue(v, 0x1234);
	v->ops->reset_queue(v);
	check(!v->ops->queue_resetting(v), "a queue that does not exist is being reset");
	check(ring_stop(ring), "the queue cannot be reset");
	check(ring_stop(ring), "a queue that does not run cannot be reset");
	check(driver_make_queue(&disk, 0, RING / 2) && io_works(), "I/O after resets of the queue");
	load_blk.leave_in_flight(&disk, 0);
	v->ops->select_queue(v, 0);
	v->ops->reset_queue(v);
	check(virtio_reset(v), "reset after that of a queue");
	load_blk.check_untouched(&disk, 0);
	works_after("a reset of the queue, and of the device at once");

	check(virtio_negotiate(v, disk.features | 1ull << VIRTIO_F_RING_RESET, &disk.features),
	      "FEATURES_OK");
	check(driver_make_queue(&disk, 0, RING) && ring_stop(ring) &&
		      driver_make_queue(&disk, 0, RING), "reset of a queue before DRIVER_OK");
	virtio_driver_ok(v);
	check(io_works(), "I/O after the reset of a queue before DRIVER_OK");
}

/* Every register in the wrong state.  covers: CORE-KICK-06 CORE-QRESET-04 */
static void class_f(void)
{
	check(virtio_reset(v), "reset");
	for (unsigned i = 0; i < 4; i++) {
		virtio_kick(v, (uint16_t)(i == 3 ? 0xffff : i));
		v->ops->write_status(v, KNOWN);
	}
	v->ops->write_status(v, 0xff);
	virtio_kick(v, 0);
	works_after("kicks without a driver");

	check(virtio_negotiate(v, ring_feature, NULL), "FEATURES_OK");
	virtio_driver_ok(v);
	virtio_kick(v, 0);
	works_after("DRIVER_OK without a queue");

	start(0);
	for (uint16_t i = 0; i < 3; i++) {
		v->ops->select_queue(v, (uint16_t)(i * 0x4001));
		v->ops->enable_queue(v);
		if (i > 0)
			v->ops->reset_queue(v);
	}
	/* A queue reset that was not negotiated. */
	v->ops->select_queue(v, 0);
	if (!v->is_legacy) {
		v->ops->reset_queue(v);
		check(io_works(), "I/O after a queue reset that was not negotiated");
	}
	works_after("queue resets and enables");
	queue_resets();

	start(0);
	if (ring->doorbell.address != 0) {
		for (unsigned i = 0; i < 8; i++) {
			write32(ring->doorbell.address, 0xdead0000u + i);
			write16(ring->doorbell.address, (uint16_t)(i * 0x1111));
			write8(ring->doorbell.address, 0);
			write64(ring->doorbell.address & ~7ull, ~0ull);
		}
		check(io_works(), "I/O after kicks of every kind");
	}
	works_after("kicks of every kind");
}

/* Rings where there is no memory. */
static void class_g(void)
{
	static const uint64_t at[] = { 0xfee00000, 0xfec00000, 1ull << 46, ~0xfffull };

	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		check(virtio_negotiate(v, ring_feature, NULL), "FEATURES_OK");
		v->ops->select_queue(v, 0);
		v->ops->set_queue(v, RING, at[i], at[i] + 0x1000, at[i] + 0x2000);
		v->ops->enable_queue(v);
		virtio_driver_ok(v);
		virtio_kick(v, 0);
		works_after("a ring where there is no memory");
	}
}

/* covers: RING-SPLIT-AVAIL-02 */
static void bad_head(uint16_t head)
{
	start(0);
	ring->avail->ring[0] = head;
	ring->avail_idx = 1;
	ring_publish_quietly(ring);
	ring_kick(ring);
	must_need_reset("head past the ring");
}

/* The id is the driver's: any number comes back.  covers: RING-PACKED-38 */
static void any_id(void)
{
	struct piece p = { header, 16 };
	volatile struct packed_desc *d;

	start(0);
	*header = (struct blk_header){ .type = BLK_FLUSH };
	d = &ring->slot[0];
	ring_add(ring, (struct piece[]){ p, { (void *)status_byte, 1 } }, 1, 1);
	d[1].id = 0xfffe;
	ring_publish(ring);
	check(WAIT_UNTIL((d->flags & DESC_USED) || driver_needs_reset(&disk, 1), WAIT_LONG),
	      "a buffer with an id past the ring is ignored");
	if (d->flags & DESC_USED)
		check_equal(d->id, 0xfffe, "id that comes back");
	works_after("an id past the ring");
}

/* covers: RING-PACKED-30 */
static void class_h(void)
{
	static const uint16_t number[] = { 1, 0x7fff, 0x8000, 0xfffe, 0xffff };

	for (unsigned i = 0; i < sizeof(number) / sizeof(number[0]); i++) {
		if (ring_feature == 0)
			bad_head(number[i] == 1 ? disk.ring[0].size : number[i]);
		start(EVENT_IDX);
		if (ring->packed) {
			ring->driver_event->at = number[i];
			ring->driver_event->flags = (uint16_t)(i % 2 ? EVENT_AT : 3);
		} else {
			ring->avail->ring[ring->size] = number[i];
		}
		check(io_works(), "I/O with %x as event", number[i]);
		v->ops->select_queue(v, (uint16_t)(number[i] + 1));
		v->ops->queue_max(v);
		v->ops->read_features(v, number[i] * 0x10001u);
		virtio_kick(v, (uint16_t)(number[i] | 0x4000));
		check(io_works(), "I/O after selecting queue %x", number[i]);
		works_after("numbers out of range");
	}
	if (ring_feature != 0)
		any_id();
}

/* Turns descriptors and available entries from good to bad and back, as fast as it can. */
static void rewrite_ring(void)
{
	static uint64_t mine = 0x9e3779b97f4a7c15ull;
	uint64_t r = random_next(&mine);
	uint16_t i = (uint16_t)(r >> 48) % RING;

	if (ring->packed) {
		volatile struct packed_desc *d = &ring->slot[i];

		switch (r % 5) {
		case 0: d->len ^= 0x80000000; break;
		case 1: d->addr ^= 1ull << 45; break;
		case 2: d->flags ^= (uint16_t)(1u << (r >> 8) % 3); break;
		case 3: d->id = (uint16_t)(r >> 16); break;
		default: d->flags ^= DESC_AVAIL; break;
		}
	} else {
		volatile struct ring_desc *d = &ring->desc[i];

		switch (r % 6) {
		case 0: d->len ^= 0x80000000; break;
		case 1: d->addr ^= 1ull << 45; break;
		case 2: d->flags ^= (uint16_t)(1u << (r >> 8) % 3); break;
		case 3: d->next = (uint16_t)(r >> 16); break;
		case 4: ring->avail->ring[i] = (uint16_t)(r >> 20) % (RING + 1); break;
		default: ring->avail->idx = (uint16_t)(ring->avail->idx + (r >> 8) % 3); break;
		}
	}
}

/* Memory that changes between one look and the next.  covers: RING-SPLIT-DESC-13 */
static void class_c(void)
{
	struct piece p[] = { { header, 16 }, { b, 512 }, { (void *)status_byte, 1 } };

	if (!check(second_cpu_start(), "there is one processor only"))
		return;
	for (unsigned round = 0; round < 10; round++) {
		start(INDIRECT | (round % 2 ? EVENT_IDX : 0));
		second_cpu_do(rewrite_ring);
		for (unsigned i = 0; i < 12; i++) {
			/* Nothing is expected of these. */
			*header = (struct blk_header){ .type = BLK_IN };
			if (ring->n_free >= 3)
				ring_add(ring, p, 1, 2);
			ring_publish_quietly(ring);
			ring_kick(ring);
			for (uint64_t until = cycles() + 20000; cycles() < until;)
				pause();
		}
		check(second_cpu_stop(), "the second processor does not stop");
		check(virtio_reset(v), "no reset of a device whose ring was rewritten");
	}
	works_after("a ring that was rewritten while it was read");
}

/* Asks for interrupts and takes it back, without end. */
static void rewrite_events(void)
{
	static uint16_t n;

	n++;
	if (ring->packed) {
		ring->driver_event->at = n;
		ring->driver_event->flags = n % 4;
	} else {
		ring->avail->flags = n & 1;
		ring->avail->ring[ring->size] = n;
	}
}

/* One request at a time: a kick that is lost, or an index in two halves, is a standstill. */
static void class_m(void)
{
	if (!check(second_cpu_start(), "there is one processor only"))
		return;
	for (unsigned bits = 0; bits <= EVENT_IDX; bits += EVENT_IDX) {
		start(bits);
		second_cpu_do(rewrite_events);
		for (unsigned i = 0; i < 25; i++) {
			if (!check(io_works(), "request %u beside changing events", i))
				break;
		}
		check(second_cpu_stop(), "the second processor does not stop");
		works_after("changing events");
	}
}

static void kick_without_end(void)
{
	doorbell_ring(&ring->doorbell, 0);
}

/* Somebody kicks all the time: requests are served, and a reset as well. */
static void class_n(void)
{
	if (!check(second_cpu_start(), "there is one processor only"))
		return;
	start(0);
	second_cpu_do(kick_without_end);
	for (unsigned i = 0; i < 20; i++)
		check(io_works(), "I/O beside kicks without end");
	check(virtio_reset(v), "reset beside kicks without end");
	check(second_cpu_stop(), "the second processor does not stop");
	works_after("kicks without end");
}

static const struct {
	char name[2];
	void (*run)(void);		/* what is not a chain */
} classes[] = {
	{ "A", class_a }, { "B", NULL }, { "C", class_c }, { "D", class_d }, { "E", class_e },
	{ "F", class_f }, { "G", class_g }, { "H", class_h }, { "M", class_m }, { "N", class_n },
};

int main(void)
{
	if (!driver_find(&disk, VIRTIO_ID_BLOCK))
		check_skip("no disk");
	a = heap_alloc(BLOCK, BLOCK);
	b = heap_alloc(BLOCK, BLOCK);
	header = heap_alloc(sizeof(*header), 16);
	status_byte = heap_alloc(1, 1);
	load_blk.init();
	bad_chain_init();
	mark = heap_mark();
	if (option_is("ring", "packed"))
		ring_feature = 1ull << VIRTIO_F_RING_PACKED;
	if (!start(0))
		return check_result("abuse");
	for (unsigned i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		unsigned before = n_cases;

		if (option_given("class") && !option_is("class", classes[i].name))
			continue;
		chains(classes[i].name[0]);
		if (classes[i].run != NULL)
			classes[i].run();
		print("class %s: %u cases\n", classes[i].name, n_cases - before);
	}
	check(n_cases > 0, "no such class");
	return check_result("abuse");
}
