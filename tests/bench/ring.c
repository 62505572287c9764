/*
 * What a chain costs in the ring alone: nanoseconds for pop, push and its share of the flush, with
 * no KVM, no device model, and a driver that fills the ring while the clock stands.  Beside it
 * stands the floor: copying the same descriptors, 16 bytes each, into the same iovecs, unchecked.
 *
 *   ring [LAPS [CASE]]     prints: case, ns per chain, ns of the floor, ratio
 *
 * Of LAPS (4000) times round the ring the fastest tenth counts: hosts are busy with other things.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "virtio/virtqueue.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum {
	SIZE = 256,
	MAX_LAPS = 100000,
	MAX_DESCS = 3,
	NEXT = 1,
	WRITE = 2,
	INDIRECT = 4,
	AVAIL = 0x80,
	USED = 0x8000,
};

/* Guest addresses, in a memory like that of a small PC: below and above the hole. */
enum { RING = 0x100000, DRIVER = 0x110000, DEVICE = 0x120000, TABLES = 0x200000 };
#define LOW_RAM GIB(1)
#define HIGH_RAM GIB(1)
#define DATA MIB(16)

struct shape {
	const char *name;
	bool packed, indirect, in_order;
	unsigned n_descs;		/* with data; the last one is writable */
};

static const struct shape shapes[] = {
	{ "split-1", false, false, false, 1 },
	{ "split-3", false, false, false, 3 },
	{ "split-3-indirect", false, true, false, 3 },
	{ "split-3-in-order", false, false, true, 3 },
	{ "packed-1", true, false, false, 1 },
	{ "packed-3", true, false, false, 3 },
	{ "packed-3-indirect", true, true, false, 3 },
	{ "packed-3-in-order", true, false, true, 3 },
};

static struct guest_memory memory = GUEST_MEMORY_INIT;
static struct dma dma = { .memory = &memory };

static uint8_t *at(uint64_t addr)
{
	return guest_memory_at(&memory, addr, 1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put_desc(uint8_t *d, unsigned i, uint16_t flags_or_id, uint16_t next_or_flags)
{
	store_le64(d, DATA + 4096ull * i);
	store_le32(d + 8, 512 + i % 7);
	store_le16(d + 12, flags_or_id);
	store_le16(d + 14, next_or_flags);
}

/* --- the driver --- */

struct driver {
	const struct shape *shape;
	unsigned per_lap;		/* chains */
	uint16_t idx;			/* split */
	unsigned slot;			/* packed */
	uint16_t lap;			/* packed: AVAIL and USED of an available slot */
};

static unsigned slots_per_chain(const struct shape *s)
{
	return s->indirect ? 1 : s->n_descs;
}

static uint16_t link_flags(const struct shape *s, unsigned k)
{
	return (uint16_t)(k + 1 < s->n_descs ? NEXT : WRITE);
}

static void put_tables(const struct shape *s)
{
	for (unsigned i = 0; i < SIZE; i++)
		for (unsigned k = 0; k < s->n_descs; k++) {
			uint8_t *d = at(TABLES + 64ull * i + 16 * k);
			uint16_t flags = link_flags(s, k);

			if (s->packed)
				put_desc(d, i + k, 0, flags);
			else
				put_desc(d, i + k, flags, (uint16_t)(k + 1));
		}
}

static void put_pointer(uint8_t *d, const struct shape *s, unsigned i)
{
	store_le64(d, TABLES + 64ull * i);
	store_le32(d + 8, 16 * s->n_descs);
}

/* Chains that stay; what changes later is the index. */
static void split_begin(struct driver *d)
{
	const struct shape *s = d->shape;
	unsigned slots = slots_per_chain(s);

	for (unsigned i = 0; i < d->per_lap; i++) {
		for (unsigned k = 0; k < slots; k++)
			put_desc(at(RING + 16ull * (i * slots + k)), i + k, link_flags(s, k),
				 (uint16_t)(i * slots + k + 1));
		if (s->indirect) {
			put_pointer(at(RING + 16ull * i), s, i);
			store_le16(at(RING + 16ull * i) + 12, INDIRECT);
		}
	}
	store_le16(at(DRIVER), 1);	/* no interrupts */
}

static void split_fill(struct driver *d)
{
	for (unsigned i = 0; i < d->per_lap; i++)
		store_le16(at(DRIVER + 4 + 2ull * ((d->idx + i) % SIZE)),
			   (uint16_t)(i * slots_per_chain(d->shape)));
	d->idx = (uint16_t)(d->idx + d->per_lap);
	atomic_store((_Atomic uint16_t *)(void *)at(DRIVER + 2), htole16(d->idx));
}

static void packed_fill(struct driver *d)
{
	const struct shape *s = d->shape;
	unsigned slots = slots_per_chain(s);

	for (unsigned i = 0; i < d->per_lap; i++)
		for (unsigned k = 0; k < slots; k++) {
			uint8_t *desc = at(RING + 16ull * d->slot);
			uint16_t flags = s->indirect ? INDIRECT : link_flags(s, k);

			put_desc(desc, i + k, (uint16_t)i, (uint16_t)(flags | d->lap));
			if (s->indirect)
				put_pointer(desc, s, i);
			if (++d->slot == SIZE) {
				d->slot = 0;
				d->lap ^= AVAIL | USED;
			}
		}
}

/* --- the device, and the floor --- */

static void device_lap(struct virtqueue *q, unsigned n, unsigned batch)
{
	struct chain c[32];

	for (unsigned done = 0; done < n;) {
		unsigned k = 0;

		while (k < batch && virtqueue_pop(q, &c[k]) == VQ_CHAIN)
			k++;
		if (k == 0) {
			fprintf(stderr, "ring: %s\n", vq_fault_text(virtqueue_fault(q)));
			exit(1);
		}
		for (unsigned i = 0; i < k; i++)
			virtqueue_push(q, c[i].head, 1);
		virtqueue_flush(q);
		done += k;
	}
}

static void floor_lap(const uint8_t *table, struct iovec *iov, unsigned n_chains, unsigned n_descs)
{
	uint8_t *base = memory.region[0].host;

	for (unsigned i = 0; i < n_chains; i++) {
		for (unsigned k = 0; k < n_descs; k++) {
			uint64_t copy[2];

			memcpy(copy, table + 16 * (i * n_descs + k), 16);
			iov[k] = (struct iovec){
				.iov_base = base + le64toh(copy[0]),
				.iov_len = (uint32_t)le64toh(copy[1]),
			};
		}
		/* The iovecs of this chain are wanted, before the next one. */
		__asm__ volatile("" : : "r"(iov) : "memory");
		iov += n_descs;
	}
}

/* --- measuring --- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double undisturbed(uint64_t *ns, unsigned n)
{
	qsort(ns, n, sizeof(*ns), compare);
	return (double)ns[n / 10];
}

static struct virtqueue *make_queue(const struct shape *s)
{
	struct virtqueue_config config = {
		.size = SIZE,
		.desc = RING,
		.driver = DRIVER,
		.device = DEVICE,
		.dma = &dma,
		.call = { .fd = FD_NONE },
	};
	struct virtqueue *q;

	features_add(&config.features, VIRTIO_F_VERSION_1);
	if (s->packed)
		features_add(&config.features, VIRTIO_F_RING_PACKED);
	if (s->indirect)
		features_add(&config.features, VIRTIO_F_INDIRECT_DESC);
	if (s->in_order)
		features_add(&config.features, VIRTIO_F_IN_ORDER);
	if (virtqueue_create(&q, &config) < 0) {
		fprintf(stderr, "ring: %s\n", error_text());
		exit(1);
	}
	return q;
}

static void measure(const struct shape *s, unsigned batch, unsigned laps)
{
	static uint64_t ns[MAX_LAPS], floor_ns[MAX_LAPS];
	static uint8_t table[16 * SIZE * (MAX_DESCS + 1)];
	static struct iovec iov[SIZE * (MAX_DESCS + 1)];
	unsigned floor_descs = s->n_descs + (s->indirect ? 1 : 0);
	struct driver d = {
		.shape = s,
		.per_lap = SIZE / slots_per_chain(s),
		.lap = AVAIL,
	};

	memset(at(RING), 0, 16 * SIZE);
	memset(at(DRIVER), 0, 8192);
	memset(at(DEVICE), 0, 8192);
	put_tables(s);
	for (unsigned i = 0; i < d.per_lap * floor_descs; i++)
		put_desc(table + 16 * i, i, 0, 0);
	struct virtqueue *q = make_queue(s);
	if (s->packed)
		store_le32(at(DRIVER), 1u << 16);
	else
		split_begin(&d);

	/* In turns, so that what else the host does hits both. */
	for (unsigned i = 0; i < laps; i++) {
		if (s->packed)
			packed_fill(&d);
		else
			split_fill(&d);
		uint64_t begin = now_ns();
		device_lap(q, d.per_lap, batch);
		uint64_t middle = now_ns();
		floor_lap(table, iov, d.per_lap, floor_descs);
		floor_ns[i] = now_ns() - middle;
		ns[i] = middle - begin;
	}
	double cost = undisturbed(ns, laps) / d.per_lap;
	double floor = undisturbed(floor_ns, laps) / d.per_lap;
	printf("%s-batch-%u\t%.2f\t%.2f\t%.2f\n", s->name, batch, cost, floor, cost / floor);
	virtqueue_destroy(q);
}

int main(int argc, char **argv)
{
	static const struct memory_extent extent[] = {
		{ .base = 0, .size = LOW_RAM },
		{ .base = GIB(4), .size = HIGH_RAM },
	};
	unsigned laps = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 4000;

	if (laps == 0 || laps > MAX_LAPS) {
		fprintf(stderr, "usage: ring [LAPS [CASE]]    1 to %d\n", MAX_LAPS);
		return 2;
	}
	if (guest_memory_create(&memory, extent, ARRAY_SIZE(extent)) < 0) {
		fprintf(stderr, "ring: %s\n", error_text());
		return 1;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (argc > 2 && strcmp(argv[2], shapes[i].name) != 0)
			continue;
		for (unsigned batch = 1; batch <= 32; batch *= 32)
			measure(&shapes[i], batch, laps);
	}
	guest_memory_destroy(&memory);
	return 0;
}
